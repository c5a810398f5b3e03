//! `mailwright backup`: a copy of the whole store, true at one moment.

use super::kept::Kept;
use super::place::{self, Place};
use super::{Failure, terminal};
use clap::Args;
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
    let Kept::Sqlite(store) = place::open(&config)? else {
        return Err(format!(
            "a Maildir store is files alone: copy {} with its hard links, `rsync -aH` or `cp -a`, while no server runs",
            config.data.join("mail").display()
        )
        .into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let copied = runtime.block_on(store.backup(&arguments.target))?;
    terminal::print(&format!(
        "{} messages copied to {}, {} octets\n",
        copied.messages,
        arguments.target.display(),
        copied.octets
    ));
    Ok(ExitCode::SUCCESS)
}
