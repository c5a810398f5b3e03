//! Domain-based Message Authentication, Reporting, and Conformance ([RFC 9989], RFC 7489)
//!
//! [`Check`] finds the policy of the domain in From, and whether what passed SPF and DKIM is of the same organization:
//!
//! ```
//! use mailwright_auth::dmarc::{Authenticated, Check, Config, Policy, author_domain};
//! use mailwright_auth::{Step, Verdict};
//! use mailwright_dns::{Answer, Negative, Record, Records, Security, Txt};
//! use std::sync::Arc;
//!
//! let author = author_domain(b"From: Alice <alice@mail.a.test>\r\n\r\n");
//! let mut check = Check::new(author.as_deref().map_err(Clone::clone), Arc::new(Config::default()));
//! let mut authenticated = Authenticated::default();
//! authenticated.dkim.push("b.test".to_owned());
//! check.authenticated(authenticated);
//! let report = loop {
//!     match check.poll() {
//!         Step::Ask(question) => {
//!             let name = question.name.clone();
//!             let txt = Record::Txt(Txt::new([&b"v=DMARC1; p=reject"[..]]));
//!             let answer = match name.to_string() == "_dmarc.a.test" {
//!                 true => Answer::Records(Records::new(name, [txt], Security::Insecure)),
//!                 false => Answer::NxDomain(Negative::new(name, Security::Insecure)),
//!             };
//!             check.answer(&question, answer);
//!         }
//!         Step::Wait => unreachable!("all is known"),
//!         Step::Ready(report) => break report,
//!     }
//! };
//! assert_eq!((report.verdict, report.disposition), (Verdict::Fail, Policy::Reject));
//! ```
//!
//! [`aggregate`] has the reports that receivers send each other, [`FailureReport`] those about one message.
//!
//! [RFC 9989]: https://www.rfc-editor.org/rfc/rfc9989

pub mod aggregate;
mod check;
mod failure;
mod record;
mod suffix;

pub use check::{Authenticated, Check, Config, Discovery};
pub use failure::FailureReport;
pub use record::{Alignment, FailureOptions, Policy, Record, RecordError, ReportUri};
pub use suffix::registrable_domain;

use crate::{Keyword, MethodResult, Property, Verdict, names};
use core::fmt;
use mailwright_dns::{Failure, Name, Question};
use mailwright_message::{address_list, header};

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The result: none, pass, fail, temperror or permerror.
    pub verdict: Verdict,
    /// Why it does not pass.
    pub reason: Option<Reason>,
    /// The domain in From, in A-labels.
    pub author_domain: Option<Name>,
    /// The domain of the organization that it belongs to.
    pub organizational_domain: Option<Name>,
    /// The domain whose record counts.
    pub policy_domain: Option<Name>,
    /// The policy that the record has for the domain in From.
    pub policy: Policy,
    /// What the domain wants done with this message: none unless it failed.
    pub disposition: Policy,
    /// Whether SPF passed for a domain that is aligned.
    pub spf_aligned: bool,
    /// Whether DKIM passed for a domain that is aligned.
    pub dkim_aligned: bool,
    /// The record.
    pub record: Option<Record>,
}

/// Why a message does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has no From with a domain.
    NoAuthor,
    /// It has more than one From, or authors of more than one domain (RFC 9989 §5.3.1).
    ManyAuthors,
    /// No policy is published.
    NoRecord,
    /// A question could not be answered.
    Dns(Question, Failure),
    /// Neither SPF nor DKIM passed.
    NothingPassed,
    /// What passed is of another organization, or not the same domain where that is asked for.
    NotAligned,
    /// SPF or DKIM could not be checked for the time being.
    Undecided,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns(question, failure) => return write!(f, "{question}: {failure}"),
            Self::NoAuthor => "no domain in From",
            Self::ManyAuthors => "more than one domain in From",
            Self::NoRecord => "no DMARC record",
            Self::NothingPassed => "neither SPF nor DKIM passed",
            Self::NotAligned => "nothing that passed is aligned",
            Self::Undecided => "SPF or DKIM could not be checked",
        })
    }
}

impl core::error::Error for Reason {}

impl Report {
    fn without_record(author: Option<&Name>, reason: Reason) -> Self {
        Self {
            verdict: match reason {
                Reason::Dns(..) => Verdict::TempError,
                Reason::NoRecord => Verdict::None,
                _ => Verdict::PermError,
            },
            reason: Some(reason),
            author_domain: author.cloned(),
            organizational_domain: None,
            policy_domain: None,
            policy: Policy::None,
            disposition: Policy::None,
            spf_aligned: false,
            dkim_aligned: false,
            record: None,
        }
    }

    /// The result for Authentication-Results (RFC 9989 §9.1).
    pub fn to_result(&self) -> MethodResult {
        let mut result = MethodResult::new(Keyword::DMARC, self.verdict.clone());
        if let Some(reason) = &self.reason {
            result = result.because(reason.to_string());
        }
        if let Some(author) = &self.author_domain {
            result = result.with(Property::new(Keyword::HEADER, Keyword::FROM, author.to_string()));
        }
        if self.record.is_some() {
            let policy = self.policy.as_str();
            result = result.with(Property::new(Keyword::POLICY, Keyword::DMARC, policy));
        }
        result
    }
}

/// The domain in From, in A-labels. `header` may be a whole message.
///
/// # Errors
///
/// When there is not exactly one field From, with a domain, and the same for all authors.
pub fn author_domain(header: &[u8]) -> Result<String, Reason> {
    let mut fields = header::fields(header).filter(|field| field.is("From"));
    let from = fields.next().ok_or(Reason::NoAuthor)?;
    if fields.next().is_some() {
        return Err(Reason::ManyAuthors);
    }
    let mut author: Option<String> = None;
    for mailbox in address_list::mailboxes(from.value) {
        let domain = names::to_ascii(&mailbox.domain).filter(|domain| names::of_text(domain).is_some());
        let domain = domain.ok_or(Reason::NoAuthor)?.to_ascii_lowercase();
        match &author {
            Some(known) if *known != domain => return Err(Reason::ManyAuthors),
            _ => author = Some(domain),
        }
    }
    author.ok_or(Reason::NoAuthor)
}
