//! The server engine (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856)
//!
//! ```text
//!               ┌──── AuthFailed, or the maildrop was rejected ────┐
//!               ▼                                                  │
//!  +OK ─▶ Authorization ── PASS, AUTH ──▶ Sasl ◀─▶ Auth? ──▶ Open?─┤
//!            │  ▲      │                                           │ open()
//!       STLS │  │ tls_ │ QUIT                                      ▼
//!            ▼  │ started()                    Listing ◀─▶ Transaction ◀─▶ Retrieve?
//!          StartTls    │                                           │ QUIT
//!                      ▼                                           ▼
//!                   Closing ◀──────────── accept(), reject() ── Update?
//! ```
//!
//! States with a question mark wait for the embedder.

mod auth;
mod capa;
mod commands;
mod config;
mod event;

pub use config::Config;
pub use event::Event;

use crate::maildrop::Maildrop;
use crate::reply::{Voice, put_ok};
use crate::text::Text;
use crate::top::TopCut;
use crate::{Error, Language, Phase, Rejection, ResponseCode};
use bytes::Bytes;
use mailwright_sasl as sasl;
use mailwright_wire::{DotEncoder, LineFramer, Machine, RecvBuf, SendBuf, Step};
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

/// The server's end of a POP3 connection.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    nonces: sasl::NonceSource,
    rx: RecvBuf,
    tx: SendBuf,
    lines: LineFramer,
    state: State,
    /// Told at the next poll.
    event: Option<Event>,
    /// There from login on.
    maildrop: Option<Maildrop>,
    voice: Voice,
    /// UTF-8 mode (RFC 6856 §2.1).
    is_utf8: bool,
    #[cfg(feature = "apop")]
    timestamp: Option<String>,
    is_tls: bool,
    bindings: sasl::ChannelBindings,
    shut_down: bool,
    errors: u32,
    failures: u32,
    dropped: usize,
    login_by: Instant,
    idle_by: Instant,
    /// The peer took output or the embedder answered since the last poll.
    moved: bool,
    failed: Option<Error>,
}

#[derive(Debug)]
enum State {
    Authorization { user: Option<String> },
    Sasl(Box<sasl::Server>),
    Asked(Ask),
    Transaction,
    Listing(Listing),
    StartTls,
    Closing,
}

/// The question that is open.
#[derive(Debug)]
enum Ask {
    Auth(Box<sasl::Server>),
    #[cfg(feature = "apop")]
    Apop(auth::Apop),
    Open,
    Retrieve(Transfer),
    Update {
        count: usize,
    },
}

/// A message on its way to the client.
#[derive(Debug)]
struct Transfer {
    octets: u64,
    top: Option<TopCut>,
    /// There once the status line was sent.
    body: Option<DotEncoder>,
}

/// A scan listing or unique-id listing on its way to the client.
#[derive(Debug)]
struct Listing {
    unique_ids: bool,
    next: u32,
}

impl Server {
    /// Starts a conversation with the greeting.
    ///
    /// `entropy` must be fresh, unpredictable randomness for each connection: nonces come from it.
    pub fn new(config: impl Into<Arc<Config>>, entropy: [u8; 32], now: Instant) -> Self {
        let config = config.into();
        #[allow(unused_mut)] // one nonce goes into the timestamp, where there is one
        let mut nonces = sasl::NonceSource::new(entropy);
        let mut tx = SendBuf::new();
        #[cfg(feature = "apop")]
        let timestamp = config
            .apop
            .as_deref()
            .map(|host| crate::apop::timestamp(&nonces.draw()[..16], host));
        #[cfg(feature = "apop")]
        let greeting = match &timestamp {
            Some(timestamp) => format!("{} {timestamp}", config.greeting.replace(['<', '>'], "")),
            None => config.greeting.clone(),
        };
        #[cfg(not(feature = "apop"))]
        let greeting = config.greeting.clone();
        put_ok(&mut tx, &greeting);
        Self {
            nonces,
            rx: RecvBuf::new(config.max_line.max(config.max_sasl_line).max(4096)),
            tx,
            lines: LineFramer::new(config.max_line),
            state: State::Authorization { user: None },
            event: None,
            maildrop: None,
            voice: Voice::default(),
            is_utf8: false,
            #[cfg(feature = "apop")]
            timestamp,
            is_tls: false,
            bindings: sasl::ChannelBindings::none(),
            shut_down: false,
            errors: 0,
            failures: 0,
            dropped: 0,
            login_by: now + config.login_timeout,
            idle_by: now + config.idle_timeout,
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

    /// Answers [`Event::Auth`].
    ///
    /// # Panics
    ///
    /// Panics if that is not what was asked last.
    pub fn answer_auth(&mut self, answer: sasl::Answer) {
        match self.take_question() {
            State::Asked(Ask::Auth(mut exchange)) => {
                let step = exchange.answer(answer);
                self.sasl_step(exchange, step);
            }
            #[cfg(feature = "apop")]
            State::Asked(Ask::Apop(login)) => self.apop_answer(login, answer),
            _ => panic!("no answer to a login is owed"),
        }
    }

    /// Answers [`Event::Open`] with the maildrop of the client.
    ///
    /// # Panics
    ///
    /// Panics if that is not what was asked last.
    pub fn open(&mut self, maildrop: Maildrop) {
        let State::Asked(Ask::Open) = self.take_question() else {
            panic!("no maildrop is owed")
        };
        let (messages, octets) = maildrop.totals();
        let numbers = [messages.into(), octets];
        self.voice.ok_with(&mut self.tx, Text::MaildropOpen, numbers);
        self.maildrop = Some(maildrop);
        self.state = State::Transaction;
        self.errors = 0;
    }

    /// Answers [`Event::Retrieve`] with the next octets of the message, in any number of pieces. A large piece
    /// goes to the transport by reference.
    ///
    /// Returns whether more is wanted: once it is `false`, TOP has all it asked for, further pieces are
    /// ignored, and [`message_end`](Server::message_end) may follow at once. Give one piece at a time and poll
    /// until [`Step::Answer`] comes back, so that memory stays bounded.
    ///
    /// # Panics
    ///
    /// Panics if no message was asked for last.
    #[must_use = "the rest of the message need not be read"]
    pub fn message_chunk(&mut self, mut chunk: Bytes) -> bool {
        let State::Asked(Ask::Retrieve(transfer)) = &mut self.state else {
            panic!("no message is owed")
        };
        self.moved = true;
        let is_done = match &mut transfer.top {
            None => false,
            Some(top) => {
                chunk.truncate(top.take(&chunk));
                top.is_done()
            }
        };
        transfer
            .body(&self.voice, &mut self.tx)
            .encode(chunk, &mut self.tx);
        !is_done
    }

    /// Ends the answer to [`Event::Retrieve`]: all that is wanted of the message was given.
    ///
    /// # Panics
    ///
    /// Panics if no message was asked for last.
    pub fn message_end(&mut self) {
        let State::Asked(Ask::Retrieve(mut transfer)) = self.take_question() else {
            panic!("no message is owed")
        };
        transfer.body(&self.voice, &mut self.tx);
        if let Some(body) = transfer.body {
            body.finish(&mut self.tx);
        }
        self.state = State::Transaction;
    }

    /// Gives up a message that [`Event::Retrieve`] asked for, because it cannot be read to its end.
    ///
    /// If nothing of it was sent the command is refused. Otherwise the connection ends with
    /// [`Error::MessageAborted`], as there is no other way to tell the client that it is not whole.
    ///
    /// # Panics
    ///
    /// Panics if no message was asked for last.
    pub fn message_abort(&mut self) {
        let State::Asked(Ask::Retrieve(transfer)) = self.take_question() else {
            panic!("no message is owed")
        };
        self.state = State::Transaction;
        match transfer.body {
            None => self.voice.reject(&mut self.tx, &Rejection::UNAVAILABLE),
            Some(_) => self.failed = Some(Error::MessageAborted),
        }
    }

    /// Answers [`Event::Update`]: the messages are removed.
    ///
    /// # Panics
    ///
    /// Panics if that is not what was asked last.
    pub fn accept(&mut self) {
        let State::Asked(Ask::Update { count }) = self.take_question() else {
            panic!("no answer to an update is owed")
        };
        self.voice.ok_with(&mut self.tx, Text::Updated, [count as u64, 0]);
        self.state = State::Closing;
    }

    /// Answers [`Event::Open`], [`Event::Retrieve`] or [`Event::Update`] with a refusal.
    ///
    /// After a refused maildrop the client may log in again; after a refused update the connection closes.
    ///
    /// # Panics
    ///
    /// Panics if none of them was asked last, or if a part of the message was given already.
    pub fn reject(&mut self, rejection: Rejection) {
        self.state = match self.take_question() {
            State::Asked(Ask::Open) => State::Authorization { user: None },
            State::Asked(Ask::Update { .. }) => State::Closing,
            State::Asked(Ask::Retrieve(Transfer { body: None, .. })) => State::Transaction,
            State::Asked(Ask::Retrieve(_)) => panic!("a part of the message was given"),
            _ => panic!("no answer is owed that can be a rejection"),
        };
        self.voice.reject(&mut self.tx, &rejection);
    }

    /// Goes on under TLS, after [`Step::StartTls`]: in the state after the greeting, with nothing kept of what
    /// the client said before.
    ///
    /// # Panics
    ///
    /// Panics if TLS was not asked for.
    pub fn tls_started(&mut self) {
        assert!(matches!(self.state, State::StartTls), "TLS was not asked for");
        self.state = State::Authorization { user: None };
        // RFC 2595 §4: nothing counts that was said before.
        self.voice = Voice::default();
        self.is_tls = true;
        self.moved = true;
    }

    /// Offers one more mechanism, before all others: EXTERNAL, once it is known from elsewhere who the client is, as from
    /// its certificate. Call it where [`bind_channel`](Server::bind_channel) is called.
    pub fn offer(&mut self, mechanism: sasl::Mechanism) {
        let config = Arc::make_mut(&mut self.config);
        if !config.mechanisms.contains(&mechanism) {
            config.mechanisms.insert(0, mechanism);
        }
    }

    /// Says what identifies the TLS channel, so that -PLUS mechanisms can be bound to it: RFC 5802 §6. Call it
    /// after [`tls_started`](Server::tls_started), or at once where TLS came first; without it none is offered.
    pub fn bind_channel(&mut self, bindings: sasl::ChannelBindings) {
        self.bindings = bindings;
    }

    /// Ends the conversation as soon as the command that is being served is done. The client is told; nothing
    /// is removed from the maildrop.
    pub fn shutdown(&mut self) {
        self.shut_down = true;
    }

    /// Whether the connection is under TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Whether the client is in UTF-8 mode (RFC 6856 §2.1).
    pub fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    /// The language that the client has chosen (RFC 6856 §3), for the texts of [`Rejection`]s; `None` means
    /// English in ASCII.
    pub fn language(&self) -> Option<&Language> {
        self.voice.language()
    }

    /// How many octets were dropped that the client had sent in the clear behind STLS. More than none is an
    /// attack or a broken client (RFC 2595 §4, CVE-2011-0411).
    pub fn dropped_plaintext(&self) -> usize {
        self.dropped
    }

    fn take_question(&mut self) -> State {
        self.moved = true;
        core::mem::replace(&mut self.state, State::Closing)
    }

    /// Fills the output up to its bound.
    fn list(&mut self) {
        let (State::Listing(listing), Some(maildrop)) = (&mut self.state, &self.maildrop) else {
            return;
        };
        while self.tx.len() < self.config.max_output {
            let number = listing.next;
            if number > maildrop.last() {
                self.tx.put(b".\r\n");
                self.state = State::Transaction;
                return;
            }
            listing.next += 1;
            let Some((octets, uid)) = maildrop.message(number) else {
                continue;
            };
            self.tx.put_u64(number.into());
            self.tx.put(b" ");
            if listing.unique_ids {
                self.tx.put(uid.as_bytes());
            } else {
                self.tx.put_u64(octets);
            }
            self.tx.put(b"\r\n");
        }
    }

    /// RFC 1939 §3: the connection is closed without a word, and no message is removed.
    fn time_out(&mut self) {
        let phase = match self.maildrop {
            None => Phase::Login,
            Some(_) => Phase::Idle,
        };
        self.tx = SendBuf::new();
        self.failed.get_or_insert(Error::Timeout(phase));
    }

    fn waits_for_peer(&self) -> bool {
        let state_does = matches!(
            self.state,
            State::Authorization { .. } | State::Sasl(_) | State::Transaction | State::Listing(_)
        );
        !self.tx.is_empty() || (self.failed.is_none() && state_does)
    }
}

impl Transfer {
    /// The encoder of the body, behind the status line.
    fn body(&mut self, voice: &Voice, tx: &mut SendBuf) -> &mut DotEncoder {
        self.body.get_or_insert_with(|| {
            match self.top {
                None => voice.ok_with(tx, Text::SizeFollows, [self.octets, 0]),
                Some(_) => voice.ok(tx, Text::TopFollows),
            }
            DotEncoder::new()
        })
    }
}

impl Machine for Server {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        if core::mem::take(&mut self.moved) {
            self.idle_by = now + self.config.idle_timeout;
        }
        if self.deadline().is_some_and(|at| now >= at) {
            self.time_out();
        }
        loop {
            if let Some(event) = self.event.take() {
                return Ok(Step::Event(event));
            }
            if let Some(error) = &self.failed {
                return match self.tx.is_empty() {
                    true => Err(error.clone()),
                    false => Ok(Step::Write),
                };
            }
            if self.tx.len() >= self.config.max_output.max(1) {
                return Ok(Step::Write);
            }
            let step = match &self.state {
                State::Authorization { .. } | State::Sasl(_) | State::Transaction => {
                    if self.shut_down {
                        let code = Some(ResponseCode::SysTemp);
                        self.voice.err(&mut self.tx, code, Text::ShuttingDown);
                        self.failed = Some(Error::ShutDown);
                        continue;
                    }
                    match self.lines.next(&mut self.rx) {
                        Ok(None) => {
                            self.rx.shrink();
                            Step::Read
                        }
                        line => {
                            self.idle_by = now + self.config.idle_timeout;
                            self.line(line.ok().flatten());
                            continue;
                        }
                    }
                }
                State::Listing(_) => {
                    self.list();
                    continue;
                }
                State::Asked(_) => Step::Answer,
                State::StartTls => Step::StartTls,
                State::Closing => Step::Close,
            };
            if !self.tx.is_empty() {
                return Ok(Step::Write);
            }
            if step == Step::Read && self.rx.is_eof() {
                self.failed = Some(Error::Closed);
                continue;
            }
            return Ok(step);
        }
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        match self.state {
            // Whatever comes before the handshake is not for this engine to read.
            State::StartTls => &mut [],
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
        self.waits_for_peer().then(|| match self.maildrop {
            None => self.login_by.min(self.idle_by),
            Some(_) => self.idle_by,
        })
    }
}
