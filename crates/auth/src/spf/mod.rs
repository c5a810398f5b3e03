//! Sender Policy Framework ([RFC 7208], [RFC 8616] §4)
//!
//! [`Check`] evaluates one identity against one client. It asks for DNS records and takes the answers:
//!
//! ```
//! use mailwright_auth::spf::{Check, Config};
//! use mailwright_auth::{Step, Verdict};
//! use mailwright_dns::{Answer, Records, Record, Security, Txt};
//! use std::sync::Arc;
//!
//! let client = "192.0.2.25".parse()?;
//! let mut check = Check::mail_from(client, "mx.a.test", "alice@a.test", Arc::new(Config::default()));
//! let report = loop {
//!     match check.poll() {
//!         Step::Ask(question) => {
//!             let txt = Record::Txt(Txt::new([&b"v=spf1 ip4:192.0.2.0/24 -all"[..]]));
//!             let answer = Records::new(question.name.clone(), [txt], Security::Insecure);
//!             check.answer(&question, Answer::Records(answer));
//!         }
//!         Step::Wait => unreachable!("every question is answered at once"),
//!         Step::Ready(report) => break report,
//!     }
//! };
//! assert_eq!(report.verdict, Verdict::Pass);
//! assert_eq!(report.cause.to_string(), "a.test: ip4:192.0.2.0/24");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A void lookup (RFC 7208 §4.6.4) is a term whose own question has no answer: the addresses of mail exchangers and of
//! the client's names do not count, so a client with IPv6 is not refused for mail exchangers without.
//!
//! [RFC 7208]: https://www.rfc-editor.org/rfc/rfc7208
//! [RFC 8616]: https://www.rfc-editor.org/rfc/rfc8616

mod check;
mod macros;
mod record;

pub use check::Check;
pub use macros::MacroString;
pub use record::{Directive, Mechanism, Prefixes, Record, SyntaxError};

use crate::{Keyword, MethodResult, Property, Verdict, fold};
use core::fmt;
use core::net::IpAddr;
use mailwright_dns::{Failure, Name, Question};

/// Settings and limits of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The name of the host that checks, for the macro `%{r}` and Received-SPF. Default `unknown`.
    pub receiver: String,
    /// Terms that ask the DNS, those of included records too. Default 10, the limit of RFC 7208 §4.6.4.
    pub max_lookups: u32,
    /// Of those, the ones that find nothing. Default 2, what RFC 7208 §4.6.4 recommends.
    pub max_void_lookups: u32,
    /// Mail exchangers of one `mx`. Default 10, the limit of RFC 7208 §4.6.4.
    pub max_mx: usize,
    /// Names of the client that are looked at; others are passed over. Default 10, the limit of RFC 7208 §4.6.4.
    pub max_ptr: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            receiver: "unknown".to_owned(),
            max_lookups: 10,
            max_void_lookups: 2,
            max_mx: 10,
            max_ptr: 10,
        }
    }
}

/// Whose right to use a domain is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// RFC 7208 §2.3 and §2.4 have these two.
#[allow(clippy::exhaustive_enums)]
pub enum Identity {
    /// The name in HELO or EHLO.
    Helo,
    /// The reverse-path.
    MailFrom,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The result: none, neutral, pass, fail, softfail, temperror or permerror (RFC 7208 §2.6).
    pub verdict: Verdict,
    /// What was checked.
    pub identity: Identity,
    /// The domain of that identity, in A-labels.
    pub domain: String,
    /// The client; never an IPv4-mapped address.
    pub client: IpAddr,
    /// The name in HELO or EHLO.
    pub helo: String,
    /// The sender as it was checked, if that was the identity.
    pub mail_from: Option<String>,
    /// What decided.
    pub cause: Cause,
    /// What the domain has to say about a fail, in printable ASCII. It is the word of strangers: a reply that holds it
    /// should say so (RFC 7208 §8.4).
    pub explanation: Option<String>,
}

/// What decided the result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A directive matched.
    Matched {
        /// The domain of the record: the one checked, or where it redirects.
        domain: String,
        /// The directive.
        term: String,
    },
    /// No directive matched.
    NoMatch,
    /// There is no domain with more than one label to check.
    NoDomain,
    /// The domain publishes no record.
    NoRecord,
    /// A domain that a record includes or redirects to publishes none.
    NoRecordAt(String),
    /// A domain publishes more than one record.
    TwoRecords(String),
    /// The record of a domain is malformed.
    Syntax(String, SyntaxError),
    /// More terms than [`Config::max_lookups`] ask the DNS.
    TooManyLookups,
    /// More terms than [`Config::max_void_lookups`] found nothing.
    TooManyVoidLookups,
    /// A domain has more mail exchangers than [`Config::max_mx`].
    TooManyExchangers(Name),
    /// A question could not be answered.
    Dns(Question, Failure),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched { domain, term } => write!(f, "{domain}: {term}"),
            Self::NoMatch => f.write_str("no mechanism matches"),
            Self::NoDomain => f.write_str("no domain to check"),
            Self::NoRecord => f.write_str("no SPF record"),
            Self::NoRecordAt(domain) => write!(f, "{domain} is referred to and has no SPF record"),
            Self::TwoRecords(domain) => write!(f, "{domain} has more than one SPF record"),
            Self::Syntax(domain, error) => write!(f, "{domain}: {error}"),
            Self::TooManyLookups => f.write_str("too many DNS lookups"),
            Self::TooManyVoidLookups => f.write_str("too many DNS lookups without result"),
            Self::TooManyExchangers(name) => write!(f, "{name} has too many mail exchangers"),
            Self::Dns(question, failure) => write!(f, "{question}: {failure}"),
        }
    }
}

impl Report {
    /// The result for Authentication-Results (RFC 8601 §2.7.2).
    pub fn to_result(&self) -> MethodResult {
        let result = MethodResult::new(Keyword::SPF, self.verdict.clone()).because(self.cause.to_string());
        result.with(match &self.mail_from {
            Some(mail_from) => Property::new(Keyword::SMTP, Keyword::MAILFROM, mail_from.clone()),
            None => Property::new(Keyword::SMTP, Keyword::HELO, self.helo.clone()),
        })
    }

    /// The field `Received-SPF`, folded, with its line ending (RFC 7208 §9.1). `receiver` is the host that checked.
    pub fn to_field(&self, receiver: &str) -> String {
        let mut words = vec![
            self.verdict.to_string(),
            format!("({})", fold::comment(&format!("{receiver}: {}", self.cause))),
            format!("receiver={};", fold::word(receiver)),
            format!("client-ip={};", fold::word(&self.client.to_string())),
        ];
        if let Some(mail_from) = &self.mail_from {
            words.push(format!("envelope-from={};", fold::word(mail_from)));
        }
        words.push(format!("helo={};", fold::word(&self.helo)));
        words.push(format!(
            "identity={};",
            match self.identity {
                Identity::Helo => "helo",
                Identity::MailFrom => "mailfrom",
            }
        ));
        words.push(match &self.cause {
            Cause::Matched { term, .. } => format!("mechanism={}", fold::word(term)),
            Cause::NoMatch => "mechanism=default".to_owned(),
            other => format!("problem={}", fold::word(&other.to_string())),
        });
        fold::field("Received-SPF", words)
    }
}
