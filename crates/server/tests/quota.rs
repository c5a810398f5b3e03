//! Quotas: mail that has no room is refused by whatever way it comes, and who administers sets how much there is.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use mailwright_server::accounts::{AccountsFile, set_password};
use mailwright_server::config::{AccountEntry, ListenerConfig, OverQuota, Protocol, Quota};
use support::imap::{Site, append, one};
use support::lines::Lines;

async fn smtp(site: &Site, listener: &str) -> Lines {
    let mut client = Lines::connect(site.running.address(listener).unwrap()).await;
    client.reply("220").await;
    let hello = if listener == "lmtp" { "LHLO" } else { "EHLO" };
    client.say(&format!("{hello} client.test"), "250").await;
    client
}

fn with_smtp(config: &mut mailwright_server::Config) {
    let listener = ListenerConfig::new(Protocol::Smtp, "127.0.0.1:0".parse().unwrap());
    config.listeners.push(listener.with_name("smtp"));
}

/// The octets of mail that an account has, in whole KiB.
async fn messages(site: &Site, name: &str) -> u32 {
    let mut client = site.login(name).await;
    let status = one(&client.imap("STATUS INBOX (MESSAGES)", "OK").await, "* STATUS");
    let count = status.split("MESSAGES ").nth(1).unwrap().trim_end_matches(')');
    count.parse().unwrap()
}

const MAIL: &str = "MAIL FROM:<x@elsewhere.test>";

#[tokio::test]
async fn a_full_mailbox_takes_no_mail_from_outside() {
    for (over_quota, code) in [(OverQuota::Later, "452 4.2.2"), (OverQuota::Never, "552 5.2.2")] {
        let site = Site::start(|config| {
            config.delivery.quota_warnings = false;
            with_smtp(config);
            config.limits.over_quota = over_quota;
            config.accounts[0].quota = Some(Quota::new(Some(10_000), Some(3)));
        })
        .await;
        let mut client = smtp(&site, "smtp").await;
        // What is known to be too much is refused before it comes.
        client.say(&format!("{MAIL} SIZE=20000"), "250").await;
        client.say("RCPT TO:<alice@a.test>", code).await;
        client.say("RCPT TO:<bob@a.test>", "250").await;
        client.say("RSET", "250").await;
        // What turns out to be too much, when it has come; the text is not declared.
        client.say(MAIL, "250").await;
        client.say("RCPT TO:<alice@a.test>", "250").await;
        client.say("DATA", "354").await;
        let long = "x".repeat(70) + "\r\n";
        let long = format!("Subject: long\r\n\r\n{}.", long.repeat(200));
        client.say(&long, code).await;
        assert_eq!(messages(&site, "alice").await, 0);
        // With others, who have room, it may fill the mailbox: they cannot have it without.
        client.say(MAIL, "250").await;
        for name in ["alice", "bob"] {
            client.say(&format!("RCPT TO:<{name}@a.test>"), "250").await;
        }
        client.say("DATA", "354").await;
        client.say(&long, "250").await;
        assert_eq!(
            (messages(&site, "alice").await, messages(&site, "bob").await),
            (1, 1)
        );
        // After that there is no room for anything.
        client.say(MAIL, "250").await;
        client.say("RCPT TO:<alice@a.test>", code).await;
        client.say("RCPT TO:<bob@a.test>", "250").await;
        site.stop().await;
    }
}

#[tokio::test]
async fn lmtp_tells_each_recipient_whether_there_was_room() {
    let site = Site::start(|config| {
        config.delivery.quota_warnings = false;
        config.accounts[0].quota = Some(Quota::new(Some(1000), None));
        config.accounts[1].quota = Some(Quota::new(None, Some(1)));
    })
    .await;
    site.deliver("bob", "Subject: first\r\n\r\nx").await;
    let mut client = smtp(&site, "lmtp").await;
    client.say(MAIL, "250").await;
    client.say("RCPT TO:<alice@a.test>", "250").await;
    client.say("RCPT TO:<bob@a.test>", "452 4.2.2").await;
    client.say("RCPT TO:<carol@a.test>", "250").await;
    client.say("DATA", "354").await;
    client
        .send(&format!("Subject: x\r\n\r\n{}\r\n.", "y".repeat(900)))
        .await;
    client.reply("452 4.2.2").await;
    client.reply("250").await;
    assert_eq!(
        (messages(&site, "alice").await, messages(&site, "carol").await),
        (0, 1)
    );
    site.stop().await;
}

#[tokio::test]
async fn who_administers_sets_quotas() {
    let site = Site::start(|config| {
        config.delivery.quota_warnings = false;
        config.accounts[0].admin = true;
        let mut dave = AccountEntry::new("dave@a.test".parse().unwrap());
        set_password(&mut dave, &"secret".into());
        let mut file = AccountsFile::open(&config.accounts_file).unwrap();
        file.put(dave);
        file.save().unwrap();
    })
    .await;
    let (mut alice, mut dave) = (site.login("alice").await, site.login("dave").await);
    let capabilities = one(&alice.imap("CAPABILITY", "OK").await, "* CAPABILITY");
    assert!(capabilities.contains(" QUOTASET"), "{capabilities}");
    dave.imap("SETQUOTA dave@a.test (STORAGE 1000000)", "NO [NOPERM]")
        .await;
    dave.imap("GETQUOTA alice@a.test", "NO [NONEXISTENT]").await;
    let told = alice
        .imap("SETQUOTA dave@a.test (STORAGE 20 MESSAGE 2)", "OK")
        .await;
    assert_eq!(
        one(&told, "* QUOTA"),
        "* QUOTA dave@a.test (STORAGE 0 20 MESSAGE 0 2)"
    );
    // It counts at once, in sessions that were there before.
    append(&mut dave, "INBOX", "Subject: x\r\n\r\nx\r\n").await;
    append(&mut dave, "INBOX", "Subject: x\r\n\r\nx\r\n").await;
    dave.imap("APPEND INBOX {1+}\r\nx", "NO [OVERQUOTA]").await;
    let told = alice.imap("GETQUOTA dave@a.test", "OK").await;
    assert_eq!(
        one(&told, "* QUOTA"),
        "* QUOTA dave@a.test (STORAGE 1 20 MESSAGE 2 2)"
    );
    // What is not listed is lifted.
    let told = alice.imap("SETQUOTA dave@a.test (STORAGE 30)", "OK").await;
    assert_eq!(one(&told, "* QUOTA"), "* QUOTA dave@a.test (STORAGE 1 30)");
    append(&mut dave, "INBOX", "Subject: x\r\n\r\nx\r\n").await;
    alice.imap("SETQUOTA dave@a.test ()", "OK").await;
    alice
        .imap("SETQUOTA nobody@a.test (STORAGE 30)", "NO [NONEXISTENT]")
        .await;
    // What stands in the configuration is for its author to change.
    alice
        .imap("SETQUOTA bob@a.test (STORAGE 30)", "NO [CANNOT]")
        .await;
    site.stop().await;
}
