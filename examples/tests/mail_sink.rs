//! The sink: what is sent over SMTP can be read as JSON, over IMAP and over POP3; addresses that misbehave.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

struct Sink {
    child: Child,
    addresses: HashMap<String, String>,
}

impl Sink {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mail_sink"))
            .args(["--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let lines = output.lines().map(|line| line.expect("UTF-8"));
        let addresses = lines
            .take_while(|line| line != "ready")
            .filter_map(|line| {
                let (name, address) = line.split_once(' ')?;
                let address = address.trim().trim_start_matches("http://");
                Some((name.to_owned(), address.trim_end_matches("/messages").to_owned()))
            })
            .collect();
        Self { child, addresses }
    }

    fn connect(&self, service: &str) -> (TcpStream, BufReader<TcpStream>) {
        let stream = TcpStream::connect(&self.addresses[service]).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        (stream, reader)
    }

    /// Says the lines over SMTP; the last line of each reply.
    fn smtp(&self, lines: &[&str]) -> Vec<String> {
        let (mut stream, mut replies) = self.connect("smtp");
        let mut reply = || loop {
            let mut line = String::new();
            replies.read_line(&mut line).expect("a reply");
            if line.is_empty() || line.as_bytes().get(3) == Some(&b' ') {
                return line.trim_end().to_owned();
            }
        };
        assert!(reply().starts_with("220 "));
        let say = |line: &&str| {
            write!(stream, "{line}\r\n").expect("it reads");
            reply()
        };
        lines.iter().map(say).collect()
    }

    fn send(&self, from: &str, to: &[&str], message: &str) -> String {
        let mut lines = vec!["EHLO c.test".to_owned(), format!("MAIL FROM:<{from}>")];
        lines.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
        lines.extend(["DATA".to_owned(), format!("{message}\r\n.")]);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        self.smtp(&lines).pop().expect("replies")
    }

    /// Sends all of `input`, which ends the session; all that comes back.
    fn dialogue(&self, service: &str, input: &str) -> String {
        let (mut stream, mut reader) = self.connect(service);
        stream.write_all(input.as_bytes()).expect("it reads");
        let mut said = String::new();
        reader.read_to_string(&mut said).expect("UTF-8");
        said
    }

    fn http(&self, method: &str, target: &str) -> (u16, String) {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: sink\r\nConnection: close\r\n\r\n");
        let answer = self.dialogue("http", &request);
        let status = answer
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number");
        let body = answer.split_once("\r\n\r\n").expect("a body").1;
        (status, body.to_owned())
    }

    fn messages(&self, query: &str) -> Vec<Value> {
        let (status, body) = self.http("GET", &format!("/messages{query}"));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("a list")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_sent_arrives_everywhere() {
    let sink = Sink::start(&[]);
    assert_eq!(sink.http("GET", "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(sink.messages("?to=bob@b.test"), Vec::<Value>::new());

    // Somebody waits before anything is there.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sink.messages("?to=Bob%40b.test&wait=60"));
        let said = sink.send(
            "alice@a.test",
            &["bob@b.test", "carol@c.test"],
            "Subject: =?utf-8?q?Caf=C3=A9?=\r\n\r\n..A dot\r\nin front",
        );
        assert!(said.starts_with("250 "), "{said}");
        let found = waiting.join().expect("no panic");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["subject"], "Café");
        assert_eq!(found[0]["text"], ".A dot\nin front\n");
        let envelope = &found[0]["envelope"];
        assert_eq!(envelope["from"], "alice@a.test");
        assert_eq!(envelope["to"], serde_json::json!(["bob@b.test", "carol@c.test"]));
        let id = envelope["id"].as_str().expect("an id");
        let (status, raw) = sink.http("GET", &format!("/messages/{id}/raw"));
        assert_eq!(status, 200);
        assert!(raw.ends_with("\r\n\r\n.A dot\r\nin front\r\n"), "{raw}");
        let (_, one) = sink.http("GET", &format!("/messages/{id}"));
        assert_eq!(serde_json::from_str::<Value>(&one).expect("JSON"), found[0]);
    });
    assert_eq!(sink.http("GET", "/messages/none").0, 404);
    assert_eq!(sink.http("POST", "/messages").0, 405);
    assert_eq!(sink.http("GET", "/messages?from=x").0, 400);

    // Both recipients have it, whatever their passwords are; each has a mailbox, even one who got nothing.
    let read = |user: &str| {
        let input =
            format!("a LOGIN {user} x\r\nb SELECT INBOX\r\nc UID FETCH 1:* BODY.PEEK[TEXT]\r\nd LOGOUT\r\n");
        sink.dialogue("imap", &input)
    };
    for user in ["bob@b.test", "carol@c.test"] {
        let said = read(user);
        assert!(said.contains(".A dot\r\nin front\r\n"), "{said}");
    }
    let said = read("nobody@b.test");
    assert!(said.contains("* 0 EXISTS") && said.contains("d OK"), "{said}");
    let said = sink.dialogue("pop3", "USER carol@c.test\r\nPASS whatever\r\nRETR 1\r\nQUIT\r\n");
    assert!(said.contains("\r\n..A dot\r\nin front\r\n.\r\n"), "{said}");

    assert_eq!(sink.http("DELETE", "/messages").0, 204);
    assert_eq!(sink.messages(""), Vec::<Value>::new());
    assert!(read("bob@b.test").contains("* 0 EXISTS"));
}

#[test]
fn addresses_misbehave() {
    let sink = Sink::start(&[]);
    let said = sink.smtp(&[
        "EHLO c.test",
        "MAIL FROM:<451-4.7.1@a.test>",
        "MAIL FROM:<a@a.test>",
        "RCPT TO:<550@b.test>",
        "RCPT TO:<552-5.2.2@b.test>",
        "RCPT TO:<slow-1@b.test>",
    ]);
    assert!(said[1].starts_with("451 4.7.1 "), "{said:?}");
    assert!(said[3].starts_with("550 5.0.0 "), "{said:?}");
    assert!(said[4].starts_with("552 5.2.2 "), "{said:?}");
    assert!(said[5].starts_with("250 "), "{said:?}");
    let started = Instant::now();
    let slow = sink.smtp(&["EHLO c.test", "MAIL FROM:<slow-2@a.test>"]);
    assert!(slow[1].starts_with("250 ") && started.elapsed() >= Duration::from_secs(2));
    let said = sink.send("a@a.test", &["b@b.test", "data-452-4.3.1@b.test"], "x");
    assert!(said.starts_with("452 4.3.1 "), "{said}");
    let said = sink.smtp(&["EHLO c.test", "MAIL FROM:<421@a.test>", "NOOP"]);
    assert!(said[1].starts_with("421 ") && said[2].is_empty(), "{said:?}");
    assert_eq!(sink.messages(""), Vec::<Value>::new());
}

#[test]
fn a_full_sink_says_so_until_mail_is_deleted() {
    let sink = Sink::start(&["--keep", "1000"]);
    let large = "x".repeat(600);
    assert!(sink.send("a@a.test", &["b@b.test"], &large).starts_with("250 "));
    assert!(
        sink.send("a@a.test", &["b@b.test"], &large)
            .starts_with("452 4.3.1 ")
    );
    assert_eq!(sink.http("DELETE", "/messages").0, 204);
    assert!(sink.send("a@a.test", &["b@b.test"], &large).starts_with("250 "));
    assert_eq!(sink.messages("").len(), 1);
}
