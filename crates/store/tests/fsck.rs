//! What is damaged is found, told of in a line, and mended as far as it can be.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, Fields, FlagChange, Flags, MailboxId, MailboxName, MessageMeta, Op,
    Outcome, Scan, Store, SystemFlags, Uid, UidSet,
    conformance::block_on,
    digest::{Builder, Options},
};
use mailwright_store::{
    Config, Error, SqliteStore,
    sqlite::{Finding, Loss, Repair, Report},
};
use rusqlite::Connection;

const NOW: i64 = 1_700_000_000;

/// All of an account: name of the mailbox → UID → (octets, flags).
type Mail = BTreeMap<String, BTreeMap<u32, (Vec<u8>, SystemFlags)>>;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, Config::default()).unwrap()
}

fn create(store: &SqliteStore, account: &str, name: &str) -> MailboxId {
    let create = Op::CreateMailbox {
        account: Account::new(account),
        name: MailboxName::parse(name).unwrap(),
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

/// A message that tells its number, and is of about that many octets.
fn text(number: usize, octets: usize) -> Vec<u8> {
    let mut text = format!("Subject: {number}\r\nMessage-ID: <{number}@a.test>\r\n\r\n");
    while text.len() < octets {
        text.push_str(&format!("line {} of message {number}\r\n", text.len()));
    }
    text.into_bytes()
}

fn put(store: &SqliteStore, octets: &[u8]) -> BlobRef {
    let mut writer = store.new_blob();
    block_on(writer.write(Bytes::copy_from_slice(octets))).unwrap();
    block_on(writer.finish()).unwrap()
}

fn append(store: &SqliteStore, mailbox: MailboxId, octets: &[u8]) -> BlobRef {
    let mut builder = Builder::new(Options::default());
    builder.push(octets);
    let message: MessageMeta = builder.finish_with(octets).meta;
    let blob = put(store, octets);
    let op = Op::Append {
        mailbox,
        blob: blob.clone(),
        message,
        flags: Flags::from(SystemFlags::SEEN),
        internal_date: NOW,
    };
    block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
    blob
}

fn expunge(store: &SqliteStore, mailbox: MailboxId, uid: u32) {
    let op = Op::Expunge {
        mailbox,
        uids: UidSet::from(Uid::new(uid).unwrap()),
        deleted_only: false,
    };
    block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
}

fn read(store: &SqliteStore, blob: &BlobRef) -> Vec<u8> {
    let mut octets = Vec::new();
    while (octets.len() as u64) < blob.size() {
        octets.extend_from_slice(&block_on(store.read_blob(blob, octets.len() as u64..u64::MAX)).unwrap());
    }
    octets
}

fn mail(store: &SqliteStore, account: &str) -> Mail {
    let mut mail = Mail::new();
    for info in block_on(store.mailboxes(&Account::new(account))).unwrap() {
        let all = Scan::all(Fields::FLAGS | Fields::BLOB).limit(10_000);
        let page = block_on(store.scan(info.id, all)).unwrap();
        let of = |it: &mailwright_mailbox::Message| {
            (
                it.uid.value(),
                (read(store, it.blob.as_ref().unwrap()), it.flags.system()),
            )
        };
        mail.insert(info.name.to_string(), page.messages.iter().map(of).collect());
    }
    mail
}

/// The UIDs that come next, by mailbox.
fn next_uids(store: &SqliteStore, account: &str) -> BTreeMap<String, (u32, u32)> {
    let mailboxes = block_on(store.mailboxes(&Account::new(account))).unwrap();
    let next = |info: &mailwright_mailbox::MailboxInfo| {
        let it = block_on(store.snapshot(info.id)).unwrap();
        (
            info.name.to_string(),
            (it.uid_validity.value(), it.uid_next.unwrap().value()),
        )
    };
    mailboxes.iter().map(next).collect()
}

/// Two accounts with some mail of all sizes, some of it expunged, and an entry in the spool.
fn fill(folder: &Path) -> SqliteStore {
    let store = open(folder);
    let inbox = create(&store, "bob", "INBOX");
    let archive = create(&store, "bob", "Archive/2024");
    let alice = create(&store, "alice", "INBOX");
    for number in 0..40 {
        let octets = match number % 8 {
            7 => 70_000 + number,
            n => 300 * n,
        };
        let mailbox = [inbox, archive, alice][number % 3];
        append(&store, mailbox, &text(number, octets));
    }
    for uid in [2, 3, 8] {
        expunge(&store, inbox, uid);
    }
    let put = Op::SpoolPut {
        key: None,
        record: "to carol".into(),
        blob: Some(put(&store, &text(99, 500))),
    };
    block_on(store.commit(Batch::new(NOW).with(put))).unwrap();
    store
}

fn fsck(folder: &Path, repair: Repair) -> Report {
    SqliteStore::fsck(folder, repair).unwrap()
}

fn lines(findings: &[Finding]) -> Vec<String> {
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
    lines
}

fn database(folder: &Path) -> PathBuf {
    folder.join("mail.db")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("packs")).unwrap();
    for (from, to) in [
        (from.to_owned(), to.to_owned()),
        (from.join("packs"), to.join("packs")),
    ] {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
}

#[test]
fn a_sound_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let (bob, alice) = (mail(&store, "bob"), mail(&store, "alice"));
    assert!(matches!(
        SqliteStore::fsck(folder.path(), Repair::Yes),
        Err(Error::InUse { .. })
    ));
    drop(store);
    let report = fsck(folder.path(), Repair::Yes);
    assert_eq!((report.messages, report.bodies), (37, 38));
    assert_eq!(
        (report.problems, report.mended, report.lost),
        (vec![], vec![], vec![])
    );
    let store = open(folder.path());
    assert_eq!((mail(&store, "bob"), mail(&store, "alice")), (bob, alice));
    let nothing = tempfile::tempdir().unwrap();
    assert!(SqliteStore::fsck(nothing.path(), Repair::Yes).is_err());
    assert_eq!(fs::read_dir(nothing.path()).unwrap().count(), 0);
}

/// What a fault in this program could leave, or a stray hand.
#[test]
fn rows_that_contradict_each_other_are_mended() {
    let damages = [
        "UPDATE mailbox SET messages = messages + 1, unseen = 7",
        "UPDATE mailbox SET uid_next = 2, mod_seq = 1 WHERE name = 'INBOX'",
        "UPDATE account SET octets = 1",
        "UPDATE account SET last_uid_validity = 1",
        "UPDATE mailbox SET uid_validity = 77",
        "UPDATE blob SET links = links + 1 WHERE id % 2 = 0",
        "UPDATE message SET octets = 1 WHERE uid = 1",
        "UPDATE message SET thread = 0 WHERE uid = 1",
        "DELETE FROM thread_key; INSERT INTO thread_key VALUES (1, 5, 999)",
        "INSERT INTO text VALUES (999, x'00')",
        "INSERT INTO annotation VALUES (1, 55, '/private/x', x''); INSERT INTO acl VALUES (55, 'x', 1)",
        "UPDATE counter SET value = 0",
        "UPDATE mailbox SET history = 9",
        "INSERT INTO expunged VALUES (1, 3, 1, 1, 0), (99, 3, 1, 1, 0)",
        "UPDATE blob SET part_index = x'deadbeef' WHERE id % 2 = 1",
        "UPDATE blob SET pack = 7 WHERE pack IS NOT NULL",
        "UPDATE blob SET start = 3 WHERE pack IS NOT NULL",
        "DELETE FROM blob WHERE pack IS NOT NULL",
        "DELETE FROM blob",
    ];
    let base = tempfile::tempdir().unwrap();
    let store = fill(base.path());
    let (bob, alice) = (mail(&store, "bob"), mail(&store, "alice"));
    let next = next_uids(&store, "bob");
    drop(store);
    for damage in damages {
        let folder = tempfile::tempdir().unwrap();
        copy(base.path(), folder.path());
        let conn = Connection::open(database(folder.path())).unwrap();
        conn.execute_batch(damage).unwrap();
        drop(conn);
        let found = fsck(folder.path(), Repair::No);
        assert!(!found.problems.is_empty(), "{damage}");
        lines(&found.problems);
        let mended = fsck(folder.path(), Repair::Yes);
        assert_eq!(lines(&mended.problems), [""; 0], "{damage}");
        assert_eq!(mended.mended, found.problems, "{damage}");
        assert_eq!(mended.lost, [], "{damage}");
        let store = open(folder.path());
        assert_eq!(
            (mail(&store, "bob"), mail(&store, "alice")),
            (bob.clone(), alice.clone()),
            "{damage}"
        );
        for (name, (_, uid)) in next_uids(&store, "bob") {
            // What is not known any more is at least not below what was seen.
            let seen = bob[&name].keys().max().unwrap() + 1;
            assert!(uid >= seen && uid <= next[&name].1, "{damage}: {name}");
        }
        let inbox = block_on(store.mailboxes(&"bob".into())).unwrap().remove(1).id;
        append(&store, inbox, &text(1000, 80_000));
        assert_eq!(block_on(store.check()).unwrap().problems, [], "{damage}");
    }
}

#[test]
fn messages_whose_owner_is_lost_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let archive = mail(&store, "bob")["Archive/2024"].clone();
    let inbox = mail(&store, "bob")["INBOX"].clone();
    let alice = mail(&store, "alice");
    drop(store);
    let conn = Connection::open(database(folder.path())).unwrap();
    conn.execute_batch(
        "DELETE FROM mailbox WHERE name = 'Archive/2024'; DELETE FROM account WHERE name = 'alice';
         DELETE FROM message WHERE mailbox = 1",
    )
    .unwrap();
    drop(conn);
    let report = fsck(folder.path(), Repair::Yes);
    assert_eq!((lines(&report.problems), report.lost), (vec![], vec![]));
    let store = open(folder.path());
    let mut found = mail(&store, "lost+found");
    assert_eq!(found.remove("mailbox-2").unwrap(), archive);
    // Messages without a row come back with UIDs of their own.
    let octets = |mail: &BTreeMap<u32, (Vec<u8>, SystemFlags)>| -> Vec<Vec<u8>> {
        let mut all: Vec<_> = mail.values().map(|it| it.0.clone()).collect();
        all.sort();
        all
    };
    assert_eq!(octets(&found.remove("INBOX").unwrap()), octets(&inbox));
    assert!(found.is_empty());
    assert_eq!(mail(&store, "lost+found-2"), alice);
    assert_eq!(block_on(store.spool(None, 9)).unwrap().len(), 1);
}

#[test]
fn a_message_without_octets_is_expunged_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let inbox = block_on(store.mailboxes(&"bob".into())).unwrap().remove(1).id;
    let before = block_on(store.snapshot(inbox)).unwrap();
    drop(store);
    let conn = Connection::open(database(folder.path())).unwrap();
    conn.execute_batch(
        "DELETE FROM body WHERE blob IN (SELECT blob FROM message WHERE mailbox = 1 AND uid = 4);
         DELETE FROM blob WHERE id IN (SELECT blob FROM message WHERE mailbox = 1 AND uid = 4);
         DELETE FROM body WHERE blob IN (SELECT blob FROM spool); DELETE FROM blob WHERE id IN (SELECT blob FROM spool);
         UPDATE body SET content = x'00' WHERE blob IN (SELECT blob FROM message WHERE mailbox = 1 AND uid = 5)",
    )
    .unwrap();
    drop(conn);
    let report = fsck(folder.path(), Repair::Yes);
    let lost: Vec<_> = report.lost.iter().map(ToString::to_string).collect();
    assert_eq!(
        lost,
        [
            "bob INBOX UID 4: its octets are gone",
            "spool entry 1: its octets are gone"
        ]
    );
    // Damaged octets are no reason to throw a message away.
    let problems = lines(&report.problems);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains("checksum") && problems[0].contains("bob INBOX UID 5"),
        "{problems:?}"
    );
    let store = open(folder.path());
    let after = block_on(store.snapshot(inbox)).unwrap();
    assert_eq!(after.exists, before.exists - 1);
    assert!(after.highest_mod_seq > before.highest_mod_seq && after.uid_next == before.uid_next);
    let gone = block_on(store.vanished(inbox, before.highest_mod_seq)).unwrap();
    assert_eq!((gone.uids.to_string(), gone.complete), ("4".into(), true));
}

/// Each page of the database in turn is overwritten: what was on the others is there as it was, and what was on it is
/// found elsewhere or told of.
#[test]
fn any_page_of_the_database_may_be_destroyed() {
    let base = tempfile::tempdir().unwrap();
    let store = fill(base.path());
    let before: BTreeMap<_, _> = ["bob", "alice"].map(|it| (it, mail(&store, it))).into();
    let next = next_uids(&store, "bob");
    let expunged: Vec<Vec<u8>> = [(3, 1), (6, 2), (21, 7)]
        .map(|(number, _)| text(number, 300 * (number % 8)))
        .into();
    drop(store);
    let pages = fs::metadata(database(base.path())).unwrap().len() / 4096;
    assert!((40..200).contains(&pages), "{pages}");
    let mut untouched = 0;
    for page in 0..pages {
        let folder = tempfile::tempdir().unwrap();
        copy(base.path(), folder.path());
        let mut octets = fs::read(database(folder.path())).unwrap();
        let at = page as usize * 4096;
        let was = octets[at..at + 4096].to_vec();
        octets[at..at + 4096].fill(if page % 2 == 0 { 0 } else { 0xa5 });
        fs::write(database(folder.path()), &octets).unwrap();
        let report = fsck(folder.path(), Repair::Yes);
        assert_eq!(lines(&report.problems), [""; 0], "page {page}");
        let store = open(folder.path());
        let found = mail(&store, "lost+found");
        let in_found = |octets: &[u8]| found.values().flat_map(BTreeMap::values).any(|it| it.0 == octets);
        for (account, mailboxes) in &before {
            let after = mail(&store, account);
            for (name, messages) in mailboxes {
                for (uid, message) in messages {
                    let here = after.get(name).and_then(|it| it.get(uid));
                    let elsewhere = || {
                        block_on(store.accounts(None, 9)).unwrap().iter().any(|other| {
                            let mail = mail(&store, other.as_str());
                            mail.values()
                                .flat_map(BTreeMap::values)
                                .any(|it| it.0 == message.0)
                        })
                    };
                    // Its octets, or what says where they are, were on the page.
                    let told = || !report.lost.is_empty();
                    match here {
                        Some(here) => assert_eq!(here, message, "page {page}, {account} {name} {uid}"),
                        None => assert!(
                            in_found(&message.0) || elsewhere() || told(),
                            "page {page}, {account} {name} {uid}"
                        ),
                    }
                }
            }
            untouched += usize::from(after == *mailboxes);
        }
        for octets in &expunged {
            assert!(!in_found(octets), "page {page}: what was expunged is back");
        }
        for (name, (validity, uid)) in next_uids(&store, "bob") {
            let (validity_before, uid_before) = next[&name];
            // What was on the page may have had any number: some are left out.
            let left_out = if report.lost.is_empty() { 0 } else { 100_000 };
            assert!(
                validity != validity_before || uid >= uid_before + left_out,
                "page {page}, {name}"
            );
        }
        for info in block_on(store.mailboxes(&"bob".into())).unwrap() {
            // Nobody is told that all is known of what is gone.
            let gone = block_on(store.vanished(info.id, mailwright_mailbox::ModSeq::ONE)).unwrap();
            assert!(report.lost.is_empty() || !gone.complete, "page {page}");
        }
        let damaged = folder.path().join("mail.db.damaged");
        if report.mended.is_empty() {
            // A free page.
            assert!(!damaged.exists());
        } else {
            assert!(fs::read(damaged).unwrap()[at..at + 4096] != was);
        }
        let inbox = create(&store, "carol", "INBOX");
        append(&store, inbox, &text(1000, 80_000));
        assert_eq!(block_on(store.check()).unwrap().problems, [], "page {page}");
    }
    // Most pages hold a few messages of one account, or what can be computed.
    assert!(untouched as u64 > pages, "{untouched} of {}", 2 * pages);
}

/// Octets anywhere are changed: the store is sound again afterwards, whatever was read of it.
#[test]
fn no_damage_is_too_odd() {
    let base = tempfile::tempdir().unwrap();
    let store = fill(base.path());
    let known: Vec<_> = ["bob", "alice"]
        .iter()
        .flat_map(|account| mail(&store, account).into_values())
        .flat_map(BTreeMap::into_values)
        .map(|it| it.0)
        .chain([text(99, 500)])
        .collect();
    drop(store);
    let sound = fs::read(database(base.path())).unwrap();
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % below
    };
    let mut rebuilt = 0;
    for round in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        copy(base.path(), folder.path());
        let mut octets = sound.clone();
        for _ in 0..1 + next(4) {
            // The beginning of a page says most about the others.
            let at = next(octets.len() / 4096) * 4096 + next(if round % 2 == 0 { 110 } else { 4096 });
            for octet in octets[at..].iter_mut().take(1 + next(12)) {
                *octet = next(256) as u8;
            }
        }
        fs::write(database(folder.path()), octets).unwrap();
        let report = match SqliteStore::fsck(folder.path(), Repair::Yes) {
            Ok(report) => report,
            // The octets that say whose the file is, and of which version.
            Err(Error::Foreign { .. } | Error::TooNew { .. }) => continue,
            Err(error) => panic!("round {round}: {error}"),
        };
        let is_body = |it: &Finding| matches!(it, Finding::Body { .. });
        assert!(
            report.problems.iter().all(is_body),
            "round {round}: {:?}",
            lines(&report.problems)
        );
        rebuilt += usize::from(folder.path().join("mail.db.damaged").exists());
        let store = open(folder.path());
        for account in block_on(store.accounts(None, 99)).unwrap() {
            for info in block_on(store.mailboxes(&account)).unwrap() {
                for message in block_on(store.scan(info.id, Scan::all(Fields::BLOB)))
                    .unwrap()
                    .messages
                {
                    let blob = message.blob.unwrap();
                    // Nothing is taken for a message that none was.
                    if let Ok(octets) = block_on(store.read_blob(&blob, 0..u64::MAX)) {
                        assert!(known.contains(&octets.to_vec()), "round {round}");
                    }
                }
            }
        }
    }
    assert!(rebuilt > 10, "{rebuilt}");
}

#[test]
fn what_is_in_the_log_alone_is_saved_too() {
    let base = tempfile::tempdir().unwrap();
    drop(fill(base.path()));
    let store = open(base.path());
    for name in ["bob", "alice"] {
        let mailbox = block_on(store.mailboxes(&name.into())).unwrap().pop().unwrap().id;
        let op = Op::StoreFlags {
            mailbox,
            uids: UidSet::all(),
            change: FlagChange::Add(SystemFlags::FLAGGED.into()),
            unchanged_since: None,
        };
        block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
    }
    let (bob, alice) = (mail(&store, "bob"), mail(&store, "alice"));
    // As a power cut leaves it: nothing is copied into the database yet.
    let folder = tempfile::tempdir().unwrap();
    copy(base.path(), folder.path());
    drop(store);
    let log = folder.path().join("mail.db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 4096);
    let mut octets = fs::read(database(folder.path())).unwrap();
    octets[..4096].fill(0x5a);
    fs::write(database(folder.path()), octets).unwrap();
    assert!(SqliteStore::open(folder.path(), Config::default()).is_err());
    let report = fsck(folder.path(), Repair::Yes);
    assert_eq!(
        (lines(&report.problems), report.lost),
        (vec![], vec![Loss::Pages { count: 1 }])
    );
    let store = open(folder.path());
    assert_eq!((mail(&store, "bob"), mail(&store, "alice")), (bob, alice));
}

#[test]
fn of_a_lost_database_the_packs_tell_what_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let mut long: Vec<_> = ["bob", "alice"]
        .iter()
        .flat_map(|account| mail(&store, account).into_values())
        .flat_map(BTreeMap::into_values)
        .map(|it| it.0)
        .filter(|octets| octets.len() > SqliteStore::INLINE_OCTETS)
        .collect();
    drop(store);
    fs::remove_file(database(folder.path())).unwrap();
    // A fresh database beside the packs would take them for rubbish.
    let refused = SqliteStore::open(folder.path(), Config::default()).unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    let report = fsck(folder.path(), Repair::Yes);
    assert_eq!(lines(&report.mended), ["database: mail.db is missing"]);
    assert_eq!(lines(&report.problems), [""; 0]);
    let store = open(folder.path());
    let found = mail(&store, "lost+found").remove("INBOX").unwrap();
    let mut found: Vec<_> = found.into_values().map(|it| it.0).collect();
    found.sort();
    long.sort();
    assert_eq!((found, long.len()), (long, 5));
}

#[test]
fn salvage_leaves_the_damaged_store_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let bob = mail(&store, "bob");
    drop(store);
    let pack = fs::read_dir(folder.path().join("packs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut octets = fs::read(&pack).unwrap();
    octets[30_000] ^= 1;
    fs::write(&pack, octets).unwrap();
    let mut octets = fs::read(database(folder.path())).unwrap();
    octets[..4096].fill(0);
    fs::write(database(folder.path()), &octets).unwrap();

    let to = tempfile::tempdir().unwrap();
    let report = SqliteStore::salvage(folder.path(), to.path()).unwrap();
    assert_eq!(report.problems, []);
    let lost: Vec<_> = report.lost.iter().map(ToString::to_string).collect();
    let named = lost.iter().filter(|line| line.contains(" UID ")).count();
    assert_eq!(named, 1, "{lost:?}");
    assert!(matches!(report.lost[0], Loss::Pages { count: 1 }), "{lost:?}");
    assert!(
        SqliteStore::salvage(folder.path(), to.path()).is_err(),
        "it is not empty"
    );
    assert_eq!(fs::read(database(folder.path())).unwrap(), octets);
    let store = open(to.path());
    let after = mail(&store, "bob");
    let (mut same, mut gone) = (0, 0);
    for (name, messages) in &bob {
        for (uid, message) in messages {
            match after[name].get(uid) {
                Some(found) => {
                    assert_eq!(found, message);
                    same += 1;
                }
                None => gone += 1,
            }
        }
    }
    assert!(gone <= 1 && same > 20, "{gone} of {same}");
}

#[test]
fn an_interrupted_repair_is_brought_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let bob = mail(&store, "bob");
    drop(store);
    fs::rename(database(folder.path()), folder.path().join("mail.db.ready")).unwrap();
    fs::write(folder.path().join("mail.db.damaged"), "an earlier one").unwrap();
    let refused = SqliteStore::open(folder.path(), Config::default()).unwrap_err();
    assert!(refused.to_string().contains("fsck"), "{refused}");
    assert_eq!(fsck(folder.path(), Repair::Yes).problems, []);
    assert_eq!(mail(&open(folder.path()), "bob"), bob);
    assert_eq!(
        fs::read(folder.path().join("mail.db.damaged")).unwrap(),
        b"an earlier one"
    );
}
