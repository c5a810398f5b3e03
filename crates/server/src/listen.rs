//! Accepting connections, and handing each to the service of its listener.

use crate::Stream;
use crate::config::{ListenerConfig, Protocol, TlsMode};
use crate::gate::{Gate, Pass};
use crate::metrics::{Connected, Door, Success, Task, spawn};
use crate::shared::Shared;
use crate::shutdown::Shutdown;
use crate::sockets::{self, Sockets};
use mailwright_mailbox::Store;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
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
    config: ListenerConfig,
    socket: TcpListener,
    address: SocketAddr,
}

/// A listener that is open, from outside.
#[derive(Debug)]
pub(crate) struct Entrance<S> {
    /// The address it has.
    pub(crate) address: SocketAddr,
    config: Arc<ListenerConfig>,
    /// How those are served who come, as a reload leaves it; once there is nothing, nobody is taken any more.
    served: watch::Sender<Option<Served<S>>>,
}

/// How those are served who come: what the listener does, and the configuration that this is of.
type Served<S> = (Arc<ListenerConfig>, Arc<Shared<S>>);

impl<S> Entrance<S> {
    /// What it was told last.
    pub(crate) fn config(&self) -> &ListenerConfig {
        &self.config
    }

    /// Its name, and the address it has.
    pub(crate) fn address(&self) -> (String, SocketAddr) {
        (self.config.name.clone(), self.address)
    }

    /// Whether a listener of another configuration can have the socket.
    pub(crate) fn suits(&self, other: &ListenerConfig) -> bool {
        let same_port = other.address.port() != 0 || self.config.name == other.name;
        let same_kind = (self.config.protocol == Protocol::Metrics) == (other.protocol == Protocol::Metrics);
        self.config.address == other.address && same_port && same_kind
    }

    /// Serves those who come later as another configuration says.
    pub(crate) fn adjust(&mut self, config: ListenerConfig, shared: Arc<Shared<S>>) {
        self.config = Arc::new(config);
        self.served.send_replace(Some((self.config.clone(), shared)));
    }

    /// Takes nobody any more; those who are in stay.
    pub(crate) fn close(self) {
        tracing::info!(listener = self.config.name, address = %self.address, "listening no more");
        self.served.send_replace(None);
    }
}

impl Bound {
    /// Takes the address of a listener: the socket that was given for it, or one of its own.
    pub(crate) fn bind(config: ListenerConfig, sockets: &mut Sockets) -> io::Result<Self> {
        let socket = match sockets.take(&config.name, config.address) {
            Some(given) => TcpListener::from_std(given)?,
            None => sockets::bind(config.address, config.reuse_port)?,
        };
        let address = socket.local_addr()?;
        Ok(Self {
            config,
            socket,
            address,
        })
    }

    /// What it speaks.
    pub(crate) fn protocol(&self) -> Protocol {
        self.config.protocol
    }

    /// Opens the listener; it has to be run to take anybody.
    pub(crate) fn open<S: Store>(
        self,
        shared: Arc<Shared<S>>,
        gate: Gate,
    ) -> (Entrance<S>, impl Future<Output = ()> + Send) {
        let Self {
            config,
            socket,
            address,
        } = self;
        tracing::info!(listener = config.name, %address, protocol = %config.protocol, "listening");
        let config = Arc::new(config);
        let shutdown = shared.shutdown.clone();
        let served = watch::Sender::new(Some((config.clone(), shared)));
        let running = accept(socket, served.subscribe(), gate, shutdown);
        let entrance = Entrance {
            address,
            config,
            served,
        };
        (entrance, running)
    }
}

/// Accepts connections until the server stops, or the entrance is closed.
async fn accept<S: Store>(
    socket: TcpListener,
    mut served: watch::Receiver<Option<Served<S>>>,
    gate: Gate,
    shutdown: Shutdown,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = shutdown.begun() => return,
            () = closed(&mut served) => return,
        };
        let Some((config, shared)) = served.borrow().clone() else {
            return;
        };
        match accepted {
            // Behind a proxy all have its address, until it has told theirs.
            Ok((tcp, peer)) => match gate.enter((!config.smtp.proxy).then_some(peer.ip())) {
                Some(pass) => {
                    spawn(Task::Connection, connection(shared, tcp, peer, config, pass));
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

async fn closed<S>(served: &mut watch::Receiver<Option<Served<S>>>) {
    // That the other end is gone means the same.
    let _ = served.wait_for(Option::is_none).await;
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
