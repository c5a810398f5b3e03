//! What goes wrong with disks and folders, and what does not.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, CommitError, Fields, Flags, MailboxId, MailboxName, Message,
    MessageMeta, Op, Outcome, Scan, Store, StoreError, UidSet,
    conformance::{block_on, join},
};
use mailwright_store::{Config, Durability, Error, SqliteStore};
use rusqlite::Connection;

const NOW: i64 = 1_700_000_000;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, Config::default()).unwrap()
}

fn create(store: &SqliteStore) -> MailboxId {
    create_for(store, "bob")
}

fn create_for(store: &SqliteStore, account: &str) -> MailboxId {
    let create = Op::CreateMailbox {
        account: Account::new(account),
        name: MailboxName::inbox(),
        special_use: None,
    };
    let outcome = block_on(store.commit(Batch::new(NOW).with(create)))
        .unwrap()
        .outcomes
        .remove(0);
    let Outcome::Created { mailbox, .. } = outcome else {
        panic!("{outcome:?}")
    };
    mailbox
}

async fn put(store: &SqliteStore, body: Vec<u8>) -> Result<BlobRef, StoreError> {
    let mut writer = store.new_blob();
    writer.write(body.into()).await?;
    writer.finish().await
}

async fn deliver(store: &SqliteStore, mailbox: MailboxId, body: Vec<u8>) -> Result<(), CommitError> {
    let blob = put(store, body).await.unwrap();
    let message = MessageMeta::new(Bytes::from_static(b"index"));
    let op = Op::Append {
        mailbox,
        blob,
        message,
        flags: Flags::new(),
        internal_date: NOW,
    };
    store.commit(Batch::new(NOW).with(op)).await.map(drop)
}

fn messages(store: &SqliteStore, mailbox: MailboxId) -> Vec<Message> {
    block_on(store.scan(mailbox, Scan::all(Fields::ALL).limit(10_000)))
        .unwrap()
        .messages
}

fn packs(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("packs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn expunge(store: &SqliteStore, mailbox: MailboxId, uids: UidSet) {
    block_on(store.commit(Batch::new(NOW).with(Op::Expunge {
        mailbox,
        uids,
        deleted_only: false,
    })))
    .unwrap();
}

#[test]
fn a_folder_in_use_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = SqliteStore::open(folder.path(), Config::default()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }));
    assert!(
        error.to_string().contains(folder.path().to_str().unwrap()),
        "{error}"
    );
    // A body under way may still write to the folder.
    let mut writer = store.new_blob();
    block_on(writer.write(vec![7; 200_000].into())).unwrap();
    drop(store);
    assert!(matches!(
        SqliteStore::open(folder.path(), Config::default()),
        Err(Error::InUse { .. })
    ));
    assert_eq!(block_on(writer.finish()).unwrap_err(), StoreError::Closed);
    drop(open(folder.path()));
}

#[test]
fn other_and_later_databases_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mail.db");
    fs::write(
        &file,
        "Once upon a time, this was not a database, and it was not empty either. ".repeat(100),
    )
    .unwrap();
    let before = fs::read(&file).unwrap();
    assert!(matches!(
        SqliteStore::open(folder.path(), Config::default()),
        Err(Error::Foreign { .. })
    ));
    assert_eq!(fs::read(&file).unwrap(), before);

    fs::remove_file(&file).unwrap();
    Connection::open(&file)
        .unwrap()
        .execute_batch("CREATE TABLE recipes (name TEXT)")
        .unwrap();
    assert!(matches!(
        SqliteStore::open(folder.path(), Config::default()),
        Err(Error::Foreign { .. })
    ));

    // A file that a crash left empty is none of these.
    fs::write(&file, "").unwrap();
    drop(open(folder.path()));
    Connection::open(&file)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = SqliteStore::open(folder.path(), Config::default()).unwrap_err();
    assert!(matches!(error, Error::TooNew { found: 99, .. }), "{error}");
}

#[test]
fn a_full_disk_refuses_mail_and_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.database_octets = Some(1 << 20);
    let store = SqliteStore::open(folder.path(), config.clone()).unwrap();
    let mailbox = create(&store);
    let mut kept = 0;
    let error = loop {
        match block_on(deliver(&store, mailbox, vec![b'x'; 30_000])) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((&error, error.is_temporary()), (&CommitError::Full, true));
    assert!((10..40).contains(&kept), "{kept}");
    // What was given before the failure is not given again.
    assert!(create_for(&store, "alice") > mailbox);
    // Some of a group fit and some do not: those that do go in.
    let outcomes = std::cell::RefCell::new(Vec::new());
    // They are a group because they wait together: for this batch, which takes long.
    let subscribe = |n| Op::Subscribe {
        account: Account::new("bob"),
        name: MailboxName::inbox(),
        on: n % 2 == 0,
    };
    let mut slow = Batch::new(NOW);
    slow.ops = (0..5000).map(subscribe).collect();
    let before = store.statistics();
    let tries = (0..6).map(|i| {
        let size = if i % 2 == 0 {
            10
        } else {
            SqliteStore::INLINE_OCTETS
        };
        let (store, outcomes) = (&store, &outcomes);
        let future = async move {
            let outcome = deliver(store, mailbox, vec![b'y'; size]).await;
            outcomes.borrow_mut().push((size, outcome));
        };
        Box::pin(future) as std::pin::Pin<Box<dyn Future<Output = ()>>>
    });
    let slow = async { drop(store.commit(slow).await.unwrap()) };
    let slow: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(slow);
    block_on(join(std::iter::once(slow).chain(tries).collect()));
    assert_eq!(store.statistics().commits - before.commits, 4);
    for (size, outcome) in outcomes.into_inner() {
        assert_eq!(outcome.is_ok(), size == 10, "{size}: {outcome:?}");
    }
    let snapshot = block_on(store.snapshot(mailbox)).unwrap();
    assert_eq!(
        (snapshot.exists, snapshot.uid_next.unwrap().value()),
        (kept + 3, kept + 4),
        "no UID was spent"
    );
    assert_eq!(messages(&store, mailbox).len() as u32, kept + 3);
    // Room that is made is used again, by the running store and after a restart.
    expunge(
        &store,
        mailbox,
        (mailwright_mailbox::Uid::MIN..=mailwright_mailbox::Uid::new(5).unwrap()).into(),
    );
    block_on(deliver(&store, mailbox, vec![b'z'; 30_000])).unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path(), config).unwrap();
    assert_eq!(messages(&store, mailbox).len() as u32, kept - 1);
    block_on(deliver(&store, mailbox, vec![b'z'; 30_000])).unwrap();
    assert_eq!(block_on(store.check()).unwrap().problems, []);
}

#[test]
fn damage_to_one_body_is_noticed_and_stays_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailbox = create(&store);
    for size in [1000, 1001, 100_000, 100_001] {
        block_on(deliver(&store, mailbox, vec![b'a'; size])).unwrap();
    }
    drop(store);
    // An octet of the second body, in the database, and one of the third, in its pack.
    let conn = Connection::open(folder.path().join("mail.db")).unwrap();
    conn.execute(
        "UPDATE body SET content = CAST('b' || substr(content, 2) AS BLOB) WHERE length(content) = 1001",
        [],
    )
    .unwrap();
    drop(conn);
    let pack = packs(folder.path()).remove(0);
    let mut octets = fs::read(&pack).unwrap();
    octets[70_000] ^= 1;
    fs::write(&pack, octets).unwrap();

    let store = open(folder.path());
    let bodies = messages(&store, mailbox);
    let read =
        |message: &Message, from| block_on(store.read_blob(message.blob.as_ref().unwrap(), from..u64::MAX));
    assert_eq!(read(&bodies[0], 0).unwrap(), vec![b'a'; 1000]);
    assert!(matches!(read(&bodies[1], 0), Err(StoreError::Corrupt(_))));
    assert!(matches!(read(&bodies[2], 0), Err(StoreError::Corrupt(_))));
    assert!(matches!(read(&bodies[2], 99_000), Err(StoreError::Corrupt(_))));
    assert_eq!(read(&bodies[3], 0).unwrap(), vec![b'a'; 100_001]);
    let problems = block_on(store.check()).unwrap().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    // The store goes on, and what is damaged can be thrown away.
    block_on(deliver(&store, mailbox, vec![b'c'; 90_000])).unwrap();
    expunge(
        &store,
        mailbox,
        [bodies[1].uid, bodies[2].uid].into_iter().collect(),
    );
    assert_eq!(block_on(store.check()).unwrap().problems, []);
}

#[test]
fn a_spool_record_without_its_body_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for body in ["lost", "kept"] {
        let op = Op::SpoolPut {
            key: None,
            record: body.into(),
            blob: Some(block_on(put(&store, body.into())).unwrap()),
        };
        block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
    }
    drop(store);
    let conn = Connection::open(folder.path().join("mail.db")).unwrap();
    let damage = "DELETE FROM blob WHERE id = (SELECT blob FROM spool ORDER BY key LIMIT 1)";
    assert_eq!(conn.execute(damage, []).unwrap(), 1);
    drop(conn);
    let store = open(folder.path());
    let entries = block_on(store.spool(None, 10)).unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (&entry.record[..], entry.blob.is_some()))
        .collect();
    assert_eq!(seen, [(&b"lost"[..], false), (&b"kept"[..], true)]);
    // Such a record can still be removed.
    let remove = Op::SpoolRemove { key: entries[0].key };
    block_on(store.commit(Batch::new(NOW).with(remove))).unwrap();
    assert_eq!(block_on(store.spool(None, 10)).unwrap().len(), 1);
}

#[test]
fn a_missing_or_cut_pack_harms_only_its_own_bodies() {
    for cut in [None, Some(10), Some(150_000)] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mailbox = create(&store);
        for size in [100_000, 100_001, 500] {
            block_on(deliver(&store, mailbox, vec![b'a'; size])).unwrap();
        }
        drop(store);
        let pack = packs(folder.path()).remove(0);
        match cut {
            None => fs::remove_file(&pack).unwrap(),
            Some(octets) => fs::OpenOptions::new()
                .write(true)
                .open(&pack)
                .unwrap()
                .set_len(octets)
                .unwrap(),
        }
        let store = open(folder.path());
        block_on(deliver(&store, mailbox, vec![b'd'; 100_002])).unwrap();
        let read = |message: &Message| block_on(store.read_blob(message.blob.as_ref().unwrap(), 0..u64::MAX));
        let readable: Vec<_> = messages(&store, mailbox)
            .iter()
            .map(|message| read(message).is_ok())
            .collect();
        assert_eq!(
            readable,
            [cut == Some(150_000), false, true, true],
            "cut at {cut:?}"
        );
        assert_eq!(
            block_on(store.check()).unwrap().problems.len(),
            if cut == Some(150_000) { 1 } else { 2 }
        );
    }
}

#[test]
fn space_of_bodies_that_are_gone_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.pack_octets = 200_000;
    // Nothing moves: packs go as a whole.
    config.live_percent = 0;
    let store = SqliteStore::open(folder.path(), config.clone()).unwrap();
    let mailbox = create(&store);
    for _ in 0..10 {
        block_on(deliver(&store, mailbox, vec![b'a'; 150_000])).unwrap();
    }
    assert_eq!(packs(folder.path()).len(), 5);
    let last = messages(&store, mailbox).pop().unwrap().uid;
    let all_but_last = mailwright_mailbox::Uid::MIN..=mailwright_mailbox::Uid::new(last.value() - 1).unwrap();
    expunge(&store, mailbox, all_but_last.into());
    // The packs go after the reply; the next commit comes after that.
    block_on(store.commit(Batch::new(NOW).with(Op::Subscribe {
        account: Account::new("bob"),
        name: MailboxName::inbox(),
        on: true,
    })))
    .unwrap();
    assert_eq!(packs(folder.path()).len(), 1);
    // A body that is finished and never committed goes at the next start.
    let blob = block_on(put(&store, vec![b'b'; 250_000])).unwrap();
    assert_eq!(packs(folder.path()).len(), 2);
    drop(store);
    drop(blob);
    let store = SqliteStore::open(folder.path(), config).unwrap();
    assert_eq!(packs(folder.path()).len(), 1);
    assert_eq!(block_on(store.check()).unwrap().bodies, 1);
}

#[test]
fn commits_that_wait_together_share_a_sync_and_a_refused_one_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailbox = create(&store);
    let before = store.statistics();
    let refused = std::cell::Cell::new(0);
    let sessions = (0..40).map(|i| {
        let (store, refused) = (&store, &refused);
        let future = async move {
            for n in 0..5 {
                if (i + n) % 7 == 0 {
                    let message = MessageMeta::default();
                    let blob = put(store, vec![b'n'; 10]).await.unwrap();
                    let append = |mailbox| Op::Append {
                        mailbox,
                        blob: blob.clone(),
                        message: message.clone(),
                        flags: Flags::new(),
                        internal_date: NOW,
                    };
                    let batch = Batch::new(NOW)
                        .with(append(mailbox))
                        .with(append(MailboxId::new(999)));
                    assert_eq!(
                        store.commit(batch).await,
                        Err(CommitError::NoSuchMailbox { op: 1 })
                    );
                    refused.set(refused.get() + 1);
                } else {
                    deliver(store, mailbox, vec![b'y'; 70 * i]).await.unwrap();
                }
            }
        };
        Box::pin(future) as std::pin::Pin<Box<dyn Future<Output = ()>>>
    });
    block_on(join(sessions.collect()));
    let after = store.statistics();
    assert!(
        after.syncs - before.syncs < 100,
        "{} syncs for 200 batches",
        after.syncs - before.syncs
    );
    let uids: Vec<u32> = messages(&store, mailbox)
        .iter()
        .map(|message| message.uid.value())
        .collect();
    assert_eq!(uids, (1..=200 - refused.get()).collect::<Vec<_>>());
    assert!(refused.get() > 20);
    assert_eq!(block_on(store.check()).unwrap().problems, []);
}

#[test]
fn durability_is_given_up_by_name_only() {
    assert_eq!(Config::default().durability, Durability::Synced);
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.durability = Durability::UnsyncedMayLoseMail;
    let store = SqliteStore::open(folder.path(), config).unwrap();
    let mailbox = create(&store);
    block_on(deliver(&store, mailbox, vec![b'x'; 100_000])).unwrap();
    drop(store);
    assert_eq!(messages(&open(folder.path()), mailbox).len(), 1);
}

#[test]
fn a_dropped_commit_is_done_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailbox = create(&store);
    let mut feed = store.subscribe(&Account::new("bob"));
    {
        let mut commit = Box::pin(deliver(&store, mailbox, vec![b'x'; 10]));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = commit.as_mut().poll(&mut cx);
    }
    let told = block_on(feed.changed()).unwrap();
    assert_eq!(told[0].mailbox, mailbox);
    assert_eq!(messages(&store, mailbox).len(), 1);
}

#[test]
fn packs_are_synced_once_before_what_refers_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailbox = create(&store);
    let append = |blob: &BlobRef| {
        let (blob, message) = (blob.clone(), MessageMeta::default());
        let op = Op::Append {
            mailbox,
            blob,
            message,
            flags: Flags::new(),
            internal_date: NOW,
        };
        block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
        store.statistics().pack_syncs
    };
    let small = block_on(put(&store, vec![b's'; SqliteStore::INLINE_OCTETS])).unwrap();
    assert_eq!(append(&small), 0);
    let large = block_on(put(&store, vec![b'l'; SqliteStore::INLINE_OCTETS + 1])).unwrap();
    assert_eq!(store.statistics().pack_syncs, 0);
    assert_eq!((append(&large), append(&large)), (1, 1));
    let again = block_on(put(&store, vec![b'm'; 100_000])).unwrap();
    assert_eq!((append(&again), append(&small), append(&large)), (2, 2, 2));
}

#[test]
fn a_check_finds_nothing_wrong_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.pack_octets = 300_000;
    let store = SqliteStore::open(folder.path(), config).unwrap();
    let mailbox = create(&store);
    let mut sessions: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    let writing = std::cell::Cell::new(8);
    for i in 0..writing.get() {
        let (store, writing) = (&store, &writing);
        sessions.push(Box::pin(async move {
            for n in 0..20 {
                deliver(
                    store,
                    mailbox,
                    vec![b'w'; if n % 4 == 0 { 80_000 + i } else { 300 }],
                )
                .await
                .unwrap();
                let op = Op::Move {
                    from: mailbox,
                    uids: UidSet::all(),
                    to: mailbox,
                };
                let op = if n % 5 == 4 {
                    Op::Expunge {
                        mailbox,
                        uids: UidSet::all(),
                        deleted_only: false,
                    }
                } else {
                    op
                };
                store.commit(Batch::new(NOW).with(op)).await.unwrap();
            }
            writing.set(writing.get() - 1);
        }));
    }
    let (checked, checks) = (&store, std::cell::Cell::new(0));
    sessions.push(Box::pin(async {
        while writing.get() > 0 {
            let report = checked.check().await.unwrap();
            assert_eq!(report.problems, []);
            checks.set(checks.get() + 1);
        }
    }));
    block_on(join(sessions));
    assert!(checks.get() > 2, "{}", checks.get());
    assert_eq!(block_on(store.check()).unwrap().problems, []);
}

/// A clock that is set back makes nothing go back that must not.
#[test]
fn a_clock_that_jumps_back_is_believed_in_nothing_that_matters() {
    const BEFORE: i64 = NOW - 400 * 86_400;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let name = MailboxName::parse("Work").unwrap();
    let account = Account::new("bob");
    let create = |now| {
        let (account, name) = (account.clone(), name.clone());
        let op = Op::CreateMailbox {
            account,
            name,
            special_use: None,
        };
        let outcome = block_on(store.commit(Batch::new(now).with(op)))
            .unwrap()
            .outcomes
            .remove(0);
        let Outcome::Created {
            mailbox,
            uid_validity,
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        (mailbox, uid_validity)
    };
    let (first, validity) = create(NOW);
    for _ in 0..4 {
        block_on(deliver(&store, first, vec![b'x'; 100])).unwrap();
    }
    let gone = |now, uid| {
        let uids = mailwright_mailbox::Uid::new(uid).unwrap().into();
        let op = Op::Expunge {
            mailbox: first,
            uids,
            deleted_only: false,
        };
        block_on(store.commit(Batch::new(now).with(op))).unwrap();
    };
    let since = block_on(store.snapshot(first)).unwrap().highest_mod_seq;
    gone(NOW, 1);
    gone(BEFORE, 2);
    // The clock is right again: 400 days seem to have passed since the second, and not since the first.
    gone(NOW + 1, 3);
    let vanished = block_on(store.vanished(first, since)).unwrap();
    let told = vanished.uids.to_string();
    assert!(told == "1:3" || !vanished.complete, "{told}");
    let after = block_on(store.snapshot(first)).unwrap();
    assert!(after.highest_mod_seq.value() == since.value() + 3 && after.uid_next.unwrap().value() == 5);

    let delete = Op::DeleteMailbox {
        account: account.clone(),
        name: name.clone(),
    };
    block_on(store.commit(Batch::new(BEFORE).with(delete))).unwrap();
    let (second, later) = create(BEFORE);
    assert!(second > first && later > validity);
    assert_eq!(block_on(store.check()).unwrap().problems, []);
}

/// A page with the messages of one account is destroyed under a running store.
#[test]
fn a_damaged_page_concerns_only_what_is_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailboxes: Vec<_> = ["alice", "bob", "carol"]
        .iter()
        .map(|name| create_for(&store, name))
        .collect();
    for mailbox in &mailboxes {
        let ops = (0..300).map(|n| {
            let blob = block_on(put(&store, vec![b'a'; 10 + n])).unwrap();
            let message = MessageMeta::default();
            Op::Append {
                mailbox: *mailbox,
                blob,
                message,
                flags: Flags::new(),
                internal_date: NOW,
            }
        });
        let mut batch = Batch::new(NOW);
        batch.ops = ops.collect();
        block_on(store.commit(batch)).unwrap();
    }
    drop(store);
    // The leaf with the middle of bob's messages, who is the second of three with as many.
    let file = folder.path().join("mail.db");
    let conn = Connection::open(&file).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = 'message' AND pagetype = 'leaf' ORDER BY path";
    let mut statement = conn.prepare(sql).unwrap();
    let leaves = statement.query_map([], |row| row.get::<_, u32>(0)).unwrap();
    let leaves: Vec<usize> = leaves.map(|it| it.unwrap() as usize).collect();
    drop(statement);
    drop(conn);
    let mut octets = fs::read(&file).unwrap();
    octets[(leaves[leaves.len() / 2] - 1) * 4096..][..4096].fill(0x77);
    fs::write(&file, octets).unwrap();

    let store = open(folder.path());
    let all = || Scan::all(Fields::ALL).limit(10_000);
    let error = block_on(store.scan(mailboxes[1], all())).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(_)), "{error}");
    assert!(!error.to_string().contains('\n'));
    for other in [mailboxes[0], mailboxes[2]] {
        assert_eq!(messages(&store, other).len(), 300);
        block_on(deliver(&store, other, vec![b'n'; 50])).unwrap();
    }
    let problems = block_on(store.check()).unwrap_err();
    assert!(matches!(problems, StoreError::Corrupt(_)), "{problems}");
    drop(store);
    let report = SqliteStore::fsck(folder.path(), mailwright_store::sqlite::Repair::Yes).unwrap();
    assert_eq!(report.problems, []);
    let store = open(folder.path());
    assert_eq!(messages(&store, mailboxes[0]).len(), 301);
    let kept = messages(&store, mailboxes[1]).len();
    assert!((100..300).contains(&kept), "{kept}");
    // Their octets were elsewhere.
    let found = block_on(store.mailboxes(&Account::new("lost+found"))).unwrap()[0].id;
    assert_eq!(kept + messages(&store, found).len(), 300);
    block_on(deliver(&store, mailboxes[1], vec![b'n'; 50])).unwrap();
    assert!(messages(&store, mailboxes[1]).last().unwrap().uid.value() > 300);
}

/// A waker that panics does so on the writer's thread.
#[test]
fn a_writer_that_failed_says_so() {
    struct Faulty;
    impl std::task::Wake for Faulty {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("this waker is broken\nin two lines");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailbox = create(&store);
    block_on(deliver(&store, mailbox, vec![b'x'; 10])).unwrap();
    assert_eq!(store.failure(), None);
    {
        let waker = std::task::Waker::from(std::sync::Arc::new(Faulty));
        let mut feed = store.subscribe(&Account::new("bob"));
        let mut changed = Box::pin(feed.changed());
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(changed.as_mut().poll(&mut cx).is_pending());
        let refused = block_on(deliver(&store, mailbox, vec![b'y'; 10])).unwrap_err();
        assert!(refused.is_temporary(), "{refused}");
    }
    let refused = block_on(deliver(&store, mailbox, vec![b'z'; 10]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "storage failed: the store's writer has failed: this waker is broken"
    );
    assert_eq!(store.failure(), Some("this waker is broken"));
    // Reading goes on, and so does everything once the store is opened again.
    assert_eq!(messages(&store, mailbox).len(), 2);
    drop(store);
    let store = open(folder.path());
    block_on(deliver(&store, mailbox, vec![b'z'; 10])).unwrap();
    assert_eq!(messages(&store, mailbox).len(), 3);
    assert_eq!(block_on(store.check()).unwrap().problems, []);
}
