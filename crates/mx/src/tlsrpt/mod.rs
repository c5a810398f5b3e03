//! SMTP TLS reporting ([RFC 8460]): who wants reports, what happened, and the reports themselves
//!
//! ```text
//!  sessions ─▶ Collector ─ by day, domain and policy ─▶ Report ─▶ JSON ─▶ mail or HTTPS (the embedder's)
//!                                                                  │
//!                                               Report::parse ◀────┘
//! ```
//!
//! [RFC 8460]: https://www.rfc-editor.org/rfc/rfc8460

mod collector;
mod json;
mod report;
mod time;

pub use collector::{Applied, Collector, CollectorConfig, Day};
pub use json::ParseError;
pub use report::{Detail, PolicyKind, PolicyReport, Report, ResultType};

use crate::sts::fields;
use mailwright_dns::{Name, Txt};

/// Where a domain wants its reports (RFC 8460 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// By mail to this address, as it stands in the record.
    Mail(String),
    /// By POST to this URL.
    Https(String),
}

impl Target {
    /// Where the record of a domain stands; `None` if its name leaves no room.
    pub fn record_name(domain: &Name) -> Option<Name> {
        domain.with_prefix("_smtp._tls").ok()
    }

    /// Finds the targets in the TXT records there: there must be exactly one record of this version (RFC 8460 §3).
    /// Targets of other schemes are left out. No more than 8 are given.
    ///
    /// ```
    /// use mailwright_dns::Txt;
    /// use mailwright_mx::tlsrpt::Target;
    ///
    /// let record = Txt::new([&b"v=TLSRPTv1; rua=mailto:tls@b.test,https://b.test/tls"[..]]);
    /// let targets = Target::find([&record]);
    /// assert_eq!(targets[0], Target::Mail("tls@b.test".into()));
    /// assert_eq!(targets[1], Target::Https("https://b.test/tls".into()));
    /// ```
    pub fn find<'a>(records: impl IntoIterator<Item = &'a Txt>) -> Vec<Self> {
        let records = records.into_iter().map(Txt::joined);
        let mut records = records.filter_map(|record| fields(&record, "TLSRPTv1").map(<[u8]>::to_vec));
        let (Some(record), None) = (records.next(), records.next()) else {
            return Vec::new();
        };
        let Ok(text) = String::from_utf8(record) else {
            return Vec::new();
        };
        let mut fields = text.split(';').filter_map(|field| field.split_once('='));
        let rua = fields.find(|(name, _)| name.trim() == "rua");
        let targets = rua.into_iter().flat_map(|(_, value)| value.split(','));
        targets
            .filter_map(|uri| Self::parse(uri.trim()))
            .take(MAX_TARGETS)
            .collect()
    }

    fn parse(uri: &str) -> Option<Self> {
        let visible = uri.bytes().all(|octet| octet.is_ascii_graphic());
        let (scheme, rest) = uri.split_once(':').filter(|_| visible)?;
        match scheme.to_ascii_lowercase().as_str() {
            "mailto" => {
                let address = rest.split('?').next()?;
                Some(Self::Mail(percent_decoded(address)?))
            }
            "https" => Some(Self::Https(uri.to_owned())),
            _ => None,
        }
    }
}

/// RFC 8460 §3: commas, exclamation marks and semicolons stand in their escaped form.
fn percent_decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digits = core::str::from_utf8(digits).ok()?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets)
        .ok()
        .filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

const MAX_TARGETS: usize = 8;
