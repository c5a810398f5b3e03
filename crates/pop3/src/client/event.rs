use super::Capabilities;
use crate::Reply;
use bytes::Bytes;

/// What a server said. Nothing here owes an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server is there.
    Greeting(Reply),
    /// What the server can do.
    Capabilities(Capabilities),
    /// How much is in the maildrop.
    Stat {
        /// How many messages.
        messages: u32,
        /// Their size, as the server counts it.
        octets: u64,
    },
    /// The size of a message.
    Size {
        /// The number of the message, counted from 1.
        message: u32,
        /// Its size, as the server counts it.
        octets: u64,
    },
    /// The unique id of a message, which stays its own over sessions.
    UniqueId {
        /// The number of the message, counted from 1.
        message: u32,
        /// The unique id; any characters without line break, as the server sent it.
        uid: String,
    },
    /// A language that the server speaks.
    Language {
        /// Its tag (RFC 5646), for [`Command::Lang`](super::Command::Lang).
        tag: String,
        /// Its name in itself; empty if the server does not say.
        name: String,
    },
    /// A row of a listing that makes no sense, such as a unique id that is missing, as the server sent it. The
    /// message it stands for can be fetched nevertheless.
    OddRow(Bytes),
    /// The next octets of the message, with the dot-stuffing removed and all else as the server sent it.
    Body(Bytes),
    /// The oldest command that was open is done; all that it gives was told before.
    Done(Reply),
    /// The server refused the oldest command that was open.
    Refused(Reply),
}
