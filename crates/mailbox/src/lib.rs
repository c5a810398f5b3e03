//! What mailboxes are and do: a pure model, the [`Store`] trait, and a store in memory.
//!
//! Nothing here opens a file, reads a clock or knows a protocol. The wall clock enters with each [`Batch`]; UIDs,
//! flags and mod-sequences are the field's, their syntax is the protocols' business.
//!
//! ```text
//!  SMTP, LMTP ─▶ new_blob, write, finish ─▶ BlobRef ─┐
//!  IMAP, POP3 ─▶ Batch of Ops ◀──────────────────────┘
//!                  │ commit: all or nothing, durable when it returns
//!                  ▼
//!                Store ── outcomes: UIDs, mod-sequences ──▶ the session that asked
//!                  │  └── Feed: mailbox, highest mod-sequence ─▶ all other sessions
//!                  └───── mailboxes, snapshot, scan, vanished, read_blob ─▶ whoever looks
//! ```
//!
//! # Example
//!
//! ```
//! use mailwright_mailbox::{
//!     Account, Batch, BlobWriter, Fields, Flags, Limits, MailboxName, MemoryStore, MessageMeta, Op, Outcome, Scan,
//!     Store, StoreError,
//! };
//!
//! # fn main() { wait(deliver()).expect("a store in memory does not fail") }
//! # fn wait<T>(future: impl Future<Output = T>) -> T {
//! #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! #     match std::pin::pin!(future).poll(&mut cx) {
//! #         std::task::Poll::Ready(value) => value,
//! #         std::task::Poll::Pending => unreachable!("a store in memory does not wait"),
//! #     }
//! # }
//! async fn deliver() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = MemoryStore::new(Limits::default());
//!     let (bob, now) = (Account::new("bob@b.test"), 1_767_225_600);
//!     let mut feed = store.subscribe(&bob);
//!     let create = Op::CreateMailbox { account: bob, name: MailboxName::inbox(), special_use: None };
//!     let created = store.commit(Batch::new(now).with(create)).await?;
//!     let Outcome::Created { mailbox, .. } = created.outcomes[0] else { unreachable!() };
//!
//!     let mut body = store.new_blob();
//!     body.write("Subject: Hello\r\n\r\nBob!\r\n".into()).await?;
//!     let (blob, message) = (body.finish().await?, MessageMeta::default());
//!     let append = Op::Append { mailbox, blob, message, flags: Flags::new(), internal_date: now };
//!     store.commit(Batch::new(now).with(append)).await?;
//!
//!     assert_eq!(feed.changed().await.expect("the store is open")[0].mailbox, mailbox);
//!     let page = store.scan(mailbox, Scan::all(Fields::ALL)).await?;
//!     let blob = page.messages[0].blob.as_ref().ok_or(StoreError::NoSuchBlob)?;
//!     assert_eq!(store.read_blob(blob, 9..14).await?, "Hello");
//!     Ok(())
//! }
//! ```
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`Store`], [`BlobWriter`], [`Scan`], [`Page`], [`Snapshot`], [`Contents`] | what a store offers |
//! | [`Batch`], [`Op`], [`Outcome`], [`CommitError`], [`Limits`] | what is committed, and what comes of it |
//! | [`rules`] | what operations mean, for all stores alike: a store brings the steps |
//! | [`Model`], [`Effect`], [`MemoryStore`] | a pure state machine that follows them, and a store made of it |
//! | [`digest`] | what is computed of a message once, when it comes in |
//! | [`casemap`] | text without regard to case |
//! | [`search`], [`sort`] | which messages, and in what order |
//! | [`conversation`] | trees of messages, by reference or by subject |
//! | [`Feed`], [`ChangeHub`] | who is told of changes |
//! | [`Uid`], [`UidSet`], [`ModSeq`], [`MailboxName`], [`Flags`], [`BlobRef`], [`ThreadId`] | the nouns |
//! | [`Rights`], [`Identifier`], [`EntryName`] | whom a mailbox is shared with, what is noted on it |
//! | `conformance` (feature `conformance`) | the tests that every store must pass |
//!
//! # Standards
//!
//! | RFC | where |
//! |---|---|
//! | 9051, 3501: UIDs, UIDVALIDITY, flags, mailbox names, INBOX | `id.rs`, `flags.rs`, `name.rs`, `rules/` |
//! | 4315, 6851: UIDPLUS, MOVE | `rules/messages.rs` |
//! | 4314: access control lists | `access.rs`, `rules/annotations.rs` |
//! | 5051: i;unicode-casemap | `casemap.rs` |
//! | 5256, 5957: SORT, THREAD | `sort.rs`, `conversation.rs`, `digest/keys.rs` |
//! | 9051, 5032: SEARCH, WITHIN | `search.rs`, `digest/text.rs` |
//! | 5464: metadata | `metadata.rs`, `rules/annotations.rs` |
//! | 6154, 8457: special uses | `name.rs` |
//! | 7162: CONDSTORE, QRESYNC | `rules/messages.rs`, `model/history.rs` |
//! | 8474, 8514: OBJECTID, SAVEDATE | `id.rs`, `blob.rs`, `thread.rs`, `store.rs` |
//!
//! # Limits
//!
//! The model keeps access control lists and says nothing of who may do what: the caller asks and decides. Mailbox names are compared
//! octet by octet and not normalised. A renamed mailbox keeps its UIDVALIDITY, which no other mailbox of the account
//! ever had or gets.
//!
//! Minimum Rust version: 1.89.

mod access;
mod batch;
mod blob;
pub mod casemap;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod conversation;
pub mod digest;
mod feed;
mod flags;
mod id;
mod memory;
mod metadata;
mod model;
mod name;
pub mod rules;
pub mod search;
pub mod sort;
mod store;
mod thread;
mod uid_set;

pub use access::{AclEntry, Identifier, Rights};
pub use batch::{Batch, CommitError, Committed, Limits, MessageMeta, Op, Outcome, Precondition};
pub use blob::{BlobHash, BlobHasher, BlobRef};
pub use feed::{Change, ChangeHub, Feed};
pub use flags::{FlagChange, Flags, Keyword, SystemFlags};
pub use id::{Account, MailboxId, ModSeq, SpoolKey, Uid, UidValidity};
pub use memory::{MemoryBlobWriter, MemoryStore};
pub use metadata::{Annotation, EntryName};
pub use model::{Applied, Effect, Model};
pub use name::{MailboxName, NameError, SpecialUse};
pub use store::{
    BlobWriter, Contents, Fields, MailboxInfo, Message, Page, Scan, SharedMailbox, Snapshot, SpoolEntry,
    Store, StoreError, Usage, Vanished,
};
pub use thread::{ThreadId, ThreadKey, Threading};
pub use uid_set::UidSet;
