//! What is cached of a mailbox, and what became of it since (RFC 7162 §3.2.5, RFC 4549)

use crate::UidSet;
use std::num::NonZeroU32;

/// What is known of a mailbox from earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cached {
    /// The UID validity.
    pub uid_validity: NonZeroU32,
    /// The highest MODSEQ up to which everything is known, if the server had it.
    pub highest_mod_seq: Option<u64>,
    /// The messages that are known.
    pub uids: UidSet,
}

impl Cached {
    /// Makes it of what was kept.
    pub fn new(uid_validity: NonZeroU32, highest_mod_seq: Option<u64>, uids: UidSet) -> Self {
        Self {
            uid_validity,
            highest_mod_seq,
            uids,
        }
    }
}

/// What became of a mailbox since it was cached. The flags that changed were told before, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resynced {
    /// How it was found out.
    pub method: Method,
    /// Messages to drop: they are gone, or the UID validity changed and they are not what they were.
    pub drop: UidSet,
    /// Messages to fetch: they are there and not in the cache.
    pub fetch: UidSet,
    /// To be kept for the next time.
    pub uid_validity: Option<NonZeroU32>,
    /// To be kept for the next time, once what is to be fetched was.
    pub highest_mod_seq: Option<u64>,
}

/// How it was found out what became of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The server told what changed and what is gone (QRESYNC).
    Qresync,
    /// The server told what changed (CONDSTORE), and the number of messages showed whether some are gone.
    Condstore,
    /// UIDs and flags of all messages were compared.
    Comparison,
    /// The UID validity changed: nothing of the cache holds.
    Invalid,
}
