//! `mailwright export`: the mail of an account as a Maildir or as mbox files.

use super::Failure;
use super::bar::Bar;
use super::place::{self, Place};
use clap::{Args, ValueEnum};
use mailwright_server::control::work::{Form, Job};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if all was written, 1 if something was left out (each is named), 2 if it failed."
)]
pub(super) struct Arguments {
    /// The folder to write to.
    target: PathBuf,
    /// The account whose mail it is.
    #[arg(long, value_name = "NAME")]
    account: String,
    /// What is written.
    #[arg(long, value_enum, default_value = "maildir")]
    format: TargetFormat,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TargetFormat {
    /// Maildir++ folders, with Dovecot's lists of UIDs and keywords. What is there already is not written again.
    Maildir,
    /// A file for each mailbox: a `>` goes in front of `From `, `>From ` and so on.
    Mboxrd,
    /// A file for each mailbox: a `>` goes in front of `From ` alone.
    Mboxo,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.place.config()?;
    let format = match arguments.format {
        TargetFormat::Maildir => Form::Maildir,
        TargetFormat::Mboxrd => Form::Mboxrd,
        TargetFormat::Mboxo => Form::Mboxo,
    };
    let job = Job::Export {
        account: arguments.account,
        target: place::absolute(&arguments.target)?,
        format,
    };
    let mut bar = Bar::new();
    let done = place::perform(&config, job, &mut bar);
    super::import::finish(bar, "written", done)
}
