//! The change feed: tells sessions which mailboxes of their account have changed

use core::{
    future::poll_fn,
    task::{Poll, Waker},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{Account, MailboxId, ModSeq};

/// Says that a mailbox has changed, up to and including a mod-sequence.
///
/// A mailbox that was created, renamed, deleted, subscribed to, shared or annotated is told of in the same way: whoever
/// cares reads it again. For what belongs to the account and to no mailbox, INBOX is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Change {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its highest mod-sequence after the change.
    pub mod_seq: ModSeq,
    /// Nothing but its messages has changed: who lists mailboxes need not look again.
    pub messages_only: bool,
}

impl Change {
    /// Makes a notice that anything of a mailbox may have changed; for stores.
    pub const fn new(mailbox: MailboxId, mod_seq: ModSeq) -> Self {
        Self {
            mailbox,
            mod_seq,
            messages_only: false,
        }
    }

    /// Makes a notice that messages of a mailbox have changed, or came or went; for stores.
    pub const fn of_messages(mailbox: MailboxId, mod_seq: ModSeq) -> Self {
        Self {
            mailbox,
            mod_seq,
            messages_only: true,
        }
    }

    /// Joins two notices of one mailbox.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            mailbox: self.mailbox,
            mod_seq: self.mod_seq.max(other.mod_seq),
            messages_only: self.messages_only && other.messages_only,
        }
    }
}

/// One session's view of the changes in an account.
///
/// Notices of the same mailbox are joined into the latest one, so a feed that nobody reads takes memory for each
/// mailbox, not for each change. A notice says that something changed and never what: losing one costs nothing to
/// a reader that compares mod-sequences.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

impl Feed {
    /// Waits until something has changed since the last call and returns it, one entry for each mailbox;
    /// `None` when the store is closed.
    ///
    /// Dropping the future loses nothing.
    pub fn changed(&mut self) -> impl Future<Output = Option<Vec<Change>>> + Send + '_ {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if !state.pending.is_empty() {
                return Poll::Ready(Some(state.take()));
            }
            if state.closed {
                return Poll::Ready(None);
            }
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => state.waker = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
    }

    /// Returns what has changed since the last call, without waiting.
    pub fn take(&mut self) -> Vec<Change> {
        self.shared.lock().take()
    }
}

/// Carries the notices from a store to its feeds; stores hold one.
#[derive(Debug, Default)]
pub struct ChangeHub {
    feeds: Mutex<HashMap<Account, Vec<Weak<Shared>>>>,
}

impl ChangeHub {
    /// Makes a hub without feeds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a feed of an account's changes from here on.
    pub fn subscribe(&self, account: &Account) -> Feed {
        let shared = Arc::new(Shared::default());
        let mut feeds = lock(&self.feeds);
        let of_account = feeds.entry(account.clone()).or_default();
        of_account.retain(|feed| feed.strong_count() > 0);
        of_account.push(Arc::downgrade(&shared));
        Feed { shared }
    }

    /// Tells every feed of the account.
    pub fn publish(&self, account: &Account, changes: impl IntoIterator<Item = Change>) {
        let mut feeds = lock(&self.feeds);
        let Some(of_account) = feeds.get_mut(account) else {
            return;
        };
        let mut live: Vec<_> = of_account.iter().filter_map(Weak::upgrade).collect();
        if live.len() < of_account.len() {
            of_account.retain(|feed| feed.strong_count() > 0);
        }
        if live.is_empty() {
            feeds.remove(account);
            return;
        }
        drop(feeds);
        let changes: Vec<_> = changes.into_iter().collect();
        live.drain(..).for_each(|feed| feed.put(&changes));
    }
}

impl Drop for ChangeHub {
    fn drop(&mut self) {
        for feed in lock(&self.feeds)
            .drain()
            .flat_map(|(_, feeds)| feeds)
            .filter_map(|feed| feed.upgrade())
        {
            let mut state = feed.lock();
            state.closed = true;
            wake(state);
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pending: BTreeMap<MailboxId, Change>,
    waker: Option<Waker>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn put(&self, changes: &[Change]) {
        let mut state = self.lock();
        for change in changes {
            let joined = state.pending.entry(change.mailbox).or_insert(*change);
            *joined = joined.and(*change);
        }
        wake(state);
    }
}

impl State {
    fn take(&mut self) -> Vec<Change> {
        core::mem::take(&mut self.pending).into_values().collect()
    }
}

/// Wakes after the lock is given back: the woken may run at once and want it.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Nothing under these locks can panic half-way through a change, so a poisoned lock still guards sound data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
