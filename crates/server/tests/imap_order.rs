//! SORT, THREAD, searches over several mailboxes and in several charsets, and what is told while they take time.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use mailwright_imap::Criterion;
use mailwright_mailbox::{
    Account, MailboxId, MailboxName, Message, ModSeq, Page, Scan, Snapshot, Uid, UidSet, UidValidity,
};
use mailwright_sasl::{Answer, Identity, Question};
use mailwright_server::imap::{
    self, Abilities, Backend, Copied, Failure, Listed, Mailboxes, Options, ReadOnly,
};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use support::imap::{Site, append, one};
use support::lines::{Lines, find};
use tokio::sync::Semaphore;

/// What stands in the messages that are sorted: subject, sender, date, what it answers.
const MAIL: [(&str, &str, &str, &str); 5] = [
    (
        "Pears",
        "Zoe <anna@x.test>",
        "Mon, 02 Nov 2026 10:00:00 +0000",
        "",
    ),
    (
        "apples",
        "Bert <zoe@x.test>",
        "Tue, 03 Nov 2026 10:00:00 +0000",
        "",
    ),
    (
        "Re: pears",
        "Max <max@x.test>",
        "Wed, 04 Nov 2026 10:00:00 +0000",
        "m1",
    ),
    (
        "Figs",
        "Carl <carl@x.test>",
        "Sun, 01 Nov 2026 10:00:00 +0000",
        "",
    ),
    (
        "RE: Re: Pears",
        "Eva <eva@x.test>",
        "Thu, 05 Nov 2026 10:00:00 +0000",
        "m3",
    ),
];

async fn orchard(site: &Site) -> Lines {
    let mut client = site.login("alice").await;
    for (n, (subject, from, date, answers)) in (1..).zip(MAIL) {
        let answers = match answers {
            "" => String::new(),
            id => format!("In-Reply-To: <{id}@x.test>\r\n"),
        };
        let text = "x".repeat(100 - n);
        let message = format!(
            "Message-ID: <m{n}@x.test>\r\n{answers}Subject: {subject}\r\nFrom: {from}\r\nDate: {date}\r\n\r\n{text}\r\n"
        );
        let command = format!(
            "APPEND INBOX \"0{n}-Nov-2026 12:00:00 +0000\" {{{}+}}\r\n{message}",
            message.len()
        );
        client.imap(&command, "OK").await;
    }
    client.imap("SELECT INBOX", "OK").await;
    client
}

#[tokio::test]
async fn messages_are_sorted_by_every_key() {
    let site = Site::start(|_| {}).await;
    let mut client = orchard(&site).await;
    for (order, found) in [
        ("SUBJECT", "2 4 1 3 5"),
        ("REVERSE SUBJECT", "1 3 5 4 2"),
        ("SUBJECT REVERSE DATE", "2 4 5 3 1"),
        ("FROM", "1 4 5 3 2"),
        ("DISPLAYFROM", "2 4 5 3 1"),
        ("DATE", "4 1 2 3 5"),
        ("REVERSE DATE", "5 3 2 1 4"),
        ("ARRIVAL", "1 2 3 4 5"),
        ("REVERSE ARRIVAL", "5 4 3 2 1"),
        ("TO", "1 2 3 4 5"),
        ("CC DISPLAYTO REVERSE DATE", "5 3 2 1 4"),
    ] {
        let told = client.imap(&format!("SORT ({order}) UTF-8 ALL"), "OK").await;
        assert_eq!(one(&told, "* SORT"), format!("* SORT {found}"), "{order}");
    }
    let told = client.imap("SORT (REVERSE SIZE) UTF-8 SUBJECT pears", "OK").await;
    assert_eq!(one(&told, "* SORT"), "* SORT 5 3 1");
    client.imap("UID EXPUNGE 9", "OK").await;
    client.imap("STORE 1 +FLAGS.SILENT (\\Deleted)", "OK").await;
    client.imap("EXPUNGE", "OK").await;
    let told = client.imap("UID SORT (SUBJECT) US-ASCII ALL", "OK").await;
    assert_eq!(one(&told, "* SORT"), "* SORT 2 4 3 5");
    let told = client.imap("SORT (SUBJECT) US-ASCII ALL", "OK").await;
    assert_eq!(one(&told, "* SORT"), "* SORT 1 3 2 4");
    let told = client
        .imap("UID SORT RETURN (MIN MAX COUNT ALL) (SUBJECT) UTF-8 ALL", "OK")
        .await;
    let told = one(&told, "* ESEARCH");
    assert!(told.ends_with("UID MIN 2 MAX 5 ALL 2,4,3,5 COUNT 4"), "{told}");
    site.stop().await;
}

#[tokio::test]
async fn messages_are_threaded_by_subject_and_by_reference() {
    let site = Site::start(|_| {}).await;
    let mut client = orchard(&site).await;
    let told = client.imap("THREAD REFERENCES UTF-8 ALL", "OK").await;
    assert_eq!(one(&told, "* THREAD"), "* THREAD (4)(1 3 5)(2)");
    let told = client.imap("THREAD ORDEREDSUBJECT UTF-8 ALL", "OK").await;
    assert_eq!(one(&told, "* THREAD"), "* THREAD (4)(1 (3)(5))(2)");
    let told = client.imap("UID THREAD REFERENCES UTF-8 FROM eva", "OK").await;
    assert_eq!(one(&told, "* THREAD"), "* THREAD (5)");
    let told = client.imap("THREAD REFERENCES UTF-8 FROM nobody", "OK").await;
    assert_eq!(one(&told, "* THREAD"), "* THREAD");
    site.stop().await;
}

#[tokio::test]
async fn strings_are_understood_in_the_charset_they_are_said_to_be_in() {
    let site = Site::start(|_| {}).await;
    let mut client = site.login("alice").await;
    let subject = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_=D0=9F=D1=80=D0=B8=D0=B2=D0=B5=D1=82?=\r\n\r\nx\r\n";
    append(&mut client, "INBOX", subject).await;
    client.imap("SELECT INBOX", "OK").await;
    for (charset, text) in [
        ("UTF-8", &b"gr\xc3\xbc\xc3\x9fe"[..]),
        ("ISO-8859-1", b"GR\xdc\xdfE"),
        ("windows-1252", b"gr\xfc\xdfe"),
        ("KOI8-R", b"\xd0\xd2\xc9\xd7\xc5\xd4"),
        ("UTF-16BE", b"\x04\x1f\x04\x40\x04\x38"),
    ] {
        for (command, found) in [("SEARCH CHARSET", "* SEARCH 1"), ("SORT (DATE)", "* SORT 1")] {
            client
                .send_raw(format!("t {command} {charset} SUBJECT {{{}+}}\r\n", text.len()).as_bytes())
                .await;
            client.send_raw(&[text, b"\r\n"].concat()).await;
            let told = String::from_utf8(client.line().await.unwrap()).unwrap();
            assert_eq!(told, found, "{charset}");
            assert!(client.line().await.unwrap().starts_with(b"t OK"));
        }
    }
    client
        .imap("SEARCH CHARSET X-NOBODY-KNOWS SUBJECT x", "NO [BADCHARSET")
        .await;
    client
        .imap("SORT (DATE) X-NOBODY-KNOWS ALL", "NO [BADCHARSET")
        .await;
    // Half a character of a charset is not text.
    client
        .send_raw(b"t SEARCH CHARSET UTF-16BE SUBJECT {3+}\r\n\x04\x1f\x04\r\n")
        .await;
    assert!(client.line().await.unwrap().starts_with(b"t NO [CANNOT]"));
    site.stop().await;
}

#[tokio::test]
async fn several_mailboxes_are_searched_at_once() {
    let site = Site::start(|_| {}).await;
    let mut client = site.login("alice").await;
    for name in ["Lists", "Lists/Rust", "Lists/Rust/Old", "Other"] {
        client.imap(&format!("CREATE {name}"), "OK").await;
    }
    for (mailbox, subject) in [
        ("INBOX", "needle"),
        ("INBOX", "hay"),
        ("Lists", "hay"),
        ("Lists/Rust", "needle"),
        ("Lists/Rust", "hay"),
        ("Lists/Rust", "needle"),
        ("Lists/Rust/Old", "needle"),
        ("Other", "needle"),
    ] {
        append(&mut client, mailbox, &format!("Subject: {subject}\r\n\r\nx\r\n")).await;
    }
    client.imap("SUBSCRIBE Other", "OK").await;
    let mailboxes = |told: &[Vec<u8>]| -> Vec<String> {
        let of = |line: &Vec<u8>| {
            let line = String::from_utf8_lossy(line).into_owned();
            let name = line
                .strip_prefix("* ESEARCH (TAG \"")?
                .split(' ')
                .nth(2)?
                .to_owned();
            assert!(
                line.contains(" UIDVALIDITY ") && line.contains(") UID "),
                "{line}"
            );
            Some(name.trim_matches('"').to_owned())
        };
        told.iter().filter_map(of).collect()
    };
    let all = ["INBOX", "Lists/Rust", "Lists/Rust/Old", "Other"];
    for (sources, found) in [
        ("personal", &all[..]),
        ("inboxes", &["INBOX"]),
        ("subscribed", &["INBOX", "Other"]),
        ("subtree Lists", &["Lists/Rust", "Lists/Rust/Old"]),
        ("subtree-one Lists", &["Lists/Rust"]),
        (
            "subtree-one (Lists/Rust Other)",
            &["Lists/Rust", "Lists/Rust/Old", "Other"],
        ),
        ("mailboxes (Other Lists Missing)", &["Other"]),
        ("mailboxes Other subtree Other personal", &all),
    ] {
        let told = client
            .imap(
                &format!("ESEARCH IN ({sources}) RETURN (ALL COUNT) SUBJECT needle"),
                "OK",
            )
            .await;
        assert_eq!(mailboxes(&told), found, "{sources}");
    }
    let told = client
        .imap(
            "ESEARCH IN (subtree Lists) RETURN (MIN COUNT) SUBJECT needle",
            "OK",
        )
        .await;
    assert!(
        one(&told, "Lists/Rust ").ends_with("UID MIN 1 COUNT 2"),
        "{told:?}"
    );
    client.imap("ESEARCH SUBJECT needle", "BAD").await;
    client.imap("ESEARCH IN (mailboxes Other) 1:2", "BAD").await;
    client.imap("SELECT INBOX", "OK").await;
    let told = client
        .imap("ESEARCH IN (selected mailboxes Other) SUBJECT needle", "OK")
        .await;
    assert_eq!(mailboxes(&told), ["INBOX", "Other"]);
    let told = client.imap("ESEARCH SUBJECT hay", "OK").await;
    assert_eq!(mailboxes(&told), ["INBOX"]);
    // What is found in the selected mailbox alone can be referred to.
    let told = client
        .imap("ESEARCH IN (selected) RETURN (SAVE COUNT) SUBJECT hay", "OK")
        .await;
    assert!(one(&told, "* ESEARCH").ends_with("UID COUNT 1"), "{told:?}");
    one(&client.imap("FETCH $ (UID)", "OK").await, "* 2 FETCH (UID 2)");
    let told = client.imap("ESEARCH RETURN (SAVE) SUBJECT needle", "OK").await;
    assert!(find(&told, "ESEARCH").is_none());
    one(&client.imap("FETCH $ (UID)", "OK").await, "* 1 FETCH (UID 1)");
    client.imap("ESEARCH RETURN (SAVE) SUBJECT nowhere", "OK").await;
    assert!(find(&client.imap("UID FETCH $ (FLAGS)", "OK").await, "FETCH (").is_none());
    client
        .imap("ESEARCH IN (personal) RETURN (SAVE) ALL", "BAD")
        .await;
    // What others share is searched where it may be read, and listed where it may be seen.
    let mut bob = site.login("bob").await;
    client.imap("SETACL Other bob@a.test lr", "OK").await;
    client.imap("SETACL Lists bob@a.test l", "OK").await;
    client.imap("SETACL Lists/Rust bob@a.test r", "OK").await;
    let told = bob.imap("ESEARCH IN (subtree Shared) SUBJECT needle", "OK").await;
    assert_eq!(mailboxes(&told), ["Shared/alice@a.test/Other"]);
    let told = bob.imap("ESEARCH IN (personal) SUBJECT needle", "OK").await;
    assert!(mailboxes(&told).is_empty());
    site.stop().await;
}

/// Mailboxes whose searches and copies wait for a leave.
#[derive(Clone)]
struct Slow {
    leave: Arc<Semaphore>,
}

impl Slow {
    async fn wait(&self) {
        self.leave.acquire().await.unwrap().forget();
    }
}

impl Backend for Slow {
    type Mailboxes = Self;

    async fn authenticate(&self, _: Question, _: SocketAddr) -> Answer {
        Answer::Accept
    }

    async fn open(self: &Arc<Self>, _: &Identity, _: SocketAddr) -> Result<Self, Failure> {
        Ok((**self).clone())
    }
}

impl Mailboxes for Slow {
    const ABILITIES: Abilities = Abilities::CHANGE;

    type Incoming = ReadOnly;

    async fn list(&self) -> Result<Vec<Listed>, Failure> {
        Ok(vec![Listed::new(MailboxId::new(1), MailboxName::inbox())])
    }

    async fn snapshot(&self, _: MailboxId) -> Result<Snapshot, Failure> {
        let mut snapshot = Snapshot::new(
            Account::new("all"),
            MailboxName::inbox(),
            UidValidity::new(1).unwrap(),
        );
        snapshot.exists = 3;
        snapshot.uid_next = Uid::new(4);
        Ok(snapshot)
    }

    async fn scan(&self, _: MailboxId, scan: Scan) -> Result<Page, Failure> {
        let message = |uid| Message::new(Uid::new(uid).unwrap(), ModSeq::ONE).with_size(9);
        Ok(imap::page(&scan, (1..=3).map(message), ModSeq::ONE))
    }

    async fn read(&self, _: MailboxId, _: &Message, range: Range<u64>) -> Result<bytes::Bytes, Failure> {
        self.wait().await;
        let octets = &b"A: b\r\n\r\nc"[..];
        Ok(octets[range.start as usize..(range.end as usize).min(octets.len())].into())
    }

    async fn search(&self, _: MailboxId, wanted: &Criterion) -> Result<Option<Vec<Uid>>, Failure> {
        if matches!(wanted, Criterion::Larger(_)) {
            return Ok(None);
        }
        self.wait().await;
        Ok(Some(vec![Uid::MIN]))
    }

    async fn copy(&self, _: MailboxId, _: UidSet, _: MailboxId, _: bool) -> Result<Copied, Failure> {
        self.wait().await;
        Ok(Copied::new(
            UidValidity::new(1).unwrap(),
            UidSet::from(Uid::MIN),
            UidSet::from(Uid::MIN),
        ))
    }
}

#[tokio::test]
async fn a_client_that_waits_is_told_how_far_it_is() {
    let leave = Arc::new(Semaphore::new(0));
    let backend = Arc::new(Slow { leave: leave.clone() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut options = Options::default();
    options.engine.plaintext_login = true;
    options.progress_interval = Duration::from_millis(20);
    let served = tokio::spawn(async move {
        let (stream, peer) = listener.accept().await.unwrap();
        imap::serve(backend, stream, peer, options).await;
    });
    let mut client = Lines::connect(address).await;
    client.line().await.unwrap();
    let told = client.imap("LOGIN me x", "OK").await;
    assert!(
        find(&told, "INPROGRESS").is_some() && find(&told, "NOTIFY").is_none(),
        "{told:?}"
    );
    client.imap("SELECT INBOX", "OK").await;
    for (tag, command, progress) in [
        ("s1", "SEARCH TEXT x", "(\"s1\" 0 3)"),
        ("s2", "UID COPY 1 INBOX", "(\"s2\" NIL NIL)"),
        ("s3", "ESEARCH IN (personal) TEXT x", "(\"s3\" 0 1)"),
        // Half of the way is to find them.
        ("s4", "SORT (SUBJECT) UTF-8 LARGER 1", "(\"s4\" 6 6)"),
        ("s5", "THREAD REFERENCES UTF-8 LARGER 1", "(\"s5\" 6 6)"),
    ] {
        client.send(&format!("{tag} {command}")).await;
        let want = format!("* OK [INPROGRESS {progress}] ");
        for _ in 0..2 {
            let line = String::from_utf8(client.line().await.unwrap()).unwrap();
            assert!(line.starts_with(&want), "{command}: {line}");
        }
        leave.add_permits(10);
        loop {
            let line = String::from_utf8(client.line().await.unwrap()).unwrap();
            if line.starts_with(&format!("{tag} ")) {
                assert!(line.contains("OK"), "{line}");
                break;
            }
            assert!(line.starts_with("* "), "{line}");
        }
        leave.forget_permits(usize::MAX);
    }
    // A client that goes away is not worked for any longer.
    client.send("s6 SEARCH TEXT x").await;
    drop(client);
    tokio::time::timeout(Duration::from_secs(10), served)
        .await
        .unwrap()
        .unwrap();
}
