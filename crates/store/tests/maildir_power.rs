//! A power cut at any moment costs nothing that was acknowledged in Maildir folders.
#![cfg(all(feature = "maildir", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

mod cut;
mod sessions;
mod trace;

use std::path::Path;

use cut::Engine;
use mailwright_mailbox::conformance::block_on;
use mailwright_store::{Error, MaildirStore, maildir::Config};

struct Maildir;

impl Engine for Maildir {
    type Store = MaildirStore;

    fn open(folder: &Path) -> Result<MaildirStore, Error> {
        let mut config = Config::default();
        // Files and folders are synced, and the journal is written anew, in the middle of it all.
        config.poll = std::time::Duration::from_millis(20);
        config.journal_octets = 10_000;
        config.reader_threads = 1;
        MaildirStore::open(folder, config)
    }

    fn check(store: &MaildirStore, what: &str) {
        assert_eq!(block_on(store.check()).unwrap(), [""; 0], "{what}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut() {
    cut::at_any_moment::<Maildir>("what_was_acknowledged_is_there_after_a_power_cut");
}
