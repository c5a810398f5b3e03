//! The thread that commits, for all sessions: whoever waits at the same time shares one sync of the journal

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, mpsc},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Applied, Batch, BlobHash, BlobRef, ChangeHub, CommitError, Committed, Effect, Limits, MailboxId,
    MailboxName, Model, Op, Outcome, Uid,
};

use super::{
    bodies::{Bodies, Staged},
    codec::Entry,
    disk::{Disk, SUBSCRIPTIONS},
    format::{UidList, mailbox_of, parse_subscriptions},
    journal::Journal,
    names,
    notice::{self, Noticed},
    stamps::{Stamp, Stamps},
};
use crate::oneshot;

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Commit(Batch, oneshot::Sender<Result<Committed, CommitError>>),
    /// Look at the folder of a mailbox.
    Notice(MailboxId, oneshot::Sender<()>),
    /// Look at everything.
    Poll(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) model: Arc<RwLock<Model>>,
    pub(super) disk: Disk,
    pub(super) journal: Journal,
    pub(super) bodies: Arc<Bodies>,
    pub(super) stamps: Arc<Stamps>,
    pub(super) hub: Arc<ChangeHub>,
    pub(super) limits: Limits,
    pub(super) poll: Duration,
    pub(super) journal_octets: u64,
    pub(super) root: PathBuf,
    /// Entries since the journal said last that files and folders are on the disk.
    pub(super) unsettled: u64,
}

/// A batch that waits to be committed.
struct Waiting {
    batch: Batch,
    reply: Option<oneshot::Sender<Result<Committed, CommitError>>>,
    /// The bases of files that are there already, for the messages that the batch adds.
    names: Vec<String>,
}

/// A batch that was applied and is not on the disk yet.
struct Done {
    applied: Applied,
    reply: Option<oneshot::Sender<Result<Committed, CommitError>>>,
}

impl Writer {
    /// The most batches that share a sync.
    const GROUP: usize = 256;
    /// After so many entries, files and folders are synced, so that a start after a crash has little to do again.
    const UNSETTLED: u64 = 20_000;

    /// Works until all who could ask are gone.
    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let mut next_poll = Instant::now() + self.poll;
        loop {
            match jobs.recv_timeout(next_poll.saturating_duration_since(Instant::now())) {
                Ok(job) => self.work(job, jobs),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.look();
                    next_poll = Instant::now() + self.poll;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if self.journal.is_stale(self.journal_octets) {
                self.renew();
            }
            if self.unsettled > Self::UNSETTLED {
                self.settle();
            }
        }
        self.settle();
        let _ = self.write_lists();
    }

    /// Does a job, and all commits that wait behind it.
    fn work(&mut self, job: Job, jobs: &mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        let mut next = Some(job);
        while let Some(job) = next {
            match job {
                Job::Commit(batch, reply) => group.push(Waiting {
                    batch,
                    reply: Some(reply),
                    names: Vec::new(),
                }),
                other => {
                    self.commit(core::mem::take(&mut group));
                    match other {
                        Job::Notice(mailbox, done) => {
                            self.notice(mailbox);
                            done.send(());
                        }
                        Job::Poll(done) => {
                            self.look();
                            done.send(());
                        }
                        Job::Commit(..) => {}
                    }
                }
            }
            next = (group.len() < Self::GROUP)
                .then(|| jobs.try_recv().ok())
                .flatten();
        }
        self.commit(group);
    }

    /// Commits batches, each all or nothing, and all with one sync.
    fn commit(&mut self, group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.model);
        let mut model = write(&shared);
        let (mut done, mut entries, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for Waiting {
            mut batch,
            reply,
            names,
        } in group
        {
            let texts = take_texts(&mut batch);
            let known = |blob: &BlobRef| self.bodies.staged(blob).is_some();
            match model.apply(&batch, known) {
                Ok(applied) => {
                    let effects = model.effects(&applied);
                    entries.extend(named(effects, names));
                    bodies.extend(self.staged(&model, &batch));
                    for (hash, text) in texts {
                        // Without it, whoever searches looks at the message itself.
                        let _ = self.bodies.put_text(&hash, &text);
                    }
                    done.push(Done { applied, reply });
                }
                Err(error) => answer(reply, Err(error)),
            }
        }
        if let Err(error) = self.write(&entries, &bodies) {
            // Nobody has seen any of it.
            for Done { applied, reply } in done.into_iter().rev() {
                model.revert(applied);
                answer(reply, Err(refusal(&error)));
            }
            return;
        }
        let mut released = BTreeSet::new();
        let mut told = Vec::new();
        for Done { applied, reply } in done {
            released.extend(applied.released.iter().map(|blob| *blob.hash()));
            told.push((applied.committed, applied.changes, reply));
        }
        released.retain(|hash| !model.refers_to(&BlobRef::new(*hash, 0)));
        drop(model);
        self.unsettled += entries.len() as u64;
        self.disk.apply(&entries);
        released.iter().for_each(|hash| self.bodies.remove(hash));
        for (committed, changes, reply) in told {
            changes
                .into_iter()
                .for_each(|(account, change)| self.hub.publish(&account, [change]));
            answer(reply, Ok(committed));
        }
    }

    fn write(&mut self, entries: &[Entry], bodies: &[(BlobHash, Arc<Staged>)]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.bodies.keep(bodies)?;
        let mut payload = Vec::new();
        entries.iter().for_each(|entry| entry.put(&mut payload));
        self.journal.append(&payload)
    }

    /// The bodies that a batch brings, and that something refers to.
    fn staged(&self, model: &Model, batch: &Batch) -> Vec<(BlobHash, Arc<Staged>)> {
        let blobs = batch.ops.iter().filter_map(|op| match op {
            Op::Append { blob, .. } => Some(blob),
            Op::SpoolPut { blob, .. } => blob.as_ref(),
            _ => None,
        });
        let blobs = blobs.filter(|blob| model.refers_to(blob));
        blobs
            .filter_map(|blob| Some((*blob.hash(), self.bodies.staged(blob)?)))
            .collect()
    }

    /// Looks at the folder of a mailbox, and commits what others did there.
    fn notice(&mut self, mailbox: MailboxId) {
        // Until everything is where it belongs, what is missing was not taken away by others.
        while self.disk.retry() {
            let Some(path) = self.disk.path(mailbox).map(Path::to_owned) else {
                return;
            };
            let Some(stamp) = Stamp::of(&path) else { return };
            let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
            let noticed = notice::compare(&model, &mut self.disk, &self.bodies, &self.limits, mailbox, now());
            drop(model);
            let Ok(Noticed { batch, names, is_cut }) = noticed else {
                return;
            };
            if !batch.ops.is_empty() && !self.own(batch, names) {
                return;
            }
            if !is_cut {
                self.stamps.set(&path, stamp);
                return;
            }
        }
    }

    /// Commits a batch of our own; says whether that was possible.
    fn own(&mut self, batch: Batch, names: Vec<String>) -> bool {
        self.own_outcomes(batch, names).is_some()
    }

    fn own_outcomes(&mut self, batch: Batch, names: Vec<String>) -> Option<Vec<Outcome>> {
        let (reply, mut committed) = oneshot::channel();
        let reply = Some(reply);
        self.commit(vec![Waiting { batch, reply, names }]);
        // It was answered before the call came back.
        Some(committed.take()?.ok()?.outcomes)
    }

    /// Looks at everything, and makes all that was done outlast a power cut.
    fn look(&mut self) {
        if self.disk.retry() {
            self.discover();
            for mailbox in self.disk.mailboxes() {
                if self.stamps.is_doubtful(mailbox) {
                    self.notice(mailbox);
                }
            }
        }
        self.settle();
        let _ = self.write_lists();
    }

    fn settle(&mut self) {
        if self.unsettled == 0 || !matches!(self.disk.settle(), Ok(true)) {
            return;
        }
        let mut payload = Vec::new();
        Entry::Settled.put(&mut payload);
        if self.journal.append(&payload).is_ok() {
            self.unsettled = 0;
        }
    }

    fn write_lists(&mut self) -> io::Result<()> {
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        self.disk.write_lists(&model)
    }

    /// Writes the journal anew, once all files and folders are as it says.
    fn renew(&mut self) {
        if !matches!(self.disk.settle(), Ok(true)) {
            return;
        }
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        let disk = &self.disk;
        let entries = model.dump().flat_map(|effect| {
            let name = match &effect {
                Effect::Message { mailbox, message } => {
                    disk.name(*mailbox, message.uid).map(|base| Entry::Named {
                        mailbox: *mailbox,
                        uid: message.uid,
                        base: base.to_owned(),
                    })
                }
                _ => None,
            };
            name.into_iter().chain([Entry::Effect(effect)])
        });
        // If it fails, the old one stays, which is as true.
        if self.journal.renew(entries).is_ok() {
            self.unsettled = 0;
        }
    }

    /// Finds accounts and folders that others have made, and folders that they have removed.
    pub(super) fn discover(&mut self) {
        let accounts = subfolders(&self.root)
            .into_iter()
            .filter(|name| !name.starts_with('.'));
        for account in accounts.filter_map(|name| names::account_of(&name)) {
            let account = Account::new(account);
            let root = self.disk.of_account(&account);
            if is_maildir(&root) {
                self.discover_account(&account, &root);
            }
        }
    }

    fn discover_account(&mut self, account: &Account, root: &Path) {
        let known = self.read().mailboxes(account);
        let is_fresh = known.is_empty();
        for info in known {
            let path = self.disk.path(info.id).map(Path::to_owned);
            if path.is_some_and(|path| path != root && !path.exists()) {
                let delete = Op::DeleteMailbox {
                    account: account.clone(),
                    name: info.name,
                };
                self.own(Batch::new(now()).with(delete), Vec::new());
            }
        }
        let names: HashSet<MailboxName> = self
            .read()
            .mailboxes(account)
            .into_iter()
            .map(|it| it.name)
            .collect();
        let places = self.disk.paths();
        let mut found = vec![(MailboxName::inbox(), root.to_owned())];
        for name in subfolders(root)
            .into_iter()
            .filter(|name| !name.starts_with(".="))
        {
            let path = root.join(&name);
            if let Some(mailbox) = mailbox_of(&name).filter(|_| is_maildir(&path)) {
                found.push((mailbox, path));
            }
        }
        for (name, path) in found {
            if places.contains(&path) || names.contains(&name) {
                continue;
            }
            let create = Op::CreateMailbox {
                account: account.clone(),
                name,
                special_use: None,
            };
            let created = self.own_outcomes(Batch::new(now()).with(create), Vec::new());
            let created = created.as_deref().and_then(<[Outcome]>::first);
            if let Some(Outcome::Created { mailbox, .. }) = created {
                self.adopt(*mailbox, &path);
            }
        }
        if is_fresh && let Ok(text) = fs::read_to_string(root.join(SUBSCRIPTIONS)) {
            for name in parse_subscriptions(&text) {
                let subscribe = Op::Subscribe {
                    account: account.clone(),
                    name,
                    on: true,
                };
                self.own(Batch::new(now()).with(subscribe), Vec::new());
            }
        }
    }

    /// Takes over the UIDs that Dovecot gave in a folder, and its messages.
    fn adopt(&mut self, mailbox: MailboxId, path: &Path) {
        let list = fs::read_to_string(path.join(UidList::FILE)).ok();
        let list = list.and_then(|text| UidList::parse(&text));
        let adopt = |uid_validity, uid_next| {
            Batch::new(now()).with(Op::AdoptUids {
                mailbox,
                uid_validity,
                uid_next,
            })
        };
        if let Some(list) = &list {
            self.own(adopt(list.uid_validity, Uid::MIN), Vec::new());
        }
        self.notice(mailbox);
        if let Some(uid_next) = list.and_then(|it| it.uid_next) {
            self.own(adopt(None, uid_next), Vec::new());
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Model> {
        self.model.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives each message that is added a name, just before it.
fn named(effects: Vec<Effect>, given: Vec<String>) -> impl Iterator<Item = Entry> {
    let mut given = given.into_iter();
    // Counters alone are what a batch without any operation leaves.
    let effects = match effects.len() {
        0 | 1 => Vec::new(),
        _ => effects,
    };
    effects.into_iter().flat_map(move |effect| {
        let name = match &effect {
            Effect::Message { mailbox, message } => Some(Entry::Named {
                mailbox: *mailbox,
                uid: message.uid,
                base: given
                    .next()
                    .unwrap_or_else(|| fresh_name(message.save_date, message.size())),
            }),
            _ => None,
        };
        name.into_iter().chain([Entry::Effect(effect)])
    })
}

/// A name that no file has had before: the time, the process, when that began, and a number.
fn fresh_name(save_date: i64, size: u64) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    static BEGAN: std::sync::OnceLock<u128> = std::sync::OnceLock::new();

    let began = *BEGAN.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |it| it.as_micros())
    });
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    format!("{save_date}.M{began}P{process}Q{number}.mailwright,S={size}")
}

/// Takes the texts of a batch's messages out of it: they are kept beside the bodies.
fn take_texts(batch: &mut Batch) -> Vec<(BlobHash, Bytes)> {
    let appends = batch.ops.iter_mut().filter_map(|op| match op {
        Op::Append { blob, message, .. } => {
            // All that is in the journal is in memory as well: there is no room for sketches.
            message.sketch = Bytes::new();
            Some((*blob.hash(), message.text.take()?))
        }
        _ => None,
    });
    appends.collect()
}

fn answer(
    reply: Option<oneshot::Sender<Result<Committed, CommitError>>>,
    result: Result<Committed, CommitError>,
) {
    if let Some(reply) = reply {
        reply.send(result);
    }
}

fn refusal(error: &io::Error) -> CommitError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CommitError::Full,
        _ => CommitError::Io(error.to_string()),
    }
}

fn write(model: &RwLock<Model>) -> RwLockWriteGuard<'_, Model> {
    // A panic while the lock is held would be a defect of the model; the data is as sound as it was before.
    model.write().unwrap_or_else(PoisonError::into_inner)
}

fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() && path.join("new").is_dir()
}

fn subfolders(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(_) => 0,
    }
}
