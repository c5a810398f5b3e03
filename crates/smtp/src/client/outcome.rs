//! What became of a transaction, for each recipient (RFC 5321 §4.2.5, RFC 3463)

use crate::{EnhancedCode, Error, Reply, Stage};
use std::fmt;

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What became of each recipient, in the order of the transaction.
    pub deliveries: Vec<Delivery>,
    /// What the connection is good for.
    pub connection: Connection,
    /// Whether the server took over the DSN parameters of the envelope. If not, they were not sent, and the
    /// `relayed` reports of RFC 3461 §5.2.2 are the caller's to make.
    pub dsn: bool,
    /// Whether the server took over the time of DELIVERBY. If not and there was one, the `relayed` reports of
    /// RFC 2852 §4.1.4.2 are the caller's to make.
    pub deliver_by: bool,
}

impl Outcome {
    /// Whether another transaction can follow on this connection.
    pub fn is_reusable(&self) -> bool {
        matches!(self.connection, Connection::Reusable | Connection::MustReset)
    }
}

/// What a connection is good for after a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Connection {
    /// Another transaction can follow.
    Reusable,
    /// Another transaction can follow; the client sends RSET before it.
    MustReset,
    /// The server takes no more transactions (LIMITS MAILMAX, RFC 9422 §4.1); quit and connect again.
    Spent,
    /// None. The next [`poll`](mailwright_wire::Machine::poll) says why.
    Dead,
}

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The server took responsibility for the message with this reply.
    Delivered(Reply),
    /// It did not.
    Failed(Failure),
    /// The whole message was sent, and the connection failed before the server answered: it may have arrived
    /// or not. To send it again may duplicate it, not to may lose it (RFC 1047).
    Unknown(Failure),
    /// Nothing was sent for this recipient, because the server said that it would be too much. It belongs into
    /// another transaction.
    NotTried(NotTried),
}

/// Which limit of a server kept a recipient out of a transaction (RFC 9422 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotTried {
    /// `MAILMAX`: transactions in a session. Another connection has to be made.
    Transactions,
    /// `RCPTMAX`: recipients in a transaction.
    Recipients,
    /// `RCPTDOMAINMAX`: domains among the recipients of a transaction.
    Domains,
}

/// Why a recipient does not get the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Where it failed.
    pub stage: Stage,
    /// Why.
    pub cause: Cause,
}

/// The cause of a [`Failure`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The server said no.
    Reply(Reply),
    /// The server lacks what the message needs; it was not asked.
    Unsupported(Requirement),
    /// The message holds a bare CR or LF, which the configuration forbids to mend.
    BareNewline,
    /// The connection failed before the server decided.
    Connection(Error),
}

/// What a message can need of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Requirement {
    /// 8BITMIME: RFC 6152.
    EightBitMime,
    /// BINARYMIME and CHUNKING: RFC 3030.
    BinaryMime,
    /// SMTPUTF8: RFC 6531.
    SmtpUtf8,
    /// Room for a message of its size: RFC 1870.
    Size,
    /// DELIVERBY, within the time that is left: RFC 2852.
    DeliverBy,
    /// FUTURERELEASE, as late as the message asks for: RFC 4865.
    FutureRelease,
    /// REQUIRETLS, on an encrypted connection: RFC 8689.
    RequireTls,
}

impl Failure {
    /// Whether to try again is of no use: a report should go to the sender.
    pub fn is_permanent(&self) -> bool {
        match &self.cause {
            // RFC 5321 §4.5.3.1.10: 552 to RCPT means too many recipients, as 452 does.
            Cause::Reply(reply) if self.stage == Stage::Rcpt && reply.code() == 552 => false,
            Cause::Reply(reply) => reply.is_permanent(),
            Cause::Unsupported(_) | Cause::BareNewline => true,
            Cause::Connection(error) => !error.is_temporary(),
        }
    }

    /// The reply of the server, if that is the cause.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.cause {
            Cause::Reply(reply) => Some(reply),
            Cause::Connection(Error::Refused(_, reply) | Error::ServiceClosing(_, reply)) => Some(reply),
            _ => None,
        }
    }

    /// The status for a report (RFC 3463): the server's own, or the one that fits best.
    pub fn status(&self) -> EnhancedCode {
        let class = if self.is_permanent() { 5 } else { 4 };
        match &self.cause {
            Cause::BareNewline => EnhancedCode::new(5, 6, 0),
            Cause::Unsupported(Requirement::EightBitMime | Requirement::BinaryMime) => {
                EnhancedCode::new(5, 6, 3)
            }
            Cause::Unsupported(Requirement::SmtpUtf8) => EnhancedCode::new(5, 6, 7),
            Cause::Unsupported(Requirement::Size) => EnhancedCode::new(5, 3, 4),
            // RFC 2852 §4.1.2: it cannot be delivered in time.
            Cause::Unsupported(Requirement::DeliverBy) => EnhancedCode::new(5, 4, 7),
            Cause::Unsupported(Requirement::FutureRelease) => EnhancedCode::new(5, 3, 3),
            Cause::Unsupported(Requirement::RequireTls) => EnhancedCode::new(5, 7, 30),
            Cause::Reply(_) | Cause::Connection(_) => {
                let stated = self.reply().and_then(Reply::enhanced);
                let fallback = match &self.cause {
                    Cause::Connection(_) => EnhancedCode::new(class, 4, 2),
                    _ => EnhancedCode::new(class, 0, 0),
                };
                stated.filter(|code| code.class() == class).unwrap_or(fallback)
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Reply(reply) => write!(f, "refused at {}: {reply}", self.stage),
            Cause::Unsupported(what) => write!(f, "the server does not support {what}"),
            Cause::BareNewline => f.write_str("the message holds a bare CR or LF"),
            Cause::Connection(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EightBitMime => "8-bit messages (8BITMIME)",
            Self::BinaryMime => "binary messages (BINARYMIME)",
            Self::SmtpUtf8 => "internationalized addresses (SMTPUTF8)",
            Self::Size => "messages of this size (SIZE)",
            Self::DeliverBy => "delivery within the time that is left (DELIVERBY)",
            Self::FutureRelease => "holding messages this long (FUTURERELEASE)",
            Self::RequireTls => "verified TLS all the way (REQUIRETLS)",
        })
    }
}
