//! The pure mailbox model, the [`Store`] trait and a store in memory.

mod batch;
mod blob;
#[cfg(feature = "conformance")]
pub mod conformance;
mod feed;
mod flags;
mod id;
mod memory;
mod model;
mod name;
mod store;
mod uid_set;

pub use batch::{Batch, CommitError, Committed, Limits, MessageMeta, Op, Outcome, Precondition};
pub use blob::{BlobHash, BlobHasher, BlobRef};
pub use feed::{Change, ChangeHub, Feed};
pub use flags::{FlagChange, Flags, Keyword, SystemFlags};
pub use id::{Account, MailboxId, ModSeq, SpoolKey, Uid, UidValidity};
pub use memory::{MemoryBlobWriter, MemoryStore};
pub use model::{Applied, Model};
pub use name::{MailboxName, NameError, SpecialUse};
pub use store::{
    BlobWriter, Fields, MailboxInfo, Message, Page, Scan, Snapshot, SpoolEntry, Store, StoreError, Usage,
    Vanished,
};
pub use uid_set::UidSet;
