//! Accounts: who gets in, how the file changes under a running server, and where mail for an address goes.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use mailwright_address::EmailAddress;
use mailwright_mailbox::{Account, MemoryStore, SpecialUse, Store};
use mailwright_sasl::{
    Answer, Client, ClientStep, Credentials, Mechanism, Question, ScramCredentials, ScramHash,
};
use mailwright_sasl::{Secret, ServerStep};
use mailwright_server::accounts::{Accounts, AccountsFile, Visit, set_password};
use mailwright_server::config::{AccountEntry, Service};
use mailwright_server::delivery::Destination;
use mailwright_server::{Config, Running, Server};
use std::path::Path;

fn address(text: &str) -> EmailAddress {
    text.parse().expect(text)
}

fn config(folder: &Path) -> Config {
    let mut config = Config::new("mail.a.test".parse().unwrap(), folder);
    config.domains = vec!["a.test".parse().unwrap(), "also.test".parse().unwrap()];
    config
}

fn put(folder: &Path, name: &str, password: &str) {
    let mut file = AccountsFile::open(&folder.join("accounts.toml")).unwrap();
    let mut entry = AccountEntry::new(address(name));
    set_password(&mut entry, &Secret::from(password));
    file.put(entry);
    file.save().unwrap();
}

fn visit() -> Visit {
    Visit::new([192, 0, 2, 1].into(), Service::Imap)
}

async fn gets_in(accounts: &Accounts, name: &str, password: &str) -> Option<String> {
    let account = accounts.verify(name, &Secret::from(password)).await;
    account.map(|account| account.as_str().to_owned())
}

#[tokio::test]
async fn the_right_password_gets_in_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "Alice@a.test", "one");
    let mut config = config(folder.path());
    let mut inline = AccountEntry::new(address("bob@a.test"));
    set_password(&mut inline, &Secret::from("two"));
    config.accounts = vec![inline, AccountEntry::new(address("nopassword@a.test"))];
    let accounts = Accounts::load(&config).unwrap();
    let alice = Some("alice@a.test".to_owned());
    assert_eq!(gets_in(&accounts, "Alice@a.test", "one").await, alice);
    assert_eq!(gets_in(&accounts, "ALICE@A.TEST", "one").await, alice);
    assert_eq!(
        gets_in(&accounts, "alice", "one").await,
        alice,
        "the first domain completes the name"
    );
    assert_eq!(
        gets_in(&accounts, "bob@a.test", "two").await.as_deref(),
        Some("bob@a.test")
    );
    for (name, password) in [
        ("alice@a.test", "two"),
        ("alice@a.test", ""),
        ("alice@also.test", "one"),
        ("nopassword@a.test", ""),
        ("nobody@a.test", "one"),
        ("", ""),
    ] {
        assert_eq!(
            gets_in(&accounts, name, password).await,
            None,
            "{name} {password}"
        );
    }
}

#[tokio::test]
async fn a_changed_file_counts_at_once_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.toml");
    let accounts = Accounts::load(&config(folder.path())).unwrap();
    assert_eq!(gets_in(&accounts, "alice@a.test", "one").await, None);
    put(folder.path(), "alice@a.test", "one");
    assert!(gets_in(&accounts, "alice@a.test", "one").await.is_some());
    put(folder.path(), "alice@a.test", "other");
    assert!(gets_in(&accounts, "alice@a.test", "one").await.is_none());
    assert!(gets_in(&accounts, "alice@a.test", "other").await.is_some());
    std::fs::write(&path, "[[account]\n").unwrap();
    assert!(gets_in(&accounts, "alice@a.test", "other").await.is_some());
    std::fs::write(&path, "").unwrap();
    assert!(gets_in(&accounts, "alice@a.test", "other").await.is_none());
    assert_eq!(accounts.all(), []);
}

#[tokio::test]
async fn a_file_that_is_gone_for_a_while_takes_no_accounts_along() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "alice@a.test", "one");
    let accounts = Accounts::load(&config(folder.path())).unwrap();
    std::fs::remove_file(folder.path().join("accounts.toml")).unwrap();
    assert!(accounts.at(&address("alice@a.test")).is_some());
    put(folder.path(), "bob@a.test", "two");
    assert!(accounts.at(&address("alice@a.test")).is_none());
    assert!(accounts.at(&address("bob@a.test")).is_some());
}

#[test]
fn the_file_survives_its_editing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.toml");
    put(folder.path(), "alice@a.test", "one");
    put(folder.path(), "\"odd \\\" name\"@a.test", "two");
    let names = |path: &Path| {
        let file = AccountsFile::open(path).unwrap();
        file.entries()
            .iter()
            .map(|entry| entry.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&path), ["alice@a.test", "\"odd \\\" name\"@a.test"]);
    let mut file = AccountsFile::open(&path).unwrap();
    assert!(file.remove("ALICE@a.test") && !file.remove("alice@a.test"));
    file.save().unwrap();
    drop(file);
    assert_eq!(names(&path), ["\"odd \\\" name\"@a.test"]);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "only the owner may read it");
    }
}

/// Runs a whole SASL exchange against the accounts; whether it succeeds.
#[cfg(unix)]
#[test]
fn links_beside_the_file_are_not_written_through() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    symlink(&victim, folder.path().join("accounts.toml.part")).unwrap();
    put(folder.path(), "alice@a.test", "one");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    let file = folder.path().join("accounts.toml");
    assert!(std::fs::symlink_metadata(&file).unwrap().is_file());

    let (lock, made) = (
        folder.path().join("accounts.toml.lock"),
        folder.path().join("made"),
    );
    std::fs::remove_file(&lock).unwrap();
    symlink(&made, &lock).unwrap();
    assert!(AccountsFile::open(&file).is_err());
    assert!(!made.exists());
}

async fn exchange(accounts: &Accounts, mechanism: Mechanism, credentials: Credentials) -> bool {
    let mut server = mailwright_sasl::Server::new(mechanism, &[1; 32]);
    let mut client = Client::new(mechanism, credentials, &[2; 32]);
    let mut challenge: Option<Vec<u8>> = None;
    if !mechanism.is_client_first() {
        let ServerStep::Challenge(first) = server.step(None) else {
            panic!("no challenge")
        };
        challenge = Some(first);
    }
    loop {
        let response = match client.step(challenge.as_deref()) {
            Ok(ClientStep::Respond(response)) => response,
            Ok(_) => Vec::new(),
            Err(_) => return false,
        };
        let mut step = server.step(Some(&response));
        if let ServerStep::Ask(question) = step {
            step = server.answer(accounts.answer(question, visit()).await);
        }
        challenge = match step {
            ServerStep::Challenge(data)
            | ServerStep::Done {
                final_data: Some(data),
                ..
            } => Some(data),
            ServerStep::Done { .. } => return true,
            _ => return false,
        };
    }
}

#[tokio::test]
async fn every_mechanism_asks_the_same_accounts() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "alice@a.test", "one");
    put(folder.path(), "bob@a.test", "two");
    let accounts = Accounts::load(&config(folder.path())).unwrap();
    for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256] {
        for (name, password, right) in [
            ("alice@a.test", "one", true),
            ("alice@a.test", "two", false),
            ("nobody@a.test", "one", false),
        ] {
            let got = exchange(&accounts, mechanism, Credentials::new(name, password)).await;
            assert_eq!(got, right, "{mechanism:?} {name} {password}");
        }
    }
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        for (acting, right) in [
            ("ALICE@a.test", true),
            ("bob@a.test", false),
            ("nobody@a.test", false),
        ] {
            let credentials = Credentials::new("alice@a.test", "one").acting_as(acting);
            assert_eq!(
                exchange(&accounts, mechanism, credentials).await,
                right,
                "{mechanism:?} as {acting}"
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_name_gets_a_steady_scram_salt() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Accounts::load(&config(folder.path())).unwrap();
    let ask = async |name: &str| {
        let username = name.to_owned();
        match accounts
            .answer(
                Question::Scram {
                    authzid: None,
                    username,
                    hash: ScramHash::Sha256,
                },
                visit(),
            )
            .await
        {
            Answer::Scram(credentials) => credentials.salt().to_vec(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask("nobody@a.test").await, ask("Nobody@a.test").await);
    assert_ne!(ask("nobody@a.test").await, ask("somebody@a.test").await);
    // An account has one salt in all spellings of its name, and so has a name that nobody has.
    put(folder.path(), "alice@a.test", "one");
    for name in ["alice", "nobody"] {
        assert_eq!(ask(name).await, ask(&format!("{name}@A.test")).await, "{name}");
    }
}

#[tokio::test]
async fn domains_are_the_same_in_all_their_forms() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.domains = vec![
        "bücher.test".parse().unwrap(),
        "xn--caf-dma.test".parse().unwrap(),
    ];
    put(folder.path(), "alice@Bücher.test", "one");
    put(folder.path(), "bob@café.test", "two");
    let accounts = Accounts::load(&config).unwrap();
    for name in [
        "alice",
        "alice@bücher.test",
        "alice@xn--bcher-kva.test",
        "Alice@XN--BCHER-KVA.test",
    ] {
        assert!(gets_in(&accounts, name, "one").await.is_some(), "{name}");
        assert!(gets_in(&accounts, name, "two").await.is_none(), "{name}");
    }
    assert!(gets_in(&accounts, "bob@xn--caf-dma.test", "two").await.is_some());
    let running = started(config).await;
    for recipient in [
        "alice@xn--bcher-kva.test",
        "alice+x@BÜCHER.test",
        "bob@café.test",
        "bob@xn--caf-dma.test",
    ] {
        let destination = running.shared().destination(&address(recipient));
        assert!(
            matches!(destination, Destination::Here(_)),
            "{recipient}: {destination:?}"
        );
    }
    let other = running.shared().destination(&address("alice@bucher.test"));
    assert!(matches!(other, Destination::Elsewhere), "{other:?}");
    running.shutdown().await;
}

#[tokio::test]
async fn scram_with_sha_1_needs_its_verifiers() {
    let folder = tempfile::tempdir().unwrap();
    let of = |mechanisms: Vec<Mechanism>| {
        mechanisms
            .into_iter()
            .map(Mechanism::name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    put(folder.path(), "alice@a.test", "one");
    let accounts = Accounts::load(&config(folder.path())).unwrap();
    assert_eq!(
        of(accounts.mechanisms()),
        "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"
    );
    let mut config = config(folder.path());
    config.accounts_file = folder.path().join("other.toml");
    let mut entry = AccountEntry::new(address("carol@a.test"));
    set_password(&mut entry, &Secret::from("three"));
    let iterations = 4096.try_into().unwrap();
    let verifier =
        ScramCredentials::derive_with(ScramHash::Sha1, &Secret::from("three"), &[1; 16], iterations);
    entry.scram = Some(verifier.to_string());
    config.accounts = vec![entry.clone()];
    let accounts = Accounts::load(&config).unwrap();
    assert_eq!(
        of(accounts.mechanisms()),
        "SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN"
    );
    for (password, right) in [("three", true), ("one", false)] {
        let credentials = Credentials::new("carol", password);
        assert_eq!(
            exchange(&accounts, Mechanism::ScramSha1, credentials).await,
            right
        );
    }
    // One of each: none works for all.
    let mut other = AccountEntry::new(address("dave@a.test"));
    set_password(&mut other, &Secret::from("four"));
    config.accounts = vec![entry, other];
    assert_eq!(of(Accounts::load(&config).unwrap().mechanisms()), "PLAIN LOGIN");
}

async fn started(config: Config) -> Running<MemoryStore> {
    Server::builder(config)
        .store(MemoryStore::default())
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn addresses_lead_to_accounts() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "alice@a.test", "one");
    put(folder.path(), "bob@a.test", "two");
    put(folder.path(), "odd+name@a.test", "three");
    let mut config = config(folder.path());
    let aliases = [
        (
            "info@a.test",
            vec!["alice@a.test", "bob@a.test", "alice@a.test", "far@away.test"],
        ),
        ("sales", vec!["info@a.test"]),
        ("bob@a.test", vec!["bob@a.test", "bob@away.test"]),
        ("loop@a.test", vec!["pool@a.test"]),
        ("pool@a.test", vec!["loop@a.test"]),
        ("@also.test", vec!["alice@a.test"]),
        ("none@also.test", vec!["loop@a.test"]),
        ("all@also.test", vec!["east@also.test", "west@also.test"]),
        ("east@also.test", vec!["team@also.test"]),
        ("west@also.test", vec!["team@also.test"]),
        ("team@also.test", vec!["far@away.test"]),
        ("postmaster@a.test", vec!["postmaster@a.test"]),
    ];
    for (alias, targets) in aliases {
        config
            .aliases
            .insert(alias.into(), targets.into_iter().map(address).collect());
    }
    let running = started(config).await;
    let shared = running.shared();
    let lead_to = |text: &str| match shared.destination(&address(text)) {
        Destination::Here(targets) => {
            let accounts = targets.accounts.iter().map(|account| account.as_str().to_owned());
            accounts
                .chain(targets.elsewhere.iter().map(ToString::to_string))
                .collect::<Vec<_>>()
                .join(" ")
        }
        Destination::Elsewhere => "elsewhere".to_owned(),
        Destination::Nobody => "nobody".to_owned(),
        _ => unreachable!(),
    };
    for (text, expected) in [
        ("alice@a.test", "alice@a.test"),
        ("\"ALICE\"@A.test", "alice@a.test"),
        ("alice+lists@a.test", "alice@a.test"),
        ("odd+name@a.test", "odd+name@a.test"),
        ("+alice@a.test", "nobody"),
        ("bob@a.test", "bob@a.test bob@away.test"),
        ("bob+x@a.test", "bob@a.test bob@away.test"),
        (
            "Info@a.test",
            "alice@a.test bob@a.test bob@away.test far@away.test",
        ),
        (
            "sales@also.test",
            "alice@a.test bob@a.test bob@away.test far@away.test",
        ),
        ("loop@a.test", "nobody"),
        ("none@also.test", "nobody"),
        ("whoever@also.test", "alice@a.test"),
        ("all@also.test", "far@away.test"),
        ("nobody@a.test", "nobody"),
        ("postmaster@a.test", "alice@a.test"),
        ("alice@away.test", "elsewhere"),
        ("alice@[127.0.0.1]", "elsewhere"),
    ] {
        assert_eq!(lead_to(text), expected, "{text}");
    }
    assert_eq!(shared.postmaster().unwrap().to_string(), "postmaster@a.test");
    running.shutdown().await;
}

#[tokio::test]
async fn every_account_begins_with_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "alice@a.test", "one");
    let running = started(config(folder.path())).await;
    let store = &running.shared().store;
    let mailboxes = store.mailboxes(&Account::new("alice@a.test")).await.unwrap();
    let mut folders: Vec<_> = mailboxes
        .iter()
        .map(|mailbox| (mailbox.name.as_str(), mailbox.special_use, mailbox.subscribed))
        .collect();
    folders.sort_by_key(|(name, ..)| *name);
    let expected = [
        ("Archive", Some(SpecialUse::Archive), true),
        ("Drafts", Some(SpecialUse::Drafts), true),
        ("INBOX", None, true),
        ("Junk", Some(SpecialUse::Junk), true),
        ("Sent", Some(SpecialUse::Sent), true),
        ("Trash", Some(SpecialUse::Trash), true),
    ];
    assert_eq!(folders, expected);
    // Again: what is there stays.
    let inbox = mailwright_server::delivery::inbox(store, &Account::new("alice@a.test"), &[])
        .await
        .unwrap();
    assert!(
        mailboxes
            .iter()
            .any(|mailbox| mailbox.id == inbox && mailbox.name.is_inbox())
    );
    running.shutdown().await;
}
