//! The server engine of a session (RFC 3501 §3)

mod acl;
mod answers;
mod append;
mod apple_push;
mod auth;
mod clock;
mod commands;
mod compress;
mod enable;
mod fetch;
mod idle;
mod inprogress;
mod list;
mod list_returns;
mod literal;
mod metadata;
mod multisearch;
mod notify;
mod quota;
mod replies;
mod search;
mod select;
mod sort;
mod store;
mod thread;
mod unauthenticate;

pub use fetch::FetchRow;

use crate::codec::{Frame, Framer, TooLong};
use crate::compression::Layer;
use crate::{Capabilities, Change, Config, Error, Event, Updates, View};
use append::Appending;
use bytes::Bytes;
use enable::Enabled;
use list::Listing;
use mailwright_sasl::{self as sasl, NonceSource};
use mailwright_wire::{Counted, Machine, RecvBuf, SendBuf, Step};
use replies::Reply;
use search::Searching;
use select::Selecting;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;
use store::Storing;

/// One IMAP session, seen from the server.
///
/// ```text
///            +--------------------+   LOGIN, AUTHENTICATE   +---------------+
/// greeting ->| NotAuthenticated   |------------------------>| Authenticated |<- PREAUTH greeting
///            | (STARTTLS)         |                         +---------------+
///            +--------------------+      SELECT, EXAMINE  |   ^  CLOSE, UNSELECT,
///                                                         v   |  failed SELECT
///                 LOGOUT, BYE: Logout from anywhere      +----------+
///                                                        | Selected |
///                                                        +----------+
/// ```
///
/// Drive it as any [`Machine`]. Commands are taken one after the other: one that is pipelined stays in the
/// receive buffer until the answer to the one before it is complete, and when that buffer is full nothing more
/// is read. So there is never more than one question open, and no ambiguity about sequence numbers
/// (RFC 9051 §5.5).
///
/// A long answer is given while [`has_room`](Server::has_room); [`Step::Answer`] comes again when what was
/// given has been sent.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    capabilities: Capabilities,
    enabled: Enabled,
    rx: RecvBuf,
    tx: SendBuf,
    layer: Layer,
    framer: Framer,
    state: State,
    phase: Phase,
    /// The tag of the command at hand.
    tag: Bytes,
    events: VecDeque<Event>,
    is_tls: bool,
    bindings: sasl::ChannelBindings,
    /// The status of the greeting, until it is sent.
    greeting: Option<&'static str>,
    nonces: NonceSource,
    bad_commands: u32,
    auth_failures: u32,
    deadline: Instant,
    /// The client has logged out of its account, and has the time of a login again.
    login_restarts: bool,
    /// Something was received or sent since the last poll.
    active: bool,
    failed: Option<Error>,
    /// NOTIFY: what is watched.
    watching: Option<Box<notify::Watching>>,
    /// A question that no command asked is open, and the session goes on here.
    unasked: Option<notify::Resume>,
    /// A farewell to be said as soon as no answer is in the way.
    farewell: Option<String>,
}

#[derive(Debug)]
enum State {
    NotAuthenticated,
    Authenticated,
    Selected(Box<Selection>),
}

/// The mailbox that is selected.
#[derive(Debug)]
struct Selection {
    view: View,
    read_only: bool,
    keywords: Vec<crate::Keyword>,
    new_keywords: bool,
    /// The next UID when it was selected.
    uid_next: u32,
    /// Messages have mod-sequences.
    has_mod_seqs: bool,
    /// What the last SEARCH with SAVE found (RFC 5182).
    saved: crate::UidSet,
    /// The highest mod-sequence that a row told.
    said: u64,
    /// The client was told of a lower one, because something could not be told yet.
    held_back: bool,
}

#[derive(Debug)]
enum Phase {
    /// Between commands, or within one that is not complete.
    Command,
    /// A literal of a refused command is being dropped.
    Drain(Counted),
    /// What is left of a refused command is being dropped.
    Skip,
    /// An answer is owed.
    Asked(Task),
    /// AUTHENTICATE waits for the client's next response.
    Auth(Box<sasl::Server>),
    /// The message of an APPEND is coming.
    Append(Box<Appending>),
    /// IDLE, and what is being told right now.
    Idle(Updates),
    /// What may be told before the tagged response, and that.
    Finish(Box<(Updates, Reply)>),
    /// What is told between commands.
    Tell(Updates),
    StartTls,
    Closing,
}

/// What the embedder was asked, and what is needed to put its answer into words.
#[derive(Debug)]
enum Task {
    Auth(Box<sasl::Server>),
    Select(Box<Selecting>),
    /// A yes is all there is to say: the text for it.
    Simple(&'static str),
    Close,
    List(Box<Listing>),
    Status(Box<(String, Vec<crate::StatusItem>)>),
    Create,
    /// The old name and the new one.
    Rename(Box<(String, String)>),
    Expunge,
    /// May a message come?
    AppendStart(Box<Appending>),
    /// A URL of a message is being resolved.
    AppendUrl(Box<(Appending, String)>),
    AppendEnd {
        replacing: bool,
    },
    Search(Box<Searching>),
    Fetch(Box<fetch::Fetching>),
    Store(Box<Storing>),
    Copy {
        moving: bool,
    },
    Namespace,
    Sort(Box<sort::Sorting>),
    Thread(Box<thread::Threading>),
    SearchIn(Box<multisearch::SearchingIn>),
    Notify(Vec<crate::Watch>),
    /// The version the client speaks.
    ApplePush(u32),
    Quota(Box<quota::Quoting>),
    Acl(Box<acl::Granting>),
    Metadata(Box<metadata::Annotating>),
}

/// What one turn of the machine came to.
enum Turn {
    Again,
    Wait(Step<Event>),
}

/// How the connection under a session starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // protected or not
pub enum Transport {
    /// Plaintext: STARTTLS may be offered, and logins may be disabled.
    Plaintext,
    /// Under TLS from the first octet, or as good as that (a local socket).
    Tls,
}

impl Server {
    /// Starts a session with the greeting. `entropy` must be fresh, unpredictable randomness.
    pub fn new(config: Arc<Config>, transport: Transport, entropy: [u8; 32], now: Instant) -> Self {
        let mut server = Self::start(config, transport, entropy, now);
        server.greeting = Some("OK");
        server
    }

    /// Starts a session whose client is known already: the greeting is PREAUTH.
    pub fn preauthenticated(
        config: Arc<Config>,
        transport: Transport,
        entropy: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut server = Self::start(config, transport, entropy, now);
        server.enter_authenticated();
        server.greeting = Some("PREAUTH");
        server
    }

    fn start(config: Arc<Config>, transport: Transport, entropy: [u8; 32], now: Instant) -> Self {
        Self {
            capabilities: config.capabilities,
            enabled: Enabled::default(),
            // One octet more than the longest command, so that a longer one shows.
            rx: RecvBuf::new(config.max_command_before_login + 1),
            tx: SendBuf::new(),
            layer: Layer::default(),
            framer: Framer::default(),
            state: State::NotAuthenticated,
            phase: Phase::Command,
            tag: Bytes::new(),
            events: VecDeque::new(),
            is_tls: transport == Transport::Tls,
            bindings: sasl::ChannelBindings::none(),
            greeting: None,
            nonces: NonceSource::new(entropy),
            bad_commands: 0,
            auth_failures: 0,
            deadline: now + config.login_timeout,
            login_restarts: false,
            active: false,
            failed: None,
            watching: None,
            unasked: None,
            farewell: None,
            config,
        }
    }

    /// Says that TLS is up, after [`Step::StartTls`]. What was received in the clear behind STARTTLS has been
    /// dropped (RFC 3501 §6.2.1, CVE-2011-0411).
    ///
    /// # Panics
    ///
    /// Panics if TLS was not asked for.
    pub fn tls_started(&mut self) {
        assert!(matches!(self.phase, Phase::StartTls), "TLS was not asked for");
        self.rx.clear();
        self.framer.reset();
        self.is_tls = true;
        self.phase = Phase::Command;
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
    /// after [`tls_started`](Server::tls_started), or before the first poll where TLS came first; without it none is offered.
    pub fn bind_channel(&mut self, bindings: sasl::ChannelBindings) {
        self.bindings = bindings;
    }

    /// Tells that the selected mailbox has changed. The client hears of it when the protocol allows: at once
    /// if it idles. Without a selected mailbox this does nothing.
    ///
    /// Repeating a change is harmless. Notices must come in the order of the changes.
    pub fn notify(&mut self, change: Change) {
        if let State::Selected(selection) = &mut self.state {
            selection.view.change(change);
        }
    }

    /// Ends the session with BYE and this text, as soon as no command is being answered; an open question may
    /// still be answered. Then [`Step::Close`] follows.
    pub fn shutdown(&mut self, text: &str) {
        self.farewell.get_or_insert_with(|| text.to_owned());
    }

    /// Gives up at once, in the middle of an answer if need be: the next poll fails with
    /// [`Error::CutShort`]. For when the rest of a message that was announced cannot be read.
    pub fn abort(&mut self) {
        self.failed.get_or_insert(Error::CutShort);
    }

    /// Changes what is offered in this session: for accounts whose clients break on something.
    ///
    /// Best called before the login is answered, whose OK tells the client.
    pub fn set_capabilities(&mut self, capabilities: Capabilities) {
        self.capabilities = capabilities;
    }

    /// Whether the output has room for more of a long answer.
    pub fn has_room(&self) -> bool {
        self.tx.len() < self.config.output_high_water && self.failed.is_none()
    }

    /// The view of the selected mailbox.
    pub fn view(&self) -> Option<&View> {
        match &self.state {
            State::Selected(selection) => Some(&selection.view),
            _ => None,
        }
    }

    /// Whether the selected mailbox is read-only; false if none is selected.
    pub fn is_read_only(&self) -> bool {
        matches!(&self.state, State::Selected(selection) if selection.read_only)
    }

    /// Whether the client idles, so that a change is told as soon as it is known.
    pub fn is_idling(&self) -> bool {
        matches!(self.phase, Phase::Idle(_))
    }

    /// Whether the connection is protected by TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    fn turn(&mut self) -> Turn {
        match &mut self.phase {
            Phase::Asked(_) => Turn::Wait(Step::Answer),
            Phase::StartTls => Turn::Wait(Step::StartTls),
            Phase::Closing => Turn::Wait(Step::Close),
            Phase::Finish(_) => self.finish(),
            Phase::Tell(_) => self.tell_turn(),
            Phase::Append(_) if self.farewell.is_none() => self.append_turn(),
            Phase::Idle(_) => self.idle_turn(),
            _ if self.farewell.is_some() => {
                if matches!(self.phase, Phase::Append(_)) {
                    self.events.push_back(Event::AppendAborted);
                }
                let text = self.farewell.take().unwrap_or_default();
                self.out().raw("* BYE ").text(&text).raw("\r\n");
                self.phase = Phase::Closing;
                Turn::Again
            }
            Phase::Command => self.command_turn(),
            Phase::Drain(literal) => {
                if literal.drain(&mut self.rx) {
                    self.phase = Phase::Skip;
                    return Turn::Again;
                }
                self.read()
            }
            Phase::Skip => self.skip_turn(),
            Phase::Auth(_) => self.auth_turn(),
            Phase::Append(_) => self.append_turn(),
        }
    }

    fn command_turn(&mut self) -> Turn {
        if let Some(turn) = self.tell_unasked(notify::Resume::Command) {
            return turn;
        }
        match self.next_frame() {
            Ok(None) => self.read(),
            Ok(Some(Frame::Command(frame))) => {
                self.command(frame);
                Turn::Again
            }
            Ok(Some(Frame::Literal(literal))) => {
                self.literal(literal);
                Turn::Again
            }
            Err(TooLong { literal, .. }) => {
                self.tag = Bytes::from_static(b"*");
                self.bad("Command is too long");
                self.skip_literal(literal);
                Turn::Again
            }
        }
    }

    /// More input is needed.
    fn read(&mut self) -> Turn {
        if self.inflate() {
            return Turn::Again;
        }
        if self.layer.has_ended(&self.rx) {
            self.failed = Some(Error::Closed);
            return Turn::Again;
        }
        self.shrink();
        Turn::Wait(Step::Read)
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, TooLong> {
        let max = self.max_command();
        self.framer.next(&mut self.rx, max)
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        let max = self.max_command();
        self.framer.line(&mut self.rx, max)
    }

    fn max_command(&self) -> usize {
        match self.state {
            State::NotAuthenticated => self.config.max_command_before_login,
            _ => self.config.max_command,
        }
    }

    fn enter_authenticated(&mut self) {
        self.state = State::Authenticated;
        self.rx.set_limit(self.config.max_command + 1);
        self.active = true;
    }

    fn fail(&mut self, error: Error, text: &str) {
        if self.failed.is_none() {
            self.out().raw("* BYE ").text(text).raw("\r\n");
            self.failed = Some(error);
        }
    }
}

impl Machine for Server {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        if let Some(status) = self.greeting.take() {
            self.greet(status);
        }
        self.watch_clock(now);
        loop {
            if let Some(error) = self.failed {
                self.layer.deflate(&mut self.tx);
                return if self.layer.has_output(&self.tx) {
                    Ok(Step::Write)
                } else {
                    Err(error)
                };
            }
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            if !self.has_room() {
                self.layer.deflate(&mut self.tx);
                return Ok(Step::Write);
            }
            if let Turn::Wait(step) = self.turn() {
                self.layer.deflate(&mut self.tx);
                return Ok(if self.layer.has_output(&self.tx) {
                    Step::Write
                } else {
                    step
                });
            }
        }
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        if let Some(room) = self.layer.room() {
            return room;
        }
        match &self.phase {
            Phase::Append(_) => self.rx.room_for(APPEND_READ),
            _ => self.rx.room(),
        }
    }

    fn received(&mut self, n: usize) {
        self.layer.received(n, &mut self.rx);
        self.active = true;
    }

    fn send_buf(&self) -> &[u8] {
        self.layer.output(&self.tx).data()
    }

    fn send_bufs<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        self.layer.output(&self.tx).vectored(chunks)
    }

    fn sent(&mut self, n: usize) {
        // After a failure the output may have been dropped while a write was on its way.
        let n = if self.failed.is_some() {
            n.min(self.layer.output(&self.tx).len())
        } else {
            n
        };
        self.layer.sent(n, &mut self.tx);
        self.active = true;
    }

    fn deadline(&self) -> Option<Instant> {
        (!self.waits_for_caller()).then_some(self.deadline)
    }
}

/// How much room is offered while a message comes in.
const APPEND_READ: usize = 8 * 1024;
