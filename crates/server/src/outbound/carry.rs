//! One message to one host: connection, TLS, transaction, body (RFC 5321 §3, RFC 3207, RFC 7435)

use super::outcome::Trouble;
use super::trust::Trust;
use crate::config::SmartHost;
use crate::conn::{Conn, ConnError, Turn};
use crate::random::entropy;
use crate::shared::Shared;
use crate::stream::Stream;
use mailwright_address::Host;
use mailwright_mailbox::{BlobRef, Store};
use mailwright_mx::{Attempt as Hop, TlsPolicy, Via};
use mailwright_sasl::Credentials;
use mailwright_smtp::client::{self, Client, Config, Delivery, Event, Outcome, StartTls, Transaction};
use mailwright_smtp::{Error, Protocol, Stage};
use mailwright_wire::{Machine, Step};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
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
    /// Whether the host took over the DSN parameters.
    pub(super) dsn: bool,
}

/// Sends a message to one host, in as many transactions and over as many connections as its limits demand
/// (RFC 9422). `whole` is set from the moment on when the host may have all of it.
pub(super) async fn carry<S: Store>(
    shared: &Shared<S>,
    hop: &Hop,
    transaction: &Transaction,
    blob: &BlobRef,
    whole: &AtomicBool,
) -> Result<Carried, Trouble> {
    let smart_host = shared.config.outbound.smart_host.as_ref();
    let smart_host = smart_host.filter(|_| hop.via == Via::SmartHost);
    let mut config = Config::new(Protocol::Smtp, Host::Domain(shared.config.hostname.clone()));
    if let Some(smart_host) = smart_host {
        config.credentials = credentials(smart_host).await?;
    }
    let mut protection = match &hop.tls {
        TlsPolicy::Cleartext => Protection::Clear,
        TlsPolicy::Implicit => Protection::Implicit,
        policy if policy.is_mandatory() => Protection::Required,
        _ => Protection::Offered,
    };
    let mut trip = Trip {
        shared,
        hop,
        blob,
        whole,
        config,
        trust: Trust::new(&hop.tls, &shared.tls),
    };
    let mut course = Course::new(transaction);
    let mut result = trip.go(protection, &mut course).await;
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
        Err(trouble) if course.deliveries.iter().all(Option::is_none) => return Err(trouble),
        Err(_) => return Ok(course.into_carried()),
        Ok(()) => {}
    }
    // The host takes no more over one connection.
    while course.has_more() && trip.go(protection, &mut course).await.is_ok() {}
    Ok(course.into_carried())
}

/// A transaction that a host may want in pieces.
struct Course<'a> {
    whole: &'a Transaction,
    /// The recipients of the transaction that is under way.
    under_way: Vec<usize>,
    deliveries: Vec<Option<Delivery>>,
    dsn: bool,
    /// The last transaction decided over somebody.
    progress: bool,
}

impl<'a> Course<'a> {
    fn new(whole: &'a Transaction) -> Self {
        Self {
            whole,
            under_way: Vec::new(),
            deliveries: vec![None; whole.recipients.len()],
            dsn: false,
            progress: true,
        }
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
        self.dsn = outcome.dsn;
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
            dsn: self.dsn,
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
    shared: &'a Shared<S>,
    hop: &'a Hop,
    blob: &'a BlobRef,
    whole: &'a AtomicBool,
    config: Config,
    trust: Trust,
}

impl<S: Store> Trip<'_, S> {
    /// One connection, and all transactions that it takes.
    async fn go(&mut self, protection: Protection, course: &mut Course<'_>) -> Result<(), Trouble> {
        let mut conn = self.connect(protection).await?;
        // What is sent next of the message, once it is wanted.
        let mut offset = None;
        loop {
            let turn = match conn.next().await {
                Ok(turn) => turn,
                Err(error) => {
                    let outcome = last_word(conn.machine());
                    conn.close().await;
                    return match outcome {
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
                    conn = conn
                        .connect_tls(self.trust.config.clone(), self.server_name())
                        .await
                        .map_err(Trouble::Tls)?;
                    if let Some(error) = self.trust.complaint() {
                        let host = &self.hop.host;
                        tracing::info!(%host, %error, "the MTA-STS policy, which is in testing, is not met");
                    }
                    let bindings = conn.stream().channel_bindings(None);
                    conn.machine().bind_channel(bindings);
                    conn.machine().tls_started();
                }
                Turn::Event(Event::Ready) => conn.machine().send(course.next()),
                Turn::Event(Event::BodyWanted) => {
                    offset = Some(0);
                    self.feed(&mut conn, &mut offset).await?;
                }
                Turn::Answer if offset.is_some() => self.feed(&mut conn, &mut offset).await?,
                Turn::Event(Event::Finished(outcome)) => {
                    let reusable = outcome.is_reusable();
                    let alive = reusable || outcome.connection == client::Connection::Spent;
                    course.note(outcome);
                    offset = None;
                    if reusable && course.has_more() {
                        conn.machine().send(course.next());
                        continue;
                    }
                    if alive {
                        conn.machine().quit();
                    }
                    // The outcome does not wait for the goodbye.
                    tokio::spawn(farewell(conn));
                    return Ok(());
                }
                Turn::Event(_) | Turn::Answer => {
                    return Err(Trouble::Setup("the client engine asked something unknown".into()));
                }
                Turn::Close => {
                    conn.close().await;
                    return Err(Trouble::Session(Error::Closed(Stage::Idle)));
                }
            }
        }
    }

    async fn connect(&mut self, protection: Protection) -> Result<Conn<Client>, Trouble> {
        self.config.starttls = match protection {
            Protection::Offered => StartTls::IfOffered,
            Protection::Required => StartTls::Required,
            Protection::Clear | Protection::Implicit => StartTls::Never,
        };
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.hop.addr));
        let tcp = match connecting.await {
            Ok(connected) => connected.map_err(Trouble::Unreachable)?,
            Err(_) => return Err(Trouble::Unreachable(std::io::ErrorKind::TimedOut.into())),
        };
        let mut stream = Stream::from(tcp);
        let mut client = Client::new(Arc::new(self.config.clone()), entropy());
        if protection == Protection::Implicit {
            let limit = Conn::<Client>::TLS_TIMEOUT;
            stream = stream
                .connect_tls(self.trust.config.clone(), self.server_name(), limit)
                .await
                .map_err(Trouble::Tls)?;
            client = client.over_tls();
            client.bind_channel(stream.channel_bindings(None));
        }
        Ok(Conn::new(client, stream))
    }

    /// Hands the next piece of the message to the engine.
    async fn feed(&self, conn: &mut Conn<Client>, offset: &mut Option<u64>) -> Result<(), Trouble> {
        let from = offset.unwrap_or_default();
        if from >= self.blob.size() {
            self.whole.store(true, Ordering::Relaxed);
            *offset = None;
            conn.machine().body_end();
            return Ok(());
        }
        match self
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
            Ok(_) => Err(Trouble::Store(mailwright_mailbox::StoreError::Corrupt(
                "a message is shorter than it should be".into(),
            ))),
            Err(error) => Err(Trouble::Store(error)),
        }
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

async fn farewell(mut conn: Conn<Client>) {
    let limit = client::Timeouts::default().quit;
    let _ = timeout(limit, conn.next()).await;
    conn.close().await;
}
