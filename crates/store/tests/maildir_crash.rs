//! A process with a Maildir store that is killed at any moment loses nothing that it acknowledged, and its files are
//! what the store says.
#![cfg(feature = "maildir")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Tests end at what goes wrong.

mod kill;
mod sessions;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use kill::Engine;
use mailwright_mailbox::{Fields, Scan, Store, conformance::block_on};
use mailwright_store::{MaildirStore, maildir::Config};

struct Maildir;

impl Engine for Maildir {
    type Store = MaildirStore;

    fn open(folder: &Path) -> MaildirStore {
        let mut config = Config::default();
        config.poll = Duration::from_millis(100);
        config.journal_octets = 100_000;
        MaildirStore::open(folder, config).unwrap()
    }

    /// The store says nothing but what is in the folders: as many files as messages, with their octets and flags.
    fn check(store: &MaildirStore) {
        for account in block_on(store.accounts(None, 100)).unwrap() {
            for info in block_on(store.mailboxes(&account)).unwrap() {
                let scan = Scan::all(Fields::BLOB | Fields::FLAGS).limit(10_000);
                let messages = block_on(store.scan(info.id, scan)).unwrap().messages;
                let mut said: Vec<_> = messages
                    .iter()
                    .map(|it| (it.size(), !it.flags.is_empty()))
                    .collect();
                let root = store.root().join(account.as_str());
                let folder = match info.name.is_inbox() {
                    true => root,
                    false => root.join(format!(".{}", info.name)),
                };
                let mut found = Vec::new();
                let mut names = BTreeSet::new();
                for sub in ["cur", "new"] {
                    for entry in fs::read_dir(folder.join(sub)).unwrap() {
                        let entry = entry.unwrap();
                        let name = entry.file_name().into_string().unwrap();
                        found.push((entry.metadata().unwrap().len(), name.contains(":2,F")));
                        names.insert(name.split(':').next().unwrap().to_owned());
                    }
                }
                said.sort_unstable();
                found.sort_unstable();
                assert_eq!(said, found, "{account}, {}", info.name);
                assert_eq!(names.len(), messages.len());
            }
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    kill::after_kills::<Maildir>();
}

/// The children run this test alone.
#[test]
fn what_was_acknowledged_is_there_after_an_end() {
    kill::after_an_end::<Maildir>();
}
