//! Copies the mail of an account to another server: mailboxes, messages, flags, dates.
//!
//! ```sh
//! FROM_PASSWORD=… TO_PASSWORD=… cargo run -p mailwright-examples --bin imap_copy -- \
//!     --from imaps://bob@old.example.org --to imaps://bob@new.example.org --state bob.state
//! ```
//!
//! The state file says which message became which: `UID UID` in the old and the new mailbox, below the names and UID
//! validities of the two. Whoever starts the program again with it goes on where it ended, however that was: messages
//! that arrived without being noted are recognised by their size and date, and not copied twice. Messages pass
//! through in pieces; neither server's memory nor this one's depends on their size.

use clap::{Parser, ValueEnum};
use mailwright_examples::imap::{Account, Session, Trust, password};
use mailwright_examples::imap_copy::{Copy, Progress, State};
use mailwright_examples::net::Fallible;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Copies the mail of an account to another server: mailboxes, messages, flags, dates.
///
/// The passwords are read from the environment variables FROM_PASSWORD and TO_PASSWORD.
/// Exit status: 0 if everything was copied, 1 if some could not be (the report names them),
/// 75 if a server could not be reached to the end, or did not let us in (the same command goes
/// on), 2 if the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "imap_copy", version, verbatim_doc_comment)]
struct Arguments {
    /// The account to read, as imaps://USER@HOST or imaps://USER@HOST:PORT; imap:// means STARTTLS
    #[arg(long, value_name = "URL")]
    from: Account,

    /// The account to fill
    #[arg(long, value_name = "URL")]
    to: Account,

    /// Where to note what was copied, so that another run goes on from there
    #[arg(long, value_name = "FILE", default_value = "imap_copy.state")]
    state: PathBuf,

    /// Copy only mailboxes that match: `*` stands for anything, `%` for anything within a level
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    mailbox: Vec<String>,

    /// Leave out mailboxes that match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,

    /// Copy a mailbox to one with another name
    #[arg(long, value_name = "OLD=NEW", value_parser = renaming)]
    rename: Vec<(String, String)>,

    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Do without TLS where a server has none: passwords and mail can be read on the way
    #[arg(long)]
    in_clear: bool,

    /// Say what would be copied, and copy nothing
    #[arg(long)]
    dry_run: bool,

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

fn renaming(text: &str) -> Result<(String, String), String> {
    let (old, new) = text.split_once('=').ok_or("it must be OLD=NEW")?;
    Ok((old.to_owned(), new.to_owned()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("imap_copy: {error}");
            ExitCode::from(75)
        }
    }
}

/// Says whether everything was copied.
fn run(arguments: &Arguments) -> Fallible<bool> {
    let (from_password, to_password) = (password("FROM_PASSWORD")?, password("TO_PASSWORD")?);
    let trust = Trust::new(arguments.ca.as_deref(), arguments.in_clear);
    let from = Session::open(&arguments.from, &from_password, &trust)?;
    let to = Session::open(&arguments.to, &to_password, &trust)?;
    let state = State::open(&arguments.state)?;
    let draws = match arguments.progress {
        When::Auto => std::io::stderr().is_terminal(),
        When::Always => true,
        When::Never => false,
    };
    let mut copy = Copy::new(from, to, state, Progress::new(draws));
    copy.patterns = arguments.mailbox.clone();
    copy.excluded = arguments.exclude.clone();
    copy.renamed = arguments.rename.clone();
    copy.dry_run = arguments.dry_run;
    let done = copy.run();
    print!("{}", copy.report());
    done.map_err(|e| {
        let state = arguments.state.display();
        format!("{e}\nStart the same command again to go on: {state} says what was copied.")
    })?;
    let complete = copy.report().is_complete();
    copy.log_out();
    Ok(complete)
}
