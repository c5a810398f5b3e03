//! The server engine: SMTP, submission and LMTP (RFC 5321, RFC 6409, RFC 2033)
//!
//! ```text
//!           Connect?            Hello?  Auth?  Mail?  Rcpt?  Data?
//!   start ───────────▶ Command ───────────────────────────────────▶ Asked
//!                       ▲ ▲ │ ◀──────────── accept, reject ───────────┘ │
//!          tls_started  │ │ │ AUTH                         DATA accepted│
//!      Tls ─────────────┘ │ ├────────▶ Auth ──▶ Asked                   ▼
//!       ▲                 │ │                                Body ─▶ Asked (Message?)
//!       └── STARTTLS ─────┼─┤                                  │          │
//!                         └─┼──────────────────────────────────┴──────────┘
//!                           ▼ QUIT, 421, errors, limits, timeouts
//!                    Closing, Failed
//! ```

mod auth;
mod config;
mod event;
mod session;
mod transaction;

pub use config::{AuthWithoutTls, BareNewlines, Config, Limits, Protocol, Timeouts};
pub use event::{Aborted, Event};
pub use session::Session;

use crate::line::{LineFault, LineFramer};
use crate::{Command, CommandError, EnhancedCode, Error, Hello, Limit, Rejection, Reply, Stage, Violation};
use auth::Exchange;
use bytes::Bytes;
use mailwright_sasl::{self as sasl, NonceSource};
use mailwright_wire::{Machine, RecvBuf, SendBuf, Step};
use session::BAD_SEQUENCE;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;
use transaction::{Received, Receiving, Transaction};

/// The server's end of one connection.
///
/// Drive it as a [`Machine`]. Its [`Event`]s say which of them owe an answer; while one is owed,
/// [`poll`](Machine::poll) returns [`Step::Answer`] and commands that arrived meanwhile wait.
#[derive(Debug)]
pub struct Server {
    rx: RecvBuf,
    tx: SendBuf,
    lines: LineFramer,
    state: State,
    session: Session,
    transaction: Option<Transaction>,
    /// Events to hand out before anything else happens.
    events: VecDeque<Event>,
    nonces: NonceSource,
    /// When the peer must have made progress; `None` until the next poll that waits for it.
    deadline: Option<Instant>,
    login_deadline: Option<Instant>,
    /// Output that must not wait for more input: RFC 2920 §3.2 (5) and (6).
    flush: bool,
    shutdown: bool,
    dropped_plaintext: usize,
}

#[derive(Debug)]
enum State {
    Command,
    /// An answer is owed.
    Asked(Asked),
    /// The next line belongs to an AUTH exchange.
    Auth(Exchange),
    Body(Receiving),
    /// The transport is to be handed to TLS.
    Tls,
    Closing,
    Failed(Error),
}

#[derive(Debug)]
enum Asked {
    Connect,
    Hello(Hello),
    Auth(Exchange),
    Mail(Transaction),
    Rcpt,
    Data,
    /// With LMTP, this many answers are still owed.
    Message(u32),
}

/// Output above this size is handed out before more commands are taken.
const MAX_OUTPUT: usize = 16 * 1024;
/// The largest line limit, and the bound of the receive buffer.
const MAX_INPUT: usize = 64 * 1024;
/// How much room is offered to a message at a time.
const BODY_ROOM: usize = 32 * 1024;

impl Server {
    /// Starts a session on a connection that was just accepted. `entropy` must be fresh randomness.
    ///
    /// The first event is [`Event::Connect`].
    pub fn new(config: impl Into<Arc<Config>>, entropy: [u8; 32], now: Instant) -> Self {
        let config = config.into();
        Self {
            rx: RecvBuf::new(MAX_INPUT),
            tx: SendBuf::new(),
            lines: LineFramer::new(config.limits.command_line.clamp(512, MAX_INPUT)),
            state: State::Asked(Asked::Connect),
            transaction: None,
            events: VecDeque::from([Event::Connect]),
            nonces: NonceSource::new(entropy),
            deadline: None,
            login_deadline: config.require_auth.then(|| now + config.timeouts.login),
            flush: false,
            shutdown: false,
            dropped_plaintext: 0,
            session: Session::new(config),
        }
    }

    /// Says that the connection is encrypted from its start (RFC 8314 §3).
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.session.tls = true;
        self
    }

    /// Answers the last question with yes.
    ///
    /// # Panics
    ///
    /// Panics if no question is open, or if it is [`Event::Auth`].
    pub fn accept(&mut self) {
        self.say_yes(None);
    }

    /// Answers the last question with yes, and with a text of the caller's own: the queue's name for a
    /// message, for example. The text is cleaned like that of [`Reply::new`].
    ///
    /// # Panics
    ///
    /// Panics if no question is open, or if it is [`Event::Auth`].
    pub fn accept_with(&mut self, text: &str) {
        self.say_yes(Some(text));
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
                rejection.reply().write(&mut self.tx, false);
                self.session.refused = true;
            }
            Asked::Hello(_) => rejection.reply().write(&mut self.tx, false),
            Asked::Auth(_) => panic!("{AUTH_OWED}"),
            Asked::Mail(_) => self.reply(rejection.reply()),
            Asked::Rcpt => {
                self.reply(rejection.reply());
                self.session.refused_recipients += u32::from(rejection.reply().is_permanent());
                if self.session.refused_recipients > self.session.config.limits.refused_recipients {
                    return self.fail(Error::Limit(Limit::RefusedRecipients));
                }
            }
            Asked::Data => {
                self.transaction = None;
                self.reply(rejection.reply());
            }
            Asked::Message(left) => {
                self.reply(rejection.reply());
                self.message_answered(left);
            }
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

    /// Refuses a message before its end; the peer hears it after the end. No more [`Event::Body`] follows,
    /// but [`Event::Aborted`].
    ///
    /// # Panics
    ///
    /// Panics if no message is on its way: before DATA was accepted, and from [`Event::Message`] on.
    pub fn refuse_message(&mut self, rejection: Rejection) {
        match &mut self.state {
            State::Body(receiving) => receiving.refuse(rejection, Aborted::Refused),
            _ => panic!("no message is on its way"),
        }
    }

    /// Says that the handshake which [`Step::StartTls`] asked for is done. The client has to introduce itself
    /// again (RFC 3207 §4.2).
    ///
    /// # Panics
    ///
    /// Panics if no handshake was asked for.
    pub fn tls_started(&mut self) {
        assert!(
            matches!(self.state, State::Tls) && self.tx.is_empty(),
            "no handshake was asked for"
        );
        self.session.tls_started();
        self.state = State::Command;
        self.deadline = None;
    }

    /// Says what identifies the TLS channel, so that -PLUS mechanisms can be bound to it: RFC 5802 §6. Call it
    /// after [`tls_started`](Server::tls_started), or at once where TLS came first; without it none is offered.
    pub fn bind_channel(&mut self, bindings: sasl::ChannelBindings) {
        self.session.bindings = bindings;
    }

    /// Ends the session with a 421 as soon as no command, message or answer is under way (RFC 5321 §3.8).
    pub fn shutdown(&mut self) {
        self.shutdown = true;
    }

    /// How many answers the last question takes: 0 if none is open; more than one for a message that came by
    /// LMTP for several recipients.
    pub fn owed(&self) -> u32 {
        match &self.state {
            State::Asked(Asked::Message(left)) => *left,
            State::Asked(_) => 1,
            _ => 0,
        }
    }

    /// What is known about the client.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How the message comes in, for the `with` clause of a `Received` line: `ESMTPSA` and the like
    /// (RFC 3848, RFC 6531 §4.3).
    pub fn transmission_type(&self) -> &'static str {
        let smtputf8 = self.transaction.as_ref().is_some_and(|t| t.smtputf8);
        self.session.transmission_type(smtputf8)
    }

    /// How many octets were dropped because they stood behind STARTTLS in the clear: commands that somebody
    /// tried to carry into the encrypted session (RFC 3207 §6). For logs; how many are seen depends on the
    /// network.
    pub fn dropped_plaintext(&self) -> usize {
        self.dropped_plaintext
    }

    fn take_question(&mut self) -> Asked {
        match std::mem::replace(&mut self.state, State::Command) {
            State::Asked(asked) => asked,
            _ => panic!("no question is open"),
        }
    }

    fn say_yes(&mut self, text: Option<&str>) {
        let done = |code, subject, detail, fixed: &'static str| {
            let reply = Reply::fixed(code, EnhancedCode::new(2, subject, detail), fixed);
            match text {
                Some(text) => reply.with_text(text),
                None => reply,
            }
        };
        match self.take_question() {
            Asked::Connect => self.session.greeting(text).write(&mut self.tx, false),
            Asked::Hello(hello) => {
                self.session.hello = Some(hello);
                self.abort_transaction();
                self.session.welcome(text).write(&mut self.tx, false);
                self.flush = true;
            }
            Asked::Auth(_) => panic!("{AUTH_OWED}"),
            Asked::Mail(transaction) => {
                self.transaction = Some(transaction);
                self.reply(&done(250, 1, 0, "Sender OK"));
            }
            Asked::Rcpt => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
                self.reply(&done(250, 1, 5, "Recipient OK"));
            }
            Asked::Data => {
                let config = &self.session.config;
                self.state = State::Body(Receiving::new(config.bare_newlines, &config.limits));
                let reply = Reply::plain(354, "Start mail input; end with <CRLF>.<CRLF>");
                self.reply(&text.map_or(reply.clone(), |text| reply.with_text(text)));
                self.flush = true;
            }
            Asked::Message(left) => {
                self.session.commands = 0;
                self.reply(&done(250, 0, 0, "Message accepted"));
                self.message_answered(left);
            }
        }
    }

    fn message_answered(&mut self, left: u32) {
        match left {
            0 | 1 => self.transaction = None,
            _ => self.state = State::Asked(Asked::Message(left - 1)),
        }
    }

    /// How many replies follow a message: one, or with LMTP one for each recipient.
    fn replies_to_message(&self) -> u32 {
        match (&self.transaction, self.session.config.protocol) {
            (Some(transaction), Protocol::Lmtp) => transaction.recipients,
            _ => 1,
        }
    }

    fn reply(&mut self, reply: &Reply) {
        reply.write(&mut self.tx, self.session.sends_enhanced_codes());
    }

    /// Tells the client that it made a mistake.
    fn complain(&mut self, reply: &Reply) {
        self.reply(reply);
        self.flush = true;
        self.session.errors += 1;
        if self.session.errors > self.session.config.limits.errors {
            self.fail(Error::Limit(Limit::Errors));
        }
    }

    fn fail(&mut self, error: Error) {
        if let Some(farewell) = error.farewell() {
            self.reply(&farewell);
        }
        self.state = State::Failed(error);
        self.deadline = None;
    }

    fn ask(&mut self, asked: Asked, event: Event) {
        self.state = State::Asked(asked);
        self.events.push_back(event);
    }

    fn abort_transaction(&mut self) {
        if self.transaction.take().is_some() {
            self.events.push_back(Event::Aborted(Aborted::Reset));
        }
    }

    /// Takes the next piece of input, if it is complete; whether it did.
    fn advance(&mut self) -> bool {
        match &mut self.state {
            State::Command => {
                let Some(line) = self.lines.next(&mut self.rx) else {
                    return false;
                };
                match line {
                    Ok(line) => self.line(&line),
                    Err(fault) => self.complain(&line_fault(fault)),
                }
            }
            State::Auth(_) => {
                let Some(line) = self.lines.next(&mut self.rx) else {
                    return false;
                };
                self.auth_line(line);
            }
            State::Body(receiving) => {
                let Some(received) = receiving.next(&mut self.rx) else {
                    return false;
                };
                self.body(received);
            }
            State::Asked(_) | State::Tls | State::Closing | State::Failed(_) => return false,
        }
        true
    }

    fn line(&mut self, line: &[u8]) {
        let command = match Command::parse(line, &self.session.extensions()) {
            Ok(command) => command,
            Err(CommandError::OtherProtocol) => {
                return self.fail(Error::Protocol(self.stage(), Violation::OtherProtocol));
            }
            Err(error) => return self.complain(&error.reply()),
        };
        if !matches!(command, Command::Rcpt(_)) {
            self.session.commands += 1;
            if self.session.commands > self.session.config.limits.commands {
                return self.fail(Error::Limit(Limit::Commands));
            }
        }
        match self.command(command) {
            Ok(()) => {}
            // RFC 5321 §4.5.3.1.10: to ask for more than there is room for is no mistake, and who does goes on
            // with the recipients that were taken.
            Err(reply) if matches!(reply.code(), 452 | 552) => self.reply(&reply),
            Err(reply) => self.complain(&reply),
        }
    }

    fn command(&mut self, command: Command) -> Result<(), Reply> {
        self.session.permit(&command)?;
        let limits = &self.session.config.limits;
        let open = self.transaction.as_ref();
        match command {
            Command::Hello(hello) => self.ask(Asked::Hello(hello.clone()), Event::Hello(hello)),
            Command::Mail(mail) => {
                let transaction = Transaction::begin(open, &mail, limits)?;
                self.ask(Asked::Mail(transaction), Event::Mail(mail));
            }
            Command::Rcpt(rcpt) => {
                Transaction::recipient(open, &rcpt, limits)?;
                self.ask(Asked::Rcpt, Event::Rcpt(rcpt));
            }
            Command::Data => {
                Transaction::data(open)?;
                self.ask(Asked::Data, Event::Data);
            }
            Command::Rset => {
                self.abort_transaction();
                self.reply(&Reply::fixed(250, EnhancedCode::new(2, 0, 0), "Reset"));
            }
            Command::Noop => {
                self.reply(&Reply::fixed(250, EnhancedCode::new(2, 0, 0), "OK"));
                self.flush = true;
            }
            Command::Vrfy(_) => {
                // RFC 5321 §3.5.3: what a server that does not tell says.
                let text = "Cannot verify, but will take mail for it if it exists";
                self.reply(&Reply::fixed(252, EnhancedCode::new(2, 1, 5), text));
                self.flush = true;
            }
            Command::Help => {
                let text = "See RFC 5321";
                self.reply(&Reply::fixed(214, EnhancedCode::new(2, 0, 0), text));
                self.flush = true;
            }
            Command::Quit => {
                self.reply(&Reply::fixed(221, EnhancedCode::new(2, 0, 0), "Goodbye"));
                self.close();
            }
            Command::StartTls => {
                self.abort_transaction();
                self.reply(&Reply::fixed(
                    220,
                    EnhancedCode::new(2, 0, 0),
                    "Ready to start TLS",
                ));
                // RFC 3207 §4.2, CVE-2011-0411: what came in the clear must not be taken for encrypted.
                self.dropped_plaintext += self.rx.clear();
                self.lines.reset();
                self.state = State::Tls;
            }
            Command::Auth { mechanism, initial } => self.auth_command(&mechanism, initial.as_deref())?,
            Command::Expn(_)
            | Command::Bdat(_)
            | Command::Etrn(_)
            | Command::Xclient(_)
            | Command::Xforward(_) => unreachable!("`permit` refuses it"),
        }
        Ok(())
    }

    fn auth_command(&mut self, name: &str, initial: Option<&str>) -> Result<(), Reply> {
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

    fn auth_line(&mut self, line: Result<Bytes, LineFault>) {
        let State::Auth(mut exchange) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("a line of an exchange without one");
        };
        let step = match line {
            Ok(line) => exchange.line(&line),
            Err(fault) => {
                self.end_exchange();
                return self.complain(&match fault {
                    LineFault::TooLong => auth::line_too_long(),
                    LineFault::BareLf => line_fault(fault),
                });
            }
        };
        self.auth_step(exchange, step);
    }

    fn auth_step(&mut self, exchange: Exchange, step: auth::Step) {
        match step {
            auth::Step::Challenge(challenge) => {
                Reply::write_challenge(&challenge, &mut self.tx);
                let max = self.session.config.limits.auth_line.clamp(512, MAX_INPUT);
                self.lines.set_max(max);
                self.state = State::Auth(exchange);
            }
            auth::Step::Ask(question) => self.ask(Asked::Auth(exchange), Event::Auth(question)),
            auth::Step::Done(identity) => {
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
            auth::Step::Failed(reply) => {
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

    fn body(&mut self, received: Received) {
        match received {
            Received::Body(data) => self.events.push_back(Event::Body(data)),
            Received::Dropped => {}
            Received::Complete { size } => {
                self.lines.reset();
                self.ask(Asked::Message(self.replies_to_message()), Event::Message { size });
            }
            Received::Refused(rejection, why) => {
                self.lines.reset();
                self.state = State::Command;
                for _ in 0..self.replies_to_message() {
                    self.reply(rejection.reply());
                }
                self.transaction = None;
                self.events.push_back(Event::Aborted(why));
                if rejection.closes() {
                    self.close();
                }
            }
        }
    }

    fn close(&mut self) {
        self.state = State::Closing;
        self.deadline = None;
    }

    fn stage(&self) -> Stage {
        match &self.state {
            State::Auth(_) => Stage::Auth,
            State::Body(_) => Stage::Body,
            State::Tls => Stage::StartTls,
            State::Command if self.session.hello.is_none() => Stage::Hello,
            State::Command if self.transaction.is_some() => Stage::Rcpt,
            _ => Stage::Idle,
        }
    }

    /// Whether the peer has let its time run out; starts the clock if it does not run.
    fn is_overdue(&mut self, now: Instant) -> bool {
        let timeouts = &self.session.config.timeouts;
        let wait = match &self.state {
            State::Body(_) => timeouts.body,
            State::Closing | State::Failed(_) => timeouts.farewell,
            _ => timeouts.command,
        };
        let deadline = *self.deadline.get_or_insert(now + wait);
        now >= deadline || self.login_deadline.is_some_and(|login| now >= login)
    }

    /// What to do when input or output has to move first.
    fn wait(&mut self, now: Instant) -> Option<Step<Event>> {
        if self.is_overdue(now) {
            self.fail(Error::Timeout(self.stage()));
            None
        } else if !self.tx.is_empty() {
            Some(Step::Write)
        } else {
            Some(Step::Read)
        }
    }
}

impl Machine for Server {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            let pending = !self.tx.is_empty();
            match &self.state {
                State::Asked(_) => {
                    self.deadline = None;
                    return Ok(if pending { Step::Write } else { Step::Answer });
                }
                State::Failed(error) => {
                    let error = error.clone();
                    self.login_deadline = None;
                    return match pending && !self.is_overdue(now) {
                        true => Ok(Step::Write),
                        false => Err(error),
                    };
                }
                State::Closing => {
                    self.login_deadline = None;
                    return Ok(match pending && !self.is_overdue(now) {
                        true => Step::Write,
                        false => Step::Close,
                    });
                }
                State::Tls if pending => {
                    if let Some(step) = self.wait(now) {
                        return Ok(step);
                    }
                }
                State::Tls => {
                    // The handshake is the caller's to time.
                    self.deadline = None;
                    return Ok(Step::StartTls);
                }
                State::Command if self.shutdown => {
                    let reply = Rejection::UNAVAILABLE;
                    self.reply(reply.reply());
                    self.close();
                }
                State::Command | State::Auth(_) | State::Body(_) => {
                    self.flush &= pending;
                    let room = self.tx.len() < MAX_OUTPUT && !self.flush;
                    if room && self.advance() {
                        self.deadline = None;
                    } else if room && self.rx.is_eof() {
                        self.fail(Error::Closed(self.stage()));
                    } else if let Some(step) = self.wait(now) {
                        return Ok(step);
                    }
                }
            }
        }
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        match self.state {
            // What comes from here on belongs to the handshake.
            State::Tls => &mut [],
            State::Body(_) => self.rx.room_for(BODY_ROOM),
            _ => self.rx.room(),
        }
    }

    fn received(&mut self, n: usize) {
        self.rx.received(n);
    }

    fn send_buf(&self) -> &[u8] {
        self.tx.data()
    }

    fn send_bufs<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        self.tx.vectored(chunks)
    }

    fn sent(&mut self, n: usize) {
        self.tx.sent(n);
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Asked(_) => None,
            State::Tls if self.tx.is_empty() => None,
            _ => self.deadline.into_iter().chain(self.login_deadline).min(),
        }
    }
}

const AUTH_OWED: &str = "the open question is about AUTH: call `answer_auth`";

fn line_fault(fault: LineFault) -> Reply {
    let text = match fault {
        LineFault::TooLong => "Line too long",
        LineFault::BareLf => "Lines end with CRLF (RFC 5321 section 2.3.8)",
    };
    Reply::fixed(500, EnhancedCode::new(5, 5, 2), text)
}
