//! Appending, flagging, copying, moving, expunging

use super::steps::{Steps, check_blob, head, over_limit};
use crate::{
    Account, BlobRef, Change, CommitError, FlagChange, Flags, MailboxId, Message, MessageMeta, ModSeq,
    Outcome, SystemFlags, ThreadId, ThreadKey, Threading, Uid, UidSet,
};

/// How a store keeps messages.
///
/// What a step adds, changes or removes, it also counts: in the numbers of the mailbox and in those of its account.
pub trait MessageSteps: Steps {
    /// A message, as the store has it at hand while a batch is applied.
    type Message: StoredMessage;

    /// Reads messages of a mailbox that exists, in the order of their UIDs.
    ///
    /// # Errors
    /// When the store has trouble.
    fn select(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Self::Message>, Self::Error>;

    /// Finds the threads of an account that keys belong to, in any order.
    ///
    /// # Errors
    /// When the store has trouble.
    fn threads_with(&mut self, account: &Account, keys: &[ThreadKey]) -> Result<Vec<ThreadId>, Self::Error>;

    /// Gives a thread of an account the keys that belong to none yet; a fresh thread, if none is named. A key stays
    /// with its thread as long as the account has a message of it.
    ///
    /// # Errors
    /// When the store has trouble.
    fn extend_thread(
        &mut self,
        account: &Account,
        thread: Option<ThreadId>,
        keys: &[ThreadKey],
    ) -> Result<ThreadId, Self::Error>;

    /// Returns what put a message into its thread.
    ///
    /// # Errors
    /// When the store has trouble.
    fn threading(&mut self, message: &Self::Message) -> Result<Threading, Self::Error>;

    /// Adds a message whose bytes are there; `place` has the mailbox's next UID, which is given with that.
    ///
    /// # Errors
    /// When the store has trouble.
    fn add_message(
        &mut self,
        place: Place,
        blob: &BlobRef,
        message: &MessageMeta,
        flags: &Flags,
        internal_date: i64,
    ) -> Result<(), Self::Error>;

    /// Adds a message that another mailbox, or the same one, has; `place` has the mailbox's next UID, which is given
    /// with that.
    ///
    /// # Errors
    /// When the store has trouble.
    fn add_copy(&mut self, place: Place, message: Self::Message) -> Result<(), Self::Error>;

    /// Gives a message of a mailbox other flags and a mod-sequence.
    ///
    /// # Errors
    /// When the store has trouble.
    fn set_flags(
        &mut self,
        mailbox: MailboxId,
        message: Self::Message,
        flags: Flags,
        mod_seq: ModSeq,
    ) -> Result<(), Self::Error>;

    /// Removes messages of a mailbox, and remembers in its history that these UIDs went at this mod-sequence.
    ///
    /// # Errors
    /// When the store has trouble.
    fn remove(
        &mut self,
        mailbox: MailboxId,
        gone: &[Self::Message],
        uids: &UidSet,
        mod_seq: ModSeq,
    ) -> Result<(), Self::Error>;
}

/// What the rules look at in a message.
pub trait StoredMessage {
    /// Returns its UID.
    fn uid(&self) -> Uid;

    /// Returns its mod-sequence.
    fn mod_seq(&self) -> ModSeq;

    /// Returns its flags.
    fn flags(&self) -> &Flags;

    /// Returns its thread.
    fn thread(&self) -> ThreadId;
}

impl StoredMessage for Message {
    fn uid(&self) -> Uid {
        self.uid
    }

    fn mod_seq(&self) -> ModSeq {
        self.mod_seq
    }

    fn flags(&self) -> &Flags {
        &self.flags
    }

    fn thread(&self) -> ThreadId {
        self.thread
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The message's UID there.
    pub uid: Uid,
    /// The message's mod-sequence there.
    pub mod_seq: ModSeq,
    /// The message's thread in the mailbox's account.
    pub thread: ThreadId,
}

pub(super) fn append<T: MessageSteps>(
    store: &mut T,
    mailbox: MailboxId,
    blob: &BlobRef,
    message: &MessageMeta,
    flags: &Flags,
    internal_date: i64,
) -> Result<Outcome, T::Error> {
    check_blob(store, blob)?;
    check_flags(store, flags)?;
    let head = head(store, mailbox)?;
    let mod_seq = head.highest_mod_seq.next();
    let thread = thread_of(store, &head.account, &message.threading)?;
    let place = next_place(store, mailbox, mod_seq, thread)?;
    store.add_message(place, blob, message, flags, internal_date)?;
    store.touch(Change::of_messages(mailbox, mod_seq))?;
    Ok(Outcome::Appended {
        uid_validity: head.uid_validity,
        uid: place.uid,
        mod_seq,
    })
}

pub(super) fn store_flags<T: MessageSteps>(
    store: &mut T,
    mailbox: MailboxId,
    uids: &UidSet,
    change: &FlagChange,
    unchanged_since: Option<ModSeq>,
) -> Result<Outcome, T::Error> {
    let highest = head(store, mailbox)?.highest_mod_seq;
    let (mut changed, mut failed) = (UidSet::new(), UidSet::new());
    for message in store.select(mailbox, uids)? {
        if unchanged_since.is_some_and(|since| message.mod_seq() > since) {
            failed.insert(message.uid());
            continue;
        }
        let flags = message.flags().changed(change);
        if flags == *message.flags() {
            continue;
        }
        check_flags(store, &flags)?;
        changed.insert(message.uid());
        store.set_flags(mailbox, message, flags, highest.next())?;
    }
    let mod_seq = touch_if(store, !changed.is_empty(), mailbox, highest)?;
    Ok(Outcome::Stored {
        changed,
        failed,
        mod_seq,
    })
}

pub(super) fn copy<T: MessageSteps>(
    store: &mut T,
    from: MailboxId,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Outcome, T::Error> {
    let target_head = head(store, to)?;
    let same_account = head(store, from)?.account == target_head.account;
    let highest = target_head.highest_mod_seq;
    let (mut source, mut target) = (UidSet::new(), UidSet::new());
    for message in store.select(from, uids)? {
        let thread = if same_account {
            message.thread()
        } else {
            let threading = store.threading(&message)?;
            thread_of(store, &target_head.account, &threading)?
        };
        let place = next_place(store, to, highest.next(), thread)?;
        source.insert(message.uid());
        target.insert(place.uid);
        store.add_copy(place, message)?;
    }
    let mod_seq = touch_if(store, !source.is_empty(), to, highest)?;
    Ok(Outcome::Copied {
        uid_validity: target_head.uid_validity,
        from: source,
        to: target,
        mod_seq,
    })
}

pub(super) fn expunge<T: MessageSteps>(
    store: &mut T,
    mailbox: MailboxId,
    uids: &UidSet,
    deleted_only: bool,
) -> Result<(UidSet, ModSeq), T::Error> {
    let highest = head(store, mailbox)?.highest_mod_seq;
    let mut gone = store.select(mailbox, uids)?;
    gone.retain(|message| !deleted_only || message.flags().contains(SystemFlags::DELETED));
    let uids: UidSet = gone.iter().map(StoredMessage::uid).collect();
    if !gone.is_empty() {
        store.remove(mailbox, &gone, &uids, highest.next())?;
    }
    let mod_seq = touch_if(store, !gone.is_empty(), mailbox, highest)?;
    Ok((uids, mod_seq))
}

/// The thread of a message that comes into an account: the oldest one that knows any of its keys.
fn thread_of<T: MessageSteps>(
    store: &mut T,
    account: &Account,
    threading: &Threading,
) -> Result<ThreadId, T::Error> {
    let keys: Vec<_> = threading.keys().collect();
    let oldest = store.threads_with(account, &keys)?.into_iter().min();
    store.extend_thread(account, oldest, &keys)
}

/// The place of the next message of a mailbox.
fn next_place<T: MessageSteps>(
    store: &mut T,
    mailbox: MailboxId,
    mod_seq: ModSeq,
    thread: ThreadId,
) -> Result<Place, T::Error> {
    let uid = head(store, mailbox)?.uid_next;
    let uid = uid.ok_or_else(|| over_limit(store, "UIDs of a mailbox"))?;
    Ok(Place {
        mailbox,
        uid,
        mod_seq,
        thread,
    })
}

/// Raises a mailbox by one if something changed in it; what it has then.
fn touch_if<T: Steps>(
    store: &mut T,
    changed: bool,
    mailbox: MailboxId,
    highest: ModSeq,
) -> Result<ModSeq, T::Error> {
    if !changed {
        return Ok(highest);
    }
    store.touch(Change::of_messages(mailbox, highest.next()))?;
    Ok(highest.next())
}

fn check_flags(store: &impl Steps, flags: &Flags) -> Result<(), CommitError> {
    let fits = flags.keywords().len() <= store.limits().keywords_per_message as usize;
    fits.then_some(())
        .ok_or_else(|| over_limit(store, "keywords on a message"))
}
