//! The gateway between a sender, a filter and the next server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // runs programs that talk over sockets

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const GATEWAY: &str = env!("CARGO_BIN_EXE_filter_gateway");
const SINK: &str = env!("CARGO_BIN_EXE_smtp_sink");

/// A program that listens, until it is dropped.
struct Listening {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Listening {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("UTF-8");
        let address = line
            .trim_end()
            .strip_prefix("listening at ")
            .unwrap_or_else(|| panic!("{program}: {line:?}"))
            .to_owned();
        Self {
            child,
            output,
            address,
        }
    }

    /// What it has printed once it has ended.
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

/// A clamd that finds what holds the word "virus".
fn clamd() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut all = vec![0; 10];
            stream.read_exact(&mut all).expect("zINSTREAM");
            loop {
                let mut len = [0; 4];
                stream.read_exact(&mut len).expect("a length");
                let len = u32::from_be_bytes(len) as usize;
                if len == 0 {
                    break;
                }
                let mut piece = vec![0; len];
                stream.read_exact(&mut piece).expect("a piece");
                all.extend(piece);
            }
            let sick = String::from_utf8_lossy(&all).contains("virus");
            let answer: &[u8] = if sick {
                b"stream: Bad FOUND\0"
            } else {
                b"stream: OK\0"
            };
            stream.write_all(answer).expect("it listens");
        }
    });
    address
}

/// A conversation in lines: what is said, and how each answer begins.
fn converse(address: &str, lines: &[(&str, &str)]) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut answers = BufReader::new(stream.try_clone().expect("a socket"));
    for (say, want) in lines {
        if !say.is_empty() {
            stream
                .write_all(format!("{say}\r\n").as_bytes())
                .expect("it reads");
        }
        for want in want.split('|') {
            let mut answer = String::new();
            while answer.is_empty() || answer.as_bytes().get(3) == Some(&b'-') {
                answer.clear();
                answers.read_line(&mut answer).expect("an answer");
                assert!(!answer.is_empty(), "it hung up at {say}");
            }
            assert!(answer.starts_with(want), "{say}: {answer:?} instead of {want}");
        }
    }
}

fn envelope<'a>(to: &'a str, message: &'a str, want: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("MAIL FROM:<carol@c.test>", "250"),
        (to, "250"),
        ("DATA", "354"),
        (message, want),
    ]
}

const BOB: &str = "RCPT TO:<bob@b.test>";
const FINE: &str = "Subject: x\r\n\r\nHello\r\n.";
const SICK: &str = "Subject: x\r\n\r\na virus\r\n.";

#[test]
fn the_answers_of_the_next_server_are_given() {
    let sink = Listening::start(SINK, &["--messages", "2", "127.0.0.1:0"]);
    let filter = format!("clamd={}", clamd());
    let gateway = Listening::start(
        GATEWAY,
        &["--next", &sink.address, "--filter", &filter, "127.0.0.1:0"],
    );
    let mut lines = vec![("", "220"), ("EHLO client.test", "250")];
    lines.extend(envelope(BOB, FINE, "250"));
    lines.extend(envelope(BOB, SICK, "554 5.7.1 The message holds a virus: Bad"));
    // One recipient at a time: the next one in a transaction of its own.
    lines.extend([
        ("MAIL FROM:<carol@c.test>", "250"),
        (BOB, "250"),
        ("RCPT TO:<alice@b.test>", "452"),
        ("DATA", "354"),
        (FINE, "250"),
        ("QUIT", "221"),
    ]);
    converse(&gateway.address, &lines);
    let printed = sink.rest();
    assert_eq!(
        printed.matches("Received: from client.test").count(),
        2,
        "{printed}"
    );
    assert!(!printed.contains("virus"), "{printed}");
}

#[test]
fn refusals_of_the_next_server_and_its_absence_are_told() {
    let sink = Listening::start(
        SINK,
        &["--reject", "rcpt=550 5.1.1 Nobody of that name", "127.0.0.1:0"],
    );
    let gateway = Listening::start(GATEWAY, &["--next", &sink.address, "127.0.0.1:0"]);
    let mut lines = vec![("", "220"), ("EHLO client.test", "250")];
    lines.extend(envelope(BOB, FINE, "550 5.1.1 Nobody of that name"));
    converse(&gateway.address, &lines);
    drop(sink);
    let mut lines = vec![("", "220"), ("EHLO client.test", "250")];
    lines.extend(envelope(BOB, FINE, "451 4.3.0 The next server is not available"));
    converse(&gateway.address, &lines);
}

#[test]
fn a_filter_that_is_away_holds_mail_back() {
    let sink = Listening::start(SINK, &["--messages", "1", "127.0.0.1:0"]);
    let nobody = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound");
    let filter = format!("rspamd={nobody}");
    let arguments = ["--next", &sink.address, "--filter", &filter, "127.0.0.1:0"];
    let gateway = Listening::start(GATEWAY, &arguments);
    let greeting = [("", "220"), ("EHLO client.test", "250")];
    let mut lines = greeting.to_vec();
    lines.extend(envelope(BOB, FINE, "451 4.7.1"));
    converse(&gateway.address, &lines);
    let open = Listening::start(
        GATEWAY,
        &[&arguments[..4], &["--on-error", "accept", "127.0.0.1:0"]].concat(),
    );
    let mut lines = greeting.to_vec();
    lines.extend(envelope(BOB, FINE, "250"));
    converse(&open.address, &lines);
    assert!(sink.rest().contains("Hello"));
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let sink = Listening::start(SINK, &["--lmtp", "--messages", "1", "127.0.0.1:0"]);
    let gateway = Listening::start(GATEWAY, &["--lmtp", "--next", &sink.address, "127.0.0.1:0"]);
    converse(
        &gateway.address,
        &[
            ("", "220"),
            ("LHLO client.test", "250"),
            ("MAIL FROM:<carol@c.test>", "250"),
            (BOB, "250"),
            ("RCPT TO:<alice@b.test>", "250"),
            ("DATA", "354"),
            (FINE, "250|250"),
            ("QUIT", "221"),
        ],
    );
    assert!(sink.rest().contains("Hello"));
}

#[test]
fn the_help_says_what_it_is() {
    let help = Command::new(GATEWAY).arg("--help").output().expect("it runs");
    let text = String::from_utf8(help.stdout).expect("UTF-8");
    assert!(
        help.status.success() && text.contains("asks filters about it"),
        "{text}"
    );
    let wrong = Command::new(GATEWAY)
        .args([
            "--next",
            "127.0.0.1:25",
            "--filter",
            "other=127.0.0.1:1",
            "127.0.0.1:0",
        ])
        .output()
        .expect("it runs");
    let text = String::from_utf8(wrong.stderr).expect("UTF-8");
    assert!(
        !wrong.status.success() && text.contains("rspamd, clamd, spamd and milter"),
        "{text}"
    );
}
