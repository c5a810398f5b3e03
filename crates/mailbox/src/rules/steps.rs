//! What all parts of a batch share

use crate::{Account, BlobRef, Change, CommitError, Limits, MailboxId, ModSeq, Uid, UidValidity, Usage};

/// What every part of a batch needs of a store.
pub trait Steps {
    /// Why a step fails: the batch breaks a rule, or the store itself has trouble.
    type Error: From<CommitError>;

    /// Notes which operation of the batch comes next.
    fn enter(&mut self, position: usize);

    /// Returns the position that was entered last; errors tell it.
    fn position(&self) -> usize;

    /// Returns the wall clock of the batch, in seconds since 1970-01-01 UTC.
    fn now(&self) -> i64;

    /// Returns what the store refuses to exceed.
    fn limits(&self) -> &Limits;

    /// Tells how much an account keeps; nothing, if it does not exist.
    ///
    /// # Errors
    /// When the store has trouble.
    fn usage(&mut self, account: &Account) -> Result<Usage, Self::Error>;

    /// Describes a mailbox; `None` if it does not exist.
    ///
    /// # Errors
    /// When the store has trouble.
    fn head(&mut self, mailbox: MailboxId) -> Result<Option<Head>, Self::Error>;

    /// Tells whether the bytes of a message are there.
    ///
    /// # Errors
    /// When the store has trouble.
    fn has_blob(&mut self, blob: &BlobRef) -> Result<bool, Self::Error>;

    /// Raises a mailbox to a mod-sequence and has its feeds told.
    ///
    /// # Errors
    /// When the store has trouble.
    fn touch(&mut self, change: Change) -> Result<(), Self::Error>;
}

/// What the rules look at in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The account it belongs to.
    pub account: Account,
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The UID of the next message; `None` when all were given.
    pub uid_next: Option<Uid>,
    /// Its highest mod-sequence.
    pub highest_mod_seq: ModSeq,
}

impl Head {
    /// Joins the parts.
    pub const fn new(
        account: Account,
        uid_validity: UidValidity,
        uid_next: Option<Uid>,
        highest_mod_seq: ModSeq,
    ) -> Self {
        Self {
            account,
            uid_validity,
            uid_next,
            highest_mod_seq,
        }
    }
}

pub(super) fn head<T: Steps>(store: &mut T, mailbox: MailboxId) -> Result<Head, T::Error> {
    let head = store.head(mailbox)?;
    head.ok_or_else(|| no_such_mailbox(store).into())
}

pub(super) fn check_blob<T: Steps>(store: &mut T, blob: &BlobRef) -> Result<(), T::Error> {
    match store.has_blob(blob)? {
        true => Ok(()),
        false => Err(CommitError::NoSuchBlob { op: store.position() }.into()),
    }
}

pub(super) fn no_such_mailbox(store: &impl Steps) -> CommitError {
    CommitError::NoSuchMailbox { op: store.position() }
}

pub(super) fn over_limit(store: &impl Steps, limit: &'static str) -> CommitError {
    CommitError::Limit {
        op: store.position(),
        limit,
    }
}
