//! Where the TLSA records of a host are ([RFC 7672] §2.2)
//!
//! ```text
//!  addresses ─┬─ secure, no alias ──▶ TLSA at the host ───────────────────────────┬─▶ Found
//!             ├─ secure, alias ─────▶ TLSA at the canonical name, then at the host ┤
//!             ├─ insecure, alias ───▶ CNAME of the host ─┬─ secure ─▶ TLSA there ──┤
//!             │                                          └─ insecure ─────────────┐└─▶ Failed
//!             └─ insecure, no alias ──────────────────────────────────────────────▶ Nothing
//! ```
//!
//! TLSA records are asked for only where the addresses are secure: unsigned zones have servers that fail on that type
//! (RFC 7672 §2.2.2). Once they are asked for, a failure is never read as "none".
//!
//! [RFC 7672]: https://www.rfc-editor.org/rfc/rfc7672

use crate::dane::Policy;
use mailwright_dns::{Answer, Failure, FailureKind, Name, Question, RecordType, Security};
use std::collections::VecDeque;
use std::sync::Arc;

/// How far the search has come.
#[derive(Debug, Default)]
pub(crate) enum Search {
    /// It was not started.
    #[default]
    Idle,
    /// Whether the zone of the host is signed is asked for, by its CNAME record.
    Alias(Question),
    /// Records are asked for at `base`; `next` are the places after it.
    Records {
        question: Question,
        base: Name,
        next: VecDeque<Name>,
    },
    /// There are records that DNSSEC vouches for.
    Found(Arc<Policy>),
    /// DANE does not apply to the host.
    Nothing,
    /// It cannot be told: the host must not be used.
    Failed((Question, Failure)),
}

/// How an address answer was reached.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) canonical: Name,
    pub(crate) security: Security,
    pub(crate) first_security: Security,
}

impl Search {
    /// Starts at a host whose addresses are known, and which is secure up to them.
    pub(crate) fn start<'a>(host: &Name, port: u16, ways: impl Iterator<Item = &'a Way> + Clone) -> Self {
        if let Some(way) = ways.clone().find(|way| way.security == Security::Secure) {
            return match way.canonical == *host {
                true => Self::at([host.clone()].into(), port),
                false => Self::at([way.canonical.clone(), host.clone()].into(), port),
            };
        }
        let mut aliases = ways.filter(|way| way.canonical != *host).peekable();
        if aliases.peek().is_none() {
            return Self::Nothing;
        }
        let mut unsure = false;
        for way in aliases {
            match way.first_security {
                Security::Secure => return Self::at([host.clone()].into(), port),
                // The answer as a whole is insecure; its first step alone need not be.
                Security::Insecure => unsure = true,
                Security::Indeterminate | Security::Bogus => {}
            }
        }
        match unsure {
            true => Self::Alias(Question::new(host.clone(), RecordType::Cname)),
            false => Self::Nothing,
        }
    }

    /// The question whose answer it waits for.
    pub(crate) fn question(&self) -> Option<&Question> {
        match self {
            Self::Alias(question) | Self::Records { question, .. } => Some(question),
            _ => None,
        }
    }

    /// Takes the answer to [`question`](Self::question). `names` are those a certificate may have besides.
    pub(crate) fn on_answer(&mut self, answer: &Answer, port: u16, names: impl Iterator<Item = Name>) {
        *self = match core::mem::take(self) {
            Self::Alias(question) => match (answer, answer.security()) {
                (Answer::Failure(failure), _) => Self::Failed((question, failure.clone())),
                (Answer::Records(_), Security::Secure) => Self::at([question.name].into(), port),
                (_, Security::Insecure) => Self::Nothing,
                // Addresses were reached over an alias which is now denied, or a server of less trust has answered.
                _ => Self::Failed((question, Failure::new(FailureKind::Malformed))),
            },
            Self::Records { question, base, next } => match (answer, answer.security()) {
                (Answer::Failure(failure), _) => Self::Failed((question, failure.clone())),
                (Answer::Records(records), Security::Secure) => Self::Found(Arc::new(Policy::new(
                    base,
                    names,
                    records.tlsa().cloned().collect(),
                ))),
                (_, Security::Secure | Security::Insecure) => Self::at(next, port),
                _ => Self::Failed((question, Failure::new(FailureKind::Malformed))),
            },
            other => other,
        };
    }

    /// Asks at the first of these names that leaves room for the labels before it.
    fn at(mut bases: VecDeque<Name>, port: u16) -> Self {
        while let Some(base) = bases.pop_front() {
            if let Ok(name) = base.with_prefix(&format!("_{port}._tcp")) {
                return Self::Records {
                    question: Question::new(name, RecordType::Tlsa),
                    base,
                    next: bases,
                };
            }
        }
        Self::Nothing
    }
}
