//! Hostile input over real sockets: answered, bounded and harmless. After each attack an honest client is served.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use std::time::{Duration, Instant};
use support::lines::{Lines, Tls};
use support::site::Site;

async fn site(tls: &Tls) -> Site {
    Site::called("mail.b.test", "127.0.0.1", tls)
        .account("bob@b.test", "builder")
        .start()
        .await
}

/// Takes a whole session with each protocol: what an attack must not disturb.
async fn is_served(site: &Site, tls: &Tls) {
    let mut smtp = Lines::connect(site.address("smtp")).await;
    smtp.reply("220").await;
    smtp.say("EHLO carol.example", "250").await;
    smtp.say("MAIL FROM:<carol@c.example>", "250").await;
    smtp.say("RCPT TO:<bob@b.test>", "250").await;
    smtp.say("DATA", "354").await;
    smtp.say("Subject: honest\r\n\r\nhi\r\n.", "250").await;
    smtp.say("QUIT", "221").await;
    let mut imap = Lines::connect_tls(site.address("imaps"), tls, "mail.b.test").await;
    imap.line().await.expect("a greeting");
    imap.imap("LOGIN bob@b.test builder", "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    imap.imap("LOGOUT", "OK").await;
    let mut pop = Lines::connect_tls(site.address("pop3s"), tls, "mail.b.test").await;
    pop.reply("+OK").await;
    pop.say("USER bob@b.test", "+OK").await;
    pop.say("PASS builder", "+OK").await;
    pop.say("QUIT", "+OK").await;
}

/// Sends `attack` to a fresh connection, half-closes nothing, and returns all that comes back until the server is
/// done with us or has answered `QUIT`.
async fn attack(site: &Site, listener: &str, attack: &[u8], goodbye: &str) -> String {
    let mut peer = Lines::connect(site.address(listener)).await;
    peer.line().await.expect("a greeting");
    // The server may close while it is still being talked to.
    peer.try_send_raw(attack).await;
    peer.try_send_raw(goodbye.as_bytes()).await;
    String::from_utf8_lossy(&peer.rest().await).into_owned()
}

const SMTP_BYE: &str = "\r\nQUIT\r\n";
const IMAP_BYE: &str = "\r\nbye LOGOUT\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn long_lines_and_strange_octets_are_refused() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls).await;
    let long = vec![b'x'; 10 << 20];
    let answer = attack(&site, "smtp", &long, SMTP_BYE).await;
    assert!(
        answer.starts_with("500 ") || answer.starts_with("421 "),
        "{answer:.200}"
    );
    let answer = attack(&site, "imap", &long, IMAP_BYE).await;
    assert!(answer.contains("BAD") || answer.contains("BYE"), "{answer:.200}");
    let answer = attack(&site, "pop3", &long, SMTP_BYE).await;
    assert!(answer.starts_with("-ERR"), "{answer:.200}");

    let answer = attack(
        &site,
        "smtp",
        b"MAIL FROM:<a\0b@c.example>\r\nNO\0OP\r\nNOOP\nNOOP",
        SMTP_BYE,
    )
    .await;
    assert_eq!(
        answer.lines().filter(|l| l.starts_with("50")).count(),
        3,
        "{answer}"
    );
    let answer = attack(
        &site,
        "imap",
        b"a NO\0OP\r\nb \xff\xfe\r\n\0\0\0\r\n* * *",
        IMAP_BYE,
    )
    .await;
    assert!(answer.matches("BAD").count() >= 3, "{answer}");
    let answer = attack(&site, "pop3", b"US\0ER bob\r\nUSER \xff\0\r\n\r\n", SMTP_BYE).await;
    assert!(answer.matches("-ERR").count() >= 2, "{answer}");
    is_served(&site, &tls).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn literals_and_nesting_do_not_grow() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls).await;
    for literal in [
        "{4294967296}",
        "{4294967296+}",
        "{99999999999999999999999999}",
        "{18446744073709551615+}",
        "{-1}",
    ] {
        let answer = attack(
            &site,
            "imap",
            format!("a LOGIN {literal}\r\n").as_bytes(),
            IMAP_BYE,
        )
        .await;
        assert!(
            answer.contains("BAD") || answer.contains("NO") || answer.contains("BYE"),
            "{literal}: {answer}"
        );
        assert!(!answer.starts_with('+'), "{literal} was asked for: {answer}");
    }
    let nested = format!("a SEARCH {}", "(".repeat(100_000));
    let answer = attack(&site, "imap", nested.as_bytes(), IMAP_BYE).await;
    assert!(answer.contains("BAD") || answer.contains("BYE"), "{answer:.200}");

    // The same behind a login, where more is allowed.
    let mut imap = Lines::connect_tls(site.address("imaps"), &tls, "mail.b.test").await;
    imap.line().await.expect("a greeting");
    imap.imap("LOGIN bob@b.test builder", "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    let deep = format!("SEARCH {}ALL{}", "(".repeat(20_000), ")".repeat(20_000));
    imap.imap(&deep, "BAD").await;
    let nots = format!("SEARCH {}ALL", "NOT ".repeat(10_000));
    imap.imap(&nots, "BAD").await;
    imap.imap("UID FETCH 1:4294967295,1:*,*:1 FLAGS", "OK").await;
    imap.imap(&format!("FETCH {} FLAGS", vec!["1:*"; 2000].join(",")), "")
        .await;
    for literal in ["{4294967296}", "{99999999999999999999999999}"] {
        imap.imap(&format!("APPEND INBOX {literal}"), "").await;
    }
    imap.imap("NOOP", "OK").await;
    is_served(&site, &tls).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_behind_starttls_are_dropped() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls).await;
    let attacks = [
        (
            "submission",
            "EHLO c.example",
            "STARTTLS\r\nEHLO evil\r\nNOOP\r\n",
            "220",
            "NOOP",
            "250",
        ),
        (
            "smtp",
            "EHLO c.example",
            "STARTTLS\r\nMAIL FROM:<evil@c.example>\r\n",
            "220",
            "RCPT TO:<bob@b.test>",
            "503",
        ),
        (
            "pop3",
            "CAPA",
            "STLS\r\nUSER evil\r\n",
            "+OK",
            "PASS builder",
            "-ERR",
        ),
    ];
    for (listener, hello, injected, go, probe, answer) in attacks {
        let mut peer = Lines::connect(site.address(listener)).await;
        peer.line().await.expect("a greeting");
        peer.send(hello).await;
        let end = if listener == "pop3" { "." } else { "250 " };
        while !peer.line().await.expect("an answer").starts_with(end.as_bytes()) {}
        peer.send_raw(injected.as_bytes()).await;
        peer.reply(go).await;
        let mut peer = peer.start_tls(&tls, "mail.b.test").await;
        // Were the injected command executed, its answer would come first.
        peer.say(probe, answer).await;
    }
    let mut imap = Lines::connect(site.address("imap")).await;
    imap.line().await.expect("a greeting");
    imap.send_raw(b"a STARTTLS\r\nb NOOP\r\nc LOGIN bob@b.test builder\r\n")
        .await;
    assert!(imap.line().await.expect("an answer").starts_with(b"a OK"));
    let mut imap = imap.start_tls(&tls, "mail.b.test").await;
    let responses = imap.imap("CAPABILITY", "OK").await;
    assert_eq!(responses.len(), 2, "only CAPABILITY was answered: {responses:?}");
    imap.imap("SELECT INBOX", "").await;
    is_served(&site, &tls).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_crlf_dot_crlf_ends_a_message() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls).await;
    let fakes: [&[u8]; 9] = [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r\r\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\n.\r",
    ];
    for fake in fakes {
        let mut peer = Lines::connect(site.address("smtp")).await;
        peer.reply("220").await;
        for (command, reply) in [
            ("EHLO c.example", "250"),
            ("MAIL FROM:<c@c.example>", "250"),
            ("RCPT TO:<bob@b.test>", "250"),
            ("DATA", "354"),
        ] {
            peer.say(command, reply).await;
        }
        peer.send_raw(&[b"Subject: outer\r\n\r\nfirst", fake].concat())
            .await;
        peer.send_raw(
            b"MAIL FROM:<evil@c.example>\r\nRCPT TO:<bob@b.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx",
        )
        .await;
        // The one true end: whatever the answer, it is one answer to one message.
        peer.send_raw(b"\r\n.\r\n").await;
        let answer = String::from_utf8_lossy(&peer.line().await.expect("an answer")).into_owned();
        assert!(
            answer.starts_with("250 ") || answer.starts_with('5'),
            "{}: {answer}",
            fake.escape_ascii()
        );
        peer.say("NOOP", "250").await;
        peer.say("QUIT", "221").await;
    }
    let mut imap = Lines::connect_tls(site.address("imaps"), &tls, "mail.b.test").await;
    imap.line().await.expect("a greeting");
    imap.imap("LOGIN bob@b.test builder", "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    let found = imap.imap("SEARCH SUBJECT smuggled", "OK").await;
    assert_eq!(found[0], b"* SEARCH", "a second message was smuggled in");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_at_once() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls).await;
    let mut peers = vec![];
    for n in 0..1000 {
        let listener = ["smtp", "imap", "pop3"][n % 3];
        // Spread over some addresses of the loopback network, as a flood would come from many places.
        let mut peer = Lines::connect_from([127, 0, 1, (n % 8) as u8 + 1], site.address(listener)).await;
        assert!(peer.line().await.is_some(), "connection {n} was not greeted");
        peers.push(peer);
    }
    is_served(&site, &tls).await;
    for (n, peer) in peers.iter_mut().enumerate() {
        match n % 3 {
            0 => drop(peer.say("NOOP", "250").await),
            1 => drop(peer.imap("NOOP", "OK").await),
            _ => drop(peer.say("CAPA", "+OK").await),
        }
    }
    drop(peers);
    is_served(&site, &tls).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_hold_nobody_up() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls).await;
    let address = site.address("smtp");
    let slow: Vec<_> = (0..100)
        .map(|_| {
            tokio::spawn(async move {
                let mut peer = Lines::connect(address).await;
                peer.reply("220").await;
                for octet in b"EHLO slow.example and on it goes" {
                    peer.try_send_raw(&[*octet]).await;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            })
        })
        .collect();
    let end = Instant::now() + Duration::from_secs(5);
    let mut sessions = 0;
    while Instant::now() < end {
        let started = Instant::now();
        is_served(&site, &tls).await;
        sessions += 1;
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "an honest client was held up"
        );
    }
    assert!(sessions > 0);
    for task in slow {
        task.abort();
    }
    site.stop().await;
}
