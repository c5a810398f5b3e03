//! The command line.

mod account;
mod account_files;
mod alias;
mod app_password;
mod backup;
mod bar;
mod config;
mod dkim;
mod dmarc;
mod dns;
mod doctor;
mod domain;
mod export;
mod fsck;
mod import;
mod kept;
mod localserve;
mod place;
mod privileges;
mod queue;
mod quickstart;
#[cfg(unix)]
mod reload;
mod route;
mod rsa;
mod run;
#[cfg(unix)]
mod sendmail;
mod service;
mod terminal;
mod trace;
mod vacation;

use clap::{CommandFactory as _, Parser, Subcommand};
use mailwright_server::config::Config;
use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// A whole mail server: SMTP, submission, LMTP, IMAP and POP3 in one program.
#[derive(Debug, Parser)]
#[command(name = "mailwright", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server for this machine alone, without any configuration.
    Localserve(localserve::Arguments),
    /// Run the server of a configuration file.
    Serve {
        /// The configuration file; `mailwright config example` prints one.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only check the configuration.
        #[arg(long)]
        check: bool,
        /// How much to log, in place of the configuration: `debug`, or `info,mailwright_server::smtp=trace`.
        #[arg(long, value_name = "LEVEL")]
        log: Option<String>,
    },
    /// Have the running server read its configuration again; a mistake in it changes nothing.
    #[cfg(unix)]
    Reload(reload::Arguments),
    /// Set up a server for a domain: configuration, keys, an account, and what to publish in the DNS.
    Quickstart(quickstart::Arguments),
    /// Find out what is wrong with a server and its surroundings, and what to do about it.
    Doctor(doctor::Arguments),
    /// Add, list, change and remove accounts. A running server sees it at once.
    Account(account::Arguments),
    /// Add, list and remove addresses that stand for others. A running server sees it within a second.
    Alias(alias::Arguments),
    /// Add, list and remove the domains whose mail ends here. A running server sees it within a second.
    Domain(domain::Arguments),
    /// Tell senders that the owner of an account is away. A running server sees it at once.
    Vacation(vacation::Arguments),
    /// Bring mail in from a Maildir, from mbox files, or from an account on an IMAP server.
    Import(import::Arguments),
    /// Write the mail of an account as a Maildir or as mbox files.
    Export(export::Arguments),
    /// Copy the whole store, as it is at one moment.
    Backup(backup::Arguments),
    /// Check everything in the store against everything.
    Fsck(fsck::Arguments),
    /// Look after the queue: list, show, retry, hold, release, redirect and drop messages.
    Queue(queue::Arguments),
    /// Hand a message in, with the options of /usr/sbin/sendmail; a link of that name does the same.
    #[cfg(unix)]
    #[command(disable_help_flag = true)]
    Sendmail {
        /// -t, -i, -f ADDRESS, -F NAME, -bp and others, --config FILE or --data DIR, and recipients.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Print a script that completes the commands of this program in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Tell what became of a message: from its acceptance to its delivery or its bounce.
    Trace(trace::Arguments),
    /// Tell where mail goes, and why.
    Route(route::Arguments),
    /// Tell what to publish in the DNS for a domain, and whether it is published.
    Dns(dns::Arguments),
    /// Read reports about mail in the name of a domain.
    Dmarc(dmarc::Arguments),
    /// Make keys that mail is signed with.
    Dkim(dkim::Arguments),
    /// Check a configuration file, show what holds by it, or print an example.
    #[command(subcommand)]
    Config(config::Command),
}

/// What a command says when it fails.
type Failure = Box<dyn Error + Send + Sync>;

/// Reads the arguments and does what they say.
pub(crate) fn main() -> ExitCode {
    #[cfg(unix)]
    if sendmail::is_called(std::env::args_os().next().as_deref()) {
        return sendmail::run(std::env::args_os().skip(1));
    }
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Localserve(arguments) => localserve::run(arguments),
        Command::Serve {
            config, check: true, ..
        } => return exit(config::check(&config, false)),
        Command::Serve { config, log, .. } => serve(config, log),
        #[cfg(unix)]
        Command::Reload(arguments) => reload::run(arguments),
        Command::Quickstart(arguments) => quickstart::run(arguments),
        Command::Doctor(arguments) => return exit(doctor::run(arguments)),
        Command::Account(arguments) => account::run(arguments),
        Command::Alias(arguments) => alias::run(arguments),
        Command::Domain(arguments) => domain::run(arguments),
        #[cfg(unix)]
        Command::Sendmail { arguments } => return sendmail::run(arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "mailwright", &mut script);
            terminal::print(&String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::Vacation(arguments) => vacation::run(arguments),
        Command::Route(arguments) => route::run(arguments),
        Command::Import(arguments) => return exit(import::run(arguments)),
        Command::Export(arguments) => return exit(export::run(arguments)),
        Command::Backup(arguments) => return exit(backup::run(arguments)),
        Command::Trace(arguments) => return exit(trace::run(&arguments)),
        Command::Fsck(arguments) => return exit(fsck::run(arguments)),
        Command::Dns(arguments) => return exit(dns::run(arguments)),
        Command::Dmarc(arguments) => dmarc::run(arguments),
        Command::Dkim(arguments) => dkim::run(arguments),
        Command::Queue(arguments) => queue::run(arguments),
        Command::Config(command) => return exit(config::run(command)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mailwright: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Of a command that tells apart what went wrong in part, and what failed.
fn exit(done: Result<ExitCode, Failure>) -> ExitCode {
    done.unwrap_or_else(|failure| {
        eprintln!("mailwright: {failure}");
        ExitCode::from(2)
    })
}

fn serve(path: PathBuf, log: Option<String>) -> Result<(), Failure> {
    let read = move || {
        let mut config = Config::load(&path)?;
        if let Some(level) = &log {
            config.observing.log.set_level(level.clone())?;
        }
        Ok(config)
    };
    let config = read()?;
    run::until_stopped(config, Some(&read), |_| Ok(()))
}
