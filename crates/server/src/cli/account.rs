//! `mailwright account`: the accounts file.

use super::account_files::AccountFiles;
use super::queue::size;
use super::{Failure, app_password, place, terminal};
use clap::{Args, Subcommand};
use mailwright_address::EmailAddress;
use mailwright_sasl::Secret;
use mailwright_server::accounts::Accounts;
use mailwright_server::accounts::{AccountsFile, set_password};
use mailwright_server::config::{AccountEntry, Config, Disabled, Quota, Size};
use mailwright_server::control::account::{Request, Usage};
#[cfg(unix)]
use mailwright_server::control::{Client, Request as ControlRequest};
use std::str::FromStr;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: place::Place,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an account; its password is asked for, or read from the standard input.
    Add {
        /// The address, which is the login name as well.
        name: EmailAddress,
    },
    /// List the accounts, with what is special about them.
    List,
    /// Change the password of an account; it is asked for, or read from the standard input.
    Passwd {
        /// The address.
        name: EmailAddress,
    },
    /// Let nobody log in to an account, and put out who is in. Its mail stays.
    Disable {
        /// The address.
        name: EmailAddress,
        /// Refuse mail for it as well.
        #[arg(long)]
        mail: bool,
    },
    /// Undo what `disable` has done.
    Enable {
        /// The address.
        name: EmailAddress,
    },
    /// Tell how much mail an account keeps and may keep, and set that.
    Quota {
        /// The address.
        name: EmailAddress,
        /// The most octets, as 500M or 20G; `none` for no bound.
        #[arg(long, value_name = "SIZE")]
        storage: Option<Bound<Size>>,
        /// The most messages; `none` for no bound.
        #[arg(long, value_name = "N")]
        messages: Option<Bound<u64>>,
        /// Let it be what the configuration says for all.
        #[arg(long, conflicts_with_all = ["storage", "messages"])]
        usual: bool,
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
    let config = arguments.place.config()?;
    let mut place = AccountFiles::of(&config)?;
    if arguments.place.is_local_serve() {
        place.domains.clear();
    }
    match arguments.command {
        Command::Add { name } => add(&place, name),
        Command::List => list(&place),
        Command::Passwd { name } => passwd(&place, &name),
        Command::Disable { name, mail } => {
            let what = if mail { Disabled::All } else { Disabled::Logins };
            change(&place, &name, |entry| entry.disabled = Some(what))?;
            terminal::print(&format!("{name} is disabled; its mail stays\n"));
            Ok(())
        }
        Command::Enable { name } => {
            change(&place, &name, |entry| entry.disabled = None)?;
            terminal::print(&format!("{name} is enabled\n"));
            Ok(())
        }
        Command::Quota {
            name,
            storage,
            messages,
            usual,
        } => {
            if usual || storage.is_some() || messages.is_some() {
                change(&place, &name, |entry| {
                    entry.quota =
                        (!usual).then(|| quota(entry.quota.unwrap_or(config.quota), storage, messages));
                })?;
            }
            tell_usage(&config, &name)
        }
        Command::Remove { name } => remove(&place, &name),
        Command::AppPassword(command) => app_password::run(&place, command),
        Command::Hash => Ok(()),
    }
}

fn add(place: &AccountFiles, name: EmailAddress) -> Result<(), Failure> {
    if let Some(failure) = place.is_of_config(&name) {
        return Err(failure);
    }
    let domain = name
        .domain()
        .ok_or("an account needs a domain, as in alice@example.org")?;
    if !place.domains.is_empty() && !place.domains.iter().any(|local| local.same_as(&domain)) {
        return Err(format!("{domain} is not a local domain: add it by `mailwright domain add`").into());
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

fn list(place: &AccountFiles) -> Result<(), Failure> {
    let file = AccountsFile::open(&place.accounts_file)?;
    let mut names: Vec<_> = file
        .entries()
        .iter()
        .chain(&place.of_config)
        .map(in_list)
        .collect();
    names.sort_unstable();
    names.dedup();
    terminal::print(&names.into_iter().map(|name| name + "\n").collect::<String>());
    Ok(())
}

/// Its name, and what is special about it.
fn in_list(entry: &AccountEntry) -> String {
    let mut special = Vec::new();
    if entry.admin {
        special.push("admin".to_owned());
    }
    match entry.disabled {
        Some(Disabled::Logins) => special.push("disabled".to_owned()),
        Some(Disabled::All) => special.push("disabled, mail refused".to_owned()),
        None => {}
    }
    if entry.password.is_none() && entry.scram.is_none() {
        special.push("no password".to_owned());
    }
    match special.is_empty() {
        true => entry.name.to_string(),
        false => format!("{} ({})", entry.name, special.join(", ")),
    }
}

fn change(
    place: &AccountFiles,
    name: &EmailAddress,
    change: impl FnOnce(&mut AccountEntry),
) -> Result<(), Failure> {
    if let Some(failure) = place.is_of_config(name) {
        return Err(failure);
    }
    let mut file = AccountsFile::open(&place.accounts_file)?;
    let unknown = || format!("there is no account {name}; `mailwright account list` tells who is");
    change(file.entry(name.as_str()).ok_or_else(unknown)?);
    Ok(file.save()?)
}

/// A bound, or none.
#[derive(Debug, Clone, Copy)]
struct Bound<T>(Option<T>);

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Bound<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => text
                .parse()
                .map(|bound| Self(Some(bound)))
                .map_err(|error: T::Err| error.to_string()),
        }
    }
}

/// What stays of a quota of which some bounds are set.
fn quota(before: Quota, storage: Option<Bound<Size>>, messages: Option<Bound<u64>>) -> Quota {
    Quota::new(
        storage.map_or(before.storage, |bound| bound.0.map(|size| size.0)),
        messages.map_or(before.messages, |bound| bound.0),
    )
}

fn tell_usage(config: &Config, name: &EmailAddress) -> Result<(), Failure> {
    let usage = usage(
        config,
        Request::Usage {
            account: name.to_string(),
        },
    )?;
    let bound = |most: Option<String>| most.map_or("no bound".to_owned(), |most| format!("of {most}"));
    terminal::print(&format!(
        "{name} keeps {} ({}) in {} messages ({}){}\n",
        size(usage.octets),
        bound(usage.most_octets.map(size)),
        usage.messages,
        bound(usage.most_messages.map(|most| most.to_string())),
        if usage.own { ", by bounds of its own" } else { "" },
    ));
    Ok(())
}

/// Asks the server that runs, or looks into the store where none runs.
fn usage(config: &Config, request: Request) -> Result<Usage, Failure> {
    #[cfg(unix)]
    if let Some(mut client) = Client::connect(&config.data)? {
        return Ok(client.call(ControlRequest::Account(request))?);
    }
    let (accounts, store) = (Accounts::load(config)?, place::open(config)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(request.answer(&accounts, &store, config.quota))?)
}

fn passwd(place: &AccountFiles, name: &EmailAddress) -> Result<(), Failure> {
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

fn remove(place: &AccountFiles, name: &EmailAddress) -> Result<(), Failure> {
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
