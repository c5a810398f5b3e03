//! Commands as they are written (RFC 3501 §6)

use super::{
    AclCommand, ApplePushCommand, MetadataCommand, NotifyCommand, QuotaCommand, SearchInCommand, SortCommand,
    ThreadCommand,
};
use crate::{
    Date, DateTime, FetchItem, Flag, Flags, Page, SeqNumber, SequenceSet, StatusItem, StoreAction, UidSet,
};
use bytes::Bytes;
use mailwright_sasl::Secret;
use std::num::NonZeroU32;

/// A command with its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// The tag.
    pub tag: Bytes,
    /// The rest.
    pub body: Body,
}

/// A command without its tag. Mailbox names are as on the wire, not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE
    Authenticate {
        /// The mechanism's name.
        mechanism: Bytes,
        /// The initial response in base64 or `=` (RFC 4959).
        initial: Option<Secret>,
    },
    /// LOGIN
    Login {
        /// The user.
        username: Bytes,
        /// The password.
        password: Secret,
    },
    /// ENABLE (RFC 5161)
    Enable(Vec<Bytes>),
    /// ID (RFC 2971); empty for NIL.
    Id(Vec<(Bytes, Option<Bytes>)>),
    /// SELECT, EXAMINE
    Select {
        /// The mailbox.
        mailbox: Bytes,
        /// EXAMINE.
        read_only: bool,
        /// CONDSTORE (RFC 7162 §3.1.8).
        condstore: bool,
        /// QRESYNC (RFC 7162 §3.2.5).
        resync: Option<Resync>,
    },
    /// CREATE
    Create {
        /// The mailbox.
        mailbox: Bytes,
        /// USE: attributes as written, such as `\Sent` (RFC 6154 §3).
        special_use: Vec<Bytes>,
    },
    /// DELETE
    Delete(Bytes),
    /// RENAME
    Rename {
        /// The old name.
        from: Bytes,
        /// The new name.
        to: Bytes,
    },
    /// SUBSCRIBE
    Subscribe(Bytes),
    /// UNSUBSCRIBE
    Unsubscribe(Bytes),
    /// LIST
    List {
        /// The reference name.
        reference: Bytes,
        /// The patterns; one without LIST-EXTENDED.
        patterns: Vec<Bytes>,
        /// Options; `None` if the command is not in the extended form.
        options: Option<ListOptions>,
    },
    /// LSUB
    Lsub {
        /// The reference name.
        reference: Bytes,
        /// The pattern.
        pattern: Bytes,
    },
    /// NAMESPACE (RFC 2342)
    Namespace,
    /// STATUS
    Status {
        /// The mailbox.
        mailbox: Bytes,
        /// What is asked for.
        items: Vec<StatusItem>,
    },
    /// APPEND, without the message.
    Append {
        /// The mailbox.
        mailbox: Bytes,
        /// The message's flags.
        flags: Flags,
        /// Its internal date.
        internal_date: Option<DateTime>,
    },
    /// GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208)
    Quota(QuotaCommand),
    /// SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314)
    Acl(AclCommand),
    /// GETMETADATA, SETMETADATA (RFC 5464)
    Metadata(MetadataCommand),
    /// SORT (RFC 5256)
    Sort(SortCommand),
    /// THREAD (RFC 5256)
    Thread(ThreadCommand),
    /// ESEARCH (RFC 7377)
    SearchIn(SearchInCommand),
    /// NOTIFY (RFC 5465)
    Notify(NotifyCommand),
    /// XAPPLEPUSHSERVICE
    ApplePush(ApplePushCommand),
    /// COMPRESS (RFC 4978), with the algorithm's name.
    Compress(Bytes),
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// REPLACE (RFC 8508), without the message.
    Replace {
        /// UID REPLACE.
        uid: bool,
        /// The message to replace.
        number: SeqNumber,
        /// The mailbox.
        mailbox: Bytes,
        /// The message's flags.
        flags: Flags,
        /// Its internal date.
        internal_date: Option<DateTime>,
    },
    /// IDLE (RFC 2177)
    Idle,
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// UNSELECT (RFC 3691)
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with a set (RFC 4315).
    Expunge(Option<SequenceSet>),
    /// SEARCH
    Search {
        /// UID SEARCH.
        uid: bool,
        /// What to return (RFC 4731); `None` without RETURN.
        returns: Option<ReturnOptions>,
        /// The charset of the strings.
        charset: Option<Bytes>,
        /// The keys, all of which must match.
        keys: Vec<SearchKey>,
    },
    /// FETCH
    Fetch {
        /// UID FETCH.
        uid: bool,
        /// The messages.
        set: SequenceSet,
        /// What to tell of them, macros expanded.
        items: Vec<FetchItem>,
        /// UID is among what to tell.
        with_uid: bool,
        /// What limits it further.
        modifiers: FetchModifiers,
    },
    /// STORE
    Store {
        /// UID STORE.
        uid: bool,
        /// The messages.
        set: SequenceSet,
        /// What to do.
        action: StoreAction,
        /// `.SILENT`
        silent: bool,
        /// The flags.
        flags: Flags,
        /// UNCHANGEDSINCE (RFC 7162).
        unchanged_since: Option<u64>,
    },
    /// COPY, or MOVE (RFC 6851).
    Copy {
        /// UID COPY, UID MOVE.
        uid: bool,
        /// MOVE.
        moving: bool,
        /// The messages.
        set: SequenceSet,
        /// Where to.
        mailbox: Bytes,
    },
}

/// What a client with a cache says when it selects a mailbox (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resync {
    /// The UID validity that the client knows.
    pub uid_validity: NonZeroU32,
    /// Its highest mod-sequence.
    pub mod_seq: u64,
    /// The UIDs it knows; `None` for all up to the next UID.
    pub known: Option<UidSet>,
    /// Some sequence numbers, and the UIDs that belong to them, pairwise and ascending.
    pub sample: Option<(UidSet, UidSet)>,
}

impl Resync {
    /// Makes the parameter of a client that knows all UIDs up to the next one.
    pub fn new(uid_validity: NonZeroU32, mod_seq: u64) -> Self {
        Self {
            uid_validity,
            mod_seq,
            known: None,
            sample: None,
        }
    }
}

/// The modifiers of FETCH (RFC 4466).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchModifiers {
    /// CHANGEDSINCE (RFC 7162 §3.1.4.1).
    pub changed_since: Option<u64>,
    /// VANISHED (RFC 7162 §3.2.6).
    pub vanished: bool,
    /// PARTIAL (RFC 9394).
    pub partial: Option<Page>,
}

/// The options of an extended LIST (RFC 5258, RFC 6154, RFC 5819).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOptions {
    /// Select only subscribed names.
    pub subscribed: bool,
    /// Select names with matching children too.
    pub recursive: bool,
    /// Select only names with a special use.
    pub special_use: bool,
    /// Return whether they are subscribed.
    pub return_subscribed: bool,
    /// Return whether they have children.
    pub return_children: bool,
    /// Return special uses.
    pub return_special_use: bool,
    /// Return STATUS items.
    pub return_status: Vec<StatusItem>,
    /// Return the user's rights (RFC 8440).
    pub return_my_rights: bool,
    /// Return annotations (RFC 9590).
    pub return_metadata: Vec<crate::EntryName>,
}

/// What SEARCH RETURN asks for (RFC 4731, RFC 5182, RFC 9394). None of them means ALL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ReturnOptions {
    /// The smallest number.
    pub min: bool,
    /// The largest.
    pub max: bool,
    /// All, as a set.
    pub all: bool,
    /// How many there are.
    pub count: bool,
    /// Keep the result as `$`.
    pub save: bool,
    /// A page of them.
    pub partial: Option<Page>,
}

/// A search key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchKey {
    /// ALL
    All,
    /// NEW
    New,
    /// OLD
    Old,
    /// RECENT
    Recent,
    /// ANSWERED and the like, KEYWORD
    Has(Flag),
    /// UNANSWERED and the like, UNKEYWORD
    Lacks(Flag),
    /// BEFORE
    Before(Date),
    /// ON
    On(Date),
    /// SINCE
    Since(Date),
    /// SENTBEFORE
    SentBefore(Date),
    /// SENTON
    SentOn(Date),
    /// SENTSINCE
    SentSince(Date),
    /// LARGER
    Larger(u64),
    /// SMALLER
    Smaller(u64),
    /// HEADER, and FROM, TO, CC, BCC, SUBJECT
    Header(Bytes, Bytes),
    /// BODY
    Body(Bytes),
    /// TEXT
    Text(Bytes),
    /// YOUNGER (RFC 5032)
    Younger(u32),
    /// OLDER (RFC 5032)
    Older(u32),
    /// MODSEQ (RFC 7162); entry names are not kept, for all flags share one mod-sequence.
    ModSeq(u64),
    /// EMAILID (RFC 8474)
    EmailId(Bytes),
    /// THREADID (RFC 8474)
    ThreadId(Bytes),
    /// SAVEDBEFORE (RFC 8514)
    SavedBefore(Date),
    /// SAVEDON
    SavedOn(Date),
    /// SAVEDSINCE
    SavedSince(Date),
    /// SAVEDATESUPPORTED
    SaveDateSupported,
    /// A set of sequence numbers, or `$`.
    Sequence(SequenceSet),
    /// UID
    Uid(SequenceSet),
    /// NOT
    Not(Box<Self>),
    /// OR
    Or(Box<Self>, Box<Self>),
    /// Keys in parentheses.
    And(Vec<Self>),
}
