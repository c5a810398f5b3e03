//! Mail from elsewhere and to elsewhere: Maildir, mbox (RFC 4155), and a live IMAP account (RFC 9051).
//!
//! ```text
//!  Maildir, mbox (a thread) ─┐ pieces                    ┌─▶ Maildir
//!                            ├───────▶ import ─▶ Store ──┤
//!  IMAP account (a task) ────┘        batches            └─▶ mbox
//! ```
//!
//! What is kept: folders, flags and keywords, internal dates, subscriptions, and where the source tells them UIDs and
//! UIDVALIDITY. Nothing is held in memory but the batch that comes next. What cannot be read is told by name, and the
//! rest goes on.
//!
//! An import can be broken off at any moment and begun again: messages that a folder has already, octet for octet, are
//! not added a second time. From an IMAP account they are not even fetched again: how far a folder has come is noted
//! on the mailbox, in the same commit as its messages.

mod export;
mod imap;
mod import;
mod line_ends;
mod maildir;
mod mbox;
mod source;

pub use export::{Exporter, Format};
pub use imap::{ImapAccount, TransportSecurity};
pub use import::Importer;
pub use mbox::Quoting;

use mailwright_mailbox::{CommitError, StoreError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Is told how a transfer goes.
pub trait Observer: Send {
    /// So much is done. Called often: after every message.
    fn progress(&mut self, progress: &Progress);

    /// Something was left out; the transfer goes on without it.
    fn skipped(&mut self, what: &str, why: &str);
}

/// How far a transfer is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Progress {
    /// The messages that are done, those included that were there already.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// How many messages there are, where that is known.
    pub total_messages: Option<u64>,
    /// How many octets there are, where that is known.
    pub total_octets: Option<u64>,
}

/// What a transfer came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Report {
    /// The folders that were gone through.
    pub folders: u64,
    /// The messages that were added.
    pub added: u64,
    /// The messages that were there already.
    pub present: u64,
    /// Messages, folders and files that were left out; each was told to the [`Observer`].
    pub skipped: u64,
    /// The octets of the messages that were added.
    pub octets: u64,
}

/// Why a transfer ended before its time. What was done until then stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A file or folder cannot be used at all.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The other server, or the way to it, failed.
    #[error("{server}: {what}")]
    Server {
        /// The server.
        server: String,
        /// What happened.
        what: String,
    },
    /// The store refused something.
    #[error("the store: {0}")]
    Commit(#[from] CommitError),
    /// The store cannot be read or written.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

impl TransferError {
    fn file(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        Self::File { path, error }
    }
}
