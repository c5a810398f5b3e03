//! What all connections of a server share: what lasts as long as it does, and what a reload replaces.

use crate::accounts::Accounts;
use crate::aliases::Aliases;
use crate::config::{Config, ConfigError};
use crate::deltas::Deltas;
use crate::dns::Dns;
use crate::domains::Domains;
use crate::growing::QuotaWatch;
use crate::inboxes::Inboxes;
use crate::journal::Journal;
use crate::judge::Judge;
use crate::lists::Lists;
use crate::maildrops::Maildrops;
use crate::metrics::{Metrics, QueueCensus, QueueState};
use crate::orders::Orders;
use crate::reloads::Reloads;
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
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;
use tokio::sync::{Notify, watch};

pub use crate::clock::unix_now;
pub use crate::random::entropy;

/// What all connections and workers of a server share, as an `Arc<Shared<S>>`: the configuration and what is made from
/// it, and by [`Deref`] all that [lasts](Lasting).
///
/// A reload of the configuration makes another one, which connections see that come later. One that is open keeps what
/// it began with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Shared<S> {
    /// The configuration.
    pub config: Config,
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
    /// Certificates and trust.
    pub tls: Tls,
    /// The resolver.
    pub dns: Dns,
    /// What decides about mail that comes in.
    pub(crate) judge: Judge,
    lasting: Arc<Lasting<S>>,
}

/// What lasts as long as the server does, whatever its configuration becomes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lasting<S> {
    /// Who may log in.
    pub accounts: Accounts,
    /// Where mail for accounts goes that nothing else is said about.
    pub(crate) inboxes: Inboxes,
    /// Who tells senders that somebody is away.
    pub(crate) tellers: Tellers,
    /// Which accounts may have to be warned that they become full.
    pub(crate) quota_watch: QuotaWatch,
    /// Where mail is kept.
    pub store: S,
    /// The signal that the server stops.
    pub shutdown: Shutdown,
    /// Wakes the queue worker: something was put into the spool.
    pub spooled: Notify,
    /// The threads that search and sort mail.
    pub(crate) workers: Workers,
    /// The way of orders to the queue worker.
    pub orders: Orders,
    /// What sessions read of mailboxes that have changed.
    pub(crate) deltas: Deltas,
    /// How many IMAP sessions each account has.
    pub(crate) sessions: Sessions,
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
    /// Who is asked to read the configuration again.
    pub(crate) reloads: Reloads,
}

/// What a configuration is made into.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) names: Names,
    pub(crate) rules: Vec<Arc<dyn Rules>>,
    pub(crate) tls: Tls,
    pub(crate) dns: Dns,
    pub(crate) judge: Judge,
}

impl<S> Shared<S> {
    /// Joins the parts.
    pub(crate) fn new(config: Config, made: Made, lasting: Arc<Lasting<S>>) -> Self {
        let Made {
            names,
            rules,
            tls,
            dns,
            judge,
        } = made;
        Self {
            config,
            domains: names.aliases.domains().clone(),
            aliases: names.aliases,
            lists: names.lists,
            rewriter: names.rewriter,
            rules,
            tls,
            dns,
            judge,
            lasting,
        }
    }

    /// The same with another configuration, and what was made from it.
    pub(crate) fn reloaded(&self, config: Config, made: Made) -> Self {
        Self::new(config, made, self.lasting.clone())
    }

    /// Reads the files of names, secrets and certificates again that have changed.
    pub(crate) fn refresh(&self) {
        self.aliases.refresh();
        self.lists.refresh();
        self.rewriter.refresh();
        self.tls.refresh();
    }
}

impl<S> Deref for Shared<S> {
    type Target = Lasting<S>;

    fn deref(&self) -> &Lasting<S> {
        &self.lasting
    }
}

impl<S> Lasting<S> {
    /// Joins the parts.
    pub(crate) fn new(
        config: &Config,
        accounts: Accounts,
        store: S,
        orders: Orders,
        upkeep: Option<fn(&S) -> &dyn Upkeep>,
        metrics: Arc<Metrics>,
        reloads: Reloads,
    ) -> Self {
        Self {
            accounts,
            inboxes: Inboxes::default(),
            tellers: Tellers::default(),
            quota_watch: QuotaWatch::new(config.delivery.quota_warnings),
            store,
            shutdown: Shutdown::new(),
            spooled: Notify::new(),
            workers: Workers::new(config.limits.search_threads),
            orders,
            deltas: Deltas::default(),
            sessions: Sessions::new(
                config.limits.sessions_per_account,
                config.limits.commands_per_account,
            ),
            upkeep,
            maildrops: Maildrops::default(),
            journal: Journal::open(config, &metrics),
            metrics,
            census: QueueCensus::default(),
            reloads,
        }
    }
}

/// The [`Shared`] of this moment; clones see the same one.
#[derive(Debug)]
pub struct Live<S>(Arc<Generations<S>>);

#[derive(Debug)]
struct Generations<S> {
    current: watch::Sender<Arc<Shared<S>>>,
    /// Those that connections may still have.
    older: Mutex<Vec<Weak<Shared<S>>>>,
}

impl<S> Clone for Live<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Live<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Self(Arc::new(Generations {
            current: watch::Sender::new(shared),
            older: Mutex::default(),
        }))
    }

    /// What holds at this moment. Whoever does more than one thing takes it again for each.
    pub fn current(&self) -> Arc<Shared<S>> {
        self.0.current.borrow().clone()
    }

    pub(crate) fn replace(&self, shared: Arc<Shared<S>>) {
        let old = self.0.current.send_replace(shared);
        let mut older = self.0.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.retain(|one| one.strong_count() > 0);
        older.push(Arc::downgrade(&old));
    }

    /// Tells of each that takes the place of another.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Shared<S>>> {
        self.0.current.subscribe()
    }

    /// Those that anybody has, the current one first.
    pub(crate) fn in_use(&self) -> Vec<Arc<Shared<S>>> {
        let older = self.0.older.lock().unwrap_or_else(PoisonError::into_inner);
        let older: Vec<_> = older.iter().filter_map(Weak::upgrade).collect();
        [vec![self.current()], older].concat()
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
