//! `mailwright import`: mail from a Maildir, from mbox files, from an IMAP account.

use super::bar::Bar;
use super::place::{self, Place};
use super::{Failure, terminal};
use clap::{Args, ValueEnum};
use mailwright_mailbox::MailboxName;
use mailwright_sasl::Secret;
use mailwright_server::config::Config;
use mailwright_server::tls::Tls;
use mailwright_server::transfer::{ImapAccount, Importer, Quoting, Report, TransportSecurity};
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

/// Where the mail comes from.
enum Source {
    Maildir(PathBuf),
    Mbox(PathBuf, Quoting),
    Imap(Box<ImapAccount>),
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = arguments.place.config()?;
    let account = place::account(&config, &arguments.account)?;
    let source = source(&arguments, &config)?;
    let store = place::open(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut bar = Bar::new();
    let importer = Importer::new(&store, account, arguments.into, &mut bar);
    let report = runtime.block_on(async {
        match &source {
            Source::Maildir(path) => importer.maildir(path).await,
            Source::Mbox(path, quoting) => importer.mbox(path, *quoting).await,
            Source::Imap(from) => importer.imap(from).await,
        }
    });
    finish(bar, "came in", report)
}

/// Says what a transfer came to.
pub(super) fn finish(
    mut bar: Bar,
    verb: &str,
    report: Result<Report, mailwright_server::transfer::TransferError>,
) -> Result<ExitCode, Failure> {
    match report {
        Ok(report) => {
            terminal::print(&bar.end(verb, &report));
            Ok(ExitCode::from(u8::from(report.skipped > 0)))
        }
        Err(error) => {
            bar.clear();
            Err(format!("{error}\n  What was done until then stays; begun again, it goes on.").into())
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
    match arguments.format {
        _ if !path.exists() => Err(format!("{text}: there is no such file or folder").into()),
        Some(SourceFormat::Maildir) => Ok(Source::Maildir(path.into())),
        Some(SourceFormat::Mboxrd) => Ok(Source::Mbox(path.into(), Quoting::Rd)),
        Some(SourceFormat::Mboxo) => Ok(Source::Mbox(path.into(), Quoting::O)),
        None if is_maildir() => Ok(Source::Maildir(path.into())),
        None => Ok(Source::Mbox(path.into(), Quoting::Rd)),
    }
}

fn imap(
    arguments: &Arguments,
    config: &Config,
    rest: &str,
    implicit: bool,
    port: u16,
) -> Result<ImapAccount, Failure> {
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
        (false, true) => TransportSecurity::None,
        (_, false) => {
            let ca = arguments.ca.as_deref().or(config.outbound.ca.as_deref());
            let tls = Tls::trusting(ca)?;
            match implicit {
                true => TransportSecurity::Implicit(tls),
                false => TransportSecurity::Starttls(tls),
            }
        }
    };
    let password = match &arguments.password_file {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Secret::from(text.lines().next().unwrap_or_default())
        }
        None => terminal::ask_known_password(&format!("Password of {user} at {host}: "))?,
    };
    Ok(ImapAccount::new(host, port, security, user, password))
}
