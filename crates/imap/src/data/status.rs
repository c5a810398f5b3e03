//! STATUS items (RFC 3501 §6.3.10, RFC 7162, RFC 7889, RFC 8438, RFC 8474)

use crate::ObjectId;
use std::num::NonZeroU32;

/// Something STATUS can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusItem {
    /// The number of messages.
    Messages,
    /// The number of recent messages.
    Recent,
    /// The next UID.
    UidNext,
    /// The UID validity.
    UidValidity,
    /// The number of unseen messages.
    Unseen,
    /// The number of messages marked deleted (RFC 9051).
    Deleted,
    /// The sum of all sizes in octets (RFC 8438).
    Size,
    /// The octets that EXPUNGE would free (RFC 9208).
    DeletedStorage,
    /// The highest mod-sequence (RFC 7162).
    HighestModSeq,
    /// The mailbox's identifier (RFC 8474).
    MailboxId,
    /// The largest message that APPEND takes (RFC 7889).
    AppendLimit,
}

impl StatusItem {
    const ALL: [Self; 11] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::Deleted,
        Self::Size,
        Self::DeletedStorage,
        Self::HighestModSeq,
        Self::MailboxId,
        Self::AppendLimit,
    ];

    /// The item on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
            Self::DeletedStorage => "DELETED-STORAGE",
            Self::HighestModSeq => "HIGHESTMODSEQ",
            Self::MailboxId => "MAILBOXID",
            Self::AppendLimit => "APPENDLIMIT",
        }
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|item| item.as_str().as_bytes().eq_ignore_ascii_case(text))
    }
}

/// The state of a mailbox. What is `None` is left out of the answer; what was not asked for is, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The number of messages.
    pub messages: Option<u32>,
    /// The number of recent messages.
    pub recent: Option<u32>,
    /// The next UID.
    pub uid_next: Option<NonZeroU32>,
    /// The UID validity.
    pub uid_validity: Option<NonZeroU32>,
    /// The number of unseen messages.
    pub unseen: Option<u32>,
    /// The number of messages marked deleted.
    pub deleted: Option<u32>,
    /// The sum of all sizes in octets.
    pub size: Option<u64>,
    /// The octets that EXPUNGE would free, at least about.
    pub deleted_storage: Option<u64>,
    /// The highest mod-sequence; `None` is told as 0: there are none (RFC 7162 §3.1.7).
    pub highest_mod_seq: Option<u64>,
    /// The mailbox's identifier.
    pub mailbox_id: Option<ObjectId>,
    /// The largest message that APPEND takes here, in octets; `None` for the limit of the server.
    pub append_limit: Option<u64>,
}

impl Status {
    /// The number an item is told as; `None` if it is left out, or is no number.
    pub(crate) fn value(&self, item: StatusItem) -> Option<u64> {
        match item {
            StatusItem::MailboxId => None,
            StatusItem::HighestModSeq => Some(self.highest_mod_seq.unwrap_or(0)),
            StatusItem::AppendLimit => self.append_limit,
            StatusItem::Messages => self.messages.map(u64::from),
            // Whoever does not track it has none (RFC 9051 dropped it).
            StatusItem::Recent => Some(u64::from(self.recent.unwrap_or(0))),
            StatusItem::UidNext => self.uid_next.map(|n| u64::from(n.get())),
            StatusItem::UidValidity => self.uid_validity.map(|n| u64::from(n.get())),
            StatusItem::Unseen => self.unseen.map(u64::from),
            StatusItem::Deleted => self.deleted.map(u64::from),
            StatusItem::Size => self.size,
            StatusItem::DeletedStorage => self.deleted_storage,
        }
    }
}
