//! `mailwright backup`: a copy of the whole store, true at one moment.

use super::bar::Bar;
use super::place::{self, Place};
use super::{Failure, terminal};
use clap::Args;
use mailwright_server::control::work::{Job, Outcome};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder to write to; it must be empty, or not there. It is a store itself: put it in the place of the data
    /// folder's `mail` to go back to it.
    target: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.place.config()?;
    let target = place::absolute(&arguments.target)?;
    let done = place::perform(&config, Job::Backup { target }, &mut Bar::new())?;
    let Outcome::Copied { messages, octets } = done else {
        return Err("the server did something else".into());
    };
    terminal::print(&format!(
        "{messages} messages copied to {}, {octets} octets\n",
        arguments.target.display()
    ));
    Ok(ExitCode::SUCCESS)
}
