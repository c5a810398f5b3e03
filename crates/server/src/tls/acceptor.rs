//! The server's side of a handshake: the certificate is chosen by what the client asks for (RFC 6066 §3, RFC 8737)

use super::certificates::Certificates;
use super::challenges::{ACME_TLS_1, Challenges};
use rustls::ServerConfig;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The server's side of TLS at a listener; cheap to clone.
///
/// Made by [`Tls`](super::Tls), or from a configuration of rustls, which holds for all clients then.
#[derive(Debug, Clone)]
pub struct Acceptor(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Fixed(Arc<ServerConfig>),
    Chosen {
        certificates: Arc<Certificates>,
        challenges: Challenges,
        /// Whether clients are asked for a certificate.
        asks: bool,
    },
}

/// A connection whose handshake is over.
pub(crate) struct Accepted<T> {
    pub(crate) stream: TlsStream<T>,
    /// `tls-server-end-point` of the certificate that was shown (RFC 5929 §4.1), as far as it is known.
    pub(crate) end_point: Option<Arc<[u8]>>,
}

impl Acceptor {
    pub(super) fn choosing(certificates: Arc<Certificates>, challenges: Challenges, asks: bool) -> Self {
        Self(Inner::Chosen {
            certificates,
            challenges,
            asks,
        })
    }

    /// Makes the handshake.
    pub(crate) async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        transport: T,
    ) -> io::Result<Accepted<T>> {
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), transport).await?;
        match &self.0 {
            Inner::Fixed(config) => Ok(Accepted {
                stream: hello.into_stream(config.clone()).await?,
                end_point: None,
            }),
            Inner::Chosen {
                certificates,
                challenges,
                asks,
            } => {
                let asked = hello.client_hello();
                let name = asked.server_name().map(str::to_owned);
                if asked
                    .alpn()
                    .is_some_and(|mut all| all.any(|one| one == ACME_TLS_1))
                {
                    let challenge = name.as_deref().and_then(|name| challenges.find(name));
                    let challenge = challenge
                        .ok_or_else(|| io::Error::other("no ACME challenge is open for this name"))?;
                    hello.into_stream(challenge).await?;
                    // RFC 8737 §3: nothing is said on such a connection.
                    return Err(io::Error::other(
                        "an ACME server has seen the answer to its challenge",
                    ));
                }
                let shown = certificates.choose(name.as_deref());
                let shown = shown.ok_or_else(|| io::Error::other("there is no certificate"))?;
                let config = shown.asking.as_ref().filter(|_| *asks).unwrap_or(&shown.plain);
                Ok(Accepted {
                    stream: hello.into_stream(config.clone()).await?,
                    end_point: shown.end_point.clone(),
                })
            }
        }
    }
}

impl From<Arc<ServerConfig>> for Acceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(Inner::Fixed(config))
    }
}
