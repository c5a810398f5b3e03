//! `mailwright import`: mail from a Maildir, from mbox files, from an IMAP account.

use super::bar::Bar;
use super::place::{self, Place};
use super::{Failure, terminal};
use clap::{Args, ValueEnum};
use mailwright_mailbox::MailboxName;
use mailwright_sasl::Secret;
use mailwright_server::config::Config;
use mailwright_server::control::work::{Form, Job, Outcome, Remote, Security, Source};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if all came in, 1 if something was left out (each is named), 2 if it failed.\n\
    Begun again, it goes on: what is there already is not added twice."
)]
pub(super) struct Arguments {
    /// A Maildir, an mbox file, a folder of mbox files, or an account: imaps://USER@HOST[:PORT], imap://USER@HOST[:PORT]
    /// (with STARTTLS).
    source: String,
    /// The account that gets the mail.
    #[arg(long, value_name = "NAME")]
    account: String,
    /// The mailbox that all of it goes below; INBOX goes into that itself.
    #[arg(long, value_name = "MAILBOX")]
    into: Option<MailboxName>,
    /// What the source is, where its looks do not tell.
    #[arg(long, value_enum)]
    format: Option<SourceFormat>,
    /// The file whose first line is the password for an IMAP account; it is asked for otherwise.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A PEM file with certificates to trust beside the public ones.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Let an imap:// account go without TLS, its password included.
    #[arg(long)]
    no_tls: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceFormat {
    /// Maildir++ folders.
    Maildir,
    /// mbox: `>From `, `>>From ` and so on each lose a `>`.
    Mboxrd,
    /// mbox: `>From ` loses its `>`.
    Mboxo,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.place.config()?;
    let job = Job::Import {
        source: source(&arguments, &config)?,
        account: arguments.account,
        into: arguments.into.map(|into| into.to_string()),
    };
    let mut bar = Bar::new();
    let done = place::perform(&config, job, &mut bar);
    finish(bar, "came in", done)
}

/// Says what a transfer came to.
pub(super) fn finish(mut bar: Bar, verb: &str, done: Result<Outcome, Failure>) -> Result<ExitCode, Failure> {
    match done {
        Ok(Outcome::Transferred(report)) => {
            terminal::print(&bar.end(verb, &report));
            Ok(ExitCode::from(u8::from(report.skipped > 0)))
        }
        Ok(_) => Err("the server did something else".into()),
        Err(error) => {
            bar.clear();
            Err(error)
        }
    }
}

fn source(arguments: &Arguments, config: &Config) -> Result<Source, Failure> {
    let text = &*arguments.source;
    for (scheme, implicit, port) in [("imaps://", true, 993), ("imap://", false, 143)] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return imap(arguments, config, rest, implicit, port).map(|it| Source::Imap(Box::new(it)));
        }
    }
    let path = Path::new(text);
    let is_maildir = || ["cur", "new"].iter().any(|sub| path.join(sub).is_dir());
    let format = match arguments.format {
        _ if !path.exists() => return Err(format!("{text}: there is no such file or folder").into()),
        Some(SourceFormat::Maildir) => Form::Maildir,
        Some(SourceFormat::Mboxrd) => Form::Mboxrd,
        Some(SourceFormat::Mboxo) => Form::Mboxo,
        None if is_maildir() => Form::Maildir,
        None => Form::Mboxrd,
    };
    let path = place::absolute(path)?;
    Ok(Source::Files { path, format })
}

fn imap(
    arguments: &Arguments,
    config: &Config,
    rest: &str,
    implicit: bool,
    port: u16,
) -> Result<Remote, Failure> {
    let (user, place) = rest
        .trim_end_matches('/')
        .rsplit_once('@')
        .ok_or("expected imaps://USER@HOST[:PORT]; the user may have an @ itself")?;
    let (host, port) = match place.rsplit_once(':').filter(|(host, _)| !host.ends_with(':')) {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("{port} is not a port"))?),
        None => (place, port),
    };
    let security = match (implicit, arguments.no_tls) {
        (true, true) => return Err("imaps:// is TLS: --no-tls is for imap://".into()),
        (false, true) => Security::None,
        (true, false) => Security::Implicit,
        (false, false) => Security::Starttls,
    };
    let ca = arguments.ca.as_deref().or(config.outbound.ca.as_deref());
    let password = match &arguments.password_file {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Secret::from(text.lines().next().unwrap_or_default())
        }
        None => terminal::ask_known_password(&format!("Password of {user} at {host}: "))?,
    };
    let password = password.as_str().ok_or("the password is not UTF-8")?;
    let mut remote = Remote::new(host, port, user, password);
    remote.security = security;
    remote.ca = ca.map(place::absolute).transpose()?;
    Ok(remote)
}
