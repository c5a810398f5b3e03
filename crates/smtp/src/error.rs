//! Why a conversation ends early, and what the peer is told of it (RFC 5321 §3.8)

use crate::{CommandError, EnhancedCode, Reply};
use std::fmt;

/// Why a conversation ended early.
///
/// Errors are final: the machine returns the same one from every later poll. The farewell that belongs to it
/// (RFC 5321 §3.8) was handed out before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer does not keep to the protocol.
    Protocol(Stage, Violation),
    /// The peer went over a limit of the configuration.
    Limit(Limit),
    /// The peer was silent, or did not read, for too long.
    Timeout(Stage),
    /// The connection ended without the goodbye of the protocol.
    Closed(Stage),
    /// The server refused something without which the session is of no use.
    Refused(Stage, Reply),
    /// The server closes the connection (421), now or in the middle of something.
    ServiceClosing(Stage, Reply),
    /// The configuration demands TLS, and the server does not offer it.
    TlsNotOffered,
    /// The caller does not trust the server's certificate.
    PeerNotTrusted,
    /// The configuration demands authentication, and the server offers no mechanism that may be used.
    AuthNotOffered,
    /// The exchange of AUTH went wrong on the server's side: it failed to prove that it knows the password
    /// (RFC 5802 §3), or its challenge makes no sense. Or the caller's credentials cannot be sent.
    Auth(mailwright_sasl::Error),
    /// The caller could not go on with a body; the connection cannot be used further.
    BodyAborted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(stage, what) => write!(f, "the peer broke the protocol at {stage}: {what}"),
            Self::Limit(what) => write!(f, "the peer exceeded the limit of {what}"),
            Self::Timeout(what) => write!(f, "the peer let the time for {what} run out"),
            Self::Closed(what) => write!(f, "the connection was closed at {what}"),
            Self::Refused(stage, what) => write!(f, "refused at {stage}: {what}"),
            Self::ServiceClosing(stage, what) => write!(f, "the server ends the service at {stage}: {what}"),
            Self::TlsNotOffered => f.write_str("the server does not offer TLS, which is required"),
            Self::PeerNotTrusted => f.write_str("the server's certificate will not do"),
            Self::AuthNotOffered => f.write_str("the server offers no usable way to authenticate"),
            Self::Auth(what) => write!(f, "authentication failed: {what}"),
            Self::BodyAborted => f.write_str("the caller gave the body up"),
        }
    }
}

impl core::error::Error for Error {}

impl Error {
    /// For a client: whether the same attempt may succeed at another time.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(_, reply) => !reply.is_permanent(),
            Self::Auth(_) | Self::AuthNotOffered => false,
            // A server without TLS today may be a certificate that is being replaced.
            Self::TlsNotOffered
            | Self::PeerNotTrusted
            | Self::Protocol(..)
            | Self::Limit(_)
            | Self::Timeout(_)
            | Self::Closed(_)
            | Self::ServiceClosing(..)
            | Self::BodyAborted => true,
        }
    }

    /// Where in the session it happened, if that is known.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Protocol(stage, _)
            | Self::Timeout(stage)
            | Self::Closed(stage)
            | Self::Refused(stage, _)
            | Self::ServiceClosing(stage, _) => Some(*stage),
            _ => None,
        }
    }

    /// For a server: what the peer is told before the connection ends; `None` if it cannot hear it.
    pub(crate) fn farewell(&self) -> Option<Reply> {
        let (code, text) = match self {
            Self::Timeout(_) => (EnhancedCode::new(4, 4, 2), "Timeout, closing connection"),
            Self::Limit(Limit::Errors) => (EnhancedCode::new(4, 7, 0), "Too many errors, closing connection"),
            Self::Limit(Limit::AuthFailures) => (
                EnhancedCode::new(4, 7, 0),
                "Too many failed logins, closing connection",
            ),
            Self::Limit(Limit::RefusedRecipients) => (
                EnhancedCode::new(4, 7, 0),
                "Too many unknown recipients, closing connection",
            ),
            Self::Limit(Limit::Transactions) => (
                EnhancedCode::new(4, 7, 0),
                "Too many messages in one session, closing connection",
            ),
            Self::Limit(_) => (
                EnhancedCode::new(4, 7, 0),
                "Too many commands, closing connection",
            ),
            // Where its chunk ends is not known: what follows cannot be told from commands.
            Self::Protocol(_, Violation::ChunkSize) => return Some(CommandError::Chunk.reply()),
            Self::Protocol(_, Violation::OtherProtocol) => (
                EnhancedCode::new(4, 7, 0),
                "This is a mail server, closing connection",
            ),
            _ => return None,
        };
        Some(Reply::fixed(421, code, text))
    }
}

/// How a peer broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// It speaks another protocol, such as HTTP.
    OtherProtocol,
    /// What should be a reply is none, or its lines have different codes.
    MalformedReply,
    /// A reply that makes no sense here, such as 354 to RCPT.
    UnexpectedReply,
    /// A reply that nothing was asked for.
    Unsolicited,
    /// BDAT with a size that is no number, or one that no message can have: 2^63 and above.
    ChunkSize,
    /// What stands at the start of the connection is no PROXY header.
    ProxyHeader,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherProtocol => "it speaks another protocol",
            Self::MalformedReply => "malformed reply",
            Self::UnexpectedReply => "a reply that makes no sense here",
            Self::Unsolicited => "it spoke without being asked",
            Self::ChunkSize => "malformed chunk size",
            Self::ProxyHeader => "malformed PROXY header",
        })
    }
}

/// A limit of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Commands with errors in one session.
    Errors,
    /// Recipients that were refused for good in one session.
    RefusedRecipients,
    /// Commands without a message in between.
    Commands,
    /// Transactions in one session.
    Transactions,
    /// Failed logins in one session.
    AuthFailures,
    /// Octets in a line of a reply, or lines in a reply.
    ReplySize,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Errors => "errors",
            Self::RefusedRecipients => "refused recipients",
            Self::Commands => "commands without a message",
            Self::Transactions => "transactions",
            Self::AuthFailures => "failed logins",
            Self::ReplySize => "reply size",
        })
    }
}

/// Where in a session something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before and during the greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH and its exchange.
    Auth,
    /// XCLIENT.
    Xclient,
    /// Between transactions.
    Idle,
    /// A command that is no transaction, such as VRFY.
    Query,
    /// RSET.
    Reset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before the 354.
    Data,
    /// The message itself.
    Body,
    /// After the end of the message, before its reply.
    EndOfData,
    /// QUIT.
    Quit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Xclient => "XCLIENT",
            Self::Idle => "the next command",
            Self::Query => "a query",
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Body => "the message",
            Self::EndOfData => "the end of the message",
            Self::Quit => "QUIT",
        })
    }
}
