//! The SQLite store passes the suite, and its own check finds nothing wrong each time it is closed.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)] // Tests end at what goes wrong.

use mailwright_mailbox::{
    Limits,
    conformance::{Harness, block_on},
};
use mailwright_store::{Config, SqliteStore};
use tempfile::TempDir;

struct OnDisk {
    folders: Vec<TempDir>,
    limits: Limits,
}

impl OnDisk {
    fn new() -> Self {
        Self {
            folders: Vec::new(),
            limits: Limits::default(),
        }
    }

    fn store(&self) -> SqliteStore {
        let mut config = Config::default();
        config.limits = self.limits;
        // Small packs, so that many of them come and go.
        config.pack_octets = 150_000;
        SqliteStore::open(self.folders.last().unwrap().path(), config).unwrap()
    }
}

impl Harness for OnDisk {
    type Store = SqliteStore;

    fn open(&mut self, limits: Limits) -> SqliteStore {
        self.folders.push(tempfile::tempdir().unwrap());
        self.limits = limits;
        self.store()
    }

    fn reopen(&mut self, store: SqliteStore) -> SqliteStore {
        let report = block_on(store.check()).unwrap();
        assert_eq!(report.problems, []);
        drop(store);
        self.store()
    }
}

mailwright_mailbox::conformance_tests!(OnDisk::new());
