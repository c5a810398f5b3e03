//! SIGHUP and `mailwright reload` against the program.

use super::hand::{Hand, files, self_signed};
use super::program::{ANYWHERE, Program, Settings, config, greeting, line, serve};
use super::support::lines::{Lines, find};
use super::support::programs::run;
use std::path::Path;
use std::process::Command;

fn reload(argument: &str, path: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailwright"));
    run(command
        .arg("reload")
        .arg(argument)
        .arg(path)
        .env_remove("RUST_LOG"))
}

async fn logged_in(at: std::net::SocketAddr, name: &str) -> Lines {
    let mut imap = Lines::connect(at).await;
    line(&mut imap).await;
    imap.imap(&format!("LOGIN {name} secret"), "OK").await;
    imap
}

#[tokio::test]
async fn sighup_takes_up_what_has_changed_while_sessions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = files(folder.path(), "first", &self_signed(&["first.a.test"]));
    let second = files(folder.path(), "second", &self_signed(&["second.a.test"]));
    let certificate = |files: &mailwright_server::config::CertificateFiles| {
        format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\n",
            files.certificate, files.key
        )
    };
    let mut settings = Settings::new("one.a.test")
        .account("alice@a.test")
        .account("carol@a.test");
    settings.sections += &certificate(&first);
    settings.listeners = vec![
        ("smtp", "smtp", ANYWHERE),
        ("imap", "imap", ANYWHERE),
        ("imaps", "imap", ANYWHERE),
        ("pop3", "pop3", ANYWHERE),
    ];
    settings.write(folder.path());
    let mut program = Program::start(&mut serve(folder.path()));
    let (smtp_at, imap_at) = (program.address("smtp").await, program.address("imap").await);
    let (imaps_at, pop3_at) = (program.address("imaps").await, program.address("pop3").await);
    let hand = Hand::new();
    assert_eq!(
        hand.shake(imaps_at, "x.test").await.certificate_name(),
        "first.a.test"
    );
    let mut alice = logged_in(imap_at, "alice@a.test").await;
    let mut carol = logged_in(imap_at, "carol@a.test").await;
    let mut pop3 = Lines::connect(pop3_at).await;
    line(&mut pop3).await;
    // In the middle of a message.
    let mut smtp = Lines::connect(smtp_at).await;
    smtp.reply("220").await;
    smtp.say("EHLO c.test", "250").await;
    smtp.say("MAIL FROM:<x@c.test>", "250").await;
    smtp.say("RCPT TO:<alice@a.test>", "250").await;
    smtp.say("DATA", "354").await;
    smtp.send("Subject: begun before").await;

    let mut settings = Settings::new("two.a.test")
        .account("alice@a.test")
        .account("bob@b.test");
    settings.domains = &["a.test", "b.test"];
    settings.sections += &certificate(&second);
    settings.sections += "[limits]\nmessage_size = 100000\nconnections = 77\n";
    settings.listeners = vec![
        ("smtp", "smtp", ANYWHERE),
        ("imap", "imap", ANYWHERE),
        ("imaps", "imap", ANYWHERE),
        ("lmtp", "lmtp", ANYWHERE),
    ];
    settings.write(folder.path());
    program.signal("-HUP");
    program.says("the configuration was read again").await;
    program.says("settings=\"limits.connections\"").await;
    let lmtp = program.address("lmtp").await;
    assert!(greeting(lmtp).await.starts_with("220 two.a.test "));

    // Those who were there go on, but for the account that is gone.
    smtp.send("").await;
    smtp.send("Ended after.").await;
    smtp.say(".", "250").await;
    pop3.send("CAPA").await;
    assert!(line(&mut pop3).await.starts_with("+OK"));
    let selected = alice.imap("SELECT INBOX", "OK").await;
    assert!(find(&selected, "1 EXISTS").is_some());
    assert!(line(&mut carol).await.starts_with("* BYE"));
    // Those who come find the other one.
    assert!(tokio::net::TcpStream::connect(pop3_at).await.is_err());
    assert_eq!(
        hand.shake(imaps_at, "x.test").await.certificate_name(),
        "second.a.test"
    );
    let mut smtp = Lines::connect(smtp_at).await;
    smtp.reply("220 two.a.test").await;
    let offered = smtp.say("EHLO c.test", "250").await;
    assert!(offered.contains("SIZE 100000"), "{offered}");
    smtp.say("MAIL FROM:<x@c.test>", "250").await;
    smtp.say("RCPT TO:<bob@b.test>", "250").await;
    smtp.say("RCPT TO:<carol@a.test>", "550").await;
    logged_in(imap_at, "bob@b.test").await;
    program.signal("-TERM");
    assert!(program.ended().await, "{}", program.log());
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_says_why_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    Settings::new("one.a.test").write(folder.path());
    let mut program = Program::start(&mut serve(folder.path()));
    let at = program.address("smtp").await;
    std::fs::write(
        config(folder.path()),
        "hostname = \"a b\"\ndomains = [\"a.test\"]\n",
    )
    .unwrap();
    program.signal("-HUP");
    program.says("the configuration stays as it was: ").await;
    let log = program.log();
    let why = log.split("stays as it was: ").nth(1).unwrap();
    let why = why.lines().next().unwrap();
    assert!(why.contains("mailwright.toml:1:") && why.contains("a b"), "{why}");
    assert!(greeting(at).await.starts_with("220 one.a.test "));
    // What is right in itself, and cannot be had.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut settings = Settings::new("two.a.test");
    settings
        .listeners
        .push(("imap", "imap", Box::leak(address.into_boxed_str())));
    settings.write(folder.path());
    program.signal("-HUP");
    program.says("stays as it was: cannot listen at").await;
    assert!(greeting(at).await.starts_with("220 one.a.test "));
    // Mended, it is taken up.
    Settings::new("three.a.test").write(folder.path());
    program.signal("-HUP");
    program.says("the configuration was read again").await;
    assert!(greeting(at).await.starts_with("220 three.a.test "));
}

#[tokio::test]
async fn the_command_tells_what_has_changed_or_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    Settings::new("one.a.test").write(folder.path());
    let (ok, said) = reload("--config", &config(folder.path()));
    assert!(!ok && said.contains("no server runs on"), "{said}");
    let mut program = Program::start(&mut serve(folder.path()));
    let at = program.address("smtp").await;
    let data = folder.path().join("data");
    super::hand::within(async || data.join("control.sock").exists()).await;
    let (ok, said) = reload("--config", &config(folder.path()));
    assert!(ok && said.contains("nothing has changed"), "{said}");

    let mut settings = Settings::new("two.a.test");
    settings.listeners.push(("imap", "imap", ANYWHERE));
    settings.sections += "[limits]\nsearch_threads = 7\n";
    settings.write(folder.path());
    let (ok, said) = reload("--config", &config(folder.path()));
    let imap = program.address("imap").await;
    assert!(
        ok && said.contains("changed: hostname, listener, limits\n"),
        "{said}"
    );
    assert!(said.contains(&format!("opened: imap at {imap}\n")), "{said}");
    assert!(
        said.contains("not before the next start: limits.search_threads\n"),
        "{said}"
    );
    assert!(greeting(at).await.starts_with("220 two.a.test "));
    Settings::new("two.a.test").write(folder.path());
    let (ok, said) = reload("--data", &data);
    assert!(ok && said.contains("closed: imap;"), "{said}");

    std::fs::write(
        config(folder.path()),
        "hostname = \"a b\"\ndomains = [\"a.test\"]\n",
    )
    .unwrap();
    let (ok, said) = reload("--data", &data);
    assert!(!ok && said.contains("mailwright.toml:1:"), "{said}");
    let mut settings = Settings::new("four.a.test");
    settings.more = "store = \"maildir\"".to_owned();
    settings.write(folder.path());
    let (ok, said) = reload("--data", &data);
    assert!(!ok && said.contains("`store` cannot change"), "{said}");
    assert!(greeting(at).await.starts_with("220 two.a.test "));
}

#[tokio::test]
async fn no_transaction_is_lost_while_the_configuration_is_read_again_and_again() {
    const SENDERS: usize = 4;
    const EACH: usize = 15;

    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new("one.a.test").account("alice@a.test");
    settings.listeners.push(("imap", "imap", ANYWHERE));
    settings.write(folder.path());
    let mut program = Program::start(&mut serve(folder.path()));
    let (smtp_at, imap_at) = (program.address("smtp").await, program.address("imap").await);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(async move {
            for turn in 0..EACH {
                let mut smtp = Lines::connect(smtp_at).await;
                smtp.reply("220").await;
                smtp.say("EHLO c.test", "250").await;
                smtp.say("MAIL FROM:<x@c.test>", "250").await;
                smtp.say("RCPT TO:<alice@a.test>", "250").await;
                smtp.say("DATA", "354").await;
                smtp.send(&format!("Subject: {sender}-{turn}\r\n\r\nText.")).await;
                smtp.say(".", "250").await;
            }
        });
    }
    let mut turn = 0;
    while !senders.is_empty() {
        turn += 1;
        Settings {
            hostname: ["one.a.test", "two.a.test"][turn % 2],
            ..settings_of(&settings)
        }
        .write(folder.path());
        program.signal("-HUP");
        let soon = std::time::Duration::from_millis(30);
        if let Ok(Some(ended)) = tokio::time::timeout(soon, senders.join_next()).await {
            ended.unwrap();
        }
    }
    program.says("the configuration was read again").await;
    let mut imap = logged_in(imap_at, "alice@a.test").await;
    let selected = imap.imap("SELECT INBOX", "OK").await;
    assert!(find(&selected, &format!("{} EXISTS", SENDERS * EACH)).is_some());
    assert!(!program.log().contains("ERROR"), "{}", program.log());
}

fn settings_of(other: &Settings) -> Settings {
    Settings {
        more: other.more.clone(),
        sections: other.sections.clone(),
        listeners: other.listeners.clone(),
        ..Settings::new(other.hostname)
    }
}
