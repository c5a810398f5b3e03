//! IMAP between accounts: mailboxes of others and what may be done with them, quotas, annotations, and what is not
//! offered to whom.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use mailwright_mailbox::MemoryStore;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol, Quota};
use mailwright_server::{Config, Running, Server};
use std::sync::LazyLock;
use support::lines::{Lines, find};

static SECRET: LazyLock<AccountEntry> = LazyLock::new(|| {
    let mut entry = AccountEntry::new("somebody@a.test".parse().unwrap());
    set_password(&mut entry, &"secret".into());
    entry
});

struct Site {
    running: Running<MemoryStore>,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("mail.a.test".parse().unwrap(), folder.path());
        config.domains = vec!["a.test".parse().unwrap()];
        config.plaintext_login = PlaintextLogin::Loopback;
        for name in ["alice@a.test", "bob@a.test", "carol@a.test"] {
            let mut entry = SECRET.clone();
            entry.name = name.parse().unwrap();
            config.accounts.push(entry);
        }
        let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
        config.listeners.push(listener.with_name("imap"));
        adjust(&mut config);
        let server = Server::builder(config).store(MemoryStore::default());
        Self {
            running: server.start().await.unwrap(),
            _folder: folder,
        }
    }

    async fn connect(&self) -> Lines {
        let mut client = Lines::connect(self.running.address("imap").unwrap()).await;
        client.line().await.unwrap();
        client
    }

    async fn login(&self, name: &str) -> Lines {
        let mut client = self.connect().await;
        client.imap(&format!("LOGIN {name}@a.test secret"), "OK").await;
        client
    }
}

const MESSAGE: &str = "Subject: shared\r\n\r\nHello\r\n";

async fn append(client: &mut Lines, mailbox: &str, message: &str, want: &str) {
    let command = format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len());
    client.imap(&command, want).await;
}

/// The one response that holds `needle`.
fn one(responses: &[Vec<u8>], needle: &str) -> String {
    let all: Vec<_> = responses.iter().map(|it| String::from_utf8_lossy(it)).collect();
    let found = all.iter().find(|it| it.contains(needle));
    found
        .unwrap_or_else(|| panic!("no {needle} in {all:?}"))
        .to_string()
}

#[tokio::test]
async fn a_mailbox_is_shared_as_far_as_its_owner_says() {
    let site = Site::start(|_| {}).await;
    let (mut alice, mut bob) = (site.login("alice").await, site.login("bob").await);
    let capabilities = one(&alice.imap("CAPABILITY", "OK").await, "* CAPABILITY");
    assert!(
        capabilities.contains(" ACL ") && capabilities.contains("RIGHTS="),
        "{capabilities}"
    );
    append(&mut alice, "Archive", MESSAGE, "OK").await;
    assert!(find(&bob.imap("LIST \"\" *", "OK").await, "Shared").is_none());
    bob.imap("SELECT Shared/alice@a.test/Archive", "NO [NONEXISTENT]")
        .await;

    alice.imap("SETACL Archive nobody@a.test lr", "NO").await;
    alice.imap("SETACL Archive alice@a.test lr", "NO").await;
    alice.imap("SETACL Archive BOB@a.test lr", "OK").await;
    let acl = one(&alice.imap("GETACL Archive", "OK").await, "* ACL");
    assert!(
        acl.contains(" bob@a.test lr") && acl.contains(" alice@a.test lrswipkxte"),
        "{acl}"
    );
    let listed = bob.imap("LIST \"\" * RETURN (MYRIGHTS)", "OK").await;
    one(&listed, "/ Shared/alice@a.test/Archive".trim_start_matches("/ "));
    let rights = one(&listed, "* MYRIGHTS Shared/alice@a.test/Archive ");
    assert!(rights.ends_with(" lr"), "{rights}");

    // To read is to read, and no more.
    bob.imap("SELECT Shared/alice@a.test/Archive", "OK [READ-ONLY]")
        .await;
    one(&bob.imap("FETCH 1 BODY[TEXT]", "OK").await, "Hello");
    assert!(find(&bob.imap("FETCH 1 FLAGS", "OK").await, "Seen").is_none());
    append(&mut bob, "Shared/alice@a.test/Archive", MESSAGE, "NO [NOPERM]").await;
    bob.imap(
        "SETACL Shared/alice@a.test/Archive carol@a.test lr",
        "NO [NOPERM]",
    )
    .await;
    bob.imap("GETACL Shared/alice@a.test/Archive", "NO [NOPERM]")
        .await;
    bob.imap("CREATE Shared/alice@a.test/Archive/Below", "NO [NOPERM]")
        .await;
    bob.imap("DELETE Shared/alice@a.test/Archive", "NO [NOPERM]")
        .await;
    bob.imap("RENAME Shared/alice@a.test/Archive Mine", "NO [NOPERM]")
        .await;
    bob.imap("UID COPY 1 INBOX", "OK [COPYUID ").await;

    // More rights count at once, each for itself.
    alice.imap("SETACL Archive bob@a.test +isw", "OK").await;
    bob.imap("SELECT Shared/alice@a.test/Archive", "OK [READ-WRITE]")
        .await;
    append(&mut bob, "Shared/alice@a.test/Archive", MESSAGE, "OK [APPENDUID ").await;
    bob.imap("STORE 1 +FLAGS (\\Flagged)", "OK").await;
    bob.imap("STORE 1 +FLAGS (\\Deleted)", "OK").await;
    let flags = one(&bob.imap("FETCH 1 FLAGS", "OK").await, "* 1 FETCH");
    assert!(flags.contains("Flagged") && !flags.contains("Deleted"), "{flags}");
    bob.imap("EXPUNGE", "NO [NOPERM]").await;
    bob.imap("UID MOVE 1 INBOX", "NO [NOPERM]").await;
    alice.imap("SELECT Archive", "OK [READ-WRITE]").await;
    one(&alice.imap("FETCH 1 FLAGS", "OK").await, "Flagged");

    // What is taken away is taken from what everybody has.
    alice.imap("SETACL Drafts anyone lr", "OK").await;
    alice.imap("SETACL Drafts -bob@a.test lr", "OK").await;
    bob.imap("SELECT Shared/alice@a.test/Drafts", "NO [NONEXISTENT]")
        .await;
    let mut carol = site.login("carol").await;
    carol
        .imap("SELECT Shared/alice@a.test/Drafts", "OK [READ-ONLY]")
        .await;
    carol
        .imap("SELECT Shared/alice@a.test/Archive", "NO [NONEXISTENT]")
        .await;

    let rights = one(
        &alice.imap("LISTRIGHTS Archive bob@a.test", "OK").await,
        "LISTRIGHTS",
    );
    assert!(rights.contains("bob@a.test \"\" l r s w i"), "{rights}");
    one(
        &alice.imap("MYRIGHTS INBOX", "OK").await,
        "* MYRIGHTS INBOX lrswipkxte",
    );
    alice.imap("DELETEACL Archive bob@a.test", "OK").await;
    bob.imap("SELECT Shared/alice@a.test/Archive", "NO [NONEXISTENT]")
        .await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn mailboxes_of_others_are_made_renamed_and_deleted_by_whom_they_permit() {
    let site = Site::start(|_| {}).await;
    let (mut alice, mut bob) = (site.login("alice").await, site.login("bob").await);
    for name in ["Team", "Team/Plans", "Other"] {
        alice.imap(&format!("CREATE {name}"), "OK").await;
    }
    alice.imap("SETACL Team bob@a.test lrk", "OK").await;
    alice.imap("SETACL Team carol@a.test lr", "OK").await;
    alice.imap("SETACL Team/Plans bob@a.test lr", "OK").await;
    alice.imap("SETACL Other bob@a.test lrx", "OK").await;
    alice.imap("SETACL INBOX bob@a.test lrswipkxte", "OK").await;
    let team = "Shared/alice@a.test/Team";

    // k: whoever shares the mailbox above shares what is made below it, however deep.
    bob.imap(&format!("CREATE {team}/Deep/Down"), "OK").await;
    bob.imap(&format!("CREATE {team}/Deep/Down"), "NO [ALREADYEXISTS]")
        .await;
    bob.imap(&format!("CREATE {team}/Plans/No"), "NO [NOPERM]").await;
    bob.imap("CREATE Shared/alice@a.test/Top", "NO [NOPERM]").await;
    bob.imap("CREATE Shared/nobody@a.test/Top/Below", "NO [NOPERM]")
        .await;
    bob.imap(&format!("CREATE {team}/Junk (USE (\\Junk))"), "NO [USEATTR]")
        .await;
    one(&alice.imap("LIST \"\" Team/*", "OK").await, "Team/Deep/Down");
    one(
        &bob.imap(&format!("MYRIGHTS {team}/Deep/Down"), "OK").await,
        " lrk",
    );
    let mut carol = site.login("carol").await;
    one(
        &carol.imap(&format!("MYRIGHTS {team}/Deep/Down"), "OK").await,
        " lr",
    );
    carol.imap(&format!("CREATE {team}/Mine"), "NO [NOPERM]").await;

    // x: deleting, and renaming as well, if there is a k where it goes.
    bob.imap(&format!("DELETE {team}/Deep/Down"), "NO [NOPERM]").await;
    bob.imap(&format!("RENAME {team}/Deep/Down {team}/Up"), "NO [NOPERM]")
        .await;
    alice.imap("SETACL Team/Deep/Down bob@a.test +x", "OK").await;
    bob.imap(&format!("RENAME {team}/Deep/Down Mine"), "NO [NOPERM]")
        .await;
    bob.imap(
        &format!("RENAME {team}/Deep/Down {team}/Plans/Down"),
        "NO [NOPERM]",
    )
    .await;
    bob.imap(&format!("RENAME {team}/Deep/Down {team}/Up"), "OK")
        .await;
    one(&alice.imap("LIST \"\" Team/*", "OK").await, "Team/Up");
    bob.imap(
        &format!("RENAME Shared/alice@a.test/INBOX {team}/Stolen"),
        "NO [NOPERM]",
    )
    .await;
    bob.imap("RENAME Archive Shared/alice@a.test/Team/Archive", "NO [NOPERM]")
        .await;
    bob.imap(&format!("DELETE {team}/Up"), "OK").await;
    bob.imap("DELETE Shared/alice@a.test/Other", "OK").await;
    bob.imap("DELETE Shared/alice@a.test/Sent", "NO [NONEXISTENT]")
        .await;
    let left = alice.imap("LIST \"\" *", "OK").await;
    assert!(find(&left, "Team/Up").is_none() && find(&left, "Other").is_none());
    site.running.shutdown().await;
}

#[tokio::test]
async fn whoever_idles_in_a_mailbox_of_somebody_else_hears_what_comes() {
    let site = Site::start(|_| {}).await;
    let (mut alice, mut bob) = (site.login("alice").await, site.login("bob").await);
    alice.imap("SETACL INBOX bob@a.test lr", "OK").await;
    bob.imap("SELECT Shared/alice@a.test/INBOX", "OK [READ-ONLY]")
        .await;
    bob.send("i IDLE").await;
    bob.line().await.unwrap();
    append(&mut alice, "INBOX", MESSAGE, "OK").await;
    assert_eq!(bob.line().await.unwrap(), b"* 1 EXISTS");
    // Rights that are taken away end it: nothing more is told.
    alice.imap("DELETEACL INBOX bob@a.test", "OK").await;
    append(&mut alice, "INBOX", MESSAGE, "OK").await;
    let rest = String::from_utf8_lossy(&bob.rest().await).into_owned();
    assert!(rest.contains("* BYE") && !rest.contains("2 EXISTS"), "{rest}");
    site.running.shutdown().await;
}

#[tokio::test]
async fn a_quota_is_told_and_kept_to() {
    let site = Site::start(|config| {
        config.quota = Quota::new(Some(64 * 1024), Some(3));
        config.delivery.quota_warnings = false;
        config.accounts[1].quota = Some(Quota::default());
    })
    .await;
    let (mut alice, mut bob) = (site.login("alice").await, site.login("bob").await);
    append(&mut alice, "INBOX", MESSAGE, "OK").await;
    let told = alice.imap("GETQUOTAROOT INBOX", "OK").await;
    one(&told, "* QUOTAROOT INBOX alice@a.test");
    one(&told, "* QUOTA alice@a.test (STORAGE 1 64 MESSAGE 1 3)");
    one(
        &alice.imap("GETQUOTA alice@a.test", "OK").await,
        "(STORAGE 1 64 MESSAGE 1 3)",
    );
    alice.imap("GETQUOTA bob@a.test", "NO [NONEXISTENT]").await;
    append(&mut alice, "INBOX", &"x".repeat(70_000), "NO [OVERQUOTA]").await;
    alice.imap("SELECT INBOX", "OK").await;
    alice.imap("COPY 1 Archive", "OK").await;
    alice.imap("UID COPY 1 Trash", "OK").await;
    alice.imap("COPY 1 Archive", "NO [OVERQUOTA]").await;
    append(&mut alice, "INBOX", MESSAGE, "NO [OVERQUOTA]").await;
    alice.imap("MOVE 1 Archive", "OK").await;
    alice.imap("SELECT Trash", "OK").await;
    alice.imap("STORE 1 +FLAGS.SILENT (\\Deleted)", "OK").await;
    alice.imap("EXPUNGE", "OK").await;
    append(&mut alice, "INBOX", MESSAGE, "OK").await;

    // An account of its own rules, and whose space a shared mailbox takes.
    for _ in 0..5 {
        append(&mut bob, "INBOX", MESSAGE, "OK").await;
    }
    let told = bob.imap("GETQUOTAROOT INBOX", "OK").await;
    assert!(find(&told, "* QUOTA ").is_none());
    alice.imap("SETACL Archive bob@a.test lri", "OK").await;
    append(&mut bob, "Shared/alice@a.test/Archive", MESSAGE, "NO [OVERQUOTA]").await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn annotations_are_private_or_shared() {
    let site = Site::start(|_| {}).await;
    let (mut alice, mut bob) = (site.login("alice").await, site.login("bob").await);
    alice
        .imap(
            "SETMETADATA INBOX (/private/comment \"mine\" /shared/comment \"ours\")",
            "OK",
        )
        .await;
    let told = alice
        .imap("GETMETADATA INBOX (/private/comment /shared/comment)", "OK")
        .await;
    let told = one(&told, "* METADATA INBOX");
    assert!(told.contains("mine") && told.contains("ours"), "{told}");
    let listed = alice
        .imap(
            "LIST \"\" INBOX RETURN (METADATA (/shared/comment /private/none))",
            "OK",
        )
        .await;
    let told = one(&listed, "* METADATA INBOX");
    assert!(
        told.contains("ours") && told.contains("/private/none NIL"),
        "{told}"
    );

    alice.imap("SETACL INBOX bob@a.test lr", "OK").await;
    let entries = "(/private/comment /shared/comment)";
    let told = bob
        .imap(&format!("GETMETADATA Shared/alice@a.test/INBOX {entries}"), "OK")
        .await;
    let told = one(&told, "* METADATA");
    assert!(told.contains("ours") && !told.contains("mine"), "{told}");
    let to = "SETMETADATA Shared/alice@a.test/INBOX";
    bob.imap(&format!("{to} (/shared/comment \"his\")"), "NO [NOPERM]")
        .await;
    bob.imap(&format!("{to} (/private/comment \"his\")"), "OK").await;
    let told = one(
        &alice.imap("GETMETADATA INBOX /private/comment", "OK").await,
        "* METADATA",
    );
    assert!(told.contains("mine"), "{told}");

    // Those of the server.
    bob.imap("SETMETADATA \"\" (/private/vendor/x \"1\")", "OK").await;
    bob.imap("SETMETADATA \"\" (/shared/comment \"1\")", "NO [NOPERM]")
        .await;
    one(
        &bob.imap("GETMETADATA (DEPTH infinity) \"\" /private", "OK").await,
        "/private/vendor/x",
    );
    let large = format!(
        "SETMETADATA INBOX (/private/x {{65537+}}\r\n{})",
        "x".repeat(65_537)
    );
    alice.imap(&large, "NO").await;
    alice.imap("SETMETADATA INBOX (/private/comment NIL)", "OK").await;
    let told = alice.imap("GETMETADATA INBOX /private/comment", "OK").await;
    assert!(find(&told, "* METADATA").is_none());
    site.running.shutdown().await;
}

#[tokio::test]
async fn what_a_program_breaks_on_is_not_offered_to_its_account() {
    let site = Site::start(|config| {
        config.accounts[0].imap_without = vec!["move".into(), "IDLE".into()];
        config.limits.sessions_per_account = 2;
    })
    .await;
    let (mut alice, mut bob) = (site.login("alice").await, site.login("bob").await);
    let told = one(&alice.imap("CAPABILITY", "OK").await, "* CAPABILITY");
    assert!(!told.contains(" MOVE") && !told.contains(" IDLE"), "{told}");
    alice.imap("IDLE", "BAD").await;
    let told = one(&bob.imap("CAPABILITY", "OK").await, "* CAPABILITY");
    assert!(told.contains(" MOVE") && told.contains(" IDLE"), "{told}");

    let second = site.login("alice").await;
    let mut third = site.connect().await;
    third.send("a LOGIN alice@a.test secret").await;
    let said = String::from_utf8_lossy(&third.rest().await).into_owned();
    assert!(said.contains("* BYE Too many sessions"), "{said}");
    drop(second);
    bob.imap("NOOP", "OK").await;
    // The place of a session that has ended is free soon.
    for round in 0.. {
        let mut next = site.connect().await;
        next.send("a LOGIN alice@a.test secret").await;
        next.send("b LOGOUT").await;
        let said = String::from_utf8_lossy(&next.rest().await).into_owned();
        if said.contains("b OK") {
            break;
        }
        assert!(round < 100, "{said}");
    }
    site.running.shutdown().await;
}
