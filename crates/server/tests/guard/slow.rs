//! Clients that send an octet now and then.

use crate::support::lines::{Lines, Tls};
use crate::support::site::Site;
use std::time::Duration;

/// Sends an octet now and then until the server has had enough, and returns what it said.
async fn trickles(mut peer: Lines, octets: &'static [u8]) -> String {
    let talk = async {
        let mut sent = octets.iter().cycle();
        loop {
            tokio::select! {
                line = peer.line() => return line,
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            peer.try_send_raw(&[*sent.next().expect("it goes on for ever")])
                .await;
        }
    };
    // A minute is long enough on any machine: the limits are a second.
    let said = tokio::time::timeout(Duration::from_secs(60), talk).await;
    let said = said.expect("it was held for a minute").unwrap_or_default();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn octets_now_and_then_hold_no_session() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = Site::called("mail.b.test", "127.0.0.1", &tls)
        .account("bob@b.test", "builder")
        .adjust(|config| {
            config.limits.smtp_timeout = Duration::from_secs(1);
            config.limits.login_timeout = Duration::from_secs(1);
            config.limits.smtp_least_rate = 1000;
        })
        .start()
        .await;
    let connect = async |listener| {
        let mut peer = Lines::connect(site.address(listener)).await;
        peer.line().await.expect("a greeting");
        peer
    };
    let mut body = connect("smtp").await;
    for (command, reply) in [
        ("EHLO c.example", "250"),
        ("MAIL FROM:<c@c.example>", "250"),
        ("RCPT TO:<bob@b.test>", "250"),
        ("DATA", "354"),
    ] {
        body.say(command, reply).await;
    }
    let (command, body, imap, pop3) = tokio::join!(
        trickles(connect("smtp").await, b"x"),
        trickles(body, b"x\r\n"),
        trickles(connect("imap").await, b"x"),
        trickles(connect("pop3").await, b"x"),
    );
    assert!(command.starts_with("421 "), "{command}");
    assert!(body.starts_with("421 "), "{body}");
    assert!(imap.starts_with("* BYE"), "{imap}");
    // POP3 may close without a word (RFC 1939 §3).
    assert!(pop3.is_empty() || pop3.starts_with("-ERR"), "{pop3}");
    site.stop().await;
}

/// Some hundreds at once; `benches/hostile_clients.py` has the full number.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_takes_all_it_may_is_alone_turned_away() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = Site::called("mail.b.test", "127.0.0.1", &tls)
        .account("bob@b.test", "builder")
        .adjust(|config| config.limits.connections_per_address = 100)
        .start()
        .await;
    let mut held = vec![];
    for n in 0..300 {
        let mut peer = Lines::connect_from([127, 0, 0, 9], site.address("imap")).await;
        let said = String::from_utf8_lossy(&peer.line().await.expect("a word")).into_owned();
        let expected = if n < 100 { "* OK" } else { "* BYE [UNAVAILABLE]" };
        assert!(said.starts_with(expected), "connection {n}: {said}");
        held.push(peer);
    }
    let mut bob = Lines::connect_tls(site.address("imaps"), &tls, "mail.b.test").await;
    bob.line().await.expect("a greeting");
    bob.imap("LOGIN bob@b.test builder", "OK").await;
    bob.imap("SELECT INBOX", "OK").await;
    site.stop().await;
}
