//! Annotations and access control lists

use bytes::Bytes;

use super::{
    mailboxes::{self, MailboxSteps},
    steps::{Steps, head, no_such_mailbox, over_limit},
};
use crate::{Account, EntryName, Identifier, MailboxId, Outcome, Rights};

/// How a store keeps annotations and access control lists.
///
/// Those of a mailbox go with it, whoever's they are.
pub trait AnnotationSteps: Steps {
    /// Counts the annotations that an account has on a mailbox or on itself.
    ///
    /// # Errors
    /// When the store has trouble.
    fn annotation_count(&mut self, account: &Account, mailbox: Option<MailboxId>)
    -> Result<u64, Self::Error>;

    /// Tells whether an annotation is there.
    ///
    /// # Errors
    /// When the store has trouble.
    fn has_annotation(
        &mut self,
        account: &Account,
        mailbox: Option<MailboxId>,
        name: &EntryName,
    ) -> Result<bool, Self::Error>;

    /// Sets an annotation, or removes one that is there. The account begins to exist with it.
    ///
    /// # Errors
    /// When the store has trouble.
    fn set_annotation(
        &mut self,
        account: &Account,
        mailbox: Option<MailboxId>,
        name: &EntryName,
        value: Option<&Bytes>,
    ) -> Result<(), Self::Error>;

    /// Removes all annotations that an account has.
    ///
    /// # Errors
    /// When the store has trouble.
    fn clear_annotations(&mut self, account: &Account) -> Result<(), Self::Error>;

    /// Returns the rights of an identifier on a mailbox that exists; none, if the list does not name it.
    ///
    /// # Errors
    /// When the store has trouble.
    fn rights(&mut self, mailbox: MailboxId, identifier: &Identifier) -> Result<Rights, Self::Error>;

    /// Counts the identifiers in the list of a mailbox.
    ///
    /// # Errors
    /// When the store has trouble.
    fn identifier_count(&mut self, mailbox: MailboxId) -> Result<u64, Self::Error>;

    /// Sets the rights of an identifier on a mailbox that exists; none takes it off the list.
    ///
    /// # Errors
    /// When the store has trouble.
    fn set_rights(
        &mut self,
        mailbox: MailboxId,
        identifier: &Identifier,
        rights: Rights,
    ) -> Result<(), Self::Error>;
}

pub(super) fn annotate<T: AnnotationSteps + MailboxSteps>(
    store: &mut T,
    account: &Account,
    mailbox: Option<MailboxId>,
    name: &EntryName,
    value: Option<&Bytes>,
) -> Result<Outcome, T::Error> {
    if let Some(mailbox) = mailbox {
        let owner = head(store, mailbox)?.account;
        if !name.is_private() && owner != *account {
            return Err(no_such_mailbox(store).into());
        }
    }
    let there = store.has_annotation(account, mailbox, name)?;
    let limits = *store.limits();
    let Some(given) = value else {
        if there {
            store.set_annotation(account, mailbox, name, None)?;
            tell(store, account, mailbox)?;
        }
        return Ok(Outcome::Annotated);
    };
    if given.len() as u64 > limits.annotation_octets.into() {
        return Err(over_limit(store, "octets of an annotation").into());
    }
    if !there && store.annotation_count(account, mailbox)? >= limits.annotations_per_mailbox.into() {
        return Err(over_limit(store, "annotations of a mailbox").into());
    }
    store.set_annotation(account, mailbox, name, value)?;
    tell(store, account, mailbox).map(|()| Outcome::Annotated)
}

pub(super) fn set_rights<T: AnnotationSteps>(
    store: &mut T,
    mailbox: MailboxId,
    identifier: &Identifier,
    rights: Rights,
) -> Result<Outcome, T::Error> {
    head(store, mailbox)?;
    let before = store.rights(mailbox, identifier)?;
    if before == rights {
        return Ok(Outcome::RightsSet);
    }
    let most = u64::from(store.limits().identifiers_per_mailbox);
    if before.is_empty() && store.identifier_count(mailbox)? >= most {
        return Err(over_limit(store, "identifiers of an access control list").into());
    }
    store.set_rights(mailbox, identifier, rights)?;
    mailboxes::tell(store, mailbox).map(|()| Outcome::RightsSet)
}

fn tell<T: MailboxSteps>(
    store: &mut T,
    account: &Account,
    mailbox: Option<MailboxId>,
) -> Result<(), T::Error> {
    match mailbox {
        Some(mailbox) => mailboxes::tell(store, mailbox),
        None => mailboxes::tell_inbox(store, account),
    }
}
