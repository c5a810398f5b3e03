//! Which accounts keep more than before

use mailwright_mailbox::Account;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Which accounts are to be looked at.
#[derive(Debug)]
pub(crate) struct QuotaWatch {
    is_on: bool,
    grown: Mutex<HashSet<Account>>,
    pub(crate) news: Notify,
}

impl QuotaWatch {
    pub(crate) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            grown: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Has an account looked at soon.
    pub(crate) fn has_grown(&self, account: &Account) {
        if !self.is_on {
            return;
        }
        let mut grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        if !grown.contains(account) {
            grown.insert(account.clone());
            self.news.notify_one();
        }
    }

    /// The accounts that have grown since this was asked last.
    pub(crate) fn take(&self) -> HashSet<Account> {
        std::mem::take(&mut self.grown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
