//! AUTH: logging in (RFC 4954)

use super::{Client, State};
use crate::{Error, Reply};
use mailwright_sasl::{self as sasl, ClientStep};

/// The longest command line every server takes: RFC 5321 §4.5.3.1.4.
const COMMAND_LINE: usize = 512;

impl Client {
    /// Logs in, if there is something to log in with.
    pub(super) fn authenticate(&mut self) {
        let Some(credentials) = self.config.credentials.clone() else {
            return self.ready();
        };
        let offered = self.capabilities.mechanisms();
        let mut wanted = offered.clone();
        wanted.retain(|m| self.config.mechanisms.contains(m));
        let plaintext = self.tls || self.config.plaintext_auth_without_tls;
        let Some(mechanism) = sasl::Client::choose(&wanted, &credentials, plaintext, &self.bindings) else {
            return self.fail(Error::AuthNotOffered);
        };
        let mut exchange =
            sasl::Client::new(mechanism, credentials, &self.nonces.draw()).bound_to(&self.bindings, &offered);
        let mut line = format!("AUTH {mechanism}");
        let mut held = None;
        match exchange.step(None) {
            Ok(ClientStep::Respond(response)) => {
                let initial = sasl::base64_encode_initial(&response);
                // RFC 4954 §4: it must fit a command line, or wait for the first challenge.
                if line.len() + 1 + initial.len() + 2 <= COMMAND_LINE {
                    line.push(' ');
                    line.push_str(&initial);
                } else {
                    held = Some(response);
                }
            }
            Ok(_) => {}
            Err(error) => return self.fail(Error::Auth(error)),
        }
        self.line(&line);
        self.enter(State::Auth {
            exchange: Box::new(exchange),
            held,
        });
    }

    pub(super) fn challenge(&mut self, reply: &Reply) {
        let State::Auth { exchange, held } = &mut self.state else {
            return;
        };
        let challenge = sasl::base64_decode(reply.text().as_bytes());
        let step = match (challenge, held.take()) {
            (None, _) => Err(sasl::Error::Malformed),
            (Some(challenge), Some(_)) if !challenge.is_empty() => Err(sasl::Error::Malformed),
            (Some(_), Some(initial)) => Ok(ClientStep::Respond(initial)),
            (Some(challenge), None) => exchange.step(Some(&challenge)),
        };
        self.deadline = None;
        match step {
            Ok(ClientStep::Respond(response)) => self.line(&sasl::base64_encode(&response)),
            Ok(_) => self.line(""),
            Err(error) => {
                self.line("*");
                self.fail(Error::Auth(error));
            }
        }
    }

    /// Queues a line that holds nothing but base64 and what this module wrote.
    fn line(&mut self, line: &str) {
        self.tx.put(line.as_bytes());
        self.tx.put(b"\r\n");
    }
}
