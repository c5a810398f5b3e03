//! The pure mailbox model, the [`Store`] trait and a store in memory.

mod batch;
mod blob;
mod feed;
mod flags;
mod id;
mod name;
mod store;
mod uid_set;

pub use batch::{Batch, CommitError, Committed, Limits, MessageMeta, Op, Outcome, Precondition};
pub use blob::{BlobHash, BlobHasher, BlobRef};
pub use feed::{Change, ChangeHub, Feed};
pub use flags::{FlagChange, Flags, Keyword, SystemFlags};
pub use id::{Account, MailboxId, ModSeq, SpoolKey, Uid, UidValidity};
pub use name::{MailboxName, NameError, SpecialUse};
pub use store::{
    BlobWriter, Fields, MailboxInfo, Message, Page, Scan, Snapshot, SpoolEntry, Store, StoreError, Usage,
    Vanished,
};
pub use uid_set::UidSet;
