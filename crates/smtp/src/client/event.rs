//! What a client asks its caller, and tells it

use super::Outcome;

/// What a client asks its caller, and tells it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Question, answered by [`send`](Client::send), [`quit`](Client::quit) or [`park`](Client::park): the
    /// session is set up. What shall be sent?
    Ready,
    /// Question, answered by [`body`](Client::body) any number of times, then [`body_end`](Client::body_end)
    /// or [`body_abort`](Client::body_abort): the server wants the message.
    BodyWanted,
    /// A transaction is over. If its [`Outcome::reusable`] is set this is the question of
    /// [`Ready`](Event::Ready) again; otherwise no answer is owed, and the next poll returns the error.
    Finished(Outcome),
}
