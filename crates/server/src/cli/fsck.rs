//! `mailwright fsck`: everything in the store is checked against everything, and mended.

use super::kept::{Kept, kind_of};
use super::place::{self, Place};
use super::{Failure, terminal};
use clap::Args;
use mailwright_server::config::StoreKind;
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
    /// Mend what can be mended. A damaged database is made anew of what can be read; the damaged one is kept beside it.
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
    if kind_of(&folder) == Some(StoreKind::Maildir) {
        if arguments.mend || arguments.salvage.is_some() {
            let why = "a Maildir store has nothing that could be mended: what is wrong is that files are damaged or gone";
            return Err(why.into());
        }
        return maildir(&place::open(&config)?);
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

fn maildir(store: &Kept) -> Result<ExitCode, Failure> {
    let Kept::Maildir(store) = store else {
        return Err("the store has changed meanwhile".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let problems = runtime.block_on(store.check())?;
    let lines: String = problems.iter().map(|line| format!("wrong: {line}\n")).collect();
    terminal::print(&lines);
    if problems.is_empty() {
        terminal::print("all is sound\n");
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
