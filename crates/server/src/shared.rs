//! What all connections of a server share.

use crate::accounts::Accounts;
use crate::aliases::Aliases;
use crate::config::Config;
use crate::dns::Dns;
use crate::domains::Domains;
use crate::journal::Journal;
use crate::judge::Judge;
use crate::maildrops::Maildrops;
use crate::metrics::{Metrics, QueueCensus, QueueState};
use crate::orders::Orders;
use crate::sessions::Sessions;
use crate::shutdown::Shutdown;
use crate::tls::Tls;
use crate::upkeep::Upkeep;
use crate::workers::Workers;
use mailwright_mailbox::{Batch, CommitError, Committed, Store};
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
    pub(crate) fn new(
        config: Config,
        accounts: Accounts,
        store: S,
        tls: Tls,
        orders: Orders,
        dns: Dns,
        judge: Judge,
    ) -> Self {
        Self {
            dns,
            judge,
            workers: Workers::new(config.limits.search_threads),
            sessions: Sessions::new(
                config.limits.sessions_per_account,
                config.limits.commands_per_account,
            ),
            config,
            accounts,
            domains: Arc::default(),
            aliases: Aliases::default(),
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
        let state = self.census.state(&self.store, crate::outbound::now()).await;
        state
            .inspect_err(|error| tracing::error!(%error, "the queue cannot be counted"))
            .ok()
    }
}
