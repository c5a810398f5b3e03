//! Why a signature does not pass ([RFC 6376] §3.9, §6.1)
//!
//! [RFC 6376]: https://www.rfc-editor.org/rfc/rfc6376

use crate::Verdict;
use core::fmt;
use mailwright_dns::{Failure, Question};

/// Why a signature does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The field is no tag list, or has a tag twice.
    Syntax,
    /// The version is not 1.
    Version,
    /// A tag that must be there is missing or empty.
    MissingTag(&'static str),
    /// The value of a tag is malformed.
    BadTag(&'static str),
    /// The algorithm is not known.
    Algorithm,
    /// It is signed with SHA-1, which counts for nothing (RFC 8301 §3.1).
    Sha1,
    /// The key cannot be had from the DNS.
    QueryMethod,
    /// The agent is of another domain than the signature.
    IdentityOutside,
    /// The field From is not signed.
    FromNotSigned,
    /// It has expired.
    Expired,
    /// It is from the future.
    NotYetValid,
    /// There are more signatures than [`Config::max_signatures`](super::Config::max_signatures).
    TooManySignatures,
    /// The header is larger than [`Config::max_header`](super::Config::max_header).
    HeaderTooLarge,
    /// The name of the key is no domain name.
    KeyName,
    /// The key could not be asked for.
    Dns(Question, Failure),
    /// There is no key.
    NoKey,
    /// The record of the key is no tag list, or without a key.
    KeySyntax,
    /// The record of the key is of another version.
    KeyVersion,
    /// The key was revoked.
    KeyRevoked,
    /// The key is of a type that is not known.
    KeyType,
    /// The key is for another algorithm than the signature's.
    KeyMismatch,
    /// The key is not for SHA-256.
    KeyHash,
    /// The key is not for mail.
    KeyService,
    /// The key is for agents of the domain itself only.
    KeyStrict,
    /// The key cannot be read.
    KeyInvalid,
    /// The RSA key has fewer bits than [`Config::min_rsa_bits`](super::Config::min_rsa_bits).
    KeyTooShort(usize),
    /// The body was changed.
    BodyChanged,
    /// The body is shorter than what was signed of it.
    BodyShorter,
    /// What was signed of the header was changed, or the key is not the one it was signed with.
    HeaderChanged,
    /// So many octets of the body are not signed.
    Partial(u64),
}

impl Reason {
    /// The result it comes to (RFC 8601 §2.7.1).
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Syntax
            | Self::Version
            | Self::MissingTag(_)
            | Self::BadTag(_)
            | Self::Algorithm
            | Self::QueryMethod
            | Self::IdentityOutside
            | Self::TooManySignatures
            | Self::HeaderTooLarge
            | Self::KeyName => Verdict::Neutral,
            Self::FromNotSigned
            | Self::NoKey
            | Self::KeySyntax
            | Self::KeyVersion
            | Self::KeyRevoked
            | Self::KeyType
            | Self::KeyMismatch
            | Self::KeyHash
            | Self::KeyService
            | Self::KeyStrict
            | Self::KeyInvalid => Verdict::PermError,
            Self::Dns(..) => Verdict::TempError,
            Self::Partial(_) => Verdict::Policy,
            Self::Sha1
            | Self::KeyTooShort(_)
            | Self::Expired
            | Self::NotYetValid
            | Self::BodyChanged
            | Self::BodyShorter
            | Self::HeaderChanged => Verdict::Fail,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingTag(tag) => return write!(f, "{tag}= is missing"),
            Self::BadTag(tag) => return write!(f, "{tag}= is malformed"),
            Self::Dns(question, failure) => return write!(f, "{question}: {failure}"),
            Self::KeyTooShort(bits) => return write!(f, "the RSA key has only {bits} bits"),
            Self::Partial(octets) => return write!(f, "{octets} octets of the body are not signed"),
            Self::Syntax => "malformed signature",
            Self::Version => "unknown version",
            Self::Algorithm => "unknown algorithm",
            Self::Sha1 => "rsa-sha1 is obsolete",
            Self::QueryMethod => "unknown query method",
            Self::IdentityOutside => "i= is outside of d=",
            Self::FromNotSigned => "From is not signed",
            Self::Expired => "signature expired",
            Self::NotYetValid => "signed in the future",
            Self::TooManySignatures => "too many signatures",
            Self::HeaderTooLarge => "header too large",
            Self::KeyName => "no valid name of a key",
            Self::NoKey => "no key",
            Self::KeySyntax => "malformed key record",
            Self::KeyVersion => "unknown version of key record",
            Self::KeyRevoked => "key revoked",
            Self::KeyType => "unknown type of key",
            Self::KeyMismatch => "the key is for another algorithm",
            Self::KeyHash => "the key is not for SHA-256",
            Self::KeyService => "the key is not for mail",
            Self::KeyStrict => "the key is not for subdomains",
            Self::KeyInvalid => "the key cannot be read",
            Self::BodyChanged => "body hash did not verify",
            Self::BodyShorter => "the body is shorter than signed",
            Self::HeaderChanged => "signature did not verify",
        })
    }
}

impl core::error::Error for Reason {}
