//! `.SILENT`: a client that computes flags itself ends with those that the messages have, whatever others do.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use support::imap::{Site, append, one};
use support::lines::{Lines, find};

#[tokio::test]
async fn flags_that_others_set_are_told_although_the_answer_is_silent() {
    let site = Site::start(|_| {}).await;
    for enable in ["NOOP", "ENABLE CONDSTORE"] {
        let (mut laptop, mut phone) = (site.login("alice").await, site.login("alice").await);
        append(&mut laptop, "INBOX", "Subject: x\r\n\r\nx\r\n").await;
        for client in [&mut laptop, &mut phone] {
            client.imap(enable, "OK").await;
            client.imap("SELECT INBOX", "OK").await;
        }
        laptop.imap("UID STORE *:* FLAGS.SILENT ()", "OK").await;
        phone.imap("NOOP", "OK").await;
        // The phone adds a flag in silence, and does not know yet what the laptop did.
        laptop.imap("STORE *:* +FLAGS.SILENT (\\Flagged)", "OK").await;
        let said = phone.imap("STORE *:* +FLAGS.SILENT (\\Answered)", "OK").await;
        let row = one(&said, "FLAGS (");
        assert!(row.contains("\\Flagged") && row.contains("\\Answered"), "{row}");
        assert!(find(&phone.imap("NOOP", "OK").await, "FETCH").is_none());
        // What it has done alone stays unsaid.
        let said = phone.imap("STORE *:* -FLAGS.SILENT (\\Answered)", "OK").await;
        assert!(find(&said, "FLAGS (").is_none(), "{said:?}");
    }
    site.stop().await;
}

/// What a client takes the flags of the only message for.
async fn silently(client: &mut Lines, known: &mut BTreeSet<String>, add: bool, flag: &str) {
    let sign = if add { '+' } else { '-' };
    let said = client
        .imap(&format!("STORE 1 {sign}FLAGS.SILENT ({flag})"), "OK")
        .await;
    match add {
        true => known.insert(flag.to_owned()),
        false => known.remove(flag),
    };
    hear(&said, known);
}

fn hear(said: &[Vec<u8>], known: &mut BTreeSet<String>) {
    for line in said {
        let line = String::from_utf8_lossy(line);
        if let Some((_, rest)) = line.split_once("FLAGS (")
            && line.starts_with("* 1 FETCH")
        {
            let flags = rest.split(')').next().unwrap().split_whitespace();
            *known = flags
                .filter(|flag| *flag != "\\Recent")
                .map(str::to_owned)
                .collect();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_set_flags_at_once_agree_in_the_end() {
    let site = Site::start(|_| {}).await;
    append(&mut site.login("alice").await, "INBOX", "Subject: x\r\n\r\nx\r\n").await;
    let mut sessions = Vec::new();
    for n in 0..4 {
        let mut client = site.login("alice").await;
        if n % 2 == 0 {
            client.imap("ENABLE CONDSTORE", "OK").await;
        }
        client.imap("SELECT INBOX", "OK").await;
        sessions.push(tokio::spawn(async move {
            let mut known = BTreeSet::new();
            for round in 0..60 {
                let flag = format!("k{n}x{}", round % 3);
                silently(&mut client, &mut known, round % 6 < 3, &flag).await;
            }
            (client, known)
        }));
    }
    let mut ends = Vec::new();
    for session in sessions {
        ends.push(session.await.unwrap());
    }
    for (client, known) in &mut ends {
        hear(&client.imap("NOOP", "OK").await, known);
        let computed = known.clone();
        hear(&client.imap("FETCH 1 (FLAGS)", "OK").await, known);
        assert_eq!(computed, *known);
    }
    site.stop().await;
}
