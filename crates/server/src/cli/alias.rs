//! `mailwright alias`: the aliases file.

use super::place::Place;
use super::{Failure, terminal};
use clap::{Args, Subcommand};
use mailwright_address::{Domain, EmailAddress};
use mailwright_server::aliases::{Aliases, AliasesFile, alias_key};
use mailwright_server::config::Config;
use mailwright_server::domains::Domains;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let a name stand for addresses, besides those it stands for already.
    Add {
        /// The name: sales@example.org, sales (in every domain), or @example.org (whatever nobody else takes).
        name: String,
        /// The addresses.
        #[arg(required = true)]
        targets: Vec<EmailAddress>,
        #[command(flatten)]
        place: Place,
    },
    /// List all aliases, and what they stand for.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Remove a name, or some of the addresses it stands for.
    Remove {
        /// The name.
        name: String,
        /// The addresses; without any the whole name goes.
        targets: Vec<EmailAddress>,
        #[command(flatten)]
        place: Place,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Add { name, targets, place } => add(&place.config()?, &name, targets),
        Command::List { place } => list(&place.config()?),
        Command::Remove { name, targets, place } => remove(&place.config()?, &name, &targets),
    }
}

fn add(config: &Config, name: &str, targets: Vec<EmailAddress>) -> Result<(), Failure> {
    let domains = Domains::load(config)?;
    check(name, &domains)?;
    let mut file = open(config, &domains)?;
    is_of_config(config, &file, name)?;
    let mut added = 0;
    for target in targets {
        added += usize::from(file.add(name, target));
    }
    if added == 0 {
        return Err(format!("{name} stands for all of them already").into());
    }
    file.save()?;
    let targets = &file.aliases()[&alias_key(name)];
    terminal::print(&line(name, targets));
    Ok(())
}

fn list(config: &Config) -> Result<(), Failure> {
    let aliases = Aliases::load(config)?.all();
    let lines = aliases.iter().map(|(name, targets)| line(name, targets));
    terminal::print(&lines.collect::<String>());
    Ok(())
}

fn remove(config: &Config, name: &str, targets: &[EmailAddress]) -> Result<(), Failure> {
    let mut file = open(config, &Domains::load(config)?)?;
    is_of_config(config, &file, name)?;
    let unknown = |what: &dyn std::fmt::Display| {
        Failure::from(format!(
            "{what} is not there; `mailwright alias list` tells what is"
        ))
    };
    if targets.is_empty() && !file.remove(name, None) {
        return Err(unknown(&name));
    }
    for target in targets {
        if !file.remove(name, Some(target)) {
            return Err(unknown(target));
        }
    }
    file.save()?;
    terminal::print(&match file.aliases().get(&alias_key(name)) {
        Some(left) => line(name, left),
        None => format!("{name} removed\n"),
    });
    Ok(())
}

/// What the configuration says cannot be changed here, and an alias of the file would hide it.
fn is_of_config(config: &Config, file: &AliasesFile, name: &str) -> Result<(), Failure> {
    let key = alias_key(name);
    match config.aliases.contains_key(&key) && !file.aliases().contains_key(&key) {
        true => Err(format!("{name} stands in the configuration file itself: change it there").into()),
        false => Ok(()),
    }
}

/// Whether an alias can have this name.
fn check(name: &str, domains: &Domains) -> Result<(), Failure> {
    let (local, domain) = match name.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (name, None),
    };
    let domain = match domain {
        Some(text) => {
            let domain = Domain::parse(text).map_err(|error| format!("{text}: {error}"))?;
            if !domains.has(&domain) {
                return Err(format!(
                    "{domain} is not one of this server's domains; `mailwright domain list` tells what is"
                )
                .into());
            }
            domain
        }
        None if local.is_empty() => return Err("the name is empty".into()),
        None => Domain::parse("example.org")?,
    };
    if !local.is_empty() {
        EmailAddress::parse(&format!("{local}@{domain}")).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn line(name: &str, targets: &[EmailAddress]) -> String {
    let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
    format!("{name}: {}\n", targets.join(", "))
}

fn open(config: &Config, domains: &Domains) -> Result<AliasesFile, Failure> {
    let path = config.aliases_file.as_deref();
    let path = path.ok_or("the configuration names no aliases file")?;
    Ok(AliasesFile::open(path, &domains.all())?)
}
