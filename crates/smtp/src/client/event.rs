//! What a client asks its caller, and tells it

use super::Outcome;
use crate::{BodyType, Reply};
use bytes::Bytes;

/// What a client asks its caller, and tells it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Question, answered by [`trust`](super::Client::trust) or [`distrust`](super::Client::distrust): will this
    /// server do? Asked with [`StartTls::Verified`](super::StartTls::Verified), before anything is said under TLS.
    Certificate(Certificate),
    /// Question, answered by [`send`](super::Client::send), [`ask`](super::Client::ask),
    /// [`quit`](super::Client::quit) or [`park`](super::Client::park): the session is set up. What shall be sent?
    Ready,
    /// Question, answered by [`converted`](super::Client::converted) or
    /// [`not_converted`](super::Client::not_converted): the server does not take the message as it is. Can it be
    /// had in this form (RFC 6152 §3, RFC 3030 §3)? Asked for transactions that are
    /// [`convertible`](super::Transaction::convertible).
    Convert(BodyType),
    /// Question, answered by [`body`](super::Client::body) any number of times, then
    /// [`body_end`](super::Client::body_end) or [`body_abort`](super::Client::body_abort): the server wants the
    /// message. If [`Finished`](Event::Finished) comes before the end, no more is wanted.
    BodyWanted,
    /// The reply to what [`ask`](super::Client::ask) asked, whether yes or no. It is the question of
    /// [`Ready`](Event::Ready) again, too.
    Answered(Reply),
    /// A transaction is over. Unless [`Outcome::connection`] is dead this is the question of
    /// [`Ready`](Event::Ready) again; otherwise no answer is owed, and the next poll returns the error.
    Finished(Outcome),
}

/// What the caller found out about a server in the handshake of TLS, for whoever decides if it will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Certificate {
    /// Whether the chain leads to an authority that the caller trusts, and the certificate is valid at this time.
    pub chain_verified: bool,
    /// The names of the certificate: of its subject alternative names of type DNS, as they were written.
    pub names: Vec<String>,
    /// The certificate itself, DER, for checks such as DANE's (RFC 7672); empty if the caller does not say.
    pub der: Bytes,
}
