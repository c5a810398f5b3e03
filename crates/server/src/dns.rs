//! The driver of the stub resolver: sockets and a clock for `mailwright-dns`.
//!
//! ```text
//!  Dns (handles) ── questions ─▶ task with the Resolver ── transmits ─▶ one task per socket ─▶ server
//!       ▲                          │         ▲                                │
//!       └───────── answers ────────┘         └────────── octets ◀─────────────┘
//! ```

use crate::config::Config;
use crate::metrics::{Task, counted, spawn};
use mailwright_dns::{
    Answer, Config as DnsConfig, Failure, FailureKind, QueryId, Question, Resolver, Server, SocketId, Stats,
    Transmit, Transport,
};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep_until;

/// A handle to the resolver; cheap to clone. The resolver ends with its last handle.
#[derive(Debug, Clone)]
pub struct Dns {
    commands: mpsc::UnboundedSender<Command>,
    serial: Arc<AtomicU64>,
}

impl Dns {
    /// Starts a resolver on the runtime of the caller.
    ///
    /// # Panics
    ///
    /// Panics outside of a runtime.
    pub fn start(dns: DnsConfig) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        spawn(Task::Part, Driver::new(dns).run(receiver));
        Self {
            commands,
            serial: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Starts a resolver that asks whom this machine asks: what `/etc/resolv.conf` names, else a resolver on loopback.
    ///
    /// # Panics
    ///
    /// Panics outside of a runtime.
    pub fn of_system() -> Self {
        Self::start(system())
    }

    /// Starts a resolver with the settings of a server.
    ///
    /// # Panics
    ///
    /// Panics outside of a runtime.
    pub fn from_config(config: &Config) -> Self {
        Self::start(dns_config(config))
    }

    /// The resolver for another configuration: this one, with all it remembers, if that asks for the same. Files, such
    /// as `/etc/resolv.conf`, may hold something else than before.
    pub(crate) fn reloaded(&self, old: &Config, config: &Config) -> Self {
        let asked = |config: &Config| (config.outbound.resolver, config.outbound.serve_stale);
        let without_files =
            |config: &Config| config.outbound.resolver.is_some() && config.outbound.hosts_file.is_none();
        match asked(old) == asked(config) && without_files(old) && without_files(config) {
            true => self.clone(),
            false => Self::from_config(config),
        }
    }

    /// Whether the two are handles to one resolver.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.serial, &other.serial)
    }

    /// Resolves a question. Dropping the future gives the question up.
    pub async fn resolve(&self, question: Question) -> Answer {
        let mut asker = Asker::new(self);
        asker.ask(question);
        asker.next().await.map_or_else(gone, |(_, answer)| answer)
    }

    /// What the resolver counted; all zero if the runtime is ending.
    pub async fn stats(&self) -> Stats {
        let (reply, answer) = oneshot::channel();
        // If the driver is gone, so is the sender, and the answer below is an error.
        let _ = self.commands.send(Command::Stats(reply));
        answer.await.unwrap_or_default()
    }
}

/// The settings of the resolver that a server's configuration asks for.
///
/// Without a configured resolver those of `/etc/resolv.conf` are used. The AD bit is believed of a configured resolver
/// on loopback, and where `resolv.conf` has `trust-ad`.
pub fn dns_config(config: &Config) -> DnsConfig {
    let mut dns = match config.outbound.resolver {
        Some(address) => {
            let server = Server::new(address);
            DnsConfig::new([if address.ip().is_loopback() {
                server.trusted()
            } else {
                server
            }])
        }
        None => system(),
    };
    dns.max_lookups = MAX_SOCKETS;
    dns.serve_stale = config.outbound.serve_stale;
    if let Some(path) = &config.outbound.hosts_file {
        match std::fs::read_to_string(path) {
            Ok(text) => drop(dns.add_hosts(&text)),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "the hosts file cannot be read; going on without it");
            }
        }
    }
    dns
}

/// The settings of the resolver that this machine's programs use.
fn system() -> DnsConfig {
    // An unreadable file means what a missing one does: a resolver on this machine.
    let mut dns =
        DnsConfig::from_resolv_conf(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    dns.max_lookups = MAX_SOCKETS;
    dns
}

/// The answer when the driver ended with its runtime.
pub(crate) fn gone() -> Answer {
    Failure::new(FailureKind::Unreachable).into()
}

/// What handles want of the driver.
#[derive(Debug)]
enum Command {
    Ask {
        token: u64,
        question: Question,
        reply: mpsc::UnboundedSender<(u64, Answer)>,
    },
    Cancel(u64),
    Stats(oneshot::Sender<Stats>),
}

/// Questions of one future; those without an answer are given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    dns: &'a Dns,
    open: HashMap<u64, Question>,
    reply: mpsc::UnboundedSender<(u64, Answer)>,
    answers: mpsc::UnboundedReceiver<(u64, Answer)>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(dns: &'a Dns) -> Self {
        let (reply, answers) = mpsc::unbounded_channel();
        Self {
            dns,
            open: HashMap::new(),
            reply,
            answers,
        }
    }

    pub(crate) fn ask(&mut self, question: Question) {
        let token = self.dns.serial.fetch_add(1, Ordering::Relaxed);
        self.open.insert(token, question.clone());
        let command = Command::Ask {
            token,
            question,
            reply: self.reply.clone(),
        };
        // If the driver is gone, `next` finds that out.
        let _ = self.dns.commands.send(command);
    }

    /// Waits for the next answer; `None` if none will come, because the driver is gone.
    pub(crate) async fn next(&mut self) -> Option<(Question, Answer)> {
        let (token, answer) = tokio::select! {
            biased;
            answer = self.answers.recv() => answer?,
            () = self.dns.commands.closed() => return None,
        };
        let question = self.open.remove(&token)?;
        Some((question, answer))
    }

    pub(crate) fn give_up(&mut self) -> impl Iterator<Item = Question> {
        self.open.drain().map(|(_, question)| question)
    }
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        for token in self.open.keys() {
            // A driver that is gone has nothing to cancel.
            let _ = self.dns.commands.send(Command::Cancel(*token));
        }
    }
}

/// Owns the resolver and its sockets.
#[derive(Debug)]
struct Driver {
    resolver: Resolver,
    askers: HashMap<QueryId, (u64, mpsc::UnboundedSender<(u64, Answer)>)>,
    queries: HashMap<u64, QueryId>,
    sockets: HashMap<SocketId, AbortHandle>,
    tasks: JoinSet<()>,
    events: mpsc::Sender<Event>,
    received: mpsc::Receiver<Event>,
}

/// What happened to a socket.
#[derive(Debug)]
enum Event {
    Datagram {
        socket: SocketId,
        from: SocketAddr,
        octets: Vec<u8>,
    },
    Stream {
        socket: SocketId,
        octets: Vec<u8>,
    },
    Closed(SocketId),
    Failed(SocketId),
}

impl Driver {
    fn new(config: DnsConfig) -> Self {
        let (events, received) = mpsc::channel(EVENTS_AHEAD);
        let fill =
            |octets: &mut [u8]| getrandom::fill(octets).expect("the operating system gives random octets");
        Self {
            resolver: Resolver::new(config, fill),
            askers: HashMap::new(),
            queries: HashMap::new(),
            sockets: HashMap::new(),
            tasks: JoinSet::new(),
            events,
            received,
        }
    }

    /// Runs until the last handle is dropped; then the sockets go with the set of tasks.
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            self.settle();
            let deadline = self.resolver.deadline();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                Some(event) = self.received.recv() => self.on_event(event),
                // Tasks of closed sockets, so that they do not pile up.
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => {
                    self.resolver.handle_timeout(now());
                }
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Ask {
                token,
                question,
                reply,
            } => {
                let query = self.resolver.query(now(), question);
                self.askers.insert(query, (token, reply));
                self.queries.insert(token, query);
            }
            Command::Cancel(token) => {
                if let Some(query) = self.queries.remove(&token) {
                    self.askers.remove(&query);
                    self.resolver.cancel(now(), query);
                }
            }
            Command::Stats(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.resolver.stats());
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = now();
        match event {
            Event::Datagram { socket, from, octets } => {
                self.resolver.handle_datagram(now, socket, from, &octets);
            }
            Event::Stream { socket, octets } => self.resolver.handle_stream(now, socket, &octets),
            Event::Closed(socket) => self.resolver.handle_closed(now, socket),
            Event::Failed(socket) => self.resolver.handle_failed(now, socket),
        }
    }

    /// Does all that the resolver wants done.
    fn settle(&mut self) {
        while let Some(socket) = self.resolver.poll_close() {
            if let Some(task) = self.sockets.remove(&socket) {
                task.abort();
            }
        }
        while let Some(transmit) = self.resolver.poll_transmit() {
            let socket = transmit.socket;
            let task = self
                .tasks
                .spawn(counted(Task::Lookup, exchange(transmit, self.events.clone())));
            self.sockets.insert(socket, task);
        }
        while let Some((query, answer)) = self.resolver.poll_answer() {
            if let Some((token, reply)) = self.askers.remove(&query) {
                self.queries.remove(&token);
                // Whoever asked may have gone.
                let _ = reply.send((token, answer));
            }
        }
    }
}

/// Runs one exchange until it fails, or the driver ends it.
async fn exchange(transmit: Transmit, events: mpsc::Sender<Event>) {
    let socket = transmit.socket;
    let ended = match transmit.transport {
        Transport::Udp => datagrams(&transmit, &events).await,
        Transport::Tcp => stream(&transmit, &events).await,
    };
    if let Err(error) = ended {
        tracing::debug!(server = %transmit.server, %error, "DNS exchange failed");
        // A driver that is gone needs no notice.
        let _ = events.send(Event::Failed(socket)).await;
    }
}

/// Sends over a socket with a fresh port, connected, so that the system drops what others send to it.
async fn datagrams(transmit: &Transmit, events: &mpsc::Sender<Event>) -> io::Result<()> {
    let any: IpAddr = match transmit.server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(transmit.server).await?;
    socket.send(&transmit.bytes).await?;
    let mut room = vec![0; DATAGRAM];
    loop {
        let n = socket.recv(&mut room).await?;
        let event = Event::Datagram {
            socket: transmit.socket,
            from: transmit.server,
            octets: room[..n].to_vec(),
        };
        if events.send(event).await.is_err() {
            return Ok(());
        }
    }
}

async fn stream(transmit: &Transmit, events: &mpsc::Sender<Event>) -> io::Result<()> {
    let mut stream = TcpStream::connect(transmit.server).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&transmit.bytes).await?;
    let mut room = vec![0; DATAGRAM];
    loop {
        let n = stream.read(&mut room).await?;
        let event = match n {
            0 => Event::Closed(transmit.socket),
            n => Event::Stream {
                socket: transmit.socket,
                octets: room[..n].to_vec(),
            },
        };
        if events.send(event).await.is_err() || n == 0 {
            return Ok(());
        }
    }
}

/// The time of the runtime, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Sockets open at once at most; the usual limit of a process is 1,024 files of all kinds.
const MAX_SOCKETS: usize = 256;
/// Larger than any datagram that is asked for.
const DATAGRAM: usize = 4096;
/// Events that wait for the driver before sockets wait for it.
const EVENTS_AHEAD: usize = 64;
