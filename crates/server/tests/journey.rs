//! The way of a message from Alice to Bob, between two servers and a DNS server on loopback: submission with AUTH
//! over TLS, routing by MX, relay, storage, IDLE, IMAP, POP3, a bounce, and a retry.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use mailwright_message::{Index, dsn};
use std::time::{Duration, Instant};
use support::dns::{DnsServer, Zone};
use support::lines::{Lines, Tls, find};
use support::site::Site;

const MESSAGE: &str = "From: Alice <alice@a.test>\r\n\
    To: Bob <bob@b.test>, Dave <dave@a.test>\r\n\
    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
    Message-ID: <journey@a.test>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\
    \r\n\
    .a line with a dot\r\n\
    ..and one with two\r\n\
    fünf\r\n";

/// What Bob's and Alice's servers have in common.
struct World {
    tls: Tls,
    dns: DnsServer,
}

impl World {
    async fn new() -> Self {
        let zone = Zone::new()
            .mx("a.test", 10, "mail.a.test")
            .a("mail.a.test", "127.0.0.1")
            .mx("b.test", 10, "mail.b.test")
            .a("mail.b.test", "127.0.0.2");
        Self {
            tls: Tls::for_names(&["mail.a.test", "mail.b.test"]),
            dns: DnsServer::start(zone),
        }
    }

    /// Bob's server; its way out is not used.
    async fn b(&self) -> Site {
        Site::called("mail.b.test", "127.0.0.2", &self.tls)
            .account("bob@b.test", "builder")
            .start()
            .await
    }

    /// Alice's server, which finds the others by DNS, at the port of `b`.
    async fn a(&self, b: &Site) -> Site {
        Site::called("mail.a.test", "127.0.0.1", &self.tls)
            .account("alice@a.test", "wonderland")
            .account("dave@a.test", "diver")
            .resolver(self.dns.address())
            .out_port(b.address("smtp").port())
            .start()
            .await
    }
}

async fn submit(a: &Site, tls: &Tls, to: &[&str], message: &str) {
    let mut alice = Lines::connect(a.address("submission")).await;
    alice.reply("220").await;
    alice.say("EHLO laptop.a.test", "250").await;
    alice.say("MAIL FROM:<alice@a.test>", "530").await;
    alice.say("STARTTLS", "220").await;
    let mut alice = alice.start_tls(tls, "mail.a.test").await;
    let offered = alice.say("EHLO laptop.a.test", "250").await;
    assert!(offered.contains("AUTH") && offered.contains("PLAIN"), "{offered}");
    alice.auth_plain("alice@a.test", "wrong", "535").await;
    alice.auth_plain("alice@a.test", "wonderland", "235").await;
    alice.say("MAIL FROM:<alice@a.test> BODY=8BITMIME", "250").await;
    for recipient in to {
        alice.say(&format!("RCPT TO:<{recipient}>"), "250").await;
    }
    alice.say("DATA", "354").await;
    let stuffed: String = message
        .split_inclusive("\r\n")
        .map(|line| {
            if line.starts_with('.') {
                format!(".{line}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    alice.send_raw(stuffed.as_bytes()).await;
    alice.say(".", "250").await;
    alice.say("QUIT", "221").await;
}

async fn imap(site: &Site, tls: &Tls, name: &str, user: &str, password: &str) -> Lines {
    let mut imap = Lines::connect_tls(site.address("imaps"), tls, name).await;
    assert!(imap.line().await.expect("a greeting").starts_with(b"* OK"));
    imap.imap(&format!("LOGIN {user} {password}"), "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    imap
}

/// Waits in IDLE until the mailbox has `count` messages; the time that took.
async fn idle_until(imap: &mut Lines, count: u32, cause: impl Future<Output = ()>) -> Duration {
    imap.send("idle IDLE").await;
    assert!(imap.line().await.expect("a continuation").starts_with(b"+"));
    cause.await;
    let started = Instant::now();
    let wanted = format!("* {count} EXISTS");
    loop {
        let line = imap.line().await.expect("news");
        if line == wanted.as_bytes() {
            break;
        }
        assert!(line.starts_with(b"* "), "{}", line.escape_ascii());
    }
    let took = started.elapsed();
    imap.send("DONE").await;
    loop {
        let line = imap.line().await.expect("the end of IDLE");
        if line.starts_with(b"idle ") {
            assert!(line.starts_with(b"idle OK"));
            return took;
        }
    }
}

/// Waits for the first message of an INBOX, unless it is there.
async fn first_to_arrive(imap: &mut Lines) {
    let status = imap.imap("STATUS INBOX (MESSAGES)", "OK").await;
    if find(&status, "MESSAGES 1").is_none() {
        idle_until(imap, 1, std::future::ready(())).await;
    }
}

/// The literal of a FETCH response.
fn literal(response: &[u8]) -> &[u8] {
    let start = response
        .windows(3)
        .position(|w| w == b"}\r\n")
        .expect("a literal")
        + 3;
    response[start..].strip_suffix(b")").expect("the end of FETCH")
}

async fn newest(imap: &mut Lines) -> Vec<u8> {
    let responses = imap.imap("FETCH * BODY.PEEK[]", "OK").await;
    literal(find(&responses, "BODY[]").expect("a message")).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_alice_to_bob() {
    let world = World::new().await;
    let b = world.b().await;
    let a = world.a(&b).await;
    let tls = &world.tls;

    // Bob's phone waits while Alice sends.
    let mut phone = imap(&b, tls, "mail.b.test", "bob@b.test", "builder").await;
    let sent = submit(&a, tls, &["bob@b.test", "dave@a.test"], MESSAGE);
    let woke = idle_until(&mut phone, 1, sent).await;
    assert!(
        woke < Duration::from_secs(10),
        "the message was under way for {woke:?}"
    );

    // A message that arrives at Bob's own server wakes the phone at once.
    let local = async {
        let mut carol = Lines::connect(b.address("smtp")).await;
        carol.reply("220").await;
        for (command, reply) in [
            ("EHLO carol.example", "250"),
            ("MAIL FROM:<carol@c.example>", "250"),
            ("RCPT TO:<bob@b.test>", "250"),
            ("DATA", "354"),
            ("Subject: quick\r\n\r\nhi\r\n.", "250"),
        ] {
            carol.say(command, reply).await;
        }
    };
    let woke = idle_until(&mut phone, 2, local).await;
    assert!(woke < Duration::from_secs(1), "IDLE woke after {woke:?}");

    // The same bytes, a Received line for each hop, and the envelope's sender on top.
    let responses = phone
        .imap("FETCH 1 (BODY.PEEK[] ENVELOPE RFC822.SIZE)", "OK")
        .await;
    let fetched = find(&responses, "BODY[]").expect("the message").to_vec();
    let text = String::from_utf8_lossy(&fetched).into_owned();
    assert!(
        text.contains("\"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\""),
        "ENVELOPE: {text}"
    );
    let responses = phone.imap("FETCH 1 BODY.PEEK[]", "OK").await;
    let bytes = literal(find(&responses, "BODY[]").expect("the message")).to_vec();
    assert!(bytes.ends_with(MESSAGE.as_bytes()), "{}", bytes.escape_ascii());
    let added = String::from_utf8(bytes[..bytes.len() - MESSAGE.len()].to_vec()).expect("ASCII trace lines");
    assert!(added.starts_with("Return-Path: <alice@a.test>\r\n"), "{added}");
    assert_eq!(added.matches("Received: ").count(), 2, "{added}");
    let (first_hop, last_hop) = (
        added.rfind("by mail.a.test").expect("hop a"),
        added.find("by mail.b.test").expect("hop b"),
    );
    assert!(last_hop < first_hop, "the newest trace line comes first: {added}");
    assert!(
        added.contains("with ESMTPSA"),
        "the submission was authenticated under TLS: {added}"
    );
    assert_eq!(added.matches("Return-Path").count(), 1);

    // Dave, on Alice's own server, has it too.
    let mut dave = imap(&a, tls, "mail.a.test", "dave@a.test", "diver").await;
    let bytes = newest(&mut dave).await;
    assert!(bytes.ends_with(MESSAGE.as_bytes()));

    // POP3 fetches and deletes the first message; IMAP sees it go.
    let mut pop = Lines::connect_tls(b.address("pop3s"), tls, "mail.b.test").await;
    pop.reply("+OK").await;
    pop.say("USER bob@b.test", "+OK").await;
    pop.say("PASS builder", "+OK").await;
    assert!(pop.say("STAT", "+OK").await.starts_with("+OK 2 "));
    pop.say("RETR 1", "+OK").await;
    let mut retrieved = vec![];
    loop {
        let line = pop.line().await.expect("the message");
        if line == b"." {
            break;
        }
        retrieved.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        retrieved.extend_from_slice(b"\r\n");
    }
    assert!(
        retrieved.ends_with(MESSAGE.as_bytes()),
        "{}",
        retrieved.escape_ascii()
    );
    pop.say("DELE 1", "+OK").await;
    pop.say("QUIT", "+OK").await;
    let responses = phone.imap("NOOP", "OK").await;
    assert!(find(&responses, "* 1 EXPUNGE").is_some(), "IMAP was not told");

    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_nobody_comes_back() {
    let world = World::new().await;
    let b = world.b().await;
    let a = world.a(&b).await;
    let mut alice = imap(&a, &world.tls, "mail.a.test", "alice@a.test", "wonderland").await;

    let sent = submit(&a, &world.tls, &["nobody@b.test"], MESSAGE);
    idle_until(&mut alice, 1, sent).await;
    let bounce = newest(&mut alice).await;
    let report = dsn::Report::parse(&Index::of(&bounce), &bounce).expect("a delivery status notification");
    let text = String::from_utf8_lossy(&bounce);
    assert!(
        text.starts_with("Return-Path: <>\r\n"),
        "a bounce has no sender: {text}"
    );
    assert_eq!(report.recipients.len(), 1, "{report:?}");
    let failed = &report.recipients[0];
    assert_eq!(failed.action, dsn::Action::Failed);
    assert!(text.contains("nobody@b.test") && text.contains("550"), "{text}");
    assert!(text.contains("journey@a.test"), "it tells which message: {text}");

    // A domain that does not exist is told in the same way.
    let sent = submit(&a, &world.tls, &["bob@nowhere.test"], MESSAGE);
    idle_until(&mut alice, 2, sent).await;
    let bounce = newest(&mut alice).await;
    assert!(String::from_utf8_lossy(&bounce).contains("nowhere.test"));
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_gets_its_mail_on_retry() {
    let world = World::new().await;
    let b = world.b().await;
    let a = world.a(&b).await;
    let away = b.pause().await;
    submit(&a, &world.tls, &["bob@b.test"], MESSAGE).await;
    // Long enough for a first try to fail.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let b = away.resume().await;
    let mut bob = imap(&b, &world.tls, "mail.b.test", "bob@b.test", "builder").await;
    first_to_arrive(&mut bob).await;
    assert!(newest(&mut bob).await.ends_with(MESSAGE.as_bytes()));
    a.stop().await;
    b.stop().await;

    // The queue outlives its server as well.
    let b = world.b().await;
    let a = world.a(&b).await;
    let away = b.pause().await;
    submit(&a, &world.tls, &["bob@b.test"], MESSAGE).await;
    let stopped = a.pause().await;
    let b = away.resume().await;
    let a = stopped.resume().await;
    let mut bob = imap(&b, &world.tls, "mail.b.test", "bob@b.test", "builder").await;
    first_to_arrive(&mut bob).await;
    assert!(newest(&mut bob).await.ends_with(MESSAGE.as_bytes()));
    a.stop().await;
    b.stop().await;
}
