//! The client: one connection, one request, one response.
//!
//! ```text
//!  Request ─▶ addresses (resolver) ─▶ TCP ─▶ TLS if https ─▶ hyper ─▶ status, headers, body ─▶ Response
//!             └────────────────────────── within Limits::timeout ─────────────────────────┘
//! ```
//!
//! Redirects are not followed and nothing is kept: what comes back is what the server said.

use super::feed::{Feed, Payload};
use crate::Stream;
use crate::dns::Dns;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use mailwright_dns::{Failure, Name, Question, RecordType};
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    dns: Dns,
    tls: Arc<rustls::ClientConfig>,
}

/// What one exchange may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long it may take as a whole. Default: 60 s.
    pub timeout: Duration,
    /// How large the body of the response may be, in octets, after transfer codings. Default: 64 KiB.
    pub max_body: usize,
}

impl Limits {
    /// So long, and so large.
    pub fn new(timeout: Duration, max_body: usize) -> Self {
        Self { timeout, max_body }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            max_body: 64 * 1024,
        }
    }
}

/// What to ask.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Request {
    /// A GET for a URL of scheme `http` or `https`.
    ///
    /// # Errors
    ///
    /// [`HttpError::Url`] if it is none, or names no host.
    pub fn get(url: &str) -> Result<Self, HttpError> {
        Self::new(Method::GET, url, Bytes::new())
    }

    /// A POST of `body` to a URL of scheme `http` or `https`.
    ///
    /// # Errors
    ///
    /// [`HttpError::Url`] if it is none, or names no host.
    pub fn post(url: &str, body: impl Into<Bytes>) -> Result<Self, HttpError> {
        Self::new(Method::POST, url, body.into())
    }

    /// The same request with one more header field.
    ///
    /// # Errors
    ///
    /// [`HttpError::Header`] if name or value cannot stand in a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, HttpError> {
        let name = HeaderName::try_from(name).map_err(|_| HttpError::Header)?;
        let value = HeaderValue::try_from(value).map_err(|_| HttpError::Header)?;
        self.headers.push((name, value));
        Ok(self)
    }

    /// A request of whatever method for a URL of scheme `http` or `https`.
    ///
    /// # Errors
    ///
    /// [`HttpError::Url`] if it is none, or names no host.
    pub(crate) fn new(method: Method, url: &str, body: Bytes) -> Result<Self, HttpError> {
        let url: Uri = url.parse().map_err(|_| HttpError::Url)?;
        let known = matches!(url.scheme_str(), Some("http" | "https"));
        // A user name in a URL is an old way to deceive people.
        let plain = url
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        if !known || !plain || url.host().is_none_or(str::is_empty) {
            return Err(HttpError::Url);
        }
        Ok(Self {
            method,
            url,
            headers: Vec::new(),
            body,
        })
    }

    fn is_https(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }

    /// The host without the brackets of an IPv6 address.
    fn host(&self) -> &str {
        let host = self.url.host().expect("checked when the request was made");
        host.trim_start_matches('[').trim_end_matches(']')
    }

    fn port(&self) -> u16 {
        self.url
            .port_u16()
            .unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    fn into_hyper(self, body: Payload) -> Result<hyper::Request<Payload>, HttpError> {
        let authority = self.url.authority().expect("checked when the request was made");
        let target = self.url.path_and_query().map_or("/", |target| target.as_str());
        let mut request = hyper::Request::builder()
            .method(self.method)
            .uri(target)
            .header(header::HOST, authority.as_str())
            .header(
                header::USER_AGENT,
                concat!("mailwright/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONNECTION, "close");
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(body).map_err(|_| HttpError::Header)
    }
}

/// What came back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// `Content-Type`, if it is there and visible ASCII.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
    pub(crate) headers: HeaderMap,
}

impl Response {
    /// The first header field of a name, if it is there and visible ASCII.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL is not one of `http` or `https` with a host and without a user.
    #[error("not a URL of http or https")]
    Url,
    /// A header field cannot be sent.
    #[error("a header field has characters that cannot be sent")]
    Header,
    /// The host could not be looked up.
    #[error("the host could not be looked up: {0}")]
    Lookup(Failure),
    /// The host has no address.
    #[error("the host has no address")]
    NoAddress,
    /// No address of the host could be connected to.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// TLS failed, or the certificate is not trusted.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// It took longer than [`Limits::timeout`].
    #[error("the time ran out")]
    Timeout,
    /// The body is larger than [`Limits::max_body`].
    #[error("the response is too large")]
    TooLarge,
    /// The server does not speak HTTP, or broke off.
    #[error("HTTP failed: {0}")]
    Protocol(Box<dyn std::error::Error + Send + Sync>),
}

impl Client {
    /// A client that finds hosts by `dns`, and trusts servers as `tls` says.
    pub fn new(dns: Dns, tls: Arc<rustls::ClientConfig>) -> Self {
        Self { dns, tls }
    }

    /// Sends a request, and reads the whole response.
    ///
    /// # Errors
    ///
    /// Whatever [`HttpError`] lists; a status that tells of an error is a response like any other.
    pub async fn send(&self, request: Request, limits: Limits) -> Result<Response, HttpError> {
        timeout(limits.timeout, self.exchange(request, limits.max_body))
            .await
            .unwrap_or(Err(HttpError::Timeout))
    }

    async fn exchange(&self, request: Request, max_body: usize) -> Result<Response, HttpError> {
        let stream = self.connect(&request).await?;
        let body = Payload::Whole(request.body.clone());
        converse(stream, request, body, max_body).await
    }

    async fn connect(&self, request: &Request) -> Result<Stream, HttpError> {
        let mut last = HttpError::NoAddress;
        for address in self.addresses(request.host()).await?.into_iter().take(ADDRESSES) {
            let address = SocketAddr::new(address, request.port());
            let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
            let stream = match connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(tcp) => Stream::from(tcp),
                Err(error) => {
                    last = HttpError::Connect(error);
                    continue;
                }
            };
            if !request.is_https() {
                return Ok(stream);
            }
            let name = ServerName::try_from(request.host().to_owned()).map_err(|_| HttpError::Url)?;
            match stream.connect_tls(self.tls.clone(), name, CONNECT_TIMEOUT).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = HttpError::Tls(error),
            }
        }
        Err(last)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, HttpError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let name = Name::parse(host).map_err(|_| HttpError::Url)?;
        let (a, aaaa) = tokio::join!(
            self.dns.resolve(Question::new(name.clone(), RecordType::A)),
            self.dns.resolve(Question::new(name, RecordType::Aaaa)),
        );
        let records = a.records().iter().chain(aaaa.records());
        let addresses: Vec<_> = records.filter_map(mailwright_dns::Record::address).collect();
        match a.failure().or(aaaa.failure()) {
            Some(failure) if addresses.is_empty() => Err(HttpError::Lookup(failure.clone())),
            _ => Ok(addresses),
        }
    }
}

/// Sends a request over a connection that is there, and reads the whole response. With a feed, its octets are the body in
/// place of the request's own.
///
/// # Errors
///
/// Whatever [`HttpError`] lists; a status that tells of an error is a response like any other.
pub async fn send_over(
    stream: Stream,
    request: Request,
    feed: Option<Feed>,
    limits: Limits,
) -> Result<Response, HttpError> {
    let body = match feed {
        Some(feed) => Payload::Fed(feed),
        None => Payload::Whole(request.body.clone()),
    };
    timeout(limits.timeout, converse(stream, request, body, limits.max_body))
        .await
        .unwrap_or(Err(HttpError::Timeout))
}

async fn converse(
    stream: Stream,
    request: Request,
    body: Payload,
    max_body: usize,
) -> Result<Response, HttpError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_OCTETS)
        .max_headers(HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| HttpError::Protocol(error.into()))?;
    let request = request.into_hyper(body)?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| HttpError::Protocol(error.into()))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, max_body).collect().await.map_err(|error| {
            match error.is::<LengthLimitError>() {
                true => HttpError::TooLarge,
                false => HttpError::Protocol(error),
            }
        })?;
        let content_type = head.headers.get(header::CONTENT_TYPE);
        Ok(Response {
            status: head.status.as_u16(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            body: body.to_bytes(),
            headers: head.headers,
        })
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        response = &mut exchange => response,
        // The connection may end before the response is taken up; its errors show there.
        _ = connection => exchange.await,
    }
}

/// A response's head of more octets, or with more fields, is not read.
const HEAD_OCTETS: usize = 16 * 1024;
const HEADERS: usize = 64;
/// How many addresses of a host are tried, and how long each may take.
const ADDRESSES: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
