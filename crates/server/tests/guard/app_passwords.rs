//! Passwords of single programs and devices.

use super::config;
use mailwright_filter::rate::Rate;
use mailwright_sasl::{Answer, Identity, Mechanism, Question, Secret};
use mailwright_server::accounts::{Accounts, AccountsFile, Visit, last_use};
use mailwright_server::config::{AppPassword, Config, PasswordLogins, Service};
use mailwright_server::shared::{entropy, unix_now};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

fn add(config: &Config, label: &str, scope: Vec<Service>) -> String {
    let (made, password) = AppPassword::generate(label, scope, unix_now(), &entropy());
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    file.entry("alice@a.test").unwrap().app_passwords.push(made);
    file.save().unwrap();
    password.as_str().unwrap().to_owned()
}

async fn answer(accounts: &Accounts, password: &str, service: Service, address: [u8; 4]) -> Answer {
    let question = Question::Password {
        authzid: None,
        username: "alice@a.test".into(),
        password: password.into(),
    };
    accounts
        .answer(question, Visit::new(address.into(), service))
        .await
}

const HOME: [u8; 4] = [198, 51, 100, 7];

#[tokio::test(start_paused = true)]
async fn they_work_for_what_they_are_for_and_end_when_they_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &[("alice@a.test", "main")]);
    let accounts = Accounts::load(&config).unwrap();
    assert!(accounts.mechanisms().contains(&Mechanism::ScramSha256));
    let phone = add(&config, "phone", vec![Service::Imap, Service::Smtp]);
    let any = add(&config, "any", vec![]);
    assert!(
        !accounts.mechanisms().contains(&Mechanism::ScramSha256),
        "SCRAM cannot check them"
    );
    let letters = phone.bytes().filter(|octet| *octet != b'-').count();
    assert_eq!(
        (letters, phone.matches('-').count()),
        (25, 4),
        "{letters} letters of 5 bits"
    );
    for (password, service, expected) in [
        (phone.as_str(), Service::Imap, Answer::Accept),
        (&phone, Service::Smtp, Answer::Accept),
        (&phone, Service::Pop3, Answer::Deny),
        (&any, Service::Pop3, Answer::Accept),
        ("main", Service::Pop3, Answer::Accept),
        (&phone.replace('-', ""), Service::Imap, Answer::Accept),
        (
            &phone.replace('-', " ").to_uppercase(),
            Service::Imap,
            Answer::Accept,
        ),
        (&phone[1..], Service::Imap, Answer::Deny),
        ("", Service::Imap, Answer::Deny),
    ] {
        assert_eq!(
            answer(&accounts, password, service, HOME).await,
            expected,
            "{service}"
        );
    }
    let visit = Visit::new(HOME.into(), Service::Imap);
    let grant = accounts.grant(&Identity::new("alice", None), visit).unwrap();
    add(&config, "third", vec![]);
    assert!(accounts.stands(&grant), "one more ends nothing");
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    file.entry("alice@a.test")
        .unwrap()
        .app_passwords
        .retain(|one| one.label != "phone");
    file.save().unwrap();
    assert!(!accounts.stands(&grant));
    assert_eq!(answer(&accounts, &phone, Service::Imap, HOME).await, Answer::Deny);
    assert_eq!(answer(&accounts, &any, Service::Imap, HOME).await, Answer::Accept);
}

#[tokio::test(start_paused = true)]
async fn an_account_may_do_with_them_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &[("alice@a.test", "main")]);
    let accounts = Accounts::load(&config).unwrap();
    let phone = add(&config, "phone", vec![]);
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    file.entry("alice@a.test").unwrap().password_logins = PasswordLogins::AppOnly;
    file.save().unwrap();
    assert_eq!(answer(&accounts, "main", Service::Imap, HOME).await, Answer::Deny);
    assert_eq!(
        answer(&accounts, &phone, Service::Imap, HOME).await,
        Answer::Accept
    );
}

#[tokio::test(start_paused = true)]
async fn no_attack_on_the_account_keeps_them_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "main")]);
    config.login_limits.failures_per_account = Some(Rate::new(10, Duration::from_secs(86_400)));
    let accounts = Accounts::load(&config).unwrap();
    let phone = add(&config, "phone", vec![]);
    let other = AppPassword::generate("x", vec![], 0, &entropy()).1;
    let other = other.as_str().unwrap();
    for n in 0..20u8 {
        let answered = answer(&accounts, &format!("guess {n}"), Service::Imap, [203, 0, n, 1]).await;
        let expected = if n < 10 { Answer::Deny } else { Answer::Unavailable };
        assert_eq!(answered, expected, "guess {n}");
    }
    let started = tokio::time::Instant::now();
    assert_eq!(
        answer(&accounts, other, Service::Imap, [192, 0, 2, 1]).await,
        Answer::Unavailable
    );
    assert!(started.elapsed() > Duration::ZERO);
    let started = tokio::time::Instant::now();
    assert_eq!(
        answer(&accounts, &phone, Service::Imap, [192, 0, 2, 1]).await,
        Answer::Accept
    );
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(
        answer(&accounts, "main", Service::Imap, [192, 0, 2, 1]).await,
        Answer::Accept,
        "it is known there"
    );
}

#[test]
fn files_are_checked_and_show_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &[("alice@a.test", "main")]);
    let password = add(&config, "an \"odd\" label", vec![Service::Pop3]);
    let text = std::fs::read_to_string(&config.accounts_file).unwrap();
    assert!(!text.contains(&password) && !text.contains(&password.replace('-', "")));
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    let entry = file.entry("alice@a.test").unwrap().clone();
    assert_eq!(entry.app_passwords[0].label, "an \"odd\" label");
    assert!(entry.app_passwords[0].is(&Secret::from(&*password)));
    assert!(!entry.app_passwords[0].is(&Secret::from("x".repeat(1000).as_str())));
    drop(file);
    for (from, to) in [
        ("$sha256$", "$sha1$"),
        ("label = ", "name = "),
        ("\"pop3\"", "\"pop4\""),
    ] {
        std::fs::write(&config.accounts_file, text.replacen(from, to, 1)).unwrap();
        let error = Accounts::load(&config).unwrap_err().to_string();
        assert!(!error.contains("sha"), "{error}");
    }
}

fn command(config: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .args(["account", "app-password"])
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_command_makes_lists_and_removes_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &[("alice@a.test", "main")]);
    let file = folder.path().join("config.toml");
    std::fs::write(
        &file,
        "hostname = \"mail.a.test\"\ndomains = [\"a.test\"]\ndata = \".\"\n[[account]]\nname = \"bob@a.test\"\n",
    )
    .unwrap();
    let said = |output: &Output| {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let added = command(
        &file,
        &["add", "alice@a.test", "--label", "phone", "--scope", "imap,smtp"],
    );
    let (ok, password, error) = said(&added);
    assert!(ok, "{error}");
    let accounts = Accounts::load(&config).unwrap();
    let listed = || said(&command(&file, &["list", "alice@a.test"])).1;
    assert!(listed().starts_with("phone\timap,smtp\tmade 20"), "{}", listed());
    assert!(listed().ends_with("last used never\n") && !listed().contains(password.trim()));

    // A server notes the use.
    let running = mailwright_server::Server::builder(config.clone())
        .store(mailwright_mailbox::MemoryStore::default())
        .start()
        .await
        .unwrap();
    let answered = answer(&running.shared().accounts, password.trim(), Service::Imap, HOME).await;
    assert_eq!(answered, Answer::Accept);
    running.shutdown().await;
    assert!(
        last_use(&config.logins_file(), "Alice@a.test", "phone")
            .unwrap()
            .is_some()
    );
    assert!(!listed().contains("never"), "{}", listed());

    for (arguments, complaint) in [
        (
            &["add", "alice@a.test", "--label", "phone"][..],
            "remove it first",
        ),
        (&["add", "alice@a.test", "--label", ""], "label"),
        (
            &["add", "alice@a.test", "--label", "x", "--scope", "nntp"],
            "expected",
        ),
        (&["add", "bob@a.test", "--label", "x"], "configuration file"),
        (&["list", "carol@a.test"], "no account"),
        (&["remove", "alice@a.test", "--label", "tablet"], "tells which"),
    ] {
        let (ok, _, error) = said(&command(&file, arguments));
        assert!(!ok && error.contains(complaint), "{arguments:?}: {error}");
    }
    let (ok, ..) = said(&command(&file, &["remove", "alice@a.test", "--label", "phone"]));
    assert!(ok && listed().is_empty());
    assert_eq!(
        answer(&accounts, password.trim(), Service::Imap, HOME).await,
        Answer::Deny
    );
}
