//! The store in memory passes the suite.

use mailwright_mailbox::{Limits, MemoryStore, conformance::Harness};

struct InMemory;

impl Harness for InMemory {
    type Store = MemoryStore;

    fn open(&mut self, limits: Limits) -> MemoryStore {
        MemoryStore::new(limits)
    }

    fn reopen(&mut self, store: MemoryStore) -> MemoryStore {
        store
    }
}

mailwright_mailbox::conformance_tests!(InMemory);
