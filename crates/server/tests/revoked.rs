//! A session ends when its account goes away or gets another password, whatever the protocol.

#[allow(dead_code, unreachable_pub)] // these tests use a part of it
#[path = "support/lines.rs"]
mod lines;

use lines::Lines;
use mailwright_mailbox::MemoryStore;
use mailwright_server::accounts::{AccountsFile, set_password};
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use mailwright_server::{Config, Running, Server};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

fn change(folder: &Path, change: impl FnOnce(&mut AccountsFile)) {
    let mut file = AccountsFile::open(&folder.join("accounts.toml")).expect("a file of accounts");
    change(&mut file);
    file.save().expect("it is saved");
}

fn put(folder: &Path, name: &str, password: &str) {
    let mut entry = AccountEntry::new(name.parse().expect("an address"));
    set_password(&mut entry, &password.into());
    change(folder, |file| file.put(entry));
}

async fn start(folder: &Path) -> Running<MemoryStore> {
    let mut config = Config::new("mail.b.test".parse().expect("a domain"), folder);
    config.domains.push("b.test".parse().expect("a domain"));
    config.control = false;
    config.plaintext_login = PlaintextLogin::Loopback;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    for (name, protocol) in [
        ("submission", Protocol::Submission),
        ("imap", Protocol::Imap),
        ("pop3", Protocol::Pop3),
    ] {
        let listener = ListenerConfig::new(protocol, any).with_name(name);
        config.listeners.push(listener.with_tls(TlsMode::None));
    }
    let server = Server::builder(config).store(MemoryStore::default());
    server.start().await.expect("it starts")
}

/// One session of each protocol, logged in.
async fn log_in(server: &Running<MemoryStore>, name: &str) -> [Lines; 3] {
    let address = |listener| server.address(listener).expect("a listener");
    let mut submission = Lines::connect(address("submission")).await;
    submission.reply("220").await;
    submission.say("EHLO client.example", "250").await;
    submission.auth_plain(name, "s3cret", "235").await;
    let mut imap = Lines::connect(address("imap")).await;
    imap.line().await.expect("a greeting");
    imap.imap(&format!("LOGIN {name} s3cret"), "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    let mut pop3 = Lines::connect(address("pop3")).await;
    pop3.line().await.expect("a greeting");
    for command in [&format!("USER {name}"), "PASS s3cret"] {
        pop3.send(command).await;
        let line = pop3.line().await.expect("a reply");
        assert!(line.starts_with(b"+OK"), "{}", line.escape_ascii());
    }
    [submission, imap, pop3]
}

/// Waits for what an idle session is told at its end.
async fn farewell(session: &mut Lines) -> String {
    let rest = tokio::time::timeout(Duration::from_secs(20), session.rest());
    let rest = rest.await.expect("the session ends");
    String::from_utf8(rest).expect("text")
}

#[tokio::test]
async fn sessions_end_with_the_password_or_the_account_they_began_with() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["alice@b.test", "bob@b.test", "carol@b.test"] {
        put(folder.path(), name, "s3cret");
    }
    let server = start(folder.path()).await;
    let mut of_alice = log_in(&server, "alice@b.test").await;
    let mut of_bob = log_in(&server, "bob@b.test").await;
    let [mut submission, mut imap, mut pop3] = log_in(&server, "carol@b.test").await;

    put(folder.path(), "alice@b.test", "another");
    change(folder.path(), |file| {
        file.remove("bob@b.test");
    });
    for sessions in [&mut of_alice, &mut of_bob] {
        let [submission, imap, pop3] = sessions;
        let said = farewell(submission).await;
        assert!(said.starts_with("421 "), "{said}");
        let said = farewell(imap).await;
        assert!(said.contains("* BYE "), "{said}");
        let said = farewell(pop3).await;
        assert!(said.is_empty() || said.starts_with("-ERR"), "{said}");
    }

    // Nothing of hers has changed.
    submission.say("MAIL FROM:<carol@b.test>", "250").await;
    imap.imap("NOOP", "OK").await;
    pop3.send("STAT").await;
    assert_eq!(pop3.line().await.as_deref(), Some(&b"+OK 0 0"[..]));
    server.shutdown().await;
}
