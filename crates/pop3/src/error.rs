use crate::Reply;
use mailwright_sasl as sasl;
use thiserror::Error;

/// Why a conversation ended before its time. Sticky: an engine that failed keeps failing with the same error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer closed the connection without QUIT. A server keeps all messages (RFC 1939 §6).
    #[error("the peer closed the connection")]
    Closed,
    /// The peer did nothing for too long.
    #[error("timeout {0}")]
    Timeout(Phase),
    /// The client sent more bad commands than [`server::Config::max_errors`](crate::server::Config).
    #[error("too many bad commands")]
    TooManyErrors,
    /// The client failed to log in more often than [`server::Config::max_failures`](crate::server::Config).
    #[error("too many failed logins")]
    TooManyFailures,
    /// The embedder gave up a message in the middle; what was sent of it has no end, and the peer can tell.
    #[error("a message could not be read to its end")]
    MessageAborted,
    /// The embedder asked the server to shut down.
    #[error("shut down")]
    ShutDown,
    /// The server greeted with `-ERR`.
    #[error("the server refuses connections: {0}")]
    Refused(Reply),
    /// The server sent something that is not POP3.
    #[error("the server sent a malformed reply")]
    Malformed,
    /// The server sent a line that is longer than [`client::Config::max_line`](crate::client::Config).
    #[error("the server sent a line that is too long")]
    LineTooLong,
    /// The server sent something when nothing was asked.
    #[error("the server sent a reply that nobody asked for")]
    Unsolicited,
    /// The caller wants to send a password without TLS, and
    /// [`client::Config::allow_plaintext`](crate::client::Config) does not let it.
    #[error("passwords are not sent without TLS")]
    PlaintextRefused,
    /// The caller's user name or password holds a control character, and USER and PASS cannot carry it.
    #[error("the user name or password holds a control character")]
    Unsendable,
    /// The caller wants STLS under TLS.
    #[error("the connection is under TLS already")]
    AlreadyTls,
    /// The caller gives a command behind QUIT, or after the conversation ended.
    #[error("the conversation is over")]
    Finished,
    /// The server cannot be trusted, or the credentials cannot be used with it.
    #[error("login: {0}")]
    Sasl(sasl::Error),
}

/// What an engine was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Phase {
    /// For the client to log in.
    #[error("before login")]
    Login,
    /// For the client's next command, or for it to take what was sent.
    #[error("waiting for the client")]
    Idle,
    /// For the server's reply, or for it to take what was sent.
    #[error("waiting for the server")]
    Reply,
}

impl From<sasl::Error> for Error {
    fn from(error: sasl::Error) -> Self {
        Self::Sasl(error)
    }
}
