//! Greeting, EHLO and STARTTLS (RFC 5321 §3.1, §3.2, RFC 3207)

use super::{Capabilities, Client, Event, StartTls, State};
use crate::{Command, Error, HelloVerb, Reply, Violation};

impl Client {
    /// Takes one reply of the server.
    pub(super) fn reply(&mut self, reply: Reply) {
        let stage = self.stage();
        if reply.code() == 421 && !matches!(self.state, State::Quit) {
            return self.fail(Error::ServiceClosing(stage, reply));
        }
        let refused = reply.is_temporary() || reply.is_permanent();
        match &mut self.state {
            State::Greeting if reply.code() == 220 => self.hello(self.first_verb()),
            State::Hello(verb) if reply.is_positive() => {
                self.capabilities = match verb {
                    HelloVerb::Helo => Capabilities::default(),
                    HelloVerb::Ehlo | HelloVerb::Lhlo => Capabilities::parse(&reply),
                };
                self.greeted();
            }
            // RFC 5321 §3.2: servers without EHLO.
            State::Hello(HelloVerb::Ehlo) if matches!(reply.code(), 500 | 501 | 502 | 504) => {
                self.hello(HelloVerb::Helo);
            }
            State::StartTls if reply.code() == 220 => {
                // What stands behind it in the clear must not be taken for encrypted (CVE-2011-1575).
                self.dropped_plaintext += self.rx.clear();
                self.replies.reset();
                self.enter(State::Tls);
            }
            State::StartTls if refused && self.config.starttls == StartTls::IfOffered => {
                self.authenticate();
            }
            State::Auth { .. } if reply.code() == 334 => self.challenge(&reply),
            State::Auth { exchange, .. } if reply.code() == 235 => match exchange.finish() {
                Ok(()) => self.ready(),
                Err(error) => self.fail(Error::Auth(error)),
            },
            State::Transaction(flight) => match flight.reply(reply, &mut self.tx) {
                Ok(true) => self.events.push_back(Event::BodyWanted),
                Ok(false) => {}
                Err(error) => self.fail(error),
            },
            State::Quit => self.enter(State::Closing),
            State::Greeting | State::Hello(_) | State::StartTls | State::Auth { .. } if refused => {
                self.fail(Error::Refused(stage, reply));
            }
            State::Parked => self.fail(Error::Protocol(stage, Violation::Unsolicited)),
            _ => self.fail(Error::Protocol(stage, Violation::UnexpectedReply)),
        }
    }

    /// Goes on after the reply to EHLO.
    fn greeted(&mut self) {
        let offered = self.capabilities.has("STARTTLS");
        match self.config.starttls {
            _ if self.tls => self.authenticate(),
            StartTls::IfOffered | StartTls::Required if offered => {
                self.command(&Command::StartTls);
                self.enter(State::StartTls);
            }
            StartTls::Required => self.fail(Error::TlsNotOffered),
            StartTls::IfOffered | StartTls::Never => self.authenticate(),
        }
    }
}
