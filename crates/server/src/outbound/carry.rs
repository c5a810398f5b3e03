//! One message to one host: connection, TLS, transaction, body (RFC 5321 §3, RFC 3207, RFC 7435)

use super::convert;
use super::outcome::Trouble;
use super::pool::{Line, Link, Pool};
use super::reports::Seen;
use super::trust::Trust;
use crate::config::{Protocol, SmartHost, Way};
use crate::conn::{Conn, ConnError, Turn};
use crate::random::entropy;
use crate::shared::Shared;
use crate::stream::Stream;
use bytes::Bytes;
use mailwright_address::Host;
use mailwright_mailbox::{BlobRef, Store};
use mailwright_mx::{Attempt as Hop, TlsPolicy, Via};
use mailwright_sasl::Credentials;
use mailwright_smtp::client::{self, Cause, Client, Config, Delivery, Event, Outcome, StartTls, Transaction};
use mailwright_smtp::{Error, Stage};
use mailwright_wire::{Machine, Step};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How a connection is protected. Whom it trusts is a matter of [`Trust`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// STARTTLS if it is offered.
    Offered,
    /// None.
    Clear,
    /// STARTTLS, which must be there.
    Required,
    /// TLS from the start.
    Implicit,
}

/// What became of a message at one host.
#[derive(Debug)]
pub(super) struct Carried {
    /// In the order of the recipients.
    pub(super) deliveries: Vec<Delivery>,
    /// What the host took over.
    pub(super) terms: Terms,
}

/// What a host took over of what a sender wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Terms {
    /// The DSN parameters.
    pub(super) dsn: bool,
    /// The time to arrive by, if there is one.
    pub(super) deliver_by: bool,
    /// The host puts messages into mailboxes, and hands none on.
    pub(super) is_last: bool,
}

/// What all attempts carry with.
#[derive(Debug, Clone)]
pub(super) struct Carrier<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) pool: Pool,
}

impl<S: Store> Carrier<S> {
    /// Sends a message to one host, in as many transactions and over as many connections as its limits demand
    /// (RFC 9422). `whole` is set from the moment on when the host may have all of it; `watch` is told what came of TLS
    /// on the first connection that is made.
    pub(super) async fn carry(
        &self,
        hop: &Hop,
        way: &Way,
        transaction: &Transaction,
        blob: &BlobRef,
        whole: &AtomicBool,
        watch: &(dyn Fn(Seen<'_>) + Sync),
    ) -> Result<Carried, Trouble> {
        let mut trip = Trip {
            carrier: self,
            line: Line::new(hop, way),
            hop,
            way,
            blob,
            whole,
            trust: Trust::new(&hop.tls, &self.shared.tls),
            secured: false,
            converted: None,
        };
        let mut course = Course::new(transaction, way.protocol == Protocol::Lmtp);
        while let Some(link) = self.pool.take(&trip.line).await {
            match trip.transact(link, true, &mut course).await {
                // It was closed while it waited, and nothing was said of the message.
                Err(Trouble::Lost(_)) if course.is_untouched() => {}
                // The host takes no more over this connection.
                Ok(()) if course.has_more() => break,
                Err(trouble) if course.is_untouched() => return Err(trouble),
                _ => return Ok(course.into_carried()),
            }
        }
        let mut protection = match &hop.tls {
            TlsPolicy::Cleartext => Protection::Clear,
            TlsPolicy::Implicit => Protection::Implicit,
            policy if policy.is_mandatory() => Protection::Required,
            _ => Protection::Offered,
        };
        let mut result = trip.go(protection, &mut course).await;
        watch(match &result {
            _ if trip.secured => Seen::Tls(&trip.trust),
            Err(trouble) => Seen::Trouble(trouble),
            Ok(()) => Seen::Clear,
        });
        // RFC 7435: whoever cannot do TLS after all is spoken to in the clear, as if it had not been offered.
        if let Err(trouble) = &result
            && protection == Protection::Offered
            && is_of_tls(trouble)
        {
            tracing::debug!(host = %hop.host, address = %hop.addr, ?trouble, "TLS failed; going on in the clear");
            protection = Protection::Clear;
            result = trip.go(protection, &mut course).await;
        }
        match result {
            // What became of some must not be forgotten for the sake of the others.
            Err(trouble) if course.is_untouched() => return Err(trouble),
            Err(_) => return Ok(course.into_carried()),
            Ok(()) => {}
        }
        while course.has_more() && trip.go(protection, &mut course).await.is_ok() {}
        Ok(course.into_carried())
    }
}

/// A transaction that a host may want in pieces.
struct Course<'a> {
    whole: &'a Transaction,
    /// The recipients of the transaction that is under way.
    under_way: Vec<usize>,
    deliveries: Vec<Option<Delivery>>,
    terms: Terms,
    /// The last transaction decided over somebody.
    progress: bool,
}

impl<'a> Course<'a> {
    fn new(whole: &'a Transaction, is_last: bool) -> Self {
        Self {
            whole,
            under_way: Vec::new(),
            deliveries: vec![None; whole.recipients.len()],
            terms: Terms {
                is_last,
                ..Terms::default()
            },
            progress: true,
        }
    }

    /// Whether nothing is known of anybody.
    fn is_untouched(&self) -> bool {
        self.deliveries.iter().all(Option::is_none)
    }

    /// The transaction for those who were not tried.
    fn next(&mut self) -> Transaction {
        let tried =
            |delivery: &Option<Delivery>| matches!(delivery, Some(d) if !matches!(d, Delivery::NotTried(_)));
        self.under_way = (0..self.deliveries.len())
            .filter(|i| !tried(&self.deliveries[*i]))
            .collect();
        let recipients = (self.under_way.iter())
            .map(|i| self.whole.recipients[*i].clone())
            .collect();
        let mut next = Transaction::new(self.whole.mail.clone(), recipients);
        next.convertible = self.whole.convertible;
        next.with_ascii(|address| address.to_ascii_domain().ok())
    }

    fn note(&mut self, outcome: Outcome) {
        self.terms.dsn = outcome.dsn;
        self.terms.deliver_by = outcome.deliver_by;
        self.progress = false;
        for (i, delivery) in self.under_way.drain(..).zip(outcome.deliveries) {
            self.progress |= !matches!(delivery, Delivery::NotTried(_));
            self.deliveries[i] = Some(delivery);
        }
    }

    /// Whether another transaction would bring the message to somebody.
    fn has_more(&self) -> bool {
        let left = |delivery: &Option<Delivery>| matches!(delivery, Some(Delivery::NotTried(_)));
        self.progress && self.deliveries.iter().any(left)
    }

    fn into_carried(self) -> Carried {
        Carried {
            deliveries: self.deliveries.into_iter().flatten().collect(),
            terms: self.terms,
        }
    }
}

fn is_of_tls(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Tls(_)
            | Trouble::Session(
                Error::Refused(Stage::StartTls, _)
                    | Error::Protocol(Stage::StartTls, _)
                    | Error::Timeout(Stage::StartTls)
                    | Error::Closed(Stage::StartTls)
            )
    )
}

async fn credentials(smart_host: &SmartHost) -> Result<Option<Credentials>, Trouble> {
    let Some(login) = &smart_host.login else {
        return Ok(None);
    };
    let file = tokio::fs::read_to_string(&login.password_file).await;
    let text = file.map_err(|error| {
        let path = login.password_file.display();
        tracing::error!(file = %path, %error, "the password for the smart host cannot be read");
        Trouble::Setup("the password for the smart host cannot be read".into())
    })?;
    let password = text.lines().next().unwrap_or_default();
    Ok(Some(Credentials::new(login.user.as_str(), password)))
}

struct Trip<'a, S> {
    carrier: &'a Carrier<S>,
    line: Line,
    hop: &'a Hop,
    way: &'a Way,
    blob: &'a BlobRef,
    whole: &'a AtomicBool,
    trust: Trust,
    /// Whether TLS was started.
    secured: bool,
    /// The message in 7 bits, once a host wanted that.
    converted: Option<Bytes>,
}

impl<S: Store> Trip<'_, S> {
    /// One connection, and all transactions that it takes.
    async fn go(&mut self, protection: Protection, course: &mut Course<'_>) -> Result<(), Trouble> {
        let conn = self.connect(protection).await?;
        self.transact(Link::new(conn), false, course).await
    }

    /// All transactions that a connection takes, which may have been used before.
    async fn transact(&mut self, mut link: Link, used: bool, course: &mut Course<'_>) -> Result<(), Trouble> {
        // What is sent next of the message, once it is wanted.
        let mut offset = None;
        // Whether this host wants the message in 7 bits.
        let mut lowered = false;
        if used {
            link.conn.machine().send(course.next());
        }
        loop {
            let turn = match link.conn.next().await {
                Ok(turn) => turn,
                Err(error) => {
                    let outcome = last_word(link.conn.machine());
                    link.conn.close().await;
                    return match outcome {
                        Some(outcome) if used && is_stale(&outcome) => Err(self.trouble(error)),
                        Some(outcome) => {
                            course.note(outcome);
                            Ok(())
                        }
                        None => Err(self.trouble(error)),
                    };
                }
            };
            match turn {
                Turn::StartTls => {
                    link.conn = link
                        .conn
                        .connect_tls(self.trust.config.clone(), self.server_name())
                        .await
                        .map_err(Trouble::Tls)?;
                    self.secured = true;
                    if let Some(error) = self.trust.complaint() {
                        let host = &self.hop.host;
                        tracing::info!(%host, %error, "the MTA-STS policy, which is in testing, is not met");
                    }
                    let bindings = link.conn.stream().channel_bindings();
                    link.conn.machine().bind_channel(bindings);
                    link.conn.machine().tls_started();
                }
                Turn::Event(Event::Ready) => link.conn.machine().send(course.next()),
                Turn::Event(Event::BodyWanted) => {
                    offset = Some(0);
                    self.feed(&mut link.conn, &mut offset, lowered).await?;
                }
                Turn::Event(Event::Convert(_)) => {
                    self.convert().await?;
                    lowered = self.converted.is_some();
                    match &self.converted {
                        Some(converted) => link.conn.machine().converted(Some(converted.len() as u64)),
                        None => link.conn.machine().not_converted(),
                    }
                }
                Turn::Answer if offset.is_some() => self.feed(&mut link.conn, &mut offset, lowered).await?,
                Turn::Event(Event::Finished(outcome)) => {
                    if used && is_stale(&outcome) {
                        link.leave();
                        let closed = std::io::ErrorKind::ConnectionAborted;
                        return Err(Trouble::Lost(closed.into()));
                    }
                    let (reusable, connection) = (outcome.is_reusable(), outcome.connection);
                    course.note(outcome);
                    (offset, lowered) = (None, false);
                    if reusable && course.has_more() {
                        link.conn.machine().send(course.next());
                        continue;
                    }
                    // The outcome does not wait for the goodbye.
                    match connection {
                        _ if reusable => {
                            let keep = self.carrier.shared.config.queue.keep_connections;
                            self.carrier.pool.put(self.line.clone(), link, keep);
                        }
                        client::Connection::Spent => link.quit(),
                        _ => link.leave(),
                    }
                    return Ok(());
                }
                Turn::Event(_) | Turn::Answer => {
                    return Err(Trouble::Setup("the client engine asked something unknown".into()));
                }
                Turn::Close => {
                    link.conn.close().await;
                    return Err(Trouble::Session(Error::Closed(Stage::Idle)));
                }
            }
        }
    }

    async fn connect(&mut self, protection: Protection) -> Result<Conn<Client>, Trouble> {
        let own = &self.carrier.shared.config;
        let name = self.way.ehlo.as_ref().unwrap_or(&own.hostname);
        let protocol = match self.way.protocol {
            Protocol::Lmtp => mailwright_smtp::Protocol::Lmtp,
            _ => mailwright_smtp::Protocol::Smtp,
        };
        let mut config = Config::new(protocol, Host::Domain(name.clone()));
        if let Some(smart_host) = &own.outbound.smart_host
            && self.hop.via == Via::SmartHost
        {
            config.credentials = credentials(smart_host).await?;
        }
        config.starttls = match protection {
            Protection::Offered => StartTls::IfOffered,
            Protection::Required => StartTls::Required,
            Protection::Clear | Protection::Implicit => StartTls::Never,
        };
        let connecting = timeout(CONNECT_TIMEOUT, dial(self.hop.addr, self.way));
        let mut stream = match connecting.await {
            Ok(connected) => connected.map_err(Trouble::Unreachable)?,
            Err(_) => return Err(Trouble::Unreachable(std::io::ErrorKind::TimedOut.into())),
        };
        let mut client = Client::new(Arc::new(config), entropy());
        if protection == Protection::Implicit {
            let limit = Conn::<Client>::TLS_TIMEOUT;
            stream = stream
                .connect_tls(self.trust.config.clone(), self.server_name(), limit)
                .await
                .map_err(Trouble::Tls)?;
            self.secured = true;
            client = client.over_tls();
            client.bind_channel(stream.channel_bindings());
        }
        Ok(Conn::new(client, stream))
    }

    /// Hands the next piece of the message to the engine.
    async fn feed(
        &self,
        conn: &mut Conn<Client>,
        offset: &mut Option<u64>,
        lowered: bool,
    ) -> Result<(), Trouble> {
        let from = offset.unwrap_or_default();
        if let Some(converted) = self.converted.as_ref().filter(|_| lowered && from == 0) {
            conn.machine().body(converted.clone());
            *offset = Some(self.blob.size().max(1));
            return Ok(());
        }
        if from >= self.blob.size() {
            self.whole.store(true, Ordering::Relaxed);
            *offset = None;
            conn.machine().body_end();
            return Ok(());
        }
        match self
            .carrier
            .shared
            .store
            .read_blob(self.blob, from..self.blob.size())
            .await
        {
            Ok(chunk) if !chunk.is_empty() => {
                *offset = Some(from + chunk.len() as u64);
                conn.machine().body(chunk);
                Ok(())
            }
            // Dropping the connection keeps the host from taking a part for the whole.
            Ok(_) => Err(too_short()),
            Err(error) => Err(Trouble::Store(error)),
        }
    }

    /// Makes the message one of 7 bits, if there is such a form of it.
    async fn convert(&mut self) -> Result<(), Trouble> {
        if self.converted.is_some() || self.blob.size() > convert::LONGEST {
            return Ok(());
        }
        let store = &self.carrier.shared.store;
        let mut message = Vec::new();
        while (message.len() as u64) < self.blob.size() {
            let range = message.len() as u64..self.blob.size();
            let chunk = store.read_blob(self.blob, range).await.map_err(Trouble::Store)?;
            if chunk.is_empty() {
                return Err(too_short());
            }
            message.extend_from_slice(&chunk);
        }
        let converting = tokio::task::spawn_blocking(move || convert::to_seven_bit(&message));
        // It ends early only with the runtime.
        self.converted = converting.await.unwrap_or_default();
        Ok(())
    }

    /// What the end of a connection means. The engine makes an outcome of all that happens within a transaction,
    /// but for the failures of the transport.
    fn trouble(&self, error: ConnError<Error>) -> Trouble {
        let error = match error {
            ConnError::Machine(error) => return Trouble::Session(error),
            ConnError::Io(error) => error,
            ConnError::Stalled => {
                std::io::Error::new(std::io::ErrorKind::TimedOut, "the host stopped reading")
            }
        };
        Trouble::Lost(error)
    }

    /// The name to ask for. A name that no certificate can hold is as good as none.
    fn server_name(&self) -> ServerName<'static> {
        let name = self.hop.server_name();
        let name = name.and_then(|name| ServerName::try_from(name.to_string()).ok());
        name.unwrap_or_else(|| ServerName::IpAddress(self.hop.addr.ip().into()))
    }
}

fn too_short() -> Trouble {
    let why = "a message is shorter than it should be".into();
    Trouble::Store(mailwright_mailbox::StoreError::Corrupt(why))
}

/// What an engine makes of a transaction whose transport has failed.
fn last_word(client: &mut Client) -> Option<Outcome> {
    client.received(0);
    // It may have had something else to say first.
    for _ in 0..4 {
        match client.poll(Instant::now()) {
            Ok(Step::Event(Event::Finished(outcome))) => return Some(outcome),
            Ok(Step::Event(_)) => {}
            _ => break,
        }
    }
    None
}

/// Whether a connection that had waited was closed before anything was said of the message.
fn is_stale(outcome: &Outcome) -> bool {
    outcome.deliveries.iter().all(|delivery| match delivery {
        Delivery::Failed(failure) => {
            let closing = failure.reply().is_some_and(|reply| reply.code() == 421);
            let lost = matches!(failure.cause, Cause::Connection(_)) || closing;
            lost && failure.stage != Stage::EndOfData
        }
        _ => false,
    })
}

/// Connects from the address that is set, if one is.
async fn dial(addr: SocketAddr, way: &Way) -> std::io::Result<Stream> {
    if let Some(path) = &way.socket {
        return dial_socket(path).await;
    }
    let Some(source) = way.source_for(addr) else {
        return Ok(TcpStream::connect(addr).await?.into());
    };
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket.connect(addr).await?.into())
}

#[cfg(unix)]
async fn dial_socket(path: &Path) -> std::io::Result<Stream> {
    Ok(tokio::net::UnixStream::connect(path).await?.into())
}

#[cfg(not(unix))]
async fn dial_socket(_: &Path) -> std::io::Result<Stream> {
    Err(std::io::ErrorKind::Unsupported.into())
}
