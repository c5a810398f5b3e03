//! A process that is killed at any moment loses nothing that it acknowledged.
//!
//! A child process (this test binary again) works on a store with several sessions and tells what it is about to do
//! and what was done. It is killed; then the store must hold exactly what was acknowledged, but for the one
//! operation of each session that was under way, which may be there, whole, or not. The next child goes on with the
//! same folder.
//!
//! A kill leaves what the process had written to files; only a power cut would lose what was not synced.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)] // Tests end at what goes wrong.

mod kill;
mod sessions;

use std::path::Path;

use kill::Engine;
use mailwright_mailbox::conformance::block_on;
use mailwright_store::{Config, SqliteStore};

struct Sqlite;

impl Engine for Sqlite {
    type Store = SqliteStore;

    fn open(folder: &Path) -> SqliteStore {
        let mut config = Config::default();
        config.pack_octets = 1 << 20;
        SqliteStore::open(folder, config).unwrap()
    }

    fn check(store: &SqliteStore) {
        assert_eq!(block_on(store.check()).unwrap().problems, []);
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    kill::after_kills::<Sqlite>();
}

/// The children run this test alone.
#[test]
fn what_was_acknowledged_is_there_after_an_end() {
    kill::after_an_end::<Sqlite>();
}
