//! LOGIN and AUTHENTICATE (RFC 3501 §6.2.2, RFC 4959)

use super::error::Unsent;
use super::text::Text;
use super::{Capabilities, Config};
use mailwright_sasl as sasl;
use mailwright_sasl::{ChannelBindings, ClientStep, Credentials, Mechanism};
use mailwright_wire::SendBuf;

/// A SASL exchange on its way.
#[derive(Debug)]
pub(super) enum Login {
    Running {
        exchange: Box<sasl::Client>,
        /// The initial response, where the command cannot carry it.
        held: Option<Vec<u8>>,
    },
    /// It was cancelled because of this.
    Cancelled(sasl::Error),
}

/// What a login starts with.
pub(super) enum Start {
    /// The LOGIN command.
    Plain(Text),
    /// The AUTHENTICATE command, and what follows.
    Sasl(String, Login),
}

/// What a server and the connection to it allow.
pub(super) struct Terms<'a> {
    pub(super) config: &'a Config,
    pub(super) capabilities: &'a Capabilities,
    pub(super) is_tls: bool,
    pub(super) bindings: &'a ChannelBindings,
}

/// Chooses how to log in.
pub(super) fn start(
    wanted: Option<Mechanism>,
    credentials: &Credentials,
    terms: &Terms<'_>,
    nonce: &[u8],
) -> Result<Start, Unsent> {
    let is_safe = terms.is_tls || terms.config.allow_plaintext;
    let offered = terms.capabilities.mechanisms();
    let mechanism = wanted.or_else(|| sasl::Client::choose(&offered, credentials, is_safe, terms.bindings));
    let Some(mechanism) = mechanism else {
        return plain(credentials, terms, is_safe);
    };
    if mechanism.is_plaintext() && !is_safe {
        return Err(Unsent::PlaintextRefused);
    }
    let mut exchange =
        sasl::Client::new(mechanism, credentials.clone(), nonce).bound_to(terms.bindings, &offered);
    let mut command = format!("AUTHENTICATE {mechanism}");
    let mut held = match exchange.step(None).map_err(Unsent::Sasl)? {
        ClientStep::Respond(response) => Some(response),
        _ => None,
    };
    if terms.capabilities.has("SASL-IR")
        && let Some(initial) = held.take()
    {
        command.push(' ');
        command.push_str(&sasl::base64_encode_initial(&initial));
    }
    let exchange = Box::new(exchange);
    Ok(Start::Sasl(command, Login::Running { exchange, held }))
}

fn plain(credentials: &Credentials, terms: &Terms<'_>, is_safe: bool) -> Result<Start, Unsent> {
    if terms.capabilities.has("LOGINDISABLED") {
        return Err(match is_safe {
            true => Unsent::NoMechanism,
            false => Unsent::PlaintextRefused,
        });
    }
    let Some(password) = credentials.password().filter(|_| credentials.authzid().is_none()) else {
        return Err(Unsent::NoMechanism);
    };
    if !is_safe {
        return Err(Unsent::PlaintextRefused);
    }
    let mut text = Text::new("LOGIN ");
    text.astring(credentials.username().as_bytes())
        .raw(" ")
        .astring(password.as_bytes());
    Ok(Start::Plain(text))
}

impl Login {
    /// Answers a challenge.
    pub(super) fn challenge(&mut self, challenge: &[u8], tx: &mut SendBuf) {
        let Self::Running { exchange, held } = self else {
            return tx.put(b"*\r\n");
        };
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
    }

    /// Says whether success may be believed.
    pub(super) fn finish(&self) -> Result<(), sasl::Error> {
        match self {
            Self::Running { exchange, .. } => exchange.finish(),
            Self::Cancelled(error) => Err(*error),
        }
    }
}

fn respond(
    exchange: &mut sasl::Client,
    held: &mut Option<Vec<u8>>,
    challenge: &[u8],
) -> Result<Vec<u8>, sasl::Error> {
    let challenge = sasl::base64_decode(challenge.trim_ascii()).ok_or(sasl::Error::Malformed)?;
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
