//! What ends a conversation, and why a command was not sent

use super::reply::Reply;
use core::fmt;
use mailwright_sasl as sasl;

/// Why a conversation ended before its time. Sticky: an engine that failed keeps failing with the same error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server closed the connection while answers were due.
    Closed,
    /// The server said nothing, or took nothing, for too long.
    Timeout,
    /// The server greeted with BYE.
    Refused(Reply),
    /// The server greeted with something that is not IMAP.
    NotImap,
    /// A literal was not as long as announced: nothing behind it can be trusted.
    OutOfStep,
    /// The server greeted with PREAUTH in the clear, so that STARTTLS cannot be asked for.
    PreauthInClear,
    /// The server cannot be trusted: it announced success before it proved itself.
    Sasl(sasl::Error),
    /// What the server sent is no DEFLATE stream, which it has agreed to.
    Compression,
    /// The caller gave up in the middle of a message.
    CutShort,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Timeout => f.write_str("timeout waiting for the server"),
            Self::Refused(what) => write!(f, "the server refuses connections: {what}"),
            Self::NotImap => f.write_str("the server does not speak IMAP"),
            Self::OutOfStep => f.write_str("the server sent a literal of another length than it announced"),
            Self::PreauthInClear => f.write_str("the server takes us as logged in without TLS"),
            Self::Sasl(what) => write!(f, "login: {what}"),
            Self::Compression => f.write_str("the server's compressed stream is corrupt"),
            Self::CutShort => f.write_str("a message was cut short"),
        }
    }
}

impl core::error::Error for Error {}

/// Why a command was not sent. The conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsent {
    /// The server does not have this capability.
    Missing(&'static str),
    /// Passwords are not sent without TLS: see [`Config::allow_plaintext`](super::Config::allow_plaintext).
    PlaintextRefused,
    /// The connection is under TLS already.
    AlreadyTls,
    /// The connection is compressed already.
    AlreadyCompressed,
    /// The server offers no way to log in that fits the credentials.
    NoMechanism,
    /// The credentials cannot be used with the mechanism.
    Sasl(sasl::Error),
    /// The command names no message.
    NoMessages,
    /// It stood behind LOGOUT, or the conversation ended before its turn came.
    Finished,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "the server does not have {what}"),
            Self::PlaintextRefused => f.write_str("passwords are not sent without TLS"),
            Self::AlreadyTls => f.write_str("the connection is under TLS already"),
            Self::AlreadyCompressed => f.write_str("the connection is compressed already"),
            Self::NoMechanism => f.write_str("the server offers no way to log in that fits the credentials"),
            Self::Sasl(what) => write!(f, "login: {what}"),
            Self::NoMessages => f.write_str("no messages are named"),
            Self::Finished => f.write_str("the conversation is over"),
        }
    }
}

impl core::error::Error for Unsent {}
