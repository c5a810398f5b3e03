//! The steps of a batch, each with its way back

mod annotations;
mod mailboxes;
mod messages;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{AccountHead, Applied, Mailbox, Model, Undo};
use crate::{
    Account, BlobRef, Change, CommitError, Committed, Limits, MailboxId, MailboxName, Message, Outcome,
    Snapshot, SpoolEntry, SpoolKey, Uid, Usage,
    rules::{Head, SpoolSteps, Steps},
};

/// A batch that is being applied.
pub(super) struct Transaction<'m> {
    model: &'m mut Model,
    now: i64,
    known: &'m dyn Fn(&BlobRef) -> bool,
    // The position of the operation that is being applied.
    op: usize,
    undo: Vec<Undo>,
    changes: BTreeMap<MailboxId, (Account, Change)>,
    released: Vec<BlobRef>,
}

impl<'m> Transaction<'m> {
    pub(super) fn new(model: &'m mut Model, now: i64, known: &'m dyn Fn(&BlobRef) -> bool) -> Self {
        let undo = vec![Undo::Counters(model.counters)];
        Self {
            model,
            now,
            known,
            op: 0,
            undo,
            changes: BTreeMap::new(),
            released: Vec::new(),
        }
    }

    pub(super) fn finish(self, outcomes: Vec<Outcome>) -> Applied {
        let mut released = self.released;
        released.retain(|blob| !self.model.refers_to(blob));
        Applied {
            committed: Committed::new(outcomes),
            changes: self.changes.into_values().collect(),
            released,
            undo: self.undo,
        }
    }

    /// Notes what the sessions of an account are to be told.
    fn tell(&mut self, account: Account, change: Change) {
        let told = self.changes.entry(change.mailbox).or_insert((account, change));
        told.1 = told.1.and(change);
    }

    pub(super) fn roll_back(self) {
        self.undo.into_iter().rev().for_each(|step| self.model.undo(step));
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
        let before = before.map(Box::new);
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

    fn mailbox(&mut self, mailbox: MailboxId) -> Result<&mut Mailbox, CommitError> {
        self.model
            .mailboxes
            .get_mut(&mailbox)
            .ok_or(CommitError::NoSuchMailbox { op: self.op })
    }
}

impl Steps for Transaction<'_> {
    type Error = CommitError;

    fn enter(&mut self, position: usize) {
        self.op = position;
    }

    fn position(&self) -> usize {
        self.op
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn limits(&self) -> &Limits {
        &self.model.limits
    }

    fn usage(&mut self, account: &Account) -> Result<Usage, CommitError> {
        Ok(self.model.usage(account))
    }

    fn head(&mut self, mailbox: MailboxId) -> Result<Option<Head>, CommitError> {
        let it = self.model.mailboxes.get(&mailbox);
        Ok(it.map(|it| {
            let head = &it.head;
            Head::new(
                head.account.clone(),
                head.uid_validity,
                head.uid_next,
                head.highest_mod_seq,
            )
        }))
    }

    fn has_blob(&mut self, blob: &BlobRef) -> Result<bool, CommitError> {
        Ok(self.model.refers_to(blob) || (self.known)(blob))
    }

    fn touch(&mut self, change: Change) -> Result<(), CommitError> {
        let mailbox = change.mailbox;
        self.change_head(mailbox, |head| head.highest_mod_seq = change.mod_seq)?;
        let account = self.mailbox(mailbox)?.head.account.clone();
        self.tell(account, change);
        Ok(())
    }
}

impl SpoolSteps for Transaction<'_> {
    fn spool_put(
        &mut self,
        key: Option<SpoolKey>,
        record: &Bytes,
        blob: Option<&BlobRef>,
    ) -> Result<Option<SpoolKey>, CommitError> {
        let key = match key {
            Some(key) if !self.model.spool.contains_key(&key) => return Ok(None),
            Some(key) => key,
            None => {
                self.model.counters.last_spool += 1;
                SpoolKey::new(self.model.counters.last_spool)
            }
        };
        if let Some(blob) = blob {
            self.refer(blob);
        }
        let entry = SpoolEntry::new(key, record.clone(), blob.map(BlobRef::unpinned));
        let before = self.model.spool.insert(key, entry);
        if let Some(blob) = before.as_ref().and_then(|entry| entry.blob.as_ref()) {
            self.release(blob);
        }
        self.undo.push(Undo::Spool { key, before });
        Ok(Some(key))
    }

    fn spool_remove(&mut self, key: SpoolKey) -> Result<bool, CommitError> {
        let Some(entry) = self.model.spool.remove(&key) else {
            return Ok(false);
        };
        if let Some(blob) = &entry.blob {
            self.release(blob);
        }
        self.undo.push(Undo::Spool {
            key,
            before: Some(entry),
        });
        Ok(true)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Count {
    In,
    Out,
}
