//! Replies of who is away, by a server.

use crate::sink::{Script, Sink};
use crate::site::{Site, field, route_to};
use mailwright_server::config::Vacation;

fn message(to: &str) -> String {
    format!(
        "From: Bob <bob@b.test>\r\nTo: {to}\r\nSubject: Lunch\r\nMessage-ID: <1@b.test>\r\n\r\nToday?\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_told_once() {
    let sink = Sink::start(Script::takes_all()).await;
    let site = Site::start(|config| {
        route_to(config, "b.test", &sink);
        config
            .aliases
            .insert("al@a.test".into(), vec!["alice@a.test".parse().unwrap()]);
    })
    .await;
    site.set("alice@a.test", |entry| {
        entry.vacation = Some(Vacation::new("I am away.\n"));
    });
    for to in ["alice@a.test", "al@a.test", "alice+x@a.test"] {
        site.send("bob@b.test", &[to], &message(to)).await;
    }
    // Not addressed, a list, nobody; and bob here, who is another.
    site.send("eve@b.test", &["alice@a.test"], &message("everybody@b.test"))
        .await;
    let by_list = format!("List-Id: <x.b.test>\r\n{}", message("alice@a.test"));
    site.send("dan@b.test", &["alice@a.test"], &by_list).await;
    site.send("", &["alice@a.test"], &message("alice@a.test")).await;
    site.send("bob@a.test", &["alice@a.test"], &message("alice@a.test"))
        .await;
    site.inbox("alice@a.test", 7).await;
    let bobs = site.inbox("bob@a.test", 1).await;
    assert_eq!(field(&bobs[0], "Return-Path"), "<>");
    site.settled().await;
    let told = sink.messages(1).await;
    assert_eq!(told[0].recipients[0].split(' ').next(), Some("<bob@b.test>"));
    assert!(told[0].mail.starts_with("<>"), "{}", told[0].mail);
    let reply = String::from_utf8(told[0].body.clone()).unwrap();
    assert_eq!(field(&reply, "Subject"), "Auto: Lunch");
    assert_eq!(field(&reply, "From"), "alice@a.test");
    assert_eq!(field(&reply, "Auto-Submitted"), "auto-replied");
    assert_eq!(field(&reply, "In-Reply-To"), "<1@b.test>");
    // Clients do not see what is remembered, nor write it.
    let mut imap = site.login("alice@a.test").await;
    let entry = "/private/vendor/vendor.mailwright/vacation";
    let seen = imap.imap(&format!("GETMETADATA \"\" ({entry})"), "OK").await;
    assert!(
        !seen
            .iter()
            .any(|line| line.starts_with(b"* METADATA \"\" (/private/vendor/vendor.mailwright/vacation \"")),
        "{seen:?}"
    );
    imap.imap(&format!("SETMETADATA \"\" ({entry} \"x\")"), "NO [NOPERM]")
        .await;

    // It is remembered over a restart, and forgotten when something else is said.
    let site = site.restart().await;
    site.send("bob@b.test", &["alice@a.test"], &message("alice@a.test"))
        .await;
    site.inbox("alice@a.test", 8).await;
    site.settled().await;
    assert_eq!(sink.taken().len(), 1);
    site.set("alice@a.test", |entry| {
        entry.vacation = Some(Vacation::new("Back on Monday.\n"));
    });
    site.send("bob@b.test", &["alice@a.test"], &message("alice@a.test"))
        .await;
    let told = sink.messages(2).await;
    assert!(told[1].body.ends_with(b"Back on Monday.\r\n"));
    site.set("alice@a.test", |entry| entry.vacation = None);
    site.send("frank@b.test", &["alice@a.test"], &message("alice@a.test"))
        .await;
    site.inbox("alice@a.test", 10).await;
    site.settled().await;
    assert_eq!(sink.taken().len(), 2);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_at_once_are_all_told_and_remembered() {
    let sink = Sink::start(Script::takes_all()).await;
    let site = Site::start(|config| route_to(config, "b.test", &sink)).await;
    site.set("alice@a.test", |entry| {
        entry.vacation = Some(Vacation::new("I am away.\n"));
    });
    for _ in 0..2 {
        let text = message("alice@a.test");
        let names: Vec<_> = (0..12).map(|n| format!("u{}@b.test", n % 6)).collect();
        let [a, b, c, d, e, f, g, h, i, j, k, l] = &names[..] else {
            panic!("twelve")
        };
        tokio::join!(
            site.send(a, &["alice@a.test"], &text),
            site.send(b, &["alice@a.test"], &text),
            site.send(c, &["alice@a.test"], &text),
            site.send(d, &["alice@a.test"], &text),
            site.send(e, &["alice@a.test"], &text),
            site.send(f, &["alice@a.test"], &text),
            site.send(g, &["alice@a.test"], &text),
            site.send(h, &["alice@a.test"], &text),
            site.send(i, &["alice@a.test"], &text),
            site.send(j, &["alice@a.test"], &text),
            site.send(k, &["alice@a.test"], &text),
            site.send(l, &["alice@a.test"], &text),
        );
        site.settled().await;
        let mut told: Vec<_> = sink
            .taken()
            .into_iter()
            .flat_map(|taken| taken.recipients)
            .collect();
        told.iter_mut()
            .for_each(|to| to.truncate(to.find('>').unwrap() + 1));
        told.sort();
        let want: Vec<_> = (0..6).map(|n| format!("<u{n}@b.test>")).collect();
        assert_eq!(told, want);
    }
    site.stop().await;
}
