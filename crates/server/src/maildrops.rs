//! The locks of maildrops (RFC 1939 §4), and the pace of logins (RFC 2449 §6.5).

use mailwright_mailbox::MailboxId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Which maildrops are open: each by one session at a time (RFC 1939 §4).
///
/// The lock is between POP3 sessions of this server. IMAP sessions and deliveries go on beside them: the
/// snapshot of a session does not change, and its commit names the messages that it removes.
#[derive(Debug, Default)]
pub(crate) struct Maildrops {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: Mutex<HashSet<MailboxId>>,
    released: Notify,
    /// When each maildrop was opened last, as far back as it matters.
    logins: Mutex<HashMap<MailboxId, Instant>>,
}

/// One open maildrop; released when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    maildrop: MailboxId,
    inner: Arc<Inner>,
}

impl Maildrops {
    /// How long to wait for a session that may be about to end: a client that connects again at once often
    /// comes before its last connection is seen to be gone.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Opens a maildrop for one session; `None` if another one has it and keeps it.
    pub(crate) async fn lock(&self, maildrop: MailboxId) -> Option<Lock> {
        let attempt = async {
            loop {
                // Before the attempt, so that no release in between is missed.
                let released = self.inner.released.notified();
                if let Some(lock) = self.try_lock(maildrop) {
                    return lock;
                }
                released.await;
            }
        };
        tokio::time::timeout(Self::PATIENCE, attempt).await.ok()
    }

    /// How long it is until a maildrop may be opened again, if it may not at once.
    pub(crate) fn wait_for_login(&self, maildrop: MailboxId, delay: Duration) -> Option<Duration> {
        let last = *self.inner.logins().get(&maildrop)?;
        delay.checked_sub(last.elapsed()).filter(|left| !left.is_zero())
    }

    /// Notes that a maildrop was opened.
    pub(crate) fn logged_in(&self, maildrop: MailboxId, delay: Duration) {
        let mut logins = self.inner.logins();
        logins.retain(|_, last| last.elapsed() < delay);
        if !delay.is_zero() {
            logins.insert(maildrop, Instant::now());
        }
    }

    fn try_lock(&self, maildrop: MailboxId) -> Option<Lock> {
        self.inner.open().insert(maildrop).then(|| Lock {
            maildrop,
            inner: self.inner.clone(),
        })
    }
}

impl Inner {
    fn open(&self) -> std::sync::MutexGuard<'_, HashSet<MailboxId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn logins(&self) -> std::sync::MutexGuard<'_, HashMap<MailboxId, Instant>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.inner.open().remove(&self.maildrop);
        self.inner.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn logins_keep_their_distance() {
        let maildrops = Maildrops::default();
        let (bob, carol) = (MailboxId::new(1), MailboxId::new(2));
        let delay = Duration::from_secs(60);
        assert_eq!(maildrops.wait_for_login(bob, delay), None);
        maildrops.logged_in(bob, delay);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(
            maildrops.wait_for_login(bob, delay),
            Some(Duration::from_secs(40))
        );
        assert_eq!(maildrops.wait_for_login(carol, delay), None);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(maildrops.wait_for_login(bob, delay), None);
        maildrops.logged_in(carol, delay);
        assert_eq!(maildrops.inner.logins().len(), 1, "what is over is forgotten");
        maildrops.logged_in(carol, Duration::ZERO);
        assert!(maildrops.inner.logins().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_session_has_it_and_the_next_one_waits_a_moment() {
        let maildrops = Arc::new(Maildrops::default());
        let (bob, carol) = (MailboxId::new(1), MailboxId::new(2));
        let first = maildrops.lock(bob).await.expect("nobody has it");
        assert!(maildrops.lock(carol).await.is_some());
        assert!(maildrops.lock(bob).await.is_none(), "two sessions at once");

        let waiting = tokio::spawn({
            let maildrops = maildrops.clone();
            async move { maildrops.lock(bob).await.is_some() }
        });
        tokio::time::sleep(Maildrops::PATIENCE / 2).await;
        drop(first);
        let real = std::time::Instant::now();
        assert!(waiting.await.expect("the task ends"), "it was free in time");
        assert!(real.elapsed() < Maildrops::PATIENCE);
        assert!(maildrops.inner.open().is_empty());
    }
}
