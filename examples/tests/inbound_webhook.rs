//! The webhook: mail kept while the application is away, over a kill, posted in order, signed, and put aside if refused.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

use ring::hmac;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// What was posted, and where to put the status of the answer.
struct Post {
    signature: String,
    authorization: String,
    body: Vec<u8>,
    status: Sender<u16>,
}

impl Post {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// The application: the test answers each post.
fn application() -> (SocketAddr, Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (posted, posts) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that was killed in between is no fault of the application.
            let _ = answer(client, &posted);
        }
    });
    (address, posts)
}

fn answer(mut client: TcpStream, posted: &Sender<Post>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut length, mut signature, mut authorization) = (0, String::new(), String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            assert!(line.starts_with("POST /mail HTTP/1.1"), "{line}");
            continue;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a number"),
            "x-signature-256" => signature = value.to_owned(),
            "authorization" => authorization = value.to_owned(),
            "content-type" => assert_eq!(value, "application/json"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, answered) = channel();
    let post = Post {
        signature,
        authorization,
        body,
        status,
    };
    if posted.send(post).is_ok() {
        let status = answered.recv_timeout(PATIENCE).unwrap_or(503);
        write!(
            client,
            "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
    }
    Ok(())
}

/// The program, until it is killed.
struct Webhook(Child, SocketAddr);

impl Webhook {
    fn start(folder: &Path, application: SocketAddr) -> Self {
        let secret = folder.join("secret");
        std::fs::write(&secret, "between us\n").expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_inbound_webhook"))
            .args([
                "--domain",
                "in.test",
                "--retry",
                "50",
                "--header",
                "Authorization: Bearer abc",
            ])
            .arg("--secret-file")
            .arg(secret)
            .arg("127.0.0.1:0")
            .arg(folder.join("spool"))
            .arg(format!("http://{application}/mail"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line.trim_end().strip_prefix("listening at ").expect("an address");
        Self(child, address.parse().expect("an address"))
    }

    /// Says the lines, and gives the last code that came back for each.
    fn dialogue(&self, lines: &[&str]) -> Vec<String> {
        let mut client = TcpStream::connect(self.1).expect("it listens");
        client.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut replies = BufReader::new(client.try_clone().expect("a second handle"));
        let mut reply = || loop {
            let mut line = String::new();
            replies.read_line(&mut line).expect("a reply");
            assert!(!line.is_empty(), "it hung up");
            if line.as_bytes().get(3) == Some(&b' ') {
                return line[..3].to_owned();
            }
        };
        assert_eq!(reply(), "220");
        lines
            .iter()
            .map(|line| {
                write!(client, "{line}\r\n").expect("it reads");
                reply()
            })
            .collect()
    }

    fn send(&self, message: &str) {
        let said = self.dialogue(&[
            "EHLO c.test",
            "MAIL FROM:<alice@a.test>",
            "RCPT TO:<app@in.test>",
            "DATA",
            &format!("{message}\r\n."),
        ]);
        assert_eq!(said, ["250", "250", "250", "354", "250"]);
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        // SIGKILL: what is on disk is all that remains.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const MESSAGE: &str = "From: =?utf-8?q?Alic=C3=A9?= <alice@a.test>\r\nTo: app@in.test\r\nSubject: =?utf-8?b?SGkg4pyT?=\r\n\
    Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@a.test>\r\nIn-Reply-To: <0@a.test>\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=x\r\n\r\n\
    --x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCaf=E9\r\n\
    --x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../a.pdf\"\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nAAEC/w==\r\n--x--";

#[test]
fn mail_waits_for_the_application_and_is_posted_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, posts) = application();
    let webhook = Webhook::start(folder.path(), address);
    webhook.send(MESSAGE);
    webhook.send("Subject: second\r\n\r\nAuto");

    // The application is away: the same message comes again.
    let first = posts.recv_timeout(PATIENCE).expect("posted");
    let letter = first.json();
    first.status.send(503).expect("it waits");
    let again = posts.recv_timeout(PATIENCE).expect("posted again");
    assert_eq!(again.json(), letter);
    // The program is killed before it has its answer: still the same message, from the disk.
    drop(webhook);
    drop(again.status);
    let webhook = Webhook::start(folder.path(), address);
    let again = posts.recv_timeout(PATIENCE).expect("posted after the kill");
    assert_eq!(again.json(), letter);

    assert_eq!(again.authorization, "Bearer abc");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"between us");
    let expected: String = hmac::sign(&key, &again.body)
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert_eq!(again.signature, format!("sha256={expected}"));

    let envelope = &letter["envelope"];
    assert_eq!(envelope["id"].as_str().map(str::len), Some(32));
    assert_eq!(envelope["helo"], "c.test");
    assert_eq!(envelope["from"], "alice@a.test");
    assert_eq!(envelope["to"], serde_json::json!(["app@in.test"]));
    assert_eq!(letter["subject"], "Hi ✓");
    assert_eq!(
        letter["from"],
        serde_json::json!([{"name": "Alicé", "address": "alice@a.test"}])
    );
    assert_eq!(letter["date"], 1_772_442_000);
    assert_eq!(letter["message_id"], "1@a.test");
    assert_eq!(letter["in_reply_to"], "0@a.test");
    assert_eq!(letter["text"], "Café");
    assert_eq!(letter["html"], Value::Null);
    assert_eq!(letter["automatic"], false);
    assert_eq!(letter["headers"][2], serde_json::json!(["Subject", "Hi ✓"]));
    let attachment = &letter["attachments"][0];
    assert_eq!(attachment["content_type"], "application/pdf");
    assert_eq!(attachment["content"], "AAEC/w==");
    let name = attachment["name"].as_str().expect("a name");
    assert!(name.ends_with("a.pdf") && !name.contains('/'), "{name}");

    again.status.send(204).expect("it waits");
    let second = posts.recv_timeout(PATIENCE).expect("the second is posted");
    assert_eq!(second.json()["subject"], "second");
    // Refused for good: put aside, and the way is free for the next.
    second.status.send(422).expect("it waits");
    webhook.send("Subject: third\r\n\r\n");
    let third = posts.recv_timeout(PATIENCE).expect("the third is posted");
    assert_eq!(third.json()["subject"], "third");
    let refused: Vec<_> = std::fs::read_dir(folder.path().join("spool/refused"))
        .expect("a folder")
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "mail"))
        .map(|entry| std::fs::read_to_string(entry.path()).expect("readable"))
        .collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("Subject: second\r\n\r\nAuto"), "{refused:?}");
    third.status.send(200).expect("it waits");
}

#[test]
fn mail_for_other_domains_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, _posts) = application();
    let webhook = Webhook::start(folder.path(), address);
    let said = webhook.dialogue(&[
        "EHLO c.test",
        "MAIL FROM:<alice@a.test>",
        "RCPT TO:<bob@elsewhere.test>",
        "RCPT TO:<app@IN.test>",
        "QUIT",
    ]);
    assert_eq!(said, ["250", "250", "550", "250", "221"]);
}

#[test]
fn what_is_wrong_is_said_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for (url, header, complaint) in [
        ("ftp://app.test/", "A: b", "not a URL of http or https"),
        ("http://127.0.0.1:9/", "no colon", "it has no colon"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_inbound_webhook"))
            .args(["--header", header, "127.0.0.1:0"])
            .arg(folder.path())
            .arg(url)
            .output()
            .expect("it runs");
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(complaint), "{said}");
    }
}
