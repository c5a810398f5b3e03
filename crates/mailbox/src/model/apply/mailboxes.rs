//! Mailboxes and subscriptions

use core::ops::Bound;
use std::collections::BTreeMap;

use super::{Count, Transaction};
use crate::{
    Account, Change, CommitError, MailboxId, MailboxName, ModSeq, Snapshot, SpecialUse, Uid, UidValidity,
    model::{Mailbox, history::History, undo::Undo},
    rules::{MailboxSteps, Renamed},
};

impl MailboxSteps for Transaction<'_> {
    fn find(&mut self, account: &Account, name: &MailboxName) -> Result<Option<MailboxId>, CommitError> {
        let state = self.model.accounts.get(account);
        Ok(state.and_then(|it| it.names.get(name)).copied())
    }

    fn subtree(
        &mut self,
        account: &Account,
        name: &MailboxName,
    ) -> Result<Vec<(MailboxId, MailboxName)>, CommitError> {
        let Some(state) = self.model.accounts.get(account) else {
            return Ok(Vec::new());
        };
        // '0' follows '/' in ASCII: all names below are between the two, and nothing else is.
        let (first, end) = (format!("{name}/"), format!("{name}0"));
        let below = state
            .names
            .range::<str, _>((Bound::Included(&*first), Bound::Excluded(&*end)));
        let itself = state.names.get_key_value(name);
        Ok(itself
            .into_iter()
            .chain(below)
            .map(|(name, mailbox)| (*mailbox, name.clone()))
            .collect())
    }

    fn all_mailboxes(&mut self, account: &Account) -> Result<Vec<(MailboxId, MailboxName)>, CommitError> {
        let state = self.model.accounts.get(account);
        let names = state.into_iter().flat_map(|it| &it.names);
        Ok(names.map(|(name, mailbox)| (*mailbox, name.clone())).collect())
    }

    fn mailbox_count(&mut self, account: &Account) -> Result<u64, CommitError> {
        let state = self.model.accounts.get(account);
        Ok(state.map_or(0, |it| it.names.len() as u64))
    }

    fn last_uid_validity(&mut self, account: &Account) -> Result<Option<UidValidity>, CommitError> {
        let state = self.model.accounts.get(account);
        Ok(state.and_then(|it| it.head.last_uid_validity))
    }

    fn add_mailbox(
        &mut self,
        account: &Account,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
        uid_validity: UidValidity,
    ) -> Result<MailboxId, CommitError> {
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
        self.tell(account.clone(), Change::new(mailbox, ModSeq::ONE));
        Ok(mailbox)
    }

    fn set_uids(
        &mut self,
        mailbox: MailboxId,
        uid_validity: UidValidity,
        uid_next: Option<Uid>,
    ) -> Result<(), CommitError> {
        let account = self.mailbox(mailbox)?.head.account.clone();
        self.change_account(&account, |head| {
            head.last_uid_validity = head.last_uid_validity.max(Some(uid_validity));
        });
        self.change_head(mailbox, |head| {
            head.uid_validity = uid_validity;
            head.uid_next = uid_next;
        })
    }

    fn rename_mailboxes(&mut self, account: &Account, renamed: &[Renamed]) -> Result<(), CommitError> {
        for it in renamed {
            self.set_name(account, &it.from, None);
        }
        for it in renamed {
            self.set_name(account, &it.to, Some(it.mailbox));
            self.change_head(it.mailbox, |head| head.name = it.to.clone())?;
        }
        Ok(())
    }

    fn remove_mailbox(
        &mut self,
        account: &Account,
        name: &MailboxName,
        mailbox: MailboxId,
    ) -> Result<(), CommitError> {
        let gone = self
            .model
            .mailboxes
            .remove(&mailbox)
            .ok_or(CommitError::NoSuchMailbox { op: self.op })?;
        self.set_name(account, name, None);
        for message in gone.messages.values() {
            message.blob.iter().for_each(|blob| self.release(blob));
            self.count_in_thread(account, message.thread, Count::Out);
        }
        self.forget_mailbox(mailbox)?;
        let (size, exists) = (gone.head.size, gone.head.exists);
        self.change_account(account, |head| {
            head.usage.octets -= size;
            head.usage.messages -= u64::from(exists);
        });
        self.tell(
            account.clone(),
            Change::new(mailbox, gone.head.highest_mod_seq.next()),
        );
        self.undo.push(Undo::Mailbox {
            mailbox,
            before: Some(Box::new(gone)),
        });
        Ok(())
    }

    fn is_subscribed(&mut self, account: &Account, name: &MailboxName) -> Result<bool, CommitError> {
        let state = self.model.accounts.get(account);
        Ok(state.is_some_and(|it| it.subscriptions.contains(name)))
    }

    fn subscription_count(&mut self, account: &Account) -> Result<u64, CommitError> {
        let state = self.model.accounts.get(account);
        Ok(state.map_or(0, |it| it.subscriptions.len() as u64))
    }

    fn all_subscriptions(&mut self, account: &Account) -> Result<Vec<MailboxName>, CommitError> {
        Ok(self.model.subscriptions(account))
    }

    fn set_subscribed(&mut self, account: &Account, name: &MailboxName, on: bool) -> Result<(), CommitError> {
        let state = self.model.accounts.entry(account.clone()).or_default();
        let changed = match on {
            true => state.subscriptions.insert(name.clone()),
            false => state.subscriptions.remove(name),
        };
        self.undo.push(Undo::Subscription {
            account: account.clone(),
            name: name.clone(),
            was: on != changed,
        });
        Ok(())
    }
}
