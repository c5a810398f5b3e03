use crate::Reply;
use core::fmt;
use mailwright_sasl as sasl;

/// Why a conversation ended before its time. Sticky: an engine that failed keeps failing with the same error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer closed the connection without QUIT. A server keeps all messages (RFC 1939 §6).
    Closed,
    /// The peer did nothing for too long.
    Timeout(Phase),
    /// The client sent more bad commands than [`server::Config::max_errors`](crate::server::Config).
    TooManyErrors,
    /// The client failed to log in more often than [`server::Config::max_failures`](crate::server::Config).
    TooManyFailures,
    /// The embedder gave up a message in the middle; what was sent of it has no end, and the peer can tell.
    MessageAborted,
    /// The embedder asked the server to shut down.
    ShutDown,
    /// The server greeted with `-ERR`.
    Refused(Reply),
    /// The server sent something that is not POP3.
    Malformed,
    /// The server sent a line that is longer than [`client::Config::max_line`](crate::client::Config).
    LineTooLong,
    /// The server sent something when nothing was asked.
    Unsolicited,
    /// The caller wants to send a password without TLS, and
    /// [`client::Config::allow_plaintext`](crate::client::Config) does not let it.
    PlaintextRefused,
    /// The caller's user name, password or language range holds what a command line cannot carry.
    Unsendable,
    /// The caller wants APOP, and the greeting had no timestamp for it.
    #[cfg(feature = "apop")]
    NoTimestamp,
    /// The caller wants STLS under TLS.
    AlreadyTls,
    /// The caller gives a command behind QUIT, or after the conversation ended.
    Finished,
    /// The server cannot be trusted, or the credentials cannot be used with it.
    Sasl(sasl::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Timeout(what) => write!(f, "timeout {what}"),
            Self::TooManyErrors => f.write_str("too many bad commands"),
            Self::TooManyFailures => f.write_str("too many failed logins"),
            Self::MessageAborted => f.write_str("a message could not be read to its end"),
            Self::ShutDown => f.write_str("shut down"),
            Self::Refused(what) => write!(f, "the server refuses connections: {what}"),
            Self::Malformed => f.write_str("the server sent a malformed reply"),
            Self::LineTooLong => f.write_str("the server sent a line that is too long"),
            Self::Unsolicited => f.write_str("the server sent a reply that nobody asked for"),
            Self::PlaintextRefused => f.write_str("passwords are not sent without TLS"),
            Self::Unsendable => f.write_str("an argument holds what a command line cannot carry"),
            #[cfg(feature = "apop")]
            Self::NoTimestamp => f.write_str("the server does not offer APOP"),
            Self::AlreadyTls => f.write_str("the connection is under TLS already"),
            Self::Finished => f.write_str("the conversation is over"),
            Self::Sasl(what) => write!(f, "login: {what}"),
        }
    }
}

impl core::error::Error for Error {}

/// What an engine was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// For the client to log in.
    Login,
    /// For the client's next command, or for it to take what was sent.
    Idle,
    /// For the server's reply, or for it to take what was sent.
    Reply,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "before login",
            Self::Idle => "waiting for the client",
            Self::Reply => "waiting for the server",
        })
    }
}

impl core::error::Error for Phase {}

impl From<sasl::Error> for Error {
    fn from(error: sasl::Error) -> Self {
        Self::Sasl(error)
    }
}
