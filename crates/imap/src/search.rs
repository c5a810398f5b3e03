//! What SEARCH asks for, resolved and decoded (RFC 3501 §6.4.4)

use crate::{Date, Flag, ObjectId, UidSet};

/// A search criterion over messages. The thirty-odd search keys come down to these.
///
/// Strings are compared as substrings without regard to case, decoded from MIME.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Criterion {
    /// Every message.
    All,
    /// Messages with one of these UIDs. Sequence numbers, `*` and `\Recent` have been resolved to this. Some of
    /// the UIDs may not exist.
    Uids(UidSet),
    /// Messages that have the flag.
    Flag(Flag),
    /// INTERNALDATE is before the day, without regard to time and zone.
    Before(Date),
    /// INTERNALDATE is on the day.
    On(Date),
    /// INTERNALDATE is on the day or later.
    Since(Date),
    /// The Date field is before the day, without regard to time and zone.
    SentBefore(Date),
    /// The Date field is on the day.
    SentOn(Date),
    /// The Date field is on the day or later.
    SentSince(Date),
    /// RFC822.SIZE is larger than this.
    Larger(u64),
    /// RFC822.SIZE is smaller than this.
    Smaller(u64),
    /// A header field with this name contains the string; an empty string matches any such field.
    /// For From, To, Cc and Bcc the addresses are meant.
    Header {
        /// The field's name.
        name: String,
        /// The substring.
        value: String,
    },
    /// The body contains the string.
    Body(String),
    /// Header or body contain the string.
    Text(String),
    /// The mod-sequence is this or higher (RFC 7162 §3.1.5).
    ModSeq(u64),
    /// INTERNALDATE is within this many seconds of the moment (RFC 5032).
    Younger(u32),
    /// INTERNALDATE is this many seconds in the past, or more (RFC 5032).
    Older(u32),
    /// The message has this EMAILID (RFC 8474).
    EmailId(ObjectId),
    /// The message has this THREADID (RFC 8474).
    ThreadId(ObjectId),
    /// The message was saved in the mailbox before the day (RFC 8514). Where there is no such date,
    /// INTERNALDATE is meant.
    SavedBefore(Date),
    /// The message was saved in the mailbox on the day.
    SavedOn(Date),
    /// The message was saved in the mailbox on the day or later.
    SavedSince(Date),
    /// The mailbox keeps the dates of saving (RFC 8514): all messages, or none.
    SaveDateSupported,
    /// The criterion does not hold.
    Not(Box<Self>),
    /// One of the two holds.
    Or(Box<Self>, Box<Self>),
    /// All hold.
    And(Vec<Self>),
}
