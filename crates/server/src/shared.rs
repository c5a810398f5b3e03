//! What all connections of a server share.

use crate::accounts::Accounts;
use crate::config::Config;
use crate::pop3::Maildrops;
use crate::shutdown::Shutdown;
use crate::tls::Tls;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore};

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

/// The time in seconds since 1970-01-01 UTC.
pub fn unix_now() -> i64 {
    // A clock before 1970 is as good as one that stands there.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Fresh random octets of the operating system.
///
/// # Panics
///
/// Panics if the system has no randomness to give: nothing secret can be made then.
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the operating system gives random octets");
    octets
}
