//! The `Store` trait: everything the protocols need from storage, and nothing of how it is done

use core::ops::{BitOr, Range};
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{
    Account, AclEntry, Annotation, Batch, BlobRef, CommitError, Committed, Feed, Flags, Identifier, Keyword,
    MailboxId, MailboxName, ModSeq, SpecialUse, SpoolKey, SystemFlags, ThreadId, Threading, Uid, UidSet,
    UidValidity,
};

/// Keeps the mail of many accounts.
///
/// A store is shared as `Arc<S>` by all sessions; it may be shared by other machines too, so nothing is assumed to
/// stay as it was read. All change goes through [`commit`](Store::commit). UIDs and mod-sequences are given out by
/// the commit that makes them visible: whoever sees one has seen, or can see, all lower ones.
pub trait Store: Send + Sync + 'static {
    /// Takes the bytes of one message.
    type BlobWriter: BlobWriter;

    /// Applies a batch, all of it or nothing, and returns when it is durable.
    ///
    /// Once the future has been polled, dropping it does not stop the commit.
    ///
    /// # Errors
    /// [`CommitError`] says why nothing was applied. After [`CommitError::Io`] and [`CommitError::Closed`] the
    /// batch may, in rare cases, have been applied nevertheless (the disk failed while it was made durable).
    fn commit(&self, batch: Batch) -> impl Future<Output = Result<Committed, CommitError>> + Send;

    /// Lists the accounts that have mailboxes, by name, those above `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn accounts(
        &self,
        after: Option<Account>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Account>, StoreError>> + Send;

    /// Lists the mailboxes of an account by name; an account that is not known has none.
    ///
    /// Names that exist only as a level above others are not listed: they follow from the names that are.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn mailboxes(
        &self,
        account: &Account,
    ) -> impl Future<Output = Result<Vec<MailboxInfo>, StoreError>> + Send;

    /// Lists the names an account is subscribed to, by name, whether or not a mailbox exists there.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn subscriptions(
        &self,
        account: &Account,
    ) -> impl Future<Output = Result<Vec<MailboxName>, StoreError>> + Send;

    /// Lists the annotations that an account has on a mailbox, or on itself, by name (RFC 5464).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when the mailbox does not exist (any more), others when it cannot be read.
    fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> impl Future<Output = Result<Vec<Annotation>, StoreError>> + Send;

    /// Lists who was given rights on a mailbox, by identifier (RFC 4314).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn acl(&self, mailbox: MailboxId) -> impl Future<Output = Result<Vec<AclEntry>, StoreError>> + Send;

    /// Lists the mailboxes whose access control list names one of these identifiers, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn shared_with(
        &self,
        identifiers: &[Identifier],
    ) -> impl Future<Output = Result<Vec<SharedMailbox>, StoreError>> + Send;

    /// Tells how much an account keeps; nothing for an account that is not known.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn usage(&self, account: &Account) -> impl Future<Output = Result<Usage, StoreError>> + Send;

    /// Describes a mailbox as it is at one moment.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn snapshot(&self, mailbox: MailboxId) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    /// Tells what is in a mailbox, as much of it as it takes to open it.
    ///
    /// All of it is as it was when [`Snapshot::highest_mod_seq`] was the highest, or later: what has changed since is to
    /// be asked for from there on. By default it is read page by page; a store that keeps it at hand is faster.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn contents(&self, mailbox: MailboxId) -> impl Future<Output = Result<Contents, StoreError>> + Send {
        async move {
            let mut contents = Contents::new(self.snapshot(mailbox).await?);
            let mut next = Some(Scan::all(Fields::FLAGS).limit(10_000));
            while let Some(scan) = next {
                let page = self.scan(mailbox, scan.clone()).await?;
                page.messages.iter().for_each(|message| contents.add(message));
                next = scan.after(&page);
            }
            Ok(contents)
        }
    }

    /// Reads messages in the order of their UIDs, page by page; a page shows one moment.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn scan(&self, mailbox: MailboxId, scan: Scan) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Tells which UIDs were expunged after a mod-sequence (RFC 7162 §3.2).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn vanished(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> impl Future<Output = Result<Vanished, StoreError>> + Send;

    /// Begins to take the bytes of a message.
    fn new_blob(&self) -> Self::BlobWriter;

    /// Reads bytes of a message, from the start of the range on.
    ///
    /// Returns at most 256 KiB, so perhaps less than the range; the caller goes on from there. Nothing is returned
    /// for an empty range and behind the end.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBlob`] when its last message was expunged, [`StoreError::Corrupt`] when the bytes are not
    /// those that were written, others when it cannot be read.
    fn read_blob(
        &self,
        blob: &BlobRef,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Bytes, StoreError>> + Send;

    /// Reads bytes of several messages, each as [`read_blob`](Store::read_blob) does, and answers in their order. For
    /// whoever reads many short ones: a store may be much faster at it than at one after the other. All that is read is
    /// held at once.
    fn read_blobs(
        &self,
        wanted: &[(BlobRef, Range<u64>)],
    ) -> impl Future<Output = Vec<Result<Bytes, StoreError>>> + Send {
        async move {
            let mut octets = Vec::with_capacity(wanted.len());
            for (blob, range) in wanted {
                octets.push(self.read_blob(blob, range.clone()).await);
            }
            octets
        }
    }

    /// Reads the spool in the order of its keys, those above `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn spool(
        &self,
        after: Option<SpoolKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SpoolEntry>, StoreError>> + Send;

    /// Opens a feed of what changes in an account from here on.
    fn subscribe(&self, account: &Account) -> Feed;
}

/// Takes the bytes of one message, piece by piece; dropping it forgets them.
pub trait BlobWriter: Send + 'static {
    /// Takes the next bytes. Long messages are never held in memory as a whole.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be written; the writer is of no use after that.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends the message. Its bytes become durable with the first commit that refers to them.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be written.
    fn finish(self) -> impl Future<Output = Result<BlobRef, StoreError>> + Send;
}

/// A mailbox in the list of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxInfo {
    /// Its id.
    pub id: MailboxId,
    /// Its name.
    pub name: MailboxName,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Whether the account is subscribed to its name.
    pub subscribed: bool,
}

impl MailboxInfo {
    /// Makes an entry; for stores.
    pub const fn new(
        id: MailboxId,
        name: MailboxName,
        special_use: Option<SpecialUse>,
        subscribed: bool,
    ) -> Self {
        Self {
            id,
            name,
            special_use,
            subscribed,
        }
    }
}

/// A mailbox that is shared with somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedMailbox {
    /// Whose it is.
    pub account: Account,
    /// Its id.
    pub mailbox: MailboxId,
    /// Its name.
    pub name: MailboxName,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
}

impl SharedMailbox {
    /// Makes an entry; for stores.
    pub const fn new(
        account: Account,
        mailbox: MailboxId,
        name: MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Self {
        Self {
            account,
            mailbox,
            name,
            special_use,
        }
    }
}

/// How much an account keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The octets of all its messages.
    pub octets: u64,
    /// The number of its messages.
    pub messages: u64,
}

impl Usage {
    /// Makes it from its numbers; for stores.
    pub const fn new(octets: u64, messages: u64) -> Self {
        Self { octets, messages }
    }
}

/// A mailbox at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The account it belongs to.
    pub account: Account,
    /// Its name.
    pub name: MailboxName,
    /// Its UIDVALIDITY, which stays as long as the mailbox lives.
    pub uid_validity: UidValidity,
    /// The UID that the next message will have at least; `None` when all are used up.
    pub uid_next: Option<Uid>,
    /// The mod-sequence of its last change, at least 1.
    pub highest_mod_seq: ModSeq,
    /// The number of messages.
    pub exists: u32,
    /// The number of messages without \Seen.
    pub unseen: u32,
    /// The number of messages with \Deleted.
    pub deleted: u32,
    /// The octets of all messages.
    pub size: u64,
    /// The octets of the messages with \Deleted.
    pub deleted_size: u64,
}

impl Snapshot {
    /// Makes the snapshot of an empty mailbox; for stores, which fill in the rest.
    pub const fn new(account: Account, name: MailboxName, uid_validity: UidValidity) -> Self {
        Self {
            account,
            name,
            uid_validity,
            uid_next: Some(Uid::MIN),
            highest_mod_seq: ModSeq::ONE,
            exists: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            deleted_size: 0,
        }
    }
}

/// What it takes to open a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// The mailbox.
    pub snapshot: Snapshot,
    /// The messages that it has.
    pub uids: UidSet,
    /// Those of them without \Seen.
    pub unseen: UidSet,
    /// The keywords that messages have; some may be of messages that had them once.
    pub keywords: BTreeSet<Keyword>,
}

impl Contents {
    /// Makes the contents of a mailbox without messages; for stores, which add those.
    pub const fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            uids: UidSet::new(),
            unseen: UidSet::new(),
            keywords: BTreeSet::new(),
        }
    }

    /// Adds a message of which [`Fields::FLAGS`] were read.
    pub fn add(&mut self, message: &Message) {
        self.uids.insert(message.uid);
        if !message.flags.contains(SystemFlags::SEEN) {
            self.unseen.insert(message.uid);
        }
        for keyword in message.flags.keywords() {
            if !self.keywords.contains(keyword) {
                self.keywords.insert(keyword.clone());
            }
        }
    }
}

/// What to read of which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan {
    /// The messages; those that do not exist are passed over.
    pub uids: UidSet,
    /// What to read beyond UID and mod-sequence.
    pub fields: Fields,
    /// Only messages with a higher mod-sequence.
    pub since: Option<ModSeq>,
    /// The most messages of a page, 1,000 by default; a store may give fewer.
    pub limit: usize,
}

impl Scan {
    /// Reads these messages.
    pub const fn new(uids: UidSet, fields: Fields) -> Self {
        Self {
            uids,
            fields,
            since: None,
            limit: 1000,
        }
    }

    /// Reads all messages.
    pub fn all(fields: Fields) -> Self {
        Self::new(UidSet::all(), fields)
    }

    /// Reads only those that have changed since.
    #[must_use]
    pub const fn since(mut self, since: ModSeq) -> Self {
        self.since = Some(since);
        self
    }

    /// Sets the most messages of a page.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Returns the scan that goes on where a page ended; `None` when it was the last.
    pub fn after(mut self, page: &Page) -> Option<Self> {
        self.uids = self.uids.intersection(&(page.next?..=Uid::MAX).into());
        Some(self)
    }
}

/// A set of fields of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fields(u16);

impl Fields {
    /// UID and mod-sequence, which are always read.
    pub const NONE: Self = Self(0);
    /// The flags.
    pub const FLAGS: Self = Self(1);
    /// Internal date and save date.
    pub const DATES: Self = Self(2);
    /// The reference to the bytes, and with it the size.
    pub const BLOB: Self = Self(4);
    /// The part index.
    pub const INDEX: Self = Self(8);
    /// The size alone, which is cheaper to read than [`Fields::BLOB`].
    pub const SIZE: Self = Self(16);
    /// The thread.
    pub const THREAD: Self = Self(32);
    /// The sort keys, and what put it into its thread.
    pub const SORT: Self = Self(64);
    /// The text that is searched; of a message without, its octets, where the store has them at hand.
    pub const TEXT: Self = Self(128);
    /// Which strings the text cannot hold, as far as the store has kept that.
    pub const SKETCH: Self = Self(256);
    /// All of them.
    pub const ALL: Self = Self(511);

    /// Joins two sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Fields {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// Messages in the order of their UIDs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The messages.
    pub messages: Vec<Message>,
    /// Where to go on; `None` when there are no more. There may be none there either.
    pub next: Option<Uid>,
    /// The mailbox's highest mod-sequence at the moment of the page.
    pub highest_mod_seq: ModSeq,
}

impl Page {
    /// Makes a page; for stores.
    pub const fn new(messages: Vec<Message>, next: Option<Uid>, highest_mod_seq: ModSeq) -> Self {
        Self {
            messages,
            next,
            highest_mod_seq,
        }
    }
}

/// A message in its mailbox. Fields that were not asked for are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// The mod-sequence of its last change.
    pub mod_seq: ModSeq,
    /// Its flags ([`Fields::FLAGS`]).
    pub flags: Flags,
    /// Its internal date, in seconds since 1970-01-01 UTC ([`Fields::DATES`]).
    pub internal_date: i64,
    /// When it came into this mailbox, in the same form (RFC 8514; [`Fields::DATES`]).
    pub save_date: i64,
    /// Its bytes ([`Fields::BLOB`]).
    pub blob: Option<BlobRef>,
    /// The bytes of its part index ([`Fields::INDEX`]).
    pub index: Bytes,
    /// Its thread ([`Fields::THREAD`]).
    pub thread: ThreadId,
    /// What it is sorted by, as whoever added it computed it ([`Fields::SORT`]).
    pub sort_keys: Bytes,
    /// What put it into its thread ([`Fields::SORT`]).
    pub threading: Threading,
    /// Which strings its text cannot hold ([`Fields::SKETCH`]). A store need not keep this: none is as good an answer, for
    /// which whoever searches reads the text.
    pub sketch: Bytes,
    /// Its text as it is searched, where that was kept ([`Fields::TEXT`]).
    pub text: Option<Bytes>,
    /// All its octets, where no text was kept and the store reads them as cheaply ([`Fields::TEXT`]): a store need not
    /// have this of any message, and has it of short ones only.
    pub content: Option<Bytes>,
    size: u64,
}

impl Message {
    /// Makes a message with empty fields; for stores.
    pub fn new(uid: Uid, mod_seq: ModSeq) -> Self {
        Self {
            uid,
            mod_seq,
            flags: Flags::new(),
            internal_date: 0,
            save_date: 0,
            blob: None,
            index: Bytes::new(),
            thread: ThreadId::default(),
            sort_keys: Bytes::new(),
            threading: Threading::default(),
            sketch: Bytes::new(),
            text: None,
            content: None,
            size: 0,
        }
    }

    /// Sets the size of a message whose bytes were not asked for; for stores.
    #[must_use]
    pub fn with_size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    /// Returns the size in octets (RFC822.SIZE); 0 when neither [`Fields::SIZE`] nor [`Fields::BLOB`] was asked for.
    pub fn size(&self) -> u64 {
        self.blob.as_ref().map_or(self.size, BlobRef::size)
    }
}

/// The UIDs that were expunged from a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vanished {
    /// Those that are remembered.
    pub uids: UidSet,
    /// Whether these are all. If not, more may be gone: compare what is there.
    pub complete: bool,
}

impl Vanished {
    /// Makes it; for stores.
    pub const fn new(uids: UidSet, complete: bool) -> Self {
        Self { uids, complete }
    }
}

/// A record of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolEntry {
    /// Its key.
    pub key: SpoolKey,
    /// The record as it was put.
    pub record: Bytes,
    /// The bytes it keeps alive.
    pub blob: Option<BlobRef>,
}

impl SpoolEntry {
    /// Makes an entry; for stores.
    pub const fn new(key: SpoolKey, record: Bytes, blob: Option<BlobRef>) -> Self {
        Self { key, record, blob }
    }
}

/// Why something could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The mailbox does not exist (any more).
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// The bytes are not there (any more).
    #[error("no such blob")]
    NoSuchBlob,
    /// What is on the disk is not what was written there.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// There is no room on the disk.
    #[error("no space left for mail")]
    Full,
    /// The disk failed.
    #[error("storage failed: {0}")]
    Io(String),
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Tells whether the same may succeed later: a peer is told "try again".
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Full | Self::Io(_) | Self::Closed)
    }
}
