//! Crash truth: the server is killed with SIGKILL at random moments under load, fifty rounds; every message that got
//! its 250 is there afterwards, byte for byte.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::lines::Lines;
use support::process::Process;

const ROUNDS: usize = 50;
const SENDERS: usize = 8;

/// The body of a message: repeatable from its name, of very different sizes, some too large for a database row.
fn body(name: &str) -> String {
    let seed: u64 = name
        .bytes()
        .fold(7, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    let lines = match seed % 10 {
        0 => 4000,
        1 | 2 => 100,
        _ => seed % 12 + 1,
    };
    let mut text = format!("Subject: {name}\r\n\r\n");
    for line in 0..lines {
        text.push_str(&format!(
            "{name} line {line} {:x}\r\n",
            seed.wrapping_mul(line + 1)
        ));
    }
    text
}

/// Sends messages until the server is gone; notes each one that got its 250.
async fn sender(server: std::net::SocketAddr, name: String, acknowledged: Arc<Mutex<Vec<String>>>) {
    let Some(mut peer) = Lines::try_connect(server).await else {
        return;
    };
    if peer.try_reply("220").await.is_none() || peer.try_say("EHLO load.example", "250").await.is_none() {
        return;
    }
    for n in 0.. {
        let name = format!("{name}-{n}");
        let message = format!("{}.\r\n", body(&name));
        for (command, reply) in [
            ("MAIL FROM:<load@c.example>", "250"),
            ("RCPT TO:<bob@localhost>", "250"),
            ("DATA", "354"),
        ] {
            if peer.try_say(command, reply).await.is_none() {
                return;
            }
        }
        peer.try_send_raw(message.as_bytes()).await;
        if peer.try_reply("250").await.is_none() {
            return;
        }
        acknowledged.lock().expect("no sender panicked").push(name);
    }
}

/// All messages of Bob's INBOX, by subject.
async fn stored(imap: std::net::SocketAddr) -> BTreeMap<String, Vec<u8>> {
    let mut bob = Lines::connect(imap).await;
    bob.line().await.expect("a greeting");
    bob.imap("LOGIN bob@localhost builder", "OK").await;
    let selected = bob.imap("SELECT INBOX", "OK").await;
    let exists = selected.iter().find_map(|l| {
        std::str::from_utf8(l)
            .ok()?
            .strip_prefix("* ")?
            .strip_suffix(" EXISTS")?
            .parse::<u32>()
            .ok()
    });
    let mut found = BTreeMap::new();
    if exists == Some(0) {
        return found;
    }
    let responses = bob.imap("FETCH 1:* BODY.PEEK[]", "OK").await;
    for response in &responses[..responses.len() - 1] {
        let start = response
            .windows(3)
            .position(|w| w == b"}\r\n")
            .expect("a literal")
            + 3;
        let message = response[start..].strip_suffix(b")").expect("the end of FETCH");
        let at = message
            .windows(9)
            .position(|w| w == b"Subject: ")
            .expect("a subject");
        let name = message[at + 9..].split(|b| *b == b'\r').next().expect("a line");
        found.insert(
            String::from_utf8(name.to_vec()).expect("ASCII"),
            message[at..].to_vec(),
        );
    }
    bob.imap("LOGOUT", "OK").await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all: Vec<String> = vec![];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..ROUNDS {
        let mut server = Process::start(folder.path(), true).await;
        let acknowledged = Arc::new(Mutex::new(vec![]));
        let senders: Vec<_> = (0..SENDERS)
            .map(|s| {
                tokio::spawn(sender(
                    server.address("smtp"),
                    format!("r{round}s{s}"),
                    acknowledged.clone(),
                ))
            })
            .collect();
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        tokio::time::sleep(Duration::from_millis(30 + seed % 270)).await;
        server.kill_9().await;
        for task in senders {
            task.await.expect("a sender does not panic");
        }
        all.append(&mut acknowledged.lock().expect("no sender panicked"));
        // Looking at everything takes time; the rounds between are looked at with the next ones.
        if round % 10 == 9 {
            let mut server = Process::start(folder.path(), true).await;
            let stored = stored(server.address("imap")).await;
            for name in &all {
                let message = stored
                    .get(name)
                    .unwrap_or_else(|| panic!("round {round}: {name} got its 250 and is lost"));
                assert_eq!(
                    message,
                    body(name).as_bytes(),
                    "round {round}: {name} has changed"
                );
            }
            server.kill_9().await;
        }
    }
    println!(
        "{} messages were acknowledged in {ROUNDS} rounds, and all are there",
        all.len()
    );
    assert!(
        all.len() > 10 * ROUNDS,
        "only {} messages in {ROUNDS} rounds: there was no load",
        all.len()
    );
}
