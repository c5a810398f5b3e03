//! A repair that the power is cut in does no harm: the next one finds all that the first had found.
//!
//! As in `power.rs`, a child process is followed by `strace`, and what it did is replayed on a simulated disk. By default some
//! 60 moments are looked at; `CRASH_POINTS` says how many, `all` for every one. Without `strace` the test says so and does
//! nothing, or fails where `REQUIRE_CRASH` is set.
#![cfg(all(feature = "sqlite", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

mod trace;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mailwright_mailbox::{
    Account, Batch, BlobWriter, Fields, Flags, MailboxId, MailboxName, MessageMeta, Op, Outcome, Scan, Store,
    conformance::block_on,
};
use mailwright_store::{Config, SqliteStore, sqlite::Repair};
use trace::{Disk, Event, Loss};

const FOLDER: &str = "MAILWRIGHT_REPAIR_TEST";
const NOW: i64 = 1_700_000_000;

#[test]
fn a_repair_may_be_cut_off_at_any_moment() {
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        let report = SqliteStore::fsck(folder, Repair::Yes).unwrap();
        assert_eq!(report.problems, []);
        println!("!mended {}", report.mended.len());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("mail");
    let before = fill(&mail);
    let file = mail.join("mail.db");
    let mut octets = fs::read(&file).unwrap();
    octets[..4096].fill(0x5a);
    fs::write(&file, octets).unwrap();
    let mut disk = Disk::of(&mail);
    let Some(events) = record(&mail, &folder.path().join("trace")) else {
        return;
    };
    let has_mended = |event: &Event| matches!(event, Event::Said(line) if line.starts_with("!mended"));
    assert!(events.iter().any(has_mended));
    let wanted = match std::env::var("CRASH_POINTS") {
        Ok(all) if all == "all" => events.len(),
        Ok(points) => points.parse().unwrap(),
        Err(_) => 60,
    };
    // The last of it moves the databases: every step of that is looked at.
    let every = (events.len() / wanted).max(1);
    let mut looked = 0;
    for (at, event) in events.iter().enumerate() {
        disk.apply(event);
        let moves = matches!(event, Event::Renamed { .. } | Event::Removed { .. });
        if at % every == 0 || moves {
            look(&disk, Loss::any(looked, at as u64), &before, at);
            looked += 1;
        }
        if moves {
            look(&disk, Loss::everything(), &before, at);
        }
    }
    look(&disk, Loss::everything(), &before, events.len());
    assert!(looked as usize >= wanted.min(events.len()), "{looked}");
}

/// Repairs what a power cut would leave.
fn look(disk: &Disk, mut loss: Loss, before: &BTreeMap<u32, Vec<u8>>, at: usize) {
    let folder = tempfile::tempdir().unwrap();
    disk.leave(folder.path(), &mut loss);
    let report = SqliteStore::fsck(folder.path(), Repair::Yes);
    let report = report.unwrap_or_else(|error| panic!("after operation {at}, {loss:?}: {error}"));
    assert_eq!(report.problems, [], "after operation {at}, {loss:?}");
    let store = SqliteStore::open(folder.path(), Config::default()).unwrap();
    assert!(mail(&store) == *before, "after operation {at}, {loss:?}");
}

fn record(mail: &Path, log: &Path) -> Option<Vec<Event>> {
    let mut command = Command::new("strace");
    command.args(trace::OPTIONS).arg("-o").arg(log);
    command.arg(std::env::current_exe().unwrap()).args([
        "a_repair_may_be_cut_off_at_any_moment",
        "--exact",
        "--nocapture",
        "--test-threads=2",
    ]);
    match command.env(FOLDER, mail).output() {
        Ok(child) if child.status.success() => Some(trace::parse(&fs::read(log).unwrap(), mail)),
        other => {
            assert!(
                std::env::var_os("REQUIRE_CRASH").is_none(),
                "strace does not work: {other:?}"
            );
            println!("skipped, strace does not work: {other:?}");
            None
        }
    }
}

fn fill(folder: &Path) -> BTreeMap<u32, Vec<u8>> {
    let store = SqliteStore::open(folder, Config::default()).unwrap();
    let create = Op::CreateMailbox {
        account: Account::new("bob"),
        name: MailboxName::inbox(),
        special_use: None,
    };
    let made = block_on(store.commit(Batch::new(NOW).with(create))).unwrap();
    let Outcome::Created { mailbox, .. } = made.outcomes[0] else {
        panic!("{made:?}")
    };
    for number in 0..24_u8 {
        let size = if number % 8 == 7 { 70_000 } else { 1000 };
        let mut writer = store.new_blob();
        block_on(writer.write(vec![b'a' + number; size + usize::from(number)].into())).unwrap();
        let append = Op::Append {
            mailbox,
            blob: block_on(writer.finish()).unwrap(),
            message: MessageMeta::default(),
            flags: Flags::new(),
            internal_date: NOW,
        };
        block_on(store.commit(Batch::new(NOW).with(append))).unwrap();
    }
    mail(&store)
}

fn mail(store: &SqliteStore) -> BTreeMap<u32, Vec<u8>> {
    let listed = block_on(store.mailboxes(&Account::new("bob"))).unwrap();
    let inbox: MailboxId = listed[0].id;
    let page = block_on(store.scan(inbox, Scan::all(Fields::BLOB))).unwrap();
    let read = |it: &mailwright_mailbox::Message| {
        let blob = it.blob.as_ref().unwrap();
        (
            it.uid.value(),
            block_on(store.read_blob(blob, 0..blob.size())).unwrap().to_vec(),
        )
    };
    page.messages.iter().map(read).collect()
}
