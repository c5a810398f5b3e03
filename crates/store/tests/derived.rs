//! What is kept beside the mail to be fast changes no answer: contents of mailboxes, sketches of texts, and tables that
//! an earlier version has made.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobHash, BlobWriter, Fields, FlagChange, Flags, Keyword, MailboxId, MailboxName,
    Message, Op, Outcome, Scan, Store, SystemFlags, Uid, UidSet,
    conformance::block_on,
    digest::{Builder, Options, text::Walk},
    search::{Looking, Query, Search},
};
use mailwright_message::Index;
use mailwright_store::{
    Config, SqliteStore,
    sqlite::{Finding, Repair},
};
use rusqlite::{Connection, params};

const NOW: i64 = 1_700_000_000;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, Config::default()).unwrap()
}

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("mail.db")).unwrap()
}

fn number(folder: &Path, sql: &str) -> i64 {
    database(folder).query_row(sql, [], |row| row.get(0)).unwrap()
}

fn commit(store: &SqliteStore, op: Op) -> Outcome {
    let done = block_on(store.commit(Batch::new(NOW).with(op)));
    done.unwrap().outcomes.remove(0)
}

fn create(store: &SqliteStore) -> MailboxId {
    let op = Op::CreateMailbox {
        account: Account::new("bob"),
        name: MailboxName::inbox(),
        special_use: None,
    };
    match commit(store, op) {
        Outcome::Created { mailbox, .. } => mailbox,
        other => panic!("{other:?}"),
    }
}

fn append_all(store: &SqliteStore, mailbox: MailboxId, messages: impl Iterator<Item = Vec<u8>>) {
    let mut batch = Batch::new(NOW);
    for octets in messages {
        let mut builder = Builder::new(Options::default());
        builder.push(&octets);
        let message = builder.finish_with(&octets).meta;
        let mut writer = store.new_blob();
        block_on(writer.write(octets.into())).unwrap();
        batch.push(Op::Append {
            mailbox,
            blob: block_on(writer.finish()).unwrap(),
            message,
            flags: Flags::new(),
            internal_date: NOW,
        });
    }
    block_on(store.commit(batch)).unwrap();
}

fn text(number: usize) -> Vec<u8> {
    format!(
        "Subject: number {number}\r\n\r\nThe text of message {number} is {:x}.\r\n",
        number * 7919
    )
    .into_bytes()
}

fn all(store: &SqliteStore, mailbox: MailboxId, fields: Fields) -> Vec<Message> {
    let (mut all, mut next) = (Vec::new(), Some(Scan::all(fields)));
    while let Some(scan) = next {
        let page = block_on(store.scan(mailbox, scan.clone())).unwrap();
        next = scan.after(&page);
        all.extend(page.messages);
    }
    all
}

/// Compares contents with what a look at each message tells.
fn compare(store: &SqliteStore, mailbox: MailboxId, place: &str) {
    let contents = block_on(store.contents(mailbox)).unwrap();
    let messages = all(store, mailbox, Fields::FLAGS);
    assert_eq!(
        contents.snapshot,
        block_on(store.snapshot(mailbox)).unwrap(),
        "{place}"
    );
    let uids: UidSet = messages.iter().map(|it| it.uid).collect();
    assert_eq!(contents.uids, uids, "{place}");
    let unseen = messages.iter().filter(|it| !it.flags.contains(SystemFlags::SEEN));
    assert_eq!(contents.unseen, unseen.map(|it| it.uid).collect(), "{place}");
    let keywords: BTreeSet<_> = messages
        .iter()
        .flat_map(|it| it.flags.keywords().to_vec())
        .collect();
    assert!(keywords.is_subset(&contents.keywords), "{place}");
}

/// Waits until the writer has kept the contents of a mailbox.
fn wait_until_kept(store: &SqliteStore, folder: &Path, mailbox: MailboxId) {
    let sql = format!(
        "SELECT count(*) FROM contents JOIN mailbox ON mailbox.id = contents.mailbox
         WHERE mailbox = {} AND contents.mod_seq = mailbox.mod_seq",
        mailbox.value()
    );
    let end = Instant::now() + Duration::from_secs(60);
    while number(folder, &sql) == 0 {
        assert!(Instant::now() < end, "nothing is kept of the mailbox");
        block_on(store.contents(mailbox)).unwrap();
        std::thread::yield_now();
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % end
    }

    fn range(&mut self, end: u32, most: u32) -> UidSet {
        let first = 1 + self.below(end);
        let last = first + self.below(most);
        (Uid::new(first).unwrap()..=Uid::new(last).unwrap()).into()
    }
}

#[test]
fn contents_are_those_of_the_messages_whatever_has_changed_since() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    // Sometimes the history does not reach back to what is kept.
    config.limits.history_uids = 150;
    let mut store = SqliteStore::open(folder.path(), config.clone()).unwrap();
    let mailbox = create(&store);
    append_all(&store, mailbox, (0..2000).map(text));
    compare(&store, mailbox, "at first");
    wait_until_kept(&store, folder.path(), mailbox);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..120 {
        for _ in 0..=random.below(3) {
            let op = match random.below(5) {
                0 | 1 => {
                    let mut flags = Flags::new();
                    match random.below(3) {
                        0 => flags.insert_keyword(Keyword::parse(&format!("$k{}", random.below(9))).unwrap()),
                        1 => flags.insert(SystemFlags::FLAGGED),
                        _ => flags.insert(SystemFlags::SEEN),
                    }
                    let change = match random.below(3) {
                        0 => FlagChange::Add(flags),
                        1 => FlagChange::Remove(flags),
                        _ => FlagChange::Replace(flags),
                    };
                    Op::StoreFlags {
                        mailbox,
                        uids: random.range(2500, 900),
                        change,
                        unchanged_since: None,
                    }
                }
                2 => Op::Expunge {
                    mailbox,
                    uids: random.range(2500, 30),
                    deleted_only: false,
                },
                3 => Op::Copy {
                    from: mailbox,
                    uids: random.range(2500, 20),
                    to: mailbox,
                },
                _ => Op::Move {
                    from: mailbox,
                    uids: random.range(2500, 10),
                    to: mailbox,
                },
            };
            commit(&store, op);
        }
        compare(&store, mailbox, &format!("round {round}"));
        if round % 40 == 20 {
            drop(store);
            store = SqliteStore::open(folder.path(), config.clone()).unwrap();
        }
    }
    assert_eq!(block_on(store.check()).unwrap().problems, []);
    let remove = Op::DeleteMailbox {
        account: Account::new("bob"),
        name: MailboxName::inbox(),
    };
    // INBOX stays; its account goes as a whole.
    assert!(block_on(store.commit(Batch::new(NOW).with(remove))).is_err());
    commit(
        &store,
        Op::RemoveAccount {
            account: Account::new("bob"),
        },
    );
    assert_eq!(number(folder.path(), "SELECT count(*) FROM contents"), 0);
    assert_eq!(number(folder.path(), "SELECT count(*) FROM sketch"), 0);
}

#[test]
fn damaged_contents_are_not_believed_and_are_mended() {
    for (damage, is_told_of) in [
        // Not of that mailbox, though whole: one that lacks a message, and one that never had others.
        (
            "UPDATE contents SET (crc, content) = (SELECT crc, content FROM contents WHERE mailbox = 2) WHERE mailbox = 1",
            true,
        ),
        ("UPDATE contents SET content = x'01ff', crc = 7", true),
        (
            "UPDATE contents SET content = x'01ffffffffffffffffff', crc = 3013420128",
            true,
        ),
        ("UPDATE contents SET content = substr(content, 1, 3)", true),
        ("UPDATE contents SET mod_seq = 4611686018427387904", false),
        ("DELETE FROM contents", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mailbox = create(&store);
        append_all(&store, mailbox, (0..700).map(text));
        let second = commit(
            &store,
            Op::CreateMailbox {
                account: Account::new("bob"),
                name: MailboxName::parse("other").unwrap(),
                special_use: None,
            },
        );
        let Outcome::Created { mailbox: other, .. } = second else {
            panic!("{second:?}")
        };
        append_all(&store, other, (0..900).map(text));
        for mailbox in [mailbox, other] {
            compare(&store, mailbox, damage);
            wait_until_kept(&store, folder.path(), mailbox);
        }
        database(folder.path()).execute_batch(damage).unwrap();
        compare(&store, mailbox, damage);
        drop(store);
        // Opening has asked for new ones, which may have come in time.
        database(folder.path()).execute_batch(damage).unwrap();
        let report = SqliteStore::fsck(folder.path(), Repair::Yes).unwrap();
        assert_eq!(report.problems, [], "{damage}");
        let is_of_contents = |it: &Finding| it.to_string().contains("contents");
        assert_eq!(
            report.mended.iter().any(is_of_contents),
            is_told_of,
            "{damage}: {report:?}"
        );
        let store = open(folder.path());
        compare(&store, mailbox, damage);
    }
}

/// Reads the octets of a message whose text is not kept.
fn look_closely(store: &SqliteStore, search: &Search, message: &Message) -> bool {
    let blob = message.blob.as_ref().unwrap();
    let mut octets = Vec::new();
    while (octets.len() as u64) < blob.size() {
        octets.extend_from_slice(&block_on(store.read_blob(blob, octets.len() as u64..u64::MAX)).unwrap());
    }
    let index = Index::from_bytes(message.index.clone()).unwrap();
    let mut looking = Looking::new(search, message);
    Walk::new(&index).run(&octets, &mut looking);
    looking.verdict()
}

/// Finds what matches, by the stages that a server goes through, and tells how many texts it had to read.
fn find(store: &SqliteStore, mailbox: MailboxId, text: &str) -> (Vec<u32>, usize) {
    let search = Search::new(&Query::Text(text.to_owned()));
    let (mut found, mut open) = (Vec::new(), UidSet::all());
    if let Some(first) = search.first() {
        open = UidSet::new();
        for message in all(store, mailbox, first) {
            match search.judge(&message) {
                Some(true) => found.push(message.uid.value()),
                Some(false) => {}
                None => open.insert(message.uid),
            }
        }
    }
    let read = all(store, mailbox, search.second());
    let read: Vec<_> = read.into_iter().filter(|it| open.contains(it.uid)).collect();
    found.extend(
        read.iter()
            .filter(|it| {
                search
                    .look(it)
                    .unwrap_or_else(|| look_closely(store, &search, it))
            })
            .map(|it| it.uid.value()),
    );
    found.sort_unstable();
    (found, read.len())
}

#[test]
fn sketches_save_reading_and_hide_nothing_even_when_they_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailbox = create(&store);
    append_all(&store, mailbox, (0..400).map(text));
    // One that is too long to be searched in its own octets, and one in a pack.
    let long = |octets: usize| {
        format!(
            "Subject: long\r\n\r\n{}Straßenfest\r\n",
            "und so weiter\r\n".repeat(octets / 15)
        )
    };
    append_all(
        &store,
        mailbox,
        [70_000, 200_000].into_iter().map(|it| long(it).into_bytes()),
    );
    let needles = [
        "STRASSENFEST",
        "straßenfest",
        "message 39 ",
        "weiter",
        "7919",
        "zz",
        "no such",
        "ß",
        "e",
    ];
    let expected = needles.map(|needle| find(&store, mailbox, needle));
    assert_eq!(expected[1].0, [401, 402]);
    assert_eq!(expected[2].0, [40]);
    assert!(expected[1].1 < 20 && expected[6].1 < 20, "{expected:?}");
    // Of one or two octets a sketch tells all.
    assert_eq!((expected[5].1, expected[7].1, expected[8].1), (0, 0, 0));
    assert_eq!((expected[5].0.len(), expected[7].0.len()), (0, 2));
    assert_eq!(expected[8].0.len(), 402);
    drop(store);
    for damage in [
        "UPDATE sketch SET content = zeroblob(65)",
        "UPDATE sketch SET content = x''",
        "UPDATE sketch SET crc = crc + 1",
        "UPDATE sketch SET content = x'020000000000000000'",
        "DELETE FROM sketch",
    ] {
        database(folder.path()).execute_batch(damage).unwrap();
        let store = open(folder.path());
        for (needle, expected) in needles.iter().zip(&expected) {
            assert_eq!(find(&store, mailbox, needle).0, expected.0, "{damage}: {needle}");
        }
    }
}

#[test]
fn sketches_go_with_their_messages_and_outlive_a_damaged_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mailbox = create(&store);
    append_all(&store, mailbox, (0..50).map(text));
    let uids = (Uid::new(1).unwrap()..=Uid::new(20).unwrap()).into();
    commit(
        &store,
        Op::Expunge {
            mailbox,
            uids,
            deleted_only: false,
        },
    );
    assert_eq!(number(folder.path(), "SELECT count(*) FROM sketch"), 30);
    drop(store);
    let saved = tempfile::tempdir().unwrap();
    SqliteStore::salvage(folder.path(), saved.path()).unwrap();
    assert_eq!(number(saved.path(), "SELECT count(*) FROM sketch"), 30);
    let store = open(saved.path());
    assert!(find(&store, mailbox, "number 45\r\n").1 < 5);
    // One that belongs to nothing is found and removed.
    drop(store);
    database(saved.path())
        .execute_batch("INSERT INTO sketch VALUES (99999, 0, x'00', 1)")
        .unwrap();
    let report = SqliteStore::fsck(saved.path(), Repair::Yes).unwrap();
    assert_eq!((report.mended.len(), report.problems.len()), (1, 0), "{report:?}");
}

/// A store as a version of these tables had it: mailboxes with flags, keywords, an expunge history, a message that is in
/// two mailboxes, and one in the spool.
fn old_store(folder: &Path, version: usize) {
    let tables = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];
    let conn = database(folder);
    conn.execute_batch(tables[version - 1]).unwrap();
    let counters: &[(&str, i64)] = match version {
        1 => &[("mailbox", 2), ("spool", 3), ("blob", 1 << 32)],
        _ => &[("mailbox", 2), ("spool", 3), ("blob", 1 << 32), ("thread", 4)],
    };
    for counter in counters {
        conn.execute("INSERT INTO counter VALUES (?1, ?2)", *counter)
            .unwrap();
    }
    let size = |number| text(number).len() as i64;
    conn.execute(
        "INSERT INTO account VALUES (1, 'bob', 71, ?1, 5)",
        [size(1) * 2 + size(2) + size(3) + size(4)],
    )
    .unwrap();
    let columns =
        "(id, account, name, special_use, uid_validity, uid_next, mod_seq, messages, unseen, deleted, octets,
                    history, forgotten)";
    for (id, name, uid_next, mod_seq, messages, unseen, deleted, octets, history) in [
        (
            1,
            "INBOX",
            12,
            9,
            4,
            3,
            1,
            size(1) + size(2) + size(3) + size(4),
            3,
        ),
        (2, "Archive/2020", 2, 2, 1, 1, 0, size(1), 0),
    ] {
        conn.execute(
            &format!("INSERT INTO mailbox {columns} VALUES (?1, 1, ?2, NULL, 69 + ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)"),
            params![id, name, uid_next, mod_seq, messages, unseen, deleted, octets, history],
        )
        .unwrap();
    }
    conn.execute_batch(
        "INSERT INTO expunged VALUES (1, 8, 5, 7, 1600000000); INSERT INTO subscription VALUES (1, 'INBOX')",
    )
    .unwrap();
    if version == 2 {
        conn.execute("UPDATE mailbox SET deleted_octets = ?1 WHERE id = 1", [size(2)])
            .unwrap();
    }
    let columns = "(mailbox, uid, mod_seq, flags, keywords, internal_date, save_date, octets, blob)";
    for (mailbox, uid, mod_seq, flags, keywords, blob) in [
        (1, 1, 2, 0, None, 1_usize),
        (1, 2, 9, 1 | 8, Some("$Junk old"), 2),
        (1, 3, 4, 0, None, 3),
        (1, 11, 7, 0, Some("$Forwarded"), 4),
        (2, 1, 2, 0, None, 1),
    ] {
        let values = params![
            mailbox,
            uid,
            mod_seq,
            flags,
            keywords,
            1_500_000_000,
            1_600_000_000,
            size(blob),
            blob as i64
        ];
        conn.execute(
            &format!("INSERT INTO message {columns} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
            values,
        )
        .unwrap();
    }
    for blob in 1..=5_usize {
        let octets = text(blob);
        let mut builder = Builder::new(Options::default());
        builder.push(&octets);
        let meta = builder.finish().meta;
        let links = if blob == 1 { 2 } else { 1 };
        let columns = "(id, hash, octets, links, part_index)";
        let hash = BlobHash::of(&octets);
        let values = params![
            blob as i64,
            hash.as_bytes(),
            octets.len() as i64,
            links,
            &meta.index[..]
        ];
        conn.execute(
            &format!("INSERT INTO blob {columns} VALUES (?1, ?2, ?3, ?4, ?5)"),
            values,
        )
        .unwrap();
        conn.execute(
            "INSERT INTO body VALUES (?1, ?2, ?3)",
            params![blob as i64, crc32fast::hash(&octets), &octets[..]],
        )
        .unwrap();
        if version == 2 {
            let values = params![blob as i64, &meta.sort_keys[..], meta.threading.to_bytes()];
            conn.execute(
                "UPDATE blob SET sort_keys = ?2, threading = ?3 WHERE id = ?1",
                values,
            )
            .unwrap();
        }
    }
    if version == 2 {
        conn.execute_batch(
            "UPDATE message SET thread = blob;
             INSERT INTO annotation VALUES (1, 1, '/private/comment', x'6d');
             INSERT INTO acl VALUES (2, 'alice', 3)",
        )
        .unwrap();
    }
    conn.execute("INSERT INTO spool VALUES (3, x'72', 5)", [])
        .unwrap();
}

#[test]
fn stores_of_all_earlier_versions_are_opened_with_nothing_lost() {
    for version in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        old_store(folder.path(), version);
        let store = open(folder.path());
        let (inbox, archive) = (MailboxId::new(1), MailboxId::new(2));
        assert_eq!(block_on(store.check()).unwrap().problems, [], "version {version}");
        compare(&store, inbox, "INBOX");
        compare(&store, archive, "Archive");
        let messages = all(
            &store,
            inbox,
            Fields::FLAGS | Fields::DATES | Fields::BLOB | Fields::THREAD,
        );
        let found: Vec<_> = messages
            .iter()
            .map(|it| {
                (
                    it.uid.value(),
                    it.mod_seq.value(),
                    it.flags.system().bits(),
                    it.flags.keywords().len(),
                )
            })
            .collect();
        assert_eq!(found, [(1, 2, 0, 0), (2, 9, 9, 2), (3, 4, 0, 0), (11, 7, 0, 1)]);
        for (message, number) in messages.iter().zip(1..) {
            assert_eq!(
                (message.internal_date, message.save_date),
                (1_500_000_000, 1_600_000_000)
            );
            let blob = message.blob.as_ref().unwrap();
            assert_eq!(
                block_on(store.read_blob(blob, 0..u64::MAX)).unwrap(),
                text(number)
            );
        }
        let threads: BTreeSet<_> = messages.iter().map(|it| it.thread).collect();
        assert_eq!(threads.len(), 4);
        let since = mailwright_mailbox::ModSeq::new(7);
        let vanished = block_on(store.vanished(inbox, since)).unwrap();
        assert_eq!((vanished.uids.len(), vanished.complete), (3, true));
        let spool = block_on(store.spool(None, 10)).unwrap();
        assert_eq!((spool.len(), spool[0].key.value()), (1, 3));
        assert_eq!(find(&store, inbox, "message 4 ").0, [11]);
        assert_eq!(find(&store, inbox, "NUMBER").0, [1, 2, 3, 11]);
        let notes = block_on(store.annotations(&Account::new("bob"), Some(inbox))).unwrap();
        assert_eq!(
            (notes.len(), block_on(store.acl(archive)).unwrap().len()),
            [(0, 0), (1, 1)][version - 1]
        );
        // What comes has numbers that were never given, and all that this version keeps.
        append_all(&store, inbox, [text(100)].into_iter());
        assert_eq!(all(&store, inbox, Fields::NONE)[4].uid.value(), 12);
        assert!(!all(&store, inbox, Fields::SKETCH)[4].sketch.is_empty());
        let refused = Batch::new(NOW).with(Op::SpoolPut {
            key: None,
            record: Bytes::from("x"),
            blob: None,
        });
        let Outcome::SpoolPut { key } = block_on(store.commit(refused)).unwrap().outcomes[0] else {
            panic!("a record of the spool")
        };
        assert_eq!(key.value(), 4);
        assert_eq!(block_on(store.check()).unwrap().problems, [], "version {version}");
        drop(store);
        assert_eq!(number(folder.path(), "PRAGMA user_version"), 3);
        assert_eq!(SqliteStore::fsck(folder.path(), Repair::No).unwrap().problems, []);
    }
}
