//! Warnings that a mailbox becomes full.

use crate::site::{Site, field};
use mailwright_server::config::Quota;

async fn fill(site: &Site, messages: usize) {
    for _ in 0..messages {
        site.send("x@b.test", &["alice@a.test"], "Subject: x\r\n\r\nx\r\n")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_is_told_once_until_there_is_room_again() {
    let site = Site::start(|_| {}).await;
    site.set("alice@a.test", |entry| {
        entry.quota = Some(Quota::new(None, Some(20)));
    });
    fill(&site, 15).await;
    site.inbox("alice@a.test", 15).await;
    fill(&site, 1).await;
    let mail = site.inbox("alice@a.test", 17).await;
    let warning = &mail[16];
    assert_eq!(field(warning, "Subject"), "Your mailbox is 80 % full");
    assert_eq!(field(warning, "Auto-Submitted"), "auto-generated");
    assert_eq!(field(warning, "To"), "alice@a.test");
    assert!(
        warning.contains("16 of 20 messages") && warning.contains("Trash"),
        "{warning}"
    );
    // The warning itself counts; the next message makes 90 %, which is no level.
    fill(&site, 1).await;
    site.inbox("alice@a.test", 18).await;
    fill(&site, 1).await;
    let mail = site.inbox("alice@a.test", 20).await;
    assert_eq!(field(&mail[19], "Subject"), "Your mailbox is 95 % full");
    // A restart forgets nothing.
    let site = site.restart().await;
    let mut imap = site.login("alice@a.test").await;
    imap.imap("SELECT INBOX", "OK").await;
    imap.imap("STORE 1:8 +FLAGS.SILENT (\\Deleted)", "OK").await;
    imap.imap("EXPUNGE", "OK").await;
    // What comes is the moment at which it is seen that there was room.
    fill(&site, 1).await;
    site.inbox("alice@a.test", 13).await;
    site.until_level(None).await;
    fill(&site, 2).await;
    site.inbox("alice@a.test", 15).await;
    fill(&site, 1).await;
    let mail = site.inbox("alice@a.test", 17).await;
    assert_eq!(field(&mail[16], "Subject"), "Your mailbox is 80 % full");
    let told = mail
        .iter()
        .filter(|it| it.contains("Subject: Your mailbox"))
        .count();
    assert_eq!(told, 3);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_imap_counts_and_levels_may_be_jumped() {
    let site = Site::start(|_| {}).await;
    site.set("alice@a.test", |entry| {
        entry.quota = Some(Quota::new(Some(1000), None));
    });
    let mut imap = site.login("alice@a.test").await;
    let text = format!("Subject: x\r\n\r\n{}", "x".repeat(950));
    imap.imap(&format!("APPEND Archive {{{}+}}\r\n{text}", text.len()), "OK")
        .await;
    let mail = site.inbox("alice@a.test", 1).await;
    assert_eq!(field(&mail[0], "Subject"), "Your mailbox is 96 % full");
    // Another account without bounds is told nothing.
    site.inbox("bob@a.test", 0).await;
    site.stop().await;
}
