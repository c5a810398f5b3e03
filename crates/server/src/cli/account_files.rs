//! The files in which a server keeps its accounts.

use super::Failure;
use mailwright_address::{Domain, EmailAddress};
use mailwright_server::accounts::same_name;
use mailwright_server::config::{AccountEntry, Config};
use mailwright_server::domains::Domains;
use std::path::PathBuf;

/// The server whose accounts these are.
#[derive(Debug)]
pub(super) struct AccountFiles {
    pub(super) accounts_file: PathBuf,
    pub(super) logins_file: PathBuf,
    /// Accounts that the configuration itself holds; out of reach here.
    pub(super) of_config: Vec<AccountEntry>,
    /// Those whose accounts may be; none if all may.
    pub(super) domains: Vec<Domain>,
}

impl AccountFiles {
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            logins_file: config.logins_file(),
            accounts_file: config.accounts_file.clone(),
            of_config: config.accounts.clone(),
            domains: Domains::load(config)?.all().to_vec(),
        })
    }

    /// Why an account cannot be changed by a command, if it cannot.
    pub(super) fn is_of_config(&self, name: &EmailAddress) -> Option<Failure> {
        let there = self.of_config.iter().any(|entry| same_name(&entry.name, name));
        there.then(|| format!("{name} stands in the configuration file itself: change it there").into())
    }
}
