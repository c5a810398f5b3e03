//! The mail server of somebody else, which does what a test wants.

use mailwright_address::Host;
use mailwright_sasl as sasl;
use mailwright_server::Stream;
use mailwright_server::conn::{Conn, Turn};
use mailwright_smtp::server::{Config, Event, Server};
use mailwright_smtp::{Extensions, Protocol, Rejection};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What stood behind `MAIL FROM:`.
    pub mail: String,
    /// What stood behind each `RCPT TO:` that was accepted.
    pub recipients: Vec<String>,
    pub body: Vec<u8>,
    pub tls: bool,
    pub user: Option<String>,
    /// What the client called itself.
    pub hello: String,
    /// From where it came.
    pub from: IpAddr,
}

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// The n-th connection, from 0 on.
    Connect(usize),
    Rcpt(&'a str),
    Message,
}

/// Decides what is taken.
pub type Judge = dyn Fn(Asked<'_>) -> Result<(), Rejection> + Send + Sync;

/// What a test wants of a sink.
#[derive(Clone)]
pub struct Script {
    pub judge: Arc<Judge>,
    pub protocol: Protocol,
    /// Extensions beyond the usual ones.
    pub extend: fn(&mut Extensions),
    /// It closes every connection after so many messages, without a word.
    pub tires_after: usize,
    /// How long it thinks about a message.
    pub thinks: Duration,
    pub tls: Handshake,
    pub eight_bit: bool,
    /// How many messages it takes and hangs up, before it answers one.
    pub hangs_up: usize,
    /// User and password.
    pub login: Option<(String, String)>,
}

/// What comes of STARTTLS.
#[derive(Clone)]
pub enum Handshake {
    /// It is not offered.
    None,
    /// It is offered, and fails.
    Broken,
    Works(Arc<rustls::ServerConfig>),
}

impl Script {
    pub fn new(judge: impl Fn(Asked<'_>) -> Result<(), Rejection> + Send + Sync + 'static) -> Self {
        Self {
            judge: Arc::new(judge),
            protocol: Protocol::Smtp,
            extend: |_| {},
            tires_after: usize::MAX,
            thinks: Duration::ZERO,
            tls: Handshake::None,
            eight_bit: true,
            hangs_up: 0,
            login: None,
        }
    }

    pub fn takes_all() -> Self {
        Self::new(|_| Ok(()))
    }
}

#[derive(Default)]
struct State {
    taken: Mutex<Vec<Taken>>,
    connections: Mutex<usize>,
    changed: Notify,
}

/// It stops with its last handle.
pub struct Sink {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Sink {
    pub async fn start(script: Script) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), script).await
    }

    pub async fn start_at(address: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State::default());
        let task = tokio::spawn({
            let state = state.clone();
            async move {
                loop {
                    let (tcp, _) = listener.accept().await.expect("it listens");
                    let number = {
                        let mut connections = state.connections.lock().expect("no panic");
                        *connections += 1;
                        *connections - 1
                    };
                    state.changed.notify_waiters();
                    let from = tcp.peer_addr().expect("it is connected").ip();
                    tokio::spawn(serve(script.clone(), state.clone(), tcp.into(), from, number));
                }
            }
        });
        Self { address, state, task }
    }

    /// At a Unix socket; it has no address.
    #[cfg(unix)]
    pub fn start_at_socket(path: &std::path::Path, script: Script) -> Self {
        let listener = tokio::net::UnixListener::bind(path).expect("a free path");
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let state = Arc::new(State::default());
        let task = tokio::spawn({
            let state = state.clone();
            async move {
                for number in 0.. {
                    let (unix, _) = listener.accept().await.expect("it listens");
                    *state.connections.lock().expect("no panic") += 1;
                    state.changed.notify_waiters();
                    let serving = serve(script.clone(), state.clone(), unix.into(), address.ip(), number);
                    tokio::spawn(serving);
                }
            }
        });
        Self { address, state, task }
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.state.taken.lock().expect("no panic").clone()
    }

    pub fn connections(&self) -> usize {
        *self.state.connections.lock().expect("no panic")
    }

    /// Waits until it has seen as many connections.
    pub async fn connected(&self, connections: usize) {
        self.wait(|| self.connections() >= connections).await;
    }

    /// Waits until it has as many messages.
    pub async fn messages(&self, count: usize) -> Vec<Taken> {
        self.wait(|| self.taken().len() >= count).await;
        let taken = self.taken();
        assert_eq!(taken.len(), count, "{taken:#?}");
        taken
    }

    async fn wait(&self, done: impl Fn() -> bool) {
        let waiting = async {
            loop {
                let changed = self.state.changed.notified();
                if done() {
                    return;
                }
                // A notice between the check and the wait is seen at the next look.
                let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .expect("it comes in time");
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(script: Script, state: Arc<State>, stream: Stream, from: IpAddr, number: usize) {
    let mut config = Config::new(script.protocol, Host::parse("sink.test").expect("a host"));
    config.extensions.starttls = !matches!(script.tls, Handshake::None);
    config.extensions.auth = script.login.is_some();
    config.mechanisms = vec![sasl::Mechanism::Plain];
    config.extensions.eight_bit_mime = script.eight_bit;
    (script.extend)(&mut config.extensions);
    let mut messages = 0;
    let now = tokio::time::Instant::now().into_std();
    let mut conn = Conn::new(Server::new(config, [7; 32], now), stream);
    let (mut mail, mut recipients, mut body) = (String::new(), Vec::new(), Vec::new());
    let (mut tls, mut user) = (false, None);
    while let Ok(turn) = conn.next().await {
        let event = match turn {
            Turn::Event(event) => event,
            Turn::StartTls => {
                let Handshake::Works(config) = script.tls.clone() else {
                    return;
                };
                let Ok(started) = conn.accept_tls(config).await else {
                    return;
                };
                conn = started;
                conn.machine().tls_started();
                tls = true;
                continue;
            }
            Turn::Answer => panic!("a question was forgotten"),
            Turn::Close => break,
        };
        let verdict = match &event {
            Event::Connect => (script.judge)(Asked::Connect(number)),
            Event::Rcpt(rcpt) => (script.judge)(Asked::Rcpt(&rcpt.path.to_string())),
            Event::Message { .. } => {
                tokio::time::sleep(script.thinks).await;
                (script.judge)(Asked::Message)
            }
            _ => Ok(()),
        };
        match event {
            Event::Body(data) => {
                body.extend_from_slice(&data);
                continue;
            }
            Event::Auth(question) => {
                let right = match (&*question, &script.login) {
                    (
                        sasl::Question::Password {
                            username, password, ..
                        },
                        Some((user, secret)),
                    ) => username == user && password.constant_time_eq(secret.as_bytes()),
                    _ => false,
                };
                conn.machine().answer_auth(if right {
                    sasl::Answer::Accept
                } else {
                    sasl::Answer::Deny
                });
                continue;
            }
            Event::Authenticated(identity) => {
                user = Some(identity.authcid);
                continue;
            }
            Event::Aborted(_) => continue,
            Event::Mail(from) => {
                mail = from.to_string();
                recipients.clear();
                body.clear();
            }
            Event::Rcpt(rcpt) if verdict.is_ok() => recipients.push(rcpt.to_string()),
            Event::Message { .. } if verdict.is_ok() => {
                let taken = Taken {
                    mail: mail.clone(),
                    recipients: std::mem::take(&mut recipients),
                    body: std::mem::take(&mut body),
                    tls,
                    user: user.clone(),
                    hello: conn
                        .machine()
                        .session()
                        .hello()
                        .map_or_else(String::new, |h| h.name().to_owned()),
                    from,
                };
                let count = {
                    let mut all = state.taken.lock().expect("no panic");
                    all.push(taken);
                    all.len()
                };
                state.changed.notify_waiters();
                if count <= script.hangs_up {
                    return;
                }
                messages += 1;
            }
            _ => {}
        }
        // LMTP wants an answer for each recipient.
        for _ in 0..conn.machine().owed().max(1) {
            match &verdict {
                Ok(()) => conn.machine().accept(),
                Err(rejection) => conn.machine().reject(rejection.clone()),
            }
        }
        if messages >= script.tires_after {
            let _ = tokio::time::timeout(Duration::from_millis(50), conn.next()).await;
            return;
        }
    }
    conn.close().await;
}
