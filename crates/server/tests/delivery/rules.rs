//! Rules of one's own, in the place where a language for them would be; and Junk.

use crate::sink::{Script, Sink};
use crate::site::{Site, address, route_to};
use mailwright_mailbox::{Flags, MailboxName, SystemFlags};
use mailwright_server::config::Vacation;
use mailwright_server::delivery::{Arrival, Place, Plan, Rules};
use mailwright_server::judge::{Action, Client, Filter, Judging, Ruling};
use mailwright_smtp::{Mail, Rcpt};
use std::sync::Arc;

/// Does what the subject says.
#[derive(Debug)]
struct BySubject;

impl Rules for BySubject {
    fn name(&self) -> &str {
        "by subject"
    }

    fn apply(&self, arrival: &Arrival<'_>, plan: &mut Plan) {
        let header = String::from_utf8_lossy(arrival.header);
        let subject = header.lines().find_map(|line| line.strip_prefix("Subject: "));
        match subject.unwrap_or_default() {
            "file" => {
                plan.place = Some(Place::Folder(MailboxName::parse("Archive").unwrap()));
                let mut flags = Flags::new();
                flags.insert(SystemFlags::FLAGGED);
                plan.flags = flags;
            }
            "drop" => plan.place = None,
            "send" => plan.forward.push(address("carol@a.test")),
            "refuse" if arrival.account.as_str() == "alice@a.test" => {
                plan.reject = Some("I do not\r\nlike it".into());
            }
            _ => {}
        }
    }
}

fn message(subject: &str) -> String {
    format!("From: x@b.test\r\nTo: alice@a.test\r\nSubject: {subject}\r\n\r\nHello\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_file_throw_away_forward_and_refuse() {
    let sink = Sink::start(Script::takes_all()).await;
    let with_rules = |builder: mailwright_server::Builder<_>| builder.rules(Arc::new(BySubject));
    let site = Site::built("a.test", |config| route_to(config, "b.test", &sink), with_rules).await;
    for subject in ["file", "drop", "send", "nothing"] {
        site.send("x@b.test", &["alice@a.test"], &message(subject)).await;
    }
    assert_eq!(site.mail("alice@a.test", "Archive").await.len(), 1);
    let mut imap = site.login("alice@a.test").await;
    imap.imap("EXAMINE Archive", "OK").await;
    let fetched = imap.imap("FETCH 1 (FLAGS)", "OK").await;
    assert!(
        fetched.iter().any(|line| line.ends_with(b"(FLAGS (\\Flagged))")),
        "{fetched:?}"
    );
    let mail = site.inbox("alice@a.test", 2).await;
    assert!(mail[0].contains("Subject: send") && mail[1].contains("Subject: nothing"));
    let carols = site.inbox("carol@a.test", 1).await;
    assert!(carols[0].contains("Delivered-To: alice@a.test"), "{}", carols[0]);

    // The client is told where it is about that account alone.
    let mut client = site.smtp().await;
    site.send_by(
        &mut client,
        "x@b.test",
        &["alice@a.test"],
        &message("refuse"),
        "550 5.7.1 I do not",
    )
    .await;
    // Else the sender is, by a notice, and the others have it.
    site.send_by(
        &mut client,
        "x@b.test",
        &["alice@a.test", "bob@a.test"],
        &message("refuse"),
        "250",
    )
    .await;
    site.inbox("bob@a.test", 1).await;
    let notices = sink.messages(1).await;
    let notice = String::from_utf8(notices[0].body.clone()).unwrap();
    assert!(
        notice.contains("Status: 5.7.1") && notice.contains("alice@a.test"),
        "{notice}"
    );
    site.inbox("alice@a.test", 2).await;
    site.stop().await;
}

/// Puts everything into Junk.
#[derive(Debug)]
struct Suspicious;

impl Filter for Suspicious {
    fn name(&self) -> &str {
        "suspicious"
    }

    fn recipient<'a>(&'a self, _: &'a Client, _: &'a Mail, _: &'a Rcpt) -> Judging<'a> {
        Box::pin(async { Ruling::new(Action::Quarantine) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_not_forwarded_answered_or_sent_to_lists() {
    let sink = Sink::start(Script::takes_all()).await;
    let site = Site::built(
        "a.test",
        |config| {
            route_to(config, "b.test", &sink);
            let mut list = mailwright_server::config::List::new(
                address("team@a.test"),
                address("carol@a.test"),
                [address("bob@a.test")],
            );
            list.post = mailwright_server::config::Posting::Anyone;
            config.delivery.lists.insert("team@a.test".into(), list);
            config.delivery.subaddress_folders = true;
        },
        |builder| builder.filter(Arc::new(Suspicious)),
    )
    .await;
    site.set("alice@a.test", |entry| {
        entry.forward = vec![address("al@b.test")];
        entry.keep_copy = false;
        entry.vacation = Some(Vacation::new("away"));
    });
    site.send("x@b.test", &["alice+x@a.test"], &message("x")).await;
    site.send("x@b.test", &["team@a.test"], &message("x")).await;
    assert_eq!(site.mail("alice@a.test", "Junk").await.len(), 1);
    assert_eq!(site.mail("carol@a.test", "Junk").await.len(), 1);
    site.settled().await;
    assert!(sink.taken().is_empty());
    site.inbox("bob@a.test", 0).await;
    site.inbox("alice@a.test", 0).await;
    site.stop().await;
}
