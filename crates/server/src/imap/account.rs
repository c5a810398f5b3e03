//! What a session holds of a store: an account, and what is shared with it

use super::backend::Failure;
use crate::accounts::Grant;
use crate::clock::unix_now;
use crate::sessions::Place;
use crate::shared::Shared;
use mailwright_imap::Rejection;
use mailwright_mailbox::{Account, Batch, MailboxId, Op, Outcome, Precondition, Rights, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The mailboxes of an account of a store, and those that are shared with it.
#[derive(Debug)]
pub struct StoreMailboxes<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) account: Account,
    pub(super) grant: Option<Grant>,
    /// The mailboxes of others that this session has come across, and whose they are.
    pub(super) of_others: Mutex<HashMap<MailboxId, Account>>,
    pub(super) place: Place,
}

impl<S: Store> StoreMailboxes<S> {
    pub(super) fn store(&self) -> &S {
        &self.shared.store
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Vec<Outcome>, Failure> {
        let growing: Vec<_> = batch
            .preconditions
            .iter()
            .filter_map(account_of)
            .cloned()
            .collect();
        let committed = self.shared.commit(batch).await?;
        for account in &growing {
            self.shared.quota_watch.has_grown(account);
        }
        Ok(committed.outcomes)
    }

    /// Commits one operation.
    pub(super) async fn change(&self, op: Op) -> Result<Outcome, Failure> {
        let mut outcomes = self.commit(Batch::new(unix_now()).with(op)).await?;
        outcomes.pop().ok_or_else(untold)
    }
}

/// Whose quota a precondition is about.
fn account_of(precondition: &Precondition) -> Option<&Account> {
    match precondition {
        Precondition::Quota { account, .. } => Some(account),
        _ => None,
    }
}

pub(super) fn permit(rights: Rights, needed: Rights) -> Result<(), Failure> {
    match rights.contains(needed) {
        true => Ok(()),
        false => Err(Failure::Refused(Rejection::NO_PERMISSION)),
    }
}

/// A store that does not keep to its contract.
pub(super) fn untold() -> Failure {
    Failure::Broken("the store did not tell what it has done".into())
}
