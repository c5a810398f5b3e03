//! Another configuration, handed to a server inside of a program.

use super::hand::{Hand, files, self_signed, server, started, within};
use super::program::line;
use super::support::lines::Lines;
use mailwright_server::StartError;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol};

#[tokio::test]
async fn a_reload_changes_what_comes_and_leaves_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = server(folder.path());
    config.certificate = Some(files(folder.path(), "old", &self_signed(&["old.a.test"])));
    for (name, protocol) in [
        ("imap", Protocol::Imap),
        ("smtp", Protocol::Smtp),
        ("pop3", Protocol::Pop3),
    ] {
        let listener = ListenerConfig::new(protocol, "127.0.0.1:0".parse().unwrap());
        config.listeners.push(listener.with_name(name));
    }
    let mut running = started(config.clone()).await;
    let [imap, imaps, pop3] = ["imap", "imaps", "pop3"].map(|name| running.address(name).unwrap());
    let mut open = Lines::connect(pop3).await;
    assert!(line(&mut open).await.starts_with("+OK mail.a.test "));
    let mut idle = Lines::connect(imap).await;
    assert!(line(&mut idle).await.contains("LOGINDISABLED"));

    // Another name, domain, account, certificate, rule for logins; a listener less and one more.
    let mut other = config.clone();
    other.hostname = "mx.b.test".parse().unwrap();
    other.domains.push("b.test".parse().unwrap());
    other
        .accounts
        .push(AccountEntry::new("bob@b.test".parse().unwrap()));
    other.certificate = Some(files(folder.path(), "new", &self_signed(&["new.a.test"])));
    other.plaintext_login = PlaintextLogin::Loopback;
    other.limits.message_size = 100_000;
    other.limits.connections = 77;
    other.listeners.retain(|listener| listener.name != "pop3");
    let listener = ListenerConfig::new(Protocol::Submission, "127.0.0.1:0".parse().unwrap());
    other.listeners.push(listener.with_name("submission"));
    let done = running.reload(other.clone()).await.unwrap();
    let submission = running.address("submission").unwrap();
    assert_eq!(done.opened, [("submission".to_owned(), submission)]);
    assert_eq!(done.closed, ["pop3"]);
    assert_eq!(done.restart, ["limits.connections"]);
    assert_eq!(
        done.changed.join(" "),
        "hostname domains account tls listener plaintext_login limits"
    );
    assert_eq!(running.address("imaps"), Some(imaps), "the same socket");
    assert_eq!(running.address("pop3"), None);
    within(async || tokio::net::TcpStream::connect(pop3).await.is_err()).await;

    // Who was there is served on.
    open.send("CAPA").await;
    assert!(line(&mut open).await.starts_with("+OK"));
    idle.send("a NOOP").await;
    assert!(line(&mut idle).await.starts_with("a OK"));
    // Who comes finds the other one.
    let hand = Hand::new();
    assert_eq!(hand.shake(imaps, "x.test").await.certificate_name(), "new.a.test");
    let mut imap = Lines::connect(imap).await;
    let greeting = line(&mut imap).await;
    assert!(
        greeting.contains("mx.b.test") && !greeting.contains("LOGINDISABLED"),
        "{greeting}"
    );
    let mut smtp = Lines::connect(running.address("smtp").unwrap()).await;
    smtp.reply("220").await;
    let offered = smtp.say("EHLO c.test", "250").await;
    assert!(offered.contains("SIZE 100000"), "{offered}");
    smtp.say("MAIL FROM:<x@c.test>", "250").await;
    smtp.say("RCPT TO:<bob@b.test>", "250").await;
    smtp.say("RCPT TO:<bob@c.test>", "5").await;

    // One that cannot be used changes nothing: a broken certificate, a port that is taken, another data folder.
    let mut broken = config.clone();
    broken.certificate.as_mut().unwrap().key = folder.path().join("new.key");
    assert!(matches!(running.reload(broken).await, Err(StartError::Tls(_))));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut broken = config.clone();
    broken
        .listeners
        .push(ListenerConfig::new(Protocol::Imap, taken.local_addr().unwrap()));
    assert!(matches!(
        running.reload(broken).await,
        Err(StartError::Listen { .. })
    ));
    let mut broken = config.clone();
    broken.data = folder.path().join("elsewhere");
    assert!(matches!(
        running.reload(broken).await,
        Err(StartError::NeedsRestart(_))
    ));
    let mut smtp = Lines::connect(running.address("smtp").unwrap()).await;
    assert!(line(&mut smtp).await.starts_with("220 mx.b.test "));
    assert_eq!(hand.shake(imaps, "x.test").await.certificate_name(), "new.a.test");
    running.shutdown().await;
}

#[tokio::test]
async fn an_account_that_a_reload_takes_away_is_logged_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = server(folder.path());
    config.plaintext_login = PlaintextLogin::Loopback;
    let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
    config.listeners.push(listener.with_name("imap"));
    let mut running = started(config.clone()).await;
    let mut imap = Lines::connect(running.address("imap").unwrap()).await;
    line(&mut imap).await;
    imap.imap("LOGIN alice@a.test secret", "OK").await;
    config.accounts.clear();
    running.reload(config).await.unwrap();
    assert!(line(&mut imap).await.starts_with("* BYE"));
    running.shutdown().await;
}

#[tokio::test]
async fn what_a_session_began_with_still_hears_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = server(folder.path());
    let listener = ListenerConfig::new(Protocol::Smtp, "127.0.0.1:0".parse().unwrap());
    config.listeners.push(listener.with_name("smtp"));
    let aliases = config.aliases_file.clone().unwrap();
    std::fs::create_dir_all(aliases.parent().unwrap()).unwrap();
    std::fs::write(&aliases, "").unwrap();
    let mut running = started(config.clone()).await;
    let mut smtp = Lines::connect(running.address("smtp").unwrap()).await;
    smtp.reply("220").await;
    smtp.say("HELO c.test", "250").await;
    smtp.say("MAIL FROM:<x@c.test>", "250").await;
    smtp.say("RCPT TO:<sales@a.test>", "550").await;
    config.hostname = "mx.a.test".parse().unwrap();
    running.reload(config).await.unwrap();
    std::fs::write(&aliases, "sales = [\"alice@a.test\"]\n").unwrap();
    let smtp = tokio::sync::Mutex::new(smtp);
    within(async || {
        let mut smtp = smtp.lock().await;
        smtp.send("RCPT TO:<sales@a.test>").await;
        line(&mut smtp).await.starts_with("250")
    })
    .await;
    running.shutdown().await;
}
