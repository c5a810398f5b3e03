//! How much mail an account may keep, by whatever way it comes (RFC 9208, RFC 5321 §4.5.3.1.9)

use crate::config::{OverQuota, Quota};
use crate::shared::Shared;
use mailwright_mailbox::{Account, Batch, Precondition, Store, StoreError};
use mailwright_smtp::{EnhancedCode, Rejection};

/// How exactly a delivery keeps to quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// The message fits.
    ForAll,
    /// There was room before the message of so many octets came. For messages of which one recipient is full by the end
    /// of the data: in SMTP the others cannot have it without that one.
    Before(u64),
}

impl<S> Shared<S> {
    /// How much an account may keep.
    pub(crate) fn quota(&self, account: &Account) -> Quota {
        self.accounts.quota(account).unwrap_or(self.config.quota)
    }

    /// A batch that leaves an account within its quota.
    pub(crate) fn within_quota(&self, batch: Batch, account: &Account, room: Room) -> Batch {
        let quota = self.quota(account);
        if quota == Quota::default() {
            return batch;
        }
        let (octets, messages) = match room {
            Room::ForAll => (0, 0),
            Room::Before(octets) => (octets.saturating_sub(1), 0),
        };
        batch.only_if(Precondition::Quota {
            account: account.clone(),
            octets: quota.storage.map(|most| most.saturating_add(octets)),
            messages: quota.messages.map(|most| most.saturating_add(messages)),
        })
    }

    /// What a sender is told whose message has no room.
    pub(crate) fn over_quota(&self) -> Rejection {
        match self.config.limits.over_quota {
            OverQuota::Later => Rejection::OVER_QUOTA,
            OverQuota::Never => Rejection::new(552, EnhancedCode::new(5, 2, 2), "Mailbox is over its quota")
                .expect("552 and 5.2.2 belong together"),
        }
    }
}

impl<S: Store> Shared<S> {
    /// Whether one of these accounts has no room for a message of so many octets.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    pub(crate) async fn is_full(&self, accounts: &[Account], octets: u64) -> Result<bool, StoreError> {
        for account in accounts {
            let quota = self.quota(account);
            if quota == Quota::default() {
                continue;
            }
            let usage = self.store.usage(account).await?;
            let beyond = |used: u64, more: u64, most: Option<u64>| {
                most.is_some_and(|most| used.saturating_add(more) > most)
            };
            if beyond(usage.octets, octets.max(1), quota.storage) || beyond(usage.messages, 1, quota.messages)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
