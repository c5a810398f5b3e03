//! IMAP over loopback: every command against the store, and sessions that see each other's changes.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use mailwright_mailbox::MemoryStore;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use mailwright_server::{Config, Running, Server};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use support::lines::{Lines, Tls, find};

/// An account whose password is `secret`: hashing takes its time, and is done once for all tests.
static SECRET: LazyLock<AccountEntry> = LazyLock::new(|| {
    let mut entry = AccountEntry::new("somebody@a.test".parse().unwrap());
    set_password(&mut entry, &"secret".into());
    entry
});

struct Site {
    running: Running<MemoryStore>,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("mail.a.test".parse().unwrap(), folder.path());
        config.domains = vec!["a.test".parse().unwrap()];
        config.plaintext_login = PlaintextLogin::Loopback;
        for name in ["alice@a.test", "bob@a.test"] {
            let mut entry = SECRET.clone();
            entry.name = name.parse().unwrap();
            config.accounts.push(entry);
        }
        for (name, tls) in [("imap", TlsMode::Starttls), ("imaps", TlsMode::Implicit)] {
            let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
            config.listeners.push(listener.with_tls(tls).with_name(name));
        }
        adjust(&mut config);
        let running = Server::builder(config)
            .store(MemoryStore::default())
            .start()
            .await
            .unwrap();
        Self {
            running,
            _folder: folder,
        }
    }

    /// A client that has read the greeting.
    async fn connect(&self) -> Lines {
        let mut client = Lines::connect(self.running.address("imap").unwrap()).await;
        let greeting = client.line().await.unwrap();
        assert!(greeting.starts_with(b"* OK "), "{}", greeting.escape_ascii());
        client
    }

    async fn alice(&self) -> Lines {
        let mut client = self.connect().await;
        client.imap("LOGIN alice@a.test secret", "OK").await;
        client
    }

    /// Alice, with INBOX selected.
    async fn inbox(&self) -> Lines {
        let mut client = self.alice().await;
        client.imap("SELECT INBOX", "OK [READ-WRITE]").await;
        client
    }
}

/// A response on one line: what is not printable is escaped.
fn text(response: &[u8]) -> String {
    let escaped = response.escape_ascii().to_string();
    escaped.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// The one response that holds `needle`.
fn one(responses: &[Vec<u8>], needle: &str) -> String {
    let found = find(responses, needle);
    let all = || {
        responses
            .iter()
            .map(|response| text(response))
            .collect::<Vec<_>>()
            .join("\n")
    };
    text(found.unwrap_or_else(|| panic!("no {needle} in\n{}", all())))
}

fn lines(responses: &[Vec<u8>]) -> Vec<String> {
    responses.iter().map(|response| text(response)).collect()
}

async fn append(client: &mut Lines, mailbox: &str, flags: &str, message: &[u8]) -> String {
    let flags = if flags.is_empty() {
        String::new()
    } else {
        format!("{flags} ")
    };
    client
        .send(&format!("x APPEND {mailbox} {flags}{{{}}}", message.len()))
        .await;
    let go_ahead = client.line().await.unwrap();
    assert!(go_ahead.starts_with(b"+ "), "{}", text(&go_ahead));
    client.send_raw(message).await;
    client.send("").await;
    loop {
        let line = client.line().await.expect("an answer");
        if let Some(end) = line.strip_prefix(b"x ") {
            return text(end);
        }
    }
}

/// Reads untagged responses until one holds `needle`, which has to come within a second.
async fn soon(client: &mut Lines, needle: &str) -> String {
    let begun = Instant::now();
    loop {
        let line = text(&client.line().await.expect("the session lives"));
        if line.contains(needle) {
            assert!(
                begun.elapsed() < Duration::from_secs(1),
                "{needle} after {:?}",
                begun.elapsed()
            );
            return line;
        }
    }
}

const HELLO: &[u8] = b"From: \"Alice A.\" <alice@a.test>\r\nTo: bob@b.test, carol@c.test\r\n\
    Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\n\
    Message-ID: <1@a.test>\r\n\r\nHello Bob.\r\n";

const MIXED: &[u8] = b"From: alice@a.test\r\nSubject: parts\r\nDate: Tue, 2 Jan 2024 10:00:00 +0000\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    w4RwZmVsIHVuZCBCaXJuZW4=\r\n\
    --b\r\nContent-Type: application/octet-stream; name=x.bin\r\n\
    Content-Disposition: attachment; filename=x.bin\r\n\r\nneedle in an attachment\r\n--b--\r\n";

#[tokio::test]
async fn passwords_wait_for_tls_unless_they_may_cross_in_the_clear() {
    let tls = Tls::for_names(&["mail.a.test"]);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, &tls.certificate_pem).unwrap();
    std::fs::write(&key, &tls.key_pem).unwrap();
    let site = Site::start(|config| {
        config.plaintext_login = PlaintextLogin::Never;
        config.certificate = Some(mailwright_server::config::CertificateFiles::new(certificate, key));
    })
    .await;
    let mut client = site.connect().await;
    let capability = one(&client.imap("CAPABILITY", "OK").await, "CAPABILITY");
    assert!(
        capability.contains("STARTTLS") && capability.contains("LOGINDISABLED"),
        "{capability}"
    );
    client.imap("LOGIN alice@a.test secret", "NO").await;
    client.imap("STARTTLS", "OK").await;
    let mut client = client.start_tls(&tls, "mail.a.test").await;
    let capability = one(&client.imap("CAPABILITY", "OK").await, "CAPABILITY");
    assert!(
        !capability.contains("STARTTLS") && !capability.contains("LOGINDISABLED"),
        "{capability}"
    );
    client
        .imap("LOGIN alice@a.test wrong", "NO [AUTHENTICATIONFAILED]")
        .await;
    client
        .imap("LOGIN nobody@a.test secret", "NO [AUTHENTICATIONFAILED]")
        .await;
    client.imap("LOGIN ALICE secret", "OK").await;
    client.imap("LOGOUT", "OK").await;
    assert_eq!(client.rest().await, b"");
    let mut client = Lines::connect_tls(site.running.address("imaps").unwrap(), &tls, "mail.a.test").await;
    assert!(client.line().await.unwrap().starts_with(b"* OK "));
    client
        .imap("AUTHENTICATE PLAIN AGFsaWNlQGEudGVzdABzZWNyZXQ=", "OK")
        .await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn mailboxes_are_listed_made_renamed_and_removed() {
    let site = Site::start(|_| {}).await;
    let mut client = site.alice().await;
    let listed = client.imap("LIST \"\" *", "OK").await;
    for (name, attribute) in [
        ("Archive", "\\Archive"),
        ("Drafts", "\\Drafts"),
        ("Junk", "\\Junk"),
        ("Sent", "\\Sent"),
        ("Trash", "\\Trash"),
    ] {
        let row = listed
            .iter()
            .map(|row| text(row))
            .find(|row| row.contains(name))
            .expect(name);
        assert!(row.contains(attribute), "{row}");
    }
    assert!(one(&listed, "INBOX").contains("HasNoChildren"));
    client.imap("CREATE Work/Projects", "OK").await;
    client.imap("CREATE Work/Projects", "NO [ALREADYEXISTS]").await;
    client.imap("CREATE Entw&APw-rfe", "OK").await;
    let listed = client.imap("LIST \"\" *", "OK").await;
    assert!(
        lines(&listed)
            .iter()
            .any(|row| row.ends_with(" Work") && row.contains("Noselect"))
    );
    one(&listed, "Entw&APw-rfe");
    client.imap("SUBSCRIBE Work/Projects", "OK").await;
    one(&client.imap("LSUB \"\" Work/*", "OK").await, "Work/Projects");
    client.imap("SUBSCRIBE Gone", "OK").await;
    let row = one(&client.imap("LIST (SUBSCRIBED) \"\" Gone", "OK").await, "Gone");
    assert!(row.contains("\\NonExistent"), "{row}");
    for name in ["INBOX", "INBOX/Gone", "Gone/Too"] {
        client.imap(&format!("SUBSCRIBE {name}"), "OK").await;
    }
    let listed = client
        .imap("LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN)", "OK")
        .await;
    let attributes = |name: &str| {
        let listed = lines(&listed);
        let row = listed.iter().find(|row| row.ends_with(name)).expect(name);
        row.clone()
    };
    assert!(attributes(" INBOX").contains("\\HasNoChildren"));
    assert!(attributes(" Gone").contains("\\NonExistent"));
    client.imap("UNSUBSCRIBE Work/Projects", "OK").await;
    assert!(find(&client.imap("LSUB \"\" Work/*", "OK").await, "Projects").is_none());
    client.imap("RENAME Work/Projects Play", "OK").await;
    client
        .imap("RENAME Work/Projects Again", "NO [NONEXISTENT]")
        .await;
    one(&client.imap("LIST \"\" Play", "OK").await, "Play");
    append(&mut client, "Play", "(\\Seen)", HELLO).await;
    append(&mut client, "Play", "()", HELLO).await;
    let status = one(
        &client
            .imap("STATUS Play (MESSAGES UNSEEN UIDNEXT RECENT)", "OK")
            .await,
        "* STATUS",
    );
    for item in ["MESSAGES 2", "UNSEEN 1", "UIDNEXT 3", "RECENT 0"] {
        assert!(status.contains(item), "{status}");
    }
    client.imap("STATUS Nowhere (MESSAGES)", "NO [NONEXISTENT]").await;
    client.imap("DELETE Play", "OK").await;
    client.imap("DELETE Play", "NO [NONEXISTENT]").await;
    client.imap("DELETE INBOX", "NO").await;
    client.imap("SELECT Play", "NO [NONEXISTENT]").await;
    let namespace = one(&client.imap("NAMESPACE", "OK").await, "NAMESPACE");
    assert!(
        namespace.contains("((\"\" \"/\")) ((\"Shared/\" \"/\")) NIL"),
        "{namespace}"
    );
    site.running.shutdown().await;
}

#[tokio::test]
async fn messages_are_appended_and_fetched_in_every_form() {
    let site = Site::start(|_| {}).await;
    let mut client = site.inbox().await;
    let done = append(
        &mut client,
        "INBOX",
        "(\\Flagged $Work) \"17-Jul-1996 02:44:25 -0700\"",
        HELLO,
    )
    .await;
    assert!(
        done.starts_with("OK [APPENDUID ") && done.contains(" 1]"),
        "{done}"
    );
    append(&mut client, "INBOX", "", MIXED).await;
    client.send("y APPEND Nowhere {10}").await;
    assert!(text(&client.line().await.unwrap()).starts_with("y NO [TRYCREATE]"));
    let row = one(
        &client
            .imap("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE)", "OK")
            .await,
        "FETCH",
    );
    for item in [
        "UID 1",
        "\\Flagged",
        "$Work",
        "17-Jul-1996 09:44:25 +0000",
        &format!("RFC822.SIZE {}", HELLO.len()),
    ] {
        assert!(row.contains(item), "{item} in {row}");
    }
    let row = one(&client.imap("FETCH 1 ENVELOPE", "OK").await, "ENVELOPE");
    for item in [
        "\"Mon, 1 Jan 2024 10:00:00 +0100\" \"=?utf-8?B?R3LDvMOfZQ==?=\"",
        "((\"Alice A.\" NIL \"alice\" \"a.test\"))",
        "((NIL NIL \"bob\" \"b.test\")(NIL NIL \"carol\" \"c.test\"))",
        "\"<1@a.test>\"",
    ] {
        assert!(row.contains(item), "{item} in {row}");
    }
    let row = one(&client.imap("FETCH 2 BODYSTRUCTURE", "OK").await, "BODYSTRUCTURE");
    assert!(
        row.to_lowercase()
            .contains("(\"text\" \"plain\" (\"charset\" \"utf-8\") nil nil \"base64\" 24 "),
        "{row}"
    );
    assert!(
        row.to_lowercase()
            .contains("(\"attachment\" (\"filename\" \"x.bin\"))"),
        "{row}"
    );
    let whole = client.imap("FETCH 1 BODY.PEEK[]", "OK").await;
    assert!(
        find(&whole, "FETCH")
            .unwrap()
            .windows(HELLO.len())
            .any(|part| part == HELLO)
    );
    for (item, expected) in [
        (
            "BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
            "Subject: =?utf-8?B?R3LDvMOfZQ==?=\\r\\n\\r\\n",
        ),
        ("BODY.PEEK[TEXT]", "{12}\\r\\nHello Bob.\\r\\n)"),
        ("BODY.PEEK[TEXT]<6.3>", "<6> {3}\\r\\nBob)"),
        ("BODY.PEEK[]<100000.10>", "<100000> {0}\\r\\n)"),
        ("BODY.PEEK[1]", "{12}\\r\\nHello Bob."),
        ("BODY.PEEK[7]", "BODY[7] NIL"),
        ("RFC822.HEADER", "RFC822.HEADER {"),
    ] {
        let row = one(&client.imap(&format!("FETCH 1 {item}"), "OK").await, "FETCH");
        assert!(row.contains(expected), "{item}: {row}");
    }
    for (item, expected) in [
        ("BODY.PEEK[1]", "w4RwZmVsIHVuZCBCaXJuZW4="),
        ("BODY.PEEK[2]", "{23}\\r\\nneedle in an attachment"),
        ("BODY.PEEK[2.MIME]", "Content-Disposition: attachment"),
    ] {
        let row = one(&client.imap(&format!("FETCH 2 {item}"), "OK").await, "FETCH");
        assert!(row.contains(expected), "{item}: {row}");
    }
    let flags = one(&client.imap("FETCH 1 FLAGS", "OK").await, "FLAGS");
    assert!(!flags.contains("Seen"), "PEEK leaves it unseen: {flags}");
    let row = one(&client.imap("FETCH 1 BODY[TEXT]", "OK").await, "FETCH");
    assert!(row.contains("\\Seen"), "reading marks it, and says so: {row}");
    assert!(
        one(&client.imap("FETCH 1 FLAGS", "OK").await, "FLAGS").contains("Seen"),
        "{row}"
    );
    client.imap("EXAMINE INBOX", "OK [READ-ONLY]").await;
    client.imap("FETCH 2 BODY[TEXT]", "OK").await;
    assert!(!one(&client.imap("FETCH 2 FLAGS", "OK").await, "FLAGS").contains("Seen"));
    client.imap("STORE 2 +FLAGS (\\Seen)", "NO").await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn many_messages_are_told_as_each_alone() {
    let site = Site::start(|_| {}).await;
    let mut client = site.inbox().await;
    for number in 0..150 {
        // Short ones, some that are read by themselves, and some without a body.
        let lines = [0, 3, 1300, 20][number % 4] * if number % 7 == 0 { 4 } else { 1 };
        let message = format!(
            "Subject: {number}\r\nX-Number: {number}\r\n\r\n{}",
            "A line of it.\r\n".repeat(lines)
        );
        append(&mut client, "INBOX", "", message.as_bytes()).await;
    }
    for items in [
        "BODY.PEEK[]",
        "(UID BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[TEXT]<5.20> ENVELOPE)",
        "(BODY.PEEK[] BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[9])",
    ] {
        let together = client.imap(&format!("FETCH 1:* {items}"), "OK").await;
        assert_eq!(together.len(), 151, "{items}");
        for number in (1..=150).step_by(7) {
            let alone = client.imap(&format!("FETCH {number} {items}"), "OK").await;
            assert!(together[number - 1] == alone[0], "{items} of {number}");
        }
    }
}

#[tokio::test]
async fn large_messages_pass_in_both_directions_unchanged() {
    let site = Site::start(|config| config.limits.message_size = 4 << 20).await;
    let mut client = site.inbox().await;
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    let mut n: u32 = 1;
    while message.len() < 3 << 20 {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        message.extend_from_slice(format!("{n:064x}\r\n").as_bytes());
    }
    assert!(append(&mut client, "INBOX", "", &message).await.starts_with("OK"));
    let row = client
        .imap("FETCH 1 (UID BODY.PEEK[] FLAGS RFC822.SIZE)", "OK")
        .await;
    let row = find(&row, "FETCH").unwrap();
    assert!(
        row.windows(message.len()).any(|part| part == message),
        "the bytes are the same"
    );
    let part = client.imap("FETCH 1 BODY.PEEK[]<1000000.1500000>", "OK").await;
    let part = find(&part, "FETCH").unwrap();
    let expected = [
        b"* 1 FETCH (BODY[]<1000000> {1500000}\r\n",
        &message[1_000_000..2_500_000],
        b")",
    ]
    .concat();
    assert!(part == expected, "a range of it");
    // Far more than is held at once, in one row, with fields of headers in between.
    let item = |n| format!("BODY.PEEK[]<{n}.1000000> BODY.PEEK[HEADER.FIELDS (SUBJECT X{n})] ");
    let items: String = (0..12).map(item).collect();
    let row = client
        .imap(&format!("FETCH 1 ({})", items.trim_end()), "OK")
        .await;
    let row = find(&row, "FETCH").unwrap();
    assert!(
        row.len() > 12_000_000 && row.ends_with(b"Subject: large\r\n\r\n)"),
        "{}",
        row.len()
    );
    client
        .send(&format!("z APPEND INBOX {{{}}}", (4 << 20) + 1))
        .await;
    let refused = text(&client.line().await.unwrap());
    assert!(refused.starts_with("z NO"), "{refused}");
    site.running.shutdown().await;
}

#[tokio::test]
async fn large_text_and_messages_within_messages_are_searched() {
    let site = Site::start(|_| {}).await;
    let mut client = site.inbox().await;
    let mut large = b"Subject: large\r\n\r\n".to_vec();
    large.extend_from_slice(&b"nothing to be found here\r\n".repeat(30_000));
    large.extend_from_slice(b"but a Needle at the end\r\n");
    append(&mut client, "INBOX", "", &large).await;
    let outer = [b"Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n", HELLO].concat();
    append(&mut client, "INBOX", "", &outer).await;
    for (criteria, expected) in [
        ("BODY needle", " 1"),
        ("BODY needles", ""),
        ("BODY alice@a.test", " 2"),
        ("BODY \"hello bob\"", " 2"),
        ("FROM alice", ""),
        ("OR BODY needle BODY \"hello bob\"", " 1 2"),
    ] {
        let found = one(
            &client.imap(&format!("SEARCH {criteria}"), "OK").await,
            "* SEARCH",
        );
        assert_eq!(found, format!("* SEARCH{expected}"), "{criteria}");
    }
    site.running.shutdown().await;
}

#[tokio::test]
async fn flags_are_stored_and_messages_found_by_what_they_are() {
    let site = Site::start(|_| {}).await;
    let mut client = site.inbox().await;
    append(&mut client, "INBOX", "() \"01-Feb-2024 12:00:00 +0000\"", HELLO).await;
    append(&mut client, "INBOX", "() \"03-Feb-2024 12:00:00 +0000\"", MIXED).await;
    append(&mut client, "INBOX", "() \"05-Feb-2024 12:00:00 +0000\"", HELLO).await;
    let stored = lines(
        &client
            .imap("STORE 1:2 +FLAGS (\\Seen \\Answered $Work)", "OK")
            .await,
    );
    assert_eq!(
        stored
            .iter()
            .filter(|line| line.contains("FETCH (FLAGS ("))
            .count(),
        2,
        "{stored:?}"
    );
    let silent = lines(&client.imap("STORE 1 -FLAGS.SILENT (\\Answered)", "OK").await);
    assert!(!silent.iter().any(|line| line.contains("FETCH")), "{silent:?}");
    let row = one(&client.imap("UID STORE 3 FLAGS (\\Draft)", "OK").await, "FETCH");
    assert!(row.contains("UID 3") && row.contains("Draft"), "{row}");
    let size = HELLO.len();
    for (criteria, expected) in [
        ("ALL", " 1 2 3"),
        ("SEEN", " 1 2"),
        ("UNSEEN", " 3"),
        ("ANSWERED", " 2"),
        ("KEYWORD $work", " 1 2"),
        ("UNKEYWORD $Work", " 3"),
        ("DRAFT", " 3"),
        ("NOT DRAFT", " 1 2"),
        ("OR ANSWERED DRAFT", " 2 3"),
        ("BEFORE 3-Feb-2024", " 1"),
        ("ON 3-Feb-2024", " 2"),
        ("SINCE 3-Feb-2024", " 2 3"),
        ("SENTON 2-Jan-2024", " 2"),
        ("SENTBEFORE 2-Jan-2024", " 1 3"),
        (&format!("SMALLER {}", size + 1), " 1 3"),
        (&format!("LARGER {size}"), " 2"),
        ("FROM \"alice a\"", " 1 3"),
        ("TO CAROL", " 1 3"),
        ("SUBJECT PARTS", " 2"),
        ("HEADER Message-ID \"\"", " 1 3"),
        ("CHARSET UTF-8 SUBJECT {7+}\r\ngr\u{fc}\u{df}e", " 1 3"),
        ("BODY hello", " 1 3"),
        ("CHARSET UTF-8 BODY {6+}\r\n\u{e4}pfel", " 2"),
        ("TEXT birnen", " 2"),
        ("TEXT \"subject: parts\"", " 2"),
        ("BODY attachment", ""),
        ("BODY preamble", ""),
        ("NOT BODY birnen", " 1 3"),
        ("BODY \"\"", " 1 2 3"),
        ("BODY nowhere", ""),
        ("UID 2:3 SEEN", " 2"),
        ("2:* UNSEEN", " 3"),
        ("SEEN SUBJECT parts BODY birnen SINCE 1-Jan-2024", " 2"),
    ] {
        let found = one(
            &client.imap(&format!("SEARCH {criteria}"), "OK").await,
            "* SEARCH",
        );
        assert_eq!(found, format!("* SEARCH{expected}"), "{criteria}");
    }
    site.running.shutdown().await;
}

#[tokio::test]
async fn messages_are_copied_moved_and_expunged() {
    let site = Site::start(|_| {}).await;
    let mut client = site.inbox().await;
    for _ in 0..4 {
        append(&mut client, "INBOX", "(\\Seen)", HELLO).await;
    }
    let copied = lines(&client.imap("COPY 2:3 Archive", "OK [COPYUID ").await);
    assert!(copied.last().unwrap().contains(" 2:3 1:2]"), "{copied:?}");
    client.imap("COPY 1 Nowhere", "NO [TRYCREATE]").await;
    let moved = lines(&client.imap("UID MOVE 1 Trash", "OK").await);
    assert!(
        moved
            .iter()
            .any(|line| line.starts_with("* OK [COPYUID ") && line.contains(" 1 1]")),
        "{moved:?}"
    );
    assert!(moved.iter().any(|line| line == "* 1 EXPUNGE"), "{moved:?}");
    client.imap("STORE 1:2 +FLAGS.SILENT (\\Deleted)", "OK").await;
    let expunged = lines(&client.imap("UID EXPUNGE 3:4", "OK").await);
    assert_eq!(
        expunged[..expunged.len() - 1],
        ["* 2 EXPUNGE"],
        "only what is deleted and named"
    );
    let expunged = lines(&client.imap("EXPUNGE", "OK").await);
    assert_eq!(expunged[..expunged.len() - 1], ["* 1 EXPUNGE"]);
    let row = one(&client.imap("FETCH 1:* UID", "OK").await, "FETCH");
    assert_eq!(row, "* 1 FETCH (UID 4)");
    client.imap("STORE 1 +FLAGS.SILENT (\\Deleted)", "OK").await;
    client.imap("UNSELECT", "OK").await;
    let status = one(&client.imap("STATUS INBOX (MESSAGES)", "OK").await, "STATUS");
    assert!(status.contains("MESSAGES 1"), "UNSELECT leaves it: {status}");
    client.imap("SELECT INBOX", "OK").await;
    client.imap("CLOSE", "OK").await;
    let status = one(&client.imap("STATUS INBOX (MESSAGES)", "OK").await, "STATUS");
    assert!(status.contains("MESSAGES 0"), "CLOSE removes it: {status}");
    client.imap("SELECT Archive", "OK").await;
    assert!(
        one(&client.imap("FETCH 1 FLAGS", "OK").await, "FLAGS").contains("Seen"),
        "flags come along"
    );
    site.running.shutdown().await;
}

#[tokio::test]
async fn sessions_hear_of_each_other_at_once_when_they_idle() {
    let site = Site::start(|_| {}).await;
    let mut watcher = site.inbox().await;
    let mut actor = site.inbox().await;
    watcher.send("i IDLE").await;
    soon(&mut watcher, "+ ").await;
    for n in 1..=3 {
        append(&mut actor, "INBOX", "", HELLO).await;
        soon(&mut watcher, &format!("* {n} EXISTS")).await;
    }
    actor.imap("NOOP", "OK").await;
    actor.imap("STORE 2 +FLAGS (\\Flagged)", "OK").await;
    let row = soon(&mut watcher, "FETCH").await;
    assert!(row.starts_with("* 2 FETCH") && row.contains("Flagged"), "{row}");
    actor.imap("STORE 2 +FLAGS.SILENT (\\Deleted)", "OK").await;
    soon(&mut watcher, "Deleted").await;
    actor.imap("EXPUNGE", "OK").await;
    soon(&mut watcher, "* 2 EXPUNGE").await;
    watcher.send("DONE").await;
    soon(&mut watcher, "i OK").await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn an_expunge_of_another_session_waits_until_it_may_be_told() {
    let site = Site::start(|_| {}).await;
    let mut reader = site.alice().await;
    for subject in ["one", "two", "three"] {
        append(
            &mut reader,
            "INBOX",
            "",
            format!("Subject: {subject}\r\n\r\n").as_bytes(),
        )
        .await;
    }
    reader.imap("SELECT INBOX", "OK").await;
    let mut other = site.inbox().await;
    other.imap("STORE 1 +FLAGS.SILENT (\\Deleted)", "OK").await;
    other.imap("EXPUNGE", "OK").await;
    // Number 3 is still the message it was, and nothing is told during FETCH.
    let fetched = lines(
        &reader
            .imap("FETCH 3 BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "OK")
            .await,
    );
    assert!(fetched.iter().any(|line| line.contains("three")), "{fetched:?}");
    assert!(
        !fetched.iter().any(|line| line.contains("EXPUNGE")),
        "{fetched:?}"
    );
    let told = lines(&reader.imap("NOOP", "OK").await);
    assert!(told.contains(&"* 1 EXPUNGE".to_owned()), "{told:?}");
    let fetched = lines(
        &reader
            .imap("FETCH 2 BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "OK")
            .await,
    );
    assert!(fetched.iter().any(|line| line.contains("three")), "{fetched:?}");
    site.running.shutdown().await;
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let site = Site::start(|_| {}).await;
    let mut alice = site.alice().await;
    append(&mut alice, "INBOX", "", HELLO).await;
    alice.imap("CREATE Secret", "OK").await;
    let mut bob = site.connect().await;
    bob.imap("LOGIN bob@a.test secret", "OK").await;
    bob.imap("SELECT INBOX", "OK").await;
    assert!(find(&bob.imap("LIST \"\" *", "OK").await, "Secret").is_none());
    bob.imap("SELECT Secret", "NO").await;
    let status = one(&bob.imap("STATUS INBOX (MESSAGES)", "OK").await, "STATUS");
    assert!(status.contains("MESSAGES 0"), "{status}");
    site.running.shutdown().await;
}

#[tokio::test]
async fn a_mailbox_that_goes_away_and_a_server_that_stops_are_told() {
    let site = Site::start(|_| {}).await;
    let mut watcher = site.alice().await;
    watcher.imap("CREATE Short", "OK").await;
    watcher.imap("SELECT Short", "OK").await;
    watcher.send("i IDLE").await;
    soon(&mut watcher, "+ ").await;
    let mut actor = site.alice().await;
    actor.imap("DELETE Short", "OK").await;
    soon(&mut watcher, "* BYE").await;
    let mut idle = site.inbox().await;
    idle.send("i IDLE").await;
    soon(&mut idle, "+ ").await;
    let begun = Instant::now();
    site.running.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    soon(&mut idle, "* BYE").await;
    soon(&mut actor, "* BYE").await;
}
