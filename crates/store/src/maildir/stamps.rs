//! By what a change that others made is seen: the times of the two folders that hold the files

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use mailwright_mailbox::MailboxId;

/// The times of `cur` and `new`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stamp {
    cur: SystemTime,
    new: SystemTime,
}

impl Stamp {
    /// Reads the times of a folder; `None` if it is not there.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let time = |sub| fs::metadata(folder.join(sub)).and_then(|it| it.modified()).ok();
        Some(Self {
            cur: time("cur")?,
            new: time("new")?,
        })
    }

    /// Clocks of file systems are coarse: what happens right behind a look may leave the time as it was.
    fn is_young(self) -> bool {
        const COARSE: Duration = Duration::from_secs(2);

        let latest = self.cur.max(self.new);
        !matches!(latest.elapsed(), Ok(age) if age > COARSE)
    }
}

/// What was seen of each folder, by those who read and the one who writes.
#[derive(Debug, Default)]
pub(super) struct Stamps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    paths: HashMap<MailboxId, PathBuf>,
    seen: HashMap<PathBuf, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    /// The folder had just changed then: it is worth another look.
    was_young: bool,
}

impl Stamps {
    /// Says where the folder of a mailbox is.
    pub(super) fn place(&self, mailbox: MailboxId, path: &Path) {
        let mut state = self.lock();
        if let Some(before) = state.paths.insert(mailbox, path.to_owned())
            && let Some(seen) = state.seen.remove(&before)
        {
            // To move a folder leaves the times of those in it.
            state.seen.insert(path.to_owned(), seen);
        }
    }

    pub(super) fn forget(&self, mailbox: MailboxId) {
        let mut state = self.lock();
        if let Some(path) = state.paths.remove(&mailbox) {
            state.seen.remove(&path);
        }
    }

    /// Says that a folder was looked at, when it had this stamp.
    pub(super) fn set(&self, folder: &Path, stamp: Stamp) {
        let was_young = stamp.is_young();
        self.lock()
            .seen
            .insert(folder.to_owned(), Seen { stamp, was_young });
    }

    /// Says that a folder must be looked at.
    pub(super) fn unsee(&self, folder: &Path) {
        self.lock().seen.remove(folder);
    }

    /// Whether a folder is as it was seen last.
    pub(super) fn is_as_seen(&self, folder: &Path) -> bool {
        let seen = self.lock().seen.get(folder).copied();
        seen.is_some_and(|seen| Stamp::of(folder) == Some(seen.stamp))
    }

    /// Whether somebody else has changed the folder of a mailbox since it was looked at.
    pub(super) fn is_changed(&self, mailbox: MailboxId) -> bool {
        let path = self.lock().paths.get(&mailbox).cloned();
        path.is_some_and(|path| !self.is_as_seen(&path))
    }

    /// As [`is_changed`](Self::is_changed), or it had just changed when it was looked at.
    pub(super) fn is_doubtful(&self, mailbox: MailboxId) -> bool {
        let state = self.lock();
        let seen = state.paths.get(&mailbox).and_then(|path| state.seen.get(path));
        let was_young = seen.is_some_and(|seen| seen.was_young);
        drop(state);
        was_young || self.is_changed(mailbox)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
