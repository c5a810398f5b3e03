//! The store of the program: whichever of them the configuration names.

use super::Failure;
use bytes::Bytes;
use mailwright_mailbox::{
    Account, AclEntry, Annotation, Batch, BlobRef, BlobWriter, CommitError, Committed, Contents, Feed,
    Identifier, MailboxId, MailboxInfo, MailboxName, ModSeq, Page, Scan, SharedMailbox, Snapshot, SpoolEntry,
    SpoolKey, Store, StoreError, Usage, Vanished,
};
use mailwright_server::config::StoreKind;
use mailwright_server::upkeep::{Checked, Copied, Promise, Upkeep};
use mailwright_store::maildir::{self, MaildirBlobWriter};
use mailwright_store::sqlite::{self, SqliteBlobWriter};
use mailwright_store::{Error, MaildirStore, SqliteStore};
use std::io;
use std::ops::Range;
use std::path::Path;

/// The store of a data folder.
#[derive(Debug)]
pub(super) enum Kept {
    Sqlite(SqliteStore),
    Maildir(MaildirStore),
}

impl Kept {
    /// Opens the store in a data folder, which is made for this user alone. What is there must be of the kind that is
    /// asked for; without one, it is opened as what it is.
    pub(super) fn open(data: &Path, kind: Option<StoreKind>, in_use: &str) -> Result<Self, Failure> {
        private_folder(data).map_err(|error| format!("the data folder {}: {error}", data.display()))?;
        let folder = data.join("mail");
        let there = kind_of(&folder);
        if let (Some(there), Some(asked)) = (there, kind)
            && there != asked
        {
            return Err(format!(
                "{} holds a store of the kind \"{there}\", and the configuration says store = \"{asked}\"\n  \
                 Say store = \"{there}\"; or take the mail along: export it, and import it into another data folder.",
                folder.display()
            )
            .into());
        }
        let opened = match there.or(kind).unwrap_or_default() {
            StoreKind::Maildir => MaildirStore::open(folder, maildir::Config::default()).map(Self::Maildir),
            _ => SqliteStore::open(folder, sqlite::Config::default()).map(Self::Sqlite),
        };
        opened.map_err(|error| match error {
            error @ Error::InUse { .. } => format!("{error}\n  {in_use}").into(),
            error => error.into(),
        })
    }
}

/// Makes a folder that only this user may look into; one that is there stays as it is.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// What is in a folder; `None` if nothing is.
pub(super) fn kind_of(folder: &Path) -> Option<StoreKind> {
    let has = |name: &str| folder.join(name).exists();
    match (has(".mailwright/journal"), has("mail.db")) {
        (true, _) => Some(StoreKind::Maildir),
        (false, true) => Some(StoreKind::Sqlite),
        (false, false) => None,
    }
}

/// Asks the store, whichever it is.
macro_rules! ask {
    ($kept:expr, $store:ident => $answer:expr) => {
        match $kept {
            Kept::Sqlite($store) => $answer,
            Kept::Maildir($store) => $answer,
        }
    };
}

impl Upkeep for Kept {
    fn backup<'a>(&'a self, to: &'a Path) -> Promise<'a, Copied> {
        match self {
            Self::Sqlite(store) => Upkeep::backup(store, to),
            Self::Maildir(store) => Upkeep::backup(store, to),
        }
    }

    fn check(&self) -> Promise<'_, Checked> {
        match self {
            Self::Sqlite(store) => Upkeep::check(store),
            Self::Maildir(store) => Upkeep::check(store),
        }
    }
}

impl Store for Kept {
    type BlobWriter = KeptBlobWriter;

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        ask!(self, store => store.commit(batch).await)
    }

    async fn accounts(&self, after: Option<Account>, limit: usize) -> Result<Vec<Account>, StoreError> {
        ask!(self, store => store.accounts(after, limit).await)
    }

    async fn mailboxes(&self, account: &Account) -> Result<Vec<MailboxInfo>, StoreError> {
        ask!(self, store => store.mailboxes(account).await)
    }

    async fn subscriptions(&self, account: &Account) -> Result<Vec<MailboxName>, StoreError> {
        ask!(self, store => store.subscriptions(account).await)
    }

    async fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> Result<Vec<Annotation>, StoreError> {
        ask!(self, store => store.annotations(account, mailbox).await)
    }

    async fn acl(&self, mailbox: MailboxId) -> Result<Vec<AclEntry>, StoreError> {
        ask!(self, store => store.acl(mailbox).await)
    }

    async fn shared_with(&self, identifiers: &[Identifier]) -> Result<Vec<SharedMailbox>, StoreError> {
        ask!(self, store => store.shared_with(identifiers).await)
    }

    async fn usage(&self, account: &Account) -> Result<Usage, StoreError> {
        ask!(self, store => store.usage(account).await)
    }

    async fn snapshot(&self, mailbox: MailboxId) -> Result<Snapshot, StoreError> {
        ask!(self, store => store.snapshot(mailbox).await)
    }

    async fn contents(&self, mailbox: MailboxId) -> Result<Contents, StoreError> {
        ask!(self, store => store.contents(mailbox).await)
    }

    async fn scan(&self, mailbox: MailboxId, scan: Scan) -> Result<Page, StoreError> {
        ask!(self, store => store.scan(mailbox, scan).await)
    }

    async fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StoreError> {
        ask!(self, store => store.vanished(mailbox, since).await)
    }

    fn new_blob(&self) -> KeptBlobWriter {
        match self {
            Self::Sqlite(store) => KeptBlobWriter::Sqlite(store.new_blob()),
            Self::Maildir(store) => KeptBlobWriter::Maildir(Box::new(store.new_blob())),
        }
    }

    async fn read_blob(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        ask!(self, store => store.read_blob(blob, range).await)
    }

    async fn read_blobs(&self, wanted: &[(BlobRef, Range<u64>)]) -> Vec<Result<Bytes, StoreError>> {
        ask!(self, store => store.read_blobs(wanted).await)
    }

    async fn spool(&self, after: Option<SpoolKey>, limit: usize) -> Result<Vec<SpoolEntry>, StoreError> {
        ask!(self, store => store.spool(after, limit).await)
    }

    fn subscribe(&self, account: &Account) -> Feed {
        ask!(self, store => store.subscribe(account))
    }
}

/// Takes the octets of a message for the store.
#[derive(Debug)]
pub(super) enum KeptBlobWriter {
    Sqlite(SqliteBlobWriter),
    // Its hash, which is large, is in it.
    Maildir(Box<MaildirBlobWriter>),
}

impl BlobWriter for KeptBlobWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(writer) => writer.write(chunk).await,
            Self::Maildir(writer) => writer.write(chunk).await,
        }
    }

    async fn finish(self) -> Result<BlobRef, StoreError> {
        match self {
            Self::Sqlite(writer) => writer.finish().await,
            Self::Maildir(writer) => (*writer).finish().await,
        }
    }
}
