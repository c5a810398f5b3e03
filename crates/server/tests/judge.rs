//! Filters, from outside: what they see, and what becomes of what they rule.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets

#[allow(dead_code, unreachable_pub)] // these tests use a part of them
#[path = "support/lines.rs"]
mod lines;
#[allow(dead_code, unreachable_pub)]
#[path = "support/receiver.rs"]
mod receiver;

use bytes::Bytes;
use mailwright_address::{ForwardPath, ReversePath};
use mailwright_server::judge::{
    Action, Change, Client, Filter, HeaderField, Judging, Message, Ruling, Transaction,
};
use mailwright_smtp::{Mail, Rcpt, Rejection};
use receiver::{Receiver, transfer};
use std::sync::{Arc, Mutex};

/// Rules by what it is asked, and writes down what it was asked about.
struct Scripted<F> {
    rule: F,
    seen: Mutex<Vec<String>>,
}

impl<F> std::fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl<F: Fn(&str) -> Ruling + Send + Sync> Scripted<F> {
    fn new(rule: F) -> Arc<Self> {
        let seen = Mutex::default();
        Arc::new(Self { rule, seen })
    }

    fn asked(&self, what: String) -> Ruling {
        let ruling = (self.rule)(&what);
        self.seen.lock().unwrap().push(what);
        ruling
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl<F: Fn(&str) -> Ruling + Send + Sync> Filter for Scripted<F> {
    fn name(&self) -> &str {
        "scripted"
    }

    fn connection<'a>(&'a self, client: &'a Client) -> Judging<'a> {
        Box::pin(async move { self.asked(format!("connection {}", client.address.ip())) })
    }

    fn sender<'a>(&'a self, client: &'a Client, mail: &'a Mail) -> Judging<'a> {
        let hello = client.hello.as_deref().unwrap_or("nobody");
        let who = client
            .account
            .as_ref()
            .map_or("nobody", |account| account.as_str());
        let what = format!("sender {} as {hello}, {who}, {}", mail.path, client.protocol);
        Box::pin(async move { self.asked(what) })
    }

    fn recipient<'a>(&'a self, _: &'a Client, mail: &'a Mail, rcpt: &'a Rcpt) -> Judging<'a> {
        Box::pin(async move { self.asked(format!("recipient {} {:?}", mail.path, rcpt.path.to_string())) })
    }

    fn message<'a>(&'a self, transaction: &'a Transaction, message: &'a Message<'a>) -> Judging<'a> {
        Box::pin(async move {
            let on_top = String::from_utf8_lossy(message.on_top());
            assert!(on_top.contains("Received: from client.example"), "{on_top}");
            // In pieces that fit nothing.
            let mut octets = Vec::new();
            while (octets.len() as u64) < message.len() {
                let at = octets.len() as u64;
                octets.extend_from_slice(&message.read(at..at + 100_003).await.unwrap());
            }
            assert!(octets.starts_with(message.header()));
            assert!(
                message
                    .read(message.len()..message.len() + 9)
                    .await
                    .unwrap()
                    .is_empty()
            );
            let text = String::from_utf8(octets).unwrap();
            self.asked(format!("message for {}: {text}", transaction.recipients.len()))
        })
    }
}

fn field(name: &str, value: &str) -> HeaderField {
    HeaderField::new(name, value).unwrap()
}

const MESSAGE: &str = "From: carol@c.test\r\nX-Spam: no\r\nSubject: hello\r\n\r\nHello\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_sees_a_transaction_as_it_goes_on() {
    let filter = Scripted::new(|_| Ruling::accept());
    let site = Receiver::start(vec![filter.clone()], |_| {}).await;
    site.send("carol@c.test", &["bob@b.test", "alice@b.test"], MESSAGE, "250")
        .await;
    assert_eq!(
        filter.seen(),
        [
            "connection 127.0.0.1".to_owned(),
            "sender <carol@c.test> as client.example, nobody, smtp".to_owned(),
            "recipient <carol@c.test> \"<bob@b.test>\"".to_owned(),
            "recipient <carol@c.test> \"<alice@b.test>\"".to_owned(),
            format!("message for 2: {MESSAGE}"),
        ]
    );
    let [mail] = &site.mail("bob@b.test", "INBOX").await[..] else {
        panic!()
    };
    assert!(
        mail.starts_with("Return-Path: <carol@c.test>\r\nReceived: from client.example"),
        "{mail}"
    );
    assert!(mail.ends_with(MESSAGE), "{mail}");
    let mut c = site.submit_as("bob@b.test").await;
    transfer(&mut c, "bob@b.test", &["alice@b.test"], MESSAGE, "250").await;
    assert!(
        filter
            .seen()
            .contains(&"sender <bob@b.test> as client.example, bob@b.test, submission".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rulings_refuse_defer_and_throw_away() {
    let filter = Scripted::new(|asked| match asked {
        _ if asked.contains("never@c.test") => Ruling::refuse(Rejection::POLICY),
        _ if asked.contains("recipient") && asked.contains("alice") => Ruling::refuse(Rejection::TRY_AGAIN),
        _ if asked.contains("virus") => Ruling::refuse(Rejection::POLICY.with_text("It has a virus")),
        _ if asked.contains("junk") => Ruling::new(Action::Discard),
        _ => Ruling::accept(),
    });
    let site = Receiver::start(vec![filter], |_| {}).await;
    let mut c = site.connect("smtp").await;
    c.say("MAIL FROM:<never@c.test>", "550 5.7.1").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<alice@b.test>", "451 4.3.0").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("RSET", "250").await;
    let bob = ["bob@b.test"];
    transfer(
        &mut c,
        "carol@c.test",
        &bob,
        "Subject: virus\r\n\r\n",
        "550 5.7.1 It has a virus",
    )
    .await;
    transfer(
        &mut c,
        "carol@c.test",
        &bob,
        "Subject: junk\r\n\r\n",
        "250 2.0.0 OK",
    )
    .await;
    assert!(site.mail("bob@b.test", "INBOX").await.is_empty());
    transfer(&mut c, "carol@c.test", &bob, MESSAGE, "250 2.0.0 OK").await;
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_turned_away() {
    let filter = Scripted::new(|_| Ruling::refuse(Rejection::POLICY.with_text("You are on a list")));
    let site = Receiver::start(vec![filter], |_| {}).await;
    let address = site.running.address("smtp").unwrap();
    lines::Lines::connect(address)
        .await
        .reply("554 You are on a list")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_where_quarantine_is() {
    let filter = Scripted::new(|asked| match asked {
        _ if asked.starts_with("message") && asked.contains("spam") => Ruling::new(Action::Quarantine),
        _ if asked.starts_with("recipient") && asked.contains("alice") => Ruling::new(Action::Quarantine),
        _ => Ruling::accept(),
    });
    let site = Receiver::start(vec![filter], |_| {}).await;
    let both = ["alice@b.test", "bob@b.test"];
    site.send("carol@c.test", &both, MESSAGE, "250").await;
    site.send("carol@c.test", &["team@b.test"], "Subject: spam\r\n\r\n", "250")
        .await;
    assert!(site.mail("alice@b.test", "INBOX").await.is_empty());
    assert_eq!(site.mail("alice@b.test", "Junk").await.len(), 1);
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 1);
    assert_eq!(site.mail("bob@b.test", "Junk").await.len(), 1);
    assert_eq!(
        site.spool().await.len(),
        1,
        "what an alias leads elsewhere goes there"
    );
    // Who asks to hear of the delivery is not let past Junk by the queue.
    let mut c = site.connect("smtp").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<bob@b.test> NOTIFY=SUCCESS", "250").await;
    c.say("DATA", "354").await;
    c.say("Subject: spam\r\n\r\n.", "250").await;
    assert_eq!(site.mail("bob@b.test", "Junk").await.len(), 2);
    assert_eq!(site.spool().await.len(), 1);
    // Nor are those elsewhere forgotten whom an alias leads to.
    let mut c = site.connect("smtp").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<team@b.test> NOTIFY=SUCCESS", "250").await;
    c.say("DATA", "354").await;
    c.say("Subject: spam\r\n\r\n.", "250").await;
    assert_eq!(site.mail("bob@b.test", "Junk").await.len(), 3);
    let spool = site.spool().await;
    assert_eq!(spool.len(), 2);
    let record = &spool[1].0;
    let names: Vec<_> = record
        .recipients
        .iter()
        .map(|it| it.address.to_string())
        .collect();
    assert_eq!(names, ["carol@c.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_made_one_after_the_other() {
    let first = Scripted::new(|asked| match asked.starts_with("message") {
        true => Ruling::accept()
            .with(Change::Prepend(field("X-First", "1")))
            .with(Change::Replace {
                name: "x-spam".into(),
                nth: 1,
                field: field("X-Spam", "maybe"),
            })
            .with(Change::Append(field("X-Last", "2"))),
        false => Ruling::accept(),
    });
    let second =
        Scripted::new(
            |asked| match asked.contains("X-Spam: maybe\r\nSubject: hello\r\nX-Last: 2\r\n\r\n") {
                true => Ruling::accept()
                    .with(Change::Remove {
                        name: "X-Last".into(),
                        nth: None,
                    })
                    .with(Change::Body(Bytes::from_static(b"Other\r\n"))),
                false => Ruling::accept(),
            },
        );
    let site = Receiver::start(vec![first, second], |_| {}).await;
    site.send("carol@c.test", &["team@b.test"], MESSAGE, "250").await;
    let [(record, relayed)] = &site.spool().await[..] else {
        panic!()
    };
    assert!(relayed.starts_with("X-First: 1\r\nReceived: "), "{relayed}");
    assert!(
        relayed.ends_with("\r\nFrom: carol@c.test\r\nX-Spam: maybe\r\nSubject: hello\r\n\r\nOther\r\n"),
        "{relayed}"
    );
    assert_eq!(record.size, relayed.len() as u64);
    let kept = &site.mail("bob@b.test", "INBOX").await[0];
    assert_eq!(*kept, format!("Return-Path: <carol@c.test>\r\n{relayed}"));
}

/// Bob's mail goes to alice and to somebody elsewhere, in the name of the list.
fn rewrites_the_envelope(asked: &str) -> Ruling {
    let path = |text: &str| ForwardPath::parse(text).unwrap();
    match asked.starts_with("message") {
        true => Ruling::accept()
            .with(Change::Sender(ReversePath::parse("<list@b.test>").unwrap()))
            .with(Change::RemoveRecipient(path("<BOB@b.test>")))
            .with(Change::AddRecipient(Rcpt::new(path("<alice@b.test>"))))
            .with(Change::AddRecipient(Rcpt::new(path("<erin@e.test>"))))
            .with(Change::AddRecipient(Rcpt::new(path("<nobody@b.test>")))),
        false => Ruling::accept(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_change_envelopes() {
    let second = Scripted::new(|_| Ruling::accept());
    let filters: Vec<Arc<dyn Filter>> = vec![Scripted::new(rewrites_the_envelope), second.clone()];
    let site = Receiver::start(filters, |_| {}).await;
    site.send("carol@c.test", &["bob@b.test"], MESSAGE, "250").await;
    let [mail] = &site.mail("alice@b.test", "INBOX").await[..] else {
        panic!("alice has none")
    };
    assert!(mail.starts_with("Return-Path: <list@b.test>\r\n"), "{mail}");
    assert!(site.mail("bob@b.test", "INBOX").await.is_empty());
    let [(record, _)] = &site.spool().await[..] else {
        panic!("it is not on its way")
    };
    assert_eq!(record.recipients[0].address.to_string(), "erin@e.test");
    // Who comes behind sees what came of it.
    let seen = second.seen();
    assert!(seen.last().unwrap().starts_with("message for 3: "), "{seen:?}");
    // Each recipient that the client named has its answer, and no other.
    let mut c = site.connect("lmtp").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("RCPT TO:<alice@b.test>", "250").await;
    c.say("DATA", "354").await;
    c.send_raw(MESSAGE.as_bytes()).await;
    c.say(".", "250").await;
    c.reply("250").await;
    c.say("NOOP", "250").await;
    assert_eq!(site.mail("alice@b.test", "INBOX").await.len(), 2);
    assert!(site.mail("bob@b.test", "INBOX").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_nobody_is_thrown_away() {
    let filter = Scripted::new(|asked| match asked.starts_with("message") {
        true => Ruling::accept().with(Change::RemoveRecipient(
            ForwardPath::parse("<bob@b.test>").unwrap(),
        )),
        false => Ruling::accept(),
    });
    let site = Receiver::start(vec![filter], |_| {}).await;
    site.send("carol@c.test", &["bob@b.test"], MESSAGE, "250").await;
    site.send("carol@c.test", &["alice@b.test"], MESSAGE, "250").await;
    assert!(site.mail("bob@b.test", "INBOX").await.is_empty());
    assert_eq!(site.mail("alice@b.test", "INBOX").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_the_same_after_it_was_held() {
    let filter = Scripted::new(|_| Ruling::accept());
    let site = Receiver::start(vec![filter.clone()], |_| {}).await;
    let mut message = String::from("From: carol@c.test\r\n\r\n");
    for line in 0..40_000 {
        message.push_str(&format!("line {line} of a message that is long\r\n"));
    }
    site.send("carol@c.test", &["bob@b.test"], &message, "250").await;
    assert!(
        filter.seen().last().unwrap().ends_with(&message),
        "the filter saw something else"
    );
    let kept = &site.mail("bob@b.test", "INBOX").await[0];
    assert!(kept.ends_with(&message), "the octets differ");
    let header = format!("X: {}\r\n", "x".repeat(500)).repeat(2200);
    site.send(
        "carol@c.test",
        &["bob@b.test"],
        &format!("{header}\r\n"),
        "552 5.3.4",
    )
    .await;
}
