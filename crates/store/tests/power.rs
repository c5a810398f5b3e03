//! A power cut at any moment costs nothing that was acknowledged, whether SQLite or a pack was written.
#![cfg(all(feature = "sqlite", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

mod cut;
mod sessions;
mod trace;

use std::path::Path;

use cut::Engine;
use mailwright_mailbox::conformance::block_on;
use mailwright_store::{Config, Error, SqliteStore};

struct Sqlite;

impl Engine for Sqlite {
    type Store = SqliteStore;

    fn open(folder: &Path) -> Result<SqliteStore, Error> {
        let mut config = Config::default();
        config.pack_octets = 400_000;
        config.reader_threads = 1;
        SqliteStore::open(folder, config)
    }

    fn check(store: &SqliteStore, what: &str) {
        assert_eq!(block_on(store.check()).unwrap().problems, [], "{what}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut() {
    cut::at_any_moment::<Sqlite>("what_was_acknowledged_is_there_after_a_power_cut");
}
