//! The operations of a batch, one by one, each step with its way back

use core::ops::Bound;
use std::collections::BTreeMap;

use super::{
    AccountHead, AccountState, Applied, Mailbox, Model, Undo,
    history::{Gone, History},
};
use crate::{
    Account, BlobRef, Change, CommitError, Committed, FlagChange, Flags, MailboxId, MailboxName, Message,
    ModSeq, Op, Outcome, Precondition, Snapshot, SpecialUse, SpoolEntry, SpoolKey, SystemFlags, Uid, UidSet,
    UidValidity, Usage,
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
            } => {
                self.check_blob(blob)?;
                let mut appended = Message::new(Uid::MIN, ModSeq::ZERO);
                appended.flags = flags.clone();
                appended.internal_date = *internal_date;
                appended.blob = Some(blob.unpinned());
                appended.index = message.index.clone();
                self.check_flags(flags)?;
                let head = self.head(*mailbox)?;
                let (uid_validity, mod_seq) = (head.uid_validity, head.highest_mod_seq.next());
                let uid = self.insert(*mailbox, appended, mod_seq)?;
                self.touch(*mailbox, mod_seq)?;
                Ok(Outcome::Appended {
                    uid_validity,
                    uid,
                    mod_seq,
                })
            }
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

    fn create(
        &mut self,
        account: &Account,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<(MailboxId, UidValidity), CommitError> {
        let limits = self.model.limits;
        let state = self.model.accounts.entry(account.clone()).or_default();
        if state.names.contains_key(name) {
            return Err(CommitError::AlreadyExists { op: self.op });
        }
        if state.names.len() >= limits.mailboxes_per_account as usize {
            return Err(self.limit("mailboxes of an account"));
        }
        let uid_validity = UidValidity::after(state.head.last_uid_validity, self.now);
        let Some(uid_validity) = uid_validity else {
            return Err(self.limit("UIDVALIDITY of an account"));
        };
        self.model.counters.last_mailbox += 1;
        let mailbox = MailboxId::new(self.model.counters.last_mailbox);
        self.change_account(account, |head| head.last_uid_validity = Some(uid_validity));
        self.set_name(account, name, Some(mailbox));
        let head = Snapshot::new(account.clone(), name.clone(), uid_validity);
        let created = Mailbox {
            head,
            special_use,
            messages: BTreeMap::new(),
            history: History::default(),
        };
        self.model.mailboxes.insert(mailbox, created);
        self.undo.push(Undo::Mailbox {
            mailbox,
            before: None,
        });
        self.changes.insert(mailbox, (account.clone(), ModSeq::ONE));
        Ok((mailbox, uid_validity))
    }

    fn rename_inbox(&mut self, account: &Account, to: &MailboxName) -> Result<Outcome, CommitError> {
        let inbox = self.find(account, &MailboxName::inbox())?;
        let (mailbox, _) = self.create(account, to, None)?;
        self.copy(inbox, &UidSet::all(), mailbox)?;
        self.expunge(inbox, &UidSet::all(), false)?;
        Ok(Outcome::Renamed {
            mailbox: Some(mailbox),
        })
    }

    fn rename(
        &mut self,
        account: &Account,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Outcome, CommitError> {
        let state = self.model.accounts.entry(account.clone()).or_default();
        let moved = subtree(state, from);
        if moved.is_empty() {
            return Err(CommitError::NoSuchMailbox { op: self.op });
        }
        if to.is_below(from) {
            return Err(CommitError::InvalidName { op: self.op });
        }
        let in_the_way =
            |(name, _): &(MailboxName, MailboxId)| name == to || !(name == from || name.is_below(from));
        if to.is_inbox() || subtree(state, to).iter().any(in_the_way) {
            return Err(CommitError::AlreadyExists { op: self.op });
        }
        for (name, _) in &moved {
            self.set_name(account, name, None);
        }
        for (name, mailbox) in &moved {
            let renamed = name
                .rebased(from, to)
                .ok_or(CommitError::InvalidName { op: self.op })?;
            self.set_name(account, &renamed, Some(*mailbox));
            let highest = self.head(*mailbox)?.highest_mod_seq;
            self.change_head(*mailbox, |head| head.name = renamed)?;
            self.touch(*mailbox, highest)?;
        }
        let itself = moved.iter().find(|(name, _)| name == from);
        Ok(Outcome::Renamed {
            mailbox: itself.map(|(_, mailbox)| *mailbox),
        })
    }

    fn delete(&mut self, account: &Account, name: &MailboxName) -> Result<Outcome, CommitError> {
        if name.is_inbox() {
            return Err(CommitError::InvalidName { op: self.op });
        }
        let mailbox = self
            .find(account, name)
            .map_err(|error| match self.model.accounts.get(account) {
                Some(state) if !subtree(state, name).is_empty() => CommitError::HasChildren { op: self.op },
                _ => error,
            })?;
        let gone = self
            .model
            .mailboxes
            .remove(&mailbox)
            .ok_or(CommitError::NoSuchMailbox { op: self.op })?;
        self.set_name(account, name, None);
        gone.messages
            .values()
            .filter_map(|message| message.blob.as_ref())
            .for_each(|blob| self.release(blob));
        let (size, exists) = (gone.head.size, gone.head.exists);
        self.change_account(account, |head| {
            head.usage.octets -= size;
            head.usage.messages -= u64::from(exists);
        });
        self.changes
            .insert(mailbox, (account.clone(), gone.head.highest_mod_seq.next()));
        self.undo.push(Undo::Mailbox {
            mailbox,
            before: Some(Box::new(gone)),
        });
        Ok(Outcome::Deleted { mailbox })
    }

    fn subscribe(&mut self, account: &Account, name: &MailboxName, on: bool) -> Result<Outcome, CommitError> {
        let limit = self.model.limits.subscriptions_per_account as usize;
        let subscriptions = &mut self
            .model
            .accounts
            .entry(account.clone())
            .or_default()
            .subscriptions;
        let was = subscriptions.contains(name);
        if on && !was && subscriptions.len() >= limit {
            return Err(self.limit("subscriptions of an account"));
        }
        match on {
            true => subscriptions.insert(name.clone()),
            false => subscriptions.remove(name),
        };
        self.undo.push(Undo::Subscription {
            account: account.clone(),
            name: name.clone(),
            was,
        });
        Ok(Outcome::Subscribed)
    }

    fn store_flags(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Outcome, CommitError> {
        let highest = self.head(mailbox)?.highest_mod_seq;
        let (mut changed, mut failed) = (UidSet::new(), UidSet::new());
        for message in self.select(mailbox, uids)? {
            if unchanged_since.is_some_and(|since| message.mod_seq > since) {
                failed.insert(message.uid);
                continue;
            }
            let flags = message.flags.changed(change);
            if flags == message.flags {
                continue;
            }
            self.check_flags(&flags)?;
            changed.insert(message.uid);
            let (uid, mut after) = (message.uid, message.clone());
            after.flags = flags;
            after.mod_seq = highest.next();
            self.count(mailbox, &message, Count::Out)?;
            self.count(mailbox, &after, Count::In)?;
            self.set_message(mailbox, uid, Some(after))?;
        }
        let mod_seq = if changed.is_empty() {
            highest
        } else {
            highest.next()
        };
        if !changed.is_empty() {
            self.touch(mailbox, mod_seq)?;
        }
        Ok(Outcome::Stored {
            changed,
            failed,
            mod_seq,
        })
    }

    fn copy(&mut self, from: MailboxId, uids: &UidSet, to: MailboxId) -> Result<Outcome, CommitError> {
        let (uid_validity, highest) = self
            .head(to)
            .map(|head| (head.uid_validity, head.highest_mod_seq))?;
        let (mut source, mut target) = (UidSet::new(), UidSet::new());
        for message in self.select(from, uids)? {
            source.insert(message.uid);
            target.insert(self.insert(to, message, highest.next())?);
        }
        let mod_seq = if source.is_empty() {
            highest
        } else {
            highest.next()
        };
        if !source.is_empty() {
            self.touch(to, mod_seq)?;
        }
        Ok(Outcome::Copied {
            uid_validity,
            from: source,
            to: target,
            mod_seq,
        })
    }

    fn expunge(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        deleted_only: bool,
    ) -> Result<(UidSet, ModSeq), CommitError> {
        let highest = self.head(mailbox)?.highest_mod_seq;
        let mut gone = self.select(mailbox, uids)?;
        gone.retain(|message| !deleted_only || message.flags.contains(SystemFlags::DELETED));
        if gone.is_empty() {
            return Ok((UidSet::new(), highest));
        }
        for message in &gone {
            self.count(mailbox, message, Count::Out)?;
            self.set_message(mailbox, message.uid, None)?;
            message.blob.iter().for_each(|blob| self.release(blob));
        }
        let uids: UidSet = gone.iter().map(|message| message.uid).collect();
        let (mod_seq, limits, at) = (highest.next(), self.model.limits, self.now);
        let entry = Gone {
            mod_seq,
            at,
            uids: uids.clone(),
        };
        let pushed = self.mailbox(mailbox)?.history.push(entry, &limits);
        self.undo.push(Undo::History { mailbox, pushed });
        self.touch(mailbox, mod_seq)?;
        Ok((uids, mod_seq))
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

    /// Gives a message the next UID of a mailbox.
    fn insert(
        &mut self,
        mailbox: MailboxId,
        mut message: Message,
        mod_seq: ModSeq,
    ) -> Result<Uid, CommitError> {
        let uid = self
            .head(mailbox)?
            .uid_next
            .ok_or_else(|| self.limit("UIDs of a mailbox"))?;
        message.uid = uid;
        message.mod_seq = mod_seq;
        message.save_date = self.now;
        message.blob.iter().for_each(|blob| self.refer(blob));
        self.change_head(mailbox, |head| head.uid_next = uid.next())?;
        self.count(mailbox, &message, Count::In)?;
        self.set_message(mailbox, uid, Some(message))?;
        Ok(uid)
    }

    fn select(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Message>, CommitError> {
        let messages = &self.mailbox(mailbox)?.messages;
        Ok(uids
            .ranges()
            .flat_map(|range| messages.range(range))
            .map(|(_, message)| message.clone())
            .collect())
    }

    /// Counts a message in or out of the numbers of its mailbox and account.
    fn count(&mut self, mailbox: MailboxId, message: &Message, way: Count) -> Result<(), CommitError> {
        let step = |n: u64, by: u64| if way == Count::In { n + by } else { n - by };
        let step_32 = |n: u32, by: bool| {
            if way == Count::In {
                n + u32::from(by)
            } else {
                n - u32::from(by)
            }
        };
        let size = message.size();
        let account = self.head(mailbox)?.account.clone();
        self.change_head(mailbox, |head| {
            head.exists = step_32(head.exists, true);
            head.unseen = step_32(head.unseen, !message.flags.contains(SystemFlags::SEEN));
            head.deleted = step_32(head.deleted, message.flags.contains(SystemFlags::DELETED));
            head.size = step(head.size, size);
        })?;
        self.change_account(&account, |head| {
            head.usage.octets = step(head.usage.octets, size);
            head.usage.messages = step(head.usage.messages, 1);
        });
        Ok(())
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

    fn find(&self, account: &Account, name: &MailboxName) -> Result<MailboxId, CommitError> {
        let state = self.model.accounts.get(account);
        state
            .and_then(|it| it.names.get(name))
            .copied()
            .ok_or(CommitError::NoSuchMailbox { op: self.op })
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

/// The mailbox of that name, if there is one, and all below it.
fn subtree(state: &AccountState, name: &MailboxName) -> Vec<(MailboxName, MailboxId)> {
    // '0' follows '/' in ASCII: all names below are between the two, and nothing else is.
    let (first, end) = (format!("{name}/"), format!("{name}0"));
    let below = state
        .names
        .range::<str, _>((Bound::Included(&*first), Bound::Excluded(&*end)));
    let itself = state.names.get_key_value(name);
    itself
        .into_iter()
        .chain(below)
        .map(|(name, mailbox)| (name.clone(), *mailbox))
        .collect()
}
