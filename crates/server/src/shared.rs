//! What all connections of a server share.

use crate::accounts::Accounts;
use crate::aliases::Aliases;
use crate::config::{Config, ConfigError};
use crate::dns::Dns;
use crate::domains::Domains;
use crate::growing::QuotaWatch;
use crate::journal::Journal;
use crate::judge::Judge;
use crate::lists::Lists;
use crate::maildrops::Maildrops;
use crate::metrics::{Metrics, QueueCensus, QueueState};
use crate::orders::Orders;
use crate::rewriting::Rewriting;
use crate::rules::Rules;
use crate::sessions::Sessions;
use crate::shutdown::Shutdown;
use crate::tls::Tls;
use crate::turns::Tellers;
use crate::upkeep::Upkeep;
use crate::workers::Workers;
use mailwright_mailbox::{Batch, CommitError, Committed, Store};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

pub use crate::clock::unix_now;
pub use crate::random::entropy;

/// What all connections and workers of a server share, as an `Arc<Shared<S>>`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Shared<S> {
    /// The configuration.
    pub config: Config,
    /// Who may log in.
    pub accounts: Accounts,
    /// The domains whose mail ends here.
    pub domains: Arc<Domains>,
    /// Whom other addresses stand for.
    pub aliases: Aliases,
    /// What is sent on to many.
    pub(crate) lists: Lists,
    /// How the senders of forwarded mail are rewritten.
    pub(crate) rewriter: Rewriting,
    /// What becomes of messages that have come for an account.
    pub(crate) rules: Vec<Arc<dyn Rules>>,
    /// Who tells senders that somebody is away.
    pub(crate) tellers: Tellers,
    /// Which accounts may have to be warned that they become full.
    pub(crate) quota_watch: QuotaWatch,
    /// Where mail is kept.
    pub store: S,
    /// Certificates and trust.
    pub tls: Tls,
    /// The signal that the server stops.
    pub shutdown: Shutdown,
    /// Wakes the queue worker: something was put into the spool.
    pub spooled: Notify,
    /// The threads that search and sort mail.
    pub(crate) workers: Workers,
    /// The way of orders to the queue worker.
    pub orders: Orders,
    /// How many IMAP sessions each account has.
    pub(crate) sessions: Sessions,
    /// The resolver.
    pub dns: Dns,
    /// What decides about mail that comes in.
    pub(crate) judge: Judge,
    /// The store as one that can be looked after, if it is.
    pub(crate) upkeep: Option<fn(&S) -> &dyn Upkeep>,
    /// Which maildrops POP3 sessions have open.
    pub(crate) maildrops: Maildrops,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How much is in the queue.
    pub(crate) census: QueueCensus,
    /// What becomes of messages.
    pub(crate) journal: Journal,
}

impl<S> Shared<S> {
    /// Joins the parts.
    #[allow(clippy::too_many_arguments)] // each is a part of its own
    pub(crate) fn new(
        config: Config,
        accounts: Accounts,
        names: Names,
        store: S,
        tls: Tls,
        orders: Orders,
        dns: Dns,
        judge: Judge,
    ) -> Self {
        Self {
            dns,
            judge,
            quota_watch: QuotaWatch::new(config.delivery.quota_warnings),
            workers: Workers::new(config.limits.search_threads),
            sessions: Sessions::new(
                config.limits.sessions_per_account,
                config.limits.commands_per_account,
            ),
            config,
            accounts,
            domains: names.aliases.domains().clone(),
            aliases: names.aliases,
            lists: names.lists,
            rewriter: names.rewriter,
            rules: Vec::new(),
            tellers: Tellers::default(),
            store,
            tls,
            shutdown: Shutdown::new(),
            spooled: Notify::new(),
            orders,
            upkeep: None,
            maildrops: Maildrops::default(),
            metrics: Arc::default(),
            census: QueueCensus::default(),
            journal: Journal::default(),
        }
    }
}

impl<S: Store> Shared<S> {
    /// Commits a batch to the store, and counts that.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let began = Instant::now();
        let committed = self.store.commit(batch).await;
        // That somebody else was faster, or that there is no room, is no failure of the store.
        let is_broken = matches!(
            &committed,
            Err(CommitError::Io(_) | CommitError::Full | CommitError::Closed)
        );
        self.metrics.committed(began.elapsed(), !is_broken);
        committed
    }

    /// How much is in the queue; `None` if the store cannot tell.
    pub(crate) async fn queue_state(&self) -> Option<QueueState> {
        let state = self.census.state(&self.store, crate::clock::timestamp()).await;
        state
            .inspect_err(|error| tracing::error!(%error, "the queue cannot be counted"))
            .ok()
    }
}

/// What addresses stand for, beside accounts.
#[derive(Debug)]
pub(crate) struct Names {
    aliases: Aliases,
    lists: Lists,
    rewriter: Rewriting,
}

impl Names {
    /// Reads what a configuration has and names.
    pub(crate) fn load(config: &Config) -> Result<Self, NotLoaded> {
        let aliases = Aliases::load(config)?;
        Ok(Self {
            lists: Lists::load(config, aliases.domains().clone())?,
            aliases,
            rewriter: Rewriting::load(config)?,
        })
    }
}

/// Why files of names cannot be used.
#[derive(Debug)]
pub(crate) enum NotLoaded {
    Config(ConfigError),
    Secrets(io::Error),
}

impl From<ConfigError> for NotLoaded {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for NotLoaded {
    fn from(error: io::Error) -> Self {
        Self::Secrets(error)
    }
}
