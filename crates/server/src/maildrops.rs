//! The locks of maildrops (RFC 1939 §4).

use mailwright_mailbox::MailboxId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

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
    use std::time::Instant;

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
        let real = Instant::now();
        assert!(waiting.await.expect("the task ends"), "it was free in time");
        assert!(real.elapsed() < Maildrops::PATIENCE);
        assert!(maildrops.inner.open().is_empty());
    }
}
