//! Greeting, EHLO and STARTTLS (RFC 5321 §3.1, §3.2, RFC 3207)

use super::{Capabilities, Client, Event, StartTls, State, xclient};
use crate::ehlo::Keyword;
use crate::{Command, Error, HelloVerb, Reply, Violation};

impl Client {
    /// Takes one reply of the server.
    pub(super) fn reply(&mut self, reply: Reply) {
        let stage = self.stage();
        let passing = match &self.state {
            // After QUIT nothing matters; of several recipients each has its own reply.
            State::Transaction(flight) => flight.is_answering_each(),
            State::Quit => true,
            _ => false,
        };
        if reply.code() == 421 && !passing {
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
                self.introduce();
            }
            State::Auth { .. } if reply.code() == 334 => self.challenge(&reply),
            State::Auth { exchange, .. } if reply.code() == 235 => match exchange.finish() {
                Ok(()) => self.ready(),
                Err(error) => self.fail(Error::Auth(error)),
            },
            State::Transaction(flight) => {
                let drained = self.tx.is_empty();
                if let Err(error) = flight.reply(reply, drained, &mut self.tx) {
                    self.fail(error);
                }
            }
            // It has a new greeting for the client that is spoken for.
            State::Xclient if reply.code() == 220 => self.hello(self.first_verb()),
            State::Query => {
                self.enter(State::Ready);
                self.events.push_back(Event::Answered(reply));
            }
            State::Quit => self.enter(State::Closing),
            State::Greeting | State::Hello(_) | State::StartTls | State::Xclient | State::Auth { .. }
                if refused =>
            {
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
            _ if self.tls => self.introduce(),
            StartTls::IfOffered | StartTls::Required | StartTls::Verified if offered => {
                self.command(&Command::StartTls);
                self.enter(State::StartTls);
            }
            StartTls::Required | StartTls::Verified => self.fail(Error::TlsNotOffered),
            StartTls::IfOffered | StartTls::Never => self.introduce(),
        }
    }

    /// Says who this client speaks for, if the server wants to know, and goes on.
    fn introduce(&mut self) {
        let offered = self
            .capabilities
            .keywords()
            .iter()
            .find_map(|keyword| match keyword {
                Keyword::Xclient(attributes) if !self.introduced => Some(attributes.as_str()),
                _ => None,
            });
        let told = (self.config.xclient.as_deref().zip(offered))
            .and_then(|(known, offered)| xclient::taken_client(known.clone(), offered));
        match told {
            Some(told) => {
                self.introduced = true;
                self.command(&Command::Xclient(Box::new(told)));
                self.enter(State::Xclient);
            }
            None => self.authenticate(),
        }
    }
}
