//! The mail programs among the examples, one against the other.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // runs programs that talk over sockets

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SEND: &str = env!("CARGO_BIN_EXE_send");
const SINK: &str = env!("CARGO_BIN_EXE_smtp_sink");
const CHAOS: &str = env!("CARGO_BIN_EXE_chaos_peer");
const LMTP: &str = env!("CARGO_BIN_EXE_lmtp_deliver");

/// A program that listens, until it is dropped.
struct Listening {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Listening {
    fn start(program: &str, address: &str, more: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.arg(address).args(more).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("UTF-8");
        let address = line.trim_end().strip_prefix("listening at ");
        let address = address
            .unwrap_or_else(|| panic!("{program}: {line:?}"))
            .to_owned();
        Self {
            child,
            output,
            address,
        }
    }

    /// What it prints until it ends.
    fn rest(mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("UTF-8");
        text
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_input(command: &mut Command, input: &[u8]) -> (Option<i32>, String) {
    let streams = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = streams.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    // A program that fails early reads nothing.
    let _ = stdin.write_all(input);
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().expect("it ends");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).expect("UTF-8"))
}

fn send(server: &str, more: &[&str], message: &[u8]) -> (Option<i32>, String) {
    let mut command = Command::new(SEND);
    let own = ["--server", server, "--from", "alice@a.test", "--to", "bob@b.test"];
    with_input(
        command.args(own).args(more).env("PASSWORD", "wonder land"),
        message,
    )
}

const MAIL: &[u8] = b"Subject: hello\n\nFrom here\n.one dot\n";

#[test]
fn json_tells_all_of_a_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = folder.path().join("sink.pem");
    let pem = certificate.to_str().expect("UTF-8");
    let sink = Listening::start(SINK, "127.0.0.1:0", &["--store", "json", "--certificate", pem]);
    let tls = ["--tls", "starttls", "--ca", pem, "--user", "alice"];
    let dsn = [
        "--notify",
        "success,delay",
        "--ret",
        "headers",
        "--envid",
        "a+b",
        "--to",
        "carol@c.test",
    ];
    let message = "Subject: Grüße\n\n.dot\n".as_bytes();
    let (status, said) = send(&sink.address, &[&tls[..], &dsn].concat(), message);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("bob@b.test: delivered: 250 2.0.0"), "{said}");
    assert!(said.contains("carol@c.test: delivered: 250 2.0.0"), "{said}");
    let mut sink = sink;
    let mut line = String::new();
    sink.output.read_line(&mut line).expect("UTF-8");
    let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(json["data"], "Subject: Grüße\r\n\r\n.dot\r\n");
    assert_eq!(json["with"], "UTF8SMTPSA");
    assert_eq!(
        (&json["user"], &json["helo"]),
        (&"alice".into(), &"localhost".into())
    );
    let mail = "<alice@a.test> SIZE=26 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb";
    assert_eq!(json["mail"], mail);
    let rcpt = [
        "<bob@b.test> NOTIFY=SUCCESS,DELAY",
        "<carol@c.test> NOTIFY=SUCCESS,DELAY",
    ];
    assert_eq!(json["rcpt"], serde_json::json!(rcpt));

    // Whoever is not the one in the certificate gets nothing.
    let wrong = ["--tls", "starttls", "--ca", pem, "--tls-name", "other.test"];
    let (status, said) = send(&sink.address, &wrong, MAIL);
    assert_eq!(status, Some(75), "{said}");
    assert!(said.contains("TLS: invalid peer certificate"), "{said}");
}

#[test]
fn tls_before_everything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = folder.path().join("sink.pem");
    let pem = certificate.to_str().expect("UTF-8");
    let options = [
        "--tls-first",
        "--certificate",
        pem,
        "--messages",
        "1",
        "--without",
        "chunking",
    ];
    let sink = Listening::start(SINK, "127.0.0.1:0", &options);
    let (status, said) = send(&sink.address, &["--tls", "on-connect", "--ca", pem], MAIL);
    assert_eq!(status, Some(0), "{said}");
    let printed = sink.rest();
    assert!(
        printed.contains("Subject: hello\r\n\r\nFrom here\r\n.one dot\r\n"),
        "{printed}"
    );
}

#[test]
fn maildir_and_mbox_keep_the_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let options = ["--store", "mbox", "--output", &path("mbox"), "--messages", "2"];
    let sink = Listening::start(SINK, "127.0.0.1:0", &options);
    for _ in 0..2 {
        assert_eq!(send(&sink.address, &[], MAIL).0, Some(0));
    }
    sink.rest();
    let mbox = std::fs::read_to_string(path("mbox")).expect("UTF-8");
    assert_eq!(mbox.matches("\nFrom alice@a.test ").count() + 1, 2, "{mbox}");
    assert!(
        mbox.starts_with("From alice@a.test ") && mbox.contains("\n>From here\n.one dot\n\n"),
        "{mbox}"
    );

    let options = [
        "--store",
        "maildir",
        "--output",
        &path("maildir"),
        "--messages",
        "2",
    ];
    let sink = Listening::start(SINK, "127.0.0.1:0", &options);
    for _ in 0..2 {
        assert_eq!(
            send(&sink.address, &["--no-chunking", "--no-pipelining"], MAIL).0,
            Some(0)
        );
    }
    sink.rest();
    let files = std::fs::read_dir(folder.path().join("maildir/new")).expect("a Maildir");
    let texts: Vec<_> = files
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("UTF-8"))
        .collect();
    assert_eq!(texts.len(), 2);
    let want = "Return-Path: <alice@a.test>\r\nSubject: hello\r\n\r\nFrom here\r\n.one dot\r\n";
    assert!(texts.iter().all(|text| text == want), "{texts:?}");
}

#[test]
fn a_sink_can_refuse_and_wait() {
    let options = ["--reject", "rcpt=450 4.2.0 Not today", "--delay", "mail=300"];
    let sink = Listening::start(SINK, "127.0.0.1:0", &options);
    let started = Instant::now();
    let (status, said) = send(&sink.address, &[], MAIL);
    assert_eq!(status, Some(75), "{said}");
    assert!(
        said.contains("bob@b.test: failed (4.2.0): refused at RCPT: 450 4.2.0 Not today"),
        "{said}"
    );
    assert!(started.elapsed() >= Duration::from_millis(300));
    drop(sink);

    let sink = Listening::start(SINK, "127.0.0.1:0", &["--max-size", "20"]);
    let (status, said) = send(&sink.address, &[], MAIL);
    assert_eq!(status, Some(69), "{said}");
    let sink = Listening::start(SINK, "127.0.0.1:0", &["--without", "smtputf8"]);
    let (status, said) = send(&sink.address, &["--to", "jürgen@b.test"], MAIL);
    assert_eq!(status, Some(69), "{said}");
    assert!(said.contains("bob@b.test: delivered"), "{said}");
    assert!(
        said.contains("jürgen@b.test: failed (5.6.7): the server does not support inter"),
        "{said}"
    );
}

#[test]
fn lmtp_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("lmtp.sock");
    let socket = socket.to_str().expect("UTF-8");
    let sink = Listening::start(SINK, socket, &["--lmtp", "--messages", "1"]);
    let (status, said) = with_input(
        Command::new(LMTP).args(["-f", "a@a.test", socket, "bob", "carol"]),
        MAIL,
    );
    assert_eq!(status, Some(0), "{said}");
    let answers =
        "bob: delivered: 250 2.0.0 Message accepted\ncarol: delivered: 250 2.0.0 Message accepted\n";
    assert_eq!(said, answers);
    let printed = sink.rest();
    assert!(
        printed.starts_with("from <a@a.test> SIZE=39\nto <bob@localhost>\nto <carol@localhost>\n"),
        "{printed}"
    );
    let (status, said) = with_input(Command::new(LMTP).args(["/nowhere/lmtp.sock", "bob"]), MAIL);
    assert_eq!(status, Some(75));
    assert!(said.contains("cannot connect to /nowhere/lmtp.sock: "), "{said}");
}

/// What the client makes of servers that misbehave: the exit status, and a part of what it says.
#[test]
fn chaos() {
    let table: &[(&[&str], i32, &str)] = &[
        (&[], 0, "bob@b.test: delivered: 250 2.0.0 Message accepted"),
        (&["ehlo: slow 1"], 0, "delivered"),
        (&["connect: garbage 20000"], 75, "send: "),
        (
            &["connect: reply 554 Go away"],
            75,
            "send: refused at the greeting",
        ),
        (
            &["connect: drop"],
            75,
            "send: the connection was closed at the greeting",
        ),
        (
            &["connect: half"],
            75,
            "send: the connection was closed at the greeting",
        ),
        (&["ehlo: reply 502 What?"], 75, "send: "),
        (&["ehlo: flood 100000"], 75, "send: "),
        (&["ehlo#1: reply 502 No"], 0, "delivered"),
        (&["mail: reply 451 4.3.0 Busy"], 75, "failed (4.3.0)"),
        (&["rcpt: reply 550 5.1.1 Nobody"], 69, "failed (5.1.1)"),
        (&["rcpt: reply 250-2.1.5 Two\\n250 2.1.5 lines"], 0, "delivered"),
        (&["rcpt: reply 999 What"], 75, "bob@b.test: failed"),
        (
            &["rcpt: drop"],
            75,
            "bob@b.test: failed (4.4.2): the connection was closed at RCPT",
        ),
        (&["data: reply 550 5.7.1 No"], 69, "failed (5.7.1)"),
        (
            &["data: twice"],
            75,
            "it may have arrived or not: the peer broke the protocol",
        ),
        (&["data: delay 0.2"], 0, "delivered"),
        (&["body: drop"], 75, "bob@b.test: "),
        (&["message: drop"], 75, "bob@b.test: it may have arrived or not"),
        (&["message: half"], 75, "bob@b.test: it may have arrived or not"),
        (&["message: reply 554 5.6.0 Bad"], 69, "failed (5.6.0)"),
        (&["message: reply 421 4.3.2 Bye"], 75, "failed (4.3.2)"),
        (&["quit: drop"], 0, "delivered"),
    ];
    for (rules, want, part) in table {
        let peer = Listening::start(CHAOS, "127.0.0.1:0", rules);
        let (status, said) = send(&peer.address, &[], MAIL);
        assert_eq!(status, Some(*want), "{rules:?}: {said}");
        assert!(said.contains(part), "{rules:?}: {said}");
    }
}

#[test]
fn recipes_come_from_files_and_say_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = folder.path().join("recipe");
    std::fs::write(&recipe, "# a bad day\n\nrcpt#2: reply 452 4.5.3 Enough\n").expect("writable");
    let recipe = recipe.to_str().expect("UTF-8");
    let peer = Listening::start(CHAOS, "127.0.0.1:0", &["--recipe", recipe]);
    let (status, said) = send(&peer.address, &["--to", "carol@c.test"], MAIL);
    assert_eq!(status, Some(75), "{said}");
    assert!(
        said.contains("bob@b.test: delivered") && said.contains("carol@c.test: failed (4.5.3)"),
        "{said}"
    );
    std::fs::write(recipe, "rcpt: explode\n").expect("writable");
    let (status, said) = with_input(Command::new(CHAOS).args(["127.0.0.1:0", "--recipe", recipe]), b"");
    assert_eq!(status, Some(1));
    assert!(said.contains("recipe:1: there is no action explode"), "{said}");
}

#[test]
fn programs_say_how_they_are_used() {
    for program in [SEND, SINK, CHAOS, LMTP] {
        let (status, said) = with_input(Command::new(program).arg("--help"), b"");
        assert_eq!(status, Some(0));
        assert!(said.contains("Usage: "), "{said}");
    }
    let (status, said) = with_input(Command::new(SINK).args(["--reject", "rcpt=250 OK"]), b"");
    assert_eq!(status, Some(2));
    assert!(said.contains("the code is from 400 to 599"), "{said}");
    let (status, said) = send("127.0.0.1:1", &[], MAIL);
    assert_eq!(status, Some(75));
    assert!(said.contains("send: cannot connect to 127.0.0.1:1: "), "{said}");
}

/// The server to copy into tests: short, and with few dependencies.
#[test]
fn a_sink_for_test_suites() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(root)
            .output();
        let output = output.expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let tree = ["--edges", "normal", "--prefix", "none", "--offline"];
    let tree = cargo(&[&["tree", "-p", "mailwright-smtp"][..], &tree].concat());
    let mut crates: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    crates.sort_unstable();
    crates.dedup();
    assert!(crates.contains(&"mailwright-wire"), "{crates:?}");
    assert!(crates.len() < 15, "{} crates: {crates:?}", crates.len());

    let source = std::fs::read_to_string(root.join("crates/smtp/examples/smtp_sink_in_test.rs"));
    let source = source.expect("the example is there");
    let (_, copied) = source
        .split_once("// -----")
        .expect("the line above what is copied");
    let lines = copied
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .count();
    let imports = copied.lines().filter(|line| line.starts_with("use ")).count();
    assert!(lines - imports < 50, "{lines} lines, {imports} of them imports");
    let said = cargo(&[
        "run",
        "--quiet",
        "--offline",
        "-p",
        "mailwright-smtp",
        "--example",
        "smtp_sink_in_test",
    ]);
    assert!(said.contains("<b@b.test>") && said.contains("221 "), "{said}");
}

#[test]
fn a_person_can_talk_to_chaos() {
    let peer = Listening::start(CHAOS, "127.0.0.1:0", &["noop: twice", "other: lf"]);
    let mut client = TcpStream::connect(&peer.address).expect("it listens");
    client.write_all(b"NOOP\r\nXYZZY\r\nQUIT\r\n").expect("it reads");
    let mut said = String::new();
    client.read_to_string(&mut said).expect("it closes");
    let want = "220 chaos.example ESMTP\r\n250 2.0.0 OK\r\n250 2.0.0 OK\r\n502 5.5.1 Not implemented\n221 2.0.0 Goodbye\r\n";
    assert_eq!(said, want);
}
