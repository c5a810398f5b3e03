//! `mailwright vacation`: what senders are told while the owner of an account is away

use super::place::Place;
use super::{Failure, terminal};
use clap::{Args, Subcommand};
use mailwright_address::EmailAddress;
use mailwright_server::accounts::{AccountsFile, same_name};
use mailwright_server::config::{AccountEntry, Config, Vacation};
use std::io::Read;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell senders something from this moment or the first day on, in place of what they were told before.
    Set(Settings),
    /// Show what senders are told.
    Show(Named),
    /// Tell senders nothing any more.
    Clear(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// The address of the account.
    account: EmailAddress,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Settings {
    #[command(flatten)]
    named: Named,
    /// What they are told; without it and `--file` it is read from the standard input.
    #[arg(long)]
    text: Option<String>,
    /// A file with what they are told.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,
    /// The subject; without it, theirs behind `Auto: `.
    #[arg(long)]
    subject: Option<String>,
    /// The first day, as 2026-12-21, from 0:00 UTC; without it, at once.
    #[arg(long, value_name = "DAY", value_parser = Vacation::day)]
    start: Option<u64>,
    /// The last day, until 24:00 UTC; without it, until it is cleared.
    #[arg(long, value_name = "DAY", value_parser = Vacation::day)]
    end: Option<u64>,
    /// After how many days a sender is told again who writes again.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Set(settings) => set(settings),
        Command::Show(named) => show(&named),
        Command::Clear(named) => change(&named, None),
    }
}

fn set(settings: Settings) -> Result<(), Failure> {
    let text = match (settings.text, &settings.file) {
        (Some(text), _) => text,
        (None, Some(file)) => {
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?
        }
        (None, None) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
    if text.trim().is_empty() {
        return Err("there is no text: give it by --text, --file or the standard input".into());
    }
    if let (Some(start), Some(end)) = (settings.start, settings.end)
        && end < start
    {
        return Err("the last day is before the first one".into());
    }
    let mut vacation = Vacation::new(text);
    vacation.subject = settings.subject;
    vacation.start = settings.start;
    vacation.end = settings.end;
    vacation.days = settings.days;
    change(&settings.named, Some(vacation))
}

fn show(named: &Named) -> Result<(), Failure> {
    let config = named.place.config()?;
    let file = AccountsFile::open(&config.accounts_file)?;
    let mut entries = file.entries().iter().chain(&config.accounts);
    let entry = entries.find(|entry| same_name(&entry.name, &named.account));
    let entry = entry.ok_or_else(|| unknown(named))?;
    terminal::print(&match &entry.vacation {
        None => format!("{}: senders are told nothing\n", entry.name),
        Some(vacation) => described(entry, vacation),
    });
    Ok(())
}

fn described(entry: &AccountEntry, vacation: &Vacation) -> String {
    let day = |day: Option<u64>, none: &str| day.map_or_else(|| none.into(), Vacation::day_text);
    let (start, end) = (
        day(vacation.start, "at once"),
        day(vacation.end, "until it is cleared"),
    );
    let subject = vacation.subject.as_deref().unwrap_or("Auto: (theirs)");
    format!(
        "account: {}\nfirst day: {start}\nlast day: {end}\nagain after: {} days\nsubject: {subject}\n\n{}\n",
        entry.name,
        vacation.days,
        vacation.text.trim_end()
    )
}

fn change(named: &Named, vacation: Option<Vacation>) -> Result<(), Failure> {
    let config: Config = named.place.config()?;
    if config
        .accounts
        .iter()
        .any(|entry| same_name(&entry.name, &named.account))
    {
        let account = &named.account;
        return Err(format!("{account} stands in the configuration file itself: change it there").into());
    }
    let mut file = AccountsFile::open(&config.accounts_file)?;
    let entry = file.entry(named.account.as_str()).ok_or_else(|| unknown(named))?;
    let done = match vacation {
        Some(_) => format!("senders to {} are told\n", entry.name),
        None => format!("senders to {} are told nothing\n", entry.name),
    };
    entry.vacation = vacation;
    file.save()?;
    terminal::print(&done);
    Ok(())
}

fn unknown(named: &Named) -> Failure {
    format!(
        "there is no account {}; `mailwright account list` tells who is",
        named.account
    )
    .into()
}
