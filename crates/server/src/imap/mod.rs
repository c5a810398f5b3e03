//! The IMAP service: sessions of the IMAP engine over a store (RFC 3501)
//!
//! ```text
//!             ┌────────── Session ───────────┐
//!  Conn ─────▶│ Event ─▶ handler ─▶ Store    │
//!   (engine)  │   ▲                   │      │
//!   ◀─────────│ answer ◀──────────────┘      │
//!             │ notify ◀─ sync ◀─ Feed       │ what other sessions and deliveries change
//!             └──────────────────────────────┘
//! ```
//!
//! The engine owns the protocol and the session's view; a handler answers one question from the store. Bodies are
//! read by range and go out in pieces, so a session's memory does not depend on the size of messages.

mod body;
mod convert;
mod fetch;
mod folders;
mod messages;
mod search;
mod selected;

use crate::Stream;
use crate::config::{ListenerConfig, TlsMode};
use crate::conn::{Conn, ConnError, Turn};
use crate::delivery::MessageWriter;
use crate::random::entropy;
use crate::shared::Shared;
use convert::{uncommitted, unreadable};
use mailwright_imap::{self as imap, Event, Rejection, Server, Transport};
use mailwright_mailbox::{Account, Change, CommitError, Feed, Store, StoreError};
use mailwright_sasl::Answer;
use selected::Selected;
use std::net::SocketAddr;
use std::sync::Arc;

/// One IMAP session.
struct Session<S: Store> {
    shared: Arc<Shared<S>>,
    conn: Conn<Server>,
    peer: SocketAddr,
    account: Option<Account>,
    /// What changes in the account.
    feed: Option<Feed>,
    selected: Option<Selected>,
    append: Option<Box<Append<S>>>,
    /// The engine knows that the server stops.
    told: bool,
}

/// A message that is coming in.
struct Append<S: Store> {
    request: imap::AppendRequest,
    writer: MessageWriter<S>,
    /// The store failed on the way; the client is told at the end of the message.
    failed: Option<StoreError>,
}

/// Why a question is not answered with yes.
enum Stop {
    /// The client is told no.
    No(Rejection),
    /// The store failed in the middle of a literal: nothing can follow it.
    Cut,
    /// The connection or the engine gave up.
    Lost(ConnError<imap::Error>),
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::No(rejection)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::No(unreadable(&error))
    }
}

impl From<CommitError> for Stop {
    fn from(error: CommitError) -> Self {
        Self::No(uncommitted(&error))
    }
}

impl From<ConnError<imap::Error>> for Stop {
    fn from(error: ConnError<imap::Error>) -> Self {
        Self::Lost(error)
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve<S: Store>(
    shared: Arc<Shared<S>>,
    stream: Stream,
    peer: SocketAddr,
    listener: Arc<ListenerConfig>,
) {
    let transport = match listener.tls {
        TlsMode::Implicit => Transport::Tls,
        TlsMode::None | TlsMode::Starttls => Transport::Plaintext,
    };
    let config = engine_config(&shared, &listener, peer);
    let now = tokio::time::Instant::now().into_std();
    let mut engine = Server::new(Arc::new(config), transport, entropy(), now);
    engine.bind_channel(shared.tls.channel_bindings(&listener, &stream));
    let mut conn = Conn::new(engine, stream);
    conn.set_write_timeout(shared.config.limits.write_timeout);
    let session = Box::new(Session {
        shared,
        conn,
        peer,
        account: None,
        feed: None,
        selected: None,
        append: None,
        told: false,
    });
    session.run(&listener).await;
}

fn engine_config<S>(shared: &Shared<S>, listener: &ListenerConfig, peer: SocketAddr) -> imap::Config {
    let config = &shared.config;
    let mut engine = imap::Config::default();
    engine.greeting = format!("{} IMAP ready", config.hostname);
    engine.mechanisms = shared.accounts.mechanisms();
    engine.starttls = listener.tls == TlsMode::Starttls;
    engine.plaintext_login = config.plaintext_login.allows(peer.ip());
    engine.max_append = config.limits.message_size;
    engine.idle_timeout = config.limits.imap_timeout;
    engine
}

/// What a session waits for.
enum Wake {
    Turn(Turn<Event>),
    Changed(Option<Vec<Change>>),
    Shutdown,
}

/// How a session goes on.
enum Flow {
    On,
    StartTls,
    Close,
}

impl<S: Store> Session<S> {
    async fn run(mut self: Box<Self>, listener: &ListenerConfig) {
        loop {
            match self.step().await {
                Ok(Flow::On) => {}
                Ok(Flow::StartTls) => {
                    let config = self.shared.tls.of_listener(listener);
                    // Boxed, so that the task is not as large as a handshake for all its life.
                    match Box::pin(self.conn.accept_tls(config)).await {
                        Ok(conn) => self.conn = conn,
                        Err(error) => return tracing::debug!(peer = %self.peer, "imap: no TLS: {error}"),
                    }
                    let bindings = self.shared.tls.channel_bindings(listener, self.conn.stream());
                    self.conn.machine().tls_started();
                    self.conn.machine().bind_channel(bindings);
                }
                Ok(Flow::Close) => break,
                Err(error) => {
                    tracing::debug!(peer = %self.peer, "imap: {error}");
                    break;
                }
            }
        }
        Box::pin(self.conn.close()).await;
    }

    async fn step(&mut self) -> Result<Flow, ConnError<imap::Error>> {
        let wake = tokio::select! {
            turn = self.conn.next() => Wake::Turn(turn?),
            changes = changed(self.feed.as_mut()) => Wake::Changed(changes),
            () = self.shared.shutdown.begun(), if !self.told => Wake::Shutdown,
        };
        match wake {
            // Boxed, so that a session that idles does not keep the room that its commands need.
            Wake::Turn(Turn::Event(event)) => Box::pin(self.event(event)).await?,
            // Every question is answered where its event is handled.
            Wake::Turn(Turn::Answer) => self.conn.machine().reject(Rejection::UNAVAILABLE),
            Wake::Turn(Turn::StartTls) => return Ok(Flow::StartTls),
            Wake::Turn(Turn::Close) => return Ok(Flow::Close),
            Wake::Changed(Some(changes)) => {
                let behind = |selected: &Selected| changes.iter().any(|change| selected.is_behind(change));
                if self.selected.as_ref().is_some_and(behind) {
                    Box::pin(self.sync_or_end()).await;
                }
            }
            Wake::Changed(None) => {
                self.feed = None;
                self.conn.machine().shutdown("The store is closing");
            }
            Wake::Shutdown => {
                self.told = true;
                self.conn.machine().shutdown("Server is shutting down");
            }
        }
        Ok(Flow::On)
    }

    async fn event(&mut self, event: Event) -> Result<(), ConnError<imap::Error>> {
        match event {
            Event::Auth(question) => {
                let user = question.username().to_owned();
                let answer = self.shared.accounts.answer(question).await;
                if matches!(answer, Answer::Deny) {
                    tracing::info!(peer = %self.peer, ?user, "imap: login refused");
                }
                self.conn.machine().answer_auth(answer);
            }
            Event::Authenticated(identity) => self.log_in(&identity.authcid),
            Event::Id(fields) => tracing::debug!(peer = %self.peer, ?fields, "imap: client says what it is"),
            Event::AppendData(data) => self.append_data(data).await,
            Event::AppendAborted => self.append = None,
            Event::Idle => {}
            question => match self.question(question).await {
                Ok(()) => {}
                Err(Stop::No(rejection)) => self.conn.machine().reject(rejection),
                Err(Stop::Cut) => self.conn.machine().abort(),
                Err(Stop::Lost(error)) => return Err(error),
            },
        }
        Ok(())
    }

    /// Answers a question with yes, or returns the no.
    async fn question(&mut self, question: Event) -> Result<(), Stop> {
        match question {
            Event::Select { mailbox, .. } => self.select(&mailbox).await,
            Event::Create { mailbox, special_use } => self.create(&mailbox, &special_use).await,
            Event::Delete { mailbox } => self.delete(&mailbox).await,
            Event::Rename { from, to } => self.rename(&from, &to).await,
            Event::Subscribe { mailbox } => self.subscribe(&mailbox, true).await,
            Event::Unsubscribe { mailbox } => self.subscribe(&mailbox, false).await,
            Event::List(request) => self.list(&request).await,
            Event::Status { mailbox, .. } => self.status(&mailbox).await,
            Event::Namespace => {
                self.conn.machine().namespaces(&imap::Namespaces::default());
                Ok(())
            }
            Event::Append(request) => self.append_start(request).await,
            Event::Noop => {
                self.sync().await?;
                self.yes()
            }
            Event::Close { expunge } => self.close(expunge).await,
            Event::Expunge { uids } => self.expunge(uids.as_ref()).await,
            Event::Search(criterion) => self.search(&criterion).await,
            Event::Store(request) => self.store(&request).await,
            Event::Copy { uids, mailbox } => self.copy(&uids, &mailbox, false).await,
            Event::Move { uids, mailbox } => self.copy(&uids, &mailbox, true).await,
            Event::AppendEnd => self.append_end().await,
            Event::Fetch(request) => self.fetch(&request).await,
            _ => Err(Rejection::CANNOT.into()),
        }
    }

    fn yes(&mut self) -> Result<(), Stop> {
        self.conn.machine().accept();
        Ok(())
    }

    fn log_in(&mut self, name: &str) {
        match self.shared.accounts.find(name) {
            Some(account) => {
                tracing::info!(peer = %self.peer, %account, "imap: logged in");
                self.feed = Some(self.shared.store.subscribe(&account));
                self.account = Some(account);
            }
            // Removed between the check of the password and here.
            None => self.conn.machine().shutdown("The account is gone"),
        }
    }

    fn account(&self) -> Result<&Account, Rejection> {
        self.account.as_ref().ok_or(Rejection::UNAVAILABLE)
    }

    /// Tells the engine what has changed in the selected mailbox.
    async fn sync(&mut self) -> Result<(), Stop> {
        let Some(selected) = &mut self.selected else {
            return Ok(());
        };
        let changes = selected.sync(&self.shared.store).await?;
        for change in changes {
            self.conn.machine().notify(change);
        }
        Ok(())
    }

    /// The same between commands, and after a commit: what is done is not denied because the look at it fails,
    /// or the client would do it again. If the mailbox was deleted by somebody else there is nothing left to talk
    /// about.
    async fn sync_or_end(&mut self) {
        if let Some(selected) = &mut self.selected {
            match selected.sync(&self.shared.store).await {
                Ok(changes) => changes
                    .into_iter()
                    .for_each(|change| self.conn.machine().notify(change)),
                Err(StoreError::NoSuchMailbox) => {
                    self.selected = None;
                    self.conn.machine().shutdown("The selected mailbox was deleted");
                }
                Err(error) => tracing::error!(peer = %self.peer, "imap: {error}"),
            }
        }
    }
}

/// Waits for changes; for ever where there is no feed.
async fn changed(feed: Option<&mut Feed>) -> Option<Vec<Change>> {
    match feed {
        Some(feed) => feed.changed().await,
        None => std::future::pending().await,
    }
}
