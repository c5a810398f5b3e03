//! The client engine: SMTP, submission and LMTP (RFC 5321, RFC 2920, RFC 2033)
//!
//! ```text
//!  Greeting ─▶ Hello ──────────▶ [ Xclient ] ─▶ [ Auth ] ─▶ Ready? ◀──────────────┐
//!             ▲ ▲ │ STARTTLS offered, wanted                  │ send              │ Finished?
//!             │ │ ▼                                           ▼                   │
//! [ Certificate? ] ◀─ Tls ◀─ StartTls       [ Convert? ] MAIL RCPT.. ─▶ BodyWanted? ─▶ end
//!                                                      ask: Query ─▶ Answered?
//!                                                     quit: Quit ─▶ Closing
//! ```
//!
//! | file | what |
//! |---|---|
//! | `machine.rs` | polling, waiting, timeouts |
//! | `session.rs`, `auth.rs` | replies up to the first transaction |
//! | `transaction.rs` | a plan, and what is left of it at a certain server |
//! | `flight.rs`, `body.rs` | a transaction under way, and its message |

mod auth;
mod body;
mod capabilities;
mod config;
mod event;
mod flight;
mod machine;
mod outcome;
mod proxy;
mod query;
mod replies;
mod session;
mod transaction;
mod xclient;

pub use capabilities::Capabilities;
pub use config::{BareNewlines, Chunking, Config, Limits, StartTls, Timeouts, UseBdat};
pub use event::{Certificate, Event};
pub use outcome::{Cause, Connection, Delivery, Failure, NotTried, Outcome, Requirement};
pub use proxy::ProxyHeader;
pub use query::{Argument, Query};
pub use transaction::Transaction;

use crate::{Command, Error, Hello, HelloVerb, Protocol, Stage};
use bytes::Bytes;
use flight::{Flight, Manner};
use mailwright_sasl::{self as sasl, NonceSource};
#[cfg(doc)]
use mailwright_wire::{Machine, Step};
use mailwright_wire::{RecvBuf, SendBuf};
use replies::Replies;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;
use transaction::Terms;

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
    /// XCLIENT was said.
    introduced: bool,
    /// Transactions begun.
    transactions: u32,
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
    /// The caller is asked whether this server will do.
    Certificate,
    /// XCLIENT was sent.
    Xclient,
    Auth {
        exchange: Box<sasl::Client>,
        /// An initial response that was too long for the AUTH command.
        held: Option<Vec<u8>>,
    },
    /// A transaction is asked for.
    Ready,
    /// The caller has none for the time being.
    Parked,
    Transaction(Box<Flight>),
    /// A command was sent that is no transaction.
    Query,
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
        let mut tx = SendBuf::new();
        if let Some(header) = &config.proxy {
            tx.put(&header.encode());
        }
        Self {
            rx: RecvBuf::new(MAX_INPUT),
            tx,
            replies: Replies::new(&config.limits),
            state: State::Greeting,
            capabilities: Capabilities::default(),
            tls: false,
            bindings: sasl::ChannelBindings::none(),
            nonces: NonceSource::new(entropy),
            needs_reset: false,
            introduced: false,
            transactions: 0,
            events: VecDeque::new(),
            deadline: None,
            dropped_plaintext: 0,
            config,
        }
    }

    /// Says that the connection is encrypted from its start (RFC 8314 §3), with a server that will do. STARTTLS
    /// is not used then, nor is the header of the PROXY protocol sent.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.tls = true;
        self.tx = SendBuf::new();
        self
    }

    /// Answers [`Event::Ready`], [`Event::Answered`] and [`Event::Finished`]: sends a message.
    ///
    /// [`Event::Finished`] follows in any case, even if the connection fails.
    ///
    /// # Panics
    ///
    /// Panics if none of them is open.
    pub fn send(&mut self, transaction: Transaction) {
        assert!(self.is_ready(), "no transaction was asked for");
        let config = &self.config;
        let pipelining = config.pipelining && self.capabilities.has("PIPELINING");
        let terms = Terms {
            server: &self.capabilities,
            tls: self.tls,
            bdat: config.chunking.bdat,
            transactions: self.transactions,
        };
        let manner = Manner {
            lmtp: config.protocol == Protocol::Lmtp,
            window: if pipelining {
                config.limits.window.max(1)
            } else {
                1
            },
            chunking: config.chunking.clone(),
            bare_newlines: config.bare_newlines,
        };
        let flight = Flight::new(transaction, &terms, self.needs_reset, manner);
        self.enter(State::Transaction(Box::new(flight)));
    }

    /// Answers [`Event::Ready`], [`Event::Answered`] and [`Event::Finished`]: asks the server something. [`Event::Answered`] follows.
    ///
    /// # Errors
    ///
    /// If the server lacks what the question needs. It was not asked, and the answer is still owed.
    ///
    /// # Panics
    ///
    /// Panics if none of them is open.
    pub fn ask(&mut self, query: &Query) -> Result<(), Requirement> {
        assert!(self.is_ready(), "no transaction was asked for");
        let line = query.line(&self.capabilities)?;
        self.tx.put(line.as_bytes());
        self.tx.put(b"\r\n");
        self.enter(State::Query);
        Ok(())
    }

    /// Answers [`Event::Ready`], [`Event::Answered`] and [`Event::Finished`]: there is nothing to send for the time being.
    ///
    /// From here on [`poll`](Machine::poll) waits for the server, and fails when it ends the service, closes
    /// the connection or speaks unasked. [`send`](Client::send) and [`quit`](Client::quit) can be called at
    /// any time.
    ///
    /// # Panics
    ///
    /// Panics if none of them is open.
    pub fn park(&mut self) {
        assert!(self.is_ready(), "no transaction was asked for");
        self.enter(State::Parked);
    }

    /// Answers [`Event::Ready`], [`Event::Answered`] and [`Event::Finished`]: says goodbye. [`Step::Close`] follows.
    ///
    /// # Panics
    ///
    /// Panics if none of them is open.
    pub fn quit(&mut self) {
        assert!(self.is_ready(), "no transaction was asked for");
        self.command(&Command::Quit);
        self.enter(State::Quit);
    }

    /// Answers [`Event::Convert`]: the message can be had in that form, and is `size` octets long, if that is
    /// known. [`Event::BodyWanted`] asks for that form of it.
    ///
    /// # Panics
    ///
    /// Panics if nothing of the kind was asked.
    pub fn converted(&mut self, size: Option<u64>) {
        self.conversion(Some(size));
    }

    /// Answers [`Event::Convert`]: the message cannot be had in that form. Its recipients fail.
    ///
    /// # Panics
    ///
    /// Panics if nothing of the kind was asked.
    pub fn not_converted(&mut self) {
        self.conversion(None);
    }

    /// Answers [`Event::BodyWanted`]: queues a piece of the message, however long. Lines end with CRLF; what
    /// happens to a bare CR or LF is a matter of [`Config::bare_newlines`]. Dots are stuffed where they must be.
    ///
    /// [`Step::Answer`] comes back when the transport has taken it, and there is room for more.
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

    /// Answers [`Event::BodyWanted`]: the rest of the message cannot be had. Behind DATA the connection is given
    /// up, so that the server does not take a part for the whole; behind BDAT it can be used further.
    ///
    /// # Panics
    ///
    /// Panics if no message is wanted.
    pub fn body_abort(&mut self) {
        let wanted = match &mut self.state {
            State::Transaction(flight) => flight.give_up(&Cause::Connection(Error::BodyAborted)),
            _ => false,
        };
        assert!(wanted, "{NO_BODY}");
    }

    /// Says that the handshake which [`Step::StartTls`] asked for is done, and nothing of the server's certificate.
    ///
    /// # Panics
    ///
    /// Panics if no handshake was asked for.
    pub fn tls_started(&mut self) {
        self.tls_started_with(Certificate::default());
    }

    /// Says that the handshake which [`Step::StartTls`] asked for is done, and what came to light in it.
    ///
    /// # Panics
    ///
    /// Panics if no handshake was asked for.
    pub fn tls_started_with(&mut self, certificate: Certificate) {
        assert!(
            matches!(self.state, State::Tls) && self.tx.is_empty(),
            "no handshake was asked for"
        );
        self.tls = true;
        // RFC 3207 §4.2: what the server said in the clear is forgotten.
        self.capabilities = Capabilities::default();
        if self.config.starttls == StartTls::Verified {
            self.enter(State::Certificate);
            self.events.push_back(Event::Certificate(certificate));
        } else {
            self.hello(self.first_verb());
        }
    }

    /// Answers [`Event::Certificate`]: this server will do.
    ///
    /// # Panics
    ///
    /// Panics if nothing of the kind was asked.
    pub fn trust(&mut self) {
        assert!(matches!(self.state, State::Certificate), "{NO_CERTIFICATE}");
        self.hello(self.first_verb());
    }

    /// Answers [`Event::Certificate`]: this server will not do. Nothing but QUIT is sent.
    ///
    /// # Panics
    ///
    /// Panics if nothing of the kind was asked.
    pub fn distrust(&mut self) {
        assert!(matches!(self.state, State::Certificate), "{NO_CERTIFICATE}");
        self.fail(Error::PeerNotTrusted);
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

    fn conversion(&mut self, size: Option<Option<u64>>) {
        let asked = match &mut self.state {
            State::Transaction(flight) => flight.converted(size),
            _ => false,
        };
        assert!(asked, "no other form of a message was asked for");
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
            let mut outcome = flight.outcome(Some(&error), self.tx.is_empty());
            outcome.connection = Connection::Dead;
            self.events.push_back(Event::Finished(outcome));
        }
        let polite = matches!(
            error,
            Error::Refused(..)
                | Error::TlsNotOffered
                | Error::PeerNotTrusted
                | Error::AuthNotOffered
                | Error::Auth(_)
        ) && self.stage() != Stage::Body;
        if polite {
            self.command(&Command::Quit);
        } else {
            self.tx = SendBuf::new();
        }
        self.enter(State::Failed(error));
    }
}

const NO_BODY: &str = "no message is wanted";
const NO_CERTIFICATE: &str = "nobody asked whether the server will do";
