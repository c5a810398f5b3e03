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
use crate::{Verdict, dkim, spf};
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
    /// What went wrong.
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
    /// To how much of the mail the policy applies, 0 to 100 (RFC 7489).
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
    /// Why something else was done than the policy wants: kinds and comments.
    pub overrides: Vec<(String, Option<String>)>,
    /// The domain in From.
    pub header_from: String,
    /// The domain in MAIL FROM.
    pub envelope_from: Option<String>,
    /// The domain in RCPT TO.
    pub envelope_to: Option<String>,
    /// The DKIM signatures.
    pub dkim: Vec<DkimResult>,
    /// The SPF checks.
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
    /// What the checks of one message came to; none if no policy was published. The domain in RCPT TO and overrides are
    /// for the caller to add.
    pub fn of(report: &super::Report, dkim: &[dkim::Report], spf: &[spf::Report]) -> Option<Self> {
        report.record.as_ref()?;
        let header_from = report.author_domain.as_ref()?.to_string().to_ascii_lowercase();
        let mail_from = spf.iter().find(|spf| spf.identity == spf::Identity::MailFrom);
        let signed = dkim.iter().filter(|dkim| !dkim.domain.is_empty());
        Some(Self {
            disposition: report.disposition,
            dkim_aligned: report.dkim_aligned,
            spf_aligned: report.spf_aligned,
            overrides: Vec::new(),
            header_from,
            envelope_from: mail_from.map(|spf| spf.domain.clone()),
            envelope_to: None,
            dkim: signed
                .map(|dkim| DkimResult {
                    domain: dkim.domain.clone(),
                    selector: dkim.selector.clone(),
                    verdict: dkim.verdict.clone(),
                    reason: dkim.reason.as_ref().map(ToString::to_string),
                })
                .collect(),
            spf: spf
                .iter()
                .map(|spf| SpfResult {
                    domain: spf.domain.clone(),
                    helo: Some(spf.identity == spf::Identity::Helo),
                    verdict: spf.verdict.clone(),
                    reason: None,
                })
                .collect(),
        })
    }
}
