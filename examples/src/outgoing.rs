//! A message on its way out: one session, and what became of each recipient.

use crate::net::{Conn, Fallible, Socket, Turn};
use bytes::Bytes;
use mailwright_smtp::client::{Certificate, Config, Delivery, Event, Transaction};
use mailwright_smtp::{BodyType, Client};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// TLS for a session.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tls {
    /// Whom to trust.
    pub config: Arc<ClientConfig>,
    /// Whose certificate it must be.
    pub name: ServerName<'static>,
    /// From the start (RFC 8314 §3), and not by STARTTLS.
    pub first: bool,
}

impl Tls {
    /// TLS with the server `name`.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>, first: bool) -> Self {
        Self { config, name, first }
    }
}

/// Sends one message, and says what became of each recipient.
///
/// # Errors
///
/// If the session fails before the message was to be sent. Later failures are in the deliveries.
pub fn deliver(
    address: &str,
    config: Config,
    tls: Option<Tls>,
    transaction: Transaction,
    message: &Bytes,
) -> Fallible<Vec<Delivery>> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)?;
    let socket = Socket::connect(address, Duration::from_secs(180))?;
    let tls_first = tls.as_ref().is_some_and(|tls| tls.first);
    let mut client = Client::new(config, entropy);
    if tls_first {
        client = client.over_tls();
    }
    let mut conn = Conn::new(client, socket);
    let start_tls = |conn: &mut Conn<Client>| match &tls {
        Some(tls) => conn.connect_tls(tls.config.clone(), tls.name.clone()),
        None => Err("the server wants TLS, and nothing is known to trust".into()),
    };
    if tls_first {
        start_tls(&mut conn)?;
    }
    let (mut transaction, mut deliveries) = (Some(transaction), None);
    loop {
        let turn = match (conn.turn(), deliveries.take()) {
            // What became of the message is known; the server's goodbye is not worth an error.
            (Err(_) | Ok(Turn::Close), Some(known)) => return Ok(known),
            (turn, known) => {
                deliveries = known;
                turn?
            }
        };
        match turn {
            Turn::StartTls => {
                start_tls(&mut conn)?;
                let mut certificate = Certificate::default();
                certificate.chain_verified = true;
                conn.machine.tls_started_with(certificate);
            }
            // The handshake would have failed with another certificate.
            Turn::Event(Event::Certificate(_)) => conn.machine.trust(),
            Turn::Event(Event::Ready) => match transaction.take() {
                Some(transaction) => conn.machine.send(transaction),
                None => conn.machine.quit(),
            },
            Turn::Event(Event::BodyWanted) => {
                conn.machine.body(message.clone());
                conn.machine.body_end();
            }
            Turn::Event(Event::Finished(outcome)) => {
                if outcome.connection != mailwright_smtp::client::Connection::Dead {
                    conn.machine.quit();
                }
                deliveries = Some(outcome.deliveries);
            }
            Turn::Event(other) => return Err(format!("nothing of the kind was asked for: {other:?}").into()),
            Turn::Close => return Err("the server ended the session early".into()),
        }
    }
}

/// Reads a message, and gives its lines the ends that they have on the wire.
///
/// # Errors
///
/// If it cannot be read.
pub fn read_message(file: &str) -> Fallible<Bytes> {
    let mut text = Vec::new();
    if file == "-" {
        std::io::stdin().lock().read_to_end(&mut text)?;
    } else {
        text = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
    }
    Ok(with_crlf(&text))
}

/// Makes every line end CRLF.
fn with_crlf(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out.into()
}

/// What a message needs of servers: UTF-8 in its header (RFC 6531 §3.4), octets above 127 (RFC 6152).
pub fn needs(message: &[u8]) -> (bool, Option<BodyType>) {
    let header_ends = message
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or(message.len());
    let body = (!message.is_ascii()).then_some(BodyType::EightBitMime);
    (!message[..header_ends].is_ascii(), body)
}

/// Prints a line for each recipient. The exit status is that of mail programs (sysexits.h): 0 if all have it, 75 if
/// it is worth trying again, 69 if it is not.
pub fn report(recipients: &[String], deliveries: &[Delivery]) -> ExitCode {
    let (mut temporary, mut permanent) = (false, false);
    for (recipient, delivery) in recipients.iter().zip(deliveries) {
        match delivery {
            Delivery::Delivered(reply) => println!("{recipient}: delivered: {reply}"),
            Delivery::Failed(failure) => {
                permanent |= failure.is_permanent();
                temporary |= !failure.is_permanent();
                println!("{recipient}: failed ({}): {failure}", failure.status());
            }
            Delivery::Unknown(failure) => {
                temporary = true;
                println!("{recipient}: it may have arrived or not: {failure}");
            }
            other => {
                temporary = true;
                println!("{recipient}: not tried: {other:?}");
            }
        }
    }
    match (temporary, permanent) {
        (true, _) => ExitCode::from(75),
        (false, true) => ExitCode::from(69),
        (false, false) => ExitCode::SUCCESS,
    }
}
