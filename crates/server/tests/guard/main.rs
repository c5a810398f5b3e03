//! What keeps those out who should not be in, and those in who should.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // tests over real sockets

#[path = "../support/mod.rs"]
mod support;

mod app_passwords;
mod logins;
mod secrets;
mod senders;
mod slow;
mod throttle;

use mailwright_server::Config;
use mailwright_server::accounts::set_password;
use mailwright_server::config::AccountEntry;
use std::path::Path;

/// A configuration without listeners, with these accounts and their passwords in the accounts file.
fn config(folder: &Path, accounts: &[(&str, &str)]) -> Config {
    let mut config = Config::new("mail.a.test".parse().unwrap(), folder);
    config.domains = vec!["a.test".parse().unwrap()];
    let mut file = mailwright_server::accounts::AccountsFile::open(&config.accounts_file).unwrap();
    for (name, password) in accounts {
        let mut entry = AccountEntry::new(name.parse().unwrap());
        set_password(&mut entry, &(*password).into());
        file.put(entry);
    }
    file.save().unwrap();
    config
}
