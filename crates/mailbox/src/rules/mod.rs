//! What the operations of a batch mean, whatever keeps the mail
//!
//! A store brings the steps: how it finds a mailbox, adds a message, forgets a record. In which order things are
//! checked, which steps make up an operation and what comes of it stands here, once for all stores.
//!
//! ```text
//!  Batch ─▶ apply ─┬─ preconditions ──▶ Steps         usage, head
//!                  ├─ mailboxes ──────▶ MailboxSteps  find, add_mailbox, rename_mailboxes, ...
//!                  ├─ messages ───────▶ MessageSteps  select, add_message, set_flags, ...
//!                  ├─ annotations ────▶ AnnotationSteps  set_annotation, set_rights, ...
//!                  └─ spool ──────────▶ SpoolSteps    spool_put, spool_remove
//! ```

mod annotations;
mod mailboxes;
mod messages;
mod steps;

pub use annotations::AnnotationSteps;
pub use mailboxes::{MailboxSteps, Renamed};
pub use messages::{MessageSteps, Place, StoredMessage};
pub use steps::{Head, Steps};

use bytes::Bytes;

use self::steps::check_blob;
use crate::{Account, Batch, BlobRef, CommitError, Op, Outcome, Precondition, SpoolKey, Usage};

/// Applies a batch by the steps of a store: its preconditions, its operations in their order, its quotas.
///
/// # Errors
/// What the batch breaks, or what a step failed with. The caller undoes what was done until then.
pub fn apply<T>(store: &mut T, batch: &Batch) -> Result<Vec<Outcome>, T::Error>
where
    T: MailboxSteps + MessageSteps + AnnotationSteps + SpoolSteps,
{
    let quotas = check(store, &batch.preconditions)?;
    let mut outcomes = Vec::with_capacity(batch.ops.len());
    for (position, op) in batch.ops.iter().enumerate() {
        store.enter(position);
        outcomes.push(operation(store, op)?);
    }
    for quota in quotas {
        let after = store.usage(quota.account)?;
        if quota.is_exceeded(after) {
            let account = quota.account.clone();
            return Err(CommitError::OverQuota { account }.into());
        }
    }
    Ok(outcomes)
}

/// How a store keeps records that mean nothing to it.
pub trait SpoolSteps: Steps {
    /// Keeps a record, under a fresh key or in place of the one that has this key; `None` if there is none to
    /// replace. The blob, if there is one, is there.
    ///
    /// # Errors
    /// When the store has trouble.
    fn spool_put(
        &mut self,
        key: Option<SpoolKey>,
        record: &Bytes,
        blob: Option<&BlobRef>,
    ) -> Result<Option<SpoolKey>, Self::Error>;

    /// Removes a record; says whether it was there.
    ///
    /// # Errors
    /// When the store has trouble.
    fn spool_remove(&mut self, key: SpoolKey) -> Result<bool, Self::Error>;
}

fn operation<T>(store: &mut T, op: &Op) -> Result<Outcome, T::Error>
where
    T: MailboxSteps + MessageSteps + AnnotationSteps + SpoolSteps,
{
    match op {
        Op::CreateMailbox {
            account,
            name,
            special_use,
        } => {
            let (mailbox, uid_validity) = mailboxes::create(store, account, name, *special_use)?;
            Ok(Outcome::Created {
                mailbox,
                uid_validity,
            })
        }
        Op::RenameMailbox { account, from, to } => {
            let mailbox = if from.is_inbox() {
                Some(mailboxes::rename_inbox(store, account, to)?)
            } else {
                mailboxes::rename(store, account, from, to)?
            };
            Ok(Outcome::Renamed { mailbox })
        }
        Op::DeleteMailbox { account, name } => {
            let mailbox = mailboxes::delete(store, account, name)?;
            Ok(Outcome::Deleted { mailbox })
        }
        Op::Subscribe { account, name, on } => {
            mailboxes::subscribe(store, account, name, *on)?;
            Ok(Outcome::Subscribed)
        }
        Op::AdoptUids {
            mailbox,
            uid_validity,
            uid_next,
        } => mailboxes::adopt_uids(store, *mailbox, *uid_validity, *uid_next),
        Op::Append {
            mailbox,
            blob,
            message,
            flags,
            internal_date,
        } => messages::append(store, *mailbox, blob, message, flags, *internal_date),
        Op::StoreFlags {
            mailbox,
            uids,
            change,
            unchanged_since,
        } => messages::store_flags(store, *mailbox, uids, change, *unchanged_since),
        Op::Copy { from, uids, to } => messages::copy(store, *from, uids, *to),
        Op::Move { from, uids, to } => {
            let outcome = messages::copy(store, *from, uids, *to)?;
            if let Outcome::Copied { from: copied, .. } = &outcome {
                messages::expunge(store, *from, copied, false)?;
            }
            Ok(outcome)
        }
        Op::Expunge {
            mailbox,
            uids,
            deleted_only,
        } => {
            let (uids, mod_seq) = messages::expunge(store, *mailbox, uids, *deleted_only)?;
            Ok(Outcome::Expunged { uids, mod_seq })
        }
        Op::Annotate {
            account,
            mailbox,
            name,
            value,
        } => annotations::annotate(store, account, *mailbox, name, value.as_ref()),
        Op::SetRights {
            mailbox,
            identifier,
            rights,
        } => annotations::set_rights(store, *mailbox, identifier, *rights),
        Op::RemoveAccount { account } => {
            let mailboxes = remove_account(store, account)?;
            Ok(Outcome::AccountRemoved { mailboxes })
        }
        Op::SpoolPut { key, record, blob } => {
            if let Some(blob) = blob {
                check_blob(store, blob)?;
            }
            let key = store.spool_put(*key, record, blob.as_ref())?;
            let key = key.ok_or_else(|| no_such_spool_entry(store))?;
            Ok(Outcome::SpoolPut { key })
        }
        Op::SpoolRemove { key } => match store.spool_remove(*key)? {
            true => Ok(Outcome::SpoolRemoved),
            false => Err(no_such_spool_entry(store).into()),
        },
    }
}

/// A quota of a batch, and what was used before it.
struct Quota<'b> {
    account: &'b Account,
    octets: Option<u64>,
    messages: Option<u64>,
    before: Usage,
}

impl Quota<'_> {
    /// Who adds nothing may be above the limit.
    fn is_exceeded(&self, after: Usage) -> bool {
        let over = |limit: Option<u64>, before, after| limit.is_some_and(|it| after > it && after > before);
        over(self.octets, self.before.octets, after.octets)
            || over(self.messages, self.before.messages, after.messages)
    }
}

/// Checks what can be checked before, and returns the quotas with what was used then.
fn check<'b, T: Steps>(store: &mut T, preconditions: &'b [Precondition]) -> Result<Vec<Quota<'b>>, T::Error> {
    let mut quotas = Vec::new();
    for precondition in preconditions {
        match precondition {
            Precondition::Quota {
                account,
                octets,
                messages,
            } => quotas.push(Quota {
                account,
                octets: *octets,
                messages: *messages,
                before: store.usage(account)?,
            }),
            Precondition::Unchanged { mailbox, since } => {
                let head = store.head(*mailbox)?;
                if head.is_none_or(|head| head.highest_mod_seq > *since) {
                    return Err(CommitError::Conflict { mailbox: *mailbox }.into());
                }
            }
        }
    }
    Ok(quotas)
}

fn no_such_spool_entry(store: &impl Steps) -> CommitError {
    CommitError::NoSuchSpoolEntry { op: store.position() }
}

/// Says how many mailboxes are gone. The last UIDVALIDITY stays behind.
fn remove_account<T: MailboxSteps + AnnotationSteps>(
    store: &mut T,
    account: &Account,
) -> Result<u64, T::Error> {
    let mailboxes = store.all_mailboxes(account)?;
    for (mailbox, name) in &mailboxes {
        store.remove_mailbox(account, name, *mailbox)?;
    }
    for name in store.all_subscriptions(account)? {
        store.set_subscribed(account, &name, false)?;
    }
    store.clear_annotations(account)?;
    Ok(mailboxes.len() as u64)
}
