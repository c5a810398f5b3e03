//! The mailbox model: what every store does, without a disk
//!
//! ```text
//!            apply(batch)                      all ops applied        Applied: outcomes,
//!  Model ───────────────────▶ op, op, op … ───────────────────────▶ changes, released blobs
//!                                  │ one refused
//!                                  └────────▶ undone, last first ─▶ CommitError; as if nothing was
//! ```

mod apply;
mod effect;
mod history;
mod threads;
mod undo;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

pub use self::effect::Effect;
use self::{history::History, threads::Threads, undo::Undo};
use crate::{
    Account, AclEntry, Annotation, Batch, BlobHash, BlobRef, Change, CommitError, Committed, EntryName,
    Fields, Identifier, Limits, MailboxId, MailboxInfo, MailboxName, Message, ModSeq, Page, Rights, Scan,
    SharedMailbox, Snapshot, SpecialUse, SpoolEntry, SpoolKey, StoreError, Uid, UidValidity, Usage, Vanished,
    rules,
};

/// All accounts, mailboxes, messages and the spool, as a pure state machine.
///
/// It holds no message bodies; it counts who refers to them. The same batches applied in the same order give the
/// same state and the same outcomes: that makes it the oracle of the conformance suite.
#[derive(Debug, Default)]
pub struct Model {
    limits: Limits,
    accounts: HashMap<Account, AccountState>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    spool: BTreeMap<SpoolKey, SpoolEntry>,
    annotations: BTreeMap<(Account, Option<MailboxId>), BTreeMap<EntryName, Bytes>>,
    acls: BTreeMap<MailboxId, BTreeMap<Identifier, Rights>>,
    threads: HashMap<Account, Threads>,
    // How many messages and spool entries refer to a blob; never 0.
    references: HashMap<BlobHash, u64>,
    counters: Counters,
}

/// What a batch did to a [`Model`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Applied {
    /// One outcome for each operation.
    pub committed: Committed,
    /// What to tell the feeds.
    pub changes: Vec<(Account, Change)>,
    /// The blobs that nothing refers to after the batch.
    pub released: Vec<BlobRef>,
    undo: Vec<Undo>,
}

impl Model {
    /// Makes an empty model.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Applies a batch, all of it or nothing.
    ///
    /// `known` tells whether the bytes of a blob that nothing refers to yet are at hand.
    ///
    /// # Errors
    /// [`CommitError`] says why nothing was applied.
    pub fn apply(&mut self, batch: &Batch, known: impl Fn(&BlobRef) -> bool) -> Result<Applied, CommitError> {
        let mut transaction = apply::Transaction::new(self, batch.now, &known);
        match rules::apply(&mut transaction, batch) {
            Ok(outcomes) => Ok(transaction.finish(outcomes)),
            Err(error) => {
                transaction.roll_back();
                Err(error)
            }
        }
    }

    /// Lists the accounts that have mailboxes, by name.
    pub fn accounts(&self, after: Option<&Account>, limit: usize) -> Vec<Account> {
        let have = self.accounts.iter().filter(|(_, state)| !state.names.is_empty());
        let mut accounts: Vec<_> = have.map(|(account, _)| account.clone()).collect();
        accounts.retain(|account| after.is_none_or(|after| account > after));
        accounts.sort_unstable();
        accounts.truncate(limit);
        accounts
    }

    /// Lists the annotations that an account has on a mailbox, or on itself, by name.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`].
    pub fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> Result<Vec<Annotation>, StoreError> {
        if let Some(mailbox) = mailbox {
            self.mailbox(mailbox)?;
        }
        let kept = self.annotations.get(&(account.clone(), mailbox));
        Ok(kept
            .into_iter()
            .flatten()
            .map(|(name, value)| Annotation::new(name.clone(), value.clone()))
            .collect())
    }

    /// Lists who was given rights on a mailbox, by identifier.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`].
    pub fn acl(&self, mailbox: MailboxId) -> Result<Vec<AclEntry>, StoreError> {
        self.mailbox(mailbox)?;
        let list = self.acls.get(&mailbox).into_iter().flatten();
        Ok(list
            .map(|(identifier, rights)| AclEntry::new(identifier.clone(), *rights))
            .collect())
    }

    /// Lists the mailboxes whose access control list names one of these identifiers, in the order of their ids.
    pub fn shared_with(&self, identifiers: &[Identifier]) -> Vec<SharedMailbox> {
        let names = |list: &BTreeMap<Identifier, Rights>| identifiers.iter().any(|it| list.contains_key(it));
        let shared = self.acls.iter().filter(|(_, list)| names(list));
        shared
            .filter_map(|(id, _)| {
                let it = self.mailboxes.get(id)?;
                let (account, name) = (it.head.account.clone(), it.head.name.clone());
                Some(SharedMailbox::new(account, *id, name, it.special_use))
            })
            .collect()
    }

    /// Lists the mailboxes of an account by name.
    pub fn mailboxes(&self, account: &Account) -> Vec<MailboxInfo> {
        let Some(state) = self.accounts.get(account) else {
            return Vec::new();
        };
        let info = |(name, id): (&MailboxName, &MailboxId)| {
            let special_use = self.mailboxes.get(id).and_then(|mailbox| mailbox.special_use);
            MailboxInfo::new(*id, name.clone(), special_use, state.subscriptions.contains(name))
        };
        state.names.iter().map(info).collect()
    }

    /// Lists the subscribed names of an account.
    pub fn subscriptions(&self, account: &Account) -> Vec<MailboxName> {
        self.accounts
            .get(account)
            .map(|state| state.subscriptions.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Tells how much an account keeps.
    pub fn usage(&self, account: &Account) -> Usage {
        self.accounts
            .get(account)
            .map(|state| state.head.usage)
            .unwrap_or_default()
    }

    /// Describes a mailbox.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`].
    pub fn snapshot(&self, mailbox: MailboxId) -> Result<Snapshot, StoreError> {
        Ok(self.mailbox(mailbox)?.head.clone())
    }

    /// Reads a page of messages.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`].
    pub fn scan(&self, mailbox: MailboxId, scan: &Scan) -> Result<Page, StoreError> {
        let mailbox = self.mailbox(mailbox)?;
        let since = scan.since.unwrap_or(ModSeq::ZERO);
        let mut found = scan
            .uids
            .ranges()
            .flat_map(|range| mailbox.messages.range(range))
            .map(|(_, message)| message)
            .filter(|message| message.mod_seq > since);
        let messages = found
            .by_ref()
            .take(scan.limit.max(1))
            .map(|message| select(message, scan.fields))
            .collect();
        Ok(Page::new(
            messages,
            found.next().map(|message| message.uid),
            mailbox.head.highest_mod_seq,
        ))
    }

    /// Tells which UIDs were expunged after a mod-sequence.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`].
    pub fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StoreError> {
        Ok(self.mailbox(mailbox)?.history.since(since))
    }

    /// Reads the spool.
    pub fn spool(&self, after: Option<SpoolKey>, limit: usize) -> Vec<SpoolEntry> {
        let from = after.map_or(SpoolKey::new(0), |key| {
            SpoolKey::new(key.value().saturating_add(1))
        });
        self.spool
            .range(from..)
            .take(limit)
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// Tells whether a message or a spool entry refers to the blob.
    pub fn refers_to(&self, blob: &BlobRef) -> bool {
        self.references.contains_key(blob.hash())
    }

    /// Sets or removes an annotation and returns what was there.
    fn put_annotation(
        &mut self,
        on: (Account, Option<MailboxId>),
        name: EntryName,
        value: Option<Bytes>,
    ) -> Option<Bytes> {
        let kept = self.annotations.entry(on).or_default();
        match value {
            Some(value) => kept.insert(name, value),
            None => kept.remove(&name),
        }
    }

    /// Sets rights and returns those that were there.
    fn put_rights(&mut self, mailbox: MailboxId, identifier: Identifier, rights: Rights) -> Rights {
        let list = self.acls.entry(mailbox).or_default();
        let before = match rights.is_empty() {
            true => list.remove(&identifier),
            false => list.insert(identifier, rights),
        };
        before.unwrap_or_default()
    }

    fn mailbox(&self, mailbox: MailboxId) -> Result<&Mailbox, StoreError> {
        self.mailboxes.get(&mailbox).ok_or(StoreError::NoSuchMailbox)
    }
}

fn select(message: &Message, fields: Fields) -> Message {
    let mut selected = Message::new(message.uid, message.mod_seq);
    if fields.contains(Fields::SIZE) || fields.contains(Fields::BLOB) {
        selected = selected.with_size(message.size());
    }
    if fields.contains(Fields::FLAGS) {
        selected.flags = message.flags.clone();
    }
    if fields.contains(Fields::DATES) {
        selected.internal_date = message.internal_date;
        selected.save_date = message.save_date;
    }
    if fields.contains(Fields::BLOB) {
        selected.blob = message.blob.clone();
    }
    if fields.contains(Fields::INDEX) {
        selected.index = message.index.clone();
    }
    if fields.contains(Fields::THREAD) {
        selected.thread = message.thread;
    }
    if fields.contains(Fields::SORT) {
        selected.sort_keys = message.sort_keys.clone();
        selected.threading = message.threading.clone();
    }
    if fields.contains(Fields::SKETCH) {
        selected.sketch = message.sketch.clone();
    }
    if fields.contains(Fields::TEXT) {
        selected.text = message.text.clone();
    }
    selected
}

#[derive(Debug, Default)]
struct AccountState {
    head: AccountHead,
    names: BTreeMap<MailboxName, MailboxId>,
    subscriptions: BTreeSet<MailboxName>,
}

#[derive(Clone, Copy, Debug, Default)]
struct AccountHead {
    usage: Usage,
    last_uid_validity: Option<UidValidity>,
}

#[derive(Debug)]
struct Mailbox {
    head: Snapshot,
    special_use: Option<SpecialUse>,
    messages: BTreeMap<Uid, Message>,
    history: History,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    last_mailbox: u64,
    last_spool: u64,
    last_thread: u64,
}
