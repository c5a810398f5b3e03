//! What a login gives, and for how long.

use super::Accounts;
use crate::config::AccountEntry;
use crate::names;
use mailwright_sasl::Identity;
use std::future::pending;
use std::sync::Arc;

/// What a login gave: it stands for as long as the account is there and its secrets are the same.
#[derive(Debug, Clone)]
pub struct Grant {
    entry: Arc<AccountEntry>,
}

impl Accounts {
    /// What somebody has who has just logged in; nothing if the account went away meanwhile.
    pub fn grant(&self, identity: &Identity) -> Option<Grant> {
        self.entry(&identity.authcid).map(|entry| Grant { entry })
    }

    /// Whether a login still stands.
    pub fn stands(&self, grant: &Grant) -> bool {
        let name = names::key(grant.entry.name.as_str());
        self.entry_of(&name).is_some_and(|entry| {
            let same = |of: fn(&AccountEntry) -> &Option<String>| of(&entry) == of(&grant.entry);
            same(|entry| &entry.password) && same(|entry| &entry.scram)
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

    /// Looks at the accounts file, and tells those who wait if it has changed.
    pub(crate) fn refresh(&self) {
        drop(self.current());
    }
}
