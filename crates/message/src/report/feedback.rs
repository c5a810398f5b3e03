//! Abuse reports, read (RFC 5965, RFC 6591)

use core::net::IpAddr;

use super::{Kind, field, machine_part};
use crate::date::{self, DateTime};
use crate::header;
use crate::index::Index;

/// What somebody reports about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feedback {
    /// The kind, in lower case: `abuse`, `fraud`, `virus`, `not-spam`, `auth-failure`, `other` and others.
    pub feedback_type: String,
    /// The program that reports.
    pub user_agent: Option<String>,
    /// The version of the format; 1.
    pub version: Option<String>,
    /// The envelope's identifier.
    pub original_envelope_id: Option<String>,
    /// The reverse-path of the message, without brackets.
    pub original_mail_from: Option<String>,
    /// The forward-paths, without brackets.
    pub original_rcpt_to: Vec<String>,
    /// When the message came (Arrival-Date, or Received-Date of old reports).
    pub arrival_date: Option<DateTime>,
    /// Who reports.
    pub reporting_mta: Option<String>,
    /// The host that the message came from.
    pub source_ip: Option<IpAddr>,
    /// How many messages this report is about; 1 when it does not say.
    pub incidents: u64,
    /// The results of authentication, as written.
    pub authentication_results: Vec<String>,
    /// The domains that are to blame.
    pub reported_domain: Vec<String>,
    /// The URIs that are to blame.
    pub reported_uri: Vec<String>,
    /// What failed, in lower case: `dkim`, `spf`, `dmarc` and others (RFC 6591 §3.1).
    pub auth_failure: Option<String>,
    /// What became of the message, in lower case (RFC 6591 §3.2.1).
    pub delivery_result: Option<String>,
}

impl Feedback {
    /// Reads the report in a message; `None` when it has none, or it does not say of what kind.
    ///
    /// `message` is what `index` is the index of.
    pub fn parse(index: &Index, message: &[u8]) -> Option<Self> {
        let body = machine_part(index, message, Kind::Feedback)?;
        let one = |name| field(&body, name);
        let word = |name| one(name).map(|value| value.trim().to_ascii_lowercase());
        let all = |name: &str| {
            let fields = header::fields(&body).filter(|field| field.is(name));
            fields
                .map(|field| header::decode(field.value))
                .collect::<Vec<_>>()
        };
        let arrival = one("Arrival-Date").or_else(|| one("Received-Date"));
        let source = one("Source-IP");
        // A comment may follow it.
        let source = source
            .as_deref()
            .and_then(|ip| ip.split_ascii_whitespace().next());
        let source = source.map(|ip| ip.trim_matches(['[', ']']));
        Some(Self {
            feedback_type: word("Feedback-Type")?,
            user_agent: one("User-Agent"),
            version: one("Version"),
            original_envelope_id: one("Original-Envelope-Id"),
            original_mail_from: one("Original-Mail-From").as_deref().map(bare),
            original_rcpt_to: all("Original-Rcpt-To").iter().map(|path| bare(path)).collect(),
            arrival_date: arrival.and_then(|value| date::parse(value.as_bytes())),
            reporting_mta: one("Reporting-MTA").as_deref().map(super::address),
            source_ip: source.and_then(|ip| ip.strip_prefix("IPv6:").unwrap_or(ip).parse().ok()),
            incidents: one("Incidents").and_then(|n| n.trim().parse().ok()).unwrap_or(1),
            authentication_results: all("Authentication-Results"),
            reported_domain: all("Reported-Domain"),
            reported_uri: all("Reported-URI"),
            auth_failure: word("Auth-Failure"),
            delivery_result: word("Delivery-Result"),
        })
    }
}

fn bare(path: &str) -> String {
    let path = path.trim();
    path.strip_prefix('<')
        .and_then(|path| path.strip_suffix('>'))
        .unwrap_or(path)
        .to_owned()
}
