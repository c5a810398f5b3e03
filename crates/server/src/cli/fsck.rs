//! `mailwright fsck`: everything in the store is checked against everything.

use super::place::{self, Place};
use super::{Failure, terminal};
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if all is sound, 1 if something is wrong (each is named), 2 if it failed."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let store = place::open(&arguments.place.config()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let report = runtime.block_on(store.check())?;
    for problem in &report.problems {
        terminal::print(&format!("{problem}\n"));
    }
    if report.problems.is_empty() {
        terminal::print("all is sound\n");
    }
    Ok(ExitCode::from(u8::from(!report.problems.is_empty())))
}
