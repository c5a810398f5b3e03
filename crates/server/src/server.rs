//! A whole server: from a configuration and a store to listeners, and back.

use crate::accounts::Accounts;
use crate::acme;
use crate::alarms;
use crate::config::{Config, ConfigError, Limits, MetricsConfig, Protocol};
#[cfg(unix)]
use crate::control;
use crate::delivery::{self, Rules};
use crate::dmarc_reports;
use crate::dns::Dns;
use crate::filter;
use crate::gate::Gate;
use crate::journal::Journal;
use crate::judge::{Filter, Judge};
use crate::keys::UnusableKey;
use crate::listen::Bound;
use crate::metrics::Metrics;
use crate::outbound::{self, Orders};
use crate::parts::Parts;
use crate::quota_watch;
use crate::shared::{Names, NotLoaded, Shared};
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
}

/// A server that runs. Dropping it stops it at once; [`shutdown`](Running::shutdown) stops it in order.
#[derive(Debug)]
pub struct Running<S> {
    shared: Arc<Shared<S>>,
    addresses: Vec<(String, SocketAddr)>,
    gate: Gate,
    listeners: Parts,
    workers: Parts,
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
        } = self;
        let accounts = Accounts::load(&config)?;
        let names = Names::load(&config)?;
        let tls = Tls::load(&config)?;
        let dns = Dns::from_config(&config);
        let (alarms, heard) = mpsc::channel(alarms::MOST);
        let (mut judges, greylist) = filter::from_config(&config, &dns, alarms);
        judges.extend(filters);
        let judge = Judge::new(&config, dns.clone(), judges)
            .map_err(|(file, error)| StartError::Dkim { file, error })?;
        let mut bound = Vec::with_capacity(config.listeners.len());
        let watched = config.observing.metrics.as_ref().map(MetricsConfig::listener);
        for listener in config.listeners.iter().chain(&watched) {
            let name = listener.name.clone();
            let address = listener.address;
            match Bound::bind(listener.clone()).await {
                Ok(socket) => bound.push(socket),
                Err(error) if listener.optional && error.kind() == io::ErrorKind::AddrInUse => {
                    tracing::warn!(listener = name, %address, "not listening: another program has this port");
                }
                Err(error) => return Err(StartError::Listen { name, address, error }),
            }
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
        let mut shared = Shared::new(config, accounts, names, store, tls, orders, dns, judge);
        shared.rules = crate::rules::of_server(&shared.config, rules);
        shared.upkeep = upkeep;
        shared.journal = Journal::open(&shared.config, &metrics);
        shared.metrics = metrics;
        let shared = Arc::new(shared);
        let mut addresses: Vec<_> = bound.iter().map(Bound::address).collect();
        let (mut listeners, mut workers) = (Parts::default(), Parts::default());
        for listener in bound {
            let name = format!("the listener {}", listener.address().0);
            // A flood of mail shall not hide what it does.
            let gate = match listener.protocol() {
                Protocol::Metrics => Gate::new(&monitor_limits()),
                _ => gate.clone(),
            };
            listeners.spawn(name, listener.run(shared.clone(), gate));
        }
        if let Some(socket) = acme {
            if let Ok(address) = socket.local_addr() {
                tracing::info!(listener = ACME, %address, "listening");
                addresses.push((ACME.into(), address));
            }
            listeners.spawn("the listener for ACME", acme::answer_at(shared.clone(), socket));
        }
        if shared.config.acme.is_some() {
            listeners.spawn("the certificates from ACME", acme::run(shared.clone()));
        }
        #[cfg(unix)]
        if let Some(socket) = control::open(&shared.config).await {
            listeners.spawn("the control socket", control::serve(shared.clone(), socket));
        }
        listeners.spawn(
            "the watch of accounts and aliases",
            watch_accounts(shared.clone()),
        );
        if shared.config.delivery.quota_warnings {
            workers.spawn("the watch of quotas", quota_watch::run(shared.clone()));
        }
        if let Some(greylist) = greylist {
            workers.spawn("the greylist", greylist.keep(shared.shutdown.clone()));
        }
        if shared.judge.reports.is_some() {
            let shared = shared.clone();
            workers.spawn("the DMARC reports", async move {
                if let Some(reports) = &shared.judge.reports {
                    dmarc_reports::run(shared.clone(), reports).await;
                }
            });
        }
        workers.spawn("the alarms", alarms::run(shared.clone(), heard));
        workers.spawn("the queue worker", outbound::run(shared.clone(), inbox));
        Ok(Running {
            shared,
            addresses,
            gate,
            listeners,
            workers,
        })
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

    /// What the connections share.
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
async fn watch_accounts<S: Store>(shared: Arc<Shared<S>>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ACCOUNTS_CHECK) => {
                shared.accounts.refresh();
                shared.aliases.refresh();
                shared.lists.refresh();
                shared.rewriter.refresh();
                keep_logins(&shared, false).await;
                shared.tls.refresh();
            }
            () = shared.shutdown.begun() => return keep_logins(&shared, true).await,
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
