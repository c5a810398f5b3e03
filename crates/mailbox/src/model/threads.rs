//! The threads of an account

use std::collections::HashMap;

use crate::{ThreadId, ThreadKey};

/// Which keys belong to which thread, and how many messages each thread has.
#[derive(Debug, Default)]
pub(super) struct Threads {
    keys: HashMap<ThreadKey, ThreadId>,
    threads: HashMap<ThreadId, Thread>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Thread {
    pub(super) messages: u64,
    pub(super) keys: Vec<ThreadKey>,
}

impl Threads {
    pub(super) fn with_key(&self, key: ThreadKey) -> Option<ThreadId> {
        self.keys.get(&key).copied()
    }

    pub(super) fn thread(&self, thread: ThreadId) -> Thread {
        self.threads.get(&thread).cloned().unwrap_or_default()
    }

    /// Sets or removes a thread and returns what was there.
    pub(super) fn put(&mut self, id: ThreadId, thread: Option<Thread>) -> Option<Thread> {
        match thread {
            Some(thread) => self.threads.insert(id, thread),
            None => self.threads.remove(&id),
        }
    }

    /// Does again what was written down of a thread; without messages, it goes.
    pub(super) fn redo(&mut self, id: ThreadId, thread: Thread) {
        for key in self.thread(id).keys {
            if self.keys.get(&key) == Some(&id) {
                self.keys.remove(&key);
            }
        }
        if thread.messages == 0 {
            self.threads.remove(&id);
            return;
        }
        thread.keys.iter().for_each(|key| {
            self.keys.insert(*key, id);
        });
        self.threads.insert(id, thread);
    }

    /// All threads.
    pub(super) fn all(&self) -> impl Iterator<Item = (ThreadId, Thread)> + '_ {
        self.threads.iter().map(|(id, thread)| (*id, thread.clone()))
    }

    /// Gives a key to a thread or to none, and returns whose it was.
    pub(super) fn put_key(&mut self, key: ThreadKey, thread: Option<ThreadId>) -> Option<ThreadId> {
        match thread {
            Some(thread) => self.keys.insert(key, thread),
            None => self.keys.remove(&key),
        }
    }
}
