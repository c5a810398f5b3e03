//! The embedded store: SQLite, and pack segments for large bodies
//!
//! ```text
//!  folder/LOCK             held as long as the store is open
//!         mail.db          accounts, mailboxes, messages, part indexes, small bodies, the spool
//!         mail.db-wal      what was committed and is not copied into mail.db yet
//!         packs/N.pack     large bodies
//! ```

mod apply;
mod backup;
mod blob;
mod cache;
mod check;
mod compact;
mod contents;
mod finding;
mod fsck;
mod links;
mod pool;
mod queue;
mod read;
mod room;
mod rows;
mod salvage;
mod schema;
mod writer;

use core::{
    any::Any,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, AclEntry, Annotation, Batch, BlobRef, ChangeHub, CommitError, Committed, Contents, Feed,
    Identifier, Limits, MailboxId, MailboxInfo, MailboxName, ModSeq, Page, Scan, SharedMailbox, Snapshot,
    SpoolEntry, SpoolKey, Store, StoreError, Usage, Vanished,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension};

pub use self::{
    backup::Backup,
    blob::SqliteBlobWriter,
    finding::{Finding, Loss, Place, Report},
    fsck::Repair,
};
use self::{
    compact::Compactor,
    pool::Pool,
    room::Room,
    writer::{Job, Request, Tally, Thinned, Writer},
};
use crate::{
    Error,
    folder::{self, Folder},
    oneshot,
    pack::Packs,
};

/// How a [`SqliteStore`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What the store refuses to exceed, and how much of the past it remembers.
    pub limits: Limits,
    /// When a commit is acknowledged.
    pub durability: Durability,
    /// How many threads read; 4 by default, at least 1.
    pub reader_threads: usize,
    /// No record is added to a pack that has this many octets; 64 MiB by default. A single body may be larger.
    pub pack_octets: u64,
    /// A pack is emptied in the background when less than this share of it is still used, in percent; 50 by default,
    /// 0 to keep every pack until its last body goes.
    pub live_percent: u8,
    /// New mail is refused with [`CommitError::Full`] while the disk has no more free octets than this, 64 MiB by
    /// default: expunging, and what else is needed to make room, goes on.
    pub reserve_octets: u64,
    /// The most octets of `mail.db`; beyond it commits fail with [`CommitError::Full`]. No limit by default.
    pub database_octets: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            durability: Durability::Synced,
            reader_threads: 4,
            pack_octets: 64 << 20,
            live_percent: 50,
            reserve_octets: 64 << 20,
            database_octets: None,
        }
    }
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on the disk: a power cut loses nothing that was acknowledged.
    #[default]
    Synced,
    /// At once. A killed process loses nothing, but a power cut loses mail that was acknowledged and may damage the
    /// whole database. For tests and for mail that can be fetched again.
    UnsyncedMayLoseMail,
}

/// How many commits there were, and how many times the disk was waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Batches that were committed.
    pub commits: u64,
    /// Database commits that carried them; each is one sync of the database.
    pub syncs: u64,
    /// Packs that had to be synced before them, for the bodies that they refer to.
    pub pack_syncs: u64,
}

/// A [`Store`] in a folder on disk.
///
/// It works on threads of its own and can be used from any executor. Dropping it waits for the commits that are
/// queued.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    requests: Mutex<Option<queue::Sender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    compactor: Mutex<Option<JoinHandle<()>>>,
    thinned: Mutex<mpsc::Sender<Thinned>>,
    hub: Arc<ChangeHub>,
    tally: Arc<Tally>,
    // Why the writer has stopped.
    failure: Arc<OnceLock<String>>,
}

/// What the store shares with blob writers.
#[derive(Debug)]
struct Shared {
    pool: Pool,
    packs: Arc<Packs>,
    room: Arc<Room>,
    file: PathBuf,
    // Work that can wait for the next run is left.
    closing: Arc<AtomicBool>,
    // Tells references of this store from those of others.
    identity: Arc<()>,
    blobs: AtomicU64,
    // Held as long as anyone may write to the folder.
    _folder: Folder,
}

impl SqliteStore {
    /// The longest body that is kept in the database, where one sync makes it durable together with its message;
    /// longer ones go to the packs while they come.
    pub const INLINE_OCTETS: usize = 32 * 1024;

    /// How many blob ids are set aside at each start, so that none is given twice even if its blob was never
    /// committed.
    const BLOB_IDS: i64 = 1 << 32;

    /// Opens the store in a folder, which is created where it is missing. Blocks the thread.
    ///
    /// What a crash left behind is put right: uncommitted bodies are cut off or removed.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has the folder, [`Error::Damaged`] when the database is missing or cannot
    /// be read, others when the folder cannot be used.
    pub fn open(folder: impl AsRef<Path>, config: Config) -> Result<Self, Error> {
        let folder = Folder::open(folder.as_ref())?;
        let file = folder.path().join("mail.db");
        refuse_remains(folder.path(), &file)?;
        let failed = |error: rusqlite::Error| Error::Io {
            path: file.clone(),
            reason: error.to_string(),
        };
        let conn = schema::open_writer(&file, config.durability)?;
        if let Some(octets) = config.database_octets {
            conn.pragma_update(None, "max_page_count", (octets / 4096) as i64)
                .map_err(failed)?;
        }
        let first_blob = reserve_blobs(&conn).map_err(failed)?;
        let last = |pack| last_record(&conn, pack).map_err(failed);
        let packs = Arc::new(Packs::open(
            &folder.path().join("packs"),
            config.pack_octets,
            last,
        )?);
        // The entries of mail.db and its log must outlast a power cut as well as their content.
        folder::sync(folder.path()).map_err(|error| Error::io(folder.path(), &error))?;
        let (hub, tally, identity) = (
            Arc::new(ChangeHub::new()),
            Arc::new(Tally::default()),
            Arc::new(()),
        );
        let pool = Pool::start(&file, config.reader_threads)?;
        let room = Arc::new(Room::new(folder.path(), config.reserve_octets));
        let closing = Arc::new(AtomicBool::new(false));
        let (thinned, to_compact) = mpsc::channel();
        for pack in packs.ids() {
            // What an earlier run has left thin.
            thinned.send(Thinned::Pack(pack)).expect("the receiver is there");
        }
        let writer = Writer::new(
            conn,
            config.limits,
            config.durability,
            Arc::clone(&packs),
            Arc::clone(&hub),
            Arc::clone(&identity),
            Arc::clone(&tally),
            Arc::clone(&room),
            thinned.clone(),
        );
        let writer = writer.map_err(failed)?;
        let (requests, queue) = queue::channel();
        let compactor = Compactor {
            conn: schema::open_reader(&file)?,
            packs: Arc::clone(&packs),
            writer: requests.clone(),
            live_percent: config.live_percent,
            closing: Arc::clone(&closing),
        };
        let failure = Arc::new(OnceLock::new());
        let note = Arc::clone(&failure);
        let work = move || {
            // The queue goes after the note is made: whoever finds it gone finds the note.
            let queue = queue;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.run(&queue))) {
                let _ = note.set(message_of(&*panic));
            }
        };
        let thread = thread::Builder::new().name("mail-writer".into()).spawn(work);
        let thread = thread.map_err(|error| Error::io(&file, &error))?;
        let compactor = thread::Builder::new()
            .name("mail-compactor".into())
            .spawn(move || compactor.run(&to_compact));
        let compactor = compactor.map_err(|error| Error::io(&file, &error))?;
        let blobs = AtomicU64::new(first_blob);
        let shared = Arc::new(Shared {
            pool,
            packs,
            room,
            file,
            closing,
            identity,
            blobs,
            _folder: folder,
        });
        let (requests, writer) = (Mutex::new(Some(requests)), Mutex::new(Some(thread)));
        Ok(Self {
            shared,
            requests,
            writer,
            compactor: Mutex::new(Some(compactor)),
            thinned: Mutex::new(thinned),
            hub,
            tally,
            failure,
        })
    }

    /// Tells why nothing is committed any more: the writer has met a fault of this program, or of a waker that it was to
    /// wake. `None` as long as it works. Reading goes on; to write, open the store again.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Tells how well commits share their syncs.
    pub fn statistics(&self) -> Statistics {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let Tally {
            commits,
            syncs,
            pack_syncs,
        } = &*self.tally;
        Statistics {
            commits: read(commits),
            syncs: read(syncs),
            pack_syncs: read(pack_syncs),
        }
    }

    /// Checks the database against itself, as it is at one moment, and every body against its hash. It reads
    /// everything, and stops nobody.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read at all; what is merely wrong is in the report.
    pub async fn check(&self) -> Result<Report, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.shared
            .pool
            .run(move |conn| check::check(conn, &shared.packs))
            .await
    }

    /// Copies all that is committed at one moment into a folder, which is created or empty, while work goes on. The copy
    /// is durable when this returns, and is opened like any other store.
    ///
    /// # Errors
    /// [`StoreError`] when the folder is not empty, or something cannot be read or written.
    pub async fn backup(&self, folder: impl Into<PathBuf>) -> Result<Backup, StoreError> {
        let (shared, folder) = (Arc::clone(&self.shared), folder.into());
        self.shared
            .pool
            .run(move |_| backup::backup(&shared, &folder))
            .await
    }

    /// Runs a query of several statements at one moment of the database.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.shared
            .pool
            .run(move |conn| read::at_one_moment(conn, read))
            .await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The writer's connection is the last to close: SQLite then copies the log into the database and removes it.
        self.shared.pool.close();
        // The compactor may wait for the writer, and keeps it going: it ends first.
        self.shared.closing.store(true, Ordering::Relaxed);
        let thinned = self.thinned.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = thinned.send(Thinned::End);
        join(&mut self.compactor);
        self.requests
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        join(&mut self.writer);
    }
}

/// What a panic said, on one line.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next())
        .unwrap_or("it did not say why")
        .to_owned()
}

/// Waits for a thread; one that panicked has told its sessions by dropping their replies.
fn join(thread: &mut Mutex<Option<JoinHandle<()>>>) {
    let thread = thread.get_mut().unwrap_or_else(PoisonError::into_inner);
    if let Some(thread) = thread.take() {
        let _ = thread.join();
    }
}

impl Shared {
    fn next_blob(&self) -> u64 {
        self.blobs.fetch_add(1, Ordering::Relaxed)
    }
}

impl Store for SqliteStore {
    type BlobWriter = SqliteBlobWriter;

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let (reply, replied) = oneshot::channel();
        if let Some(requests) = &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            // Where the writer is gone, so is the reply.
            requests.send(Job::Commit(Request { batch, reply }));
        }
        // As long as there is a store, its writer ends by a fault alone.
        replied.await.unwrap_or_else(|| {
            let why = self.failure().unwrap_or("it is being stopped");
            Err(CommitError::Io(format!("the store's writer has failed: {why}")))
        })
    }

    async fn accounts(&self, after: Option<Account>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.read(move |conn| read::accounts(conn, after.as_ref(), limit))
            .await
    }

    async fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> Result<Vec<Annotation>, StoreError> {
        let account = account.clone();
        self.read(move |conn| read::annotations(conn, &account, mailbox))
            .await
    }

    async fn acl(&self, mailbox: MailboxId) -> Result<Vec<AclEntry>, StoreError> {
        self.read(move |conn| read::acl(conn, mailbox)).await
    }

    async fn shared_with(&self, identifiers: &[Identifier]) -> Result<Vec<SharedMailbox>, StoreError> {
        let identifiers = identifiers.to_vec();
        self.read(move |conn| read::shared_with(conn, &identifiers)).await
    }

    async fn mailboxes(&self, account: &Account) -> Result<Vec<MailboxInfo>, StoreError> {
        let account = account.clone();
        self.read(move |conn| read::mailboxes(conn, &account)).await
    }

    async fn subscriptions(&self, account: &Account) -> Result<Vec<MailboxName>, StoreError> {
        let account = account.clone();
        self.read(move |conn| read::subscriptions(conn, &account)).await
    }

    async fn usage(&self, account: &Account) -> Result<Usage, StoreError> {
        let account = account.clone();
        self.read(move |conn| read::usage(conn, &account)).await
    }

    async fn snapshot(&self, mailbox: MailboxId) -> Result<Snapshot, StoreError> {
        self.read(move |conn| read::snapshot(conn, mailbox)).await
    }

    async fn contents(&self, mailbox: MailboxId) -> Result<Contents, StoreError> {
        let (contents, packed) = self.read(move |conn| contents::read(conn, mailbox)).await?;
        if let Some(packed) = packed
            && let Some(requests) = &*self.requests.lock().unwrap_or_else(PoisonError::into_inner)
        {
            // Where the writer is gone, so is the use of it.
            requests.send(Job::Keep(packed));
        }
        Ok(contents)
    }

    async fn scan(&self, mailbox: MailboxId, scan: Scan) -> Result<Page, StoreError> {
        self.read(move |conn| read::scan(conn, mailbox, &scan)).await
    }

    async fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StoreError> {
        self.read(move |conn| read::vanished(conn, mailbox, since)).await
    }

    fn new_blob(&self) -> SqliteBlobWriter {
        SqliteBlobWriter::new(Arc::clone(&self.shared))
    }

    async fn read_blob(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.shared.read_blob(blob, range).await
    }

    async fn read_blobs(&self, wanted: &[(BlobRef, Range<u64>)]) -> Vec<Result<Bytes, StoreError>> {
        self.shared.read_blobs(wanted).await
    }

    async fn spool(&self, after: Option<SpoolKey>, limit: usize) -> Result<Vec<SpoolEntry>, StoreError> {
        self.read(move |conn| read::spool(conn, after, limit)).await
    }

    fn subscribe(&self, account: &Account) -> Feed {
        self.hub.subscribe(account)
    }
}

/// Refuses to begin anew where a database has been: its packs would be taken for rubbish.
fn refuse_remains(folder: &Path, file: &Path) -> Result<(), Error> {
    let is_missing = std::fs::metadata(file).map_or(true, |it| it.len() == 0);
    let has_packs = || std::fs::read_dir(folder.join("packs")).is_ok_and(|mut packs| packs.next().is_some());
    let reason = if folder.join(fsck::READY).exists() {
        "a repair was interrupted"
    } else if is_missing && has_packs() {
        "it is missing, and there are packs beside it"
    } else {
        return Ok(());
    };
    Err(Error::Damaged {
        file: file.to_owned(),
        reason: reason.into(),
    })
}

/// Sets ids aside for the blobs of this run and returns the first.
fn reserve_blobs(conn: &Connection) -> rusqlite::Result<u64> {
    let sql = "UPDATE counter SET value = value + ?1 WHERE name = 'blob' RETURNING value - ?1 + 1";
    conn.query_row(sql, [SqliteStore::BLOB_IDS], |row| row.get::<_, i64>(0))
        .map(|first| first as u64)
}

/// Returns where the last committed record of a pack begins; `None` when no body is in the pack.
fn last_record(conn: &Connection, pack: u64) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT start FROM blob WHERE pack = ?1 ORDER BY start DESC LIMIT 1";
    // A pack without bodies is removed: that is not left to an index, which may be damaged.
    let again = "SELECT max(start) FROM blob NOT INDEXED WHERE pack = ?1";
    let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<i64>>(0);
    let last = match conn.query_row(sql, [pack as i64], read).optional()? {
        Some(last) => last,
        None => conn.query_row(again, [pack as i64], read)?,
    };
    Ok(last.map(|start| start as u64))
}

fn failed(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        None => StoreError::Corrupt(error.to_string()),
        Some(_) => StoreError::Io(error.to_string()),
    }
}
