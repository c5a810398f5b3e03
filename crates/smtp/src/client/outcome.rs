use crate::{EnhancedCode, Error, Reply, Stage};
use std::fmt;

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What became of each recipient, in the order of the transaction.
    pub deliveries: Vec<Delivery>,
    /// Whether another transaction can follow on this connection. If not, the next
    /// [`poll`](mailwright_wire::Machine::poll) says why.
    pub reusable: bool,
    /// Whether the server took over the DSN parameters of the envelope. If not, they were not sent, and the
    /// `relayed` reports of RFC 3461 §5.2.2 are the caller's to make.
    pub dsn: bool,
}

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is no third outcome
pub enum Delivery {
    /// The server took responsibility for the message with this reply.
    Delivered(Reply),
    /// It did not.
    Failed(Failure),
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
    /// The connection failed before the server decided. After [`Stage::EndOfData`] the message may have
    /// arrived all the same: to send it again may duplicate it, not to may lose it.
    Connection(Error),
}

/// What a message can need of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Requirement {
    /// 8BITMIME: RFC 6152.
    EightBitMime,
    /// SMTPUTF8: RFC 6531.
    SmtpUtf8,
    /// Room for a message of its size: RFC 1870.
    Size,
}

impl Failure {
    /// Whether to try again is of no use: a report should go to the sender.
    pub fn is_permanent(&self) -> bool {
        match &self.cause {
            // RFC 5321 §4.5.3.1.10: 552 to RCPT means too many recipients, as 452 does.
            Cause::Reply(reply) if self.stage == Stage::Rcpt && reply.code() == 552 => false,
            Cause::Reply(reply) => reply.is_permanent(),
            Cause::Unsupported(_) => true,
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
            Cause::Unsupported(Requirement::EightBitMime) => EnhancedCode::new(5, 6, 3),
            Cause::Unsupported(Requirement::SmtpUtf8) => EnhancedCode::new(5, 6, 7),
            Cause::Unsupported(Requirement::Size) => EnhancedCode::new(5, 3, 4),
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
            Cause::Connection(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EightBitMime => "8-bit messages (8BITMIME)",
            Self::SmtpUtf8 => "internationalized addresses (SMTPUTF8)",
            Self::Size => "messages of this size (SIZE)",
        })
    }
}
