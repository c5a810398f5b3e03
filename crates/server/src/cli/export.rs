//! `mailwright export`: the mail of an account as a Maildir or as mbox files.

use super::Failure;
use super::bar::Bar;
use super::place::{self, Place};
use clap::{Args, ValueEnum};
use mailwright_server::transfer::{Exporter, Format, Quoting};
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
    let store = place::open(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let format = match arguments.format {
        TargetFormat::Maildir => Format::Maildir,
        TargetFormat::Mboxrd => Format::Mbox(Quoting::Rd),
        TargetFormat::Mboxo => Format::Mbox(Quoting::O),
    };
    let mut bar = Bar::new();
    let account = runtime.block_on(place::account_with_mail(&config, &store, &arguments.account))?;
    let exporter = Exporter::new(&store, account, &mut bar);
    let report = runtime.block_on(exporter.run(&arguments.target, format));
    super::import::finish(bar, "written", report)
}
