//! Status responses and their codes (RFC 3501 §7.1, RFC 4315, RFC 5530, RFC 7162)

use super::Capabilities;
use crate::{Code, Flags, UidSet};
use bytes::Bytes;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// A status response: OK, NO, BAD, BYE or PREAUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Which of them.
    pub kind: ReplyKind,
    /// What stands in brackets.
    pub code: Option<ReplyCode>,
    /// The text for people. It comes from the server: escape it before a terminal sees it.
    pub text: String,
}

impl Reply {
    /// The refusal that the code names, if it names one.
    pub fn refusal(&self) -> Option<Code> {
        match self.code {
            Some(ReplyCode::Refusal(code)) => Some(code),
            _ => None,
        }
    }

    /// Whether the text must be shown to the user.
    pub fn is_alert(&self) -> bool {
        self.refusal() == Some(Code::Alert)
    }
}

/// The text, with what is not printable escaped.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c.is_control() {
                true => c.escape_default().fmt(f)?,
                false => c.fmt(f)?,
            }
        }
        Ok(())
    }
}

/// The word a status response starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the grammar's five
pub enum ReplyKind {
    /// OK
    Ok,
    /// NO
    No,
    /// BAD
    Bad,
    /// BYE
    Bye,
    /// PREAUTH
    Preauth,
}

/// A response code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyCode {
    /// Why something was refused, and ALERT.
    Refusal(Code),
    /// What the server can do.
    Capability(Capabilities),
    /// Flags that can be changed for good, and whether new keywords can be made.
    PermanentFlags(Flags, bool),
    /// The mailbox is selected read-only.
    ReadOnly,
    /// The mailbox is selected read-write.
    ReadWrite,
    /// The next UID.
    UidNext(NonZeroU32),
    /// The UID validity.
    UidValidity(NonZeroU32),
    /// UIDs do not last (RFC 4315).
    UidNotSticky,
    /// The first message without `\Seen`.
    Unseen(u32),
    /// What messages became with APPEND (RFC 4315).
    Appended(Appended),
    /// What messages became with COPY or MOVE (RFC 4315).
    Copied(Copied),
    /// The highest MODSEQ of the mailbox (RFC 7162).
    HighestModSeq(u64),
    /// The mailbox has no MODSEQs (RFC 7162).
    NoModSeq,
    /// These messages were changed since (RFC 7162): UIDs with UID STORE, sequence numbers with STORE.
    Modified(UidSet),
    /// The mailbox that was selected is so no more (RFC 7162).
    Closed,
    /// The id of the mailbox (RFC 8474).
    MailboxId(Bytes),
    /// Anything else: the code's name and what stands behind it.
    Other(Bytes, Bytes),
}

/// The UIDs that appended messages got (RFC 4315 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The UID validity of the mailbox.
    pub uid_validity: NonZeroU32,
    /// The UIDs in the order of the messages.
    pub uids: UidList,
}

/// Which messages became which by COPY or MOVE (RFC 4315 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The UID validity of the destination.
    pub uid_validity: NonZeroU32,
    /// UIDs in the source.
    pub from: UidList,
    /// UIDs in the destination, in the order of those in the source.
    pub to: UidList,
}

impl Copied {
    /// Pairs the UIDs: in the source, in the destination. Do not walk sets of a server that nobody vouches
    /// for to their end: they may hold four billion.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.from.iter().zip(self.to.iter())
    }
}

/// UIDs in the order in which they were told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UidList(pub(super) Vec<RangeInclusive<u32>>);

impl UidList {
    /// The ranges as they were told, each ascending.
    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.0
    }

    /// Each UID.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// The UIDs as a set.
    pub fn to_set(&self) -> UidSet {
        UidSet::from_ranges(self.0.iter().cloned())
    }
}
