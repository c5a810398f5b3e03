//! Commands of extensions as they are written: QUOTA (RFC 9208), ACL (RFC 4314), METADATA (RFC 5464)

use crate::{Depth, EntryName, QuotaResource, Rights, RightsChange};
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
