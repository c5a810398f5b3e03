//! A store that keeps each message that is delivered as a file, and all else in memory.

use bytes::Bytes;
use mailwright_mailbox::{
    Account, AclEntry, Annotation, Batch, BlobRef, CommitError, Committed, Feed, Flags, Identifier,
    MailboxId, MailboxInfo, MailboxName, MemoryBlobWriter, MemoryStore, ModSeq, Op, Page, Scan,
    SharedMailbox, Snapshot, SpoolEntry, SpoolKey, Store, StoreError, Usage, Vanished,
};
use mailwright_server::config::Delivery;
use mailwright_server::delivery::{MessageWriter, inbox};
use mailwright_server::unix_now;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::spawn_blocking;

/// The files, and the mailboxes that show them.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: PathBuf,
    /// What mailboxes are is the model's: numbers, flags, what was expunged, who is told.
    mailboxes: MemoryStore,
    /// The number of the last file.
    last: AtomicU64,
}

impl Archive {
    /// Opens the archive, and puts what is in it into the INBOX of each account.
    pub(crate) async fn open(folder: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        fs::create_dir_all(folder)?;
        let archive = Self {
            folder: folder.to_owned(),
            mailboxes: MemoryStore::default(),
            last: AtomicU64::new(0),
        };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
                archive.load(&Account::new(name), &entry.path()).await?;
            }
        }
        Ok(archive)
    }

    async fn load(
        &self,
        account: &Account,
        folder: &Path,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut files: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            if let (Some(number), true) = (number, path.extension().is_some_and(|kind| kind == "eml")) {
                files.push((number, path));
            }
        }
        files.sort_unstable();
        let inbox = inbox(&self.mailboxes, account, &Delivery::default().folders).await?;
        for (number, path) in files {
            self.last.fetch_max(number, Ordering::Relaxed);
            let mut writer = MessageWriter::new(&self.mailboxes);
            let mut file = File::open(&path)?;
            let mut chunk = vec![0; 64 << 10];
            loop {
                match file.read(&mut chunk)? {
                    0 => break,
                    n => writer.write(Bytes::copy_from_slice(&chunk[..n])).await?,
                }
            }
            let written = writer.finish(&self.mailboxes).await?;
            let modified = fs::metadata(&path)?.modified()?;
            let date = modified.duration_since(std::time::UNIX_EPOCH)?.as_secs();
            let append = written.append(inbox, Flags::new(), i64::try_from(date)?);
            self.mailboxes.commit(Batch::new(unix_now()).with(append)).await?;
        }
        Ok(())
    }

    /// Writes a message that is about to be delivered; it is on disk when this returns.
    async fn keep(&self, account: &Account, blob: &BlobRef) -> Result<PathBuf, CommitError> {
        let mut octets = Vec::new();
        while (octets.len() as u64) < blob.size() {
            let piece = self
                .mailboxes
                .read_blob(blob, octets.len() as u64..blob.size())
                .await
                .map_err(|error| CommitError::Io(error.to_string()))?;
            octets.extend_from_slice(&piece);
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let folder = self.folder.join(account.as_str());
        let path = folder.join(format!("{number:010}.eml"));
        let to = path.clone();
        spawn_blocking(move || write(&folder, &to, &octets))
            .await
            .map_err(|error| CommitError::Io(error.to_string()))?
            .map_err(|error| match error.kind() {
                io::ErrorKind::StorageFull => CommitError::Full,
                _ => CommitError::Io(error.to_string()),
            })?;
        Ok(path)
    }
}

/// A file under its name is whole, and stays after a power cut.
fn write(folder: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        if let Some(above) = folder.parent() {
            File::open(above)?.sync_all()?;
        }
    }
    let unnamed = path.with_extension("new");
    let mut file = File::create(&unnamed)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&unnamed, path)?;
    File::open(folder)?.sync_all()
}

impl Store for Archive {
    type BlobWriter = MemoryBlobWriter;

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let mut kept = Vec::new();
        let mut failed = None;
        for op in &batch.ops {
            let Op::Append { mailbox, blob, .. } = op else {
                continue;
            };
            // One that is not there is the model's to refuse.
            let Ok(snapshot) = self.mailboxes.snapshot(*mailbox).await else {
                continue;
            };
            if snapshot.name.is_inbox() {
                match self.keep(&snapshot.account, blob).await {
                    Ok(path) => kept.push(path),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        let done = match failed {
            Some(error) => Err(error),
            None => self.mailboxes.commit(batch).await,
        };
        if done.is_err() {
            // All of a batch or nothing of it.
            for path in kept {
                let _ = fs::remove_file(path);
            }
        }
        done
    }

    fn new_blob(&self) -> MemoryBlobWriter {
        self.mailboxes.new_blob()
    }

    // What is read comes from memory.

    async fn accounts(&self, after: Option<Account>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.mailboxes.accounts(after, limit).await
    }

    async fn mailboxes(&self, account: &Account) -> Result<Vec<MailboxInfo>, StoreError> {
        self.mailboxes.mailboxes(account).await
    }

    async fn subscriptions(&self, account: &Account) -> Result<Vec<MailboxName>, StoreError> {
        self.mailboxes.subscriptions(account).await
    }

    async fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> Result<Vec<Annotation>, StoreError> {
        self.mailboxes.annotations(account, mailbox).await
    }

    async fn acl(&self, mailbox: MailboxId) -> Result<Vec<AclEntry>, StoreError> {
        self.mailboxes.acl(mailbox).await
    }

    async fn shared_with(&self, identifiers: &[Identifier]) -> Result<Vec<SharedMailbox>, StoreError> {
        self.mailboxes.shared_with(identifiers).await
    }

    async fn usage(&self, account: &Account) -> Result<Usage, StoreError> {
        self.mailboxes.usage(account).await
    }

    async fn snapshot(&self, mailbox: MailboxId) -> Result<Snapshot, StoreError> {
        self.mailboxes.snapshot(mailbox).await
    }

    async fn scan(&self, mailbox: MailboxId, scan: Scan) -> Result<Page, StoreError> {
        self.mailboxes.scan(mailbox, scan).await
    }

    async fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StoreError> {
        self.mailboxes.vanished(mailbox, since).await
    }

    async fn read_blob(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.mailboxes.read_blob(blob, range).await
    }

    async fn spool(&self, after: Option<SpoolKey>, limit: usize) -> Result<Vec<SpoolEntry>, StoreError> {
        self.mailboxes.spool(after, limit).await
    }

    fn subscribe(&self, account: &Account) -> Feed {
        self.mailboxes.subscribe(account)
    }
}
