//! What a client did (RFC 5321 §4.1)

use crate::etrn::Etrn;
use crate::xclient::Xclient;
use crate::xforward::Xforward;
use crate::{Hello, Lookup, Mail, Rcpt};
use bytes::Bytes;
use mailwright_sasl as sasl;

/// What a client did.
///
/// A *question* owes the client an answer: [`accept`](super::Server::accept) or
/// [`reject`](super::Server::reject), if nothing else is said.
///
/// Every accepted [`Mail`](Event::Mail) is followed by exactly one [`Message`](Event::Message) or
/// [`Aborted`](Event::Aborted), unless DATA is rejected or the session ends before that.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Question: a client connected; greet it? A rejection with a 5xx code is told in place of the greeting,
    /// and further commands are refused until QUIT (RFC 5321 §3.1).
    ///
    /// Asked again when [`Xclient`](Event::Xclient) was accepted, for the client that the proxy named.
    Connect,
    /// Question: the client introduced itself with EHLO, HELO or LHLO. Acceptance resets an open transaction;
    /// rejection leaves everything as it was (RFC 5321 §4.1.4).
    Hello(Hello),
    /// Question, if [`Questions::starttls`](super::Questions::starttls) is set: may the client start TLS? Acceptance
    /// ends an open transaction.
    StartTls,
    /// Question, answered by [`answer_auth`](super::Server::answer_auth): are these credentials right?
    Auth(Box<sasl::Question>),
    /// The client proved who it is. No answer is owed.
    Authenticated(sasl::Identity),
    /// Question: begin a transaction with this sender? A `SIZE` over the limit was refused before.
    Mail(Box<Mail>),
    /// Question: take this recipient? Recipients over the limit were refused before.
    Rcpt(Rcpt),
    /// Question: take the message? At least one recipient was accepted. With CHUNKING it is asked before the
    /// first chunk. Rejection ends the transaction.
    Data,
    /// The next octets of the message, dot-stuffing removed; line ends are CRLF, unless the body is
    /// [`BinaryMime`](crate::BodyType::BinaryMime). No answer is owed; a message can be refused before its end
    /// with [`refuse_message`](super::Server::refuse_message).
    Body(Bytes),
    /// Question: the message is complete; is it taken responsibility for? With LMTP the question stands once
    /// for each accepted recipient, in order (RFC 2033 §4.2): [`owed`](super::Server::owed) says how often.
    Message {
        /// The octets of the message, all [`Body`](Event::Body) events together.
        size: u64,
    },
    /// The transaction is over without a message; whatever was collected of it can be dropped. No answer is
    /// owed.
    Aborted(Aborted),
    /// Question, if [`Questions::vrfy`](super::Questions::vrfy) is set: who is this? `accept` says 252, which tells
    /// nothing; [`accept_with`](super::Server::accept_with) says 250 with the user's name and mailbox.
    Vrfy(Lookup),
    /// Question, if [`Questions::expn`](super::Questions::expn) is set: who is on this list?
    /// [`accept_with`](super::Server::accept_with) says 250 with one member in each line.
    Expn(Lookup),
    /// Question, if [`Questions::help`](super::Questions::help) is set: what can be said about this, if anything is
    /// named? [`accept_with`](super::Server::accept_with) says it.
    Help(String),
    /// Question: begin with the mail that is held for this node? `accept` says 250;
    /// [`accept_reply`](super::Server::accept_reply) can say 251 to 253 (RFC 1985 §5.3).
    Etrn(Etrn),
    /// Question: may this client, a proxy, say for whom it speaks? Acceptance begins the session anew:
    /// [`Connect`](Event::Connect) follows.
    Xclient(Box<Xclient>),
    /// Question: may this client, a filter, say where the next message came from? What it says stands until the
    /// end of the transaction: [`xforward`](super::Server::xforward).
    Xforward(Box<Xforward>),
}

/// Why a transaction ended without a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Aborted {
    /// The client said RSET, introduced itself again, or started TLS.
    Reset,
    /// The message went over [`Limits::message_size`](super::Limits::message_size).
    TooBig,
    /// The message held a bare CR or LF, and [`BareNewlines::Refuse`](super::BareNewlines::Refuse) is set.
    BareNewline,
    /// The message was refused with [`refuse_message`](super::Server::refuse_message).
    Refused,
}
