//! One session from its greeting to its end (RFC 9051 §3)

use super::backend::{Backend, Failure, Mailboxes, NewMessage};
use super::convert::{name, refusal};
use super::selected::Selected;
use super::watching::{self, Watching};
use crate::Stream;
use crate::config::Protocol;
use crate::conn::{Conn, ConnError, Turn};
use crate::metrics::{Idle, Login, Metrics, Success};
use crate::random::entropy;
use crate::shutdown::Shutdown;
use crate::tls::Acceptor;
use crate::workers::Workers;
use mailwright_imap::{self as imap, Capabilities, Capability, Config, Event, Rejection, Server, Transport};
use mailwright_mailbox::{Change, Feed, ModSeq};
use mailwright_sasl::{Answer, Identity, Mechanism, Question};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How a connection is served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Limits and choices of the engine; by default all extensions. Whether STARTTLS is offered follows from [`tls`](Options::tls), and what
    /// the mailboxes cannot do is not offered, whatever stands here.
    pub engine: Config,
    /// The server's side of TLS, for STARTTLS; none by default. A stream that is under TLS already needs none.
    pub tls: Option<Acceptor>,
    /// How long the client may take nothing of what is sent to it; five minutes by default.
    pub write_timeout: Duration,
    /// How many octets a second the client has to take of what is sent to it, on average once the write timeout has
    /// passed; 100 by default, 0 for no such limit.
    pub write_least_rate: u64,
    /// Bounds how many threads search and sort mail at once, of all connections that are given clones of these; by
    /// default as many as there are cores.
    pub workers: Workers,
    /// How many mailboxes a session can watch by NOTIFY (RFC 5465), each of which takes some 300 octets; 10,000 by
    /// default. With more the client is told NOTIFICATIONOVERFLOW.
    pub max_watched: usize,
    /// How often a client that waits for a search, a sort or a copy is told how far it is (RFC 9585); 15 seconds by
    /// default. RFC 9585 §4 recommends 10 to 15.
    pub progress_interval: Duration,
    /// Tells that the server stops.
    pub shutdown: Shutdown,
    /// Where commands, logins and waiting are counted; nowhere by default.
    pub metrics: Option<Arc<Metrics>>,
}

impl Default for Options {
    fn default() -> Self {
        let mut engine = Config::default();
        // With the piece of a message that goes out next, less than 48 KiB.
        engine.output_high_water = 32 * 1024;
        engine.capabilities = Capabilities::all();
        Self {
            engine,
            tls: None,
            write_timeout: Conn::<Server>::WRITE_TIMEOUT,
            write_least_rate: 100,
            workers: Workers::default(),
            max_watched: 10_000,
            progress_interval: Duration::from_secs(15),
            shutdown: Shutdown::new(),
            metrics: None,
        }
    }
}

/// Serves one connection until it ends.
pub async fn serve<B: Backend>(
    backend: Arc<B>,
    stream: impl Into<Stream>,
    peer: SocketAddr,
    options: Options,
) {
    let Options {
        mut engine,
        tls,
        write_timeout,
        write_least_rate,
        workers,
        max_watched,
        progress_interval,
        shutdown,
        metrics,
    } = options;
    let stream = stream.into();
    let transport = match stream.is_tls() {
        true => Transport::Tls,
        false => Transport::Plaintext,
    };
    engine.starttls = tls.is_some();
    engine.capabilities = served::<B>(engine.capabilities);
    let now = tokio::time::Instant::now().into_std();
    let bindings = stream.channel_bindings();
    let (capabilities, max_append) = (engine.capabilities, engine.max_append);
    let mut engine = Server::new(Arc::new(engine), transport, entropy(), now);
    engine.bind_channel(bindings);
    if let Some(certificate) = stream.peer_certificate()
        && backend.of_certificate(certificate, None).is_some()
    {
        engine.offer(Mechanism::External);
    }
    let mut conn = Conn::new(engine, stream);
    conn.set_write_timeout(write_timeout);
    conn.set_write_rate(write_least_rate);
    let session = Box::new(Session {
        backend,
        conn,
        peer,
        max_append,
        capabilities,
        mail: None,
        feed: None,
        selected: None,
        append: None,
        workers,
        max_watched,
        watching: None,
        // An interval of nothing is none.
        progress_interval: progress_interval.max(Duration::from_millis(1)),
        shutdown,
        told: false,
        metrics,
        idle: None,
    });
    session.run(tls).await;
}

/// Of some extensions those that a backend's mailboxes can serve.
fn served<B: Backend>(wanted: Capabilities) -> Capabilities {
    let served = |capability: &Capability| <B::Mailboxes as Mailboxes>::ABILITIES.serve(*capability);
    wanted
        .iter()
        .filter(served)
        .fold(Capabilities::NONE, Capabilities::with)
}

/// One IMAP session.
pub(super) struct Session<B: Backend> {
    backend: Arc<B>,
    pub(super) conn: Conn<Server>,
    pub(super) peer: SocketAddr,
    /// The most octets of a message that is appended.
    pub(super) max_append: u64,
    /// What is offered to those who are masked nothing.
    capabilities: Capabilities,
    pub(super) mail: Option<Arc<B::Mailboxes>>,
    /// What changes in the user's own mailboxes.
    feed: Option<Feed>,
    pub(super) selected: Option<Selected>,
    pub(super) append: Option<Box<Append<<B::Mailboxes as Mailboxes>::Incoming>>>,
    pub(super) workers: Workers,
    pub(super) max_watched: usize,
    pub(super) watching: Option<Box<Watching>>,
    pub(super) progress_interval: Duration,
    shutdown: Shutdown,
    /// The engine knows that the server stops.
    told: bool,
    metrics: Option<Arc<Metrics>>,
    /// Set while the last command of the client is IDLE.
    idle: Option<Idle>,
}

/// Messages that are coming in.
pub(super) struct Append<I> {
    pub(super) mailbox: String,
    /// How many octets have come of the message that is coming.
    pub(super) octets: u64,
    /// The message of the selected mailbox that is replaced.
    pub(super) replaces: Option<u32>,
    pub(super) whole: Vec<NewMessage<I>>,
    pub(super) coming: NewMessage<I>,
    /// Something failed on the way; the client is told at the end of the message.
    pub(super) failed: Option<Failure>,
}

/// Why a question is not answered with yes.
pub(super) enum Stop {
    /// The client is told no.
    No(Rejection),
    /// A message cannot be read in the middle of a literal: nothing can follow it.
    Cut,
    /// The connection or the engine gave up.
    Lost(ConnError<imap::Error>),
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::No(rejection)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::No(refusal(failure))
    }
}

impl From<ConnError<imap::Error>> for Stop {
    fn from(error: ConnError<imap::Error>) -> Self {
        Self::Lost(error)
    }
}

/// What a session waits for.
enum Wake {
    Turn(Turn<Event>),
    Changed(Option<Vec<Change>>),
    Shutdown,
    Revoked,
}

/// How a session goes on.
enum Flow {
    On,
    StartTls,
    Close,
}

impl<B: Backend> Session<B> {
    async fn run(mut self: Box<Self>, tls: Option<Acceptor>) {
        loop {
            match self.step().await {
                Ok(Flow::On) => {}
                Ok(Flow::StartTls) => {
                    let Some(tls) = tls.clone() else { break };
                    // Boxed, so that the task is not as large as a handshake for all its life.
                    let shaken = Box::pin(self.conn.accept_tls(tls)).await;
                    if let Some(metrics) = &self.metrics {
                        metrics.handshakes.of(Success::of(&shaken)).count();
                    }
                    match shaken {
                        Ok(conn) => self.conn = conn,
                        Err(error) => return tracing::debug!(peer = %self.peer, "imap: no TLS: {error}"),
                    }
                    let bindings = self.conn.stream().channel_bindings();
                    self.conn.machine().tls_started();
                    self.conn.machine().bind_channel(bindings);
                    if self.of_certificate(None).is_some() {
                        self.conn.machine().offer(Mechanism::External);
                    }
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

    /// Whom the certificate of the client stands for.
    fn of_certificate(&self, authzid: Option<&str>) -> Option<String> {
        let certificate = self.conn.stream().peer_certificate()?;
        self.backend.of_certificate(certificate, authzid)
    }

    async fn step(&mut self) -> Result<Flow, ConnError<imap::Error>> {
        let of_selected = self.selected.as_mut().and_then(|selected| selected.feed.as_mut());
        let wake = tokio::select! {
            turn = self.conn.next() => Wake::Turn(turn?),
            changes = changed(self.feed.as_mut()) => Wake::Changed(changes),
            changes = changed(of_selected) => Wake::Changed(changes),
            changes = watching::changed(self.watching.as_mut()) => Wake::Changed(changes),
            () = self.shutdown.begun(), if !self.told => Wake::Shutdown,
            () = revoked(self.mail.as_deref()), if !self.told => Wake::Revoked,
        };
        match wake {
            // Boxed, so that a session that idles does not keep the room that its commands need.
            Wake::Turn(Turn::Event(event)) => Box::pin(self.event(event)).await?,
            // Every question is answered where its event is handled.
            Wake::Turn(Turn::Answer) => self.conn.machine().reject(Rejection::UNAVAILABLE),
            Wake::Turn(Turn::StartTls) => return Ok(Flow::StartTls),
            Wake::Turn(Turn::Close) => return Ok(Flow::Close),
            Wake::Changed(Some(changes)) => {
                let until = self.selected.as_ref().and_then(|selected| {
                    let news = changes.iter().filter(|it| selected.is_behind::<B::Mailboxes>(it));
                    news.map(|change| change.mod_seq).max()
                });
                if until.is_some() {
                    Box::pin(self.sync_or_end(until)).await;
                }
                if self.watching.is_some() {
                    Box::pin(self.look(&changes)).await;
                }
            }
            Wake::Changed(None) => {
                self.feed = None;
                self.watching = None;
                if let Some(selected) = &mut self.selected {
                    selected.feed = None;
                }
                self.conn.machine().shutdown("The mailboxes are closing");
            }
            Wake::Shutdown => {
                self.told = true;
                self.conn.machine().shutdown("Server is shutting down");
            }
            Wake::Revoked => {
                tracing::info!(peer = %self.peer, "imap: the account has changed: the session ends");
                self.told = true;
                self.conn
                    .machine()
                    .shutdown("The account has changed, please log in again");
            }
        }
        Ok(Flow::On)
    }

    async fn event(&mut self, event: Event) -> Result<(), ConnError<imap::Error>> {
        self.count(&event);
        match event {
            Event::Auth(question) => {
                let user = question.username().to_owned();
                self.mask(&user);
                let answer = match &question {
                    Question::External { authzid } => match self.of_certificate(authzid.as_deref()) {
                        Some(name) => Answer::AcceptAs(name),
                        None => Answer::Deny,
                    },
                    _ => self.backend.authenticate(question, self.peer).await,
                };
                if let Some(result) = Login::of(&answer) {
                    self.count_login(result);
                    tracing::info!(peer = %self.peer, ?user, "imap: login refused");
                }
                self.conn.machine().answer_auth(answer);
            }
            Event::Authenticated(identity) => self.log_in(&identity).await,
            Event::Id(fields) => tracing::debug!(peer = %self.peer, ?fields, "imap: client says what it is"),
            Event::AppendData(data) => self.append_data(data).await,
            Event::AppendAborted => self.append = None,
            Event::Unauthenticated => {
                tracing::info!(peer = %self.peer, "imap: logged out, and stays");
                self.append = None;
                self.selected = None;
                self.watching = None;
                self.feed = None;
                self.mail = None;
                let capabilities = self.capabilities;
                self.conn.machine().set_capabilities(capabilities);
            }
            Event::Idle => {}
            Event::MetadataEnabled => self.watch_metadata().await,
            question => match self.question(question).await {
                Ok(()) => {}
                Err(Stop::No(rejection)) => self.conn.machine().reject(rejection),
                Err(Stop::Cut) => self.conn.machine().abort(),
                Err(Stop::Lost(error)) => return Err(error),
            },
        }
        Ok(())
    }

    fn count(&mut self, event: &Event) {
        self.idle = None;
        let Some(metrics) = &self.metrics else { return };
        if !matches!(event, Event::AppendData(_) | Event::AppendAborted) {
            metrics.commands.of(Protocol::Imap).count();
        }
        if matches!(event, Event::Idle) {
            self.idle = Some(metrics.idles());
        }
    }

    fn count_login(&self, result: Login) {
        if let Some(metrics) = &self.metrics {
            metrics.login(Protocol::Imap, result);
        }
    }

    /// Answers a question with yes, or returns the no.
    async fn question(&mut self, question: Event) -> Result<(), Stop> {
        let mail = self.mail.clone();
        let _admission = match &mail {
            Some(mail) => Some(mail.admit().await),
            None => None,
        };
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
                let namespaces = self.mail()?.namespaces();
                self.conn.machine().namespaces(&namespaces);
                Ok(())
            }
            Event::Quota(request) => self.quota(&request).await,
            Event::Acl(request) => self.acl(&request).await,
            Event::Metadata(request) => self.metadata(request).await,
            Event::AppendNext(request) => self.append_next(request).await,
            Event::AppendUrl(url) => self.append_url(&url).await,
            Event::Append(request) => self.append_start(request).await,
            Event::Noop => {
                self.sync().await?;
                self.yes()
            }
            Event::Close { expunge } => self.close(expunge).await,
            Event::Expunge { uids } => self.expunge(uids.as_ref()).await,
            Event::Search(request) => self.search(&request).await,
            Event::SearchIn(request) => self.search_in(&request).await,
            Event::Notify(request) => self.notify(&request).await,
            Event::Sort(request) => self.sort(&request).await,
            Event::Thread(request) => self.thread(&request).await,
            Event::Store(request) => self.store(&request).await,
            Event::Copy { uids, mailbox } => self.copy(&uids, &mailbox, false).await,
            Event::Move { uids, mailbox } => self.copy(&uids, &mailbox, true).await,
            Event::AppendEnd => self.append_end().await,
            Event::Fetch(request) => self.fetch(&request).await,
            _ => Err(Rejection::CANNOT.into()),
        }
    }

    pub(super) fn yes(&mut self) -> Result<(), Stop> {
        self.conn.machine().accept();
        Ok(())
    }

    /// Takes away what is not offered to a user, before the answer to the login tells what is.
    fn mask(&mut self, user: &str) {
        let offered = |capability: &Capability| self.backend.offers(user, *capability);
        let capabilities = self.capabilities.iter().filter(offered);
        let capabilities = capabilities.fold(Capabilities::NONE, Capabilities::with);
        self.conn.machine().set_capabilities(capabilities);
    }

    async fn log_in(&mut self, identity: &Identity) {
        match self.backend.open(identity, self.peer).await {
            Ok(mail) => {
                tracing::info!(peer = %self.peer, user = ?identity.authcid, "imap: logged in");
                self.count_login(Login::Ok);
                self.feed = mail.feed(None);
                self.mail = Some(Arc::new(mail));
            }
            Err(failure) => {
                tracing::info!(peer = %self.peer, user = ?identity.authcid, "imap: not let in: {failure}");
                let why = refusal(failure);
                self.conn.machine().shutdown(why.text());
            }
        }
    }

    pub(super) fn mail(&self) -> Result<Arc<B::Mailboxes>, Rejection> {
        self.mail.clone().ok_or(Rejection::UNAVAILABLE)
    }

    /// Finds a mailbox by the name that a client gave.
    pub(super) async fn find(&mut self, mailbox: &str) -> Result<super::Listed, Stop> {
        Ok(self.mail()?.find(&name(mailbox)?).await?)
    }

    /// Tells the engine what has changed in the selected mailbox.
    pub(super) async fn sync(&mut self) -> Result<(), Stop> {
        let mail = self.mail()?;
        let Some(selected) = &mut self.selected else {
            return Ok(());
        };
        let changes = selected.sync(&*mail, None).await?;
        for change in changes {
            self.conn.machine().notify(change);
        }
        Ok(())
    }

    /// The same between commands, and after a change: what is done is not denied because the look at it fails,
    /// or the client would do it again. If the mailbox was deleted by somebody else there is nothing left to talk
    /// about.
    pub(super) async fn sync_or_end(&mut self, until: Option<ModSeq>) {
        let (Some(mail), Some(selected)) = (&self.mail, &mut self.selected) else {
            return;
        };
        match selected.sync(&**mail, until).await {
            Ok(changes) => changes
                .into_iter()
                .for_each(|change| self.conn.machine().notify(change)),
            Err(Failure::NoSuchMailbox) => {
                self.selected = None;
                self.conn.machine().shutdown("The selected mailbox was deleted");
            }
            // Rights were taken away: what the client sees is what it was given before.
            Err(Failure::Refused(_)) => {
                self.selected = None;
                self.conn
                    .machine()
                    .shutdown("The selected mailbox is no longer shared with you");
            }
            Err(failure) => tracing::error!(peer = %self.peer, "imap: {failure}"),
        }
    }
}

/// Waits for changes; for ever where there is no feed.
async fn revoked<M: Mailboxes>(mailboxes: Option<&M>) {
    match mailboxes {
        Some(mailboxes) => mailboxes.revoked().await,
        None => std::future::pending().await,
    }
}

async fn changed(feed: Option<&mut Feed>) -> Option<Vec<Change>> {
    match feed {
        Some(feed) => feed.changed().await,
        None => std::future::pending().await,
    }
}
