//! Accepting connections, and handing each to the service of its listener.

use crate::Stream;
use crate::config::{ListenerConfig, Protocol, TlsMode};
use crate::gate::{Gate, Pass};
use crate::metrics::{Connected, Door, Success, Task, spawn};
use crate::shared::Shared;
use mailwright_mailbox::Store;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tracing::Instrument as _;

/// How long a TLS handshake at the start of a connection may take.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Serves one connection until it ends. This is where a protocol plugs in.
///
/// The stream is under TLS already if the listener starts with it. The service ends by itself soon after
/// `shared.shutdown` has begun, having told its peer.
async fn serve<S: Store>(
    shared: Arc<Shared<S>>,
    stream: Stream,
    peer: SocketAddr,
    listener: Arc<ListenerConfig>,
    pass: &Pass,
    connected: &Connected,
) {
    // Boxed, so that no protocol pays for the largest one.
    match listener.protocol {
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => {
            Box::pin(crate::smtp::serve(
                shared, stream, peer, listener, pass, connected,
            ))
            .await;
        }
        Protocol::Imap => {
            let options = crate::imap::options(&shared, &listener, peer);
            Box::pin(crate::imap::serve(shared, stream, peer, options)).await;
        }
        Protocol::Pop3 => {
            let options = crate::pop3::options(&shared, &listener, peer);
            Box::pin(crate::pop3::serve(shared, stream, peer, options)).await;
        }
        Protocol::Http => Box::pin(crate::web::serve(shared, stream, peer)).await,
        Protocol::Metrics => Box::pin(crate::web::serve_monitor(shared, stream, peer)).await,
    }
}

/// A listener that has its socket.
#[derive(Debug)]
pub(crate) struct Bound {
    config: Arc<ListenerConfig>,
    socket: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes the address of a listener.
    pub(crate) async fn bind(config: ListenerConfig) -> io::Result<Self> {
        let socket = TcpListener::bind(config.address).await?;
        let address = socket.local_addr()?;
        Ok(Self {
            config: Arc::new(config),
            socket,
            address,
        })
    }

    /// Its name, and the address it has.
    pub(crate) fn address(&self) -> (String, SocketAddr) {
        (self.config.name.clone(), self.address)
    }

    /// What it speaks.
    pub(crate) fn protocol(&self) -> Protocol {
        self.config.protocol
    }

    /// Accepts connections until the server stops.
    pub(crate) async fn run<S: Store>(self, shared: Arc<Shared<S>>, gate: Gate) {
        let Self {
            config,
            socket,
            address,
        } = self;
        tracing::info!(listener = config.name, %address, protocol = %config.protocol, "listening");
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = shared.shutdown.begun() => return,
            };
            match accepted {
                // Behind a proxy all have its address, until it has told theirs.
                Ok((tcp, peer)) => match gate.enter((!config.smtp.proxy).then_some(peer.ip())) {
                    Some(pass) => {
                        let served = connection(shared.clone(), tcp, peer, config.clone(), pass);
                        spawn(Task::Connection, served);
                    }
                    None => {
                        tracing::warn!(listener = config.name, %peer, "refused: too many connections");
                        shared
                            .metrics
                            .turned_away
                            .of(config.protocol)
                            .of(Door::Full)
                            .count();
                        turn_away(&tcp, config.protocol, config.tls);
                    }
                },
                Err(error) => {
                    // Out of file descriptors, most likely. Trying at once would only burn time.
                    tracing::error!(listener = config.name, "cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// One connection from its first octet to its last.
async fn connection<S: Store>(
    shared: Arc<Shared<S>>,
    tcp: TcpStream,
    peer: SocketAddr,
    listener: Arc<ListenerConfig>,
    pass: Pass,
) {
    let over = shared.shutdown.clone();
    let connected = shared.metrics.connected(listener.protocol);
    let span = tracing::info_span!("connection", connection = connected.name);
    let work = async {
        let mut stream = Stream::from(tcp);
        // Behind a PROXY header, TLS has to wait for the engine to read it.
        if listener.tls == TlsMode::Implicit && !listener.smtp.proxy {
            let config = shared.tls.of_listener(&listener);
            // Boxed, so that the connection's task is not as large as a handshake for all its life.
            let handshake = Box::pin(stream.accept_tls(config, HANDSHAKE));
            let shaken = tokio::select! {
                shaken = handshake => shaken,
                () = shared.shutdown.begun() => return,
            };
            shared.metrics.handshakes.of(Success::of(&shaken)).count();
            stream = match shaken {
                Ok(stream) => stream,
                Err(error) => return tracing::debug!(listener = listener.name, %peer, "no TLS: {error}"),
            };
        }
        serve(shared, stream, peer, listener, &pass, &connected).await;
    };
    let work = work.instrument(span);
    tokio::select! {
        () = work => {}
        () = over.over() => {}
    }
    drop(pass);
}

/// Says in the words of the protocol why the connection ends at once, as far as that goes without waiting.
fn turn_away(tcp: &TcpStream, protocol: Protocol, tls: TlsMode) {
    if tls == TlsMode::Implicit {
        return;
    }
    let words: &[u8] = match protocol {
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => b"421 4.7.0 Too many connections\r\n",
        Protocol::Imap => b"* BYE [UNAVAILABLE] Too many connections\r\n",
        Protocol::Pop3 => b"-ERR [SYS/TEMP] Too many connections\r\n",
        Protocol::Http | Protocol::Metrics => {
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        }
    };
    let _ = tcp.try_write(words);
}
