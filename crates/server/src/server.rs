//! A whole server: from a configuration and a store to listeners, and back.

use crate::accounts::Accounts;
use crate::acme;
use crate::alarms;
use crate::config::{Config, ConfigError, Limits, ListenerConfig, MetricsConfig, Protocol};
#[cfg(unix)]
use crate::control;
use crate::delivery::{self, Rules};
use crate::dmarc_reports;
use crate::dns::Dns;
use crate::filter::{self, Alarm, BuiltIn};
use crate::gate::Gate;
use crate::judge::{Filter, Judge};
use crate::keys::UnusableKey;
use crate::listen::{Bound, Entrance};
use crate::metrics::Metrics;
use crate::outbound::{self, Orders};
use crate::parts::Parts;
use crate::quota_watch;
use crate::reloads::Reloads;
use crate::shared::{Lasting, Live, Made, Names, NotLoaded, Shared};
use crate::sockets::Sockets;
use crate::tls::{Tls, TlsError};
use crate::upkeep::Upkeep;
use mailwright_mailbox::{CommitError, Store};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::Id;

pub use crate::parts::PartEnded;

/// Makes servers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Server;

/// A server that has not started.
#[derive(Debug)]
pub struct Builder<S> {
    config: Config,
    store: S,
    filters: Vec<Arc<dyn Filter>>,
    rules: Vec<Arc<dyn Rules>>,
    upkeep: Option<fn(&S) -> &dyn Upkeep>,
    metrics: Arc<Metrics>,
    reloads: Reloads,
    sockets: Sockets,
}

/// A server that runs. Dropping it stops it at once; [`shutdown`](Running::shutdown) stops it in order.
#[derive(Debug)]
pub struct Running<S> {
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) live: Live<S>,
    addresses: Vec<(String, SocketAddr)>,
    pub(crate) entrances: Vec<(Entrance<S>, Id)>,
    of_acme: Option<(String, SocketAddr)>,
    /// What was handed over and is not in use.
    pub(crate) sockets: Sockets,
    pub(crate) built_in: BuiltIn,
    /// The way of what is told the postmaster.
    pub(crate) alarms: mpsc::Sender<Alarm>,
    pub(crate) brought: Brought,
    pub(crate) gate: Gate,
    pub(crate) listeners: Parts,
    workers: Parts,
}

/// What the maker of a server has brought along, which no configuration changes.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) filters: Vec<Arc<dyn Filter>>,
    pub(crate) rules: Vec<Arc<dyn Rules>>,
}

/// How often the files of aliases, domains, lists and secrets are looked at, and the accounts file for sessions that idle;
/// those that do something look
/// themselves.
const ACCOUNTS_CHECK: Duration = Duration::from_secs(1);

/// What the listener for the looks of an ACME server is called.
const ACME: &str = "acme";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The accounts file, or the file of aliases, domains or lists, is not understood.
    #[error(transparent)]
    Accounts(#[from] ConfigError),
    /// The secrets for rewritten senders cannot be read or made.
    #[error("SRS: {0}")]
    Srs(io::Error),
    /// A certificate cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// A key to sign with cannot be used.
    #[error("DKIM: {}: {error}", file.display())]
    Dkim {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: UnusableKey,
    },
    /// An address cannot be listened at.
    #[error("cannot listen at {address} ({name}): {error}{}", listen_help(.error))]
    Listen {
        /// The listener.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// What happened.
        error: io::Error,
    },
    /// A running server cannot take this up.
    #[error("{0} cannot change while the server runs\n  Stop the server, and start it again.")]
    NeedsRestart(&'static str),
    /// The store failed.
    #[error("the store: {0}")]
    Store(CommitError),
}

impl Server {
    /// Begins with a configuration.
    pub fn builder(config: Config) -> Builder<()> {
        Builder {
            config,
            store: (),
            filters: Vec::new(),
            rules: Vec::new(),
            upkeep: None,
            metrics: Arc::default(),
            reloads: Reloads::default(),
            sockets: Sockets::default(),
        }
    }
}

impl Builder<()> {
    /// Says where mail is kept.
    pub fn store<S: Store>(self, store: S) -> Builder<S> {
        Builder {
            config: self.config,
            store,
            filters: self.filters,
            rules: self.rules,
            upkeep: None,
            metrics: self.metrics,
            reloads: self.reloads,
            sockets: self.sockets,
        }
    }
}

impl From<NotLoaded> for StartError {
    fn from(why: NotLoaded) -> Self {
        match why {
            NotLoaded::Config(error) => error.into(),
            NotLoaded::Secrets(error) => Self::Srs(error),
        }
    }
}

impl<S> Builder<S> {
    /// Adds a filter, which judges mail after those that were added before.
    #[must_use]
    pub fn filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.filters.push(filter);
        self
    }

    /// Counts in these metrics, in place of some of its own.
    #[must_use]
    pub fn metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Listens with these sockets where they are meant for a listener.
    #[must_use]
    pub fn sockets(self, sockets: Sockets) -> Self {
        Self { sockets, ..self }
    }

    /// Asks by this way for the configuration to be read again when `mailwright reload` wants it.
    #[must_use]
    pub fn reloads(self, reloads: Reloads) -> Self {
        Self { reloads, ..self }
    }

    /// Adds rules, which say after those that were added before what becomes of messages for accounts here.
    #[must_use]
    pub fn rules(mut self, rules: Arc<dyn Rules>) -> Self {
        self.rules.push(rules);
        self
    }
}

impl<S: Store> Builder<S> {
    /// Lets the store be copied and checked through the control socket while the server runs.
    #[must_use]
    pub fn upkeep(self, upkeep: fn(&S) -> &dyn Upkeep) -> Self {
        Self {
            upkeep: Some(upkeep),
            ..self
        }
    }

    /// Starts the server: all addresses are listened at when it returns, and every account has its folders.
    ///
    /// # Errors
    ///
    /// When accounts, certificates, an address or the store cannot be used. Nothing runs then.
    pub async fn start(self) -> Result<Running<S>, StartError> {
        let Self {
            config,
            store,
            filters,
            rules,
            upkeep,
            metrics,
            reloads,
            mut sockets,
        } = self;
        let accounts = Accounts::load(&config)?;
        let names = Names::load(&config)?;
        let tls = Tls::load(&config)?;
        let dns = Dns::from_config(&config);
        let (alarms, heard) = mpsc::channel(alarms::MOST);
        let built_in = filter::from_config(&config, &dns, &alarms, None);
        let judges = [&built_in.all[..], &filters].concat();
        let judge = Judge::new(&config, dns.clone(), judges)
            .map_err(|(file, error)| StartError::Dkim { file, error })?;
        let mut bound = Vec::with_capacity(config.listeners.len());
        for listener in all_listeners(&config) {
            bound.extend(bind(listener, &mut sockets)?);
        }
        for (name, address) in sockets.left() {
            tracing::warn!(name, %address, "a socket was handed over that no listener has");
        }
        for account in accounts.all() {
            delivery::inbox(&store, &account, &config.delivery.folders)
                .await
                .map_err(StartError::Store)?;
        }
        let acme = match config.acme.as_ref().and_then(|acme| acme.address) {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|error| StartError::Listen {
                        name: ACME.into(),
                        address,
                        error,
                    })?,
            ),
            None => None,
        };
        let gate = Gate::new(&config.limits);
        let (orders, inbox) = Orders::new();
        let made = Made {
            names,
            rules: crate::rules::of_server(&config, rules.clone()),
            tls,
            dns,
            judge,
        };
        let lasting = Lasting::new(&config, accounts, store, orders, upkeep, metrics, reloads);
        let shared = Arc::new(Shared::new(config, made, Arc::new(lasting)));
        let live = Live::new(shared.clone());
        let (mut listeners, mut workers) = (Parts::default(), Parts::default());
        let mut entrances = Vec::with_capacity(bound.len());
        for listener in bound {
            entrances.push(open(listener, &mut listeners, &shared, &gate));
        }
        let mut of_acme = None;
        if let Some(socket) = acme {
            if let Ok(address) = socket.local_addr() {
                tracing::info!(listener = ACME, %address, "listening");
                of_acme = Some((ACME.into(), address));
            }
            listeners.spawn("the listener for ACME", acme::answer_at(live.clone(), socket));
        }
        listeners.spawn("the certificates from ACME", acme::run(live.clone()));
        #[cfg(unix)]
        if let Some(socket) = control::open(&shared.config).await {
            listeners.spawn("the control socket", control::serve(live.clone(), socket));
        }
        #[cfg(unix)]
        if let Some(socket) = control::local::open(&shared.config).await {
            listeners.spawn(
                "the socket for mail of users",
                control::local::serve(live.clone(), socket),
            );
        }
        listeners.spawn("the watch of accounts and aliases", watch_accounts(live.clone()));
        if shared.config.delivery.quota_warnings {
            workers.spawn("the watch of quotas", quota_watch::run(live.clone()));
        }
        if let Some(greylist) = built_in.greylist.clone() {
            workers.spawn("the greylist", greylist.keep(shared.shutdown.clone()));
        }
        if let Some(reports) = shared.judge.reports.clone() {
            workers.spawn("the DMARC reports", dmarc_reports::run(live.clone(), reports));
        }
        workers.spawn("the alarms", alarms::run(live.clone(), heard));
        workers.spawn("the queue worker", outbound::run(live.clone(), inbox));
        let mut running = Running {
            shared,
            live,
            addresses: Vec::new(),
            entrances,
            of_acme,
            sockets,
            built_in,
            alarms,
            brought: Brought { filters, rules },
            gate,
            listeners,
            workers,
        };
        running.note_addresses();
        Ok(running)
    }
}

impl<S: Store> Running<S> {
    /// The listeners by name, with the addresses they have.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// The address of a listener.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, address)| *address)
    }

    pub(crate) fn note_addresses(&mut self) {
        let open = self.entrances.iter().map(|(entrance, _)| entrance.address());
        self.addresses = open.chain(self.of_acme.clone()).collect();
    }

    /// What connections share that come at this moment.
    pub fn shared(&self) -> &Arc<Shared<S>> {
        &self.shared
    }

    /// Waits until a part of the server ends that should run for as long as it does: a listener, the control
    /// socket, the queue worker. A defect alone makes one end. The server takes connections in the parts that are
    /// left, and should be [shut down](Running::shutdown). Cancel-safe.
    pub async fn failed(&mut self) -> PartEnded {
        tokio::select! {
            ended = self.listeners.ended() => ended,
            ended = self.workers.ended() => ended,
        }
    }

    /// Stops in order: accepts nobody more, tells every client, and waits for what is in progress, no longer
    /// than [`Limits::shutdown_grace`](crate::config::Limits::shutdown_grace).
    pub async fn shutdown(mut self) {
        self.shared.shutdown.begin();
        self.listeners.all_ended().await;
        self.gate
            .wait_empty(&self.shared.shutdown, self.shared.config.limits.shutdown_grace)
            .await;
        // They keep to the same grace by themselves.
        self.workers.all_ended().await;
        self.shared.journal.sync().await;
    }
}

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.shared.shutdown.begin();
        self.shared.shutdown.end();
    }
}

/// Sees to it that sessions which idle hear of changes of their accounts.
async fn watch_accounts<S: Store>(live: Live<S>) {
    let shutdown = live.current().shutdown.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(ACCOUNTS_CHECK) => {
                live.current().accounts.refresh();
                live.in_use().iter().for_each(|shared| shared.refresh());
                keep_logins(&live.current(), false).await;
            }
            () = shutdown.begun() => return keep_logins(&live.current(), true).await,
        }
    }
}

async fn keep_logins<S: Store>(shared: &Arc<Shared<S>>, at_once: bool) {
    let shared = Arc::clone(shared);
    // If it panics there is nothing to keep.
    let _ = tokio::task::spawn_blocking(move || shared.accounts.keep_logins(at_once)).await;
}

/// Who watches a server opens a few connections.
fn monitor_limits() -> Limits {
    Limits {
        connections: 16,
        connections_per_address: 16,
        ..Limits::default()
    }
}

/// All that a configuration listens at.
pub(crate) fn all_listeners(config: &Config) -> Vec<ListenerConfig> {
    let watched = config.observing.metrics.as_ref().map(MetricsConfig::listener);
    config.listeners.iter().cloned().chain(watched).collect()
}

/// Takes the address of a listener; none if it may be missing, and another program has it.
pub(crate) fn bind(listener: ListenerConfig, sockets: &mut Sockets) -> Result<Option<Bound>, StartError> {
    let (name, address, optional) = (listener.name.clone(), listener.address, listener.optional);
    match Bound::bind(listener, sockets) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if optional && error.kind() == io::ErrorKind::AddrInUse => {
            tracing::warn!(listener = name, %address, "not listening: another program has this port");
            Ok(None)
        }
        Err(error) => Err(StartError::Listen { name, address, error }),
    }
}

/// Begins to take connections.
pub(crate) fn open<S: Store>(
    bound: Bound,
    parts: &mut Parts,
    shared: &Arc<Shared<S>>,
    gate: &Gate,
) -> (Entrance<S>, Id) {
    // A flood of mail shall not hide what it does.
    let gate = match bound.protocol() {
        Protocol::Metrics => Gate::new(&monitor_limits()),
        _ => gate.clone(),
    };
    let (entrance, running) = bound.open(shared.clone(), gate);
    let name = format!("the listener {}", entrance.config().name);
    (entrance, parts.spawn(name, running))
}

fn listen_help(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "\n  Another program has this port. Stop it, or choose other ports (`localserve --port-offset N`, or \
             `address` in the configuration)."
        }
        io::ErrorKind::PermissionDenied => {
            "\n  Ports below 1024 need a privilege: run as root, with CAP_NET_BIND_SERVICE, or choose other ports."
        }
        io::ErrorKind::AddrNotAvailable => "\n  This machine does not have this address: correct `address`.",
        _ => "",
    }
}
