//! Mailbox stores on disk: SQLite, and Maildir.
//!
//! A [`SqliteStore`] keeps accounts, mailboxes, messages and the outbound spool in one folder that needs no set-up.
//! It says "committed" only after everything is on the disk, and sessions that wait at the same time share that
//! wait. It knows no protocol and no executor: its threads are its own.
//!
//! ```text
//!  sessions ── commit(Batch) ─▶ one writer thread ─▶ group of batches ─▶ one sync ─▶ all replies, all feeds
//!           ── write(chunk) ──▶ ≤ 32 KiB: in the database, with the message
//!                               longer:   pack segment, while it comes; synced before the commit
//!           ── scan, read_blob ▶ reader threads: never wait for the writer
//! ```
//!
//! # Example
//!
//! ```
//! use mailwright_mailbox::{Account, Batch, MailboxName, Op, Store};
//! use mailwright_store::{Config, Error, SqliteStore};
//!
//! # let folder = tempfile::tempdir().expect("a folder to try it in");
//! let store = SqliteStore::open(folder.path(), Config::default())?;
//! // One process owns a folder: two would destroy each other's mail.
//! assert!(matches!(SqliteStore::open(folder.path(), Config::default()), Err(Error::InUse { .. })));
//!
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
//! let bob = Account::new("bob@b.test");
//! let create = Op::CreateMailbox { account: bob.clone(), name: MailboxName::inbox(), special_use: None };
//! store.commit(Batch::new(1_767_225_600).with(create)).await.expect("there is room");
//! assert_eq!(store.mailboxes(&bob).await.expect("it can be read")[0].name, MailboxName::inbox());
//! assert!(store.check().await.expect("it can be read").problems.is_empty());
//! # });
//! # Ok::<(), Error>(())
//! ```
//!
//! # What is fast, and why it stays true
//!
//! - Opening a mailbox ([`contents`](mailwright_mailbox::Store::contents)) reads one packed row and what has changed since,
//!   instead of a row for each message. No commit has to keep the row true: it tells of a mod-sequence, and the history
//!   from there on is put on top of it.
//! - Searching a text reads the sketches of texts first, some 500 octets for a message of 4 KiB, and then the texts that may
//!   hold the string. What is found follows from the texts alone. Strings of less than three octets, and messages that
//!   were stored by a version without sketches, are looked for in every text.
//! - Part indexes, sort keys, texts and sketches are computed once, when a message comes in.
//! - Deliveries that come at the same time share a sync. One that is alone has one sync, that of the database's log; a body
//!   that goes to a pack costs one more.
//!
//! SQLite is built as its crate builds it, so that it calls `fsync` where `fdatasync` would do. Its log is written again from
//! its start, so that its length stays, and there the two take the same time (ext4: 0.14 ms each). A program that wants
//! the other sets `LIBSQLITE3_FLAGS=-DHAVE_FDATASYNC` when it is built.
//!
//! # Maildir
//!
//! A `MaildirStore` (feature `maildir`) keeps each account as Maildir++ folders that other programs may read, deliver to and
//! change: a file that appears is given a UID, one that goes is expunged, one that is renamed has other flags. Beside them,
//! in `.mailwright/`, is what a Maildir cannot say: the octets of each message once, to which the files are links, and a
//! journal of UIDs, mod-sequences, threads, rights and the spool. A commit is durable with its bodies and one record of
//! the journal. What the journal says is held in memory, all of it, and there are no sketches: a text search reads
//! every text. It is for people who have such mail or want it.
//!
//! # What is kept, and what a failure can cost
//!
//! - A killed process and a power cut cost nothing that was acknowledged, on disks that do not lie about syncs.
//!   [`Durability`] can give that up, by name.
//! - A full or failing disk refuses batches with a temporary error; the store goes on answering.
//! - Every body has a checksum that is verified each time it is read; [`SqliteStore::check`] verifies everything
//!   against everything while work goes on. Damage to one body concerns that body.
//! - [`SqliteStore::fsck`] mends a store that is closed. A damaged database is made anew of every row that can be read,
//!   page by page, and of the packs; what belongs to nobody any more comes into the account `lost+found`.
//!   [`SqliteStore::salvage`] does the same into another folder.
//! - Bodies up to 32 KiB are in the pages of the database alone, and so is what mailbox a message is in: that is what makes a
//!   delivery durable by one sync. Damage costs what is on the damaged pages. Where the whole of `mail.db` is deleted,
//!   the packs bring back every longer body, each as a message in `lost+found`, and only a copy
//!   ([`SqliteStore::backup`]) brings back the rest: copies of `mail.db` by other means are of no use without its log.
//! - Bodies are kept once for all messages that share a [`BlobRef`](mailwright_mailbox::BlobRef). The space of small
//!   ones is used again at once. A pack that has lost most of its bodies is emptied in the background, into others, and
//!   goes; whoever reads meanwhile is not stopped.
//! - [`SqliteStore::backup`] copies the store as it is at one moment, while work goes on.
//! - The last of the room on a disk is kept for what makes room ([`Config::reserve_octets`](sqlite::Config)).
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`SqliteStore`], [`Config`], [`Durability`] | the store (feature `sqlite`, on by default) |
//! | `maildir/` | `MaildirStore`: mail in Maildir++ folders, and what is written there (feature `maildir`) |
//! | [`sqlite`] | its statistics, its findings and its blob writer |
//! | `sqlite/check.rs`, `sqlite/fsck/`, `sqlite/salvage/` | finding what is wrong, mending it, reading damaged databases |
//! | `pack.rs`, `pack/survey.rs` | the format of pack segments, and what is in them by their own account |
//! | `sqlite/compact.rs`, `sqlite/backup.rs` | emptying packs, copying a store while it works |
//! | `sqlite/schema.rs` | the tables, and the way from one version to the next |
//!
//! # Limits
//!
//! Every pack is an open file as long as the store is: the process must be granted that many, or the store does not
//! open. Deleting a mailbox of very many messages holds up the writer while it lasts, some 10 µs a message. There is one database and one writer
//! for all accounts.
//!
//! Minimum Rust version: 1.89.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // This crate is where the files are.

mod error;
#[cfg(any(feature = "maildir", feature = "sqlite"))]
mod folder;
#[cfg(feature = "maildir")]
pub mod maildir;
#[cfg(any(feature = "maildir", feature = "sqlite"))]
mod oneshot;
#[cfg(feature = "sqlite")]
mod pack;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use error::Error;
#[cfg(feature = "maildir")]
pub use maildir::MaildirStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{Config, Durability, SqliteStore};
