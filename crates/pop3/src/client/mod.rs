//! The client engine (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856)
//!
//! ```text
//!  command() ─▶ queue ─▶ send_buf          recv_buf ─▶ replies in the same order ─▶ events
//!                 │ as many ahead as                        ▲
//!                 ▼ PIPELINING allows                       │
//!              in flight ───────────────────────────────────┘
//! ```

mod capabilities;
mod command;
mod config;
mod event;
mod login;
mod replies;

pub use capabilities::Capabilities;
pub use command::Command;
pub use config::Config;
pub use event::Event;

use crate::language::is_tag;
use crate::{Error, Phase, Reply};
use login::Login;
#[cfg(feature = "apop")]
use login::apop;
use mailwright_sasl as sasl;
use mailwright_wire::{DotDecoder, DotPiece, LineFramer, Machine, RecvBuf, SendBuf, Step};
use replies::status;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

/// The client's end of a POP3 connection.
#[derive(Debug)]
pub struct Client {
    config: Arc<Config>,
    nonces: sasl::NonceSource,
    rx: RecvBuf,
    tx: SendBuf,
    lines: LineFramer,
    state: State,
    events: VecDeque<Event>,
    queue: VecDeque<Command>,
    in_flight: VecDeque<Command>,
    /// The status line of the oldest command; told when the command is complete.
    opening: Reply,
    pipelining: bool,
    quitting: bool,
    /// The timestamp of the greeting, which APOP digests. It outlives STLS: whoever forged it gets no answer.
    #[cfg(feature = "apop")]
    timestamp: Option<String>,
    is_tls: bool,
    bindings: sasl::ChannelBindings,
    /// What the server offered last, if it was asked.
    mechanisms: Option<Vec<sasl::Mechanism>>,
    by: Instant,
    moved: bool,
    failed: Option<Error>,
}

#[derive(Debug)]
enum State {
    Greeting,
    /// A status line comes next, or nothing is asked.
    Ready,
    Login(Box<Login>),
    Capabilities(Capabilities),
    Rows,
    Body(DotDecoder),
    StartTls,
    Closed,
}

impl Client {
    /// Starts a conversation; the greeting is awaited.
    ///
    /// `entropy` must be fresh, unpredictable randomness for each connection: nonces come from it.
    pub fn new(config: impl Into<Arc<Config>>, entropy: [u8; 32], now: Instant) -> Self {
        let config = config.into();
        Self {
            nonces: sasl::NonceSource::new(entropy),
            rx: RecvBuf::new(config.max_line.max(Self::BODY_READ)),
            tx: SendBuf::new(),
            lines: LineFramer::new(config.max_line),
            state: State::Greeting,
            events: VecDeque::new(),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            opening: Reply::default(),
            pipelining: false,
            quitting: false,
            #[cfg(feature = "apop")]
            timestamp: None,
            is_tls: false,
            bindings: sasl::ChannelBindings::none(),
            mechanisms: None,
            by: now + config.reply_timeout,
            moved: false,
            failed: None,
            config,
        }
    }

    /// Says that the connection is under TLS from its start (RFC 8314 §3).
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self { is_tls: true, ..self }
    }

    /// Queues a command; it is sent when its turn comes.
    ///
    /// # Errors
    ///
    /// Refuses what must not be sent: a password without TLS, a control character in a command, STLS under
    /// TLS, and anything behind QUIT or after the end. The conversation goes on as if nothing was asked.
    pub fn command(&mut self, command: Command) -> Result<(), Error> {
        if self.quitting || self.failed.is_some() {
            return Err(Error::Finished);
        }
        // STLS that is on its way counts: it is done, or refused, before what follows is sent.
        let mut open = self.in_flight.iter().chain(&self.queue);
        let will_be_tls = self.is_tls || open.any(|c| *c == Command::Stls);
        match &command {
            Command::Stls if self.is_tls => return Err(Error::AlreadyTls),
            Command::Login(credentials) => {
                let printable = |octets: &[u8]| !octets.iter().any(u8::is_ascii_control);
                let password = credentials.password().map(sasl::Secret::as_bytes);
                if !printable(credentials.username().as_bytes()) || !password.is_some_and(printable) {
                    return Err(Error::Unsendable);
                }
                self.check_plaintext(will_be_tls)?;
            }
            #[cfg(feature = "apop")]
            Command::Apop(credentials) => {
                let name = credentials.username();
                let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
                if !is_word || credentials.password().is_none() {
                    return Err(Error::Unsendable);
                }
            }
            Command::Lang(Some(range)) if range != "*" && !is_tag(range) => return Err(Error::Unsendable),
            Command::Auth(mechanism, _) if mechanism.is_plaintext() => self.check_plaintext(will_be_tls)?,
            Command::Quit => self.quitting = true,
            _ => {}
        }
        self.moved |= self.is_idle();
        self.queue.push_back(command);
        Ok(())
    }

    /// Whether all commands were answered.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty() && self.events.is_empty()
    }

    /// Whether the connection is under TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Goes on under TLS, after [`Step::StartTls`]. What the server announced before counts no more.
    ///
    /// # Panics
    ///
    /// Panics if TLS was not asked for.
    pub fn tls_started(&mut self) {
        assert!(matches!(self.state, State::StartTls), "TLS was not asked for");
        self.is_tls = true;
        self.moved = true;
        self.pipelining = false;
        self.mechanisms = None;
        self.done();
    }

    /// Says what identifies the TLS channel, so that -PLUS mechanisms can be bound to it: RFC 5802 §6. Call it
    /// after [`tls_started`](Client::tls_started), or at once where TLS came first; without it none is usable.
    pub fn bind_channel(&mut self, bindings: sasl::ChannelBindings) {
        self.bindings = bindings;
    }

    fn check_plaintext(&self, is_tls: bool) -> Result<(), Error> {
        match is_tls || self.config.allow_plaintext {
            true => Ok(()),
            false => Err(Error::PlaintextRefused),
        }
    }

    fn send_queued(&mut self) {
        if !matches!(
            self.state,
            State::Ready | State::Capabilities(_) | State::Rows | State::Body(_)
        ) {
            return;
        }
        while let Some(next) = self.queue.front() {
            let window = if self.pipelining {
                self.config.max_pipelined
            } else {
                1
            };
            let alone = next.stands_alone() || self.in_flight.iter().any(Command::stands_alone);
            if !self.in_flight.is_empty() && (alone || self.in_flight.len() >= window) {
                return;
            }
            let Some(command) = self.queue.pop_front() else {
                return;
            };
            let secret_is_open = !self.is_tls && !self.config.allow_plaintext;
            match &command {
                // STLS was refused in between.
                Command::Login(_) if secret_is_open => return self.fail(Error::PlaintextRefused),
                Command::Auth(m, _) if m.is_plaintext() && secret_is_open => {
                    return self.fail(Error::PlaintextRefused);
                }
                Command::Login(credentials) => {
                    self.state = State::Login(Box::new(Login::user(credentials.clone(), &mut self.tx)));
                }
                #[cfg(feature = "apop")]
                Command::Apop(credentials) => {
                    let Some(timestamp) = &self.timestamp else {
                        return self.fail(Error::NoTimestamp);
                    };
                    apop(timestamp, credentials, &mut self.tx);
                }
                Command::Auth(mechanism, credentials) => {
                    let exchange = sasl::Client::new(*mechanism, credentials.clone(), &self.nonces.draw())
                        .bound_to(
                            &self.bindings,
                            self.mechanisms.as_deref().unwrap_or(sasl::Mechanism::ALL),
                        );
                    match Login::auth(exchange, &mut self.tx) {
                        Ok(login) => self.state = State::Login(Box::new(login)),
                        Err(error) => return self.fail(error.into()),
                    }
                }
                command => command.put(&mut self.tx),
            }
            self.in_flight.push_back(command);
        }
    }

    fn body(&mut self, now: Instant) -> Option<Step<Event>> {
        let State::Body(decoder) = &mut self.state else {
            return None;
        };
        match decoder.next(&mut self.rx)? {
            DotPiece::Data(data) => {
                self.by = now + self.config.reply_timeout;
                Some(Step::Event(Event::Body(data)))
            }
            DotPiece::End => {
                self.lines.reset();
                self.done();
                self.events.pop_front().map(Step::Event)
            }
        }
    }

    /// Whether a server that hung up had answered QUIT, and left out the end of the line alone.
    fn farewell(&mut self) -> bool {
        let answers_quit = matches!(self.in_flight.front(), Some(Command::Quit));
        let line = self.rx.data();
        if !answers_quit || status(line).is_err() {
            return false;
        }
        let line = self.rx.take(line.len());
        self.line(&line).is_ok()
    }

    /// The oldest command is complete.
    fn done(&mut self) {
        let reply = core::mem::take(&mut self.opening);
        self.end(Event::Done(reply));
    }

    fn end(&mut self, event: Event) {
        let command = self.in_flight.pop_front();
        self.state = match command {
            Some(Command::Quit) => State::Closed,
            _ => State::Ready,
        };
        self.events.push_back(event);
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    fn waits_for_peer(&self) -> bool {
        let open = !self.in_flight.is_empty() || matches!(self.state, State::Greeting);
        !self.tx.is_empty() || (open && self.failed.is_none() && !matches!(self.state, State::StartTls))
    }

    /// How much is read at a time while a message comes, in octets.
    const BODY_READ: usize = 64 * 1024;
}

impl Machine for Client {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        if core::mem::take(&mut self.moved) {
            self.by = now + self.config.reply_timeout;
        }
        if self.deadline().is_some_and(|at| now >= at) {
            self.tx = SendBuf::new();
            self.fail(Error::Timeout(Phase::Reply));
        }
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            if let Some(error) = &self.failed {
                return match self.tx.is_empty() {
                    true => Err(error.clone()),
                    false => Ok(Step::Write),
                };
            }
            self.send_queued();
            if self.failed.is_some() {
                continue;
            }
            let step = match self.state {
                State::StartTls => Step::StartTls,
                State::Closed => Step::Close,
                State::Body(_) => match self.body(now) {
                    Some(step) => return Ok(step),
                    None => Step::Read,
                },
                _ => match self.lines.next(&mut self.rx) {
                    Ok(Some(line)) => {
                        self.by = now + self.config.reply_timeout;
                        if let Err(error) = self.line(&line.data) {
                            self.fail(error);
                        }
                        continue;
                    }
                    Ok(None) => Step::Read,
                    Err(_) => {
                        self.fail(Error::LineTooLong);
                        continue;
                    }
                },
            };
            if !self.tx.is_empty() {
                return Ok(Step::Write);
            }
            if step == Step::Read && self.rx.is_eof() {
                if self.farewell() {
                    continue;
                }
                self.fail(Error::Closed);
                continue;
            }
            return Ok(step);
        }
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        match self.state {
            // Whatever comes before the handshake is not for this engine to read.
            State::StartTls => &mut [],
            State::Body(_) => self.rx.room_for(Self::BODY_READ),
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
        self.moved |= n > 0;
    }

    fn deadline(&self) -> Option<Instant> {
        self.waits_for_peer().then_some(self.by)
    }
}
