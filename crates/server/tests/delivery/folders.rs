//! Folders: those that accounts begin with, and those that addresses name.

use crate::site::{Site, account};
use mailwright_mailbox::{Account, Batch, MailboxId, MailboxName, Op, Outcome, SpecialUse, Store};
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

/// Creates a mailbox in the store itself.
async fn create(site: &Site, account: &Account, name: &str) -> MailboxId {
    let op = Op::CreateMailbox {
        account: account.clone(),
        name: MailboxName::parse(name).unwrap(),
        special_use: None,
    };
    let committed = site.store().commit(Batch::new(1).with(op)).await.unwrap();
    match committed.outcomes[0] {
        Outcome::Created { mailbox, .. } => mailbox,
        ref other => panic!("{other:?}"),
    }
}

/// The server remembers which mailbox is INBOX; mail goes into no other one, whatever becomes of that.
#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_to_the_inbox_that_is_there_at_that_moment() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = (Account::new("alice@a.test"), Account::new("bob@a.test"));
    let to = ["alice@a.test", "bob@a.test"];
    site.send("x@b.test", &to, MESSAGE).await;
    // Of INBOX the messages move away: what comes next goes into INBOX, and not after them.
    let mut client = site.login("alice@a.test").await;
    client.imap("RENAME INBOX Old", "OK").await;
    site.send("x@b.test", &to, MESSAGE).await;
    assert_eq!(site.mail("alice@a.test", "Old").await.len(), 1);
    assert_eq!(site.mail("alice@a.test", "INBOX").await.len(), 1);
    // The name is no longer that of a mailbox with this id, but of another one.
    for round in 0..3 {
        let gone = Op::RemoveAccount {
            account: alice.clone(),
        };
        site.store().commit(Batch::new(1).with(gone)).await.unwrap();
        // Those of others take the place that the lost one had in the database.
        let mut others = Vec::new();
        for n in 0..10 {
            others.push(create(&site, &bob, &format!("Other{round}-{n}")).await);
        }
        if round == 1 {
            create(&site, &alice, "INBOX").await;
        }
        site.send("x@b.test", &to, MESSAGE).await;
        site.send("x@b.test", &to, MESSAGE).await;
        assert_eq!(site.mail("alice@a.test", "INBOX").await.len(), 2, "{round}");
        for other in others {
            assert_eq!(site.store().snapshot(other).await.unwrap().exists, 0, "{round}");
        }
    }
    // Nobody had a message twice because it had to be prepared once more.
    assert_eq!(site.mail("bob@a.test", "INBOX").await.len(), 8);
    site.stop().await;
}

/// An account goes and comes back while mail comes for it: whoever gets the message besides gets it exactly once, or the
/// sender is told to come again.
#[tokio::test(flavor = "multi_thread")]
async fn mail_for_an_account_that_goes_and_comes_back_is_taken_once() {
    let site = Site::start(|_| {}).await;
    let alice = Account::new("alice@a.test");
    let remove = async {
        for _ in 0..50 {
            let gone = Op::RemoveAccount {
                account: alice.clone(),
            };
            site.store().commit(Batch::new(1).with(gone)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let send = async {
        let mut taken = 0;
        for _ in 0..50 {
            let mut client = site.smtp().await;
            client.say("MAIL FROM:<x@b.test>", "250").await;
            client.say("RCPT TO:<alice@a.test>", "250").await;
            client.say("RCPT TO:<bob@a.test>", "250").await;
            client.say("DATA", "354").await;
            client.send(&format!("{MESSAGE}.")).await;
            let reply = client.line().await.expect("an answer");
            assert!(reply.starts_with(b"250") || reply.starts_with(b"4"), "{reply:?}");
            taken += usize::from(reply.starts_with(b"250"));
        }
        taken
    };
    let ((), taken) = tokio::join!(remove, send);
    assert_eq!(site.mail("bob@a.test", "INBOX").await.len(), taken);
    let before = site.mail("alice@a.test", "INBOX").await.len();
    site.send("x@b.test", &["alice@a.test"], MESSAGE).await;
    assert_eq!(site.mail("alice@a.test", "INBOX").await.len(), before + 1);
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
