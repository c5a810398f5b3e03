//! How many sessions an account has.

use mailwright_mailbox::Account;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the sessions of each account.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: u32,
    open: Arc<Mutex<HashMap<Account, u32>>>,
}

/// The place of one session; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    account: Account,
    open: Arc<Mutex<HashMap<Account, u32>>>,
}

impl Sessions {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// A place for one more session; none if the account has too many.
    pub(crate) fn enter(&self, account: &Account) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(account.clone()).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place {
            account: account.clone(),
            open: self.open.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_account_and_given_back() {
        let sessions = Sessions::new(2);
        let [alice, bob] = ["alice@a.test", "bob@b.test"].map(Account::from);
        let (first, second) = (sessions.enter(&alice), sessions.enter(&alice));
        assert!(first.is_some() && second.is_some() && sessions.enter(&alice).is_none());
        assert!(sessions.enter(&bob).is_some());
        drop(first);
        assert!(sessions.enter(&alice).is_some());
        drop(second);
        assert!(sessions.open.lock().unwrap().is_empty());
    }
}
