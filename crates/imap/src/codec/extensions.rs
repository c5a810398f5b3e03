//! Commands of extensions as they are written: QUOTA (RFC 9208), ACL (RFC 4314), METADATA (RFC 5464), NOTIFY (RFC 5465),
//! SORT and THREAD (RFC 5256), MULTISEARCH (RFC 7377)

use super::{ReturnOptions, SearchKey};
use crate::{
    Depth, EntryName, MailboxFilter, QuotaResource, Rights, RightsChange, SortBy, ThreadAlgorithm, Watch,
};
use bytes::Bytes;

/// A command of QUOTA (RFC 9208).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaCommand {
    /// GETQUOTA of a quota root.
    Get(Bytes),
    /// GETQUOTAROOT of a mailbox.
    Roots(Bytes),
    /// SETQUOTA
    Set {
        /// The quota root.
        root: Bytes,
        /// The limits, each resource once.
        limits: Vec<(QuotaResource, u64)>,
    },
}

/// A command of ACL (RFC 4314).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AclCommand {
    /// SETACL
    Set {
        /// The mailbox.
        mailbox: Bytes,
        /// Whose rights.
        identifier: Bytes,
        /// What to do.
        change: RightsChange,
        /// The rights.
        rights: Rights,
    },
    /// DELETEACL
    Delete {
        /// The mailbox.
        mailbox: Bytes,
        /// Whose rights.
        identifier: Bytes,
    },
    /// GETACL
    Get(Bytes),
    /// LISTRIGHTS
    List {
        /// The mailbox.
        mailbox: Bytes,
        /// Whose rights.
        identifier: Bytes,
    },
    /// MYRIGHTS
    Mine(Bytes),
}

/// A command of METADATA (RFC 5464). The mailbox is empty for the server's own annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataCommand {
    /// GETMETADATA
    Get {
        /// The mailbox.
        mailbox: Bytes,
        /// MAXSIZE, in octets.
        max_size: Option<u32>,
        /// DEPTH
        depth: Depth,
        /// The entries.
        entries: Vec<EntryName>,
    },
    /// SETMETADATA
    Set {
        /// The mailbox.
        mailbox: Bytes,
        /// The entries with their values.
        entries: Vec<(EntryName, Option<Bytes>)>,
    },
}

/// A NOTIFY (RFC 5465).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotifyCommand {
    /// What to watch; nothing for NONE.
    pub watches: Vec<Watch<Bytes>>,
    /// STATUS
    pub status: bool,
    /// An event is not known.
    pub has_unknown: bool,
}

/// A SORT (RFC 5256, RFC 5267).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SortCommand {
    /// UID SORT.
    pub uid: bool,
    /// What to return; `None` without RETURN.
    pub returns: Option<ReturnOptions>,
    /// The order.
    pub order: Vec<SortBy>,
    /// The charset of the strings.
    pub charset: Bytes,
    /// The keys, all of which must match.
    pub keys: Vec<SearchKey>,
}

/// A THREAD (RFC 5256).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadCommand {
    /// UID THREAD.
    pub uid: bool,
    /// The algorithm.
    pub algorithm: ThreadAlgorithm,
    /// The charset of the strings.
    pub charset: Bytes,
    /// The keys, all of which must match.
    pub keys: Vec<SearchKey>,
}

/// An ESEARCH (RFC 7377).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchInCommand {
    /// Which mailboxes; none without IN.
    pub sources: Vec<MailboxFilter<Bytes>>,
    /// What to return; `None` without RETURN.
    pub returns: Option<ReturnOptions>,
    /// The charset of the strings.
    pub charset: Option<Bytes>,
    /// The keys, all of which must match.
    pub keys: Vec<SearchKey>,
}

/// An XAPPLEPUSHSERVICE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplePushCommand {
    /// `aps-version`
    pub version: u32,
    /// `aps-account-id`
    pub account_id: Bytes,
    /// `aps-device-token`
    pub device_token: Bytes,
    /// `aps-subtopic`
    pub subtopic: Bytes,
    /// `mailboxes`
    pub mailboxes: Vec<Bytes>,
}
