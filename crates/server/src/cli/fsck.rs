//! `mailwright fsck`: everything in the store is checked against everything, and mended.

use super::bar::Bar;
use super::kept::kind_of;
use super::place::{self, Place};
use super::{Failure, terminal};
use clap::Args;
use mailwright_server::Config;
use mailwright_server::config::StoreKind;
#[cfg(unix)]
use mailwright_server::control::Client;
use mailwright_server::control::work::{Job, Outcome};
use mailwright_store::sqlite::{Repair, Report};
use mailwright_store::{Error, SqliteStore};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if all is sound, 1 if something is wrong or was lost (each is named), \
    2 if it failed."
)]
pub(super) struct Arguments {
    /// Mend what can be mended, while no server runs. A damaged database is made anew of what can be read; the damaged one is kept beside it.
    #[arg(long)]
    mend: bool,
    /// Leave the store as it is, and make a sound one of what can be read of it in another folder.
    #[arg(long, value_name = "DIR", conflicts_with = "mend")]
    salvage: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.place.config()?;
    let folder = config.data.join("mail");
    let is_maildir = kind_of(&folder) == Some(StoreKind::Maildir);
    let changes = arguments.mend || arguments.salvage.is_some();
    if is_maildir && changes {
        let why = "a Maildir store has nothing that could be mended: what is wrong is that files are damaged or gone";
        return Err(why.into());
    }
    if is_maildir || (!changes && is_running(&config)) {
        return check(&config);
    }
    let report = match &arguments.salvage {
        Some(to) => SqliteStore::salvage(&folder, to),
        None if arguments.mend => SqliteStore::fsck(&folder, Repair::Yes),
        None => SqliteStore::fsck(&folder, Repair::No),
    };
    let report = report.map_err(|error| match error {
        error @ Error::InUse { .. } => Failure::from(format!("{error}\n  {}", place::IN_USE)),
        error => error.into(),
    })?;
    Ok(tell(&report))
}

/// Whether a server answers there: it checks the store itself, while it works.
fn is_running(config: &Config) -> bool {
    #[cfg(unix)]
    return matches!(Client::connect(&config.data), Ok(Some(_)) | Err(_));
    #[cfg(not(unix))]
    return {
        let _ = config;
        false
    };
}

fn check(config: &Config) -> Result<ExitCode, Failure> {
    let done = place::perform(config, Job::Check {}, &mut Bar::new())?;
    let Outcome::Checked { messages, problems } = done else {
        return Err("the server did something else".into());
    };
    let lines: String = problems.iter().map(|line| format!("wrong: {line}\n")).collect();
    terminal::print(&lines);
    if problems.is_empty() {
        let count = messages.map_or(String::new(), |messages| format!(": {messages} messages"));
        terminal::print(&format!("all is sound{count}\n"));
    }
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

fn tell(report: &Report) -> ExitCode {
    let mended = report.mended.iter().map(|it| format!("mended: {it}\n"));
    let lost = report.lost.iter().map(|it| format!("lost: {it}\n"));
    let problems = report.problems.iter().map(|it| format!("wrong: {it}\n"));
    terminal::print(&mended.chain(lost).chain(problems).collect::<String>());
    let is_sound = report.problems.is_empty() && report.lost.is_empty();
    if is_sound {
        terminal::print(&format!("all is sound: {} messages\n", report.messages));
    }
    ExitCode::from(u8::from(!is_sound))
}
