//! The name of the client, forward-confirmed ([RFC 8601] §3)
//!
//! [RFC 8601]: https://www.rfc-editor.org/rfc/rfc8601

use crate::{MethodResult, Step, Verdict, names};
use core::fmt;
use core::net::IpAddr;
use mailwright_dns::{Answer, Failure, Name, Question, RecordType};
use std::vec;

/// Looks for a name of the client that leads back to it: PTR, then A or AAAA of each name, up to ten.
///
/// ```
/// use mailwright_auth::{Step, Verdict, iprev};
/// use mailwright_dns::{Answer, Name, Record, RecordType, Records, Security};
///
/// let client = "192.0.2.25".parse()?;
/// let mut check = iprev::Check::new(client);
/// let report = loop {
///     match check.poll() {
///         Step::Ask(question) => {
///             let record = match question.record_type {
///                 RecordType::Ptr => Record::Ptr(Name::parse("mx.a.test")?),
///                 _ => Record::from(client),
///             };
///             let records = Records::new(question.name.clone(), [record], Security::Insecure);
///             check.answer(&question, Answer::Records(records));
///         }
///         Step::Wait => unreachable!("every question is answered at once"),
///         Step::Ready(report) => break report,
///     }
/// };
/// assert_eq!((report.verdict, report.name), (Verdict::Pass, Some(Name::parse("mx.a.test")?)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Check {
    client: IpAddr,
    question: Option<Question>,
    asked: bool,
    rest: Option<vec::IntoIter<Name>>,
    failure: Option<Failure>,
    report: Option<Report>,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The result: pass, fail, temperror or permerror.
    pub verdict: Verdict,
    /// The client.
    pub client: IpAddr,
    /// The name that leads back to it, if it passes.
    pub name: Option<Name>,
    /// Why it does not pass.
    pub reason: Option<Reason>,
}

/// Why a client does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has no name.
    NoName,
    /// None of its names leads back to it.
    NotConfirmed,
    /// A question could not be answered.
    Dns(Failure),
}

impl Check {
    /// Begins to look.
    pub fn new(client: IpAddr) -> Self {
        let client = client.to_canonical();
        Self {
            client,
            question: Some(Question::new(Name::reverse(client), RecordType::Ptr)),
            asked: false,
            rest: None,
            failure: None,
            report: None,
        }
    }

    /// Says what is needed next. Once the report is there, it stays the same.
    pub fn poll(&mut self) -> Step<Report> {
        if let Some(report) = &self.report {
            return Step::Ready(report.clone());
        }
        match &self.question {
            Some(question) if !self.asked => {
                self.asked = true;
                Step::Ask(question.clone())
            }
            _ => Step::Wait,
        }
    }

    /// Takes the answer to the question that [`poll`](Self::poll) asked.
    ///
    /// # Panics
    ///
    /// Panics if that question is not open.
    pub fn answer(&mut self, question: &Question, answer: Answer) {
        let open = self.asked && self.question.as_ref() == Some(question);
        assert!(open, "answer to a question that is not open");
        self.question = None;
        self.asked = false;
        if let Answer::Failure(failure) = &answer {
            self.failure = Some(failure.clone());
        }
        match self.rest.take() {
            None => match (
                &self.failure,
                names::of_ptr(&answer).take(MAX_NAMES).collect::<Vec<_>>(),
            ) {
                (Some(_), _) => self.finish(None),
                (None, names) if names.is_empty() => {
                    self.settle(Verdict::PermError, None, Some(Reason::NoName));
                }
                (None, names) => self.next(names.into_iter()),
            },
            Some(rest) => {
                let mut addresses = answer
                    .records()
                    .iter()
                    .filter_map(mailwright_dns::Record::address);
                match addresses.any(|address| address == self.client) {
                    true => self.finish(Some(question.name.clone())),
                    false => self.next(rest),
                }
            }
        }
    }

    fn next(&mut self, mut rest: vec::IntoIter<Name>) {
        let Some(name) = rest.next() else {
            return self.finish(None);
        };
        let record_type = match self.client {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::Aaaa,
        };
        self.question = Some(Question::new(name, record_type));
        self.rest = Some(rest);
    }

    fn finish(&mut self, name: Option<Name>) {
        match (name, self.failure.take()) {
            (Some(name), _) => self.settle(Verdict::Pass, Some(name), None),
            (None, Some(failure)) => self.settle(Verdict::TempError, None, Some(Reason::Dns(failure))),
            (None, None) => self.settle(Verdict::Fail, None, Some(Reason::NotConfirmed)),
        }
    }

    fn settle(&mut self, verdict: Verdict, name: Option<Name>, reason: Option<Reason>) {
        self.report = Some(Report {
            verdict,
            client: self.client,
            name,
            reason,
        });
    }
}

impl Report {
    /// The result for Authentication-Results (RFC 8601 §2.7.3).
    pub fn to_result(&self) -> MethodResult {
        let result = MethodResult::iprev(self.verdict.clone(), self.client);
        match (&self.reason, &self.name) {
            (Some(reason), _) => result.because(reason.to_string()),
            (None, Some(name)) => result.because(name.to_string()),
            (None, None) => result,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("no name"),
            Self::NotConfirmed => f.write_str("the names do not lead back"),
            Self::Dns(failure) => failure.fmt(f),
        }
    }
}

/// As many as SPF looks at (RFC 7208 §4.6.4).
const MAX_NAMES: usize = 10;
