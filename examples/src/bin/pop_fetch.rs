//! Fetches mail by POP3 into a Maildir or an mbox, and leaves it on the server as long as you like.
//!
//! ```sh
//! POP3_PASSWORD=… cargo run -p mailwright-examples --bin pop_fetch -- \
//!     --from pop3s://bob@mail.example.org --maildir ~/Maildir --keep 14
//! ```
//!
//! The state file says which messages were fetched, and when. A message is deleted on the server once it is on disk and
//! noted, and its time is over. Messages pass through in pieces, whatever their size.

use clap::{ArgGroup, Parser, ValueEnum};
use mailwright_examples::imap::{Account, Trust, password};
use mailwright_examples::imap_copy::Progress;
use mailwright_examples::net::Fallible;
use mailwright_examples::pop_fetch::{Fetch, Folder};
use mailwright_examples::pop3::{Session, account};
use mailwright_pop3::Keep;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Fetches mail by POP3 into a Maildir or an mbox, and leaves it on the server as long as you like.
///
/// The password is read from the environment variable POP3_PASSWORD.
/// Exit status: 0 if all is well, 1 if the server refused something (it is named), 75 if the
/// server could not be reached to the end, or did not let us in (nothing is lost: the same
/// command goes on), 2 if the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "pop_fetch", version, verbatim_doc_comment)]
#[command(group(ArgGroup::new("into").required(true).args(["maildir", "mbox"])))]
struct Arguments {
    /// The maildrop, as pop3s://USER@HOST or pop3s://USER@HOST:PORT; pop3:// means STLS
    #[arg(long, value_name = "URL", value_parser = account)]
    from: Account,

    /// Put messages into this Maildir; it is made if need be
    #[arg(long, value_name = "FOLDER")]
    maildir: Option<PathBuf>,

    /// Append messages to this mbox
    #[arg(long, value_name = "FILE")]
    mbox: Option<PathBuf>,

    /// How long messages stay on the server: `no`, `forever`, or a number of days since they were fetched
    #[arg(long, value_name = "TIME", default_value = "forever", value_parser = keep)]
    keep: Keep,

    /// Where to note what was fetched
    #[arg(long, value_name = "FILE", default_value = "pop_fetch.state")]
    state: PathBuf,

    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Do without TLS where a server has none: passwords and mail can be read on the way
    #[arg(long)]
    in_clear: bool,

    /// Draw a bar of how far it is
    #[arg(long, value_enum, default_value = "auto")]
    progress: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// If the standard error is a terminal
    Auto,
    Always,
    Never,
}

fn keep(text: &str) -> Result<Keep, String> {
    match text {
        "no" => Ok(Keep::No),
        "forever" => Ok(Keep::Forever),
        days => days
            .parse()
            .map(Keep::Days)
            .map_err(|_| "it must be `no`, `forever`, or a number of days".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("pop_fetch: {error}");
            ExitCode::from(75)
        }
    }
}

/// Says whether nothing was refused.
fn run(arguments: &Arguments) -> Fallible<bool> {
    let password = password("POP3_PASSWORD")?;
    let folder = match (&arguments.maildir, &arguments.mbox) {
        (Some(path), _) => Folder::maildir(path)?,
        (None, Some(path)) => Folder::mbox(path)?,
        (None, None) => return Err("there is nowhere to put messages".into()),
    };
    let trust = Trust::new(arguments.ca.as_deref(), arguments.in_clear);
    let session = Session::open(&arguments.from, &password, &trust)?;
    let draws = match arguments.progress {
        When::Auto => std::io::stderr().is_terminal(),
        When::Always => true,
        When::Never => false,
    };
    let progress = Progress::new(draws);
    let fetch = Fetch::new(session, folder, &arguments.state, arguments.keep, progress)?;
    let report = fetch.run()?;
    println!(
        "{} fetched, {} deleted, {} left on the server",
        report.fetched, report.deleted, report.left
    );
    for failure in &report.failures {
        println!("{failure}");
    }
    Ok(report.failures.is_empty())
}
