//! Batches: what is committed together, and what comes of it

use bytes::Bytes;

use crate::{
    Account, BlobRef, EntryName, FlagChange, Flags, Identifier, MailboxId, MailboxName, ModSeq, Rights,
    SpecialUse, SpoolKey, Threading, Uid, UidSet, UidValidity,
};

/// Operations that are committed together: all of them, or none.
///
/// They are applied in their order, and each sees what those before it did. Nothing of a batch is visible to
/// anyone before all of it is durable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Batch {
    /// The wall clock, in seconds since 1970-01-01 UTC: save dates, UIDVALIDITY and the age of the expunge history
    /// come from it.
    pub now: i64,
    /// What must hold for the batch to be applied.
    pub preconditions: Vec<Precondition>,
    /// What to do.
    pub ops: Vec<Op>,
}

impl Batch {
    /// Makes an empty batch.
    pub const fn new(now: i64) -> Self {
        Self {
            now,
            preconditions: Vec::new(),
            ops: Vec::new(),
        }
    }

    /// Adds an operation.
    #[must_use]
    pub fn with(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }

    /// Adds a precondition.
    #[must_use]
    pub fn only_if(mut self, precondition: Precondition) -> Self {
        self.preconditions.push(precondition);
        self
    }

    /// Adds an operation in place and returns its position among the outcomes.
    pub fn push(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }
}

/// What must hold for a batch to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// The batch does not take the account above a limit. One that does not add to what the account uses passes
    /// even where the account is above the limit already. Breaking it is [`CommitError::OverQuota`].
    Quota {
        /// The account.
        account: Account,
        /// The most octets of all its messages.
        octets: Option<u64>,
        /// The most messages.
        messages: Option<u64>,
    },
    /// The mailbox has not changed since: its highest mod-sequence is at most this. Breaking it is
    /// [`CommitError::Conflict`].
    Unchanged {
        /// The mailbox.
        mailbox: MailboxId,
        /// The highest mod-sequence that the caller has seen.
        since: ModSeq,
    },
}

/// One operation of a [`Batch`].
///
/// UIDs that are not in the mailbox are passed over: between a session's look and its command, another may have
/// expunged them.
///
/// An operation that changes messages of a mailbox raises its highest mod-sequence by one, and gives that to all it
/// changed; one that changes nothing leaves it. A move raises both mailboxes, and where the two are one, it raises it
/// twice.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Creates a mailbox; levels above it need not exist. Gives [`Outcome::Created`].
    CreateMailbox {
        /// The account, which begins to exist with its first mailbox.
        account: Account,
        /// The name.
        name: MailboxName,
        /// What it is for (RFC 6154).
        special_use: Option<SpecialUse>,
    },
    /// Renames a mailbox and all below it; ids, UIDs and UIDVALIDITY stay, subscriptions too (they belong to
    /// names, RFC 9051 §6.3.7). The name may be one that exists only as a level above others. Nothing may exist
    /// at the target or below it, and the target may not be below the mailbox itself.
    ///
    /// Of INBOX only the messages move, into a mailbox that is created; INBOX stays, empty, and what is below it
    /// stays too (RFC 3501 §6.3.5). Gives [`Outcome::Renamed`].
    RenameMailbox {
        /// The account.
        account: Account,
        /// The name it has.
        from: MailboxName,
        /// The name it gets.
        to: MailboxName,
    },
    /// Deletes a mailbox and its messages. Mailboxes below it stay, and its name then exists only as a level above
    /// them (`\Noselect`, RFC 3501 §6.3.4); to delete such a name is [`CommitError::HasChildren`]. INBOX cannot be
    /// deleted. Gives [`Outcome::Deleted`].
    DeleteMailbox {
        /// The account.
        account: Account,
        /// The name.
        name: MailboxName,
    },
    /// Subscribes to a name or ends that; the name need not exist. Gives [`Outcome::Subscribed`].
    Subscribe {
        /// The account.
        account: Account,
        /// The name.
        name: MailboxName,
        /// Whether to subscribe.
        on: bool,
    },
    /// Takes over UIDs that messages had elsewhere, for imports. The mailbox gives no UID below `uid_next` from here
    /// on; one that it would not give anyway changes nothing. A mailbox that has never given a UID also takes over the
    /// UIDVALIDITY, up to [`UidValidity::MOST_ADOPTED`]: the caller vouches that name and value have never stood for
    /// other messages. Gives [`Outcome::UidsAdopted`].
    AdoptUids {
        /// The mailbox.
        mailbox: MailboxId,
        /// The UIDVALIDITY it had elsewhere, if that is known.
        uid_validity: Option<UidValidity>,
        /// The UID that the next message is to have at least.
        uid_next: Uid,
    },
    /// Adds a message. Gives [`Outcome::Appended`].
    Append {
        /// The mailbox.
        mailbox: MailboxId,
        /// The message's bytes.
        blob: BlobRef,
        /// What was computed from those bytes.
        message: MessageMeta,
        /// The flags it begins with.
        flags: Flags,
        /// The internal date, in seconds since 1970-01-01 UTC.
        internal_date: i64,
    },
    /// Changes flags. Gives [`Outcome::Stored`].
    StoreFlags {
        /// The mailbox.
        mailbox: MailboxId,
        /// The messages.
        uids: UidSet,
        /// The change.
        change: FlagChange,
        /// Passes over messages with a higher mod-sequence and reports them (RFC 7162 §3.1.3).
        unchanged_since: Option<ModSeq>,
    },
    /// Copies messages with their flags and internal dates, in the order of their UIDs. Gives
    /// [`Outcome::Copied`].
    Copy {
        /// The mailbox the messages are in.
        from: MailboxId,
        /// The messages.
        uids: UidSet,
        /// The mailbox that gets the copies; it may be the same.
        to: MailboxId,
    },
    /// Moves messages (RFC 6851): copies them and expunges the originals. Gives [`Outcome::Copied`].
    Move {
        /// The mailbox the messages are in.
        from: MailboxId,
        /// The messages.
        uids: UidSet,
        /// The mailbox that gets them; it may be the same.
        to: MailboxId,
    },
    /// Removes messages for good. Gives [`Outcome::Expunged`].
    Expunge {
        /// The mailbox.
        mailbox: MailboxId,
        /// The messages.
        uids: UidSet,
        /// Passes over messages without the \Deleted flag.
        deleted_only: bool,
    },
    /// Sets an annotation or removes it (RFC 5464). Gives [`Outcome::Annotated`].
    Annotate {
        /// The account whose annotation it is: of a shared one, the account of the mailbox.
        account: Account,
        /// The mailbox, or `None` for the account itself.
        mailbox: Option<MailboxId>,
        /// Its name.
        name: EntryName,
        /// Its value; `None` removes it.
        value: Option<Bytes>,
    },
    /// Gives an identifier rights on a mailbox, in place of those it had (RFC 4314 §3.1). Gives
    /// [`Outcome::RightsSet`].
    SetRights {
        /// The mailbox.
        mailbox: MailboxId,
        /// To whom.
        identifier: Identifier,
        /// The rights; none removes the identifier from the list.
        rights: Rights,
    },
    /// Removes an account with its mailboxes, messages, subscriptions and annotations. If it is created again, its
    /// mailboxes have higher UIDVALIDITYs than those before. Gives [`Outcome::AccountRemoved`].
    RemoveAccount {
        /// The account; one that is not known has nothing to remove.
        account: Account,
    },
    /// Keeps a record that means nothing to the store, durably, with the bytes it refers to. Gives
    /// [`Outcome::SpoolPut`].
    SpoolPut {
        /// The entry to replace, or `None` for a fresh one.
        key: Option<SpoolKey>,
        /// The record.
        record: Bytes,
        /// A message it keeps alive.
        blob: Option<BlobRef>,
    },
    /// Removes a record. Gives [`Outcome::SpoolRemoved`].
    SpoolRemove {
        /// The entry, which must exist.
        key: SpoolKey,
    },
}

/// What the caller computed from a message's bytes, once, when it came in.
///
/// It must follow from the bytes alone: a store may keep it once for all messages that share a blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageMeta {
    /// The part index of `mailwright-message`, as bytes.
    pub index: Bytes,
    /// What it is sorted by, in a form that only those who search know.
    pub sort_keys: Bytes,
    /// Its text as it is searched, where finding that in the message again would cost more than keeping it; `None` means
    /// that whoever searches looks at the message itself.
    pub text: Option<Bytes>,
    /// Which strings its text cannot hold, in a form that only those who search know; empty where that is not known.
    pub sketch: Bytes,
    /// What puts it into a thread.
    pub threading: Threading,
}

impl MessageMeta {
    /// Makes it from the bytes of a part index.
    pub fn new(index: Bytes) -> Self {
        Self {
            index,
            sort_keys: Bytes::new(),
            text: None,
            sketch: Bytes::new(),
            threading: Threading::default(),
        }
    }
}

/// What a commit did: one outcome for each operation, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The outcomes.
    pub outcomes: Vec<Outcome>,
}

impl Committed {
    /// Makes it from outcomes; for stores.
    pub const fn new(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes }
    }
}

/// What one operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A mailbox was created.
    Created {
        /// Its id.
        mailbox: MailboxId,
        /// Its UIDVALIDITY: higher than any the account has given before.
        uid_validity: UidValidity,
    },
    /// A mailbox was renamed.
    Renamed {
        /// The mailbox that bears the target name, if one does: of INBOX, the one that was created.
        mailbox: Option<MailboxId>,
    },
    /// A mailbox was deleted.
    Deleted {
        /// Its id, which is never given again.
        mailbox: MailboxId,
    },
    /// A subscription is as was asked for.
    Subscribed,
    /// UIDs were taken over, as far as the mailbox could.
    UidsAdopted {
        /// The mailbox's UIDVALIDITY.
        uid_validity: UidValidity,
        /// The UID that the next message will have; `None` when all are used up.
        uid_next: Option<Uid>,
    },
    /// A message was added.
    Appended {
        /// The mailbox's UIDVALIDITY.
        uid_validity: UidValidity,
        /// The message's UID: higher than any the mailbox has given before.
        uid: Uid,
        /// The message's mod-sequence.
        mod_seq: ModSeq,
    },
    /// Flags were changed.
    Stored {
        /// The messages whose flags are different from before; all of them have `mod_seq`.
        changed: UidSet,
        /// The messages that exist and were passed over for having changed since.
        failed: UidSet,
        /// The mailbox's highest mod-sequence after the operation.
        mod_seq: ModSeq,
    },
    /// Messages were copied or moved: the first of `from` became the first of `to`, and so on (COPYUID, RFC 4315
    /// §3). Both sets have as many members.
    Copied {
        /// The target's UIDVALIDITY.
        uid_validity: UidValidity,
        /// The messages.
        from: UidSet,
        /// What they are in the target; empty when `from` is.
        to: UidSet,
        /// The target's highest mod-sequence after the operation.
        mod_seq: ModSeq,
    },
    /// Messages were removed.
    Expunged {
        /// The messages.
        uids: UidSet,
        /// The mailbox's highest mod-sequence after the operation.
        mod_seq: ModSeq,
    },
    /// A record was kept.
    SpoolPut {
        /// Its key.
        key: SpoolKey,
    },
    /// A record was removed.
    SpoolRemoved,
    /// An annotation is as was asked for.
    Annotated,
    /// An access control list is as was asked for.
    RightsSet,
    /// An account is gone.
    AccountRemoved {
        /// How many mailboxes it had.
        mailboxes: u64,
    },
}

/// Why nothing of a batch was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A [`Precondition::Unchanged`] does not hold: look again, then decide again.
    #[error("mailbox {} has changed", mailbox.value())]
    Conflict {
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// An operation names a mailbox that does not exist.
    #[error("operation {op}: no such mailbox")]
    NoSuchMailbox {
        /// The position of the operation.
        op: usize,
    },
    /// A mailbox cannot get a name because it is in use.
    #[error("operation {op}: the name is in use")]
    AlreadyExists {
        /// The position of the operation.
        op: usize,
    },
    /// A name that is only a level above others cannot be deleted.
    #[error("operation {op}: other mailboxes are below the name")]
    HasChildren {
        /// The position of the operation.
        op: usize,
    },
    /// INBOX cannot be deleted, and no mailbox can be moved below itself or get a name that is too long.
    #[error("operation {op}: not possible with this name")]
    InvalidName {
        /// The position of the operation.
        op: usize,
    },
    /// The bytes of a message are not there (any more): they were never given to this store, or their last message
    /// was expunged.
    #[error("operation {op}: no such blob")]
    NoSuchBlob {
        /// The position of the operation.
        op: usize,
    },
    /// A spool entry is not there.
    #[error("operation {op}: no such spool entry")]
    NoSuchSpoolEntry {
        /// The position of the operation.
        op: usize,
    },
    /// One of the store's [`Limits`](crate::Limits) would be exceeded.
    #[error("operation {op}: over the limit of {limit}")]
    Limit {
        /// The position of the operation.
        op: usize,
        /// What is limited.
        limit: &'static str,
    },
    /// A [`Precondition::Quota`] does not hold.
    #[error("{account} is over its quota")]
    OverQuota {
        /// The account.
        account: Account,
    },
    /// There is no room on the disk; everything committed before is there and can be read.
    #[error("no space left for mail")]
    Full,
    /// The disk failed; everything committed before is kept.
    #[error("storage failed: {0}")]
    Io(String),
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
}

impl CommitError {
    /// Tells whether the same batch may succeed later without anyone changing it: a peer is told "try again".
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. } | Self::Full | Self::Io(_) | Self::Closed
        )
    }
}

/// What a store refuses to exceed, so that no client can make it grow without bound, and how much of the past it
/// remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most mailboxes of an account, 10,000 by default.
    pub mailboxes_per_account: u32,
    /// The most subscriptions of an account, 10,000 by default.
    pub subscriptions_per_account: u32,
    /// The most keywords on a message, 64 by default.
    pub keywords_per_message: u32,
    /// The most annotations that an account has on one mailbox, or on itself, 100 by default.
    pub annotations_per_mailbox: u32,
    /// The most octets of the value of an annotation, 65,536 by default.
    pub annotation_octets: u32,
    /// The most identifiers in an access control list, 100 by default.
    pub identifiers_per_mailbox: u32,
    /// How long the expunge history of a mailbox is kept, in seconds, 30 days by default.
    pub history_seconds: u32,
    /// How many UIDs the expunge history of a mailbox holds, 1,000,000 by default; the oldest go first.
    pub history_uids: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailboxes_per_account: 10_000,
            subscriptions_per_account: 10_000,
            keywords_per_message: 64,
            annotations_per_mailbox: 100,
            annotation_octets: 64 * 1024,
            identifiers_per_mailbox: 100,
            history_seconds: 30 * 24 * 3600,
            history_uids: 1_000_000,
        }
    }
}
