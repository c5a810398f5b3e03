//! LOGIN, AUTHENTICATE with SASL-IR (RFC 4959), STARTTLS (RFC 3501 §6.2)

use super::{Phase, Reply, Server, Task, Turn};
use crate::{Capability, Code, Error, Event};
use mailwright_sasl::{
    self as sasl, Answer, Failure, Identity, Mechanism, Secret, ServerStep, base64_decode,
    base64_decode_initial, base64_encode,
};

impl Server {
    /// Answers [`Event::Auth`].
    ///
    /// # Panics
    ///
    /// Panics if credentials are not what was asked about.
    pub fn answer_auth(&mut self, answer: Answer) {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Asked(Task::Auth(mut exchange)) => {
                let step = exchange.answer(answer);
                self.auth_step(exchange, step);
            }
            _ => panic!("no credentials were asked about"),
        }
    }

    pub(super) fn offers_starttls(&self) -> bool {
        self.config.starttls && !self.is_tls
    }

    pub(super) fn allows_plaintext(&self) -> bool {
        self.is_tls || self.config.plaintext_login
    }

    /// Whether a mechanism is offered as soon as there is TLS, if it needs that.
    pub(super) fn knows(&self, mechanism: Mechanism) -> bool {
        self.config.mechanisms.contains(&mechanism) && (!mechanism.is_plus() || !self.bindings.is_empty())
    }

    pub(super) fn starttls(&mut self) {
        if !self.offers_starttls() {
            return self.bad("STARTTLS is not offered");
        }
        self.reply_now(&Reply::ok("Begin TLS negotiation"));
        // CVE-2011-0411: what came in the clear behind STARTTLS must not survive into the protected session.
        self.rx.clear();
        self.framer.reset();
        self.phase = Phase::StartTls;
    }

    pub(super) fn login(&mut self, username: &[u8], password: &[u8]) {
        if !self.allows_plaintext() {
            return self.no(Some(Code::PrivacyRequired), "LOGIN is disabled without TLS");
        }
        // LOGIN is PLAIN by other means (RFC 3501 §6.2.3): one path to check credentials.
        let response = [b"\0", username, b"\0", password].concat();
        self.start_auth(Mechanism::Plain, Some(&response));
    }

    pub(super) fn authenticate(&mut self, mechanism: &[u8], initial: Option<Secret>) {
        let mechanism = std::str::from_utf8(mechanism).ok().and_then(Mechanism::from_name);
        let Some(mechanism) = mechanism.filter(|m| self.knows(*m)) else {
            return self.no(None, "The mechanism is not supported");
        };
        if mechanism.is_plaintext() && !self.allows_plaintext() {
            return self.no(
                Some(Code::PrivacyRequired),
                "The mechanism is disabled without TLS",
            );
        }
        let Some(initial) = initial else {
            return self.start_auth(mechanism, None);
        };
        if !self.offers(Capability::SaslIr) {
            return self.bad("An initial response is not allowed");
        }
        match base64_decode_initial(initial.as_bytes()) {
            Some(response) => self.start_auth(mechanism, Some(&response)),
            None => self.bad("The initial response is not valid base64"),
        }
    }

    fn start_auth(&mut self, mechanism: Mechanism, initial: Option<&[u8]>) {
        let exchange = sasl::Server::new(mechanism, &self.nonces.draw());
        let mut exchange = Box::new(exchange.bound_to(&self.bindings, &self.config.mechanisms));
        let step = exchange.step(initial);
        self.auth_step(exchange, step);
    }

    fn auth_step(&mut self, exchange: Box<sasl::Server>, step: ServerStep) {
        match step {
            ServerStep::Challenge(challenge) => self.challenge(exchange, &challenge),
            ServerStep::Ask(question) => {
                self.phase = Phase::Asked(Task::Auth(exchange));
                self.events.push_back(Event::Auth(question));
            }
            // There is no room for final data in OK: it goes as a challenge that is answered with nothing.
            ServerStep::Done {
                final_data: Some(data),
                ..
            } => self.challenge(exchange, &data),
            ServerStep::Done { identity, .. } => self.authenticated(identity),
            ServerStep::Failed(failure) => self.auth_failed(failure),
            _ => self.auth_failed(Failure::Unavailable),
        }
    }

    fn challenge(&mut self, exchange: Box<sasl::Server>, challenge: &[u8]) {
        self.out().raw("+ ").raw(&base64_encode(challenge)).raw("\r\n");
        self.phase = Phase::Auth(exchange);
    }

    pub(super) fn auth_turn(&mut self) -> Turn {
        let line = match self.next_line() {
            Ok(None) => return self.read(),
            Ok(Some(line)) => line,
            Err(_) => {
                self.phase = Phase::Command;
                self.bad("The response is too long");
                return Turn::Again;
            }
        };
        let Phase::Auth(mut exchange) = std::mem::replace(&mut self.phase, Phase::Command) else {
            return Turn::Again;
        };
        if line.trim_ascii() == b"*" {
            self.auth_failed(Failure::Aborted);
            return Turn::Again;
        }
        match base64_decode(&line) {
            Some(response) => {
                let step = exchange.step(Some(&response));
                self.auth_step(exchange, step);
            }
            None => self.bad("The response is not valid base64"),
        }
        Turn::Again
    }

    fn authenticated(&mut self, identity: Identity) {
        self.auth_failures = 0;
        self.enter_authenticated();
        let tag = self.tag.clone();
        self.tx.put(&tag);
        self.out().raw(" OK [CAPABILITY");
        self.put_capabilities();
        self.out().raw("] Logged in\r\n");
        self.phase = Phase::Command;
        self.events.push_back(Event::Authenticated(identity));
    }

    fn auth_failed(&mut self, failure: Failure) {
        self.phase = Phase::Command;
        match failure {
            Failure::Aborted => return self.bad("Authentication was cancelled"),
            Failure::Unavailable => {
                return self.no(
                    Some(Code::Unavailable),
                    "Authentication is not available at the moment",
                );
            }
            Failure::Malformed => self.no(Some(Code::AuthenticationFailed), "The credentials are malformed"),
            _ => self.no(Some(Code::AuthenticationFailed), "Authentication failed"),
        }
        self.auth_failures += 1;
        if self.auth_failures >= self.config.max_auth_failures {
            self.fail(Error::TooManyAuthFailures, "Too many failed logins");
        }
    }
}
