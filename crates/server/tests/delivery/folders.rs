//! Folders: those that accounts begin with, and those that addresses name.

use crate::site::{Site, account};
use mailwright_mailbox::{Account, MailboxName, SpecialUse, Store};
use mailwright_server::accounts::AccountsFile;
use mailwright_server::config::NewFolder;

const MESSAGE: &str = "From: x@b.test\r\nTo: alice@a.test\r\nSubject: Hello\r\n\r\nHello\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn addresses_name_folders() {
    let site = Site::start(|config| {
        config.delivery.separators = "+-".into();
        config.delivery.subaddress_folders = true;
    })
    .await;
    let mut client = site.login("alice@a.test").await;
    client.imap("CREATE Lists", "OK").await;
    client.imap("CREATE Lists/Rust", "OK").await;
    for (to, folder) in [
        ("alice+lists@a.test", "Lists"),
        ("Alice-LISTS/RUST@a.test", "Lists/Rust"),
        ("alice+nothing@a.test", "INBOX"),
        // What has a use of its own is not for strangers to fill.
        ("alice+trash@a.test", "INBOX"),
        ("alice+sent@a.test", "INBOX"),
        ("alice+@a.test", "INBOX"),
        ("alice+inbox@a.test", "INBOX"),
        ("alice@a.test", "INBOX"),
    ] {
        let before = site.mail("alice@a.test", folder).await.len();
        site.send("x@b.test", &[to], MESSAGE).await;
        assert_eq!(site.mail("alice@a.test", folder).await.len(), before + 1, "{to}");
    }
    // Whoever has the whole as a name is meant.
    let mut file = AccountsFile::open(&site.config.accounts_file).unwrap();
    file.put(account("alice-lists@a.test"));
    file.save().unwrap();
    site.send("x@b.test", &["alice-lists@a.test"], MESSAGE).await;
    site.inbox("alice-lists@a.test", 1).await;
    assert_eq!(site.mail("alice@a.test", "Lists").await.len(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_they_name_none() {
    let site = Site::start(|config| config.delivery.separators = String::new()).await;
    let mut client = site.login("alice@a.test").await;
    client.imap("CREATE lists", "OK").await;
    let mut smtp = site.smtp().await;
    smtp.say("MAIL FROM:<x@b.test>", "250").await;
    smtp.say("RCPT TO:<alice+lists@a.test>", "550 5.1.1").await;
    site.stop().await;
    let site = Site::start(|_| {}).await;
    let mut client = site.login("alice@a.test").await;
    client.imap("CREATE lists", "OK").await;
    site.send("x@b.test", &["alice+lists@a.test"], MESSAGE).await;
    assert_eq!(site.inbox("alice@a.test", 1).await.len(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_begin_with_the_folders_that_are_set_exactly_once() {
    let site = Site::start(|config| {
        config.delivery.folders = [
            ("Sent", Some(SpecialUse::Sent)),
            ("Spam", Some(SpecialUse::Junk)),
            ("Notes", None),
        ]
        .map(|(name, special)| NewFolder::new(MailboxName::parse(name).unwrap(), special))
        .to_vec();
    })
    .await;
    for round in 0..5 {
        // Accounts that come while the server runs get them with the first delivery or the first login, whatever is first.
        let name = format!("dave{round}@a.test");
        let mut file = AccountsFile::open(&site.config.accounts_file).unwrap();
        file.put(account(&name));
        file.save().unwrap();
        let deliveries = futures(&site, &name).await;
        assert_eq!(deliveries, 4);
        let mailboxes = site.store().mailboxes(&Account::new(&*name)).await.unwrap();
        let mut all: Vec<_> = mailboxes
            .iter()
            .map(|it| (it.name.as_str().to_owned(), it.special_use, it.subscribed))
            .collect();
        all.sort();
        let expected = [
            ("INBOX", None),
            ("Notes", None),
            ("Sent", Some(SpecialUse::Sent)),
            ("Spam", Some(SpecialUse::Junk)),
        ];
        assert_eq!(
            all,
            expected.map(|(name, special)| (name.to_owned(), special, true))
        );
        assert_eq!(site.mail(&name, "INBOX").await.len(), 4);
    }
    site.stop().await;
}

/// Four deliveries and two logins at once.
async fn futures(site: &Site, name: &str) -> usize {
    let to = [name];
    let (a, b, c, d, _, _) = tokio::join!(
        site.send("x@b.test", &to, MESSAGE),
        site.send("x@b.test", &to, MESSAGE),
        site.send("x@b.test", &to, MESSAGE),
        site.send("x@b.test", &to, MESSAGE),
        site.login(name),
        site.login(name),
    );
    [a, b, c, d].len()
}
