//! Aggregate reports (RFC 7489 §7.2 and appendix C, [RFC 9990])
//!
//! ```text
//!   reports of checks ─▶ Row ─▶ Collector ─▶ Aggregate ─▶ to_xml ─▶ gzip ─▶ mail
//!   mail ─▶ Aggregate::from_message ─▶ zip or gzip, within limits ─▶ parse ─▶ Aggregate
//! ```
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

mod collect;
mod pack;
mod read;
mod write;

pub use collect::Collector;
pub use pack::{PackError, gzip, unpack};
pub use read::ReadError;

use super::{Alignment, Discovery, Policy, Record};
use crate::{Verdict, dkim, names, spf};
use core::net::IpAddr;
use mailwright_dns::Name;

/// How much of a report is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of the XML, unpacked. Default 32 MiB: what unpacks to more is refused before it takes up memory.
    pub max_xml: usize,
    /// Records. Default 100,000; others are left out.
    pub max_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_xml: 32 << 20,
            max_rows: 100_000,
        }
    }
}

/// A report about the mail of one domain in some time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Aggregate {
    /// Who reports, and about what time.
    pub metadata: Metadata,
    /// What the domain published.
    pub policy: PublishedPolicy,
    /// What came in.
    pub rows: Vec<Row>,
}

/// Who reports, and about what time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metadata {
    /// Who reports.
    pub organization: String,
    /// Where to ask about the report.
    pub email: String,
    /// Where else.
    pub contact: Option<String>,
    /// The report among those of the same organization.
    pub report_id: String,
    /// Where the time begins, in seconds since 1970.
    pub begin: u64,
    /// Where it ends, in seconds since 1970.
    pub end: u64,
    /// What went wrong. Reports of RFC 9990 have one text for all.
    pub errors: Vec<String>,
    /// The program that made the report (RFC 9990).
    pub generator: Option<String>,
}

/// What the domain published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PublishedPolicy {
    /// Where the record was found.
    pub domain: String,
    /// The policy for the domain.
    pub policy: Policy,
    /// The policy for domains below it.
    pub subdomain_policy: Option<Policy>,
    /// The policy for domains below it that do not exist (RFC 9990).
    pub nonexistent_policy: Option<Policy>,
    /// How DKIM must be aligned.
    pub dkim_alignment: Alignment,
    /// How SPF must be aligned.
    pub spf_alignment: Alignment,
    /// To how much of the mail the policy applies, 0 to 100 (RFC 7489). It is read, and not written: RFC 9990 has it no
    /// more.
    pub percent: Option<u8>,
    /// Whether the policy is only tested (RFC 9990).
    pub testing: bool,
    /// Of which failures the domain wants to hear, as it was published.
    pub failure_options: Option<String>,
    /// How the organizational domain was found (RFC 9990).
    pub discovery: Option<Discovery>,
}

/// Messages that had all of this in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Row {
    /// The client they came from; none if the report has something else there.
    pub source: Option<IpAddr>,
    /// How many they were.
    pub count: u64,
    /// What was common to them.
    pub facts: Facts,
}

/// What messages of one row have in common beside the client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Facts {
    /// What was done with them.
    pub disposition: Policy,
    /// Whether DKIM passed for a domain that is aligned.
    pub dkim_aligned: bool,
    /// Whether SPF passed for a domain that is aligned.
    pub spf_aligned: bool,
    /// Why something else was done than the policy wants: kinds (RFC 9990 §3.1.6) and comments.
    pub overrides: Vec<(String, Option<String>)>,
    /// The domain in From.
    pub header_from: String,
    /// The domain in MAIL FROM.
    pub envelope_from: Option<String>,
    /// The domain in RCPT TO.
    pub envelope_to: Option<String>,
    /// The DKIM signatures, those that count most first.
    pub dkim: Vec<DkimResult>,
    /// The SPF checks. Reports of RFC 9990 have one, of MAIL FROM.
    pub spf: Vec<SpfResult>,
}

/// What a DKIM signature came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DkimResult {
    /// The domain that signed.
    pub domain: String,
    /// The selector; empty if the report does not say.
    pub selector: String,
    /// What it came to.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
}

/// What an SPF check came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SpfResult {
    /// The domain that was checked.
    pub domain: String,
    /// Whether it was that of HELO; none if the report does not say.
    pub helo: Option<bool>,
    /// What it came to.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
}

impl PublishedPolicy {
    /// What a record says, found at a domain.
    pub fn of(domain: &Name, record: &Record, discovery: Discovery) -> Self {
        Self {
            domain: domain.to_string().to_ascii_lowercase(),
            policy: record.policy,
            subdomain_policy: record.subdomain_policy,
            nonexistent_policy: record.nonexistent_policy,
            dkim_alignment: record.dkim_alignment,
            spf_alignment: record.spf_alignment,
            percent: Some(record.percent).filter(|percent| *percent != 100),
            testing: record.testing,
            failure_options: Some(record.failure_options.to_string()),
            discovery: Some(discovery),
        }
    }
}

impl Facts {
    /// What the checks of one message came to; none if no policy was published. Why the policy is weaker than published
    /// for all such messages is among the overrides; the domain in RCPT TO and other overrides are for the caller to add.
    pub fn of(report: &super::Report, dkim: &[dkim::Report], spf: &[spf::Report]) -> Option<Self> {
        let record = report.record.as_ref()?;
        let author = report.author_domain.as_ref()?;
        let mail_from = spf.iter().find(|spf| spf.identity == spf::Identity::MailFrom);
        let mut signed: Vec<_> = dkim.iter().filter(|dkim| !dkim.domain.is_empty()).collect();
        signed.sort_by_key(|dkim| rank(dkim, author, report.organizational_domain.as_ref()));
        let mut overrides = Vec::new();
        if report.verdict == Verdict::Fail && report.disposition != report.policy {
            let kind = match record.testing {
                true => "policy_test_mode",
                false => "sampled_out",
            };
            overrides.push((kind.to_owned(), None));
        }
        Some(Self {
            disposition: report.disposition,
            dkim_aligned: report.dkim_aligned,
            spf_aligned: report.spf_aligned,
            overrides,
            header_from: author.to_string().to_ascii_lowercase(),
            envelope_from: mail_from.map(|spf| spf.domain.clone()),
            envelope_to: None,
            dkim: signed
                .into_iter()
                .take(MAX_SIGNATURES)
                .map(|dkim| DkimResult {
                    domain: dkim.domain.clone(),
                    selector: dkim.selector.clone(),
                    verdict: dkim.verdict.clone(),
                    reason: dkim.reason.as_ref().map(ToString::to_string),
                })
                .collect(),
            spf: mail_from
                .into_iter()
                .map(|spf| SpfResult {
                    domain: spf.domain.clone(),
                    helo: Some(false),
                    verdict: spf.verdict.clone(),
                    reason: None,
                })
                .collect(),
        })
    }
}

/// The order of signatures in reports (RFC 9990 §3.1.3): passed and strictly aligned, passed and aligned, passed, others.
fn rank(dkim: &dkim::Report, author: &Name, organization: Option<&Name>) -> u8 {
    let domain = names::of_text(&dkim.domain);
    match domain {
        _ if dkim.verdict != Verdict::Pass => 3,
        Some(domain) if domain == *author => 0,
        Some(domain) if organization.is_some_and(|it| domain.is_within(it)) => 1,
        _ => 2,
    }
}

/// RFC 9990 §3.1.3.
const MAX_SIGNATURES: usize = 100;
