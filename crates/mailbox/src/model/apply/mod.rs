//! The operations of a batch, one by one, each step with its way back

mod mailboxes;
mod messages;

use std::collections::BTreeMap;

use super::{AccountHead, Applied, Mailbox, Model, Undo};
use crate::{
    Account, BlobRef, Change, CommitError, Committed, Flags, MailboxId, MailboxName, Message, ModSeq, Op,
    Outcome, Precondition, Snapshot, SpoolEntry, SpoolKey, Uid, Usage,
};

/// A batch that is being applied.
pub(super) struct Transaction<'m> {
    model: &'m mut Model,
    now: i64,
    known: &'m dyn Fn(&BlobRef) -> bool,
    // The position of the operation that is being applied.
    op: usize,
    undo: Vec<Undo>,
    outcomes: Vec<Outcome>,
    changes: BTreeMap<MailboxId, (Account, ModSeq)>,
    released: Vec<BlobRef>,
}

impl<'m> Transaction<'m> {
    pub(super) fn new(model: &'m mut Model, now: i64, known: &'m dyn Fn(&BlobRef) -> bool) -> Self {
        let undo = vec![Undo::Counters(model.counters)];
        let (outcomes, released) = (Vec::new(), Vec::new());
        Self {
            model,
            now,
            known,
            op: 0,
            undo,
            outcomes,
            changes: BTreeMap::new(),
            released,
        }
    }

    pub(super) fn run(&mut self, ops: &[Op]) -> Result<(), CommitError> {
        for (op, it) in ops.iter().enumerate() {
            self.op = op;
            let outcome = self.op(it)?;
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    pub(super) fn check_quotas(&self, quotas: &[(&Precondition, Usage)]) -> Result<(), CommitError> {
        let over = |limit: Option<u64>, before: u64, after: u64| {
            limit.is_some_and(|it| after > it && after > before)
        };
        for (quota, before) in quotas {
            let Precondition::Quota {
                account,
                octets,
                messages,
            } = quota
            else {
                continue;
            };
            let after = self.model.usage(account);
            if over(*octets, before.octets, after.octets) || over(*messages, before.messages, after.messages)
            {
                return Err(CommitError::OverQuota {
                    account: account.clone(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Applied {
        let change = |(mailbox, (account, mod_seq))| (account, Change::new(mailbox, mod_seq));
        let mut released = self.released;
        released.retain(|blob| !self.model.refers_to(blob));
        Applied {
            committed: Committed::new(self.outcomes),
            changes: self.changes.into_iter().map(change).collect(),
            released,
        }
    }

    pub(super) fn roll_back(self) {
        self.undo.into_iter().rev().for_each(|step| self.model.undo(step));
    }

    fn op(&mut self, op: &Op) -> Result<Outcome, CommitError> {
        match op {
            Op::CreateMailbox {
                account,
                name,
                special_use,
            } => {
                let (mailbox, uid_validity) = self.create(account, name, *special_use)?;
                Ok(Outcome::Created {
                    mailbox,
                    uid_validity,
                })
            }
            Op::RenameMailbox { account, from, to } if from.is_inbox() => self.rename_inbox(account, to),
            Op::RenameMailbox { account, from, to } => self.rename(account, from, to),
            Op::DeleteMailbox { account, name } => self.delete(account, name),
            Op::Subscribe { account, name, on } => self.subscribe(account, name, *on),
            Op::Append {
                mailbox,
                blob,
                message,
                flags,
                internal_date,
            } => self.append(*mailbox, blob, message, flags, *internal_date),
            Op::StoreFlags {
                mailbox,
                uids,
                change,
                unchanged_since,
            } => self.store_flags(*mailbox, uids, change, *unchanged_since),
            Op::Copy { from, uids, to } => self.copy(*from, uids, *to),
            Op::Move { from, uids, to } => {
                let outcome = self.copy(*from, uids, *to)?;
                if let Outcome::Copied { from: copied, .. } = &outcome {
                    self.expunge(*from, copied, false)?;
                }
                Ok(outcome)
            }
            Op::Expunge {
                mailbox,
                uids,
                deleted_only,
            } => {
                let (uids, mod_seq) = self.expunge(*mailbox, uids, *deleted_only)?;
                Ok(Outcome::Expunged { uids, mod_seq })
            }
            Op::SpoolPut { key, record, blob } => {
                if let Some(blob) = blob {
                    self.check_blob(blob)?;
                }
                self.spool_put(*key, record, blob.as_ref().map(BlobRef::unpinned))
            }
            Op::SpoolRemove { key } => {
                let entry = self
                    .model
                    .spool
                    .remove(key)
                    .ok_or(CommitError::NoSuchSpoolEntry { op: self.op })?;
                if let Some(blob) = &entry.blob {
                    self.release(blob);
                }
                self.undo.push(Undo::Spool {
                    key: *key,
                    before: Some(entry),
                });
                Ok(Outcome::SpoolRemoved)
            }
        }
    }

    fn spool_put(
        &mut self,
        key: Option<SpoolKey>,
        record: &bytes::Bytes,
        blob: Option<BlobRef>,
    ) -> Result<Outcome, CommitError> {
        let key = match key {
            Some(key) if !self.model.spool.contains_key(&key) => {
                return Err(CommitError::NoSuchSpoolEntry { op: self.op });
            }
            Some(key) => key,
            None => {
                self.model.counters.last_spool += 1;
                SpoolKey::new(self.model.counters.last_spool)
            }
        };
        if let Some(blob) = &blob {
            self.refer(blob);
        }
        let before = self
            .model
            .spool
            .insert(key, SpoolEntry::new(key, record.clone(), blob));
        if let Some(blob) = before.as_ref().and_then(|entry| entry.blob.as_ref()) {
            self.release(blob);
        }
        self.undo.push(Undo::Spool { key, before });
        Ok(Outcome::SpoolPut { key })
    }

    /// Raises a mailbox to a mod-sequence and has its feeds told.
    fn touch(&mut self, mailbox: MailboxId, mod_seq: ModSeq) -> Result<(), CommitError> {
        self.change_head(mailbox, |head| head.highest_mod_seq = mod_seq)?;
        let account = self.head(mailbox)?.account.clone();
        self.changes.insert(mailbox, (account, mod_seq));
        Ok(())
    }

    fn set_message(
        &mut self,
        mailbox: MailboxId,
        uid: Uid,
        message: Option<Message>,
    ) -> Result<(), CommitError> {
        let messages = &mut self.mailbox(mailbox)?.messages;
        let before = match message {
            Some(message) => messages.insert(uid, message),
            None => messages.remove(&uid),
        };
        self.undo.push(Undo::Message { mailbox, uid, before });
        Ok(())
    }

    fn change_head(
        &mut self,
        mailbox: MailboxId,
        change: impl FnOnce(&mut Snapshot),
    ) -> Result<(), CommitError> {
        let it = self.mailbox(mailbox)?;
        let before = it.head.clone();
        change(&mut it.head);
        self.undo.push(Undo::Head { mailbox, before });
        Ok(())
    }

    fn change_account(&mut self, account: &Account, change: impl FnOnce(&mut AccountHead)) {
        let head = &mut self.model.accounts.entry(account.clone()).or_default().head;
        self.undo.push(Undo::Account {
            account: account.clone(),
            before: *head,
        });
        change(head);
    }

    fn set_name(&mut self, account: &Account, name: &MailboxName, mailbox: Option<MailboxId>) {
        let names = &mut self.model.accounts.entry(account.clone()).or_default().names;
        let before = match mailbox {
            Some(mailbox) => names.insert(name.clone(), mailbox),
            None => names.remove(name),
        };
        self.undo.push(Undo::Name {
            account: account.clone(),
            name: name.clone(),
            before,
        });
    }

    fn refer(&mut self, blob: &BlobRef) {
        let references = self.model.references.entry(*blob.hash()).or_default();
        self.undo.push(Undo::References {
            hash: *blob.hash(),
            before: *references,
        });
        *references += 1;
    }

    fn release(&mut self, blob: &BlobRef) {
        let before = self.model.references.get(blob.hash()).copied().unwrap_or(0);
        self.undo.push(Undo::References {
            hash: *blob.hash(),
            before,
        });
        if before > 1 {
            self.model.references.insert(*blob.hash(), before - 1);
        } else {
            self.model.references.remove(blob.hash());
            self.released.push(blob.clone());
        }
    }

    fn check_blob(&self, blob: &BlobRef) -> Result<(), CommitError> {
        let there = self.model.refers_to(blob) || (self.known)(blob);
        there.then_some(()).ok_or(CommitError::NoSuchBlob { op: self.op })
    }

    fn check_flags(&self, flags: &Flags) -> Result<(), CommitError> {
        let fits = flags.keywords().len() <= self.model.limits.keywords_per_message as usize;
        fits.then_some(())
            .ok_or_else(|| self.limit("keywords on a message"))
    }

    fn head(&self, mailbox: MailboxId) -> Result<&Snapshot, CommitError> {
        let it = self
            .model
            .mailboxes
            .get(&mailbox)
            .ok_or(CommitError::NoSuchMailbox { op: self.op })?;
        Ok(&it.head)
    }

    fn mailbox(&mut self, mailbox: MailboxId) -> Result<&mut Mailbox, CommitError> {
        self.model
            .mailboxes
            .get_mut(&mailbox)
            .ok_or(CommitError::NoSuchMailbox { op: self.op })
    }

    const fn limit(&self, limit: &'static str) -> CommitError {
        CommitError::Limit { op: self.op, limit }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Count {
    In,
    Out,
}
