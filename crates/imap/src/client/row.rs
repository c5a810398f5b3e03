//! What a FETCH response tells of a message (RFC 3501 §7.4.2, RFC 7162, RFC 8474, RFC 8514, RFC 8970)

use crate::data::{BodyStructure, Envelope, Section};
use crate::{DateTime, Flags};
use bytes::Bytes;
use std::num::NonZeroU32;

use super::handle::Handle;

/// One FETCH or UIDFETCH response: what was asked for, or what the server tells of its own accord.
///
/// Body sections are not in it. They come before their row, as [`Event::Section`](super::Event::Section).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The sequence number; 0 in a session without them (UIDONLY, RFC 9586).
    pub seq: u32,
    /// The UID. Servers leave it out where they tell of their own accord.
    pub uid: Option<u32>,
    /// The flags, if they were told.
    pub flags: Option<Flags>,
    /// `\Recent` is among them, which belongs to the session and not to the message.
    pub recent: bool,
    /// What stands among the flags and is none: not an atom, or a backslash with an unknown word.
    pub odd_flags: Vec<Bytes>,
    /// INTERNALDATE
    pub internal_date: Option<DateTime>,
    /// RFC822.SIZE, in octets.
    pub size: Option<u64>,
    /// MODSEQ (RFC 7162).
    pub mod_seq: Option<u64>,
    /// ENVELOPE
    pub envelope: Option<Box<Envelope>>,
    /// BODY or BODYSTRUCTURE
    pub body_structure: Option<BodyStructure>,
    /// SAVEDATE (RFC 8514).
    pub save_date: Option<DateTime>,
    /// EMAILID (RFC 8474).
    pub email_id: Option<Bytes>,
    /// THREADID (RFC 8474).
    pub thread_id: Option<Bytes>,
    /// PREVIEW (RFC 8970).
    pub preview: Option<Bytes>,
    /// BINARY.SIZE: the part's path and its octets when decoded (RFC 3516).
    pub binary_sizes: Vec<(Vec<NonZeroU32>, u64)>,
    /// What the engine does not know or cannot read, as it came. Empty for a server that keeps to the grammar
    /// and was asked for nothing else.
    pub raw: Vec<RawItem>,
}

/// An item of a FETCH response as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawItem {
    /// What it is called.
    pub name: Bytes,
    /// Its value, or all that is left of the response if its end cannot be found. A literal in it keeps its
    /// head; a section that was handed on before is a NUL.
    pub octets: Bytes,
}

/// A body section that follows, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionHead {
    /// The command that asked for it.
    pub handle: Option<Handle>,
    /// The sequence number of the message; 0 in a session without them.
    pub seq: u32,
    /// The UID, if the server told it before the section; if not, it is in the row that follows.
    pub uid: Option<u32>,
    /// Which section, `None` if the name makes no sense.
    pub section: Option<Section>,
    /// What the server calls it.
    pub name: Bytes,
    /// Where it starts, if a piece of the section was asked for.
    pub origin: Option<u64>,
    /// Its transfer encoding was undone (BINARY, RFC 3516).
    pub decoded: bool,
    /// How many octets follow; `None` if there is no such section (NIL).
    pub len: Option<u64>,
}
