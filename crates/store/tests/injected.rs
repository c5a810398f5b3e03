//! A disk that fails for a while: what fits is refused with a temporary error, all else goes on, and nothing that was
//! acknowledged is lost.
//!
//! A child process (this test binary again) works on a store under `strace`, which makes some of its system calls fail.
//! Where there is no `strace` the tests say so and do nothing, or fail where `REQUIRE_CRASH` is set.
#![cfg(all(feature = "sqlite", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, CommitError, Fields, Flags, MailboxId, MailboxName, MessageMeta, Op,
    Outcome, Scan, Store, StoreError, Uid, conformance::block_on,
};
use mailwright_store::{Config, SqliteStore};

const FOLDER: &str = "MAILWRIGHT_FAULT_TEST";
const STEPS: usize = 60;
const NOW: i64 = 1_700_000_000;

fn open(folder: &Path) -> SqliteStore {
    let mut config = Config::default();
    config.pack_octets = 300_000;
    SqliteStore::open(folder, config).unwrap()
}

fn inbox(store: &SqliteStore) -> MailboxId {
    let account = Account::new("bob");
    if let Some(info) = block_on(store.mailboxes(&account)).unwrap().first() {
        return info.id;
    }
    let create = Op::CreateMailbox {
        account,
        name: MailboxName::inbox(),
        special_use: None,
    };
    match block_on(store.commit(Batch::new(NOW).with(create)))
        .unwrap()
        .outcomes[0]
    {
        Outcome::Created { mailbox, .. } => mailbox,
        ref other => panic!("{other:?}"),
    }
}

/// Every third goes to a pack.
fn body(step: usize) -> Vec<u8> {
    let size = if step.is_multiple_of(3) { 70_000 } else { 900 } + step;
    (0..size).map(|i| (i * 31 + i / 251 + step * 7) as u8).collect()
}

async fn append(store: &SqliteStore, mailbox: MailboxId, step: usize) -> Result<Uid, String> {
    let storing = |error: StoreError| {
        assert!(error.is_temporary(), "{error}");
        error.to_string()
    };
    let mut writer = store.new_blob();
    writer.write(body(step).into()).await.map_err(storing)?;
    let blob = writer.finish().await.map_err(storing)?;
    let op = Op::Append {
        mailbox,
        blob,
        message: MessageMeta::default(),
        flags: Flags::new(),
        internal_date: NOW,
    };
    let done = store.commit(Batch::new(NOW).with(op)).await;
    match done
        .map_err(|error: CommitError| {
            assert!(error.is_temporary(), "{error}");
            error.to_string()
        })?
        .outcomes[0]
    {
        Outcome::Appended { uid, .. } => Ok(uid),
        ref other => panic!("{other:?}"),
    }
}

fn read(store: &SqliteStore, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
    let mut octets = Vec::new();
    while (octets.len() as u64) < blob.size() {
        octets.extend_from_slice(&block_on(store.read_blob(blob, octets.len() as u64..u64::MAX))?);
    }
    Ok(octets)
}

fn blobs(store: &SqliteStore, mailbox: MailboxId) -> BTreeMap<u32, BlobRef> {
    let page = block_on(store.scan(mailbox, Scan::all(Fields::BLOB).limit(10_000))).unwrap();
    let of = |it: mailwright_mailbox::Message| (it.uid.value(), it.blob.unwrap());
    page.messages.into_iter().map(of).collect()
}

/// The child: tells of each step what came of it.
fn work(folder: &Path) {
    let store = open(folder);
    let mailbox = inbox(&store);
    let mut known = BTreeMap::new();
    for step in 0..STEPS {
        match block_on(append(&store, mailbox, step)) {
            Ok(uid) => {
                known.insert(uid.value(), step);
                println!("!ok {step} {}", uid.value());
            }
            Err(error) => println!("!no {step} {error}"),
        }
        // All else is there at every moment.
        let there = blobs(&store, mailbox);
        for (uid, step) in known.iter().rev().take(4) {
            match read(&store, &there[uid]) {
                Ok(octets) => assert!(octets == body(*step)),
                Err(error) => println!("!unread {step} {error}"),
            }
        }
    }
}

struct Told {
    // UID → step.
    done: BTreeMap<u32, usize>,
    refused: Vec<(usize, String)>,
    unread: Vec<String>,
}

/// Runs the child with faults in the calls that concern a file of the folder; `None` when there is no strace.
fn run(test: &str, faults: &[(&str, &str)]) -> Option<(tempfile::TempDir, Told)> {
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        work(&folder);
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "/dev/null"]);
    for (file, inject) in faults {
        command.arg("-P").arg(folder.path().join(file));
        command.arg("-e").arg(format!("inject={inject}"));
    }
    command
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=2"]);
    let child = match command.env(FOLDER, folder.path()).output() {
        Ok(child) => child,
        Err(error) => {
            assert!(
                std::env::var_os("REQUIRE_CRASH").is_none(),
                "there is no strace: {error}"
            );
            println!("skipped, there is no strace: {error}");
            return None;
        }
    };
    let (output, complaints) = (
        String::from_utf8_lossy(&child.stdout).into_owned(),
        String::from_utf8_lossy(&child.stderr).into_owned(),
    );
    assert!(child.status.success(), "{output}{complaints}");
    let mut told = Told {
        done: BTreeMap::new(),
        refused: Vec::new(),
        unread: Vec::new(),
    };
    for line in output.lines() {
        let mut words = line.splitn(3, ' ');
        let (what, step) = (words.next().unwrap(), words.next().unwrap_or_default());
        let rest = words.next().unwrap_or_default();
        match what {
            "!ok" => drop(told.done.insert(rest.parse().unwrap(), step.parse().unwrap())),
            "!no" => told.refused.push((step.parse().unwrap(), rest.to_owned())),
            "!unread" => told.unread.push(rest.to_owned()),
            _ => {}
        }
    }
    assert_eq!(told.done.len() + told.refused.len(), STEPS, "{output}");
    Some((folder, told))
}

/// What was acknowledged is there, byte for byte; what was refused may be there only where that was in doubt.
fn compare(folder: &Path, told: &Told) {
    let store = open(folder);
    assert_eq!(block_on(store.check()).unwrap().problems, []);
    let mailbox = inbox(&store);
    let there = blobs(&store, mailbox);
    for (uid, step) in &told.done {
        assert!(read(&store, &there[uid]).unwrap() == body(*step), "UID {uid}");
    }
    for (uid, blob) in &there {
        let octets = read(&store, blob).unwrap();
        let refused = || told.refused.iter().any(|(step, _)| body(*step) == octets);
        assert!(told.done.contains_key(uid) || refused(), "UID {uid}");
    }
    let uid = block_on(append(&store, mailbox, 1)).unwrap();
    assert!(told.done.keys().last().is_none_or(|last| uid.value() > *last));
}

#[test]
fn a_full_disk_refuses_mail_until_there_is_room_again() {
    let log = "mail.db-wal";
    let Some((folder, told)) = run(
        "a_full_disk_refuses_mail_until_there_is_room_again",
        &[(log, "pwrite64:error=ENOSPC:when=100..130")],
    ) else {
        return;
    };
    let (first, last) = (told.refused[0].0, told.refused.last().unwrap().0);
    assert!(
        told.refused
            .iter()
            .all(|it| it.1 == CommitError::Full.to_string()),
        "{:?}",
        told.refused
    );
    assert!(told.done.values().any(|step| *step < first));
    assert!(
        told.done.values().any(|step| *step > last),
        "it goes on by itself"
    );
    compare(folder.path(), &told);
}

#[test]
fn a_log_that_cannot_be_synced_acknowledges_nothing() {
    let Some((folder, told)) = run(
        "a_log_that_cannot_be_synced_acknowledges_nothing",
        &[("mail.db-wal", "fsync,fdatasync:error=EIO:when=20..24")],
    ) else {
        return;
    };
    assert_eq!(told.refused.len(), 5, "{:?}", told.refused);
    assert!(told.refused.iter().all(|it| !it.1.contains('\n')));
    compare(folder.path(), &told);
}

#[test]
fn a_pack_that_cannot_be_synced_is_written_no_more() {
    let pack = "packs/0000000001.pack";
    let Some((folder, told)) = run(
        "a_pack_that_cannot_be_synced_is_written_no_more",
        &[(pack, "fsync,fdatasync:error=EIO:when=2")],
    ) else {
        return;
    };
    assert_eq!(told.refused.len(), 1, "{:?}", told.refused);
    compare(folder.path(), &told);
    // The next body went to another.
    assert!(folder.path().join("packs/0000000002.pack").exists());
}

#[test]
fn a_pack_that_cannot_be_read_for_a_while_hides_only_its_own() {
    let pack = "packs/0000000001.pack";
    let Some((folder, told)) = run(
        "a_pack_that_cannot_be_read_for_a_while_hides_only_its_own",
        &[(pack, "pread64:error=EIO:when=3..6")],
    ) else {
        return;
    };
    assert!(told.refused.is_empty() && !told.unread.is_empty());
    assert!(
        told.unread
            .iter()
            .all(|line| line.starts_with("storage failed: ")),
        "{:?}",
        told.unread
    );
    compare(folder.path(), &told);
}

#[test]
fn a_database_that_cannot_be_copied_into_goes_on_in_its_log() {
    let Some((folder, told)) = run(
        "a_database_that_cannot_be_copied_into_goes_on_in_its_log",
        &[("mail.db", "pwrite64,fsync,fdatasync:error=EIO:when=1+")],
    ) else {
        return;
    };
    assert_eq!(told.refused, []);
    compare(folder.path(), &told);
}
