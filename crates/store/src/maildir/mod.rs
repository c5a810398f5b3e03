//! The Maildir store: mail in Maildir++ folders, as other programs read and write them
//!
//! ```text
//!  root/.mailwright/LOCK           held as long as the store is open
//!                   journal        UIDs, mod-sequences, flags, history, threads, rights, annotations, the spool
//!                   bodies/HASH    the octets of each message, once
//!                   text/HASH      its text as it is searched
//!  root/ACCOUNT/{cur,new,tmp}      INBOX; its files are links to bodies
//!       ACCOUNT/.Folder.Sub/...    Folder/Sub
//!       .../dovecot-uidlist        UIDs, as Dovecot reads them
//!       .../dovecot-keywords       keywords of the letters a to z
//! ```
//!
//! # What is durable, and when
//!
//! A commit returns when the bodies it brings are synced, with their folder, and then one record of the journal; all
//! commits that wait at the same time share both. Links, names and folders follow from the journal: they are made before
//! the answer, synced from time to time, and after a crash whatever the journal says since then is done again.
//! A power cut costs nothing that was acknowledged.
//!
//! # Other programs
//!
//! A file that another program puts into `new` or `cur` gets the next UID, a file that gets other letters gets other
//! flags, and a file that goes is expunged. That is noticed whenever somebody looks at the mailbox, and for those who
//! only wait every [`Config::poll`]. Folders that are made or removed are noticed by the latter. Where a folder's
//! `dovecot-uidlist` has the same UIDVALIDITY and a higher UID for a file that comes, the file gets that one.
//!
//! `dovecot-uidlist` (version 3), `dovecot-keywords` and `subscriptions` are read when an account is found for the first
//! time, and written every [`Config::poll`] and when the store is closed: Dovecot can be put in the place of this store
//! and this store in the place of Dovecot, with all UIDs and flags. They cannot work on the same folders at the same
//! time, for both would give UIDs. A body is kept with the line ends of the wire, CRLF, as Dovecot's
//! `mail_save_crlf` does; a file with LF that another program brings stays as it is, and takes its space twice.
//!
//! # Limits
//!
//! What the journal tells is held in memory: about 1 KiB a message. At the start all of it is read. Files and links must
//! be on one file system that has hard links. A keyword that is the 27th of its folder has no letter: it is kept, and
//! other programs do not see it.

mod bodies;
mod codec;
mod disk;
pub mod format;
mod journal;
mod listing;
mod names;
mod notice;
mod pool;
mod replace;
mod stamps;
mod writer;

use core::{ops::Range, time::Duration};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, mpsc},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, AclEntry, Annotation, Batch, BlobHash, BlobRef, ChangeHub, CommitError, Committed, Effect, Feed,
    Fields, Identifier, Limits, MailboxId, MailboxInfo, MailboxName, ModSeq, Model, Page, Scan,
    SharedMailbox, Snapshot, SpoolEntry, SpoolKey, Store, StoreError, UidSet, Usage, Vanished,
};

pub use self::bodies::MaildirBlobWriter;
use self::{
    bodies::Bodies,
    codec::Entry,
    disk::Disk,
    journal::Journal,
    pool::Pool,
    stamps::Stamps,
    writer::{Job, Writer},
};
use crate::{Error, folder::Folder, oneshot};

/// How a [`MaildirStore`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What the store refuses to exceed, and how much of the past it remembers.
    pub limits: Limits,
    /// How often all folders are looked at for what other programs did; 30 s by default. A mailbox is also looked at
    /// whenever somebody reads it.
    pub poll: Duration,
    /// How many threads read; 4 by default, at least 1.
    pub reader_threads: usize,
    /// A journal that is longer than this, and is mostly of the past, is written anew; 8 MiB by default.
    pub journal_octets: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            poll: Duration::from_secs(30),
            reader_threads: 4,
            journal_octets: 8 << 20,
        }
    }
}

/// A [`Store`] in Maildir++ folders.
///
/// It works on threads of its own and can be used from any executor. Dropping it waits for the commits that are
/// queued.
#[derive(Debug)]
pub struct MaildirStore {
    model: Arc<RwLock<Model>>,
    bodies: Arc<Bodies>,
    stamps: Arc<Stamps>,
    hub: Arc<ChangeHub>,
    pool: Pool,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    root: PathBuf,
    // Held as long as anyone may write to the folders.
    _folder: Folder,
}

impl MaildirStore {
    /// Opens the store in a folder, which is made if it is not there. Accounts that have a Maildir in it become
    /// accounts of the store.
    ///
    /// # Errors
    /// [`Error`] when the folder is in use or cannot be used, or its journal is damaged.
    pub fn open(root: impl AsRef<Path>, config: Config) -> Result<Self, Error> {
        let root = root.as_ref();
        let home = root.join(Disk::HOME);
        let folder = Folder::open(&home)?;
        let failed = |error: std::io::Error| Error::io(&home, &error);
        let bodies = Arc::new(Bodies::open(&home).map_err(failed)?);
        let stamps = Arc::new(Stamps::default());
        let mut disk = Disk::new(root, Arc::clone(&bodies), Arc::clone(&stamps));
        let mut model = Model::new(config.limits);
        let mut pending: Vec<Entry> = Vec::new();
        let journal = Journal::open(&home.join("journal"), |entries| {
            for entry in entries {
                match entry {
                    Entry::Settled => {
                        for entry in pending.drain(..) {
                            disk.learn(&entry);
                            redo(&mut model, entry);
                        }
                    }
                    other => pending.push(other),
                }
            }
        })?;
        let was_killed = !pending.is_empty();
        let unsettled = pending.len() as u64;
        disk.replay(&pending);
        let touched = touched(&pending);
        pending.into_iter().for_each(|entry| redo(&mut model, entry));
        if was_killed {
            disk.replay(&present(&model, &touched));
            let refers =
                |hash: &str| parse_hash(hash).is_some_and(|it| model.refers_to(&BlobRef::new(it, 0)));
            bodies.retain(refers).map_err(failed)?;
        }
        let (model, hub) = (Arc::new(RwLock::new(model)), Arc::new(ChangeHub::new()));
        let mut writer = Writer {
            model: Arc::clone(&model),
            disk,
            journal,
            bodies: Arc::clone(&bodies),
            stamps: Arc::clone(&stamps),
            hub: Arc::clone(&hub),
            limits: config.limits,
            poll: config.poll,
            journal_octets: config.journal_octets,
            root: root.to_owned(),
            unsettled,
        };
        writer.discover();
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("maildir-writer".into())
            .spawn(move || writer.run(&receiver))
            .map_err(failed)?;
        Ok(Self {
            model,
            bodies,
            stamps,
            hub,
            pool: Pool::start(config.reader_threads).map_err(failed)?,
            jobs: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(thread)),
            root: root.to_owned(),
            _folder: folder,
        })
    }

    /// Returns the folder that the accounts are in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads every message and compares it with what was written, and says what is wrong: a line each.
    ///
    /// # Errors
    /// [`StoreError::Closed`]; what cannot be read is told of.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        let (model, bodies) = (Arc::clone(&self.model), Arc::clone(&self.bodies));
        self.pool.run(move || Ok(check(&lock(&model), &bodies))).await
    }

    /// Looks at all folders for what other programs did, as is done every [`Config::poll`].
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn look(&self) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.ask(Job::Poll(sender));
        receiver.await.ok_or(StoreError::Closed)
    }

    /// Sees to it that what other programs did to a mailbox is known.
    async fn notice(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let stamps = Arc::clone(&self.stamps);
        if self.pool.run(move || Ok(stamps.is_changed(mailbox))).await? {
            let (sender, receiver) = oneshot::channel();
            self.ask(Job::Notice(mailbox, sender));
            receiver.await.ok_or(StoreError::Closed)?;
        }
        Ok(())
    }

    /// Asks the writer; if that is gone, so is the other end of the answer.
    fn ask(&self, job: Job) {
        if let Some(jobs) = &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = jobs.send(job);
        }
    }

    /// Reads from the model, on a thread that may wait for the writer.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Model) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let model = Arc::clone(&self.model);
        self.pool.run(move || read(&lock(&model))).await
    }
}

impl Drop for MaildirStore {
    fn drop(&mut self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // One that panicked has nothing left to wait for.
            let _ = writer.join();
        }
    }
}

impl Store for MaildirStore {
    type BlobWriter = MaildirBlobWriter;

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let (sender, receiver) = oneshot::channel();
        self.ask(Job::Commit(batch, sender));
        receiver.await.unwrap_or(Err(CommitError::Closed))
    }

    async fn accounts(&self, after: Option<Account>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.read(move |model| Ok(model.accounts(after.as_ref(), limit)))
            .await
    }

    async fn mailboxes(&self, account: &Account) -> Result<Vec<MailboxInfo>, StoreError> {
        let account = account.clone();
        self.read(move |model| Ok(model.mailboxes(&account))).await
    }

    async fn subscriptions(&self, account: &Account) -> Result<Vec<MailboxName>, StoreError> {
        let account = account.clone();
        self.read(move |model| Ok(model.subscriptions(&account))).await
    }

    async fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> Result<Vec<Annotation>, StoreError> {
        let account = account.clone();
        self.read(move |model| model.annotations(&account, mailbox)).await
    }

    async fn acl(&self, mailbox: MailboxId) -> Result<Vec<AclEntry>, StoreError> {
        self.read(move |model| model.acl(mailbox)).await
    }

    async fn shared_with(&self, identifiers: &[Identifier]) -> Result<Vec<SharedMailbox>, StoreError> {
        let identifiers = identifiers.to_vec();
        self.read(move |model| Ok(model.shared_with(&identifiers))).await
    }

    async fn usage(&self, account: &Account) -> Result<Usage, StoreError> {
        let account = account.clone();
        self.read(move |model| Ok(model.usage(&account))).await
    }

    async fn snapshot(&self, mailbox: MailboxId) -> Result<Snapshot, StoreError> {
        self.notice(mailbox).await?;
        self.read(move |model| model.snapshot(mailbox)).await
    }

    async fn scan(&self, mailbox: MailboxId, mut scan: Scan) -> Result<Page, StoreError> {
        /// The most messages of a page, whatever the caller asks for; fewer where their texts are read as well.
        const MOST: (usize, usize) = (10_000, 200);

        self.notice(mailbox).await?;
        let with_text = scan.fields.contains(Fields::TEXT);
        scan.limit = scan.limit.min(if with_text { MOST.1 } else { MOST.0 });
        let (with_blob, asked) = (scan.fields.contains(Fields::BLOB), scan.fields);
        if with_text {
            scan.fields = asked | Fields::BLOB;
        }
        let bodies = Arc::clone(&self.bodies);
        self.read(move |model| {
            let mut page = model.scan(mailbox, &scan)?;
            if with_text {
                for message in &mut page.messages {
                    let blob = message.blob.as_ref();
                    message.text = blob.and_then(|blob| bodies.text(blob.hash()));
                    if !with_blob {
                        let size = message.size();
                        message.blob = None;
                        *message = message.clone().with_size(size);
                    }
                }
            }
            Ok(page)
        })
        .await
    }

    async fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StoreError> {
        self.notice(mailbox).await?;
        self.read(move |model| model.vanished(mailbox, since)).await
    }

    fn new_blob(&self) -> MaildirBlobWriter {
        MaildirBlobWriter::new(&self.bodies)
    }

    async fn read_blob(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        let (bodies, blob) = (Arc::clone(&self.bodies), blob.clone());
        self.pool.run(move || bodies.read(&blob, range)).await
    }

    async fn spool(&self, after: Option<SpoolKey>, limit: usize) -> Result<Vec<SpoolEntry>, StoreError> {
        self.read(move |model| Ok(model.spool(after, limit))).await
    }

    fn subscribe(&self, account: &Account) -> Feed {
        self.hub.subscribe(account)
    }
}

/// A body that is shared is read once.
fn check(model: &Model, bodies: &Arc<Bodies>) -> Vec<String> {
    let (mut problems, mut seen) = (Vec::new(), HashSet::new());
    for account in model.accounts(None, usize::MAX) {
        for mailbox in model.mailboxes(&account) {
            let scan = Scan::all(Fields::BLOB).limit(usize::MAX);
            let messages = model.scan(mailbox.id, &scan).map(|page| page.messages);
            for message in messages.unwrap_or_default() {
                let Some(blob) = message.blob.filter(|blob| seen.insert(*blob.hash())) else {
                    continue;
                };
                if let Err(error) = bodies.verify(&blob) {
                    problems.push(format!(
                        "{account}, {}, UID {}: {error}",
                        mailbox.name, message.uid
                    ));
                }
            }
        }
    }
    problems
}

/// The messages that entries add or change.
fn touched(entries: &[Entry]) -> BTreeMap<MailboxId, UidSet> {
    let mut touched: BTreeMap<_, UidSet> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Effect(Effect::Message { mailbox, message }) => {
                touched.entry(*mailbox).or_default().insert(message.uid);
            }
            Entry::Effect(Effect::Flags { mailbox, uid, .. }) => {
                touched.entry(*mailbox).or_default().insert(*uid);
            }
            _ => {}
        }
    }
    touched
}

/// Entries that make the files of messages that should be there: a power cut may have lost both names of one that was
/// given another.
fn present(model: &Model, touched: &BTreeMap<MailboxId, UidSet>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (mailbox, uids) in touched {
        let scan = Scan::new(uids.clone(), Fields::ALL).limit(usize::MAX);
        let messages = model.scan(*mailbox, &scan).map(|page| page.messages);
        entries.extend(messages.unwrap_or_default().into_iter().map(|message| {
            Entry::Effect(Effect::Message {
                mailbox: *mailbox,
                message: Box::new(message),
            })
        }));
    }
    entries
}

fn redo(model: &mut Model, entry: Entry) {
    if let Entry::Effect(effect) = entry {
        model.redo(effect);
    }
}

fn lock(model: &RwLock<Model>) -> RwLockReadGuard<'_, Model> {
    // A panic of the writer would be a defect of the model; the data is as sound as it was before.
    model.read().unwrap_or_else(PoisonError::into_inner)
}

fn parse_hash(hex: &str) -> Option<BlobHash> {
    let mut octets = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(BlobHash::from_bytes(octets))
}
