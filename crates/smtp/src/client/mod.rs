//! The client engine: SMTP, submission and LMTP (RFC 5321, RFC 2920, RFC 2033)
//!
//! ```text
//!  Greeting ─▶ Hello ──────────────────────▶ [ Auth ] ─▶ Ready? ◀──────────────┐
//!               ▲ │ STARTTLS offered, wanted              │ send              │ Finished?
//!               │ ▼                                       ▼                   │
//!              Tls ◀─ StartTls                  MAIL RCPT.. DATA ─▶ BodyWanted? ─▶ end
//!                                                          quit: Quit ─▶ Closing
//! ```

mod auth;
mod capabilities;
mod config;
mod event;
mod machine;
mod outcome;
mod replies;
mod session;
mod transaction;

pub use capabilities::Capabilities;
pub use config::{Config, Limits, StartTls, Timeouts};
pub use event::Event;
pub use outcome::{Cause, Delivery, Failure, Outcome, Requirement};
pub use transaction::Transaction;

use crate::{Command, Error, Hello, HelloVerb, Protocol};
use bytes::Bytes;
use mailwright_sasl::{self as sasl, NonceSource};
#[cfg(doc)]
use mailwright_wire::{Machine, Step};
use mailwright_wire::{RecvBuf, SendBuf};
use replies::Replies;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;
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
    bindings: sasl::ChannelBindings,
    nonces: NonceSource,
    /// The server holds an envelope that nothing came of.
    needs_reset: bool,
    events: VecDeque<Event>,
    /// When the server must have answered; `None` until the next poll that waits for it.
    deadline: Option<Instant>,
    dropped_plaintext: usize,
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
            bindings: sasl::ChannelBindings::none(),
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

    /// Says what identifies the TLS channel, so that -PLUS mechanisms can be bound to it: RFC 5802 §6. Call it
    /// before [`tls_started`](Client::tls_started), or at once where TLS came first; without it none is chosen.
    pub fn bind_channel(&mut self, bindings: sasl::ChannelBindings) {
        self.bindings = bindings;
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
}

const NO_BODY: &str = "no message is wanted";
