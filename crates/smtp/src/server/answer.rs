//! The caller's answers, and the replies that say them (RFC 5321 §4.2, RFC 2034)

use super::body::{Chunks, Receiving};
use super::{Asked, Event, Held, Server, State};
use crate::chunking::Chunk;
use crate::{EnhancedCode, Error, Limit, Rejection, Reply};
use mailwright_sasl as sasl;
use std::time::Duration;

/// How a question is answered with yes.
enum Yes<'a> {
    /// In the engine's words.
    Plain,
    /// In the caller's.
    Text(&'a str),
    /// With a code of the caller's own, too.
    Reply(&'a Reply),
}

impl Server {
    /// Answers the last question with yes.
    ///
    /// # Panics
    ///
    /// Panics if no question is open, or if it is [`Event::Auth`].
    pub fn accept(&mut self) {
        self.say_yes(Yes::Plain);
    }

    /// Answers the last question with yes, and with a text of the caller's own: the queue's name for a
    /// message, for example. The text is cleaned like that of [`Reply::new`].
    ///
    /// # Panics
    ///
    /// Panics if no question is open, or if it is [`Event::Auth`].
    pub fn accept_with(&mut self, text: &str) {
        self.say_yes(Yes::Text(text));
    }

    /// Answers the last question with a positive reply of the caller's own: 251 for a recipient whose mail goes
    /// elsewhere, 253 for ETRN, `250 2.3.6` for another priority than the one asked for.
    ///
    /// # Panics
    ///
    /// Panics if no question is open, if the reply is not positive, or if the question is one whose reply the
    /// protocol fixes: [`Event::Connect`], [`Event::Hello`], [`Event::StartTls`], [`Event::Auth`],
    /// [`Event::Data`] and [`Event::Xclient`].
    pub fn accept_reply(&mut self, reply: &Reply) {
        assert!(reply.is_positive(), "a positive reply accepts");
        let fixed = matches!(
            self.state,
            State::Asked(
                Asked::Connect
                    | Asked::Hello(_)
                    | Asked::StartTls
                    | Asked::Auth(_)
                    | Asked::Data
                    | Asked::FirstChunk(_)
                    | Asked::Xclient(_)
            )
        );
        assert!(!fixed, "the protocol fixes the reply to this question");
        self.say_yes(Yes::Reply(reply));
    }

    /// Answers the last question with no. A rejection with code 421 also ends the session.
    ///
    /// # Panics
    ///
    /// Panics if no question is open, or if it is [`Event::Auth`].
    pub fn reject(&mut self, rejection: Rejection) {
        let closes = rejection.closes();
        match self.take_question() {
            Asked::Connect => {
                // RFC 2034 §4: no enhanced code in the greeting and in replies to EHLO.
                rejection.reply().write(self.out(), false);
                self.session.refused = true;
            }
            Asked::Hello(_) => rejection.reply().write(self.out(), false),
            Asked::Auth(_) => panic!("{AUTH_OWED}"),
            Asked::Rcpt(_) => {
                self.reply(rejection.reply());
                self.session.refused_recipients += u32::from(rejection.reply().is_permanent());
                if self.session.refused_recipients > self.session.config.limits.refused_recipients {
                    return self.fail(Error::Limit(Limit::RefusedRecipients));
                }
            }
            Asked::Data => {
                self.end_transaction();
                self.reply(rejection.reply());
            }
            Asked::FirstChunk(chunk) if !closes => {
                // RFC 2033 §4.3: one reply for each recipient follows the last chunk.
                let replies = if chunk.last { self.replies_to_message() } else { 1 };
                self.transaction = None;
                self.drain(chunk, rejection.into(), replies);
            }
            Asked::Message(left) => {
                self.reply(rejection.reply());
                self.message_answered(left);
            }
            Asked::Lookup(utf8) => self.reply_to_lookup(rejection.reply(), utf8),
            Asked::Mail(_)
            | Asked::FirstChunk(_)
            | Asked::StartTls
            | Asked::Help
            | Asked::Etrn(_)
            | Asked::Xclient(_)
            | Asked::Xforward(_) => self.reply(rejection.reply()),
        }
        if closes {
            self.state = State::Closing;
        }
    }

    /// Answers [`Event::Auth`].
    ///
    /// # Panics
    ///
    /// Panics if that is not the open question.
    pub fn answer_auth(&mut self, answer: sasl::Answer) {
        match self.take_question() {
            Asked::Auth(mut exchange) => {
                let step = exchange.answer(answer);
                self.auth_step(exchange, step);
            }
            _ => panic!("the open question is not about AUTH"),
        }
    }

    /// Holds back what the coming answer says, for so long after the next poll: to slow down clients that are
    /// not wanted. Nothing else of the client is served meanwhile. It ends early when the client ends its side
    /// or fills the receive buffer, and at [`shutdown`](Server::shutdown). The reply to STARTTLS is never held.
    ///
    /// # Panics
    ///
    /// Panics if no question is open.
    pub fn delay_reply(&mut self, time: Duration) {
        assert!(matches!(self.state, State::Asked(_)), "{NOTHING_OPEN}");
        if time > Duration::ZERO && self.held.is_none() {
            self.held = Some(Held::new(time));
        }
    }

    fn take_question(&mut self) -> Asked {
        match std::mem::replace(&mut self.state, State::Command) {
            State::Asked(asked) => asked,
            _ => panic!("{NOTHING_OPEN}"),
        }
    }

    /// Asks, or grants what is not to be asked about.
    pub(super) fn ask_if(&mut self, wanted: bool, asked: Asked, event: Event) {
        match wanted {
            true => self.ask(asked, event),
            false => {
                self.state = State::Asked(asked);
                self.accept();
            }
        }
    }

    fn say_yes(&mut self, yes: Yes<'_>) {
        let done = |code, subject, detail, fixed: &'static str| {
            let reply = Reply::fixed(code, EnhancedCode::new(2, subject, detail), fixed);
            match yes {
                Yes::Plain => reply,
                Yes::Text(text) => reply.with_text(text),
                Yes::Reply(reply) => reply.clone(),
            }
        };
        let text = match yes {
            Yes::Text(text) => Some(text),
            Yes::Plain | Yes::Reply(_) => None,
        };
        match self.take_question() {
            Asked::Connect => self.session.greeting(text).write(self.out(), false),
            Asked::Hello(hello) => {
                self.session.set_hello(Some(hello));
                self.abort_transaction();
                let welcome = self.session.welcome(text, self.horizon());
                welcome.write(self.out(), false);
                self.flush = true;
            }
            Asked::StartTls => self.start_tls(&done(220, 0, 0, "Ready to start TLS")),
            Asked::Auth(_) => panic!("{AUTH_OWED}"),
            Asked::Mail(begun) => {
                self.transaction = Some(begun.into());
                self.session.transactions += 1;
                self.reply(&done(250, 1, 0, "Sender OK"));
            }
            Asked::Rcpt(domain) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                    transaction.domains.extend(domain);
                }
                self.reply(&done(250, 1, 5, "Recipient OK"));
            }
            Asked::Data => {
                let config = &self.session.config;
                self.state = State::Body(Box::new(Receiving::new(config.bare_newlines, &config.limits)));
                let reply = Reply::plain(354, "Start mail input; end with <CRLF>.<CRLF>");
                self.reply(&text.map_or(reply.clone(), |text| reply.with_text(text)));
                self.flush = true;
            }
            Asked::FirstChunk(chunk) => self.first_chunk(chunk),
            Asked::Message(left) => {
                self.session.commands = 0;
                self.reply(&done(250, 0, 0, "Message accepted"));
                self.message_answered(left);
            }
            Asked::Lookup(utf8) => {
                let reply = match yes {
                    // RFC 5321 §3.5.3: what a server that does not tell says.
                    Yes::Plain => done(252, 1, 5, "Cannot verify, but will take mail for it if it exists"),
                    Yes::Text(_) | Yes::Reply(_) => done(250, 1, 5, ""),
                };
                self.reply_to_lookup(&reply, utf8);
            }
            Asked::Help => {
                self.reply(&done(214, 0, 0, "See RFC 5321"));
                self.flush = true;
            }
            Asked::Etrn(node) => {
                let reply = done(250, 0, 0, "");
                self.reply(&match yes {
                    Yes::Plain => reply.with_text(&format!("Queuing for node {node} started")),
                    Yes::Text(_) | Yes::Reply(_) => reply,
                });
                self.flush = true;
            }
            Asked::Xclient(attributes) => self.begin_anew(*attributes),
            Asked::Xforward(attributes) => {
                self.xforward.update(*attributes);
                self.reply(&done(250, 0, 0, "OK"));
                self.flush = true;
            }
        }
    }

    fn first_chunk(&mut self, chunk: Chunk) {
        let config = &self.session.config;
        let binary = self.transaction.as_ref().is_some_and(|t| t.binary);
        let mut chunks = Chunks::new(binary, config.bare_newlines, &config.limits);
        chunks.begin(chunk);
        self.state = State::Chunk(Box::new(chunks));
    }

    fn reply_to_lookup(&mut self, reply: &Reply, utf8: bool) {
        let enhanced = self.session.sends_enhanced_codes();
        match utf8 {
            true => reply.write_utf8(self.out(), enhanced),
            false => reply.write(self.out(), enhanced),
        }
        self.flush = true;
    }

    fn message_answered(&mut self, left: u32) {
        match left {
            0 | 1 => self.end_transaction(),
            _ => self.state = State::Asked(Asked::Message(left - 1)),
        }
    }
}

const AUTH_OWED: &str = "the open question is about AUTH: call `answer_auth`";
const NOTHING_OPEN: &str = "no question is open";
