//! `mailwright account`: the accounts file.

use super::{Failure, app_password, terminal};
use clap::{Args, Subcommand};
use mailwright_address::{Domain, EmailAddress};
use mailwright_sasl::Secret;
use mailwright_server::accounts::{AccountsFile, same_name, set_password};
use mailwright_server::config::{AccountEntry, Config};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The data folder of a `localserve`.
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an account; its password is asked for, or read from the standard input.
    Add {
        /// The address, which is the login name as well.
        name: EmailAddress,
    },
    /// List the accounts.
    List,
    /// Change the password of an account; it is asked for, or read from the standard input.
    Passwd {
        /// The address.
        name: EmailAddress,
    },
    /// Remove an account. Its mail stays in the store, and is there again if the account is.
    Remove {
        /// The address.
        name: EmailAddress,
    },
    /// Passwords of single programs and devices: made here, shown once.
    #[command(subcommand)]
    AppPassword(app_password::Command),
    /// Print the hashes of a password, for an account in a configuration file.
    Hash,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    if let Command::Hash = arguments.command {
        let mut entry = AccountEntry::new("a@b".parse()?);
        set_password(&mut entry, &terminal::ask_password()?);
        let line = |key: &str, value: Option<String>| format!("{key} = \"{}\"\n", value.unwrap_or_default());
        terminal::print(&(line("password", entry.password) + &line("scram", entry.scram)));
        return Ok(());
    }
    let place = Place::find(arguments.config, arguments.data)?;
    match arguments.command {
        Command::Add { name } => add(&place, name),
        Command::List => list(&place),
        Command::Passwd { name } => passwd(&place, &name),
        Command::Remove { name } => remove(&place, &name),
        Command::AppPassword(command) => app_password::run(&place, command),
        Command::Hash => Ok(()),
    }
}

/// The server whose accounts these are.
pub(super) struct Place {
    pub(super) accounts_file: PathBuf,
    pub(super) logins_file: PathBuf,
    /// Accounts that the configuration itself holds; out of reach here.
    of_config: Vec<AccountEntry>,
    domains: Vec<Domain>,
}

impl Place {
    fn find(config: Option<PathBuf>, data: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(path) = config {
            let config = Config::load(&path)?;
            return Ok(Self {
                logins_file: config.logins_file(),
                accounts_file: config.accounts_file,
                of_config: config.accounts,
                domains: config.domains,
            });
        }
        let folder = data.unwrap_or_else(|| Path::new(super::localserve::DATA).into());
        if !folder.is_dir() {
            return Err(format!(
                "there is no folder {}: say which server it is by --config FILE or --data DIR",
                folder.display()
            )
            .into());
        }
        Ok(Self {
            // Where a `localserve` has it, as any server has.
            logins_file: folder.join("logins"),
            accounts_file: folder.join("accounts.toml"),
            of_config: Vec::new(),
            domains: Vec::new(),
        })
    }

    pub(super) fn is_of_config(&self, name: &EmailAddress) -> Option<Failure> {
        let there = self.of_config.iter().any(|entry| same_name(&entry.name, name));
        there.then(|| format!("{name} stands in the configuration file itself: change it there").into())
    }
}

fn add(place: &Place, name: EmailAddress) -> Result<(), Failure> {
    if let Some(failure) = place.is_of_config(&name) {
        return Err(failure);
    }
    let domain = name
        .domain()
        .ok_or("an account needs a domain, as in alice@example.org")?;
    if !place.domains.is_empty() && !place.domains.iter().any(|local| local.same_as(&domain)) {
        return Err(
            format!("{domain} is not a local domain: add it to `domains` in the configuration").into(),
        );
    }
    if AccountsFile::open(&place.accounts_file)?
        .entry(name.as_str())
        .is_some()
    {
        return Err(
            format!("{name} is there already; change its password by `mailwright account passwd`").into(),
        );
    }
    let password = terminal::ask_password()?;
    let mut entry = AccountEntry::new(name);
    set_password(&mut entry, &password);
    let done = format!("{} added\n", entry.name);
    let mut file = AccountsFile::open(&place.accounts_file)?;
    file.put(entry);
    file.save()?;
    terminal::print(&done);
    Ok(())
}

fn list(place: &Place) -> Result<(), Failure> {
    let file = AccountsFile::open(&place.accounts_file)?;
    let mut names: Vec<_> = file
        .entries()
        .iter()
        .chain(&place.of_config)
        .map(|entry| entry.name.to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    terminal::print(&names.into_iter().map(|name| name + "\n").collect::<String>());
    Ok(())
}

fn passwd(place: &Place, name: &EmailAddress) -> Result<(), Failure> {
    if let Some(failure) = place.is_of_config(name) {
        return Err(failure);
    }
    let unknown = || {
        Failure::from(format!(
            "there is no account {name}; `mailwright account list` tells who is"
        ))
    };
    AccountsFile::open(&place.accounts_file)?
        .entry(name.as_str())
        .ok_or_else(unknown)?;
    let password: Secret = terminal::ask_password()?;
    // Opened again: nobody else has to wait while somebody types.
    let mut file = AccountsFile::open(&place.accounts_file)?;
    set_password(file.entry(name.as_str()).ok_or_else(unknown)?, &password);
    file.save()?;
    terminal::print(&format!("the password of {name} is changed\n"));
    Ok(())
}

fn remove(place: &Place, name: &EmailAddress) -> Result<(), Failure> {
    if let Some(failure) = place.is_of_config(name) {
        return Err(failure);
    }
    let mut file = AccountsFile::open(&place.accounts_file)?;
    if !file.remove(name.as_str()) {
        return Err(format!("there is no account {name}; `mailwright account list` tells who is").into());
    }
    file.save()?;
    terminal::print(&format!("{name} removed; its mail stays in the store\n"));
    Ok(())
}
