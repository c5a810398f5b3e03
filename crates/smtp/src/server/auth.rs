//! AUTH (RFC 4954)

use super::session::BAD_SEQUENCE;
use super::{Asked, Event, MAX_INPUT, Server, State, line_fault};
use crate::line::LineFault;
use crate::{EnhancedCode, Error, Limit, Reply};
use bytes::Bytes;
use mailwright_sasl::{self as sasl, Failure, Identity, ServerStep};

/// A SASL exchange in SMTP's dress: base64 lines, `*` to cancel, `=` for an empty initial response.
#[derive(Debug)]
pub(super) struct Exchange {
    server: Box<sasl::Server>,
}

pub(super) enum Step {
    /// Send 334 with this text.
    Challenge(String),
    Ask(sasl::Question),
    Done(Identity),
    Failed(Reply),
}

impl Exchange {
    pub(super) fn new(server: sasl::Server) -> Self {
        Self {
            server: Box::new(server),
        }
    }

    pub(super) fn begin(&mut self, initial: Option<&str>) -> Step {
        let response = match initial {
            None => None,
            Some(initial) => match sasl::base64_decode_initial(initial.as_bytes()) {
                Some(response) => Some(response),
                None => return Step::Failed(failure(Failure::Malformed)),
            },
        };
        let step = self.server.step(response.as_deref());
        self.dress(step)
    }

    pub(super) fn line(&mut self, line: &[u8]) -> Step {
        let step = match line {
            b"*" => self.server.abort(),
            line => match sasl::base64_decode(line) {
                Some(response) => self.server.step(Some(&response)),
                None => ServerStep::Failed(Failure::Malformed),
            },
        };
        self.dress(step)
    }

    pub(super) fn answer(&mut self, answer: sasl::Answer) -> Step {
        let step = self.server.answer(answer);
        self.dress(step)
    }

    fn dress(&self, step: ServerStep) -> Step {
        match step {
            ServerStep::Challenge(data) => Step::Challenge(sasl::base64_encode(&data)),
            ServerStep::Ask(question) => Step::Ask(question),
            // RFC 4954 §4: 235 carries no data, so it goes as one more challenge.
            ServerStep::Done {
                final_data: Some(data),
                ..
            } => Step::Challenge(sasl::base64_encode(&data)),
            ServerStep::Done { identity, .. } => Step::Done(identity),
            ServerStep::Failed(why) => Step::Failed(failure(why)),
            _ => Step::Failed(failure(Failure::Unavailable)),
        }
    }
}

/// RFC 4954 §4 and §6.
fn failure(why: Failure) -> Reply {
    match why {
        Failure::Malformed => Reply::fixed(501, EnhancedCode::new(5, 5, 2), "Malformed authentication data"),
        Failure::Denied | Failure::ChannelBinding => Reply::fixed(
            535,
            EnhancedCode::new(5, 7, 8),
            "Authentication credentials invalid",
        ),
        Failure::Aborted => Reply::fixed(501, EnhancedCode::new(5, 7, 0), "Authentication cancelled"),
        _ => Reply::fixed(
            454,
            EnhancedCode::new(4, 7, 0),
            "Temporary authentication failure",
        ),
    }
}

fn line_too_long() -> Reply {
    Reply::fixed(
        500,
        EnhancedCode::new(5, 5, 6),
        "Authentication exchange line is too long",
    )
}

impl Server {
    pub(super) fn auth_command(&mut self, name: &str, initial: Option<&str>) -> Result<(), Reply> {
        if self.transaction.is_some() {
            return Err(Reply::fixed(503, BAD_SEQUENCE, "Not within a mail transaction"));
        }
        let mechanism = self.session.mechanism(name)?;
        let server = sasl::Server::new(mechanism, &self.nonces.draw())
            .bound_to(&self.session.bindings, &self.session.config.mechanisms);
        let mut exchange = Exchange::new(server);
        let step = exchange.begin(initial);
        self.auth_step(exchange, step);
        Ok(())
    }

    pub(super) fn auth_line(&mut self, line: Result<Bytes, LineFault>) {
        let State::Auth(mut exchange) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("a line of an exchange without one");
        };
        let step = match line {
            Ok(line) => exchange.line(&line),
            Err(fault) => {
                self.end_exchange();
                return self.complain(&match fault {
                    LineFault::TooLong => line_too_long(),
                    LineFault::BareLf => line_fault(fault),
                });
            }
        };
        self.auth_step(exchange, step);
    }

    pub(super) fn auth_step(&mut self, exchange: Exchange, step: Step) {
        match step {
            Step::Challenge(challenge) => {
                Reply::write_challenge(&challenge, self.out());
                let max = self.session.config.limits.auth_line.clamp(512, MAX_INPUT);
                self.lines.set_max(max);
                self.state = State::Auth(exchange);
            }
            Step::Ask(question) => self.ask(Asked::Auth(exchange), Event::Auth(Box::new(question))),
            Step::Done(identity) => {
                self.end_exchange();
                self.session.identity = Some(identity.clone());
                self.login_deadline = None;
                self.reply(&Reply::fixed(
                    235,
                    EnhancedCode::new(2, 7, 0),
                    "Authentication successful",
                ));
                self.events.push_back(Event::Authenticated(identity));
            }
            Step::Failed(reply) => {
                self.end_exchange();
                self.complain(&reply);
                if reply.code() == 535 {
                    self.session.auth_failures += 1;
                    let limit = self.session.config.limits.auth_failures;
                    if self.session.auth_failures >= limit && !matches!(self.state, State::Failed(_)) {
                        self.fail(Error::Limit(Limit::AuthFailures));
                    }
                }
            }
        }
        self.flush = true;
    }

    fn end_exchange(&mut self) {
        let max = self.session.config.limits.command_line.clamp(512, MAX_INPUT);
        self.lines.set_max(max);
        self.state = State::Command;
    }
}
