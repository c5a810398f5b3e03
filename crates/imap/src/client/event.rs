//! What a client engine reports (RFC 3501 §7)

use super::Capabilities;
use super::cache::Resynced;
use super::data::Data;
use super::error::Unsent;
use super::handle::Handle;
use super::reply::Reply;
use super::row::SectionHead;
use bytes::Bytes;

/// What a server said. Only [`Upload`](Event::Upload) owes an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server is there: OK, or PREAUTH if we are logged in already.
    Greeting(Reply),
    /// What the server can do. Comes whenever it says so.
    Capabilities(Capabilities),
    /// Data, with the command that it answers; `None` if it answers none, as far as can be told.
    Data(Option<Handle>, Data),
    /// A body section begins; [`SectionData`](Event::SectionData) and [`SectionEnd`](Event::SectionEnd) follow,
    /// and the row it belongs to comes behind its last section.
    Section(SectionHead),
    /// The next octets of the section.
    SectionData(Bytes),
    /// The section is complete.
    SectionEnd,
    /// The server is ready for a message of APPEND: the engine asks for its octets. Give them with
    /// [`Client::upload`](super::Client::upload), or [`abort`](super::Client::abort).
    Upload {
        /// The command.
        handle: Handle,
        /// Which of its messages, from 0.
        message: usize,
    },
    /// The server has taken the IDLE: from here on it tells what happens as it happens.
    Idling(Handle),
    /// OK: the command is done, and all its data was told before.
    Done(Handle, Reply),
    /// NO or BAD: the server refused the command. What it told before stays true.
    Refused(Handle, Reply),
    /// The command was not sent.
    Unsent(Handle, Unsent),
    /// What [`Client::resync`](super::Client::resync) came to; it is done.
    Resynced(Handle, Box<Resynced>),
    /// An untagged OK, NO or BAD: warnings, alerts, progress.
    Notice(Reply),
    /// The server is about to close the connection.
    Bye(Reply),
}
