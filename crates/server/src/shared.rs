//! What all connections of a server share.

use crate::accounts::Accounts;
use crate::config::Config;
use crate::maildrops::Maildrops;
use crate::shutdown::Shutdown;
use crate::tls::Tls;
use tokio::sync::{Notify, Semaphore};

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
    /// Where mail is kept.
    pub store: S,
    /// Certificates and trust.
    pub tls: Tls,
    /// The signal that the server stops.
    pub shutdown: Shutdown,
    /// Wakes the queue worker: something was put into the spool.
    pub spooled: Notify,
    /// Held by those who take much memory or time at once, such as a search in large messages.
    pub(crate) heavy: Semaphore,
    /// Which maildrops POP3 sessions have open.
    pub(crate) maildrops: Maildrops,
}

impl<S> Shared<S> {
    /// Joins the parts.
    pub(crate) fn new(config: Config, accounts: Accounts, store: S, tls: Tls) -> Self {
        Self {
            config,
            accounts,
            store,
            tls,
            shutdown: Shutdown::new(),
            spooled: Notify::new(),
            heavy: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            maildrops: Maildrops::default(),
        }
    }
}
