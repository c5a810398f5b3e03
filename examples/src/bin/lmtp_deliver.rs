//! Hands a message from the standard input over by LMTP (RFC 2033): what a mail server can call to deliver (an MDA).
//!
//! ```sh
//! cargo run -p mailwright-examples --bin lmtp_deliver -- --from you@example.org /run/lmtp.sock me <message.eml
//! ```
//!
//! In Postfix' `master.cf`, for example: `mda unix - n n - - pipe flags=R user=mail argv=/usr/local/bin/lmtp_deliver
//! --from ${sender} /run/lmtp.sock ${recipient}`.

use clap::Parser;
use mailwright_examples::net::Fallible;
use mailwright_examples::outgoing::{self, deliver};
use mailwright_smtp::client::{Config, StartTls, Transaction};
use mailwright_smtp::{Mail, Protocol, Rcpt};
use std::process::ExitCode;

/// Delivers the message on the standard input by LMTP.
///
/// Prints a line for each recipient: with LMTP each has an answer of its own.
/// Exit status: 0 if all have it, 75 if some can be tried again, 69 if some failed for good.
#[derive(Debug, Parser)]
#[command(name = "lmtp_deliver", version, verbatim_doc_comment)]
struct Arguments {
    /// Where to: the path of a Unix socket, or HOST:PORT
    socket: String,

    /// The recipients
    #[arg(required = true)]
    recipients: Vec<String>,

    /// The sender; without it, or empty, there is none and nobody hears of failures
    #[arg(long, short = 'f', default_value = "")]
    from: String,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("lmtp_deliver: {error}");
            ExitCode::from(75)
        }
    }
}

fn run(arguments: &Arguments) -> Fallible<ExitCode> {
    let mut config = Config::new(Protocol::Lmtp, "localhost".parse()?);
    config.starttls = StartTls::Never;
    let message = outgoing::read_message("-")?;
    let (smtputf8, body) = outgoing::needs(&message);
    let mut mail = Mail::new(format!("<{}>", arguments.from).parse()?);
    mail.params.size = Some(message.len() as u64);
    (mail.params.smtputf8, mail.params.body) = (smtputf8, body);
    let path = |name: &String| {
        // RFC 2033 leaves it to the server what its recipients are called; RFC 5321 wants a domain.
        let at = if name.contains('@') { "" } else { "@localhost" };
        format!("<{name}{at}>").parse().map(Rcpt::new)
    };
    let recipients = arguments.recipients.iter().map(path);
    let transaction = Transaction::new(mail, recipients.collect::<Result<_, _>>()?);
    let deliveries = deliver(&arguments.socket, config, None, transaction, &message)?;
    Ok(outgoing::report(&arguments.recipients, &deliveries))
}
