//! Logging in: USER, PASS and APOP (RFC 1939 §7), AUTH (RFC 5034)

use super::{Ask, Event, Server, State};
use crate::text::Text;
use crate::{Error, ResponseCode};
use mailwright_sasl as sasl;
use mailwright_sasl::{Failure, Mechanism, ServerStep};
use mailwright_wire::Line;

/// What a client showed that wants to log in with APOP.
#[cfg(feature = "apop")]
#[derive(Debug)]
pub(super) struct Apop {
    user: String,
    digest: String,
}

impl Server {
    pub(super) fn pass(&mut self, password: &str) {
        // RFC 1939 §7: only directly behind a successful USER.
        let State::Authorization { user } = &mut self.state else {
            unreachable!("commands before login are served in no other state")
        };
        let Some(user) = user.take() else {
            return self.bad(Text::SendUser);
        };
        let mut exchange = self.exchange(Mechanism::Plain);
        let step = exchange.step(Some(format!("\0{user}\0{password}").as_bytes()));
        self.sasl_step(exchange, step);
    }

    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        let knows =
            |m: &Mechanism| self.config.mechanisms.contains(m) && (!m.is_plus() || !self.bindings.is_empty());
        let Some(mechanism) = Mechanism::from_name(mechanism).filter(knows) else {
            return self.bad(Text::MechanismUnknown);
        };
        if !self.config.allows(mechanism, self.is_tls) {
            return self.refuse_login(Text::MechanismNeedsTls);
        }
        let mut exchange = self.exchange(mechanism);
        let step = match initial {
            None => exchange.step(None),
            // RFC 5034 §4: no initial response where the server speaks first.
            Some(_) if !mechanism.is_client_first() => ServerStep::Failed(Failure::Malformed),
            Some(initial) => match sasl::base64_decode_initial(initial.as_bytes()) {
                Some(response) => exchange.step(Some(&response)),
                None => ServerStep::Failed(Failure::Malformed),
            },
        };
        self.sasl_step(exchange, step);
    }

    fn exchange(&mut self, mechanism: Mechanism) -> Box<sasl::Server> {
        let exchange = sasl::Server::new(mechanism, &self.nonces.draw());
        Box::new(exchange.bound_to(&self.bindings, &self.config.mechanisms))
    }

    pub(super) fn sasl_response(&mut self, line: Option<Line>) {
        let closed = State::Authorization { user: None };
        let State::Sasl(mut exchange) = core::mem::replace(&mut self.state, closed) else {
            return;
        };
        let step = match line.as_ref().filter(|l| l.is_crlf).map(|l| &l.data[..]) {
            Some(b"*") => exchange.abort(),
            Some(response) => match sasl::base64_decode(response) {
                Some(response) => exchange.step(Some(&response)),
                None => ServerStep::Failed(Failure::Malformed),
            },
            None => ServerStep::Failed(Failure::Malformed),
        };
        self.sasl_step(exchange, step);
    }

    pub(super) fn sasl_step(&mut self, exchange: Box<sasl::Server>, step: ServerStep) {
        self.lines.set_max(self.config.max_line);
        match step {
            // RFC 5034 §4: POP3 has no room for data in a success reply.
            ServerStep::Challenge(data)
            | ServerStep::Done {
                final_data: Some(data),
                ..
            } => {
                self.tx.put(b"+ ");
                self.tx.put(sasl::base64_encode(&data).as_bytes());
                self.tx.put(b"\r\n");
                self.lines.set_max(self.config.max_sasl_line);
                self.state = State::Sasl(exchange);
            }
            ServerStep::Ask(question) => {
                self.state = State::Asked(Ask::Auth(exchange));
                self.event = Some(Event::Auth(question));
            }
            ServerStep::Done { identity, .. } => {
                self.state = State::Asked(Ask::Open);
                self.event = Some(Event::Open(identity));
            }
            ServerStep::Failed(failure) => self.login_failed(failure),
            _ => self.login_failed(Failure::Unavailable),
        }
    }

    fn login_failed(&mut self, failure: Failure) {
        let (code, text) = match failure {
            Failure::Denied | Failure::ChannelBinding => (Some(ResponseCode::Auth), Text::LoginWrong),
            Failure::Malformed => (None, Text::LoginMalformed),
            Failure::Aborted => (None, Text::LoginCancelled),
            _ => (Some(ResponseCode::SysTemp), Text::LoginUnavailable),
        };
        self.voice.err(&mut self.tx, code, text);
        self.state = State::Authorization { user: None };
        self.event = Some(Event::AuthFailed(failure));
        self.failures += 1;
        if self.failures >= self.config.max_failures {
            self.failed = Some(Error::TooManyFailures);
        }
    }

    #[cfg(feature = "apop")]
    pub(super) fn apop(&mut self, user: &str, digest: &str) {
        if self.timestamp.is_none() {
            return self.bad(Text::UnknownCommand);
        }
        if !user.is_ascii() {
            // RFC 6856 §2.2 would have the name prepared; nobody needs that of APOP.
            return self.login_failed(Failure::Malformed);
        }
        self.state = State::Asked(Ask::Apop(Apop {
            user: user.to_owned(),
            digest: digest.to_owned(),
        }));
        self.event = Some(Event::Auth(sasl::Question::SharedSecret {
            username: user.to_owned(),
        }));
    }

    #[cfg(feature = "apop")]
    pub(super) fn apop_answer(&mut self, login: Apop, answer: sasl::Answer) {
        let failure = match (answer, &self.timestamp) {
            (sasl::Answer::Password(password), Some(timestamp)) => {
                match crate::apop::verify(timestamp, &password, &login.digest) {
                    true => None,
                    false => Some(Failure::Denied),
                }
            }
            (sasl::Answer::Deny, _) => Some(Failure::Denied),
            _ => Some(Failure::Unavailable),
        };
        if let Some(failure) = failure {
            return self.login_failed(failure);
        }
        self.state = State::Asked(Ask::Open);
        self.event = Some(Event::Open(sasl::Identity::new(login.user, None)));
    }
}
