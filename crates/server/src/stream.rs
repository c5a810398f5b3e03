use crate::tls::Acceptor;
use mailwright_sasl::{ChannelBindings, tls_server_end_point};
use rustls::pki_types::{CertificateDer, ServerName};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

/// The transport of one connection: TCP, a Unix socket or a pipe in memory, in the clear or under TLS.
///
/// A stream starts in the clear ([`From`]) and changes to TLS at most once.
#[derive(Debug)]
pub struct Stream(Inner);

#[derive(Debug)]
enum Inner {
    Plain(Transport),
    // A TLS connection is a kilobyte of state; a stream in the clear shall not pay for it.
    Tls(Box<Protected>),
}

/// A transport under TLS.
#[derive(Debug)]
struct Protected {
    tls: TlsStream<Transport>,
    /// `tls-server-end-point` of the certificate that was shown, on the server's side.
    end_point: Option<Arc<[u8]>>,
}

#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Memory(DuplexStream),
}

impl Stream {
    /// Becomes the server side of a TLS connection.
    ///
    /// # Errors
    ///
    /// When the handshake fails, or is not over within `limit` ([`io::ErrorKind::TimedOut`]).
    pub async fn accept_tls(self, acceptor: impl Into<Acceptor>, limit: Duration) -> io::Result<Self> {
        let (acceptor, transport) = (acceptor.into(), self.into_plain()?);
        let accepting = Box::pin(acceptor.accept(transport));
        let accepted = timeout(limit, accepting).await.map_err(|_| timed_out())??;
        Ok(Self(Inner::Tls(Box::new(Protected {
            tls: TlsStream::Server(accepted.stream),
            end_point: accepted.end_point,
        }))))
    }

    /// Becomes the client side of a TLS connection with the server that is called `name`.
    ///
    /// # Errors
    ///
    /// When the handshake fails, or is not over within `limit` ([`io::ErrorKind::TimedOut`]).
    pub async fn connect_tls(
        self,
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
        limit: Duration,
    ) -> io::Result<Self> {
        let transport = self.into_plain()?;
        let connecting = Box::pin(TlsConnector::from(config).connect(name, transport));
        let tls = timeout(limit, connecting).await.map_err(|_| timed_out())??;
        Ok(Self(Inner::Tls(Box::new(Protected {
            tls: TlsStream::Client(tls),
            end_point: None,
        }))))
    }

    /// Whether TLS protects what is sent.
    pub fn is_tls(&self) -> bool {
        matches!(self.0, Inner::Tls(_))
    }

    /// What SASL can bind to; nothing in the clear. The hash of the server's certificate is known on the client's side,
    /// and on that of a server with certificates of [`Tls`](crate::tls::Tls).
    pub fn channel_bindings(&self) -> ChannelBindings {
        let mut bindings = ChannelBindings::none();
        let Inner::Tls(protected) = &self.0 else {
            return bindings;
        };
        let (_, state) = protected.tls.get_ref();
        // RFC 9266 §4.2: what TLS 1.2 exports is safe with an extension that cannot be asked for here.
        if state.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            let (label, context) = (b"EXPORTER-Channel-Binding", Some(&b""[..]));
            let exported = match &protected.tls {
                TlsStream::Client(tls) => tls.get_ref().1.export_keying_material([0; 32], label, context),
                TlsStream::Server(tls) => tls.get_ref().1.export_keying_material([0; 32], label, context),
            };
            if let Ok(exported) = exported {
                bindings = bindings.with_tls_exporter(&exported);
            }
        }
        let of_peer = match &protected.tls {
            TlsStream::Client(_) => state.peer_certificates().and_then(<[_]>::first),
            TlsStream::Server(_) => None,
        };
        let of_peer = of_peer.and_then(|certificate| tls_server_end_point(certificate));
        match protected.end_point.as_deref().or(of_peer.as_deref()) {
            Some(hash) => bindings.with_tls_server_end_point(hash),
            None => bindings,
        }
    }

    /// The certificate of the peer, if it has shown one that is trusted: on the server's side one of the configured
    /// authorities has vouched for it.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        let Inner::Tls(protected) = &self.0 else {
            return None;
        };
        protected.tls.get_ref().1.peer_certificates()?.first()
    }

    /// Protocol and cipher suite in the form of trace headers and logs, as `TLS1.3 TLS13_AES_256_GCM_SHA384`;
    /// `None` in the clear.
    pub fn tls_description(&self) -> Option<String> {
        let Inner::Tls(protected) = &self.0 else {
            return None;
        };
        let (_, state) = protected.tls.get_ref();
        let version = match state.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => "TLS1.2",
            rustls::ProtocolVersion::TLSv1_3 => "TLS1.3",
            _ => "TLS",
        };
        let suite = state.negotiated_cipher_suite()?.suite();
        Some(format!("{version} {}", suite.as_str().unwrap_or("unknown")))
    }

    /// Waits until a read would not block, where that can be told without room to read into.
    ///
    /// Lets an idle connection over plain TCP do without a buffer. `None`: only a read can tell.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        match &self.0 {
            Inner::Plain(Transport::Tcp(tcp)) => Some(tcp.poll_read_ready(cx)),
            #[cfg(unix)]
            Inner::Plain(Transport::Unix(unix)) => Some(unix.poll_read_ready(cx)),
            _ => None,
        }
    }

    /// Says goodbye (under TLS by a close_notify), stops sending, and takes what the peer still sends, until
    /// the peer is done, `limit` is over, or 256 KiB came.
    ///
    /// Without the last part the system answers unread input with a reset, which may overtake a farewell.
    pub(crate) async fn linger(&mut self, limit: Duration) {
        let closing = async {
            poll_fn(|cx| Pin::new(&mut *self).poll_shutdown(cx)).await?;
            let mut left: usize = 256 * 1024;
            while left > 0 {
                let n = poll_fn(|cx| {
                    let mut scrap = [0; 2048];
                    let mut buf = ReadBuf::new(&mut scrap);
                    ready!(Pin::new(&mut *self).poll_read(cx, &mut buf))?;
                    Poll::Ready(io::Result::Ok(buf.filled().len()))
                })
                .await?;
                if n == 0 {
                    break;
                }
                left = left.saturating_sub(n);
            }
            io::Result::Ok(())
        };
        // Whatever goes wrong here, the conversation is over.
        let _ = timeout(limit, closing).await;
    }

    fn into_plain(self) -> io::Result<Transport> {
        match self.0 {
            Inner::Plain(transport) => Ok(transport),
            Inner::Tls(_) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the stream is under TLS already",
            )),
        }
    }
}

impl From<TcpStream> for Stream {
    /// Takes over a TCP connection. Small replies leave at once: Nagle's algorithm is switched off.
    fn from(tcp: TcpStream) -> Self {
        // It fails only on a socket that is dead already; the first read or write tells.
        let _ = tcp.set_nodelay(true);
        Self(Inner::Plain(Transport::Tcp(tcp)))
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Self {
        Self(Inner::Plain(Transport::Unix(unix)))
    }
}

impl From<DuplexStream> for Stream {
    fn from(pipe: DuplexStream) -> Self {
        Self(Inner::Plain(Transport::Memory(pipe)))
    }
}

/// Passes a poll function on to whatever is inside.
macro_rules! inner {
    ($self:ident, $poll:ident($($arg:expr),*)) => {
        match &mut $self.get_mut().0 {
            Inner::Plain(stream) => Pin::new(stream).$poll($($arg),*),
            Inner::Tls(protected) => Pin::new(&mut protected.tls).$poll($($arg),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        inner!(self, poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        inner!(self, poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inner!(self, poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, poll_shutdown(cx))
    }
}

macro_rules! transport {
    ($self:ident, $poll:ident($($arg:expr),*)) => {
        match $self.get_mut() {
            Transport::Tcp(stream) => Pin::new(stream).$poll($($arg),*),
            #[cfg(unix)]
            Transport::Unix(stream) => Pin::new(stream).$poll($($arg),*),
            Transport::Memory(stream) => Pin::new(stream).$poll($($arg),*),
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        transport!(self, poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        transport!(self, poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        transport!(self, poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, poll_shutdown(cx))
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")
}
