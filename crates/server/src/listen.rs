//! Accepting connections, and handing each to the service of its listener.

use crate::Stream;
use crate::config::{ListenerConfig, Protocol, TlsMode};
use crate::shared::Shared;
use crate::shutdown::Shutdown;
use mailwright_mailbox::Store;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
) {
    // Boxed, so that no protocol pays for the largest one.
    match listener.protocol {
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => {
            Box::pin(crate::smtp::serve(shared, stream, peer, listener)).await;
        }
        Protocol::Imap => {
            let options = crate::imap::options(&shared, &listener, peer);
            Box::pin(crate::imap::serve(shared, stream, peer, options)).await;
        }
        Protocol::Pop3 => Box::pin(crate::pop3::serve(shared, stream, peer, listener)).await,
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
                Ok((tcp, peer)) => match gate.enter(peer.ip()) {
                    Some(pass) => {
                        tokio::spawn(connection(shared.clone(), tcp, peer, config.clone(), pass));
                    }
                    None => {
                        tracing::warn!(listener = config.name, %peer, "refused: too many connections");
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
            stream = match shaken {
                Ok(stream) => stream,
                Err(error) => return tracing::debug!(listener = listener.name, %peer, "no TLS: {error}"),
            };
        }
        serve(shared, stream, peer, listener).await;
    };
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
    };
    let _ = tcp.try_write(words);
}

/// Counts connections, all together and by address.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    all: Arc<Semaphore>,
    most: u32,
    of_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    most_of_address: u32,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
struct Pass {
    _place: OwnedSemaphorePermit,
    address: IpAddr,
    of_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Gate {
    pub(crate) fn new(most: u32, most_of_address: u32) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most as usize)),
            most,
            of_address: Arc::default(),
            most_of_address,
        }
    }

    fn enter(&self, address: IpAddr) -> Option<Pass> {
        let place = self.all.clone().try_acquire_owned().ok()?;
        let mut counts = self.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= self.most_of_address {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Pass {
            _place: place,
            address,
            of_address: self.of_address.clone(),
        })
    }

    /// Waits until all connections have ended; after `grace` they are ended.
    pub(crate) async fn wait_empty(&self, shutdown: &Shutdown, grace: Duration) {
        let empty = self.all.acquire_many(self.most);
        if tokio::time::timeout(grace, empty).await.is_err() {
            let left = self.most as usize - self.all.available_permits();
            tracing::warn!(connections = left, "some connections did not end by themselves");
            shutdown.end();
            let _ = self.all.acquire_many(self.most).await;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let gate = Gate::new(3, 2);
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([127, 0, 0, n]));
        let first = gate.enter(a);
        let second = gate.enter(a);
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(a).is_none(), "a third one of the same address");
        let third = gate.enter(b);
        assert!(third.is_some() && gate.enter(c).is_none(), "a fourth one of all");
        drop(first);
        assert!(gate.enter(a).is_some());
        drop((second, third));
        assert!(gate.of_address.lock().unwrap().is_empty());
    }
}
