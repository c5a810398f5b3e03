//! Every example runs and does what it says.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // talks to the examples over sockets

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn back_to_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_back_to_back"))
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    for line in [
        "S: 220 ",
        "C: EHLO laptop.example",
        "C: .One dot at the start of a line.",
        "[Delivered(",
        "S: 221 ",
    ] {
        assert!(said.contains(line), "{line:?} is missing:\n{said}");
    }
}

#[test]
fn smtp_sink() {
    let mut sink = Command::new(env!("CARGO_BIN_EXE_smtp_sink"))
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(sink.stdout.take().expect("piped"))
        .lines()
        .map(|l| l.expect("UTF-8"));
    let address = lines
        .next()
        .expect("it says where")
        .split_off("listening at ".len());
    let mut client = TcpStream::connect(address).expect("it listens");
    let session = b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\n";
    client.write_all(session).expect("it reads");
    client
        .write_all(b"Subject: sunk\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
        .expect("it reads");
    let mut replies = String::new();
    client.read_to_string(&mut replies).expect("it closes");
    assert!(replies.contains("\r\n221 "), "{replies}");
    let printed: Vec<_> = lines.take(6).collect();
    sink.kill().expect("it runs until it is stopped");
    sink.wait().expect("it ends");
    assert_eq!(
        printed[..3],
        ["from <a@c.example>", "to <b@d.example>", "23 octets:"],
        "{printed:?}"
    );
    assert_eq!(printed[3..], ["Subject: sunk", "", ".dot"]);
}
