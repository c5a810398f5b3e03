//! What an IMAP server asks of whoever keeps the mail (RFC 9051 §2)
//!
//! [`Backend`] says who may log in, [`Mailboxes`] is what one of them has. Four methods are needed for mail that is
//! read; each [ability](Abilities) beyond asks for a few more, and is offered to clients only where it is there.

use crate::deltas::Delta;
use bytes::Bytes;
use mailwright_imap::{Capability, Criterion, Namespaces, Quota, QuotaResource, Rejection};
use mailwright_mailbox::{
    Account, AclEntry, Annotation, CommitError, Contents, EntryName, Feed, Fields, FlagChange, Flags,
    Identifier, MailboxId, MailboxName, Message, ModSeq, Page, Rights, Scan, Snapshot, SpecialUse,
    StoreError, Uid, UidSet, UidValidity, Vanished,
};
use mailwright_sasl::{Answer, Identity, Question};
use std::future::ready;
use std::net::SocketAddr;
use std::ops::{BitOr, Range};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Who may log in, and to what. One value serves all sessions.
pub trait Backend: Send + Sync + 'static {
    /// What somebody who is logged in has.
    type Mailboxes: Mailboxes;

    /// Answers whether credentials are good. An exchange that goes on, as SCRAM's, may be answered with what the
    /// password is checked against. `client` is where it comes from.
    fn authenticate(&self, question: Question, client: SocketAddr) -> impl Future<Output = Answer> + Send;

    /// Tells the name of the user that a certificate stands for and that may act as `authzid`, if one is given. The
    /// certificate, in DER, is the client's, and was verified when TLS started. By default it stands for nobody; whom it
    /// stands for is offered EXTERNAL (RFC 4422 Appendix A).
    fn of_certificate(&self, _certificate: &[u8], _authzid: Option<&str>) -> Option<String> {
        None
    }

    /// Opens the mailboxes of somebody who was authenticated, and comes from `client`.
    ///
    /// # Errors
    /// When there are none, or no more sessions are wanted: the session ends with the reason.
    fn open(
        self: &Arc<Self>,
        user: &Identity,
        client: SocketAddr,
    ) -> impl Future<Output = Result<Self::Mailboxes, Failure>> + Send;

    /// Tells whether something is offered to a user at all, whom the name was given by and who need not exist. For
    /// clients that break on it. By default everything is that [`Mailboxes::ABILITIES`] serve.
    fn offers(&self, _user: &str, _capability: Capability) -> bool {
        true
    }
}

/// The mailboxes of one user, as one session sees them.
///
/// Nothing is assumed to stay as it was read: other programs may change the mail at any time. What is told must
/// follow a few rules, which are those of IMAP:
///
/// - a [`Uid`] is never given to another message of a mailbox that has the same [`UidValidity`], and one that comes
///   later is higher than all before;
/// - the octets of a message never change, nor does its internal date;
/// - where there are mod-sequences ([`Abilities::MOD_SEQS`]), each change of a message gives it a higher one than
///   any in the mailbox before, and raises that of the mailbox.
pub trait Mailboxes: Send + Sync + 'static {
    /// What is there beyond reading. By default nothing.
    const ABILITIES: Abilities = Abilities::READ;

    /// Takes the octets of one message; [`ReadOnly`] where there is no [`Abilities::CHANGE`].
    type Incoming: Incoming;

    /// Waits for leave to work on one more command, where all sessions of a user together may work on no more than some
    /// at once. By default there is no such bound.
    fn admit(&self) -> impl Future<Output = Admission> + Send {
        ready(Admission::default())
    }

    /// Lists the mailboxes by name, in any order. Levels above them need not be listed.
    ///
    /// # Errors
    /// When they cannot be read.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, Failure>> + Send;

    /// Describes a mailbox as it is at one moment.
    ///
    /// # Errors
    /// [`Failure::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn snapshot(&self, mailbox: MailboxId) -> impl Future<Output = Result<Snapshot, Failure>> + Send;

    /// Tells what is in a mailbox that is being opened, as it was at [`Snapshot::highest_mod_seq`] or later. By default
    /// it is read page by page.
    ///
    /// # Errors
    /// [`Failure::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn contents(&self, mailbox: MailboxId) -> impl Future<Output = Result<Contents, Failure>> + Send {
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

    /// Reads messages in the order of their UIDs, page by page; a page shows one moment. [`page`] makes a page of
    /// messages that are at hand.
    ///
    /// A message tells its size by [`Message::with_size`]. [`Message::index`] may be empty: then it is made from
    /// the octets where it is needed, each time.
    ///
    /// # Errors
    /// [`Failure::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn scan(&self, mailbox: MailboxId, scan: Scan) -> impl Future<Output = Result<Page, Failure>> + Send;

    /// Reads octets of a message of that mailbox, from the start of the range on; perhaps less than the range, but
    /// nothing only behind the end.
    ///
    /// # Errors
    /// [`Failure::Gone`] when the message was expunged, others when it cannot be read.
    fn read(
        &self,
        mailbox: MailboxId,
        message: &Message,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Bytes, Failure>> + Send;

    /// Reads octets of several messages of that mailbox, each as [`read`](Mailboxes::read) does, and answers in their
    /// order. It is asked for no more than 256 KiB at a time, and worth implementing where one question for many
    /// messages is cheaper than a question for each.
    fn read_many(
        &self,
        mailbox: MailboxId,
        wanted: &[(&Message, Range<u64>)],
    ) -> impl Future<Output = Vec<Result<Bytes, Failure>>> + Send {
        async move {
            let mut octets = Vec::with_capacity(wanted.len());
            for (message, range) in wanted {
                octets.push(self.read(mailbox, message, range.clone()).await);
            }
            octets
        }
    }

    /// Finds one mailbox. By default in [`list`](Mailboxes::list).
    ///
    /// # Errors
    /// [`Failure::NoSuchMailbox`] when there is none, others when it cannot be read.
    fn find(&self, name: &MailboxName) -> impl Future<Output = Result<Listed, Failure>> + Send {
        async move {
            let found = self.list().await?.into_iter().find(|listed| listed.name == *name);
            found.ok_or(Failure::NoSuchMailbox)
        }
    }

    /// Finds the messages of a mailbox that fulfil a criterion, in order. By default `None`: the session finds them by
    /// reading, as exactly as RFC 9051 §6.4.4 has it.
    ///
    /// # Errors
    /// When something cannot be read.
    fn search(
        &self,
        mailbox: MailboxId,
        wanted: &Criterion,
    ) -> impl Future<Output = Result<Option<Vec<Uid>>, Failure>> + Send {
        let _ = (mailbox, wanted);
        ready(Ok(None))
    }

    /// Lists the names that are subscribed to and have no mailbox. By default none.
    ///
    /// # Errors
    /// When they cannot be read.
    fn subscriptions(&self) -> impl Future<Output = Result<Vec<MailboxName>, Failure>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Tells where the own and others' mailboxes are (RFC 2342). By default all are the user's own.
    fn namespaces(&self) -> Namespaces {
        Namespaces::default()
    }

    /// Tells whether mail is delivered to a mailbox (`inboxes`, RFC 5465 §6.3). By default to all of the user's own, as
    /// RFC 5465 has it where that is not known.
    fn receives(&self, mailbox: &Listed) -> bool {
        mailbox.owner.is_none()
    }

    /// Opens a feed of what changes in the user's own mailboxes, or in those of somebody else, whom
    /// [`Listed::owner`] has named. Without one, changes are noticed with the client's next command: an idling one hears nothing.
    fn feed(&self, _owner: Option<&Account>) -> Option<Feed> {
        None
    }

    /// Waits until the user loses the right to be here: the account was removed, or its password changed. The session
    /// ends then. By default that does not happen. It is called anew for every command, and dropped in between.
    fn revoked(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Tells which UIDs were expunged after a mod-sequence. By default that is not known, and found out by
    /// comparing.
    ///
    /// # Errors
    /// [`Failure::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn vanished(
        &self,
        _mailbox: MailboxId,
        _since: ModSeq,
    ) -> impl Future<Output = Result<Vanished, Failure>> + Send {
        async { Ok(Vanished::default()) }
    }

    /// Tells what has changed in a mailbox after a mod-sequence; where `until` is given, only as far as that has to be
    /// told. By default it is read by [`scan`](Mailboxes::scan) and [`vanished`](Mailboxes::vanished). Worth implementing
    /// where many sessions select one mailbox: each change makes all of them ask, most of them the same.
    ///
    /// # Errors
    /// [`Failure::NoSuchMailbox`] when it does not exist (any more), others when it cannot be read.
    fn delta(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        _until: Option<ModSeq>,
    ) -> impl Future<Output = Result<Arc<Delta>, Failure>> + Send {
        async move { Ok(Arc::new(read_delta(self, mailbox, since).await?)) }
    }

    /// Begins to take a message that is to be appended there ([`Abilities::CHANGE`]).
    ///
    /// # Errors
    /// When it cannot come: a mailbox that is full or read-only.
    fn incoming(
        &self,
        _mailbox: &Listed,
        _octets: u64,
    ) -> impl Future<Output = Result<Self::Incoming, Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Adds messages, all of them or none, and returns when they are durable ([`Abilities::CHANGE`]). In the same
    /// step, the message that they replace is removed, if there is one and it still exists.
    ///
    /// # Errors
    /// [`Failure`] says why none was added.
    fn append(
        &self,
        _mailbox: MailboxId,
        _messages: Vec<NewMessage<Self::Incoming>>,
        _replaced: Option<(MailboxId, Uid)>,
    ) -> impl Future<Output = Result<Appended, Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Changes flags ([`Abilities::CHANGE`]), but of messages that have a higher mod-sequence than
    /// `unchanged_since`. Messages that do not exist are passed over.
    ///
    /// # Errors
    /// [`Failure`] says why nothing was changed.
    fn store(
        &self,
        _mailbox: MailboxId,
        _uids: UidSet,
        _change: FlagChange,
        _unchanged_since: Option<ModSeq>,
    ) -> impl Future<Output = Result<Stored, Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Copies messages, or moves them, all of them or none ([`Abilities::CHANGE`]). Messages that do not exist are
    /// passed over.
    ///
    /// # Errors
    /// [`Failure`] says why nothing was done.
    fn copy(
        &self,
        _from: MailboxId,
        _uids: UidSet,
        _to: MailboxId,
        _moving: bool,
    ) -> impl Future<Output = Result<Copied, Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Removes those messages that have \Deleted, for good ([`Abilities::CHANGE`]).
    ///
    /// # Errors
    /// [`Failure`] says why nothing was removed.
    fn expunge(
        &self,
        _mailbox: MailboxId,
        _uids: UidSet,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Creates a mailbox ([`Abilities::FOLDERS`]); levels above it need not exist.
    ///
    /// # Errors
    /// [`Failure`] says why there is none.
    fn create(
        &self,
        _name: &MailboxName,
        _special_use: Option<SpecialUse>,
    ) -> impl Future<Output = Result<MailboxId, Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Deletes a mailbox with its messages, but not those below it ([`Abilities::FOLDERS`]).
    ///
    /// # Errors
    /// [`Failure`] says why it is still there.
    fn delete(&self, _name: &MailboxName) -> impl Future<Output = Result<MailboxId, Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Renames a mailbox and those below it; of INBOX, only the messages move (RFC 9051 §6.3.6;
    /// [`Abilities::FOLDERS`]).
    ///
    /// # Errors
    /// [`Failure`] says why nothing was renamed.
    fn rename(
        &self,
        _from: &MailboxName,
        _to: &MailboxName,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Lists the quota roots of the user, or those that count for a mailbox, which need not exist
    /// ([`Abilities::QUOTAS`]). By default there are none.
    ///
    /// # Errors
    /// When they cannot be read.
    fn quotas(
        &self,
        _mailbox: Option<&MailboxName>,
    ) -> impl Future<Output = Result<Vec<Quota>, Failure>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Finds a quota root that the user may ask about ([`Abilities::QUOTAS`]). By default one of its own.
    ///
    /// # Errors
    /// When it cannot be read.
    fn quota(&self, root: &str) -> impl Future<Output = Result<Option<Quota>, Failure>> + Send {
        async move {
            let mut own = self.quotas(None).await?.into_iter();
            Ok(own.find(|quota| quota.root == root))
        }
    }

    /// Sets the limits of a quota root, and returns what they are then ([`Abilities::QUOTAS`]). Those that are not
    /// listed are lifted. By default nobody may.
    ///
    /// # Errors
    /// [`Failure`] says why nothing was changed.
    fn set_quota(
        &self,
        _root: &str,
        _limits: &[(QuotaResource, u64)],
    ) -> impl Future<Output = Result<Quota, Failure>> + Send {
        async { Err(Rejection::NO_PERMISSION.into()) }
    }

    /// Lists who has which rights on a mailbox that the user may administer ([`Abilities::RIGHTS`]).
    ///
    /// # Errors
    /// [`Failure`] says why they are not told.
    fn acl(&self, _mailbox: MailboxId) -> impl Future<Output = Result<Vec<AclEntry>, Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Gives an identifier rights on a mailbox, in place of those it had ([`Abilities::RIGHTS`]); none takes it off
    /// the list.
    ///
    /// # Errors
    /// [`Failure`] says why nothing was changed.
    fn set_rights(
        &self,
        _mailbox: MailboxId,
        _identifier: &Identifier,
        _rights: Rights,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Tells which rights an identifier has on a mailbox whatever its list says ([`Abilities::RIGHTS`]). By default
    /// none.
    fn required_rights(&self, _mailbox: &Listed, _identifier: &str) -> Rights {
        Rights::NONE
    }

    /// Lists the annotations that a mailbox, or the server, has for this user ([`Abilities::ANNOTATIONS`]).
    ///
    /// # Errors
    /// [`Failure`] says why they are not told.
    fn annotations(
        &self,
        _mailbox: Option<MailboxId>,
    ) -> impl Future<Output = Result<Vec<Annotation>, Failure>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Sets annotations, or removes those without a value, all or none ([`Abilities::ANNOTATIONS`]).
    ///
    /// # Errors
    /// [`Failure`] says why nothing was changed.
    fn annotate(
        &self,
        _mailbox: Option<MailboxId>,
        _entries: Vec<(EntryName, Option<Bytes>)>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }

    /// Subscribes to a name or ends that, whether or not there is such a mailbox ([`Abilities::FOLDERS`]).
    ///
    /// # Errors
    /// [`Failure`] says why nothing was changed.
    fn subscribe(&self, _name: &MailboxName, _on: bool) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Err(Failure::READ_ONLY) }
    }
}

/// The leave to work on a command, which ends when this is dropped.
#[derive(Debug, Default)]
pub struct Admission {
    _permit: Option<OwnedSemaphorePermit>,
}

impl From<OwnedSemaphorePermit> for Admission {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self {
            _permit: Some(permit),
        }
    }
}

/// Takes the octets of one message, piece by piece; dropping it forgets them.
pub trait Incoming: Send + 'static {
    /// Takes the next octets.
    ///
    /// # Errors
    /// When they cannot be kept; the message is lost then.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), Failure>> + Send;

    /// All octets have come. What is needed for no more than taking them can go: other messages of the same command
    /// may follow before this one is appended.
    ///
    /// # Errors
    /// When they cannot be kept; the message is lost then.
    fn end(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The [`Incoming`] of mailboxes that take no messages: there is none.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // empty by purpose
pub enum ReadOnly {}

impl Incoming for ReadOnly {
    async fn write(&mut self, _: Bytes) -> Result<(), Failure> {
        match *self {}
    }

    async fn end(&mut self) -> Result<(), Failure> {
        match *self {}
    }
}

/// What [`Mailboxes`] can do. What clients are offered follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abilities(u16);

impl Abilities {
    /// Mailboxes can be listed and read, which is always so.
    pub const READ: Self = Self(0);
    /// Messages can be appended, copied, moved and expunged, and their flags changed. Without it every mailbox is
    /// read-only.
    pub const CHANGE: Self = Self(1);
    /// Mailboxes can be created, deleted, renamed and subscribed to.
    pub const FOLDERS: Self = Self(1 << 1);
    /// Messages and mailboxes have mod-sequences (RFC 7162). Without them, messages that come and go are noticed by
    /// comparing, and flags that others change are not.
    pub const MOD_SEQS: Self = Self(1 << 2);
    /// Messages tell by [`Message::blob`] which of them have the same octets, and by [`Message::thread`] which
    /// belong together; a [`MailboxId`] stays through renames, and is never given twice (RFC 8474).
    pub const OBJECT_IDS: Self = Self(1 << 3);
    /// Messages have save dates (RFC 8514).
    pub const SAVE_DATES: Self = Self(1 << 4);
    /// There are quotas (RFC 9208).
    pub const QUOTAS: Self = Self(1 << 5);
    /// Mailboxes are shared, and rights can be given (RFC 4314).
    pub const RIGHTS: Self = Self(1 << 6);
    /// Mailboxes and the server have annotations (RFC 5464).
    pub const ANNOTATIONS: Self = Self(1 << 7);
    /// [`Mailboxes::feed`] tells of every change: of messages, names, subscriptions, rights and annotations (RFC 5465).
    pub const FEEDS: Self = Self(1 << 8);
    /// All of them.
    pub const ALL: Self = Self((1 << 9) - 1);

    /// Tells whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Tells whether an extension can be offered over mailboxes that have these.
    pub fn serve(self, capability: Capability) -> bool {
        let needed = match capability {
            Capability::UidPlus
            | Capability::Move
            | Capability::AppendLimit
            | Capability::MultiAppend
            | Capability::Catenate
            | Capability::Replace => Self::CHANGE,
            Capability::CreateSpecialUse => Self::FOLDERS,
            Capability::CondStore | Capability::QResync => Self::MOD_SEQS,
            Capability::ObjectId => Self::OBJECT_IDS,
            Capability::SaveDate => Self::SAVE_DATES,
            Capability::Quota | Capability::QuotaSet => Self::QUOTAS,
            Capability::Acl | Capability::ListMyRights => Self::RIGHTS,
            Capability::Metadata | Capability::ListMetadata => Self::ANNOTATIONS,
            Capability::Notify => return self.contains(Self::MOD_SEQS) && self.contains(Self::FEEDS),
            Capability::LiteralPlus
            | Capability::SaslIr
            | Capability::Enable
            | Capability::Id
            | Capability::Idle
            | Capability::Namespace
            | Capability::Unselect
            | Capability::Children
            | Capability::SpecialUse
            | Capability::Esearch
            | Capability::StatusSize
            | Capability::ListExtended
            | Capability::ListStatus
            | Capability::Imap4Rev2
            | Capability::SearchRes
            | Capability::Within
            | Capability::Partial
            | Capability::Binary
            | Capability::Utf8Accept
            | Capability::Preview
            | Capability::StatusDeleted
            | Capability::UidOnly
            | Capability::Compress
            | Capability::Unauthenticate
            | Capability::Sort
            | Capability::SortDisplay
            | Capability::Esort
            | Capability::ThreadOrderedSubject
            | Capability::ThreadReferences
            | Capability::MultiSearch
            | Capability::InProgress => Self::READ,
            // What the engine can do and a session does not serve is not offered.
            _ => return false,
        };
        self.contains(needed)
    }
}

impl BitOr for Abilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A mailbox in the list of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its id.
    pub id: MailboxId,
    /// The name by which this user knows it.
    pub name: MailboxName,
    /// What it is for; nothing by default.
    pub special_use: Option<SpecialUse>,
    /// Whether the user is subscribed to its name; true by default.
    pub subscribed: bool,
    /// What the user may do with it; everything by default, as far as there are [`Abilities`] for it.
    pub rights: Rights,
    /// Whose it is, where that is somebody else; nobody by default.
    pub owner: Option<Account>,
}

impl Listed {
    /// Makes an entry.
    pub const fn new(id: MailboxId, name: MailboxName) -> Self {
        Self {
            id,
            name,
            special_use: None,
            subscribed: true,
            rights: Rights::ALL,
            owner: None,
        }
    }
}

/// A message that is to be appended.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewMessage<I> {
    /// Its octets.
    pub octets: I,
    /// The flags it begins with.
    pub flags: Flags,
    /// Its internal date, in seconds since 1970-01-01 UTC; `None` is this moment.
    pub internal_date: Option<i64>,
}

impl<I> NewMessage<I> {
    /// Joins the parts.
    pub const fn new(octets: I, flags: Flags, internal_date: Option<i64>) -> Self {
        Self {
            octets,
            flags,
            internal_date,
        }
    }
}

/// Where messages were appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The mailbox's UID validity.
    pub uid_validity: UidValidity,
    /// The UIDs of the messages, in their order.
    pub uids: UidSet,
}

impl Appended {
    /// Makes it.
    pub const fn new(uid_validity: UidValidity, uids: UidSet) -> Self {
        Self { uid_validity, uids }
    }
}

/// What became of flags that were to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The messages whose flags are different from before.
    pub changed: UidSet,
    /// The messages that exist and were passed over for having changed since.
    pub failed: UidSet,
    /// The mailbox's highest mod-sequence right after the change, if that is known. By this it is seen whether
    /// somebody else was faster.
    pub mod_seq: Option<ModSeq>,
}

impl Stored {
    /// Makes it.
    pub const fn new(changed: UidSet, failed: UidSet) -> Self {
        Self {
            changed,
            failed,
            mod_seq: None,
        }
    }

    /// The same, with the mailbox's highest mod-sequence right after the change.
    #[must_use]
    pub fn at(self, mod_seq: ModSeq) -> Self {
        Self {
            mod_seq: Some(mod_seq),
            ..self
        }
    }
}

/// Where messages were copied: the first of `from` became the first of `to`, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The target's UID validity.
    pub uid_validity: UidValidity,
    /// The messages.
    pub from: UidSet,
    /// What they are in the target; as many.
    pub to: UidSet,
}

impl Copied {
    /// Makes it.
    pub const fn new(uid_validity: UidValidity, from: UidSet, to: UidSet) -> Self {
        Self {
            uid_validity,
            from,
            to,
        }
    }
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The mailbox does not exist (any more).
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// The message was expunged.
    #[error("the message is gone")]
    Gone,
    /// An annotation is larger than this many octets.
    #[error("an annotation is larger than {0} octets")]
    AnnotationTooLarge(u32),
    /// There would be too many annotations.
    #[error("there are too many annotations")]
    TooManyAnnotations,
    /// It is refused, and the client is told why.
    #[error("refused: {0:?}")]
    Refused(Rejection),
    /// What is kept of a message is damaged; the client is told so.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// Something is broken: the client is told to try again, and the log tells what it is.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// Nothing can be changed here.
    pub const READ_ONLY: Self = Self::Refused(Rejection::CANNOT);
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchMailbox => Self::NoSuchMailbox,
            StoreError::NoSuchBlob => Self::Gone,
            StoreError::Corrupt(what) => Self::Damaged(what),
            error => Self::Broken(error.to_string()),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        use mailwright_imap::Code;

        Self::Refused(match error {
            CommitError::NoSuchMailbox { .. } => return Self::NoSuchMailbox,
            CommitError::NoSuchBlob { .. } => return Self::Gone,
            CommitError::AlreadyExists { .. } => Rejection::ALREADY_EXISTS,
            CommitError::HasChildren { .. } => {
                Rejection::new(Some(Code::HasChildren), "Other mailboxes are below this name")
            }
            CommitError::InvalidName { .. } => Rejection::CANNOT,
            CommitError::Limit { limit, .. } => {
                Rejection::new(Some(Code::Limit), format!("Over the limit of {limit}"))
            }
            CommitError::OverQuota { .. } => Rejection::OVER_QUOTA,
            error => return Self::Broken(error.to_string()),
        })
    }
}

/// Reads what has changed in a mailbox from the mailbox itself.
pub(super) async fn read_delta<M: Mailboxes + ?Sized>(
    mail: &M,
    mailbox: MailboxId,
    since: ModSeq,
) -> Result<Delta, Failure> {
    let (mut delta, mut until) = (Delta::default(), None);
    let mut next = Some(Scan::all(Fields::FLAGS).since(since));
    while let Some(scan) = next {
        let page = mail.scan(mailbox, scan.clone()).await?;
        // What changes while the pages are read is told once more by the next delta.
        until.get_or_insert(page.highest_mod_seq);
        next = scan.after(&page);
        let messages = page.messages.into_iter();
        delta
            .messages
            .extend(messages.map(|message| (message.uid, message.flags, message.mod_seq)));
    }
    delta.until = until.unwrap_or(since);
    delta.vanished = mail.vanished(mailbox, since).await?;
    Ok(delta)
}

/// The page of a scan over messages that are at hand, in the order of their UIDs.
pub fn page(scan: &Scan, messages: impl IntoIterator<Item = Message>, highest_mod_seq: ModSeq) -> Page {
    let mut wanted = messages.into_iter().filter(|message| {
        scan.uids.contains(message.uid) && scan.since.is_none_or(|since| message.mod_seq > since)
    });
    let page = wanted.by_ref().take(scan.limit.max(1)).collect();
    let next = wanted.next().map(|message| message.uid);
    Page::new(page, next, highest_mod_seq)
}
