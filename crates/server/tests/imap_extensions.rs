//! IMAP extensions over the store: mod-sequences and resynchronisation, identifiers, dates, decoded parts, messages made
//! of others, and what happens to them in one step.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use base64::Engine as _;
use mailwright_mailbox::MemoryStore;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol};
use mailwright_server::{Config, Running, Server};
use std::sync::LazyLock;
use support::lines::{Lines, find};

static SECRET: LazyLock<AccountEntry> = LazyLock::new(|| {
    let mut entry = AccountEntry::new("alice@a.test".parse().unwrap());
    set_password(&mut entry, &"secret".into());
    entry
});

struct Site {
    running: Running<MemoryStore>,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("mail.a.test".parse().unwrap(), folder.path());
        config.domains = vec!["a.test".parse().unwrap()];
        config.plaintext_login = PlaintextLogin::Loopback;
        config.accounts.push(SECRET.clone());
        config.limits.message_size = 2 << 20;
        let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
        config.listeners.push(listener.with_name("imap"));
        let server = Server::builder(config).store(MemoryStore::default());
        Self {
            running: server.start().await.unwrap(),
            _folder: folder,
        }
    }

    async fn client(&self) -> Lines {
        let mut client = Lines::connect(self.running.address("imap").unwrap()).await;
        client.line().await.unwrap();
        client.imap("LOGIN alice@a.test secret", "OK").await;
        client
    }
}

/// The one response that holds `needle`.
fn one(responses: &[Vec<u8>], needle: &str) -> String {
    let all: Vec<_> = responses.iter().map(|it| String::from_utf8_lossy(it)).collect();
    let found = all.iter().find(|it| it.contains(needle));
    found
        .unwrap_or_else(|| panic!("no {needle} in {all:?}"))
        .to_string()
}

fn between(text: &str, from: &str, to: char) -> String {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from} in {text}")) + from.len();
    text[start..].split(to).next().unwrap().to_owned()
}

async fn append(client: &mut Lines, mailbox: &str, message: &str) -> String {
    let command = format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len());
    one(&client.imap(&command, "OK [APPENDUID ").await, "APPENDUID")
}

fn simple(subject: &str) -> String {
    format!("Message-ID: <{subject}@a.test>\r\nSubject: {subject}\r\n\r\nText of {subject}\r\n")
}

#[tokio::test]
async fn a_phone_that_was_away_is_brought_up_to_date() {
    let site = Site::start().await;
    let (mut laptop, mut phone) = (site.client().await, site.client().await);
    for n in 1..=5 {
        append(&mut laptop, "INBOX", &simple(&format!("m{n}"))).await;
    }
    phone.imap("ENABLE QRESYNC", "OK").await;
    let selected = phone.imap("SELECT INBOX", "OK [READ-WRITE]").await;
    let validity = between(&one(&selected, "UIDVALIDITY"), "[UIDVALIDITY ", ']');
    let mod_seq: u64 = between(&one(&selected, "HIGHESTMODSEQ"), "[HIGHESTMODSEQ ", ']')
        .parse()
        .unwrap();
    phone.imap("UNSELECT", "OK").await;

    laptop.imap("SELECT INBOX", "OK").await;
    laptop.imap("UID STORE 2 +FLAGS (\\Flagged)", "OK").await;
    laptop.imap("UID STORE 4 +FLAGS (\\Deleted)", "OK").await;
    laptop.imap("UID EXPUNGE 4", "OK").await;
    append(&mut laptop, "INBOX", &simple("m6")).await;

    let told = phone
        .imap(&format!("SELECT INBOX (QRESYNC ({validity} {mod_seq}))"), "OK")
        .await;
    one(&told, "* VANISHED (EARLIER) 4");
    assert!(one(&told, "UID 2 ").contains("\\Flagged"));
    assert!(find(&told, "UID 1 ").is_none() && find(&told, "UID 3 ").is_none());
    one(&told, "UID 6 ");
    // What others do is told with its mod-sequence, and not as EXPUNGE.
    laptop.imap("UID STORE 1 +FLAGS (\\Answered)", "OK").await;
    laptop.imap("UID STORE 3 +FLAGS.SILENT (\\Deleted)", "OK").await;
    laptop.imap("EXPUNGE", "OK").await;
    let told = phone.imap("NOOP", "OK").await;
    assert!(one(&told, "UID 1 ").contains("MODSEQ ("));
    one(&told, "* VANISHED 3");
    assert!(find(&told, "EXPUNGE").is_none());
    site.running.shutdown().await;
}

#[tokio::test]
async fn a_change_on_old_knowledge_is_refused() {
    let site = Site::start().await;
    let (mut laptop, mut phone) = (site.client().await, site.client().await);
    append(&mut laptop, "INBOX", &simple("one")).await;
    append(&mut laptop, "INBOX", &simple("two")).await;
    laptop.imap("SELECT INBOX (CONDSTORE)", "OK").await;
    phone.imap("SELECT INBOX", "OK").await;
    let rows = laptop.imap("FETCH 1:2 (FLAGS MODSEQ)", "OK").await;
    let known: u64 = between(&one(&rows, "* 2 FETCH"), "MODSEQ (", ')')
        .parse()
        .unwrap();
    phone.imap("STORE 1 +FLAGS (\\Seen)", "OK").await;
    let command = format!("UID STORE 1:2 (UNCHANGEDSINCE {known}) +FLAGS.SILENT (\\Flagged)");
    let told = laptop.imap(&command, "OK [MODIFIED 1]").await;
    assert!(one(&told, "UID 2 ").contains("MODSEQ ("));
    let rows = laptop
        .imap(&format!("FETCH 1:2 (FLAGS) (CHANGEDSINCE {known})"), "OK")
        .await;
    let flags = one(&rows, "* 1 FETCH");
    assert!(
        flags.contains("\\Seen") && !flags.contains("\\Flagged"),
        "{flags}"
    );
    assert!(one(&rows, "* 2 FETCH").contains("\\Flagged"));
    let found = one(
        &laptop.imap(&format!("SEARCH MODSEQ {}", known + 1), "OK").await,
        "* SEARCH",
    );
    assert!(found.starts_with("* SEARCH 1 2 (MODSEQ "), "{found}");
    let status = one(
        &laptop.imap("STATUS INBOX (HIGHESTMODSEQ)", "OK").await,
        "* STATUS",
    );
    assert!(between(&status, "HIGHESTMODSEQ ", ')').parse::<u64>().unwrap() > known);
    site.running.shutdown().await;
}

#[tokio::test]
async fn identifiers_and_dates_are_told_and_searched() {
    let site = Site::start().await;
    let mut client = site.client().await;
    let made = one(
        &client.imap("CREATE Projects", "OK [MAILBOXID (F").await,
        "MAILBOXID",
    );
    let id = between(&made, "MAILBOXID (", ')');
    client.imap("RENAME Projects Plans", "OK").await;
    assert!(one(&client.imap("STATUS Plans (MAILBOXID)", "OK").await, "* STATUS").contains(&id));
    append(&mut client, "Plans", &simple("first")).await;
    let reply = "Message-ID: <r@a.test>\r\nReferences: <first@a.test>\r\nSubject: re\r\n\r\nYes\r\n";
    append(&mut client, "Plans", reply).await;
    append(&mut client, "Plans", &simple("other")).await;
    let selected = client.imap("SELECT Plans", "OK").await;
    assert!(one(&selected, "MAILBOXID").contains(&id));
    let rows = client
        .imap("FETCH 1:3 (EMAILID THREADID SAVEDATE PREVIEW)", "OK")
        .await;
    let row = |n| one(&rows, &format!("* {n} FETCH"));
    let thread = |n| between(&row(n), "THREADID (", ')');
    assert!(thread(1) == thread(2) && thread(1) != thread(3));
    assert!(
        row(1).contains("SAVEDATE \"") && row(1).contains("PREVIEW \"Text of first\""),
        "{}",
        row(1)
    );
    let email = between(&row(2), "EMAILID (", ')');
    client.imap("COPY 2 INBOX", "OK").await;
    one(
        &client.imap(&format!("SEARCH EMAILID {email}"), "OK").await,
        "* SEARCH 2",
    );
    one(
        &client.imap(&format!("SEARCH THREADID {}", thread(1)), "OK").await,
        "* SEARCH 1 2",
    );
    for all in ["SAVEDATESUPPORTED", "SAVEDSINCE 1-Jan-2020", "YOUNGER 3600"] {
        one(
            &client.imap(&format!("SEARCH {all}"), "OK").await,
            "* SEARCH 1 2 3",
        );
    }
    for none in ["OLDER 3600", "SAVEDBEFORE 1-Jan-2020", "EMAILID Mabc"] {
        assert_eq!(
            one(&client.imap(&format!("SEARCH {none}"), "OK").await, "* SEARCH"),
            "* SEARCH"
        );
    }
    client.imap("SELECT INBOX", "OK").await;
    let copy = one(&client.imap("FETCH 1 EMAILID", "OK").await, "EMAILID");
    assert_eq!(
        between(&copy, "EMAILID (", ')'),
        email,
        "a copy is the same message"
    );
    site.running.shutdown().await;
}

#[tokio::test]
async fn parts_are_decoded_in_pieces_of_any_size() {
    let site = Site::start().await;
    let mut client = site.client().await;
    // Too large to be decoded at once, and a small one.
    let content: Vec<u8> = (0..300_000_u64).map(|n| (n * n % 251) as u8).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&content);
    let lines: Vec<_> = encoded
        .as_bytes()
        .chunks(76)
        .map(|it| std::str::from_utf8(it).unwrap())
        .collect();
    let message = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b\r\n\
         Content-Type: text/plain\r\nContent-Transfer-Encoding: x-secret\r\n\r\n?\r\n--b--\r\n",
        lines.join("\r\n")
    );
    append(&mut client, "INBOX", &message).await;
    client.imap("SELECT INBOX", "OK").await;
    let rows = client.imap("FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2])", "OK").await;
    let row = one(&rows, "* 1 FETCH");
    assert!(
        row.contains("BINARY.SIZE[1] 3") && row.contains("BINARY.SIZE[2] 300000"),
        "{row}"
    );
    let ends = |row: &[u8], wanted: &[u8]| {
        let row = row.strip_suffix(b")").expect("a row");
        assert!(row.ends_with(wanted), "{} octets", row.len());
    };
    let rows = client.imap("FETCH 1 BINARY.PEEK[2]", "OK").await;
    ends(find(&rows, "BINARY[2]").unwrap(), &content);
    let rows = client.imap("FETCH 1 BINARY.PEEK[2]<123456.100000>", "OK").await;
    ends(
        find(&rows, "BINARY[2]<123456>").unwrap(),
        &content[123_456..223_456],
    );
    let rows = client.imap("FETCH 1 BINARY.PEEK[2]<299999.100>", "OK").await;
    ends(find(&rows, "BINARY[2]<299999>").unwrap(), &content[299_999..]);
    assert!(one(&client.imap("FETCH 1 BINARY[1]", "OK").await, "BINARY[1]").contains("a=b"));
    client.imap("FETCH 1 BINARY.PEEK[3]", "NO [UNKNOWN-CTE]").await;
    client.imap("FETCH 1 FLAGS", "OK").await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn several_messages_come_together_or_not_at_all() {
    let site = Site::start().await;
    let mut client = site.client().await;
    let (one_, two) = (simple("one"), simple("two"));
    let both = format!(
        "{{{}+}}\r\n{one_} (\\Seen) {{{}+}}\r\n{two}",
        one_.len(),
        two.len()
    );
    let done = one(
        &client
            .imap(&format!("APPEND INBOX {both}"), "OK [APPENDUID ")
            .await,
        "APPENDUID",
    );
    assert!(done.contains(" 1:2]"), "{done}");
    client.imap("SELECT INBOX", "OK").await;
    let rows = client.imap("FETCH 1:2 (FLAGS BODY.PEEK[])", "OK").await;
    assert!(one(&rows, "* 1 FETCH").contains(&one_) && one(&rows, "* 2 FETCH").contains("\\Seen"));
    // The second one is too large: none is there.
    let large = format!(
        "APPEND INBOX {{{}+}}\r\n{one_} {{{}+}}\r\n{}",
        one_.len(),
        3 << 20,
        "x".repeat(3 << 20)
    );
    client.imap(&large, "NO [TOOBIG]").await;
    assert!(find(&client.imap("STATUS INBOX (MESSAGES)", "OK").await, "MESSAGES 2").is_some());
    site.running.shutdown().await;
}

#[tokio::test]
async fn a_message_is_made_of_others_and_takes_their_place() {
    let site = Site::start().await;
    let mut client = site.client().await;
    append(&mut client, "Drafts", &simple("draft")).await;
    client.imap("SELECT Drafts", "OK").await;
    let command = |url: &str| {
        format!(
            "APPEND Drafts CATENATE (TEXT {{13+}}\r\nSubject: a\r\n\r URL \"{url}\" TEXT {{5+}}\r\nend\r\n)"
        )
    };
    // The text above ends between the CR and the LF of an empty line; what follows brings none.
    let parts = "APPEND Drafts CATENATE (TEXT {14+}\r\nSubject: a\r\n\r\n URL \"/Drafts/;UID=1/;SECTION=TEXT\" TEXT {5+}\r\nend\r\n)";
    client.imap(parts, "OK [APPENDUID ").await;
    let rows = client.imap("UID FETCH 2 BODY.PEEK[]", "OK").await;
    assert!(one(&rows, "BODY[]").contains("Subject: a\r\n\r\nText of draft\r\nend\r\n"));
    for bad in [
        "/Drafts/;UID=99",
        "/Nowhere/;UID=1",
        "imap://elsewhere/INBOX/;UID=1",
        "/Drafts;UIDVALIDITY=1/;UID=1",
    ] {
        client.imap(&command(bad), "NO [BADURL").await;
    }
    let next = simple("final");
    let done = client
        .imap(&format!("UID REPLACE 1 Sent {{{}+}}\r\n{next}", next.len()), "OK")
        .await;
    one(&done, "* 1 EXPUNGE");
    one(&done, "APPENDUID");
    let found = one(&client.imap("UID SEARCH ALL", "OK").await, "* SEARCH");
    assert_eq!(found, "* SEARCH 2");
    client.imap("SELECT Sent", "OK").await;
    assert!(one(&client.imap("FETCH 1 BODY.PEEK[]", "OK").await, "BODY[]").contains("Subject: final"));
    client
        .imap(&format!("UID REPLACE 9 Sent {{{}+}}\r\n{next}", next.len()), "NO")
        .await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn what_is_offered_works_when_it_is_enabled() {
    let site = Site::start().await;
    let mut client = site.client().await;
    for n in 1..=3 {
        append(&mut client, "INBOX", &simple(&format!("m{n}"))).await;
    }
    client.imap("ENABLE IMAP4rev2 UTF8=ACCEPT", "OK").await;
    client.imap("CREATE \"Köln\"", "OK").await;
    one(&client.imap("LIST \"\" \"K*\"", "OK").await, "Köln");
    let selected = client.imap("SELECT INBOX", "OK").await;
    assert!(find(&selected, "RECENT").is_none() && find(&selected, "* LIST ").is_some());
    one(&client.imap("SEARCH SUBJECT m2", "OK").await, "* ESEARCH (TAG");
    client.imap("SEARCH RETURN (SAVE) SUBJECT m", "OK").await;
    let rows = client.imap("FETCH $ UID", "OK").await;
    one(&rows, "* 3 FETCH (UID 3)");
    let rows = client.imap("UID FETCH 1:* (UID) (PARTIAL -1:-2)", "OK").await;
    assert!(find(&rows, "UID 1)").is_none() && find(&rows, "UID 3").is_some());
    client.imap("UNAUTHENTICATE", "OK").await;
    client.imap("SELECT INBOX", "BAD").await;
    client.imap("LOGIN alice@a.test secret", "OK").await;
    client.imap("ENABLE UIDONLY", "OK").await;
    client.imap("SELECT INBOX", "OK").await;
    one(&client.imap("UID FETCH 2 FLAGS", "OK").await, "* 2 UIDFETCH (");
    client.imap("FETCH 1 FLAGS", "BAD").await;
    site.running.shutdown().await;
}
