//! Creating, renaming, deleting, subscribing

use core::ops::Bound;
use std::collections::BTreeMap;

use super::Transaction;
use crate::{
    Account, CommitError, MailboxId, MailboxName, ModSeq, Outcome, Snapshot, SpecialUse, UidSet, UidValidity,
    model::{AccountState, Mailbox, history::History, undo::Undo},
};

impl Transaction<'_> {
    pub(super) fn create(
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

    pub(super) fn rename_inbox(
        &mut self,
        account: &Account,
        to: &MailboxName,
    ) -> Result<Outcome, CommitError> {
        let inbox = self.find(account, &MailboxName::inbox())?;
        let (mailbox, _) = self.create(account, to, None)?;
        self.copy(inbox, &UidSet::all(), mailbox)?;
        self.expunge(inbox, &UidSet::all(), false)?;
        Ok(Outcome::Renamed {
            mailbox: Some(mailbox),
        })
    }

    pub(super) fn rename(
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

    pub(super) fn delete(&mut self, account: &Account, name: &MailboxName) -> Result<Outcome, CommitError> {
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

    pub(super) fn subscribe(
        &mut self,
        account: &Account,
        name: &MailboxName,
        on: bool,
    ) -> Result<Outcome, CommitError> {
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

    pub(super) fn find(&self, account: &Account, name: &MailboxName) -> Result<MailboxId, CommitError> {
        let state = self.model.accounts.get(account);
        state
            .and_then(|it| it.names.get(name))
            .copied()
            .ok_or(CommitError::NoSuchMailbox { op: self.op })
    }
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
