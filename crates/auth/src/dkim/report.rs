//! What became of one signature ([RFC 8601] §2.7.1, RFC 6008)
//!
//! [RFC 8601]: https://www.rfc-editor.org/rfc/rfc8601

use super::{Reason, Signature};
use crate::crypto::Algorithm;
use crate::{Keyword, MethodResult, Property, Verdict};

/// What became of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The result: pass, fail, policy, neutral, temperror or permerror.
    pub verdict: Verdict,
    /// Why it does not pass; none if it does.
    pub reason: Option<Reason>,
    /// The domain that signed, in A-labels; empty if the field does not say.
    pub domain: String,
    /// The selector; empty if the field does not say.
    pub selector: String,
    /// The agent that signed, where the field names one.
    pub identity: Option<String>,
    /// The algorithm, if it is a known one.
    pub algorithm: Option<Algorithm>,
    /// The size of the key in bits, once it was read.
    pub key_bits: Option<usize>,
    /// Whether the domain says that it is testing: a failure then means nothing (RFC 6376 §3.6.1).
    pub testing: bool,
    /// When it was signed, in seconds since 1970.
    pub signed_at: Option<u64>,
    /// How many octets at the end of the body are not signed.
    pub uncovered: u64,
    /// The first characters of the signature, which tell it from others (RFC 6008 §4).
    pub signature_start: String,
}

impl Report {
    pub(crate) fn new(reason: Option<Reason>) -> Self {
        Self {
            verdict: reason.as_ref().map_or(Verdict::Pass, Reason::verdict),
            reason,
            domain: String::new(),
            selector: String::new(),
            identity: None,
            algorithm: None,
            key_bits: None,
            testing: false,
            signed_at: None,
            uncovered: 0,
            signature_start: String::new(),
        }
    }

    pub(crate) fn of(signature: &Signature) -> Self {
        let mut start = super::base64_encode(&signature.signature);
        start.truncate(SIGNATURE_START);
        Self {
            domain: signature.domain.clone(),
            selector: signature.selector.clone(),
            identity: signature.identity.clone(),
            algorithm: Some(signature.algorithm),
            signed_at: signature.signed_at,
            signature_start: start,
            ..Self::new(None)
        }
    }

    pub(crate) fn settle(&mut self, reason: Option<Reason>) {
        self.verdict = reason.as_ref().map_or(Verdict::Pass, Reason::verdict);
        self.reason = reason;
    }

    /// The result for Authentication-Results (RFC 8601 §2.7.1).
    pub fn to_result(&self) -> MethodResult {
        let mut result = MethodResult::new(Keyword::DKIM, self.verdict.clone());
        if let Some(reason) = &self.reason {
            result = result.because(reason.to_string());
        }
        let mut add = |name, value: &str| {
            if !value.is_empty() {
                let property = Property::new(Keyword::HEADER, name, value);
                result.properties.push(property);
            }
        };
        add(Keyword::D, &self.domain);
        add(Keyword::S, &self.selector);
        add(Keyword::I, self.identity.as_deref().unwrap_or_default());
        add(Keyword::A, self.algorithm.map_or("", Algorithm::as_str));
        add(Keyword::B, &self.signature_start);
        result
    }
}

/// RFC 6008 §4 asks for eight, or for as many as tell signatures apart.
const SIGNATURE_START: usize = 8;
