//! The server that a command is about, and its store while no server has it.

use super::Failure;
use super::kept::{self, Kept};
use clap::Args;
use mailwright_address::Domain;
use mailwright_mailbox::{Account, Store};
use mailwright_server::accounts::Accounts;
use mailwright_server::config::Config;
use std::path::{Path, PathBuf};

/// The options that say which server is meant.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The data folder of a `localserve`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    /// The configuration of the server; of a `localserve`, as much of it as its data folder tells.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        if let Some(path) = &self.config {
            return Ok(Config::load(path)?);
        }
        let folder = self.data.as_deref().unwrap_or(Path::new(super::localserve::DATA));
        if !folder.is_dir() {
            return Err(format!(
                "there is no folder {}: say which server it is by --config FILE or --data DIR",
                folder.display()
            )
            .into());
        }
        let localhost = Domain::parse("localhost")?;
        let mut config = Config::new(localhost.clone(), folder);
        config.domains.push(localhost);
        config.store = kept::kind_of(&config.data.join("mail")).unwrap_or_default();
        Ok(config)
    }
}

/// What to do about a server that runs.
pub(super) const IN_USE: &str = "The server is running: stop it for as long as this takes.";

/// Opens the store of a server that does not run.
pub(super) fn open(config: &Config) -> Result<Kept, Failure> {
    Kept::open(&config.data, Some(config.store), IN_USE)
}

/// The account of a name, which must be one of the server's.
pub(super) fn account(config: &Config, name: &str) -> Result<Account, Failure> {
    let accounts = Accounts::load(config)?;
    accounts.find(name).ok_or_else(|| {
        format!("there is no account {name}: `mailwright account add` makes it, `account list` tells who is")
            .into()
    })
}

/// The account of a name, or one that is gone and has left its mail.
pub(super) async fn account_with_mail<S: Store>(
    config: &Config,
    store: &S,
    name: &str,
) -> Result<Account, Failure> {
    let account = Accounts::load(config)?
        .find(name)
        .unwrap_or_else(|| Account::new(name));
    match store.mailboxes(&account).await?.is_empty() {
        true => Err(format!("there is no mail of {name}").into()),
        false => Ok(account),
    }
}
