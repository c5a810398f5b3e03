//! How many sessions an account has, and how many commands they work on at once.

use mailwright_mailbox::Account;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts the sessions of each account.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: u32,
    most_commands: usize,
    open: Arc<Mutex<HashMap<Account, Open>>>,
}

/// What is open of an account.
#[derive(Debug)]
struct Open {
    sessions: u32,
    commands: Arc<Semaphore>,
}

/// The place of one session; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    account: Account,
    commands: Arc<Semaphore>,
    open: Arc<Mutex<HashMap<Account, Open>>>,
}

impl Sessions {
    /// Permits an account so many sessions, which work on so many commands at once; at least one.
    pub(crate) fn new(most: u32, commands: usize) -> Self {
        Self {
            most,
            most_commands: commands.clamp(1, Semaphore::MAX_PERMITS),
            open: Arc::default(),
        }
    }

    /// A place for one more session; none if the account has too many.
    pub(crate) fn enter(&self, account: &Account) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = open.entry(account.clone()).or_insert_with(|| Open {
            sessions: 0,
            commands: Arc::new(Semaphore::new(self.most_commands)),
        });
        if of_account.sessions >= self.most {
            return None;
        }
        of_account.sessions += 1;
        Some(Place {
            account: account.clone(),
            commands: Arc::clone(&of_account.commands),
            open: self.open.clone(),
        })
    }
}

impl Place {
    /// Waits until the account works on fewer commands than it may.
    pub(crate) async fn command(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.commands).acquire_owned().await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_account) = open.get_mut(&self.account) {
            of_account.sessions -= 1;
            if of_account.sessions == 0 {
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
        let sessions = Sessions::new(2, 1);
        let [alice, bob] = ["alice@a.test", "bob@b.test"].map(Account::from);
        let (first, second) = (sessions.enter(&alice), sessions.enter(&alice));
        assert!(first.is_some() && second.is_some() && sessions.enter(&alice).is_none());
        assert!(sessions.enter(&bob).is_some());
        drop(first);
        assert!(sessions.enter(&alice).is_some());
        drop(second);
        assert!(sessions.open.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn commands_of_one_account_wait_for_each_other() {
        let sessions = Sessions::new(9, 2);
        let [alice, bob] = ["alice@a.test", "bob@b.test"].map(Account::from);
        let places: Vec<_> = (0..3).filter_map(|_| sessions.enter(&alice)).collect();
        let first = places[0].command().await;
        let _second = places[1].command().await;
        let mut third = std::pin::pin!(places[2].command());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        let other = sessions.enter(&bob).unwrap();
        assert!(other.command().await.is_some());
        drop(first);
        assert!(third.await.is_some());
    }
}
