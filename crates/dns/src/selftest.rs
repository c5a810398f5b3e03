//! Whether the configured servers validate DNSSEC ([RFC 4035] §3.2.3, [RFC 6840] §5.7)
//!
//! The AD bit is worth nothing from a server that does not validate, and no DANE is possible without it. That is worth
//! knowing before mail goes out.
//!
//! [RFC 4035]: https://www.rfc-editor.org/rfc/rfc4035
//! [RFC 6840]: https://www.rfc-editor.org/rfc/rfc6840

use crate::{Answer, Config, Failure, Name, Question, RecordType, Security};
use core::fmt;
use core::time::Duration;

/// Questions that tell whether servers validate, and what follows from the answers.
///
/// Ask them of a [`Resolver`](crate::Resolver) with the settings of [`config`](Self::config), one after the other or all
/// at once, and hand the answers to [`verdict`](Self::verdict).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTest {
    signed: Question,
    broken: Option<Question>,
    trusted: bool,
}

/// What the servers do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// They validate, and are declared trusted: secure answers are seen.
    Validates,
    /// They validate, or say so, but their AD bit is not believed ([`Server::trust_ad`](crate::Server::trust_ad)).
    NotTrusted,
    /// A name in a signed zone comes without the AD bit: they do not validate, or hide it.
    NotValidating,
    /// They set the AD bit, and yet answer for a name whose signatures are broken: their word is worth nothing.
    AcceptsBroken,
    /// The name in a signed zone could not be looked up.
    NotKnown(Failure),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Validates => f.write_str("the resolver validates DNSSEC"),
            Self::NotTrusted => {
                f.write_str("the resolver seems to validate DNSSEC, and is not declared trusted")
            }
            Self::NotValidating => f.write_str("the resolver does not validate DNSSEC"),
            Self::AcceptsBroken => {
                f.write_str("the resolver claims to validate DNSSEC, and takes forged answers")
            }
            Self::NotKnown(failure) => {
                write!(f, "whether the resolver validates DNSSEC is not known: {failure}")
            }
        }
    }
}

impl SelfTest {
    /// Tests the servers of a configuration with the root zone, which is signed.
    pub fn new(config: &Config) -> Self {
        Self {
            signed: Question::new(Name::root(), RecordType::Soa),
            broken: None,
            trusted: !config.servers.is_empty() && config.servers.iter().all(|server| server.trust_ad),
        }
    }

    /// Tests with another question about a signed zone: a private root has its own.
    #[must_use]
    pub fn with_signed(self, signed: Question) -> Self {
        Self { signed, ..self }
    }

    /// Tests with a name whose signatures are known to be broken as well. There are such names in the public DNS; none
    /// is asked for unless it is named here.
    #[must_use]
    pub fn with_broken(self, broken: Question) -> Self {
        Self {
            broken: Some(broken),
            ..self
        }
    }

    /// The settings for the test: the same servers, all believed, and nothing remembered.
    pub fn config(&self, config: &Config) -> Config {
        let mut config = config.clone();
        for server in &mut config.servers {
            server.trust_ad = true;
        }
        config.cache_entries = 0;
        config.serve_stale = Duration::ZERO;
        config
    }

    /// What is to be asked.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        [&self.signed].into_iter().chain(&self.broken)
    }

    /// What follows from the answers, which are looked up in `answers` by their question. An answer that is not there
    /// says nothing.
    pub fn verdict(&self, answers: &[(Question, Answer)]) -> Verdict {
        let find = |question: &Question| {
            let found = answers.iter().find(|(asked, _)| asked == question);
            found.map(|(_, answer)| answer)
        };
        let secure = match find(&self.signed) {
            Some(Answer::Failure(failure)) => return Verdict::NotKnown(failure.clone()),
            Some(answer) => answer.security() == Security::Secure,
            None => false,
        };
        // An answer of whatever kind: a server that validates has none.
        let takes_broken = self
            .broken
            .as_ref()
            .and_then(find)
            .is_some_and(|answer| answer.failure().is_none());
        match (secure, takes_broken, self.trusted) {
            (false, ..) => Verdict::NotValidating,
            (true, true, _) => Verdict::AcceptsBroken,
            (true, false, true) => Verdict::Validates,
            (true, false, false) => Verdict::NotTrusted,
        }
    }
}
