//! Logins with passwords: what is counted, what is forgiven, what is told.

use super::config;
use crate::support::lines::{Lines, Tls};
use crate::support::site::Site;
use mailwright_filter::rate::Rate;
use mailwright_sasl::{Answer, Identity, Question, ScramHash};
use mailwright_server::accounts::{Accounts, AccountsFile, Visit, hash_password, set_password};
use mailwright_server::config::{AccountEntry, Disabled, LoginLimits, PasswordLogins, Service};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

fn from(address: &str) -> Visit {
    Visit::new(address.parse().unwrap(), Service::Imap)
}

async fn tries(accounts: &Accounts, name: &str, password: &str, visit: Visit) -> Answer {
    let question = Question::Password {
        authzid: None,
        username: name.into(),
        password: password.into(),
    };
    accounts.answer(question, visit).await
}

fn strict() -> LoginLimits {
    let mut limits = LoginLimits::default();
    limits.failures_per_address = Some(Rate::new(4, Duration::from_secs(3600)));
    limits.failures_per_account = Some(Rate::new(6, Duration::from_secs(3600)));
    limits
}

#[tokio::test(start_paused = true)]
async fn who_fails_too_often_waits_and_the_owner_at_home_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one"), ("bob@a.test", "two")]);
    config.login_limits = strict();
    let accounts = Accounts::load(&config).unwrap();
    let home = from("198.51.100.7");
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
    for (n, lair) in ["203.0.113.1", "203.0.113.2"].into_iter().enumerate() {
        for guess in 0..6 {
            let answer = tries(&accounts, "alice", &format!("guess {n} {guess}"), from(lair)).await;
            let expected = match n * 4 + guess {
                _ if guess >= 4 => Answer::Unavailable,
                tried if tried >= 6 => Answer::Unavailable,
                _ => Answer::Deny,
            };
            assert_eq!(answer, expected, "guess {guess} from {lair}");
        }
    }
    let elsewhere = from("192.0.2.77");
    assert_eq!(
        tries(&accounts, "alice", "one", elsewhere).await,
        Answer::Unavailable
    );
    assert_eq!(
        tries(&accounts, "bob", "two", elsewhere).await,
        Answer::Accept,
        "another account"
    );
    let started = Instant::now();
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
    assert_eq!(started.elapsed(), Duration::ZERO, "without any delay");
    // Time heals.
    tokio::time::advance(Duration::from_secs(3700)).await;
    assert_eq!(tries(&accounts, "alice", "one", elsewhere).await, Answer::Accept);
}

#[tokio::test(start_paused = true)]
async fn places_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one")]);
    config.login_limits = strict();
    let running = mailwright_server::Server::builder(config.clone())
        .store(mailwright_mailbox::MemoryStore::default())
        .start()
        .await
        .unwrap();
    let home = from("198.51.100.7");
    let accounts = &running.shared().accounts;
    assert_eq!(tries(accounts, "alice", "one", home).await, Answer::Accept);
    running.shutdown().await;
    let kept = std::fs::read_to_string(config.logins_file()).unwrap();
    assert!(kept.contains("198.51.100.7") && !kept.contains("one"), "{kept}");

    let accounts = Accounts::load(&config).unwrap();
    for n in 0..9 {
        let lair: IpAddr = [203, 0, n, 1].into();
        tries(
            &accounts,
            "alice",
            &format!("guess {n}"),
            Visit::new(lair, Service::Pop3),
        )
        .await;
    }
    assert_eq!(
        tries(&accounts, "alice", "one", from("192.0.2.1")).await,
        Answer::Unavailable
    );
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
    // A broken file costs the places, and nothing else.
    std::fs::write(config.logins_file(), "{\n\u{fffd}\n").unwrap();
    let accounts = Accounts::load(&config).unwrap();
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
}

#[tokio::test(start_paused = true)]
async fn a_device_with_an_old_password_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one")]);
    config.login_limits = strict();
    config.login_limits.failures_per_known_place = Some(Rate::new(2, Duration::from_secs(3600)));
    let accounts = Accounts::load(&config).unwrap();
    let home = from("198.51.100.7");
    for _ in 0..50 {
        assert_eq!(tries(&accounts, "alice", "old", home).await, Answer::Deny);
    }
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
    for _ in 0..50 {
        assert_eq!(tries(&accounts, "alice", "old", home).await, Answer::Deny);
        assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
    }
    // Once it is the password, what was known of it counts no more.
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    set_password(file.entry("alice@a.test").unwrap(), &"old".into());
    file.save().unwrap();
    assert_eq!(tries(&accounts, "alice", "old", home).await, Answer::Accept);
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Deny);
}

#[tokio::test(start_paused = true)]
async fn exchanges_of_scram_are_counted_when_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one")]);
    config.login_limits = strict();
    let accounts = Accounts::load(&config).unwrap();
    let asks = async |name: &str, visit| {
        let question = Question::Scram {
            authzid: None,
            username: name.into(),
            hash: ScramHash::Sha256,
        };
        matches!(accounts.answer(question, visit).await, Answer::Scram(_))
    };
    for name in ["alice", "nobody"] {
        let lair = from(if name == "alice" {
            "203.0.113.1"
        } else {
            "203.0.114.1"
        });
        for n in 0..6 {
            assert_eq!(asks(name, lair).await, n < 4, "{name} {n}");
        }
    }
    // Whoever succeeds is known from then on.
    let home = from("198.51.100.7");
    assert!(asks("alice", home).await);
    assert!(accounts.grant(&Identity::new("alice", None), home).is_some());
    for _ in 0..9 {
        tries(&accounts, "alice", "guess", from("192.0.2.1")).await;
        tries(&accounts, "alice", "another", from("192.0.3.1")).await;
        assert!(asks("alice", home).await);
        assert!(accounts.grant(&Identity::new("alice", None), home).is_some());
    }
}

#[tokio::test]
async fn too_many_that_wait_are_told_to_come_back_and_addresses_have_their_share() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one")]);
    config.limits.password_checks = 1;
    config.login_limits.waiting = 20;
    config.login_limits.failures_per_account = None;
    config.login_limits.failures_per_address = None;
    config.login_limits.failures_per_network = None;
    config.login_limits.delay = Duration::ZERO;
    let accounts = std::sync::Arc::new(Accounts::load(&config).unwrap());
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let accounts = accounts.clone();
            tokio::spawn(async move {
                tries(&accounts, "alice", &format!("guess {n}"), from("203.0.113.1")).await
            })
        })
        .collect();
    // They have all been polled when this has, as there is one thread.
    tokio::task::yield_now().await;
    let owner = tries(&accounts, "alice", "one", from("198.51.100.7"));
    assert_eq!(owner.await, Answer::Accept, "another address is not held up");
    let mut busy = 0;
    for task in tasks {
        match task.await.unwrap() {
            Answer::Deny => {}
            Answer::Unavailable => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        (30..40).contains(&busy),
        "{busy} of 40 were sent away: a tenth of 20 may wait"
    );
}

#[tokio::test]
async fn weak_hashes_are_replaced_at_login_and_the_session_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one")]);
    config.password_hash.memory = 20 * 1024;
    config.password_hash.passes = 3;
    let accounts = Accounts::load(&config).unwrap();
    let home = from("198.51.100.7");
    let identity = Identity::new("alice", None);
    let hash = || {
        let mut file = AccountsFile::open(&config.accounts_file).unwrap();
        file.entry("alice@a.test").unwrap().password.clone().unwrap()
    };
    assert!(hash().contains("m=19456,t=2,p=1"));
    assert_eq!(tries(&accounts, "alice", "two", home).await, Answer::Deny);
    assert!(
        hash().contains("m=19456,t=2,p=1"),
        "a wrong password replaces nothing"
    );
    let grant = accounts.grant(&identity, home).unwrap();
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !hash().contains("m=20480,t=3,p=1") {
        assert!(std::time::Instant::now() < until, "{}", hash());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tries(&accounts, "alice", "one", home).await, Answer::Accept);
    assert!(accounts.stands(&grant), "the password is the same");
    let strong = hash();
    assert_eq!(
        tries(&accounts, "alice", "one", from("192.0.2.1")).await,
        Answer::Accept
    );
    assert_eq!(strong, hash());
    // The same password hashed by somebody else is a change.
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    file.entry("alice@a.test").unwrap().password = Some(hash_password(&"one".into()));
    file.save().unwrap();
    assert!(!accounts.stands(&grant));
}

/// Each protocol has its own words for "come back later".
#[tokio::test]
async fn refusals_are_told_in_the_words_of_each_protocol() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let mut limits = LoginLimits::default();
    limits.exempt = vec![];
    limits.delay = Duration::ZERO;
    limits.failures_per_address = Some(Rate::new(1, Duration::from_secs(3600)));
    let site = Site::called("mail.b.test", "127.0.0.1", &tls)
        .account("bob@b.test", "builder")
        .adjust(|config| config.login_limits = limits)
        .start()
        .await;
    let mut imap = Lines::connect_tls(site.address("imaps"), &tls, "mail.b.test").await;
    imap.line().await.expect("a greeting");
    imap.imap("LOGIN bob@b.test wrong", "NO").await;
    let told = imap.imap("LOGIN bob@b.test builder", "NO").await;
    let told = String::from_utf8_lossy(told.last().unwrap()).into_owned();
    assert!(told.contains("[UNAVAILABLE]"), "{told}");
    let mut pop = Lines::connect_tls(site.address("pop3s"), &tls, "mail.b.test").await;
    pop.reply("+OK").await;
    pop.say("USER bob@b.test", "+OK").await;
    pop.say("PASS builder", "-ERR [SYS/TEMP]").await;
    let mut smtp = Lines::connect_tls(site.address("submissions"), &tls, "mail.b.test").await;
    smtp.reply("220").await;
    smtp.say("EHLO c.example", "250").await;
    // \0bob@b.test\0builder
    smtp.say("AUTH PLAIN AGJvYkBiLnRlc3QAYnVpbGRlcg==", "454 4.7.0")
        .await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_costs_as_much_work_as_one_that_somebody_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one"), ("carol@a.test", "two")]);
    config.login_limits.delay = Duration::ZERO;
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    file.put(AccountEntry::new("dave@a.test".parse().unwrap()));
    let mut erin = AccountEntry::new("erin@a.test".parse().unwrap());
    set_password(&mut erin, &"three".into());
    erin.password_logins = PasswordLogins::AppOnly;
    file.put(erin);
    file.entry("carol@a.test").unwrap().disabled = Some(Disabled::Logins);
    file.save().unwrap();
    let accounts = Accounts::load(&config).unwrap();
    let names = [
        "alice",
        "carol",
        "dave",
        "erin",
        "nobody",
        "x@elsewhere.example",
        "",
    ];
    for (n, name) in (0u8..).zip(names) {
        let lair = Visit::new([203, 0, n, 1].into(), Service::Imap);
        let before = accounts.hash_work();
        assert_eq!(
            tries(&accounts, name, "wrong", lair).await,
            Answer::Deny,
            "{name}"
        );
        assert_eq!(accounts.hash_work() - before, 19_456 * 2, "{name}");
        // What was wrong a moment ago is wrong, and costs nothing, whoever it is.
        assert_eq!(
            tries(&accounts, name, "wrong", lair).await,
            Answer::Deny,
            "{name}"
        );
        assert_eq!(accounts.hash_work() - before, 19_456 * 2, "{name}");
    }
    let before = accounts.hash_work();
    assert_eq!(
        tries(&accounts, "alice", "one", from("198.51.100.7")).await,
        Answer::Accept
    );
    assert_eq!(
        accounts.hash_work() - before,
        19_456 * 2,
        "what is right costs no less"
    );
}

#[tokio::test(start_paused = true)]
async fn where_all_hashes_are_weak_so_is_the_work_for_a_name_that_nobody_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "one")]);
    config.login_limits.delay = Duration::ZERO;
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    let entry = file.entry("alice@a.test").unwrap();
    // Of no password that anybody knows: what counts is its cost.
    entry.password = entry
        .password
        .as_ref()
        .map(|hash| hash.replace("m=19456,t=2", "m=8192,t=1"));
    file.save().unwrap();
    drop(file);
    let accounts = Accounts::load(&config).unwrap();
    for (n, name) in (0u8..).zip(["alice", "nobody"]) {
        let before = accounts.hash_work();
        let lair = Visit::new([203, 0, n, 1].into(), Service::Imap);
        assert_eq!(tries(&accounts, name, "wrong", lair).await, Answer::Deny);
        assert_eq!(accounts.hash_work() - before, 8192, "{name}");
    }
    // Accounts that come change what a name costs that nobody has.
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    set_password(file.entry("alice@a.test").unwrap(), &"two".into());
    file.save().unwrap();
    drop(file);
    let before = accounts.hash_work();
    assert_eq!(
        tries(&accounts, "nobody", "wrong again", from("203.0.9.1")).await,
        Answer::Deny
    );
    assert_eq!(accounts.hash_work() - before, 19_456 * 2);
}
