//! Status lines and response codes (RFC 1939 §3, RFC 2449 §8, RFC 3206)

use core::fmt;
use mailwright_wire::SendBuf;
use std::borrow::Cow;

/// Why a command was refused, for programs: RFC 2449 §8 and RFC 3206.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseCode {
    /// `IN-USE`: another session has the maildrop (RFC 2449 §8.1.2).
    InUse,
    /// `LOGIN-DELAY`: the user logged in too recently (RFC 2449 §8.1.1).
    LoginDelay,
    /// `SYS/TEMP`: the server's fault, try again later (RFC 3206 §4).
    SysTemp,
    /// `SYS/PERM`: the server's fault, and only its operator can help (RFC 3206 §4).
    SysPerm,
    /// `AUTH`: the credentials are at fault (RFC 3206 §5).
    Auth,
}

impl ResponseCode {
    const ALL: [Self; 5] = [
        Self::InUse,
        Self::LoginDelay,
        Self::SysTemp,
        Self::SysPerm,
        Self::Auth,
    ];

    /// The code as it stands between the brackets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|c| c.as_str().eq_ignore_ascii_case(name))
    }
}

/// A refusal by the embedder of a server: `-ERR [CODE] text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    code: Option<ResponseCode>,
    text: Cow<'static, str>,
}

impl Rejection {
    /// Another session has the maildrop open (RFC 1939 §4, RFC 2449 §8.1.2).
    pub const IN_USE: Self = Self::fixed(
        Some(ResponseCode::InUse),
        "another session has this maildrop open",
    );
    /// Something is wrong here that is likely to pass.
    pub const UNAVAILABLE: Self = Self::fixed(Some(ResponseCode::SysTemp), "temporarily unavailable");
    /// The message cannot be given, though it is listed.
    pub const NO_SUCH_MESSAGE: Self = Self::fixed(None, "no such message");

    /// Makes a refusal. What does not fit on one line of printable ASCII is made to: other characters
    /// become `?`, and the end is cut off.
    pub fn new(code: Option<ResponseCode>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    const fn fixed(code: Option<ResponseCode>, text: &'static str) -> Self {
        Self {
            code,
            text: Cow::Borrowed(text),
        }
    }

    pub(crate) fn put(&self, tx: &mut SendBuf) {
        put_err(tx, self.code, &self.text);
    }
}

/// A status line that a server sent: what stands behind `+OK` or `-ERR`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The response code, if it is one that is known here; another one is left in the text.
    pub code: Option<ResponseCode>,
    /// The text for people, as the server sent it but for control characters and what is not UTF-8, which
    /// are replaced.
    pub text: String,
}

impl Reply {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let printable = |c: char| if c.is_control() { '?' } else { c };
        let text: String = String::from_utf8_lossy(text)
            .trim()
            .chars()
            .map(printable)
            .collect();
        let coded = text.strip_prefix('[').and_then(|t| t.split_once(']'));
        match coded.and_then(|(name, rest)| Some((ResponseCode::from_name(name)?, rest))) {
            Some((code, rest)) => Self {
                code: Some(code),
                text: rest.trim_start().to_owned(),
            },
            None => Self { code: None, text },
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "[{}] {}", code.as_str(), self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// `+OK text`
pub(crate) fn put_ok(tx: &mut SendBuf, text: &str) {
    tx.put(b"+OK ");
    put_text(tx, text);
}

/// `-ERR [CODE] text`
pub(crate) fn put_err(tx: &mut SendBuf, code: Option<ResponseCode>, text: &str) {
    tx.put(b"-ERR ");
    if let Some(code) = code {
        tx.put(b"[");
        tx.put(code.as_str().as_bytes());
        tx.put(b"] ");
    }
    put_text(tx, text);
}

/// Puts what is left of a line. Texts of the embedder must not be able to break the line or its limit.
pub(crate) fn put_text(tx: &mut SendBuf, text: &str) {
    for c in text.chars().take(MAX_TEXT) {
        tx.put(&[if matches!(c, ' '..='~') { c as u8 } else { b'?' }]);
    }
    tx.put(b"\r\n");
}

/// RFC 1939 §3: status lines have at most 512 octets, with all that stands around the text.
const MAX_TEXT: usize = 480;
