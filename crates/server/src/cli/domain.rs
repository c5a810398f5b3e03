//! `mailwright domain`: the domains file.

use super::place::Place;
use super::{Failure, terminal};
use clap::{Args, Subcommand};
use mailwright_address::Domain;
use mailwright_server::accounts::Accounts;
use mailwright_server::aliases::Aliases;
use mailwright_server::config::Config;
use mailwright_server::domains::{Domains, DomainsFile};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take mail for a domain.
    Add {
        /// The domain.
        domain: Domain,
        #[command(flatten)]
        place: Place,
    },
    /// List the domains whose mail ends here.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Take no more mail for a domain. Its accounts and aliases have to be removed before.
    Remove {
        /// The domain.
        domain: Domain,
        #[command(flatten)]
        place: Place,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Add { domain, place } => add(&place.config()?, domain),
        Command::List { place } => {
            let domains = Domains::load(&place.config()?)?.all();
            terminal::print(
                &domains
                    .iter()
                    .map(|domain| format!("{domain}\n"))
                    .collect::<String>(),
            );
            Ok(())
        }
        Command::Remove { domain, place } => remove(&place.config()?, &domain),
    }
}

fn add(config: &Config, domain: Domain) -> Result<(), Failure> {
    if config.is_local(&domain) {
        return Err(format!("{domain} is there already, in the configuration itself").into());
    }
    let mut file = open(config)?;
    let done = format!(
        "{domain} added; see what to publish: mailwright dns records {domain}, and a key to sign with: mailwright dkim\n"
    );
    if !file.add(domain.clone()) {
        return Err(format!("{domain} is there already").into());
    }
    file.save()?;
    terminal::print(&done);
    Ok(())
}

fn remove(config: &Config, domain: &Domain) -> Result<(), Failure> {
    if config.is_local(domain) {
        return Err(format!("{domain} stands in the configuration file itself: change it there").into());
    }
    let is_of = |name: &str| {
        let host = name
            .rsplit_once('@')
            .and_then(|(_, host)| host.parse::<Domain>().ok());
        host.is_some_and(|host| host.same_as(domain))
    };
    let accounts = Accounts::load(config)?.all();
    let accounts = accounts.iter().map(|account| account.as_str().to_owned());
    let aliases = Aliases::load(config)?.all();
    let in_use: Vec<String> = accounts
        .chain(aliases.keys().cloned())
        .filter(|name| is_of(name))
        .collect();
    if !in_use.is_empty() {
        return Err(format!(
            "{domain} still has {}\n  Remove them first: mailwright account remove, mailwright alias remove.",
            in_use.join(", ")
        )
        .into());
    }
    let mut file = open(config)?;
    if !file.remove(domain) {
        return Err(format!("{domain} is not there; `mailwright domain list` tells what is").into());
    }
    file.save()?;
    terminal::print(&format!("{domain} removed\n"));
    Ok(())
}

fn open(config: &Config) -> Result<DomainsFile, Failure> {
    let path = config.domains_file.as_deref();
    Ok(DomainsFile::open(
        path.ok_or("the configuration names no domains file")?,
    )?)
}
