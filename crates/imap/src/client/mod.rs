//! The client engine (RFC 3501, RFC 9051)
//!
//! ```text
//!  command() ─▶ queue ─▶ send_buf          recv_buf ─▶ pieces ─▶ responses ─▶ events
//!                 │ as many ahead as            sections pass through   ▲  tagged with
//!                 ▼ is unambiguous                                      │  their command
//!               open ───────────────────────────────────────────────────┘
//! ```
//!
//! Commands are queued whenever it suits; answers come as events that name their command:
//!
//! ```
//! use mailwright_imap::client::{Client, Command, Config, Data, Event, Messages};
//! use mailwright_imap::{FetchItem, SequenceSet};
//! use mailwright_sasl::Credentials;
//! use mailwright_wire::{Machine, Step};
//! # use std::time::Instant as Clock;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now = Clock::now();
//! let mut client = Client::new(Config::default(), [7; 32], now).over_tls();
//! client.command(Command::login(Credentials::new("bob", "s3cret")));
//! client.command(Command::select("INBOX"));
//! let all = Messages::Uids(SequenceSet::parse(b"1:*").ok_or("no set")?);
//! let fetch = client.command(Command::fetch(all, &[FetchItem::Flags]));
//!
//! // What a server would say, all at once: it is read as the commands are sent.
//! let input = b"* OK [CAPABILITY IMAP4rev1] hi\r\nA1 OK [CAPABILITY IMAP4rev1] in\r\n\
//!     * 1 EXISTS\r\nA2 OK [READ-WRITE] done\r\n* 1 FETCH (UID 41 FLAGS (\\Seen))\r\nA3 OK done\r\n";
//! client.recv_buf()[..input.len()].copy_from_slice(input);
//! client.received(input.len());
//!
//! let mut uids = Vec::new();
//! loop {
//!     match client.poll(now)? {
//!         Step::Event(Event::Data(Some(handle), Data::Row(row))) if handle == fetch => uids.extend(row.uid),
//!         Step::Event(_) => {}
//!         Step::Write => client.sent(client.send_buf().len()),
//!         _ => break,
//!     }
//! }
//! assert_eq!(uids, [41]);
//! # Ok(())
//! # }
//! ```
//!
//! # Tolerance
//!
//! Servers do not all keep to the grammar. What can be told is told: numbers and strings that are NIL, spaces
//! that are missing or doubled, parentheses too many, quotes within quotes, line ends within quotes, lists that
//! end early. What cannot be read comes as [`Row::raw`] or [`Data::Raw`], with the UID wherever it stands; no row
//! is lost, and the session goes on. Only a literal whose length is a lie ends it, for nobody can say where the
//! next response begins.

mod cache;
mod capabilities;
mod command;
mod compress;
mod config;
mod data;
mod error;
mod event;
mod handle;
mod login;
mod machine;
mod mailbox;
mod options;
mod reply;
mod respond;
mod response;
mod resync;
mod row;
mod search;
mod send;
mod text;
mod upload;

pub use crate::codec::SearchKey;
pub use cache::{Cached, Method, Resynced};
pub use capabilities::Capabilities;
pub use command::{BadText, Command, Message, Messages, NoMessages};
pub use config::Config;
pub use data::{Data, ListRow, Namespace, Quota, SearchResult, Selected, StatusRow, ThreadNode};
pub use error::{Error, Unsent};
pub use event::Event;
pub use handle::Handle;
pub use mailbox::Mailbox;
pub use options::{Fetch, List, Select, Store};
pub use reply::{Appended, Copied, Reply, ReplyCode, ReplyKind, UidList};
pub use row::{RawItem, Row, SectionHead};
pub use search::{Search, SortKey};

use crate::compression::Layer;
use bytes::Bytes;
use command::Kind;
use mailwright_sasl as sasl;
use mailwright_wire::{RecvBuf, SendBuf};
use response::Framer;
use resync::Resync;
use send::Sending;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// The client's end of an IMAP connection.
///
/// Commands are queued with [`command`](Client::command) and sent when their turn comes, several ahead where
/// that is unambiguous. Everything the server says comes as an [`Event`], with the [`Handle`] of the command
/// that it answers.
#[derive(Debug)]
pub struct Client {
    config: Arc<Config>,
    nonces: sasl::NonceSource,
    rx: RecvBuf,
    tx: SendBuf,
    layer: Layer,
    framer: Framer,
    stage: Stage,
    events: VecDeque<Event>,
    queue: VecDeque<Open>,
    /// Sent, and not answered yet; the oldest first.
    open: VecDeque<Open>,
    /// The next command must wait until an open one ends: there is no need to compare them again before.
    waits: bool,
    /// What the newest open command has still to say.
    sending: Sending,
    /// `None` if they must be asked for.
    capabilities: Option<Capabilities>,
    enabled: Vec<String>,
    /// Gathered while SELECT is open.
    selected: Option<Box<Selected>>,
    resync: Option<Box<Resync>>,
    stop_idle: bool,
    logging_out: bool,
    said_bye: bool,
    is_tls: bool,
    bindings: sasl::ChannelBindings,
    handles: u64,
    tags: u64,
    by: Instant,
    moved: bool,
    failed: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Ready,
    StartTls,
    Closed,
}

/// A command on its way.
#[derive(Debug)]
struct Open {
    /// `None` for what the engine asks by itself.
    handle: Option<Handle>,
    /// 0 until it is sent.
    tag: u64,
    /// It is a part of a resynchronisation.
    is_part: bool,
    command: Command,
}

impl Client {
    /// Starts a conversation; the greeting is awaited.
    ///
    /// `entropy` must be fresh, unpredictable randomness for each connection: nonces come from it.
    pub fn new(config: impl Into<Arc<Config>>, entropy: [u8; 32], now: Instant) -> Self {
        let config = config.into();
        Self {
            nonces: sasl::NonceSource::new(entropy),
            rx: RecvBuf::new(Self::BUFFER),
            tx: SendBuf::new(),
            layer: Layer::default(),
            framer: Framer::default(),
            stage: Stage::Greeting,
            events: VecDeque::new(),
            queue: VecDeque::new(),
            open: VecDeque::new(),
            waits: false,
            sending: Sending::Nothing,
            capabilities: None,
            enabled: Vec::new(),
            selected: None,
            resync: None,
            stop_idle: false,
            logging_out: false,
            said_bye: false,
            is_tls: false,
            bindings: sasl::ChannelBindings::none(),
            handles: 0,
            tags: 0,
            by: now + config.reply_timeout,
            moved: false,
            failed: None,
            config,
        }
    }

    /// Says that the connection is under TLS from its start (RFC 8314 §3), or safe in another way.
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self { is_tls: true, ..self }
    }

    /// Queues a command; it is sent when its turn comes.
    ///
    /// Whatever becomes of it, exactly one of [`Event::Done`], [`Event::Refused`], [`Event::Unsent`] tells it,
    /// unless the conversation ends before. IDLE ends by itself when another command is queued.
    pub fn command(&mut self, command: impl Into<Command>) -> Handle {
        let command = command.into();
        let handle = self.handle();
        if self.logging_out || self.failed.is_some() || self.stage == Stage::Closed {
            self.events.push_back(Event::Unsent(handle, Unsent::Finished));
            return handle;
        }
        self.logging_out = matches!(command.kind, Kind::Logout);
        self.moved |= self.open.is_empty();
        self.waits = false;
        self.queue.push_back(Open {
            handle: Some(handle),
            tag: 0,
            is_part: false,
            command,
        });
        handle
    }

    /// Ends an IDLE that is open, or the next one; [`Event::Done`] tells when it has ended.
    pub fn stop_idle(&mut self) {
        let idles = |open: &Open| matches!(open.command.kind, Kind::Idle { .. });
        self.stop_idle = self.open.iter().chain(&self.queue).any(idles);
    }

    /// How many octets of the message that [`Event::Upload`] asked for are still to be given.
    pub fn upload_left(&self) -> u64 {
        match &self.sending {
            Sending::Upload(upload) => upload.left(),
            _ => 0,
        }
    }

    /// Gives the next octets of the message that [`Event::Upload`] asked for. What is large is not copied.
    ///
    /// Give as much as is at hand while [`has_room`](Client::has_room), then poll: when it is sent, the machine
    /// says [`Step::Answer`](mailwright_wire::Step::Answer) for more. All octets that were announced have to
    /// come, even if the server refuses the command in between.
    ///
    /// # Panics
    ///
    /// Panics if this is more than [`upload_left`](Client::upload_left).
    pub fn upload(&mut self, data: Bytes) {
        let Sending::Upload(upload) = &mut self.sending else {
            assert!(data.is_empty(), "no message was asked for");
            return;
        };
        assert!(data.len() as u64 <= upload.left(), "more than was announced");
        upload.gave(data.len() as u64);
        self.tx.put_bytes(data);
    }

    /// Whether more of a message may be given before what was given is sent.
    pub fn has_room(&self) -> bool {
        self.tx.len() + self.layer.output(&self.tx).len() < Self::BUFFER
    }

    /// Gives a message up in the middle. There is no way to tell the server but to close the connection, which
    /// drops the message: the engine fails with [`Error::CutShort`].
    pub fn abort(&mut self) {
        self.layer.drop_output(&mut self.tx);
        self.failed.get_or_insert(Error::CutShort);
    }

    /// What the server can do, as it said last; `None` if it must be asked first.
    pub fn capabilities(&self) -> Option<&Capabilities> {
        self.capabilities.as_ref()
    }

    /// Whether the extension was enabled (RFC 5161).
    pub fn is_enabled(&self, name: &str) -> bool {
        self.enabled.iter().any(|e| e.eq_ignore_ascii_case(name))
    }

    /// Whether all commands were answered.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.open.is_empty() && self.events.is_empty()
    }

    /// Whether the connection is under TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Goes on under TLS, after [`Step::StartTls`](mailwright_wire::Step::StartTls). What the server announced
    /// before counts no more.
    ///
    /// # Panics
    ///
    /// Panics if TLS was not asked for.
    pub fn tls_started(&mut self) {
        assert!(self.stage == Stage::StartTls, "TLS was not asked for");
        self.stage = Stage::Ready;
        self.is_tls = true;
        self.capabilities = None;
        self.moved = true;
    }

    /// Says what identifies the TLS channel, so that -PLUS mechanisms can be bound to it: RFC 5802 §6. Call it
    /// after [`tls_started`](Client::tls_started), or at once where TLS came first; without it none is usable.
    pub fn bind_channel(&mut self, bindings: sasl::ChannelBindings) {
        self.bindings = bindings;
    }

    fn handle(&mut self) -> Handle {
        self.handles += 1;
        Handle(self.handles)
    }

    /// Whether mailbox names are UTF-8.
    fn is_utf8(&self) -> bool {
        self.is_enabled("UTF8=ACCEPT") || self.is_enabled("IMAP4rev2")
    }

    /// What is still to be said is said before the error is told.
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// How much is read ahead, and given ahead to be sent, in octets.
    const BUFFER: usize = 16 * 1024;
}
