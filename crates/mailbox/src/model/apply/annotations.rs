//! Annotations and access control lists

use bytes::Bytes;

use super::Transaction;
use crate::{
    Account, CommitError, EntryName, Identifier, MailboxId, Rights, model::undo::Undo, rules::AnnotationSteps,
};

impl AnnotationSteps for Transaction<'_> {
    fn annotation_count(
        &mut self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> Result<u64, CommitError> {
        let kept = self.model.annotations.get(&(account.clone(), mailbox));
        Ok(kept.map_or(0, |it| it.len() as u64))
    }

    fn has_annotation(
        &mut self,
        account: &Account,
        mailbox: Option<MailboxId>,
        name: &EntryName,
    ) -> Result<bool, CommitError> {
        let kept = self.model.annotations.get(&(account.clone(), mailbox));
        Ok(kept.is_some_and(|it| it.contains_key(name)))
    }

    fn set_annotation(
        &mut self,
        account: &Account,
        mailbox: Option<MailboxId>,
        name: &EntryName,
        value: Option<&Bytes>,
    ) -> Result<(), CommitError> {
        let before = self
            .model
            .put_annotation((account.clone(), mailbox), name.clone(), value.cloned());
        self.undo.push(Undo::Annotation {
            account: account.clone(),
            mailbox,
            name: name.clone(),
            before,
        });
        Ok(())
    }

    fn clear_annotations(&mut self, account: &Account) -> Result<(), CommitError> {
        self.remove_annotations(|owner, _| owner == account)
    }

    fn rights(&mut self, mailbox: MailboxId, identifier: &Identifier) -> Result<Rights, CommitError> {
        let list = self.model.acls.get(&mailbox);
        Ok(list
            .and_then(|it| it.get(identifier))
            .copied()
            .unwrap_or_default())
    }

    fn identifier_count(&mut self, mailbox: MailboxId) -> Result<u64, CommitError> {
        Ok(self.model.acls.get(&mailbox).map_or(0, |it| it.len() as u64))
    }

    fn set_rights(
        &mut self,
        mailbox: MailboxId,
        identifier: &Identifier,
        rights: Rights,
    ) -> Result<(), CommitError> {
        let before = self.model.put_rights(mailbox, identifier.clone(), rights);
        self.undo.push(Undo::Rights {
            mailbox,
            identifier: identifier.clone(),
            before,
        });
        Ok(())
    }
}

impl Transaction<'_> {
    /// Removes what is noted on a mailbox, and with whom it is shared.
    pub(super) fn forget_mailbox(&mut self, mailbox: MailboxId) -> Result<(), CommitError> {
        self.remove_annotations(|_, on| on == Some(mailbox))?;
        let list = self.model.acls.get(&mailbox);
        let identifiers: Vec<_> = list.into_iter().flatten().map(|(it, _)| it.clone()).collect();
        for identifier in identifiers {
            self.set_rights(mailbox, &identifier, Rights::NONE)?;
        }
        Ok(())
    }

    fn remove_annotations(
        &mut self,
        which: impl Fn(&Account, Option<MailboxId>) -> bool,
    ) -> Result<(), CommitError> {
        let kept = self.model.annotations.iter();
        let gone: Vec<_> = kept
            .filter(|((account, mailbox), _)| which(account, *mailbox))
            .flat_map(|(on, it)| it.keys().map(|name| (on.clone(), name.clone())))
            .collect();
        for ((account, mailbox), name) in gone {
            self.set_annotation(&account, mailbox, &name, None)?;
        }
        Ok(())
    }
}
