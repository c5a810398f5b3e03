//! A machine on a blocking socket: TCP or a Unix socket, and TLS on top of it.

use mailwright_wire::{Machine, Step};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What programs return.
pub type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A machine and its transport.
#[derive(Debug)]
pub struct Conn<M> {
    /// The machine, to answer its questions.
    pub machine: M,
    transport: Transport,
    /// What the socket was told last about how long a read may take.
    patience: Option<Duration>,
}

/// What a machine wants of its caller.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // the steps that are not about bytes
pub enum Turn<E> {
    /// The peer did something.
    Event(E),
    /// TLS is to be started: [`Conn::accept_tls`] or [`Conn::connect_tls`].
    StartTls,
    /// The session is over.
    Close,
}

#[derive(Debug)]
enum Transport {
    Plain(Socket),
    Server(Box<StreamOwned<ServerConnection, Socket>>),
    Client(Box<StreamOwned<ClientConnection, Socket>>),
}

/// A socket of either kind.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // there are two
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket, as LMTP often uses.
    Unix(UnixStream),
}

impl Socket {
    /// Connects to `HOST:PORT`, or to a Unix socket if `address` holds a slash.
    ///
    /// # Errors
    ///
    /// If nobody listens there; the error says where.
    pub fn connect(address: &str, limit: Duration) -> Fallible<Self> {
        let connected = if address.contains('/') {
            UnixStream::connect(address).map(Self::Unix)
        } else {
            TcpStream::connect(address).and_then(|tcp| {
                tcp.set_nodelay(true)?;
                Ok(Self::Tcp(tcp))
            })
        };
        let socket = connected.map_err(|e| format!("cannot connect to {address}: {e}"))?;
        socket.set_write_timeout(limit)?;
        Ok(socket)
    }

    fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        // Zero would mean for ever.
        let limit = Some(limit.max(Duration::from_millis(1)));
        match self {
            Self::Tcp(tcp) => tcp.set_read_timeout(limit),
            Self::Unix(unix) => unix.set_read_timeout(limit),
        }
    }

    fn set_write_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.set_write_timeout(Some(limit)),
            Self::Unix(unix) => unix.set_write_timeout(Some(limit)),
        }
    }
}

impl<M: Machine<Error: Error + Send + Sync + 'static>> Conn<M> {
    /// How often a deadline is looked at that is far away.
    const TICK: Duration = Duration::from_secs(10);

    /// Puts `machine` on `socket`.
    pub fn new(machine: M, socket: Socket) -> Self {
        Self {
            machine,
            transport: Transport::Plain(socket),
            patience: None,
        }
    }

    /// What the machine wants next. Reads and writes until it wants something.
    ///
    /// # Errors
    ///
    /// If the session fails, or the transport does.
    pub fn turn(&mut self) -> Fallible<Turn<M::Event>> {
        loop {
            let now = Instant::now();
            match self.machine.poll(now)? {
                Step::Event(event) => return Ok(Turn::Event(event)),
                Step::StartTls => return Ok(Turn::StartTls),
                Step::Close => return Ok(Turn::Close),
                Step::Answer => return Err("a question was left without an answer".into()),
                Step::Write => {
                    let n = self.transport.io().write(self.machine.send_buf())?;
                    self.machine.sent(n);
                }
                Step::Read => {
                    self.transport.io().flush()?;
                    self.wait(now)?;
                }
            }
        }
    }

    /// Writes what the machine has to send, without asking it for more: in the middle of an answer that is long.
    ///
    /// # Errors
    ///
    /// If the transport fails.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.machine.send_buf().is_empty() {
            let n = self.transport.io().write(self.machine.send_buf())?;
            self.machine.sent(n);
        }
        self.transport.io().flush()
    }

    fn wait(&mut self, now: Instant) -> io::Result<()> {
        let left = self
            .machine
            .deadline()
            .map(|at| at.saturating_duration_since(now));
        let patience = left.map_or(Self::TICK, |left| left.min(Self::TICK));
        if self.patience != Some(patience) {
            self.transport.socket().set_read_timeout(patience)?;
            self.patience = Some(patience);
        }
        match self.transport.io().read(self.machine.recv_buf()) {
            Ok(n) => self.machine.received(n),
            // The next poll sees whether the deadline is over.
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // TLS without its goodbye; SMTP has one of its own.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => self.machine.received(0),
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Becomes the server's side of TLS. Call the machine's `tls_started` then.
    ///
    /// # Errors
    ///
    /// If the handshake fails.
    pub fn accept_tls(&mut self, config: Arc<ServerConfig>) -> Fallible<()> {
        let tls = ServerConnection::new(config)?;
        self.upgrade(|socket| Transport::Server(Box::new(StreamOwned::new(tls, socket))))
    }

    /// Becomes the client's side of TLS. Call the machine's `tls_started` then.
    ///
    /// # Errors
    ///
    /// If the handshake fails, or the certificate is not one for `name` that `config` trusts.
    pub fn connect_tls(&mut self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Fallible<()> {
        let tls = ClientConnection::new(config, name)?;
        self.upgrade(|socket| Transport::Client(Box::new(StreamOwned::new(tls, socket))))
    }

    fn upgrade(&mut self, wrap: impl FnOnce(Socket) -> Transport) -> Fallible<()> {
        // A handshake takes some round trips; whoever lets one wait for longer has gone.
        let patience = Duration::from_secs(60);
        self.transport.socket().set_read_timeout(patience)?;
        self.patience = Some(patience);
        let socket = match &self.transport {
            Transport::Plain(Socket::Tcp(tcp)) => Socket::Tcp(tcp.try_clone()?),
            Transport::Plain(Socket::Unix(unix)) => Socket::Unix(unix.try_clone()?),
            Transport::Server(_) | Transport::Client(_) => return Err("TLS was started twice".into()),
        };
        self.transport = wrap(socket);
        let done = match &mut self.transport {
            Transport::Plain(_) => Ok((0, 0)),
            Transport::Server(tls) => tls.conn.complete_io(&mut tls.sock),
            Transport::Client(tls) => tls.conn.complete_io(&mut tls.sock),
        };
        done.map(drop).map_err(|e| format!("TLS: {e}").into())
    }
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

impl Transport {
    fn io(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Plain(socket) => socket,
            Self::Server(tls) => &mut **tls,
            Self::Client(tls) => &mut **tls,
        }
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Server(tls) => &tls.sock,
            Self::Client(tls) => &tls.sock,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(room),
            Self::Unix(unix) => unix.read(room),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(data),
            Self::Unix(unix) => unix.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a certificate for `localhost` and `name`, which nobody trusts. Returns it as PEM, too.
///
/// # Errors
///
/// If `name` cannot stand in a certificate.
pub fn self_made_certificate(name: &str) -> Fallible<(Arc<ServerConfig>, String)> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), name.to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    Ok((Arc::new(config), made.cert.pem()))
}

/// What a client trusts: the authorities that browsers trust, or those in a PEM file alone.
///
/// # Errors
///
/// If the file cannot be read, or holds no certificate.
pub fn client_tls(authorities: Option<&std::path::Path>) -> Fallible<Arc<ClientConfig>> {
    use rustls::pki_types::pem::PemObject;

    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let say = |e: &dyn fmt::Display| format!("{}: {e}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| say(&e))? {
                roots.add(certificate.map_err(|e| say(&e))?)?;
            }
            if roots.is_empty() {
                return Err(say(&"there is no certificate in it").into());
            }
        }
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
