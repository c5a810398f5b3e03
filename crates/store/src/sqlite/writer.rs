//! The one thread that writes
//!
//! ```text
//!  sessions ──▶ queue ──▶ group: all batches that wait
//!                           each batch under a savepoint: a refused one is undone alone
//!                           packs synced where the group has large bodies
//!                           COMMIT: one sync for all
//!                         feeds told, replies sent ──▶ sessions
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use mailwright_mailbox::{Account, Batch, Change, ChangeHub, CommitError, Committed, Limits, Op};
use rusqlite::{Connection, ErrorCode};

use super::{
    Durability,
    apply::{Failure, Transaction},
    cache::Cache,
    contents::{self, Packed},
    links::Done,
    queue::Receiver,
    room::Room,
};
use crate::{
    oneshot,
    pack::{Location, Packs},
};

/// What the writer is asked to do.
pub(super) enum Job {
    /// Commit a batch.
    Commit(Request),
    /// Note that bodies have moved to another pack, where they are durable.
    Relocate {
        moves: Vec<Move>,
        reply: mpsc::Sender<Result<(), CommitError>>,
    },
    /// Keep what a mailbox contains.
    Keep(Packed),
    /// Look which packs can go.
    Tidy,
}

/// A body that is to be found in another place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) blob: i64,
    pub(super) from: Location,
    pub(super) to: Location,
}

/// What the compactor is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Thinned {
    /// A pack has lost bodies.
    Pack(u64),
    /// The store is being closed.
    End,
}

/// A batch on its way to the writer, and where the reply goes.
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

/// What the writer has done so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) commits: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) pack_syncs: AtomicU64,
}

/// The writer's state, which lives on its thread.
pub(super) struct Writer {
    conn: Connection,
    cache: Cache,
    limits: Limits,
    durability: Durability,
    packs: Arc<Packs>,
    hub: Arc<ChangeHub>,
    identity: Arc<()>,
    tally: Arc<Tally>,
    room: Arc<Room>,
    // Packs that have lost bodies, for whoever moves what is left.
    thinned: mpsc::Sender<Thinned>,
    // Those that have, and were not named yet.
    thin: BTreeSet<u64>,
    // How many pages the write-ahead log has since it was last begun anew.
    log_pages: Arc<AtomicI32>,
    // At how many of them it is copied into the database.
    copy_at: i32,
}

/// What a batch of a group came to.
type Reply = Result<(Committed, Vec<(Account, Change)>), CommitError>;

impl Writer {
    /// The most batches that share a commit.
    const GROUP: usize = 256;
    /// The longest that a batch waits for others to share its commit.
    const PATIENCE: Duration = Duration::from_millis(2);
    /// The write-ahead log is copied into the database when it has this many pages (16 MiB): often enough that it
    /// stays small, seldom enough that the copying is not felt.
    const LOG_PAGES: i32 = 4096;

    #[allow(clippy::too_many_arguments)] // Everything the thread owns or shares, once, at its start.
    pub(super) fn new(
        mut conn: Connection,
        limits: Limits,
        durability: Durability,
        packs: Arc<Packs>,
        hub: Arc<ChangeHub>,
        identity: Arc<()>,
        tally: Arc<Tally>,
        room: Arc<Room>,
        thinned: mpsc::Sender<Thinned>,
    ) -> rusqlite::Result<Self> {
        let cache = Cache::load(&conn)?;
        let log_pages = Arc::new(AtomicI32::new(0));
        let counter = Arc::clone(&log_pages);
        // The hook stands in for the automatic checkpoint, which would run before the replies are sent.
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counter.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            conn,
            cache,
            limits,
            durability,
            packs,
            hub,
            identity,
            tally,
            room,
            thinned,
            thin: BTreeSet::new(),
            log_pages,
            copy_at: Self::LOG_PAGES,
        })
    }

    /// Works until all senders are gone and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        let (mut expected, mut patience, mut next) = (1, Duration::ZERO, None);
        while let Some(job) = next.take().or_else(|| queue.recv()) {
            match job {
                Job::Commit(first) => {
                    let group;
                    (group, next) = gather(first, queue, expected, patience);
                    expected = group.len();
                    let start = Instant::now();
                    self.commit(group);
                    // Sessions that were just answered come back within a moment. Who would not wait for them commits
                    // one batch, then all others, in turn; an eighth of a commit is a small price for sharing each
                    // one. A session that is alone never waits.
                    patience = (start.elapsed() / 8).min(Self::PATIENCE);
                }
                Job::Relocate { moves, reply } => {
                    let done = self.relocate(&moves);
                    if done.is_err() {
                        self.roll_back();
                    }
                    // Whoever asked may have given up.
                    let _ = reply.send(done);
                }
                Job::Keep(packed) => {
                    // It is for the next time; where it fails, all messages are read then as well.
                    if !self.room.is_low() && self.keep(&packed).is_err() {
                        self.roll_back();
                    }
                }
                Job::Tidy => {}
            }
            self.tidy();
        }
    }

    /// Bodies that were expunged or moved meanwhile are passed over.
    fn relocate(&mut self, moves: &[Move]) -> Result<(), CommitError> {
        self.execute("BEGIN IMMEDIATE")?;
        let failed = |error: rusqlite::Error| engine_failed(&error);
        let sql = "UPDATE blob SET pack = ?4, start = ?5 WHERE id = ?1 AND pack = ?2 AND start = ?3";
        for it in moves {
            let [from, to] = [it.from, it.to].map(|at| (at.pack as i64, at.offset as i64));
            let mut update = self.conn.prepare_cached(sql).map_err(failed)?;
            update
                .execute((it.blob, from.0, from.1, to.0, to.1))
                .map_err(failed)?;
        }
        self.execute("COMMIT")?;
        self.tally.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn keep(&mut self, packed: &Packed) -> Result<(), CommitError> {
        // Sessions that opened the mailbox at once have all found the same.
        if contents::is_kept(&self.conn, packed).map_err(|error| engine_failed(&error))? {
            return Ok(());
        }
        self.execute("BEGIN IMMEDIATE")?;
        contents::keep(&self.conn, packed).map_err(|error| engine_failed(&error))?;
        self.execute("COMMIT")?;
        self.tally.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn commit(&mut self, group: Vec<Request>) {
        let batches: Vec<&Batch> = group.iter().map(|request| &request.batch).collect();
        let replies = match self.attempt(&batches) {
            Ok(replies) => replies,
            Err(error) if group.len() == 1 => vec![Err(error)],
            // The disk failed for the group as a whole. One batch that is too large for it must not refuse the
            // others, so each is tried alone.
            Err(_) => batches
                .iter()
                .map(|batch| {
                    self.attempt(&[batch])
                        .unwrap_or_else(|error| vec![Err(error)])
                        .remove(0)
                })
                .collect(),
        };
        for (request, reply) in group.into_iter().zip(replies) {
            request.reply.send(reply.map(|(committed, changes)| {
                changes
                    .into_iter()
                    .for_each(|(account, change)| self.hub.publish(&account, [change]));
                committed
            }));
        }
    }

    /// Applies batches in one transaction; an error means that nothing of any was kept.
    fn attempt(&mut self, batches: &[&Batch]) -> Result<Vec<Reply>, CommitError> {
        let done = self.transact(batches);
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    fn transact(&mut self, batches: &[&Batch]) -> Result<Vec<Reply>, CommitError> {
        let is_low = self.room.is_low();
        self.execute("BEGIN IMMEDIATE")?;
        let mut replies = Vec::with_capacity(batches.len());
        let mut packs = Done::default();
        for batch in batches {
            if is_low && batch.ops.iter().any(adds_mail) {
                replies.push(Err(CommitError::Full));
                continue;
            }
            self.execute("SAVEPOINT batch")?;
            let transaction = Transaction::new(
                &self.conn,
                &self.limits,
                &mut self.cache,
                &self.identity,
                batch.now,
            );
            replies.push(match transaction.run(batch) {
                Ok(applied) => {
                    merge(&mut packs.sync, applied.packs.sync);
                    packs.suspects.extend(applied.packs.suspects);
                    Ok((Committed::new(applied.outcomes), applied.changes))
                }
                Err(Failure::Refused(error)) => {
                    self.execute("ROLLBACK TO batch")?;
                    Err(error)
                }
                Err(Failure::Engine(error)) => return Err(engine_failed(&error)),
            });
            self.execute("RELEASE batch")?;
        }
        let committed = replies.iter().filter(|reply| reply.is_ok()).count();
        if committed == 0 {
            self.execute("ROLLBACK")?;
            return Ok(replies);
        }
        self.cache
            .flush(&self.conn)
            .map_err(|error| engine_failed(&error))?;
        if self.durability == Durability::Synced {
            // Bodies are on the disk before anything that refers to them.
            for (pack, upto) in &packs.sync {
                self.packs.sync(*pack, *upto).map_err(|error| io_failed(&error))?;
                self.tally.pack_syncs.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.execute("COMMIT")?;
        self.cache.committed();
        self.tally.commits.fetch_add(committed as u64, Ordering::Relaxed);
        self.tally.syncs.fetch_add(1, Ordering::Relaxed);
        packs.suspects.into_iter().for_each(|pack| {
            self.packs.suspect(pack);
            self.thin.insert(pack);
        });
        Ok(replies)
    }

    fn roll_back(&mut self) {
        if !self.conn.is_autocommit() {
            // Where it fails too, the next BEGIN says so, and its batch is refused.
            let _ = self.execute("ROLLBACK");
        }
        // What was remembered may be of the transaction that is gone.
        self.cache.roll_back();
    }

    /// Does what can wait until the replies are sent.
    fn tidy(&mut self) {
        self.cache.trim();
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages >= self.copy_at {
            // A failing disk shows itself at the next commit.
            let _ = self
                .conn
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            // A reader that still needs older pages keeps the log from beginning anew; it is not tried again before
            // there is enough more to copy.
            self.copy_at = pages.saturating_add(Self::LOG_PAGES);
        } else if pages < self.copy_at - Self::LOG_PAGES {
            self.copy_at = Self::LOG_PAGES;
        }
        for pack in self.packs.removable() {
            let used = "SELECT EXISTS (SELECT 1 FROM blob WHERE pack = ?1)";
            match self.conn.query_row(used, [pack as i64], |row| row.get(0)) {
                Ok(false) => {
                    // What cannot be removed is tried again when the store is next opened.
                    let _ = self.packs.remove(pack);
                }
                // Nobody moves anything any more when the store is being closed.
                Ok(true) if self.thin.remove(&pack) => drop(self.thinned.send(Thinned::Pack(pack))),
                _ => {}
            }
        }
    }

    fn execute(&self, sql: &str) -> Result<(), CommitError> {
        let done = self
            .conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        done.map(drop).map_err(|error| engine_failed(&error))
    }
}

/// Tells whether an operation needs room for mail; all others are done on a disk that is nearly full, too.
const fn adds_mail(op: &Op) -> bool {
    matches!(op, Op::Append { .. } | Op::SpoolPut { key: None, .. })
}

/// Takes the batches that wait in the queue; where those are fewer than expected, also those that come within a moment.
/// A job of another kind ends the group and is returned with it.
fn gather(
    first: Request,
    queue: &Receiver<Job>,
    expected: usize,
    patience: Duration,
) -> (Vec<Request>, Option<Job>) {
    queue.wait_for(expected - 1, patience);
    let mut group = vec![first];
    while group.len() < Writer::GROUP {
        match queue.try_recv() {
            Some(Job::Commit(request)) => group.push(request),
            other => return (group, other),
        }
    }
    (group, None)
}

fn merge(all: &mut BTreeMap<u64, u64>, more: BTreeMap<u64, u64>) {
    for (pack, upto) in more {
        let it = all.entry(pack).or_default();
        *it = (*it).max(upto);
    }
}

fn engine_failed(error: &rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => CommitError::Full,
        _ => CommitError::Io(error.to_string()),
    }
}

fn io_failed(error: &io::Error) -> CommitError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CommitError::Full,
        _ => CommitError::Io(error.to_string()),
    }
}
