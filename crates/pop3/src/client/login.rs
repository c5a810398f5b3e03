//! USER, PASS and APOP (RFC 1939 §7), AUTH (RFC 5034)

use super::replies::status;
use crate::{Error, Reply};
use mailwright_sasl as sasl;
use mailwright_sasl::{ClientStep, Credentials};
use mailwright_wire::SendBuf;

/// A login on its way.
#[derive(Debug)]
pub(super) enum Login {
    /// USER was sent.
    User(Credentials),
    /// PASS was sent.
    Pass,
    /// AUTH was sent.
    Sasl {
        exchange: Box<sasl::Client>,
        /// The initial response, where it did not fit into the command.
        held: Option<Vec<u8>>,
    },
    /// The exchange was cancelled because of this.
    Cancelled(sasl::Error),
}

impl Login {
    pub(super) fn user(credentials: Credentials, tx: &mut SendBuf) -> Self {
        tx.put(b"USER ");
        tx.put(credentials.username().as_bytes());
        tx.put(b"\r\n");
        Self::User(credentials)
    }

    pub(super) fn auth(mut exchange: sasl::Client, tx: &mut SendBuf) -> Result<Self, sasl::Error> {
        let mut held = match exchange.step(None)? {
            ClientStep::Respond(response) => Some(response),
            _ => None,
        };
        let mut command = format!("AUTH {}", exchange.mechanism());
        let initial = held.as_deref().map(sasl::base64_encode_initial);
        // RFC 5034 §4: a longer one waits for an empty challenge.
        if let Some(initial) = initial.filter(|i| command.len() + 1 + i.len() + 2 <= MAX_COMMAND) {
            command.push(' ');
            command.push_str(&initial);
            held = None;
        }
        tx.put(command.as_bytes());
        tx.put(b"\r\n");
        Ok(Self::Sasl {
            exchange: Box::new(exchange),
            held,
        })
    }

    /// Takes a line of the server; the outcome, once there is one.
    pub(super) fn reply(
        &mut self,
        line: &[u8],
        tx: &mut SendBuf,
    ) -> Result<Option<Result<Reply, Reply>>, Error> {
        if let (Self::Sasl { exchange, held }, Some(challenge)) = (&mut *self, challenge(line)) {
            match respond(exchange, held, challenge) {
                Ok(response) => {
                    tx.put(sasl::base64_encode(&response).as_bytes());
                    tx.put(b"\r\n");
                }
                Err(error) => {
                    tx.put(b"*\r\n");
                    *self = Self::Cancelled(error);
                }
            }
            return Ok(None);
        }
        let outcome = status(line)?;
        match (&*self, outcome) {
            (Self::User(credentials), Ok(_)) => {
                tx.put(b"PASS ");
                tx.put(credentials.password().map_or(&[], sasl::Secret::as_bytes));
                tx.put(b"\r\n");
                *self = Self::Pass;
                return Ok(None);
            }
            (Self::Sasl { exchange, .. }, Ok(_)) => exchange.finish()?,
            (Self::Cancelled(error), _) => return Err((*error).into()),
            _ => {}
        }
        Ok(Some(outcome.map(Reply::parse).map_err(Reply::parse)))
    }
}

/// Writes the whole of APOP.
#[cfg(feature = "apop")]
pub(super) fn apop(timestamp: &str, credentials: &Credentials, tx: &mut SendBuf) {
    let Some(password) = credentials.password() else {
        return;
    };
    let digest = crate::apop::digest(timestamp, password);
    tx.put_all([
        b"APOP ",
        credentials.username().as_bytes(),
        b" ",
        digest.as_bytes(),
        b"\r\n",
    ]);
}

fn respond(
    exchange: &mut sasl::Client,
    held: &mut Option<Vec<u8>>,
    challenge: &[u8],
) -> Result<Vec<u8>, sasl::Error> {
    let challenge = sasl::base64_decode(challenge).ok_or(sasl::Error::Malformed)?;
    if let Some(initial) = held.take() {
        return match challenge.is_empty() {
            true => Ok(initial),
            false => Err(sasl::Error::Malformed),
        };
    }
    match exchange.step(Some(&challenge))? {
        ClientStep::Respond(response) => Ok(response),
        // It said all it had to; the server waits for a line nevertheless.
        _ => Ok(Vec::new()),
    }
}

/// What a challenge holds; the space behind the plus is forgiven if it is missing before nothing.
fn challenge(line: &[u8]) -> Option<&[u8]> {
    match line {
        b"+" => Some(b""),
        _ => line.strip_prefix(b"+ "),
    }
}

/// RFC 2449 §4: the longest command, with its CRLF.
const MAX_COMMAND: usize = 255;
