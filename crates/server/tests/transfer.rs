//! Mail from elsewhere and to elsewhere: nothing is lost, nothing comes twice, and what cannot be read is named.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod dovecot;

use mailwright_mailbox::{
    Account, Batch, BlobWriter, Fields, Flags, Keyword, Limits, MailboxName, MemoryStore, MessageMeta, Op,
    Outcome, Scan, Store, SystemFlags, Uid, UidValidity,
};
use mailwright_sasl::Secret;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, Config, ListenerConfig, PlaintextLogin, Protocol};
use mailwright_server::transfer::{
    Exporter, Format, ImapAccount, Importer, Observer, Progress, Quoting, Report, TransferError,
    TransportSecurity,
};
use mailwright_server::{Running, Server};
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

#[derive(Default)]
struct Told {
    skipped: Vec<String>,
    progress: Progress,
}

impl Observer for Told {
    fn progress(&mut self, progress: &Progress) {
        self.progress = progress.clone();
    }

    fn skipped(&mut self, what: &str, why: &str) {
        self.skipped.push(format!("{what}: {why}"));
    }
}

fn bob() -> Account {
    Account::new("bob@localhost")
}

fn store() -> MemoryStore {
    MemoryStore::new(Limits::default())
}

/// All that a mail program can see of an account, but for what a mailbox without messages has for UIDs.
#[derive(Debug, PartialEq)]
struct Seen {
    name: String,
    is_subscribed: bool,
    uid_validity: u32,
    uid_next: u32,
    messages: Vec<Row>,
}

#[derive(Debug, PartialEq)]
struct Row {
    uid: u32,
    date: i64,
    flags: Flags,
    octets: String,
}

async fn seen(store: &MemoryStore) -> Vec<Seen> {
    let mut all = Vec::new();
    for info in store.mailboxes(&bob()).await.unwrap() {
        let snapshot = store.snapshot(info.id).await.unwrap();
        let page = store
            .scan(info.id, Scan::all(Fields::ALL).limit(100_000))
            .await
            .unwrap();
        let mut messages = Vec::new();
        for message in page.messages {
            let blob = message.blob.as_ref().unwrap();
            let mut octets = Vec::new();
            while (octets.len() as u64) < blob.size() {
                octets.extend(
                    store
                        .read_blob(blob, octets.len() as u64..u64::MAX)
                        .await
                        .unwrap(),
                );
            }
            messages.push(Row {
                uid: message.uid.value(),
                date: message.internal_date,
                flags: message.flags,
                octets: String::from_utf8_lossy(&octets).into_owned(),
            });
        }
        let is_empty = messages.is_empty();
        all.push(Seen {
            name: info.name.to_string(),
            is_subscribed: info.subscribed,
            uid_validity: if is_empty {
                0
            } else {
                snapshot.uid_validity.value()
            },
            uid_next: if is_empty {
                0
            } else {
                snapshot.uid_next.unwrap().value()
            },
            messages,
        });
    }
    all
}

fn flags(system: SystemFlags, keywords: &[&str]) -> Flags {
    let mut flags = Flags::from(system);
    for keyword in keywords {
        flags.insert_keyword(Keyword::parse(keyword).unwrap());
    }
    flags
}

async fn put(store: &MemoryStore, mailbox: &str, uid: u32, date: i64, with: Flags, octets: &str) {
    let name = MailboxName::parse(mailbox).unwrap();
    let listed = store.mailboxes(&bob()).await.unwrap();
    let known = listed.iter().find(|it| it.name == name).map(|it| it.id);
    let id = match known {
        Some(id) => id,
        None => {
            let create = Op::CreateMailbox {
                account: bob(),
                name: name.clone(),
                special_use: None,
            };
            let made = store
                .commit(Batch::new(1_700_000_000).with(create))
                .await
                .unwrap();
            let Outcome::Created { mailbox, .. } = made.outcomes[0] else {
                panic!()
            };
            mailbox
        }
    };
    let mut writer = store.new_blob();
    writer.write(octets.to_owned().into()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let adopt = Op::AdoptUids {
        mailbox: id,
        uid_validity: UidValidity::new(1_234_567),
        uid_next: Uid::new(uid).unwrap(),
    };
    let append = Op::Append {
        mailbox: id,
        blob,
        message: MessageMeta::default(),
        flags: with,
        internal_date: date,
    };
    store
        .commit(Batch::new(1_700_000_000).with(adopt).with(append))
        .await
        .unwrap();
}

/// Folders, flags, dates, UIDs with gaps, and bodies with all that formats trip over.
async fn filled() -> MemoryStore {
    let store = store();
    let (seen, none) = (SystemFlags::SEEN, SystemFlags::NONE);
    let quotes =
        "Subject: quotes\r\n\r\nFrom here\r\n>From there\r\n>>From afar\r\n>Fro\r\n\r\nFrom x\r\n\r\n\r\n";
    let own =
        "Status: RO\r\nX-UID: 99\r\nSubject: with fields of its own\r\nX-Keywords: not mine\r\n\r\nx\r\n";
    for (mailbox, uid, date, with, octets) in [
        (
            "INBOX",
            3,
            1_000_000_000,
            flags(seen, &[]),
            "Subject: a\r\n\r\nbody\r\n",
        ),
        (
            "INBOX",
            7,
            1_000_000_001,
            flags(SystemFlags::ALL, &["$Forwarded", "later"]),
            quotes,
        ),
        ("INBOX", 8, 1_000_000_001, flags(none, &["$Junk"]), own),
        ("INBOX", 20, 86_399, flags(none, &[]), "Subject: no body\r\n\r\n"),
        (
            "Archive/2026.1",
            1,
            1_500_000_000,
            flags(none, &[]),
            "Subject: a\r\n\r\nbody\r\n",
        ),
        (
            "Archive/2026.1",
            2,
            1_500_000_000,
            flags(none, &[]),
            "Subject: a\r\n\r\nbody\r\n",
        ),
        (
            "Entwürfe & mehr",
            5,
            1_500_000_000,
            flags(SystemFlags::DRAFT, &[]),
            "Subject: ü\r\n\r\n\r\n\r\n",
        ),
    ] {
        put(&store, mailbox, uid, date, with, octets).await;
    }
    let long = format!(
        "Subject: long\r\n\r\n{}\r\n",
        "0123456789abcde\r\n".repeat(200_000)
    );
    put(&store, "INBOX", 21, 1_000_000_002, flags(none, &[]), &long).await;
    let wide = format!("Subject: wide\r\n\r\n{}\r\n", "x".repeat(300_000));
    put(&store, "INBOX", 22, 1_000_000_002, flags(none, &[]), &wide).await;
    for name in ["INBOX", "Archive/2026.1"] {
        let name = MailboxName::parse(name).unwrap();
        let subscribe = Op::Subscribe {
            account: bob(),
            name,
            on: true,
        };
        store
            .commit(Batch::new(1_700_000_000).with(subscribe))
            .await
            .unwrap();
    }
    store
}

async fn export(store: &MemoryStore, root: &Path, format: Format) -> (Report, Vec<String>) {
    let mut told = Told::default();
    let report = Exporter::new(store, bob(), &mut told)
        .run(root, format)
        .await
        .unwrap();
    assert_eq!(
        Some(told.progress.messages + report.skipped),
        told.progress
            .total_messages
            .map(|it| it.max(told.progress.messages + report.skipped))
    );
    (report, told.skipped)
}

async fn import_maildir(store: &MemoryStore, root: &Path) -> (Report, Vec<String>) {
    let mut told = Told::default();
    let report = Importer::new(store, bob(), None, &mut told)
        .maildir(root)
        .await
        .unwrap();
    (report, told.skipped)
}

async fn import_mbox(store: &MemoryStore, root: &Path, quoting: Quoting) -> (Report, Vec<String>) {
    let mut told = Told::default();
    let importer = Importer::new(store, bob(), None, &mut told);
    let report = importer.mbox(root, quoting).await.unwrap();
    (report, told.skipped)
}

/// Of the mailboxes with messages.
fn full(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.retain(|it| !it.messages.is_empty());
    seen.iter_mut().for_each(|it| it.is_subscribed = true);
    seen
}

#[tokio::test]
async fn a_maildir_brings_all_back() {
    let (from, folder) = (filled().await, tempfile::tempdir().unwrap());
    // Octets that only a form without any change keeps.
    put(
        &from,
        "odd",
        1,
        5,
        Flags::new(),
        "Subject: bare\r\n\r\na\nb\rc\r\n",
    )
    .await;
    put(&from, "odd", 2, 5, Flags::new(), "Subject: no end\r\n\r\nx").await;
    let (report, skipped) = export(&from, folder.path(), Format::Maildir).await;
    assert_eq!((report.added, report.folders, skipped), (11, 4, vec![]));
    let name = |sub: &str| folder.path().join(sub);
    let uids = fs::read_to_string(name(".Archive.2026\\2e1/dovecot-uidlist")).unwrap();
    assert!(uids.starts_with("3 V1234567 N3\n1 :1500000000."), "{uids}");
    assert!(name(".Entw&APw-rfe &- mehr/cur").is_dir());
    assert_eq!(fs::read_dir(name("tmp")).unwrap().count(), 0);

    let to = store();
    let (report, skipped) = import_maildir(&to, folder.path()).await;
    assert_eq!((report.added, report.present, skipped), (11, 0, vec![]));
    let found = seen(&to).await;
    let inbox = found.iter().find(|it| it.name == "INBOX").unwrap();
    assert!(inbox.is_subscribed && inbox.uid_next == 23 && inbox.uid_validity == 1_234_567);
    assert_eq!(full(found), full(seen(&from).await));

    // Once more, both ways: all is there.
    assert_eq!(export(&from, folder.path(), Format::Maildir).await.0.added, 0);
    let (report, _) = import_maildir(&to, folder.path()).await;
    assert_eq!((report.added, report.present), (0, 11));
    // What came in between comes alone.
    put(&from, "INBOX", 30, 6, Flags::new(), "Subject: late\r\n\r\n").await;
    assert_eq!(export(&from, folder.path(), Format::Maildir).await.0.added, 1);
    let (report, _) = import_maildir(&to, folder.path()).await;
    assert_eq!((report.added, report.present), (1, 11));
    assert_eq!(full(seen(&to).await), full(seen(&from).await));
}

#[tokio::test]
async fn mbox_files_bring_all_back() {
    for quoting in [Quoting::Rd, Quoting::O] {
        let (from, folder) = (filled().await, tempfile::tempdir().unwrap());
        let (report, skipped) = export(&from, folder.path(), Format::Mbox(quoting)).await;
        assert_eq!((report.added, report.folders, skipped), (9, 3, vec![]));
        let inbox = fs::read_to_string(folder.path().join("INBOX.mbox")).unwrap();
        assert!(
            inbox.starts_with(
                "From MAILER-DAEMON Sun Sep  9 01:46:40 2001\nX-IMAPbase: 1234567 0000000022\nStatus: RO\nX-UID: 3\n"
            ),
            "{}",
            &inbox[..200]
        );
        assert!(inbox.contains("X-Status: AFDT\nX-Keywords: $Forwarded later\nX-UID: 7\n"));
        assert!(folder.path().join("Archive/2026.1.mbox").is_file());
        let quoted = match quoting {
            Quoting::Rd => "\n>From here\n>>From there\n>>>From afar\n>Fro\n",
            Quoting::O => "\n>From here\n>From there\n>>From afar\n>Fro\n",
        };
        assert!(inbox.contains(quoted));

        let to = store();
        let (report, skipped) = import_mbox(&to, folder.path(), quoting).await;
        assert_eq!((report.added, skipped), (9, vec![]));
        let mut expected = full(seen(&from).await);
        if quoting == Quoting::O {
            // The one thing that mboxo cannot tell.
            let quotes = expected
                .iter_mut()
                .flat_map(|it| &mut it.messages)
                .find(|it| it.uid == 7);
            let quotes = quotes.unwrap();
            quotes.octets = quotes.octets.replace("\n>From there", "\nFrom there");
        }
        assert_eq!(full(seen(&to).await), expected);
        let (report, _) = import_mbox(&to, folder.path(), quoting).await;
        assert_eq!((report.added, report.present), (0, 9));
    }
}

#[tokio::test]
async fn mbox_files_of_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "INBOX",
        "From MAILER_DAEMON Thu Jan  1 00:00:00 1970\n\
         Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 42 0000000017 work\nStatus: RO\n\n\
         This text is part of the internal format of your mail folder.\n\n\
         From alice@a.test Fri Nov 21 09:55:06 1997 +0100\n\
         Subject: one\nX-UID: 12\nStatus: RO\nX-Status: F\nX-Keywords: work\n\nFrom the start:\nFrom us\n\n\
         From here on it is body\n\n\
         From bob@b.test  Fri Nov 21 10:00:00 1997\nSubject: two\n\nno line end",
    );
    write(
        "Thunder.sbd/Bird",
        "From - Fri Nov 21 10:00:00 1997\nX-Mozilla-Status: 1003\nX-Mozilla-Status2: 00000000\n\
         X-Mozilla-Keys: $label1 later         \nSubject: three\n\nx\n\n",
    );
    write(
        "old",
        "From nobody\nSubject: four\n\nx\n\nFrom nowhere\nSubject: five\n\ny\n",
    );
    write(
        "crlf",
        "From a@b Fri Nov 21 10:00:00 1997\r\nSubject: six\r\n\r\nx\r\n\r\n",
    );
    write("empty", "");
    write("filter.dat", "no mail");

    let to = store();
    let (report, skipped) = import_mbox(&to, folder.path(), Quoting::Rd).await;
    assert_eq!((report.added, report.skipped), (6, 1), "{skipped:?}");
    assert!(
        skipped[0].ends_with("filter.dat: not an mbox file"),
        "{skipped:?}"
    );
    let found = seen(&to).await;
    let rows = |name: &str| {
        let it = found.iter().find(|it| it.name == name).unwrap();
        (it.uid_validity, it.uid_next, &it.messages)
    };
    let (validity, next, inbox) = rows("INBOX");
    assert_eq!((validity, next, inbox.len()), (42, 18, 2), "{inbox:?}");
    let body = "Subject: one\r\n\r\nFrom the start:\r\nFrom us\r\n\r\nFrom here on it is body\r\n";
    let one = Row {
        uid: 12,
        date: 880_102_506,
        flags: flags(SystemFlags::SEEN | SystemFlags::FLAGGED, &["work"]),
        octets: body.into(),
    };
    assert_eq!(inbox[0], one);
    assert_eq!(
        (inbox[1].uid, inbox[1].date, &*inbox[1].octets),
        (13, 880_106_400, "Subject: two\r\n\r\nno line end")
    );
    let (.., bird) = rows("Thunder/Bird");
    let expected = flags(
        SystemFlags::SEEN | SystemFlags::ANSWERED,
        &["$Forwarded", "$label1", "later"],
    );
    assert_eq!(
        (&bird[0].flags, &*bird[0].octets),
        (&expected, "Subject: three\r\n\r\nx\r\n")
    );
    let (.., old) = rows("old");
    assert_eq!(old.len(), 2);
    assert_eq!(rows("crlf").2[0].octets, "Subject: six\r\n\r\nx\r\n");
    assert!(rows("empty").2.is_empty());
}

#[tokio::test]
async fn a_maildir_of_dovecot_keeps_uids_and_keywords() {
    let folder = tempfile::tempdir().unwrap();
    for sub in [".", ".Sent", ".Lists.rust", "fs/deep"] {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.path().join(sub).join(part)).unwrap();
        }
    }
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let date = UNIX_EPOCH + Duration::from_secs(1_276_528_487);
        let opened = fs::File::options().write(true).open(path).unwrap();
        opened.set_modified(date).unwrap();
    };
    file("cur/1276528487.M1P1.host,S=20,W=22:2,FSab", "Subject: one\n\nx\n");
    file("cur/1276528488.M1P1.host:2,PRT", "Subject: two\r\n\r\nx\n");
    file("new/1276528489.M1P1.host", "Subject: three\n\nx\n");
    file("cur/1276528490.M1P1.host:2,", "");
    file("cur/1276528491.M1P1.host:2,", "\x1f\u{8b}zipped");
    fs::write(
        folder.path().join("cur/1276528492.M1P1.host:2,"),
        b"\x1f\x8b\x08\0zipped",
    )
    .unwrap();
    file("cur/.hidden", "no mail");
    file("dovecot.index", "no mail");
    file("dovecot-keywords", "0 work\n1 $Junk\n");
    file(
        "dovecot-uidlist",
        "3 V1275660208 N25022 G3085f01b\n25006 :1276528488.M1P1.host\n25017 W22 :1276528487.M1P1.host,S=20,W=22:2,\n",
    );
    file("subscriptions", "V\t2\n\nLists\trust\nGone\n");
    file(".Lists.rust/cur/1.a.b:2,S", "Subject: four\n\n");
    file("fs/deep/cur/1.a.b:2,D", "Subject: five\n\n");

    let to = store();
    let (report, skipped) = import_maildir(&to, folder.path()).await;
    assert_eq!(
        (report.added, report.folders, report.skipped),
        (6, 4, 2),
        "{skipped:?}"
    );
    assert!(
        skipped
            .iter()
            .any(|it| it.contains("1276528490") && it.ends_with("the file is empty"))
    );
    assert!(
        skipped
            .iter()
            .any(|it| it.contains("1276528492") && it.contains("compressed"))
    );
    let found = seen(&to).await;
    let inbox = &found.iter().find(|it| it.name == "INBOX").unwrap();
    assert_eq!((inbox.uid_validity, inbox.uid_next), (1_275_660_208, 25_022));
    let short: Vec<_> = inbox.messages.iter().map(|it| (it.uid, &*it.octets)).collect();
    let expected = [
        (25_006, "Subject: two\r\n\r\nx\n"),
        (25_017, "Subject: one\r\n\r\nx\r\n"),
        (25_018, "Subject: three\r\n\r\nx\r\n"),
    ];
    assert_eq!(short[..3], expected);
    let one = flags(SystemFlags::FLAGGED | SystemFlags::SEEN, &["work", "$Junk"]);
    assert_eq!(
        (&inbox.messages[1].flags, inbox.messages[1].date),
        (&one, 1_276_528_487)
    );
    assert_eq!(
        inbox.messages[0].flags,
        flags(SystemFlags::ANSWERED | SystemFlags::DELETED, &["$Forwarded"])
    );
    let names: Vec<&str> = found
        .iter()
        .filter(|it| !it.messages.is_empty())
        .map(|it| &*it.name)
        .collect();
    assert_eq!(names, ["INBOX", "Lists/rust", "fs/deep"]);
    let subscribed = to.subscriptions(&bob()).await.unwrap();
    assert!(
        subscribed.iter().any(|it| it.as_str() == "Gone"),
        "{subscribed:?}"
    );
}

/// A server over a store, and an account on it for the importer.
async fn server(from: MemoryStore, folder: &Path) -> (Running<MemoryStore>, ImapAccount) {
    let mut config = Config::new("localhost".parse().unwrap(), folder);
    config.domains.push("localhost".parse().unwrap());
    config.plaintext_login = PlaintextLogin::Always;
    let mut entry = AccountEntry::new("bob@localhost".parse().unwrap());
    set_password(&mut entry, &"builder".into());
    config.accounts.push(entry);
    config.listeners.push(ListenerConfig::new(
        Protocol::Imap,
        "127.0.0.1:0".parse().unwrap(),
    ));
    let running = Server::builder(config).store(from).start().await.unwrap();
    let port = running.address("imap").unwrap().port();
    let account = ImapAccount::new(
        "127.0.0.1",
        port,
        TransportSecurity::None,
        "bob",
        Secret::from("builder"),
    );
    (running, account)
}

#[tokio::test]
async fn a_live_account_comes_over_and_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (running, account) = server(filled().await, folder.path()).await;
    let to = store();
    let import = async |from: &ImapAccount| {
        let mut told = Told::default();
        let report = Importer::new(&to, bob(), None, &mut told).imap(from).await;
        (report, told.skipped)
    };
    let (report, skipped) = import(&account).await;
    let report = report.unwrap();
    assert_eq!((report.added, report.present, skipped), (9, 0, vec![]));
    assert_eq!(full(seen(&to).await), full(seen(&running.shared().store).await));

    // Begun again, nothing is fetched; what is there twice comes twice.
    let (report, _) = import(&account).await;
    assert_eq!((report.unwrap().added), 0);
    let from = &running.shared().store;
    put(from, "INBOX", 40, 7, Flags::new(), "Subject: a\r\n\r\nbody\r\n").await;
    let (report, _) = import(&account).await;
    assert_eq!((report.unwrap().added), 1);
    assert_eq!(full(seen(&to).await), full(seen(from).await));

    let mut wrong = account.clone();
    wrong.password = Secret::from("no");
    let (report, _) = import(&wrong).await;
    let error = report.unwrap_err();
    assert!(matches!(error, TransferError::Server { .. }), "{error}");
    running.shutdown().await;
    let (report, _) = import(&account).await;
    assert!(report.is_err());
}

#[tokio::test]
async fn folders_go_below_the_one_that_is_named() {
    let (from, folder) = (filled().await, tempfile::tempdir().unwrap());
    export(&from, folder.path(), Format::Maildir).await;
    let (to, mut told) = (store(), Told::default());
    let into = MailboxName::parse("Old").unwrap();
    let importer = Importer::new(&to, bob(), Some(into), &mut told);
    importer.maildir(folder.path()).await.unwrap();
    let names: Vec<String> = full(seen(&to).await).into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["Old", "Old/Archive/2026.1", "Old/Entwürfe & mehr"]);
}

#[tokio::test]
async fn what_the_store_refuses_is_named_and_the_rest_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.path().join(sub)).unwrap();
    }
    let keywords: String = (0..20).map(|n| format!("{n} k{n}\n")).collect();
    fs::write(folder.path().join("dovecot-keywords"), keywords).unwrap();
    for (name, text) in [
        ("1.a.b:2,S", "Subject: a\n\n"),
        ("2.a.b:2,abcdefghijklmnop", "Subject: b\n\n"),
        ("3.a.b:2,", "Subject: c\n\n"),
    ] {
        fs::write(folder.path().join("cur").join(name), text).unwrap();
    }
    let mut limits = Limits::default();
    limits.keywords_per_message = 10;
    let to = MemoryStore::new(limits);
    let (report, skipped) = import_maildir(&to, folder.path()).await;
    assert_eq!((report.added, report.skipped), (2, 1));
    assert!(
        skipped[0].contains("2.a.b") && skipped[0].contains("keywords"),
        "{skipped:?}"
    );
    let missing = Importer::new(&to, bob(), None, &mut Told::default())
        .maildir(&folder.path().join("nowhere"))
        .await;
    assert!(matches!(missing, Err(TransferError::File { .. })));
}
