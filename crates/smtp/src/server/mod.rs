//! The server engine: SMTP, submission and LMTP (RFC 5321, RFC 6409, RFC 2033)
//!
//! ```text
//!   start ─▶ Proxy ─▶ Tls (from the start) ─▶ Watch ─▶ Asked (Connect?)
//!                                                        │ accept
//!                                                        ▼
//!          ┌──────────── accept, reject ───────────▶ Command ◀─────────────────────┐
//!          │         Hello? Mail? Rcpt? Data? ...   │ │  │ │ └─ BDAT ─▶ Chunk, Drain┤
//!        Asked ◀────────────────────────────────────┘ │  │ └── DATA ─▶ Body ────────┤
//!          ▲          AUTH ─▶ Auth ─▶ Asked (Auth?) ◀─┘  │            │             │
//!          │                                             │            └▶ Asked (Message?)
//!          └── tls_started ── Tls ◀── STARTTLS ──────────┤
//!                                                        ▼ QUIT, 421, errors, limits, timeouts
//!                                                 Closing, Failed
//! ```
//!
//! A reply that the caller delays is held in a buffer of its own; until its time has come nothing else happens.

mod answer;
mod auth;
mod body;
mod commands;
mod config;
mod event;
mod machine;
mod pace;
mod session;
mod transaction;

pub use config::{AuthWithoutTls, BareNewlines, Config, Limits, Protocol, Questions, Timeouts};
pub use event::{Aborted, Event};
pub use session::Session;

use crate::chunking::Chunk;
use crate::etrn::Etrn;
use crate::line::{LineFault, LineFramer};
use crate::xclient::Xclient;
use crate::xforward::Xforward;
use crate::{EnhancedCode, Error, Extensions, Hello, Limit, Rejection, Reply, Stage};
use auth::Exchange;
use body::{Chunks, Receiving};
use mailwright_sasl::NonceSource;
use mailwright_wire::{Counted, RecvBuf, SendBuf};
use pace::Pace;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transaction::{Begun, Transaction};

/// The server's end of one connection.
///
/// Drive it as a [`Machine`](mailwright_wire::Machine). Its [`Event`]s say which of them owe an answer; while one is owed,
/// [`poll`](mailwright_wire::Machine::poll) returns [`Step::Answer`](mailwright_wire::Step::Answer) and commands that arrived meanwhile wait.
#[derive(Debug)]
pub struct Server {
    rx: RecvBuf,
    tx: SendBuf,
    lines: LineFramer,
    state: State,
    session: Session,
    transaction: Option<Transaction>,
    xforward: Xforward,
    /// Events to hand out before anything else happens.
    events: VecDeque<Event>,
    nonces: NonceSource,
    /// When the machine was polled last.
    now: Instant,
    /// A moment, and the seconds since 1970 at it.
    wall_clock: Option<(Instant, u64)>,
    /// When the peer must have made progress; `None` until the next poll that waits for it.
    deadline: Option<Instant>,
    login_deadline: Option<Instant>,
    /// Of the message of this transaction.
    pace: Pace,
    /// Output whose time has not come.
    held: Option<Held>,
    /// Output that must not wait for more input: RFC 2920 §3.2 (5) and (6).
    flush: bool,
    shutdown: bool,
    /// TLS starts before the greeting.
    tls_first: bool,
    dropped_plaintext: usize,
}

#[derive(Debug)]
enum State {
    /// Nothing happened yet.
    Start,
    /// The PROXY header is on its way.
    Proxy,
    /// The greeting waits, to see whether the client does.
    Watch,
    Command,
    /// An answer is owed.
    Asked(Asked),
    /// The next line belongs to an AUTH exchange.
    Auth(Exchange),
    Body(Box<Receiving>),
    Chunk(Box<Chunks>),
    /// The octets of a chunk that is not taken.
    Drain(Box<Drain>),
    /// The transport is to be handed to TLS.
    Tls,
    Closing,
    Failed(Error),
}

#[derive(Debug)]
struct Drain {
    left: Counted,
    reply: Reply,
    /// How often it is said.
    replies: u32,
}

/// Replies that are held back.
#[derive(Debug)]
struct Held {
    wait: Duration,
    /// Known from the first poll on.
    until: Option<Instant>,
    tx: SendBuf,
}

impl Held {
    fn new(wait: Duration) -> Self {
        Self {
            wait,
            until: None,
            tx: SendBuf::new(),
        }
    }
}

#[derive(Debug)]
enum Asked {
    Connect,
    Hello(Hello),
    StartTls,
    Auth(Exchange),
    Mail(Begun),
    /// With the domain, where domains are counted.
    Rcpt(Option<Box<str>>),
    Data,
    FirstChunk(Chunk),
    /// With LMTP, this many answers are still owed.
    Message(u32),
    /// Whether the reply may hold UTF-8.
    Lookup(bool),
    Help,
    Etrn(Etrn),
    Xclient(Box<Xclient>),
    Xforward(Box<Xforward>),
}

/// Output above this size is handed out before more commands are taken.
const MAX_OUTPUT: usize = 16 * 1024;
/// The largest line limit, and the bound of the receive buffer.
const MAX_INPUT: usize = 64 * 1024;
/// How much room is offered to a message at a time.
const BODY_ROOM: usize = 16 * 1024;

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
            state: State::Start,
            transaction: None,
            xforward: Xforward::default(),
            events: VecDeque::new(),
            nonces: NonceSource::new(entropy),
            now,
            wall_clock: None,
            deadline: None,
            login_deadline: config.require_auth.then(|| now + config.timeouts.login),
            pace: Pace::default(),
            held: None,
            flush: false,
            shutdown: false,
            tls_first: false,
            dropped_plaintext: 0,
            session: Session::new(config),
        }
    }

    /// Says that the connection is encrypted from its start (RFC 8314 §3).
    ///
    /// Where a PROXY header stands ahead of TLS, the transport cannot be encrypted yet: use
    /// [`tls_first`](Server::tls_first).
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.session.set_tls();
        self
    }

    /// Has TLS start before the greeting (RFC 8314 §3), behind the PROXY header if there is one:
    /// [`Step::StartTls`](mailwright_wire::Step::StartTls) comes, and [`Event::Connect`] after [`tls_started`](Server::tls_started).
    #[must_use]
    pub fn tls_first(mut self) -> Self {
        self.tls_first = true;
        self
    }

    /// Tells the time of day, in seconds since 1970, at the `now` that the session was started with.
    /// FUTURERELEASE needs it, and is not offered without.
    #[must_use]
    pub fn with_wall_clock(mut self, unix_seconds: u64) -> Self {
        self.wall_clock = Some((self.now, unix_seconds));
        self
    }

    /// Changes what this client is offered from here on: XCLIENT for a proxy that is trusted, for example.
    /// What it was told in answer to EHLO stays told, so [`Event::Connect`] is the time for it.
    pub fn set_extensions(&mut self, extensions: Extensions) {
        self.session.set_offered(extensions);
    }

    /// Refuses a message before its end; the peer hears it after the end. No more [`Event::Body`] follows,
    /// but [`Event::Aborted`].
    ///
    /// # Panics
    ///
    /// Panics if no message is on its way: before DATA was accepted, and from [`Event::Message`] on. Between the
    /// chunks of BDAT it is on its way.
    pub fn refuse_message(&mut self, rejection: Rejection) {
        if let State::Body(receiving) = &mut self.state {
            receiving.refuse(rejection, Aborted::Refused);
        } else {
            assert!(self.refuse_chunks(rejection), "no message is on its way");
        }
    }

    /// Says that the handshake which [`Step::StartTls`](mailwright_wire::Step::StartTls) asked for is done. The client has to introduce itself
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
        self.deadline = None;
        self.state = match std::mem::take(&mut self.tls_first) {
            true => State::Start,
            false => State::Command,
        };
    }

    /// Offers one more mechanism, before all others: EXTERNAL, once it is known from elsewhere who the client is, as from
    /// its certificate. Call it where [`bind_channel`](Server::bind_channel) is called.
    pub fn offer(&mut self, mechanism: mailwright_sasl::Mechanism) {
        let config = Arc::make_mut(&mut self.session.config);
        if !config.mechanisms.contains(&mechanism) {
            config.mechanisms.insert(0, mechanism);
        }
    }

    /// Says what identifies the TLS channel, so that -PLUS mechanisms can be bound to it: RFC 5802 §6. Call it
    /// after [`tls_started`](Server::tls_started), or at once where TLS came first; without it none is offered.
    pub fn bind_channel(&mut self, bindings: mailwright_sasl::ChannelBindings) {
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

    /// What a filter said of the message of this transaction, or of the next one: all that
    /// [`Event::Xforward`] told since the last transaction ended.
    pub fn xforward(&self) -> &Xforward {
        &self.xforward
    }

    /// How the message comes in, for the `with` clause of a `Received` line (RFC 5321 §4.4): `SMTP` after HELO, else
    /// `ESMTP` or `LMTP`; `S` behind it says under TLS, `A` says logged in, and both `SA` (RFC 3848); `UTF8` in front
    /// says that the transaction has SMTPUTF8 (RFC 6531 §4.3), so `UTF8SMTPSA`.
    ///
    /// It stands from the acceptance of [`Event::Mail`] to the last answer to [`Event::Message`]; before and after
    /// that it is what a transaction without SMTPUTF8 would have.
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

    /// Where replies go.
    fn out(&mut self) -> &mut SendBuf {
        match &mut self.held {
            Some(held) => &mut held.tx,
            None => &mut self.tx,
        }
    }

    fn reply(&mut self, reply: &Reply) {
        let enhanced = self.session.sends_enhanced_codes();
        reply.write(self.out(), enhanced);
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

    #[inline(always)] // or both are put together first, and moved
    fn ask(&mut self, asked: Asked, event: Event) {
        self.state = State::Asked(asked);
        self.events.push_back(event);
    }

    fn abort_transaction(&mut self) {
        if self.transaction.is_some() {
            self.events.push_back(Event::Aborted(Aborted::Reset));
        }
        self.end_transaction();
    }

    fn end_transaction(&mut self) {
        self.transaction = None;
        self.xforward = Xforward::default();
        self.pace = Pace::default();
    }

    fn close(&mut self) {
        self.state = State::Closing;
        self.deadline = None;
    }

    fn stage(&self) -> Stage {
        match &self.state {
            State::Start | State::Proxy | State::Watch => Stage::Greeting,
            State::Auth(_) => Stage::Auth,
            State::Body(_) | State::Chunk(_) | State::Drain(_) => Stage::Body,
            State::Tls => Stage::StartTls,
            State::Command if self.session.hello().is_none() => Stage::Hello,
            State::Command if self.transaction.is_some() => Stage::Rcpt,
            _ => Stage::Idle,
        }
    }
}

fn line_fault(fault: LineFault) -> Reply {
    let text = match fault {
        LineFault::TooLong => "Line too long",
        LineFault::BareLf => "Lines end with CRLF (RFC 5321 section 2.3.8)",
    };
    Reply::fixed(500, EnhancedCode::new(5, 5, 2), text)
}
