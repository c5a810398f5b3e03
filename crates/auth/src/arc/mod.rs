//! Authenticated Received Chain ([RFC 8617])
//!
//! Whoever changes a message on its way, a mailing list mostly, seals what it found out before. [`Verifier`] checks the
//! chain of seals while a message comes in, and [`Sealer`] adds to it when the message leaves.
//!
//! A chain that passes says that nobody changed what its members wrote, not that they are to be believed: that is for
//! the caller to know, by their domains. The IETF is about to declare ARC historic.
//!
//! [RFC 8617]: https://www.rfc-editor.org/rfc/rfc8617

mod chain;
mod seal;
mod verify;

pub use seal::{SealError, Sealer};
pub use verify::Verifier;

use crate::dkim;
use crate::{Keyword, MethodResult, Property, Verdict};
use core::fmt;

/// What a chain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The result: none, pass or fail; temperror if a key could not be asked for.
    pub verdict: Verdict,
    /// Why it does not pass.
    pub reason: Option<Reason>,
    /// The members, from the first to the last; empty if there is no chain, or it is malformed.
    pub sets: Vec<Set>,
}

/// One member of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Set {
    /// The domain that sealed, in A-labels.
    pub domain: String,
    /// Its selector.
    pub selector: String,
    /// What it found out, as it stands behind the instance in ARC-Authentication-Results.
    pub results: String,
}

/// Why a chain does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The header is larger than [`dkim::Config::max_header`].
    HeaderTooLarge,
    /// There are more than fifty members (RFC 8617 §5.1.1.1.1).
    TooLong,
    /// The fields of this instance are not one of each kind, or malformed.
    Structure(u32),
    /// This member says what a member at its place cannot say of the chain before it.
    ChainValue(u32),
    /// A member says that the chain before it failed.
    FailedBefore,
    /// The message signature of the last member does not pass.
    Message(dkim::Reason),
    /// The seal of this member does not pass.
    Seal(u32, dkim::Reason),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderTooLarge => f.write_str("header too large"),
            Self::TooLong => f.write_str("chain too long"),
            Self::Structure(instance) => write!(f, "malformed set {instance}"),
            Self::ChainValue(instance) => write!(f, "cv= of set {instance} does not fit its place"),
            Self::FailedBefore => f.write_str("the chain failed before"),
            Self::Message(reason) => write!(f, "message signature: {reason}"),
            Self::Seal(instance, reason) => write!(f, "seal {instance}: {reason}"),
        }
    }
}

impl Report {
    fn new(verdict: Verdict, reason: Option<Reason>) -> Self {
        Self {
            verdict,
            reason,
            sets: Vec::new(),
        }
    }

    /// The result for Authentication-Results (RFC 8617 §10.1).
    pub fn to_result(&self) -> MethodResult {
        let mut result = MethodResult::new(Keyword::ARC, self.verdict.clone());
        if let Some(reason) = &self.reason {
            result = result.because(reason.to_string());
        }
        match self.sets.last() {
            Some(last) => result.with(Property::new(Keyword::HEADER, Keyword::D, last.domain.clone())),
            None => result,
        }
    }
}
