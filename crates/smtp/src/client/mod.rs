//! The client engine: SMTP, submission and LMTP (RFC 5321, RFC 2920, RFC 2033)
//!
//! ```text
//!  Greeting ─▶ Hello ──────────────────────▶ [ Auth ] ─▶ Ready? ◀──────────────┐
//!               ▲ │ STARTTLS offered, wanted              │ send              │ Finished?
//!               │ ▼                                       ▼                   │
//!              Tls ◀─ StartTls                  MAIL RCPT.. DATA ─▶ BodyWanted? ─▶ end
//!                                                          quit: Quit ─▶ Closing
//! ```

mod capabilities;
mod config;
mod outcome;
mod replies;
mod transaction;

pub use capabilities::Capabilities;
pub use config::{Config, Limits, StartTls, Timeouts};
pub use outcome::{Cause, Delivery, Failure, Outcome, Requirement};
pub use transaction::Transaction;

use crate::{Command, Error, Hello, HelloVerb, Limit, Protocol, Reply, Stage, Violation};
use bytes::Bytes;
use mailwright_sasl::{self as sasl, ClientStep, NonceSource};
use mailwright_wire::{Machine, RecvBuf, SendBuf, Step};
use replies::{Replies, ReplyFault};
use std::collections::VecDeque;
use std::fmt::Write;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transaction::Flight;

/// The client's end of one connection.
///
/// Drive it as a [`Machine`]. It greets, starts TLS and logs in as the [`Config`] says, and then asks for
/// transactions, one after the other.
#[derive(Debug)]
pub struct Client {
    rx: RecvBuf,
    tx: SendBuf,
    replies: Replies,
    config: Arc<Config>,
    state: State,
    capabilities: Capabilities,
    tls: bool,
    nonces: NonceSource,
    /// The server holds an envelope that nothing came of.
    needs_reset: bool,
    events: VecDeque<Event>,
    /// When the server must have answered; `None` until the next poll that waits for it.
    deadline: Option<Instant>,
    dropped_plaintext: usize,
}

/// What a client asks its caller, and tells it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Question, answered by [`send`](Client::send), [`quit`](Client::quit) or [`park`](Client::park): the
    /// session is set up. What shall be sent?
    Ready,
    /// Question, answered by [`body`](Client::body) any number of times, then [`body_end`](Client::body_end)
    /// or [`body_abort`](Client::body_abort): the server wants the message.
    BodyWanted,
    /// A transaction is over. If its [`Outcome::reusable`] is set this is the question of
    /// [`Ready`](Event::Ready) again; otherwise no answer is owed, and the next poll returns the error.
    Finished(Outcome),
}

#[derive(Debug)]
enum State {
    Greeting,
    /// EHLO, HELO or LHLO was sent.
    Hello(HelloVerb),
    /// STARTTLS was sent.
    StartTls,
    /// The transport is to be handed to TLS.
    Tls,
    Auth {
        exchange: sasl::Client,
        /// An initial response that was too long for the AUTH command.
        held: Option<Vec<u8>>,
    },
    /// A transaction is asked for.
    Ready,
    /// The caller has none for the time being.
    Parked,
    Transaction(Flight),
    Quit,
    Closing,
    Failed(Error),
}

const MAX_INPUT: usize = 64 * 1024;
/// No more commands are queued above this much output.
const MAX_OUTPUT: usize = 16 * 1024;
/// The longest command line every server takes: RFC 5321 §4.5.3.1.4.
const COMMAND_LINE: usize = 512;

impl Client {
    /// Starts a session on a connection that was just made. `entropy` must be fresh randomness.
    pub fn new(config: impl Into<Arc<Config>>, entropy: [u8; 32]) -> Self {
        let config = config.into();
        Self {
            rx: RecvBuf::new(MAX_INPUT),
            tx: SendBuf::new(),
            replies: Replies::new(&config.limits),
            state: State::Greeting,
            capabilities: Capabilities::default(),
            tls: false,
            nonces: NonceSource::new(entropy),
            needs_reset: false,
            events: VecDeque::new(),
            deadline: None,
            dropped_plaintext: 0,
            config,
        }
    }

    /// Says that the connection is encrypted from its start (RFC 8314 §3). STARTTLS is not used then.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Answers [`Event::Ready`] and [`Event::Finished`]: sends a message.
    ///
    /// [`Event::Finished`] follows in any case, even if the connection fails.
    ///
    /// # Panics
    ///
    /// Panics if neither is open.
    pub fn send(&mut self, transaction: Transaction) {
        assert!(self.is_ready(), "no transaction was asked for");
        let pipelining = self.config.pipelining && self.capabilities.has("PIPELINING");
        let flight = Flight::new(
            transaction,
            &self.capabilities,
            self.needs_reset,
            self.config.protocol == Protocol::Lmtp,
            pipelining.then_some(&self.config.limits),
        );
        self.enter(State::Transaction(flight));
    }

    /// Answers [`Event::Ready`] and [`Event::Finished`]: there is nothing to send for the time being.
    ///
    /// From here on [`poll`](Machine::poll) waits for the server, and fails when it ends the service, closes
    /// the connection or speaks unasked. [`send`](Client::send) and [`quit`](Client::quit) can be called at
    /// any time.
    ///
    /// # Panics
    ///
    /// Panics if neither is open.
    pub fn park(&mut self) {
        assert!(self.is_ready(), "no transaction was asked for");
        self.enter(State::Parked);
    }

    /// Answers [`Event::Ready`] and [`Event::Finished`]: says goodbye. [`Step::Close`] follows.
    ///
    /// # Panics
    ///
    /// Panics if neither is open.
    pub fn quit(&mut self) {
        assert!(self.is_ready(), "no transaction was asked for");
        self.command(&Command::Quit);
        self.enter(State::Quit);
    }

    /// Answers [`Event::BodyWanted`]: queues a piece of the message, however long. Line ends are CRLF; a bare
    /// CR or LF is sent as CRLF, and dots are stuffed.
    ///
    /// [`Step::Answer`] comes back when the transport has taken it.
    ///
    /// # Panics
    ///
    /// Panics if no message is wanted.
    pub fn body(&mut self, data: Bytes) {
        let wanted = match &mut self.state {
            State::Transaction(flight) => flight.body(data, &mut self.tx),
            _ => false,
        };
        assert!(wanted, "{NO_BODY}");
    }

    /// Answers [`Event::BodyWanted`]: the message is complete.
    ///
    /// # Panics
    ///
    /// Panics if no message is wanted.
    pub fn body_end(&mut self) {
        let wanted = match &mut self.state {
            State::Transaction(flight) => flight.body_end(&mut self.tx),
            _ => false,
        };
        assert!(wanted, "{NO_BODY}");
        self.deadline = None;
    }

    /// Answers [`Event::BodyWanted`]: the rest of the message cannot be had. The connection is given up, so
    /// that the server does not take a part for the whole.
    ///
    /// # Panics
    ///
    /// Panics if no message is wanted.
    pub fn body_abort(&mut self) {
        assert!(self.owes_body(), "{NO_BODY}");
        self.fail(Error::BodyAborted);
    }

    /// Says that the handshake which [`Step::StartTls`] asked for is done.
    ///
    /// # Panics
    ///
    /// Panics if no handshake was asked for.
    pub fn tls_started(&mut self) {
        assert!(
            matches!(self.state, State::Tls) && self.tx.is_empty(),
            "no handshake was asked for"
        );
        self.tls = true;
        // RFC 3207 §4.2: what the server said in the clear is forgotten.
        self.capabilities = Capabilities::default();
        self.hello(self.first_verb());
    }

    /// What the server offers; empty before it was greeted, and after HELO.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// How many octets were dropped because the server, or somebody on the way, sent them behind its answer
    /// to STARTTLS in the clear. For logs; how many are seen depends on the network.
    pub fn dropped_plaintext(&self) -> usize {
        self.dropped_plaintext
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready | State::Parked)
    }

    fn owes_body(&self) -> bool {
        matches!(&self.state, State::Transaction(flight) if flight.wants_body())
    }

    fn first_verb(&self) -> HelloVerb {
        match self.config.protocol {
            Protocol::Lmtp => HelloVerb::Lhlo,
            Protocol::Smtp | Protocol::Submission => HelloVerb::Ehlo,
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.deadline = None;
    }

    fn command(&mut self, command: &Command) {
        write!(self.tx, "{command}\r\n").expect("a send buffer takes all text");
    }

    fn hello(&mut self, verb: HelloVerb) {
        self.command(&Command::Hello(Hello::new(verb, &self.config.hello)));
        self.enter(State::Hello(verb));
    }

    fn ready(&mut self) {
        self.enter(State::Ready);
        self.events.push_back(Event::Ready);
    }

    /// Ends the session. A transaction under way gets its outcome first.
    fn fail(&mut self, error: Error) {
        if let State::Transaction(flight) = &mut self.state {
            let outcome = flight.outcome(Some(&error));
            self.events.push_back(Event::Finished(outcome));
        }
        let polite = matches!(
            error,
            Error::Refused(..) | Error::TlsNotOffered | Error::AuthNotOffered | Error::Auth(_)
        );
        if polite {
            self.command(&Command::Quit);
        } else {
            self.tx = SendBuf::new();
        }
        self.enter(State::Failed(error));
    }

    /// Takes one reply of the server.
    fn reply(&mut self, reply: Reply) {
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

    /// Logs in, if there is something to log in with.
    fn authenticate(&mut self) {
        let Some(credentials) = self.config.credentials.clone() else {
            return self.ready();
        };
        let mut offered = self.capabilities.mechanisms();
        offered.retain(|m| self.config.mechanisms.contains(m));
        let plaintext = self.tls || self.config.plaintext_auth_without_tls;
        let Some(mechanism) = sasl::Client::choose(&offered, plaintext) else {
            return self.fail(Error::AuthNotOffered);
        };
        let mut exchange = sasl::Client::new(mechanism, credentials, &self.nonces.draw());
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
        self.enter(State::Auth { exchange, held });
    }

    fn challenge(&mut self, reply: &Reply) {
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

    fn stage(&self) -> Stage {
        match &self.state {
            State::Greeting => Stage::Greeting,
            State::Hello(_) => Stage::Hello,
            State::StartTls | State::Tls => Stage::StartTls,
            State::Auth { .. } => Stage::Auth,
            State::Transaction(flight) => flight.stage(),
            State::Quit | State::Closing => Stage::Quit,
            State::Ready | State::Parked | State::Failed(_) => Stage::Idle,
        }
    }

    fn patience(&self) -> Duration {
        let timeouts = &self.config.timeouts;
        match self.stage() {
            Stage::Greeting => timeouts.greeting,
            Stage::Mail => timeouts.mail,
            Stage::Rcpt => timeouts.rcpt,
            Stage::Data => timeouts.data,
            Stage::Body => timeouts.body,
            Stage::EndOfData => timeouts.end_of_data,
            Stage::Quit => timeouts.quit,
            Stage::Idle if matches!(self.state, State::Failed(_)) => timeouts.quit,
            Stage::Hello | Stage::StartTls | Stage::Auth | Stage::Idle | Stage::Reset => timeouts.command,
        }
    }

    fn is_overdue(&mut self, now: Instant) -> bool {
        let patience = self.patience();
        now >= *self.deadline.get_or_insert(now + patience)
    }

    /// Takes a reply if one is complete, or notices that none will come; whether it did.
    fn advance(&mut self) -> bool {
        match self.replies.next(&mut self.rx) {
            Ok(Some(reply)) => self.reply(reply),
            Ok(None) if !self.rx.is_eof() => return false,
            // All that mattered was done before QUIT.
            Ok(None) | Err(_) if matches!(self.state, State::Quit) => self.enter(State::Closing),
            Ok(None) => self.fail(Error::Closed(self.stage())),
            Err(ReplyFault::TooLong) => self.fail(Error::Limit(Limit::ReplySize)),
            Err(ReplyFault::Malformed) => {
                self.fail(Error::Protocol(self.stage(), Violation::MalformedReply));
            }
        }
        true
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

impl Machine for Client {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            let pending = !self.tx.is_empty();
            match &mut self.state {
                State::Failed(error) => {
                    let error = error.clone();
                    return match pending && !self.is_overdue(now) {
                        true => Ok(Step::Write),
                        false => Err(error),
                    };
                }
                State::Closing => {
                    // The server has answered QUIT, or will not.
                    self.tx = SendBuf::new();
                    return Ok(Step::Close);
                }
                State::Tls => {
                    self.deadline = None;
                    return Ok(Step::StartTls);
                }
                State::Ready => {
                    self.deadline = None;
                    return Ok(Step::Answer);
                }
                State::Parked => {
                    self.deadline = None;
                    if !self.advance() {
                        return Ok(Step::Read);
                    }
                }
                State::Quit if self.deadline.is_some_and(|deadline| now >= deadline) => {
                    self.enter(State::Closing);
                }
                State::Transaction(flight) if flight.is_finished() => {
                    self.needs_reset = flight.needs_reset();
                    let outcome = flight.outcome(None);
                    self.enter(State::Ready);
                    self.events.push_back(Event::Finished(outcome));
                }
                State::Transaction(flight) if flight.wants_body() => {
                    // A server that hangs up in the middle may have said why.
                    if self.rx.is_eof() && self.advance() {
                        continue;
                    }
                    if !pending {
                        self.deadline = None;
                        return Ok(Step::Answer);
                    }
                    if let Some(step) = self.wait(now) {
                        return Ok(step);
                    }
                }
                _ => {
                    if let State::Transaction(flight) = &mut self.state {
                        flight.fill(&mut self.tx);
                        if flight.is_finished() {
                            continue;
                        }
                    }
                    // A reply is read when all commands before it were sent, so that what comes too early is
                    // not taken for the answer to something that was never said.
                    if self.tx.is_empty() && self.advance() {
                        // Each reply has its own time.
                        self.deadline = None;
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
        // RFC 5321 §4.5.3.2.5: the time for a message counts from the last piece that was taken.
        if self.owes_body() {
            self.deadline = None;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

const NO_BODY: &str = "no message is wanted";
