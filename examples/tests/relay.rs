//! The relay: mail kept while the next server is away, over a kill, delivered once it is there, and bounced if refused.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that runs, and where it listens.
struct Listening(Child, String);

impl Listening {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line
            .trim_end()
            .strip_prefix("listening at ")
            .expect("an address")
            .to_owned();
        Self(child, address)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // SIGKILL: what is on disk is all that remains.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn send(server: &str, to: &str, text: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_send"));
    command.args(["--server", server, "--from", "alice@a.test", "--to", to]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(text.as_bytes())
        .expect("it reads");
    assert!(child.wait().expect("it ends").success());
}

fn until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "never happened: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn relay(spool: &Path, next: &str) -> Listening {
    let spool = spool.to_str().expect("UTF-8");
    let arguments = [
        "--next",
        next,
        "--retry",
        "1",
        "--hostname",
        "relay.test",
        "127.0.0.1:0",
        spool,
    ];
    Listening::start(env!("CARGO_BIN_EXE_relay"), &arguments)
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("it is there").count()
}

#[test]
fn mail_waits_on_disk_until_the_next_server_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, got) = (folder.path().join("spool"), folder.path().join("got.jsonl"));
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound")
        .to_string();
    let first = relay(&spool, &free);
    send(&first.1, "bob@b.test", "Subject: kept\n\n.one dot\n");
    drop(first);
    for kind in ["mail", "queue"] {
        let file = spool.join(format!("{:016}.{kind}", 1));
        assert!(file.exists(), "a message and its record");
    }
    // A kill between the write of a record and its naming, and one before a message had a record at all.
    for left in ["0000000000000001.new", "0000000000000002.mail"] {
        std::fs::write(spool.join(left), "half of").expect("written");
    }
    let _second = relay(&spool, &free);
    let output = got.to_str().expect("UTF-8");
    let _sink = Listening::start(
        env!("CARGO_BIN_EXE_smtp_sink"),
        &["--store", "json", "--output", output, &free],
    );
    until("the message comes", || {
        std::fs::read_to_string(&got).is_ok_and(|text| text.contains("bob@b.test"))
    });
    until("the queue is empty", || files(&spool) == 0);
    let text = std::fs::read_to_string(&got).expect("readable");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("by relay.test with ESMTP") && text.contains("\\r\\n.one dot\\r\\n"),
        "{text}"
    );
}

#[test]
fn what_is_refused_comes_back_to_its_sender() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, got) = (folder.path().join("spool"), folder.path().join("got.jsonl"));
    let output = got.to_str().expect("UTF-8");
    // It takes no long messages; the notice, with the header alone, is a short one.
    let arguments = [
        "--max-size",
        "4000",
        "--store",
        "json",
        "--output",
        output,
        "127.0.0.1:0",
    ];
    let sink = Listening::start(env!("CARGO_BIN_EXE_smtp_sink"), &arguments);
    let relay = relay(&spool, &sink.1);
    send(
        &relay.1,
        "bob@b.test",
        &format!("Subject: long\n\n{}", "line\n".repeat(1000)),
    );
    let taken = || std::fs::read_to_string(&got).unwrap_or_default();
    until("the notice comes", || taken().contains("\n"));
    until("the queue is empty", || files(&spool) == 0);
    let notice = taken();
    assert_eq!(notice.lines().count(), 1, "{notice}");
    for part in [
        "alice@a.test",
        "report-type=delivery-status",
        "rfc822; bob@b.test",
        "Status: 5.3.4",
        "Subject: long",
    ] {
        assert!(notice.contains(part), "{part} is not in {notice}");
    }
    assert!(!notice.contains("line"), "{notice}");
}
