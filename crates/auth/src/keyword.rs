//! The words of the registries (RFC 8601 §2.7, §6)

use std::borrow::Cow;
use std::fmt;

/// A method, a property type, or a property: letters, digits, `-` and `_`. Case does not matter.
#[derive(Debug, Clone, Eq)]
pub struct Keyword(Cow<'static, str>);

impl Keyword {
    /// SMTP authentication: RFC 8601 §2.7.4.
    pub const AUTH: Self = Self(Cow::Borrowed("auth"));
    /// The reverse DNS entry of the peer: RFC 8601 §2.7.3.
    pub const IPREV: Self = Self(Cow::Borrowed("iprev"));
    /// SPF: RFC 8601 §2.7.2.
    pub const SPF: Self = Self(Cow::Borrowed("spf"));
    /// DKIM: RFC 8601 §2.7.1.
    pub const DKIM: Self = Self(Cow::Borrowed("dkim"));
    /// DMARC: RFC 7489 §11.2.
    pub const DMARC: Self = Self(Cow::Borrowed("dmarc"));
    /// ARC: RFC 8617 §10.1.
    pub const ARC: Self = Self(Cow::Borrowed("arc"));

    /// Property type: a parameter of an SMTP command.
    pub const SMTP: Self = Self(Cow::Borrowed("smtp"));
    /// Property type: a field of the header.
    pub const HEADER: Self = Self(Cow::Borrowed("header"));
    /// Property type: the body.
    pub const BODY: Self = Self(Cow::Borrowed("body"));
    /// Property type: a decision or finding of the server (RFC 8601 §2.4).
    pub const POLICY: Self = Self(Cow::Borrowed("policy"));

    /// Property: the sender of the envelope.
    pub const MAILFROM: Self = Self(Cow::Borrowed("mailfrom"));
    /// Property: the field From.
    pub const FROM: Self = Self(Cow::Borrowed("from"));
    /// Property: the domain of a signature.
    pub const D: Self = Self(Cow::Borrowed("d"));
    /// Property: the agent of a signature.
    pub const I: Self = Self(Cow::Borrowed("i"));
    /// Property: the selector of a signature.
    pub const S: Self = Self(Cow::Borrowed("s"));
    /// Property: the algorithm of a signature.
    pub const A: Self = Self(Cow::Borrowed("a"));
    /// Property: the first characters of a signature (RFC 6008).
    pub const B: Self = Self(Cow::Borrowed("b"));
    /// Property: the name in HELO or EHLO.
    pub const HELO: Self = Self(Cow::Borrowed("helo"));

    /// The longest keyword, in octets. No registered one comes near; a longer one would not fit a line with its value
    /// (RFC 5322 §2.1.1).
    pub const MAX_LEN: usize = 64;

    /// Makes a keyword; `None` if it is empty, longer than [`MAX_LEN`](Self::MAX_LEN) or holds other characters.
    pub fn new(word: &str) -> Option<Self> {
        let valid = (1..=Self::MAX_LEN).contains(&word.len()) && word.bytes().all(is_keyword);
        valid.then(|| Self(Cow::Owned(word.to_owned())))
    }

    /// The keyword as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn is_keyword(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a method came to (RFC 8601 §2.7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// There was nothing to check.
    None,
    /// It is right.
    Pass,
    /// It is wrong.
    Fail,
    /// It is probably wrong (SPF).
    SoftFail,
    /// It is right or wrong, but not in a way this server accepts.
    Policy,
    /// Nothing can be said.
    Neutral,
    /// It could not be checked, and may be another time.
    TempError,
    /// It cannot be checked.
    PermError,
    /// Another word of the registry.
    Other(Keyword),
}

impl Verdict {
    const KNOWN: [Self; 8] = [
        Self::None,
        Self::Pass,
        Self::Fail,
        Self::SoftFail,
        Self::Policy,
        Self::Neutral,
        Self::TempError,
        Self::PermError,
    ];

    /// The verdict with this name, in any case.
    pub fn new(word: &str) -> Option<Self> {
        let known = Self::KNOWN.iter().find(|v| v.as_str().eq_ignore_ascii_case(word));
        match known {
            Some(known) => Some(known.clone()),
            None => Keyword::new(word).map(Self::Other),
        }
    }

    /// The word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
            Self::Other(word) => word.as_str(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
