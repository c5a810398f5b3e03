//! Creating, renaming, deleting, subscribing

use super::{
    messages::{self, MessageSteps},
    steps::{Steps, head, no_such_mailbox, over_limit},
};
use crate::{
    Account, Change, CommitError, MailboxId, MailboxName, Outcome, SpecialUse, Uid, UidSet, UidValidity,
};

/// How a store keeps mailboxes and subscriptions.
pub trait MailboxSteps: Steps {
    /// Finds a mailbox by its name.
    ///
    /// # Errors
    /// When the store has trouble.
    fn find(&mut self, account: &Account, name: &MailboxName) -> Result<Option<MailboxId>, Self::Error>;

    /// Lists the mailbox of that name, if there is one, and all below it.
    ///
    /// # Errors
    /// When the store has trouble.
    fn subtree(
        &mut self,
        account: &Account,
        name: &MailboxName,
    ) -> Result<Vec<(MailboxId, MailboxName)>, Self::Error>;

    /// Lists the mailboxes of an account.
    ///
    /// # Errors
    /// When the store has trouble.
    fn all_mailboxes(&mut self, account: &Account) -> Result<Vec<(MailboxId, MailboxName)>, Self::Error>;

    /// Counts the mailboxes of an account.
    ///
    /// # Errors
    /// When the store has trouble.
    fn mailbox_count(&mut self, account: &Account) -> Result<u64, Self::Error>;

    /// Returns the highest UIDVALIDITY the account ever gave; `None` if it gave none.
    ///
    /// # Errors
    /// When the store has trouble.
    fn last_uid_validity(&mut self, account: &Account) -> Result<Option<UidValidity>, Self::Error>;

    /// Adds an empty mailbox, under a name that is free and with a UIDVALIDITY that is the account's last one from
    /// here on, and has the feeds of the account told. The account begins to exist with it.
    ///
    /// # Errors
    /// When the store has trouble.
    fn add_mailbox(
        &mut self,
        account: &Account,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
        uid_validity: UidValidity,
    ) -> Result<MailboxId, Self::Error>;

    /// Sets the UIDVALIDITY of a mailbox that exists, and the next UID. The account's last UIDVALIDITY is this one from
    /// here on if it was lower.
    ///
    /// # Errors
    /// When the store has trouble.
    fn set_uids(
        &mut self,
        mailbox: MailboxId,
        uid_validity: UidValidity,
        uid_next: Option<Uid>,
    ) -> Result<(), Self::Error>;

    /// Gives mailboxes other names. A name that one of them gets may be one that another of them gives up.
    ///
    /// # Errors
    /// When the store has trouble.
    fn rename_mailboxes(&mut self, account: &Account, renamed: &[Renamed]) -> Result<(), Self::Error>;

    /// Removes a mailbox that exists, and its messages, and has the feeds of the account told.
    ///
    /// # Errors
    /// When the store has trouble.
    fn remove_mailbox(
        &mut self,
        account: &Account,
        name: &MailboxName,
        mailbox: MailboxId,
    ) -> Result<(), Self::Error>;

    /// Tells whether an account subscribes to a name.
    ///
    /// # Errors
    /// When the store has trouble.
    fn is_subscribed(&mut self, account: &Account, name: &MailboxName) -> Result<bool, Self::Error>;

    /// Counts the subscriptions of an account.
    ///
    /// # Errors
    /// When the store has trouble.
    fn subscription_count(&mut self, account: &Account) -> Result<u64, Self::Error>;

    /// Lists the names an account is subscribed to.
    ///
    /// # Errors
    /// When the store has trouble.
    fn all_subscriptions(&mut self, account: &Account) -> Result<Vec<MailboxName>, Self::Error>;

    /// Begins a subscription that is not there, or ends one that is.
    ///
    /// # Errors
    /// When the store has trouble.
    fn set_subscribed(&mut self, account: &Account, name: &MailboxName, on: bool) -> Result<(), Self::Error>;
}

/// A mailbox that gets another name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renamed {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The name it has.
    pub from: MailboxName,
    /// The name it gets.
    pub to: MailboxName,
}

pub(super) fn create<T: MailboxSteps>(
    store: &mut T,
    account: &Account,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
) -> Result<(MailboxId, UidValidity), T::Error> {
    if store.find(account, name)?.is_some() {
        return Err(already_exists(store).into());
    }
    if store.mailbox_count(account)? >= store.limits().mailboxes_per_account.into() {
        return Err(over_limit(store, "mailboxes of an account").into());
    }
    let last = store.last_uid_validity(account)?;
    let uid_validity = UidValidity::after(last, store.now())
        .ok_or_else(|| over_limit(store, "UIDVALIDITY of an account"))?;
    let mailbox = store.add_mailbox(account, name, special_use, uid_validity)?;
    Ok((mailbox, uid_validity))
}

/// Only a mailbox that never gave a UID can change its UIDVALIDITY: nobody has seen one that would mean another message.
pub(super) fn adopt_uids<T: MailboxSteps>(
    store: &mut T,
    mailbox: MailboxId,
    uid_validity: Option<UidValidity>,
    uid_next: Uid,
) -> Result<Outcome, T::Error> {
    let head = head(store, mailbox)?;
    let is_fresh = head.uid_next == Some(Uid::MIN);
    let adopted = uid_validity.filter(|it| is_fresh && *it <= UidValidity::MOST_ADOPTED);
    let uid_validity = adopted.unwrap_or(head.uid_validity);
    let uid_next = head.uid_next.map(|own| own.max(uid_next));
    if (uid_validity, uid_next) != (head.uid_validity, head.uid_next) {
        store.set_uids(mailbox, uid_validity, uid_next)?;
        store.touch(Change::new(mailbox, head.highest_mod_seq))?;
    }
    Ok(Outcome::UidsAdopted {
        uid_validity,
        uid_next,
    })
}

/// RFC 3501 §6.3.5: the messages go into a mailbox that is created, and INBOX stays.
pub(super) fn rename_inbox<T: MailboxSteps + MessageSteps>(
    store: &mut T,
    account: &Account,
    to: &MailboxName,
) -> Result<MailboxId, T::Error> {
    let inbox = store.find(account, &MailboxName::inbox())?;
    let inbox = inbox.ok_or_else(|| no_such_mailbox(store))?;
    let (mailbox, _) = create(store, account, to, None)?;
    messages::copy(store, inbox, &UidSet::all(), mailbox)?;
    messages::expunge(store, inbox, &UidSet::all(), false)?;
    Ok(mailbox)
}

/// The mailbox that has the target name then; `None` if the name existed only as a level above others.
pub(super) fn rename<T: MailboxSteps>(
    store: &mut T,
    account: &Account,
    from: &MailboxName,
    to: &MailboxName,
) -> Result<Option<MailboxId>, T::Error> {
    let moved = store.subtree(account, from)?;
    if moved.is_empty() {
        return Err(no_such_mailbox(store).into());
    }
    if to.is_below(from) {
        return Err(invalid_name(store).into());
    }
    let in_the_way =
        |(_, name): &(MailboxId, MailboxName)| name == to || !(name == from || name.is_below(from));
    if to.is_inbox() || store.subtree(account, to)?.iter().any(in_the_way) {
        return Err(already_exists(store).into());
    }
    let mut renamed = Vec::with_capacity(moved.len());
    for (mailbox, name) in moved {
        let to = name.rebased(from, to).ok_or_else(|| invalid_name(store))?;
        renamed.push(Renamed {
            mailbox,
            from: name,
            to,
        });
    }
    store.rename_mailboxes(account, &renamed)?;
    for it in &renamed {
        tell(store, it.mailbox)?;
    }
    let itself = renamed.iter().find(|it| it.from == *from);
    Ok(itself.map(|it| it.mailbox))
}

pub(super) fn delete<T: MailboxSteps>(
    store: &mut T,
    account: &Account,
    name: &MailboxName,
) -> Result<MailboxId, T::Error> {
    if name.is_inbox() {
        return Err(invalid_name(store).into());
    }
    let Some(mailbox) = store.find(account, name)? else {
        let op = store.position();
        return Err(match store.subtree(account, name)?.is_empty() {
            true => CommitError::NoSuchMailbox { op },
            false => CommitError::HasChildren { op },
        }
        .into());
    };
    store.remove_mailbox(account, name, mailbox)?;
    Ok(mailbox)
}

pub(super) fn subscribe<T: MailboxSteps>(
    store: &mut T,
    account: &Account,
    name: &MailboxName,
    on: bool,
) -> Result<(), T::Error> {
    if store.is_subscribed(account, name)? == on {
        return Ok(());
    }
    if on && store.subscription_count(account)? >= store.limits().subscriptions_per_account.into() {
        return Err(over_limit(store, "subscriptions of an account").into());
    }
    store.set_subscribed(account, name, on)?;
    match store.find(account, name)? {
        Some(mailbox) => tell(store, mailbox),
        None => tell_inbox(store, account),
    }
}

/// Has the feeds of an account told of what belongs to no mailbox: INBOX stands for it.
pub(super) fn tell_inbox<T: MailboxSteps>(store: &mut T, account: &Account) -> Result<(), T::Error> {
    match store.find(account, &MailboxName::inbox())? {
        Some(inbox) => tell(store, inbox),
        None => Ok(()),
    }
}

/// Has the feeds told, so that whoever watches a mailbox looks again.
pub(super) fn tell<T: Steps>(store: &mut T, mailbox: MailboxId) -> Result<(), T::Error> {
    let highest = head(store, mailbox)?.highest_mod_seq;
    store.touch(Change::new(mailbox, highest))
}

fn already_exists(store: &impl Steps) -> CommitError {
    CommitError::AlreadyExists { op: store.position() }
}

fn invalid_name(store: &impl Steps) -> CommitError {
    CommitError::InvalidName { op: store.position() }
}
