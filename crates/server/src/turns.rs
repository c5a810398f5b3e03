//! Turns: one at a time for each account

use mailwright_mailbox::Account;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use tokio::sync::{Mutex, MutexGuard};

/// Who is being told at this moment: of one account one sender after the other, so that no memory of one is lost.
#[derive(Debug)]
pub(crate) struct Tellers([Mutex<()>; 64]);

impl Default for Tellers {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Tellers {
    /// Waits for the turn of an account, which lasts until what is returned is dropped.
    pub(crate) async fn turn(&self, account: &Account) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(account);
        let at = usize::try_from(hash % self.0.len() as u64).unwrap_or(0);
        self.0[at].lock().await
    }
}
