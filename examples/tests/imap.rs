//! `imap_copy` and `imap_tail` with servers in this process.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // runs programs, over sockets

use bytes::Bytes;
use mailwright_examples::imap::{Account, Session, Trust};
use mailwright_imap::client::{Command as Imap, Data, Event, Message, Messages, Row};
use mailwright_imap::{DateTime, FetchItem, Flag, Flags, Keyword, SequenceSet};
use mailwright_mailbox::MemoryStore;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use mailwright_server::{Config, Running, Server};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const COPY: &str = env!("CARGO_BIN_EXE_imap_copy");
const TAIL: &str = env!("CARGO_BIN_EXE_imap_tail");

/// A server for bob, whose password is `secret`, without TLS and with it.
struct Site {
    runtime: tokio::runtime::Runtime,
    running: Option<Running<MemoryStore>>,
    folder: tempfile::TempDir,
}

impl Site {
    fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("localhost".parse().unwrap(), folder.path());
        config.domains = vec!["a.test".parse().unwrap()];
        config.plaintext_login = PlaintextLogin::Loopback;
        let mut bob = AccountEntry::new("bob@a.test".parse().unwrap());
        set_password(&mut bob, &"secret".into());
        config.accounts.push(bob);
        for (name, tls) in [
            ("imap", TlsMode::None),
            ("imaps", TlsMode::Implicit),
            ("starttls", TlsMode::Starttls),
        ] {
            let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
            config.listeners.push(listener.with_tls(tls).with_name(name));
        }
        adjust(&mut config);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = Server::builder(config).store(MemoryStore::default());
        let running = runtime.block_on(server.start()).unwrap();
        Self {
            runtime,
            running: Some(running),
            folder,
        }
    }

    fn url(&self, listener: &str) -> String {
        let scheme = if listener == "imaps" { "imaps" } else { "imap" };
        let port = self.running.as_ref().unwrap().address(listener).unwrap().port();
        format!("{scheme}://bob@a.test@localhost:{port}")
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls/self-made.crt")
    }

    fn session(&self) -> Session {
        let account: Account = self.url("imap").parse().unwrap();
        Session::open(&account, "secret", &Trust::new(None, true)).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }
}

fn text(number: usize) -> Bytes {
    let filling = "line of text\r\n".repeat(number % 50 * 20);
    format!("From: =?utf-8?q?J=C3=BCrgen?= <j@a.test>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?= {number}\r\n\r\n{filling}").into()
}

fn append(session: &mut Session, mailbox: &str, number: usize, flags: &[&str]) {
    let text = text(number);
    let mut message = Message::new(text.len() as u64);
    for flag in flags {
        message.flags.insert(Flag::parse(flag).unwrap());
    }
    message.internal_date = Some(DateTime::new(1_700_000_000 + number as i64, 60));
    let handle = session.queue(Imap::append(mailbox, message));
    loop {
        match session.event().unwrap() {
            Event::Upload { .. } => session.upload(text.clone()).unwrap(),
            Event::Done(done, _) if done == handle => return,
            Event::Refused(_, reply) => panic!("{reply}"),
            _ => {}
        }
    }
}

fn rows(session: &mut Session, mailbox: &str) -> Vec<Row> {
    session.run("EXAMINE", Imap::examine(mailbox)).unwrap();
    let all = Messages::Uids(SequenceSet::parse(b"1:*").unwrap());
    let items = [FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size];
    let (_, told) = session.run("FETCH", Imap::fetch(all, &items)).unwrap();
    let row = |data| match data {
        Data::Row(row) => Some(*row),
        _ => None,
    };
    told.into_iter().filter_map(row).collect()
}

/// What must be the same of every message on both sides.
fn essence(rows: &[Row]) -> Vec<(u64, i64, Flags)> {
    let of = |row: &Row| {
        (
            row.size.unwrap(),
            row.internal_date.unwrap().unix(),
            row.flags.clone().unwrap(),
        )
    };
    rows.iter().map(of).collect()
}

fn copy(from: &str, to: &str, state: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(COPY);
    command
        .env("FROM_PASSWORD", "secret")
        .env("TO_PASSWORD", "secret");
    command
        .args(["--from", from, "--to", to, "--state"])
        .arg(state)
        .args(more);
    command
}

fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn an_account_is_copied_once_and_only_once() {
    let (old, new) = (Site::start(|_| {}), Site::start(|_| {}));
    let mut session = old.session();
    for name in ["Projekte/Köln", "Left out"] {
        session.run("CREATE", Imap::create(name, &[])).unwrap();
    }
    session
        .run("SUBSCRIBE", Imap::subscribe("Projekte/Köln"))
        .unwrap();
    for n in 0..60 {
        append(
            &mut session,
            "INBOX",
            n,
            [&["\\Seen"][..], &["\\Flagged", "$Work"], &[]][n % 3],
        );
    }
    append(&mut session, "Projekte/Köln", 7, &["\\Answered"]);
    append(&mut session, "Left out", 8, &[]);
    // A gap, so that the UIDs are not the same on both sides.
    session.run("SELECT", Imap::select("INBOX")).unwrap();
    let mut deleted = Flags::new();
    deleted.insert(Flag::Deleted);
    let two = Messages::Uids(SequenceSet::parse(b"2:3").unwrap());
    let store = mailwright_imap::client::Store::new(two, mailwright_imap::StoreAction::Add, deleted);
    session.run("STORE", store).unwrap();
    session.run("EXPUNGE", Imap::expunge()).unwrap();

    let state = new.folder.path().join("state");
    let (from, to) = (old.url("starttls"), new.url("imap"));
    let ca = old.certificate();
    let more = [
        "--in-clear",
        "--exclude",
        "Left*",
        "--rename",
        "Projekte/Köln=Köln",
        "--ca",
        ca.to_str().unwrap(),
    ];
    let (status, said, complaints) = outcome(copy(&from, &to, &state, &more).arg("--dry-run"));
    assert_eq!((status, &*complaints), (Some(0), ""));
    assert!(said.contains("would copy INBOX -> INBOX: 58 messages"), "{said}");
    assert!(
        said.contains("would copy Projekte/Köln -> Köln: 1 messages"),
        "{said}"
    );
    let mut there = new.session();
    assert!(rows(&mut there, "INBOX").is_empty());

    let (status, said, complaints) = outcome(&mut copy(
        &from,
        &to,
        &state,
        &[&more[..], &["--progress", "always"]].concat(),
    ));
    assert_eq!(status, Some(0), "{said}{complaints}");
    assert!(said.starts_with("copied 59 messages, "), "{said}");
    assert!(
        complaints.contains("INBOX [##############################] 58/58"),
        "{complaints}"
    );
    let (before, after) = (rows(&mut session, "INBOX"), rows(&mut there, "INBOX"));
    assert_eq!(essence(&before), essence(&after));
    let work = Flag::Keyword(Keyword::new("$Work").unwrap());
    assert!(
        after
            .iter()
            .any(|row| row.flags.as_ref().unwrap().contains(&work))
    );
    assert_eq!(rows(&mut there, "Köln").len(), 1);
    let (_, told) = there.run("LSUB", Imap::lsub("*")).unwrap();
    assert!(
        told.iter()
            .any(|data| matches!(data, Data::List(row) if row.mailbox.name() == "Köln"))
    );
    let (_, told) = there.run("LIST", Imap::list("Left*")).unwrap();
    assert!(told.is_empty(), "{told:?}");

    // The state maps the UIDs.
    let noted = std::fs::read_to_string(&state).unwrap();
    for (before, after) in before.iter().zip(&after) {
        let pair = format!("\n[{},{}]\n", before.uid.unwrap(), after.uid.unwrap());
        assert!(noted.contains(&pair), "{pair} in {noted}");
    }

    // A second run copies what is new, and nothing else.
    append(&mut session, "INBOX", 99, &[]);
    let (status, said, _) = outcome(&mut copy(&from, &to, &state, &more));
    assert_eq!(status, Some(0));
    assert!(
        said.starts_with("copied 1 messages, ") && said.contains("59 messages were copied earlier"),
        "{said}"
    );
    assert_eq!(rows(&mut there, "INBOX").len(), 59);
}

#[test]
fn a_copy_that_was_cut_off_goes_on() {
    let (old, new) = (Site::start(|_| {}), Site::start(|_| {}));
    let mut session = old.session();
    for n in 0..400 {
        append(&mut session, "INBOX", n, &[]);
    }
    let state = new.folder.path().join("state");
    let (from, to) = (old.url("imap"), new.url("imap"));
    let noted = || {
        std::fs::read_to_string(&state)
            .unwrap_or_default()
            .lines()
            .count()
    };
    let mut cut = 0;
    // Each run is killed when it has noted some more.
    for goal in [40, 150, 230] {
        let mut child = copy(&from, &to, &state, &["--in-clear"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ends = Instant::now() + Duration::from_secs(60);
        while noted() < goal && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < ends, "nothing is copied");
            std::thread::sleep(Duration::from_millis(1));
        }
        cut += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(cut > 0, "every run was too fast");
    // Half a line is what a crash leaves.
    let mut text = std::fs::read_to_string(&state).unwrap();
    text.push_str("[399,");
    std::fs::write(&state, text).unwrap();
    let (status, said, complaints) = outcome(&mut copy(&from, &to, &state, &["--in-clear"]));
    assert_eq!(status, Some(0), "{said}{complaints}");
    let mut there = new.session();
    assert_eq!(
        essence(&rows(&mut there, "INBOX")),
        essence(&rows(&mut session, "INBOX"))
    );
}

#[test]
fn what_the_new_server_refuses_is_reported() {
    let old = Site::start(|_| {});
    let new = Site::start(|config| config.limits.message_size = 4000);
    let mut session = old.session();
    for n in [1, 49, 2] {
        append(&mut session, "INBOX", n, &[]);
    }
    let state = new.folder.path().join("state");
    let (status, said, _) = outcome(&mut copy(
        &old.url("imap"),
        &new.url("imap"),
        &state,
        &["--in-clear"],
    ));
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("copied 2 messages")
            && said.contains("1 could not be copied:\n  INBOX, UID 2: APPEND: "),
        "{said}"
    );
    assert_eq!(rows(&mut new.session(), "INBOX").len(), 2);
}

#[test]
fn what_is_wrong_is_said_so_that_it_can_be_put_right() {
    let site = Site::start(|_| {});
    let state = site.folder.path().join("state");
    let (clear, tls) = (site.url("imap"), site.url("imaps"));
    let fails = |mut command: Command, status: i32, what: &str| {
        let (code, _, said) = outcome(&mut command);
        assert!(code == Some(status) && said.contains(what), "{code:?} {said}");
    };
    fails(
        copy("bob@a.test", &tls, &state, &[]),
        2,
        "it must begin with imaps:// or imap://",
    );
    fails(copy("imap://localhost", &tls, &state, &[]), 2, "it names no user");
    fails(
        copy(&clear, &clear, &state, &[]),
        75,
        "does not offer STARTTLS; use imaps://, or --in-clear",
    );
    fails(copy(&tls, &tls, &state, &[]), 75, "certificate");
    fails(
        copy("imaps://bob@localhost:1", &tls, &state, &[]),
        75,
        "cannot connect to localhost:1",
    );
    let mut wrong = copy(&clear, &clear, &state, &["--in-clear"]);
    wrong.env("FROM_PASSWORD", "wrong");
    fails(wrong, 75, "bob@a.test at localhost:");
    let mut without = copy(&clear, &clear, &state, &["--in-clear"]);
    without.env_remove("TO_PASSWORD");
    fails(
        without,
        75,
        "put the password into the environment variable TO_PASSWORD",
    );
    std::fs::write(&state, "a shopping list\n").unwrap();
    fails(
        copy(&clear, &clear, &state, &["--in-clear"]),
        75,
        "line 1: this is no state of imap_copy",
    );
}

/// `imap_tail` as it runs, ended with the test.
struct Tail {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Tail {
    fn start(site: &Site, more: &[&str]) -> Self {
        let mut command = Command::new(TAIL);
        command
            .arg(site.url("imaps"))
            .arg("--ca")
            .arg(site.certificate())
            .args(more);
        let mut child = command
            .env("PASSWORD", "secret")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tx, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || output.lines().for_each(|line| drop(tx.send(line.unwrap()))));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines
            .recv_timeout(Duration::from_secs(20))
            .expect("a line in time")
    }

    fn ended(mut self) {
        let ends = Instant::now() + Duration::from_secs(20);
        while Instant::now() < ends {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it goes on");
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn new_mail_is_printed_as_it_comes() {
    let site = Site::start(|_| {});
    let mut session = site.session();
    for n in 0..3 {
        append(&mut session, "INBOX", n, &[]);
    }
    let tail = Tail::start(&site, &["--lines", "2", "--count", "42"]);
    assert!(
        tail.line()
            .starts_with("INBOX 2  14-Nov-2023 22:13:21 +0000  Jürgen  grüße 1")
    );
    assert!(tail.line().ends_with("grüße 2"));
    // Some come while it is busy with those before.
    for n in 3..43 {
        append(&mut session, "INBOX", n, &[]);
    }
    for n in 3..43 {
        let line = tail.line();
        assert!(
            line.starts_with(&format!("INBOX {}  ", n + 1)) && line.ends_with(&format!("grüße {n}")),
            "{line}"
        );
    }
    tail.ended();
    let flags = rows(&mut session, "INBOX")
        .into_iter()
        .filter_map(|row| row.flags);
    assert!(
        flags.into_iter().all(|flags| flags.is_empty()),
        "it marks nothing as read"
    );
}

#[test]
fn all_mailboxes_are_watched_at_once() {
    let site = Site::start(|_| {});
    let mut session = site.session();
    append(&mut session, "Archive", 0, &[]);
    let tail = Tail::start(&site, &["--all", "--count", "3"]);
    let mut seen = BTreeSet::new();
    // It is not to be seen from outside when it has begun to watch.
    std::thread::sleep(Duration::from_millis(1500));
    for (n, mailbox) in ["INBOX", "Archive", "Drafts"].into_iter().enumerate() {
        append(&mut session, mailbox, n + 1, &[]);
        seen.insert(tail.line());
    }
    let begins = |start: &str| seen.iter().any(|line| line.starts_with(start));
    assert!(
        begins("INBOX 1 ") && begins("Archive 2 ") && begins("Drafts 1 "),
        "{seen:?}"
    );
    tail.ended();
}

#[test]
fn a_mailbox_that_is_not_there_is_named() {
    let site = Site::start(|_| {});
    let mut command = Command::new(TAIL);
    command
        .arg(site.url("imap"))
        .args(["--in-clear", "--mailbox", "Nowhere"])
        .env("PASSWORD", "secret");
    let (status, _, said) = outcome(&mut command);
    assert_eq!(status, Some(75));
    assert!(said.contains("imap_tail: EXAMINE Nowhere: "), "{said}");
}
