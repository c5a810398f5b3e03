//! One session from its greeting to its end (RFC 1939 §3)

use super::backend::{Backend, Messages};
use super::surrogate;
use crate::Stream;
use crate::config::Protocol;
use crate::conn::{Conn, Turn};
use crate::metrics::{Login, Metrics, Success};
use crate::random::entropy;
use crate::shutdown::Shutdown;
use crate::tls::Acceptor;
use bytes::Bytes;
use mailwright_pop3::server::{Config, Event};
use mailwright_pop3::{Language, Maildrop, Rejection, Server};
use mailwright_sasl::{Answer, Failure, Identity, Mechanism, Question};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How a connection is served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Limits and choices of the engine; by default those of [`Config`], with UTF-8 mode, English and German. Whether
    /// STLS is offered follows from [`tls`](Options::tls), whatever stands here.
    pub engine: Config,
    /// The server's side of TLS, for STLS; none by default. A stream that is under TLS already needs none.
    pub tls: Option<Acceptor>,
    /// How long the client may take nothing of what is sent to it; five minutes by default.
    pub write_timeout: Duration,
    /// How many octets a second the client has to take of what is sent to it, on average once the write timeout has
    /// passed; 100 by default, 0 for no such limit.
    pub write_least_rate: u64,
    /// Tells that the server stops.
    pub shutdown: Shutdown,
    /// Where commands and logins are counted; nowhere by default.
    pub metrics: Option<Arc<Metrics>>,
}

impl Default for Options {
    fn default() -> Self {
        let mut engine = Config::default();
        engine.utf8 = true;
        engine.languages = vec![Language::ENGLISH, Language::GERMAN];
        Self {
            engine,
            tls: None,
            write_timeout: Conn::<Server>::WRITE_TIMEOUT,
            write_least_rate: 100,
            shutdown: Shutdown::new(),
            metrics: None,
        }
    }
}

/// Serves one connection until it ends.
///
/// A session holds one piece of a message, of at most 64 KiB, beside what the engine holds; the header of a message in
/// UTF-8 is held whole for a client that is not in UTF-8 mode, up to 256 KiB.
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
        shutdown,
        metrics,
    } = options;
    let stream = stream.into();
    engine.stls = tls.is_some();
    let now = tokio::time::Instant::now().into_std();
    let mut machine = Server::new(engine, entropy(), now);
    if stream.is_tls() {
        machine = machine.over_tls();
    }
    let mut conn = Conn::new(machine, stream);
    conn.set_write_timeout(write_timeout);
    conn.set_write_rate(write_least_rate);
    let mut session = Session {
        backend,
        peer,
        metrics,
        username: String::new(),
        certificate: None,
        messages: None,
        transfer: None,
    };
    session.protected(&mut conn);
    let mut stopping = false;
    loop {
        let turn = tokio::select! {
            turn = conn.next() => turn,
            () = shutdown.begun(), if !stopping => {
                stopping = true;
                conn.machine().shutdown();
                continue;
            }
            () = revoked(session.messages.as_ref()), if !stopping => {
                tracing::info!(%peer, "pop3: the account has changed: the session ends");
                stopping = true;
                conn.machine().shutdown();
                continue;
            }
        };
        match turn {
            // Boxed, so that a session that idles does not keep the room that its commands need.
            Ok(Turn::Event(event)) => Box::pin(session.event(conn.machine(), event)).await,
            // Every other question is answered where its event is handled.
            Ok(Turn::Answer) => Box::pin(session.give(conn.machine())).await,
            Ok(Turn::StartTls) => {
                let dropped = conn.machine().dropped_plaintext();
                if dropped > 0 {
                    tracing::warn!(%peer, octets = dropped, "pop3: dropped plaintext behind STLS");
                }
                let Some(tls) = tls.clone() else { break };
                let shaken = Box::pin(conn.accept_tls(tls)).await;
                if let Some(metrics) = &session.metrics {
                    metrics.handshakes.of(Success::of(&shaken)).count();
                }
                conn = match shaken {
                    Ok(conn) => conn,
                    Err(error) => return tracing::debug!(%peer, "pop3: no TLS: {error}"),
                };
                conn.machine().tls_started();
                session.protected(&mut conn);
            }
            Ok(Turn::Close) => break,
            Err(error) => break tracing::debug!(%peer, "pop3: {error}"),
        }
    }
    // The next session of this user need not wait for this client to take its farewell.
    drop(session);
    Box::pin(conn.close()).await;
}

/// Waits until the user of a session may not be there any more.
async fn revoked<M: Messages>(messages: Option<&M>) {
    match messages {
        Some(messages) => messages.revoked().await,
        None => std::future::pending().await,
    }
}

/// What is known of one connection.
struct Session<B: Backend> {
    backend: Arc<B>,
    peer: SocketAddr,
    metrics: Option<Arc<Metrics>>,
    /// The name that the client last tried to log in with.
    username: String,
    /// The certificate that the client has shown.
    certificate: Option<Vec<u8>>,
    /// There from login on.
    messages: Option<B::Messages>,
    transfer: Option<Transfer>,
}

/// A message on its way to the client.
struct Transfer {
    message: u32,
    at: u64,
    /// How much is read at a time, in octets.
    piece: u64,
    /// Whether the header may be UTF-8.
    utf8: bool,
}

impl Transfer {
    /// The next octets to give; none at the end.
    async fn next<M: Messages>(&mut self, messages: &mut M) -> Result<Bytes, Rejection> {
        match self.at == 0 && !self.utf8 {
            true => self.with_header(messages).await,
            false => self.read(messages).await,
        }
    }

    /// The header and what was read with it, in ASCII if it is UTF-8.
    async fn with_header<M: Messages>(&mut self, messages: &mut M) -> Result<Bytes, Rejection> {
        let mut start = self.read(messages).await?;
        loop {
            if let Some(end) = surrogate::header_end(&start) {
                let (header, body) = start.split_at(end);
                return Ok(match surrogate::surrogate(header) {
                    Some(header) => [&header[..], body].concat().into(),
                    None => start,
                });
            }
            if start.len() >= surrogate::MAX_HEADER {
                return Ok(start);
            }
            let more = self.read(messages).await?;
            if more.is_empty() {
                return Ok(start);
            }
            start = [start, more].concat().into();
        }
    }

    async fn read<M: Messages>(&mut self, messages: &mut M) -> Result<Bytes, Rejection> {
        let piece = messages.read(self.message, self.at..self.at + self.piece).await?;
        self.at += piece.len() as u64;
        Ok(piece)
    }
}

impl<B: Backend> Session<B> {
    /// Takes what TLS says of the client, and of the connection, if there is TLS.
    fn protected(&mut self, conn: &mut Conn<Server>) {
        if !conn.stream().is_tls() {
            return;
        }
        let bindings = conn.stream().channel_bindings();
        conn.machine().bind_channel(bindings);
        self.certificate = conn.stream().peer_certificate().map(|shown| shown.to_vec());
        if self.of_certificate(None).is_some() {
            conn.machine().offer(Mechanism::External);
        }
    }

    /// Whom the certificate of the client stands for.
    fn of_certificate(&self, authzid: Option<&str>) -> Option<String> {
        self.backend.of_certificate(self.certificate.as_deref()?, authzid)
    }

    /// Handles an event. A question is answered when it returns, but for a message, which is given piece by
    /// piece.
    async fn event(&mut self, machine: &mut Server, event: Event) {
        if let Some(metrics) = &self.metrics {
            metrics.commands.of(Protocol::Pop3).count();
        }
        match event {
            Event::Auth(question) => {
                question.username().clone_into(&mut self.username);
                machine.answer_auth(match &question {
                    Question::External { authzid } => match self.of_certificate(authzid.as_deref()) {
                        Some(name) => Answer::AcceptAs(name),
                        None => Answer::Deny,
                    },
                    _ => self.backend.authenticate(question, self.peer).await,
                });
            }
            Event::AuthFailed(failure) => {
                self.count_login(match failure {
                    Failure::Unavailable => Login::Throttled,
                    _ => Login::Failed,
                });
                tracing::info!(peer = %self.peer, user = ?self.username, "pop3: login refused: {failure}");
            }
            Event::Open(identity) => match self.open(&identity).await {
                Ok(maildrop) => {
                    self.count_login(Login::Ok);
                    machine.open(maildrop);
                }
                Err(rejection) => machine.reject(rejection),
            },
            Event::Retrieve {
                message,
                body_lines,
                utf8,
                ..
            } => {
                self.transfer = Some(Transfer {
                    message,
                    at: 0,
                    piece: match body_lines {
                        None => WHOLE_PIECE,
                        Some(_) => TOP_PIECE,
                    },
                    utf8,
                });
                self.give(machine).await;
            }
            Event::Update { deleted } => {
                let done = match &mut self.messages {
                    Some(messages) => messages.delete(&deleted).await,
                    None => Err(Rejection::UNAVAILABLE),
                };
                match done {
                    Ok(()) => machine.accept(),
                    Err(rejection) => machine.reject(rejection),
                }
            }
            _ => tracing::error!(peer = %self.peer, "pop3: an event of the client was not understood"),
        }
    }

    async fn open(&mut self, identity: &Identity) -> Result<Maildrop, Rejection> {
        let mut messages = self.backend.open(identity, self.peer).await?;
        let maildrop = messages.list().await?;
        self.messages = Some(messages);
        Ok(maildrop)
    }

    /// Gives the client the next piece of the message it asked for.
    async fn give(&mut self, machine: &mut Server) {
        let (Some(transfer), Some(messages)) = (&mut self.transfer, &mut self.messages) else {
            tracing::error!(peer = %self.peer, "pop3: a question of the client was left open");
            return machine.shutdown();
        };
        let is_start = transfer.at == 0;
        match transfer.next(messages).await {
            Ok(piece) => {
                if !piece.is_empty() && machine.message_chunk(piece) {
                    return;
                }
                machine.message_end();
            }
            Err(rejection) if is_start => machine.reject(rejection),
            Err(_) => {
                tracing::error!(peer = %self.peer, user = ?self.username, "pop3: a message breaks off");
                machine.message_abort();
            }
        }
        self.transfer = None;
    }

    fn count_login(&self, result: Login) {
        if let Some(metrics) = &self.metrics {
            metrics.login(Protocol::Pop3, result);
        }
    }
}

/// How much of a message is read at a time, in octets.
const WHOLE_PIECE: u64 = 64 * 1024;

/// The same for TOP, which is done after a header in most cases.
const TOP_PIECE: u64 = 8 * 1024;
