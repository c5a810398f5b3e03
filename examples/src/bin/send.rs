//! Sends a message by SMTP, submission or LMTP, and prints what became of each recipient.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin send -- --server 127.0.0.1:2525 \
//!     --from you@example.org --to me@example.org message.eml
//! PASSWORD=… cargo run -p mailwright-examples --bin send -- --server mail.example.org:465 --tls on-connect \
//!     --user you@example.org --from you@example.org --to me@example.org --notify success,failure - <message.eml
//! ```
//!
//! Bodies go by BDAT where the server offers CHUNKING, commands are pipelined where it offers PIPELINING, and what
//! the message needs (8BITMIME, SMTPUTF8) is found out from its octets.
#![allow(clippy::disallowed_methods)] // an example reads its password from the environment

use clap::{Parser, ValueEnum};
use mailwright_examples::net::{Fallible, client_tls};
use mailwright_examples::outgoing::{self, Tls, deliver};
use mailwright_sasl::{Credentials, Mechanism};
use mailwright_smtp::client::{Config, StartTls, Transaction, UseBdat};
use mailwright_smtp::dsn::{EnvelopeId, Notify, Ret};
use mailwright_smtp::{Mail, Protocol, Rcpt};
use std::path::PathBuf;
use std::process::ExitCode;

/// Sends a message by SMTP, submission or LMTP.
///
/// Prints a line for each recipient. Exit status: 0 if all recipients have it, 75 if some can be
/// tried again, 69 if some failed for good, 2 if the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "send", version, verbatim_doc_comment)]
struct Arguments {
    /// The message; `-` is the standard input. Lines may end with LF or CRLF
    #[arg(default_value = "-", value_name = "FILE")]
    file: String,

    /// Where to: HOST:PORT, or the path of a Unix socket
    #[arg(long, short, default_value = "127.0.0.1:25", value_name = "ADDRESS")]
    server: String,

    /// The sender; `<>` for none
    #[arg(long, short, value_name = "MAILBOX")]
    from: String,

    /// A recipient; may be given many times
    #[arg(long, short, required = true, value_name = "MAILBOX")]
    to: Vec<String>,

    /// The name to introduce this client by
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    helo: String,

    /// Speak LMTP
    #[arg(long)]
    lmtp: bool,

    /// When to encrypt
    #[arg(long, value_enum, default_value = "never")]
    tls: When,

    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Whose certificate the server must show, if not that of the host in --server
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,

    /// Log in as this user, with the password in the environment variable PASSWORD
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Log in by this mechanism, as SCRAM-SHA-256; by the strongest offered if none is named
    #[arg(long, value_name = "NAME")]
    mechanism: Option<String>,

    /// Send the password even if the connection is not encrypted
    #[arg(long)]
    password_in_clear: bool,

    /// Which reports are wanted: never, or some of success,failure,delay
    #[arg(long, value_delimiter = ',', value_enum, value_name = "WHEN")]
    notify: Vec<Report>,

    /// How much of the message a report should hold
    #[arg(long, value_enum)]
    ret: Option<Returned>,

    /// The name of this message in reports
    #[arg(long, value_name = "TEXT")]
    envid: Option<String>,

    /// Wait for each reply before the next command
    #[arg(long)]
    no_pipelining: bool,

    /// Send the message by DATA even if the server offers CHUNKING
    #[arg(long)]
    no_chunking: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// Not at all
    Never,
    /// By STARTTLS, or the message is not sent
    Starttls,
    /// Before anything is said
    OnConnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Report {
    Never,
    Success,
    Failure,
    Delay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Returned {
    Headers,
    Full,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("send: {error}");
            ExitCode::from(75)
        }
    }
}

fn run(arguments: &Arguments) -> Fallible<ExitCode> {
    let config = config(arguments)?;
    let tls = match arguments.tls {
        When::Never => None,
        when => {
            let host = arguments.server.rsplit_once(':').map_or("", |(host, _)| host);
            let name = arguments.tls_name.as_deref().unwrap_or(host).to_owned();
            let name = name
                .try_into()
                .map_err(|_| "give the server's name with --tls-name")?;
            let trusted = client_tls(arguments.ca.as_deref())?;
            Some(Tls::new(trusted, name, when == When::OnConnect))
        }
    };
    let message = outgoing::read_message(&arguments.file)?;
    let transaction = transaction(arguments, &message)?;
    let deliveries = deliver(&arguments.server, config, tls, transaction, &message)?;
    Ok(outgoing::report(&arguments.to, &deliveries))
}

fn config(arguments: &Arguments) -> Fallible<Config> {
    let protocol = if arguments.lmtp {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let helo = (arguments.helo.parse()).map_err(|e| format!("--helo {}: {e}", arguments.helo))?;
    let mut config = Config::new(protocol, helo);
    config.starttls = match arguments.tls {
        When::Starttls => StartTls::Verified,
        When::Never | When::OnConnect => StartTls::Never,
    };
    if let Some(user) = &arguments.user {
        let password =
            std::env::var("PASSWORD").map_err(|_| "put the password into the variable PASSWORD")?;
        config.credentials = Some(Credentials::new(user.as_str(), password));
    }
    if let Some(name) = &arguments.mechanism {
        let mechanism = Mechanism::from_name(name).ok_or_else(|| format!("--mechanism {name}: unknown"))?;
        config.mechanisms = vec![mechanism];
    }
    config.plaintext_auth_without_tls = arguments.password_in_clear;
    config.pipelining = !arguments.no_pipelining;
    if arguments.no_chunking {
        config.chunking.bdat = UseBdat::Never;
    }
    Ok(config)
}

fn transaction(arguments: &Arguments, message: &[u8]) -> Fallible<Transaction> {
    let (smtputf8, body) = outgoing::needs(message);
    let sender = match arguments.from.as_str() {
        "" | "<>" => "<>".to_owned(),
        mailbox => format!("<{mailbox}>"),
    };
    let mut mail = Mail::new(
        sender
            .parse()
            .map_err(|e| format!("--from {}: {e}", arguments.from))?,
    );
    mail.params.size = Some(message.len() as u64);
    mail.params.body = body;
    mail.params.smtputf8 = smtputf8;
    mail.params.ret = arguments.ret.map(|ret| match ret {
        Returned::Headers => Ret::Hdrs,
        Returned::Full => Ret::Full,
    });
    if let Some(id) = &arguments.envid {
        mail.params.envid = Some(EnvelopeId::new(id).ok_or("--envid: at most 100 characters of ASCII")?);
    }
    let wants = |what| arguments.notify.contains(&what);
    let notify = match arguments.notify.len() {
        0 => None,
        1 if wants(Report::Never) => Some(Notify::Never),
        _ if wants(Report::Never) => return Err("--notify: never stands alone".into()),
        _ => Some(Notify::On {
            success: wants(Report::Success),
            failure: wants(Report::Failure),
            delay: wants(Report::Delay),
        }),
    };
    let recipients = arguments.to.iter().map(|to| {
        let path = format!("<{to}>").parse().map_err(|e| format!("--to {to}: {e}"))?;
        let mut rcpt = Rcpt::new(path);
        rcpt.params.notify = notify;
        Ok(rcpt)
    });
    Ok(Transaction::new(mail, recipients.collect::<Fallible<_>>()?))
}
