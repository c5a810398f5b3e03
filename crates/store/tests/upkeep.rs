//! What a store does beside its work: it gives space back, copies itself, keeps a reserve.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, CommitError, Fields, FlagChange, Flags, MailboxId, MailboxName,
    Message, MessageMeta, Op, Outcome, Scan, Store, SystemFlags, Uid, UidSet, conformance::block_on,
};
use mailwright_store::{Config, SqliteStore};

const NOW: i64 = 1_700_000_000;

fn create(store: &SqliteStore, account: &str) -> MailboxId {
    let create = Op::CreateMailbox {
        account: Account::new(account),
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

fn body(number: usize, size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 251 + number * 7) as u8).collect()
}

fn put(store: &SqliteStore, body: Vec<u8>) -> BlobRef {
    let mut writer = store.new_blob();
    block_on(writer.write(body.into())).unwrap();
    block_on(writer.finish()).unwrap()
}

fn append(store: &SqliteStore, mailbox: MailboxId, body: Vec<u8>) -> Result<Uid, CommitError> {
    let op = Op::Append {
        mailbox,
        blob: put(store, body),
        message: MessageMeta::new("index".into()),
        flags: Flags::new(),
        internal_date: NOW,
    };
    match block_on(store.commit(Batch::new(NOW).with(op)))?.outcomes[0] {
        Outcome::Appended { uid, .. } => Ok(uid),
        ref other => panic!("{other:?}"),
    }
}

fn expunge(store: &SqliteStore, mailbox: MailboxId, uids: UidSet) {
    let op = Op::Expunge {
        mailbox,
        uids,
        deleted_only: false,
    };
    block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
}

fn messages(store: &SqliteStore, mailbox: MailboxId) -> Vec<Message> {
    let all = Scan::all(Fields::FLAGS | Fields::BLOB).limit(10_000);
    block_on(store.scan(mailbox, all)).unwrap().messages
}

fn read(store: &SqliteStore, message: &Message) -> Vec<u8> {
    let blob = message.blob.as_ref().unwrap();
    let mut octets = Vec::new();
    while (octets.len() as u64) < blob.size() {
        octets.extend_from_slice(&block_on(store.read_blob(blob, octets.len() as u64..blob.size())).unwrap());
    }
    octets
}

fn packed_octets(folder: &Path) -> u64 {
    let packs = fs::read_dir(folder.join("packs")).unwrap();
    packs.map(|it| it.unwrap().metadata().unwrap().len()).sum()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_space_of_expunged_bodies_is_given_back_while_others_are_read() {
    const SIZE: usize = 150_000;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.pack_octets = 3_000_000;
    let store = SqliteStore::open(folder.path(), config.clone()).unwrap();
    let mailbox = create(&store, "bob");
    for number in 1..=60 {
        assert_eq!(
            append(&store, mailbox, body(number, SIZE)).unwrap().value() as usize,
            number
        );
    }
    let before = packed_octets(folder.path());
    assert!(before > 60 * SIZE as u64);
    let kept: Vec<_> = messages(&store, mailbox)
        .into_iter()
        .filter(|message| message.uid.value() % 10 == 3)
        .collect();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        // Whoever reads from what is left finds it at every moment.
        let readers = [0, 1].map(|_| {
            scope.spawn(|| {
                let mut rounds = 0;
                while !ended.load(Ordering::Relaxed) || rounds < 2 {
                    for message in &kept {
                        assert_eq!(read(&store, message), body(message.uid.value() as usize, SIZE));
                    }
                    rounds += 1;
                }
            })
        });
        let gone = (1..=60)
            .filter(|uid| uid % 10 != 3)
            .map(|uid| Uid::new(uid).unwrap());
        for uid in gone {
            expunge(&store, mailbox, uid.into());
        }
        wait_until("the packs to shrink", || {
            packed_octets(folder.path()) < before / 2
        });
        ended.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(block_on(store.check()).unwrap().problems, []);
    drop(store);
    let store = SqliteStore::open(folder.path(), config).unwrap();
    let left = messages(&store, mailbox);
    assert_eq!(left.len(), 6);
    for message in &left {
        assert_eq!(read(&store, message), body(message.uid.value() as usize, SIZE));
    }
    assert_eq!(block_on(store.check()).unwrap().problems, []);
}

#[test]
fn a_damaged_body_keeps_only_its_own_pack() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Config::default()).unwrap();
    let mailbox = create(&store, "bob");
    for number in 1..=10 {
        append(&store, mailbox, body(number, 100_000)).unwrap();
    }
    // A flipped octet in the first body.
    let pack = fs::read_dir(folder.path().join("packs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut octets = fs::read(&pack).unwrap();
    octets[70_000] ^= 1;
    fs::write(&pack, octets).unwrap();
    expunge(
        &store,
        mailbox,
        (Uid::new(3).unwrap()..=Uid::new(9).unwrap()).into(),
    );
    wait_until("a second pack", || {
        fs::read_dir(folder.path().join("packs")).unwrap().count() == 2
    });
    let left = messages(&store, mailbox);
    wait_until("the good ones to be in it", || {
        let report = block_on(store.check()).unwrap();
        report.problems.len() == 1 && left[1..].iter().all(|it| read(&store, it).len() == 100_000)
    });
    assert_eq!(left.len(), 3);
}

#[test]
fn a_backup_is_true_at_one_moment_while_work_goes_on() {
    const SESSIONS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.pack_octets = 1 << 20;
    let store = SqliteStore::open(folder.path().join("mail"), config.clone()).unwrap();
    let mailboxes: Vec<_> = (0..SESSIONS)
        .map(|n| create(&store, &format!("user{n}")))
        .collect();
    // What each session has been told is done: appended so many, expunged all but the last 20.
    let done = Mutex::new(vec![0_usize; SESSIONS]);
    let ended = AtomicBool::new(false);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        for (session, &mailbox) in mailboxes.iter().enumerate() {
            let (store, done, ended) = (&store, &done, &ended);
            scope.spawn(move || {
                let mut number = 0;
                while !ended.load(Ordering::Relaxed) {
                    number += 1;
                    let size = if number % 5 == 0 { 120_000 } else { 300 };
                    append(store, mailbox, body(number, size)).unwrap();
                    done.lock().unwrap()[session] = number;
                    let change = FlagChange::Add(SystemFlags::SEEN.into());
                    let uids = Uid::new(number as u32).unwrap().into();
                    let op = Op::StoreFlags {
                        mailbox,
                        uids,
                        change,
                        unchanged_since: None,
                    };
                    block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
                    if number > 20 {
                        expunge(store, mailbox, Uid::new(number as u32 - 20).unwrap().into());
                    }
                }
            });
        }
        for copy in 0..4 {
            thread::sleep(Duration::from_millis(150));
            let before = done.lock().unwrap().clone();
            let to = copies.path().join(copy.to_string());
            let report = block_on(store.backup(&to)).unwrap();
            assert!(report.octets > 0);
            seen.push((to, report.messages, before));
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(
        block_on(store.backup(seen[0].0.clone())).is_err(),
        "the folder is not empty"
    );
    for (copy, count, before) in seen {
        let copy = SqliteStore::open(copy, config.clone()).unwrap();
        assert_eq!(block_on(copy.check()).unwrap().problems, []);
        let mut messages_there = 0;
        for (session, &mailbox) in mailboxes.iter().enumerate() {
            let found = messages(&copy, mailbox);
            messages_there += found.len() as u64;
            let last = found.last().map_or(0, |it| it.uid.value() as usize);
            assert!(
                last >= before[session],
                "session {session}: {last} after {}",
                before[session]
            );
            // Uninterrupted, as one moment has it.
            let uids: Vec<_> = found.iter().map(|it| it.uid.value() as usize).collect();
            let first = uids.first().copied().unwrap_or(1);
            assert_eq!(uids, (first..first + uids.len()).collect::<Vec<_>>());
            assert!(found.len() <= 21 && (first == 1 || found.len() >= 20), "{uids:?}");
            for message in &found {
                let number = message.uid.value() as usize;
                assert_eq!(read(&copy, message), body(number, message.size() as usize));
            }
        }
        assert_eq!(messages_there, count);
    }
}

#[test]
fn the_last_room_on_a_disk_is_kept_for_what_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Config::default()).unwrap();
    let mailbox = create(&store, "bob");
    append(&store, mailbox, body(1, 100)).unwrap();
    append(&store, mailbox, body(2, 100_000)).unwrap();
    drop(store);

    let mut config = Config::default();
    config.reserve_octets = u64::MAX;
    let store = SqliteStore::open(folder.path(), config).unwrap();
    assert_eq!(append(&store, mailbox, body(3, 100)), Err(CommitError::Full));
    let mut writer = store.new_blob();
    let long = block_on(async {
        writer.write(body(4, 100_000).into()).await?;
        writer.finish().await
    });
    assert!(long.is_err());
    assert_eq!(read(&store, &messages(&store, mailbox)[1]), body(2, 100_000));
    expunge(&store, mailbox, UidSet::all());
    assert!(messages(&store, mailbox).is_empty());
}
