//! Secrets are printed nowhere.

use super::config;
use mailwright_mailbox::MemoryStore;
use mailwright_sasl::Question;
use mailwright_server::Server;
use mailwright_server::accounts::{AccountsFile, Visit};
use mailwright_server::config::{AppPassword, Service};
use mailwright_server::shared::entropy;

#[tokio::test]
async fn nothing_that_is_printed_for_people_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &[("alice@a.test", "wonderland")]);
    let (made, password) = AppPassword::generate("phone", vec![], 0, &entropy());
    let shown = password.as_str().unwrap().to_owned();
    let mut file = AccountsFile::open(&config.accounts_file).unwrap();
    file.entry("alice@a.test").unwrap().app_passwords.push(made);
    file.save().unwrap();
    let entry = file.entry("alice@a.test").unwrap().clone();
    let (hash, scram) = (entry.password.clone().unwrap(), entry.scram.clone().unwrap());
    let text = std::fs::read_to_string(&config.accounts_file).unwrap();
    let app_hash = text
        .split("$sha256$")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    config.accounts.push(entry.clone());
    let question = Question::Password {
        authzid: None,
        username: "alice@a.test".into(),
        password: shown.as_str().into(),
    };
    let running = Server::builder(config.clone())
        .store(MemoryStore::default())
        .start()
        .await
        .unwrap();
    let visit = Visit::new([192, 0, 2, 1].into(), Service::Imap);
    let mut printed = vec![
        format!("{config:?}"),
        format!("{entry:#?}"),
        format!("{:?}", entry.app_passwords),
        format!("{file:?}"),
        format!("{question:?} {password:?} {visit:?}"),
        format!("{:?}", running.shared().accounts.answer(question, visit).await),
        format!("{running:?}"),
        format!("{:?}", running.shared()),
    ];
    running.shutdown().await;
    // It holds the lock of the accounts file.
    drop(file);
    printed.push(std::fs::read_to_string(config.logins_file()).unwrap());
    // A file that is not understood is complained of without what stands in it.
    let broken = text.replace("label = ", "lable = ");
    std::fs::write(&config.accounts_file, broken).unwrap();
    printed.push(AccountsFile::open(&config.accounts_file).unwrap_err().to_string());
    for text in printed {
        for secret in [
            "wonderland",
            &shown,
            &shown.replace('-', ""),
            &hash,
            &scram,
            &app_hash,
        ] {
            assert!(!text.contains(secret), "a secret is printed: {text:.2000}");
        }
        assert!(
            !text.contains("$argon2") && !text.contains("$sha256"),
            "{text:.2000}"
        );
    }
}
