//! What a login gives, and for how long.

use super::Accounts;
use crate::config::AccountEntry;
use crate::names;
use std::future::pending;
use std::sync::{Arc, PoisonError};

/// What a login gave: it stands for as long as the account is there, is not disabled, and its secrets are
/// the same.
#[derive(Debug, Clone)]
pub struct Grant {
    entry: Arc<AccountEntry>,
}

impl Grant {
    pub(super) fn new(entry: Arc<AccountEntry>) -> Self {
        Self { entry }
    }
}

impl Accounts {
    /// Whether a login still stands. It does not if any application password of the account was removed since.
    pub fn stands(&self, grant: &Grant) -> bool {
        let name = names::key(grant.entry.name.as_str());
        self.entry_of(&name).is_some_and(|entry| {
            let same = |of: fn(&AccountEntry) -> &Option<String>| of(&entry) == of(&grant.entry);
            let is_same_password = same(|entry| &entry.password) || self.is_rehashed(&grant.entry, &entry);
            let has_all = grant
                .entry
                .app_passwords
                .iter()
                .all(|one| entry.app_passwords.contains(one));
            is_same_password
                && entry.disabled.is_none()
                && same(|entry| &entry.scram)
                && has_all
                && entry.certificates == grant.entry.certificates
                && entry.password_logins == grant.entry.password_logins
        })
    }

    /// Waits until a login no longer stands; for ever without one. Looks at the accounts file when it is called, and
    /// whenever somebody else has found it changed. Cancel-safe.
    pub async fn revoked(&self, grant: Option<&Grant>) {
        let Some(grant) = grant else {
            return pending().await;
        };
        let mut changed = self.changed.subscribe();
        while self.stands(grant) {
            // The sender lives in `self`, so waiting cannot fail.
            let _ = changed.changed().await;
        }
    }

    /// Whether the hash of a password was replaced by a stronger one of the same password.
    fn is_rehashed(&self, before: &AccountEntry, entry: &AccountEntry) -> bool {
        let (Some(old), Some(fresh)) = (&before.password, &entry.password) else {
            return false;
        };
        let known = self.rehashed.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&(old.as_str().into(), fresh.as_str().into()))
    }

    /// Looks at the accounts file, and tells those who wait if it has changed.
    pub(crate) fn refresh(&self) {
        drop(self.current());
    }
}
