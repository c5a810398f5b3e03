//! The Maildir store passes the suite, sees what other programs do, and can change places with Dovecot.
#![cfg(feature = "maildir")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, Fields, FlagChange, Flags, Keyword, Limits, MailboxId, MailboxName,
    MessageMeta, ModSeq, Op, Outcome, Scan, Store, SystemFlags, Uid, UidSet, UidValidity,
    conformance::{Harness, block_on},
};
use mailwright_store::{Error, MaildirStore, maildir::Config};
use tempfile::TempDir;

struct InFolders {
    folders: Vec<TempDir>,
    limits: Limits,
}

impl InFolders {
    fn new() -> Self {
        Self {
            folders: Vec::new(),
            limits: Limits::default(),
        }
    }

    fn store(&self) -> MaildirStore {
        let mut config = Config::default();
        config.limits = self.limits;
        config.poll = Duration::from_millis(50);
        // Written anew again and again.
        config.journal_octets = 20_000;
        MaildirStore::open(self.folders.last().unwrap().path(), config).unwrap()
    }
}

impl Harness for InFolders {
    type Store = MaildirStore;

    fn open(&mut self, limits: Limits) -> MaildirStore {
        self.folders.push(tempfile::tempdir().unwrap());
        self.limits = limits;
        self.store()
    }

    fn reopen(&mut self, store: MaildirStore) -> MaildirStore {
        drop(store);
        self.store()
    }
}

mailwright_mailbox::conformance_tests!(InFolders::new());

const NOW: i64 = 1_700_000_000;

fn bob() -> Account {
    Account::new("bob@b.test")
}

fn open(root: &Path) -> MaildirStore {
    let mut config = Config::default();
    // Nothing is noticed by chance: what is tested is noticed on access, or by asking.
    config.poll = Duration::from_secs(3600);
    MaildirStore::open(root, config).unwrap()
}

fn commit(store: &MaildirStore, op: Op) -> Outcome {
    block_on(store.commit(Batch::new(NOW).with(op)))
        .unwrap()
        .outcomes
        .remove(0)
}

fn create(store: &MaildirStore, name: &str) -> MailboxId {
    let create = Op::CreateMailbox {
        account: bob(),
        name: MailboxName::parse(name).unwrap(),
        special_use: None,
    };
    match commit(store, create) {
        Outcome::Created { mailbox, .. } => mailbox,
        other => panic!("{other:?}"),
    }
}

fn find(store: &MaildirStore, name: &str) -> Option<MailboxId> {
    let listed = block_on(store.mailboxes(&bob())).unwrap();
    listed.iter().find(|it| it.name.as_str() == name).map(|it| it.id)
}

fn append(store: &MaildirStore, mailbox: MailboxId, body: &str, flags: Flags) {
    let mut writer = store.new_blob();
    let blob = block_on(async {
        writer.write(body.to_owned().into()).await.unwrap();
        writer.finish().await.unwrap()
    });
    commit(
        store,
        Op::Append {
            mailbox,
            blob,
            message: MessageMeta::default(),
            flags,
            internal_date: NOW,
        },
    );
}

fn flags(system: SystemFlags, keywords: &[&str]) -> Flags {
    let mut flags = Flags::from(system);
    for keyword in keywords {
        flags.insert_keyword(Keyword::parse(keyword).unwrap());
    }
    flags
}

/// UID, flags and octets of all messages.
fn read(store: &MaildirStore, mailbox: MailboxId) -> Vec<(u32, Flags, String)> {
    let page = block_on(store.scan(mailbox, Scan::all(Fields::ALL))).unwrap();
    let body = |blob: &BlobRef| block_on(store.read_blob(blob, 0..u64::MAX)).unwrap().to_vec();
    let messages = page.messages.into_iter();
    messages
        .map(|it| {
            let body = body(it.blob.as_ref().unwrap());
            (it.uid.value(), it.flags, String::from_utf8(body).unwrap())
        })
        .collect()
}

/// The names of the files of a folder, with `cur/` or `new/` in front.
fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for sub in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(sub)).unwrap() {
            names.push(format!("{sub}/{}", entry.unwrap().file_name().to_str().unwrap()));
        }
    }
    names.sort();
    names
}

#[test]
fn mail_is_in_files_that_others_can_read() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (inbox, sub) = (create(&store, "INBOX"), create(&store, "Lists/rust.lang"));
    append(&store, inbox, "Subject: a\r\n\r\n", Flags::new());
    append(
        &store,
        inbox,
        "Subject: b\r\n\r\n",
        flags(SystemFlags::SEEN, &["work"]),
    );
    let of_bob = root.path().join("bob@b.test");
    let names = files(&of_bob);
    assert!(names[0].starts_with("cur/1700000000.M") && names[0].ends_with(".mailwright,S=14:2,Sa"));
    assert!(names[1].starts_with("new/1700000000.M") && names[1].ends_with(".mailwright,S=14"));
    assert_eq!(
        fs::read_to_string(of_bob.join(&names[1])).unwrap(),
        "Subject: a\r\n\r\n"
    );
    assert_eq!(
        fs::read_to_string(of_bob.join("dovecot-keywords")).unwrap(),
        "0 work\n"
    );

    commit(
        &store,
        Op::StoreFlags {
            mailbox: inbox,
            uids: Uid::MIN.into(),
            change: FlagChange::Add(flags(SystemFlags::FLAGGED, &["later", "work"])),
            unchanged_since: None,
        },
    );
    commit(
        &store,
        Op::Copy {
            from: inbox,
            uids: UidSet::all(),
            to: sub,
        },
    );
    let names = files(&of_bob.join(".Lists.rust\\2elang"));
    assert!(
        names[0].ends_with(":2,Fab") && names[1].ends_with(":2,Sb"),
        "{names:?}"
    );
    commit(
        &store,
        Op::RenameMailbox {
            account: bob(),
            from: MailboxName::parse("Lists").unwrap(),
            to: MailboxName::parse("Entwürfe").unwrap(),
        },
    );
    assert_eq!(files(&of_bob.join(".Entw&APw-rfe.rust\\2elang")).len(), 2);
    commit(
        &store,
        Op::Expunge {
            mailbox: inbox,
            uids: Uid::MIN.into(),
            deleted_only: false,
        },
    );
    assert_eq!(files(&of_bob).len(), 1);
    drop(store);
    let list = fs::read_to_string(of_bob.join("dovecot-uidlist")).unwrap();
    let left = files(&of_bob)[0][4..].split(':').next().unwrap().to_owned();
    assert!(list.starts_with("3 V1700000000 N3\n"), "{list}");
    assert!(list.ends_with(&format!("\n2 :{left}\n")), "{list}");
    let store = open(root.path());
    assert_eq!(read(&store, inbox).len(), 1);
    commit(&store, Op::RemoveAccount { account: bob() });
    assert!(!of_bob.exists());
}

#[test]
fn what_other_programs_do_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let inbox = create(&store, "INBOX");
    for n in 0..3 {
        append(
            &store,
            inbox,
            &format!("Subject: {n}\r\n\r\n"),
            flags(SystemFlags::SEEN, &[]),
        );
    }
    let of_bob = root.path().join("bob@b.test");
    let before = block_on(store.snapshot(inbox)).unwrap().highest_mod_seq;
    let names = files(&of_bob);
    // One comes, one gets other flags, one goes, one is moved to `new` with nothing to tell.
    fs::write(of_bob.join("new/1.other.host"), "Subject: dropped\n\nhere\n").unwrap();
    fs::write(of_bob.join("tmp/half"), "Subject: not yet").unwrap();
    fs::write(of_bob.join("dovecot-keywords"), "0 work\n").unwrap();
    let base = |name: &str| name[4..].split(':').next().unwrap().to_owned();
    fs::rename(
        of_bob.join(&names[0]),
        of_bob.join(format!("cur/{}:2,aFR", base(&names[0]))),
    )
    .unwrap();
    fs::remove_file(of_bob.join(&names[1])).unwrap();
    let found = read(&store, inbox);
    let uids: Vec<u32> = found.iter().map(|it| it.0).collect();
    assert_eq!(uids, [1, 3, 4], "{found:?}");
    let changed = flags(SystemFlags::FLAGGED | SystemFlags::ANSWERED, &["work"]);
    assert_eq!(found[0].1, changed);
    assert_eq!(found[1].1, flags(SystemFlags::SEEN, &[]));
    assert_eq!(
        found[2],
        (4, Flags::new(), "Subject: dropped\r\n\r\nhere\r\n".into())
    );
    let vanished = block_on(store.vanished(inbox, before)).unwrap();
    assert!(vanished.complete && vanished.uids == Uid::new(2).unwrap().into());
    // What was dropped is sorted and threaded as if it had come here.
    let page = block_on(store.scan(inbox, Scan::all(Fields::ALL).since(before))).unwrap();
    let dropped = page.messages.iter().find(|it| it.uid.value() == 4).unwrap();
    assert!(!dropped.index.is_empty() && !dropped.sort_keys.is_empty());

    // Our own changes find files wherever others have put them.
    let name = files(&of_bob)
        .into_iter()
        .find(|it| it.contains("1.other.host"))
        .unwrap();
    fs::rename(of_bob.join(name), of_bob.join("cur/1.other.host:2,S")).unwrap();
    commit(
        &store,
        Op::StoreFlags {
            mailbox: inbox,
            uids: Uid::new(4).unwrap().into(),
            change: FlagChange::Add(SystemFlags::DELETED.into()),
            unchanged_since: None,
        },
    );
    assert!(
        files(&of_bob)
            .iter()
            .any(|it| it.starts_with("cur/1.other.host:2,"))
    );

    // A feed hears of it by polling alone.
    let mut feed = store.subscribe(&bob());
    fs::write(of_bob.join("new/2.other.host"), "Subject: second\n\n").unwrap();
    block_on(store.look()).unwrap();
    assert_eq!(feed.take().len(), 1);

    // Folders come and go.
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir_all(of_bob.join(".Made.Elsewhere").join(sub)).unwrap();
    }
    fs::write(of_bob.join(".Made.Elsewhere/cur/3.x:2,T"), "Subject: c\n\n").unwrap();
    block_on(store.look()).unwrap();
    let made = find(&store, "Made/Elsewhere").unwrap();
    assert_eq!(read(&store, made)[0].1, flags(SystemFlags::DELETED, &[]));
    fs::remove_dir_all(of_bob.join(".Made.Elsewhere")).unwrap();
    block_on(store.look()).unwrap();
    assert_eq!(find(&store, "Made/Elsewhere"), None);
    let kept = read(&store, inbox);
    drop(store);
    // While nobody looked.
    fs::write(of_bob.join("new/4.other.host"), "Subject: third\n\n").unwrap();
    let store = open(root.path());
    let found = read(&store, inbox);
    assert_eq!(found[..kept.len()], kept);
    assert_eq!((found.len(), found.last().unwrap().0), (kept.len() + 1, 6));
}

#[test]
fn a_maildir_of_dovecot_becomes_an_account_with_its_uids() {
    let root = tempfile::tempdir().unwrap();
    let of_bob = root.path().join("bob@b.test");
    for folder in ["", ".Sent", ".Lists.rust"] {
        for sub in ["cur", "new", "tmp"] {
            fs::create_dir_all(of_bob.join(folder).join(sub)).unwrap();
        }
    }
    let write = |name: &str, text: &str| {
        fs::write(of_bob.join(name), text).unwrap();
        let file = fs::File::options().write(true).open(of_bob.join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_276_528_487))
            .unwrap();
    };
    write("cur/1276528487.M1P1.host,S=20,W=22:2,FSab", "Subject: one\n\nx\n");
    write("cur/1276528488.M1P1.host:2,RT", "Subject: two\r\n\r\nx\n");
    write("new/1276528489.M1P1.host", "Subject: three\n\nx\n");
    write("dovecot-keywords", "0 work\n1 $Junk\n");
    write(
        "dovecot-uidlist",
        "3 V1275660208 N25022 G3085f01b\n25006 :1276528488.M1P1.host\n25017 W22 :1276528487.M1P1.host,S=20,W=22:2,\n",
    );
    write("subscriptions", "V\t2\n\nLists\trust\n");

    let store = open(root.path());
    let inbox = find(&store, "INBOX").unwrap();
    let check = |store: &MaildirStore| {
        let found = read(store, inbox);
        let short: Vec<_> = found.iter().map(|it| (it.0, &*it.2)).collect();
        let expected = [
            (25_006, "Subject: two\r\n\r\nx\n"),
            (25_017, "Subject: one\r\n\r\nx\r\n"),
            (25_018, "Subject: three\r\n\r\nx\r\n"),
        ];
        assert_eq!(short, expected);
        assert_eq!(
            found[1].1,
            flags(SystemFlags::FLAGGED | SystemFlags::SEEN, &["work", "$Junk"])
        );
        let head = block_on(store.snapshot(inbox)).unwrap();
        assert_eq!(
            (head.uid_validity, head.uid_next),
            (UidValidity::new(1_275_660_208).unwrap(), Uid::new(25_022))
        );
    };
    check(&store);
    assert!(find(&store, "Sent").is_some() && find(&store, "Lists/rust").is_some());
    assert_eq!(
        block_on(store.subscriptions(&bob())).unwrap()[0].as_str(),
        "Lists/rust"
    );
    let dates = block_on(store.scan(inbox, Scan::all(Fields::DATES))).unwrap();
    assert!(dates.messages.iter().all(|it| it.internal_date == 1_276_528_487));
    // Nothing was moved or rewritten.
    assert_eq!(
        fs::read_to_string(of_bob.join("new/1276528489.M1P1.host")).unwrap(),
        "Subject: three\n\nx\n"
    );
    drop(store);
    let list = fs::read_to_string(of_bob.join("dovecot-uidlist")).unwrap();
    assert!(
        list.starts_with("3 V1275660208 N25022\n25006 :1276528488.M1P1.host\n"),
        "{list}"
    );
    // Dovecot takes its place for a while, and gives UIDs of its own.
    fs::write(
        of_bob.join("dovecot-uidlist"),
        list.replace("N25022", "N25031") + "25030 :5.new\n",
    )
    .unwrap();
    write("cur/5.new:2,S", "Subject: four\n\n");
    let store = open(root.path());
    assert_eq!(read(&store, inbox).last().unwrap().0, 25_030);
    fs::remove_file(of_bob.join("cur/5.new:2,S")).unwrap();
}

#[test]
fn damage_is_told_and_a_torn_end_is_not_damage() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let inbox = create(&store, "INBOX");
    for n in 0..5 {
        append(&store, inbox, &format!("Subject: {n}\r\n\r\n"), Flags::new());
    }
    assert!(matches!(
        MaildirStore::open(root.path(), Config::default()),
        Err(Error::InUse { .. })
    ));
    let body = block_on(store.scan(inbox, Scan::all(Fields::BLOB)))
        .unwrap()
        .messages[0]
        .blob
        .clone();
    let body = body.unwrap();
    drop(store);
    let journal = root.path().join(".mailwright/journal");
    let whole = fs::read(&journal).unwrap();

    // Nobody was told of half a record.
    for cut in [1, 7, 17] {
        fs::write(&journal, [&*whole, &whole[60..60 + cut]].concat()).unwrap();
        let store = open(root.path());
        assert_eq!(read(&store, inbox).len(), 5);
        drop(store);
    }
    let whole = fs::read(&journal).unwrap();
    let mut bent = whole.clone();
    bent[200] ^= 1;
    fs::write(&journal, &bent).unwrap();
    let error = MaildirStore::open(root.path(), Config::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("journal is damaged at octet"), "{error}");
    fs::write(&journal, b"something else entirely, of some length\n").unwrap();
    assert!(matches!(
        MaildirStore::open(root.path(), Config::default()),
        Err(Error::Foreign { .. })
    ));
    fs::write(&journal, &whole).unwrap();

    // A body that has changed is told, and concerns nobody else.
    let file = root.path().join(format!(".mailwright/bodies/{}", body.hash()));
    let path: PathBuf = file;
    fs::write(&path, "Subject: X\r\n\r\n").unwrap();
    let store = open(root.path());
    let error = block_on(store.read_blob(&body, 0..100)).unwrap_err();
    assert!(error.to_string().contains("is not what was written"), "{error}");
    let rest = block_on(store.scan(inbox, Scan::all(Fields::BLOB).since(ModSeq::new(2)))).unwrap();
    for message in rest.messages {
        block_on(store.read_blob(message.blob.as_ref().unwrap(), 0..100)).unwrap();
    }
}
