//! Commands as they are written (RFC 3501 §6)

use super::{AclCommand, MetadataCommand, QuotaCommand};
use crate::{Date, DateTime, FetchItem, Flag, Flags, SequenceSet, SpecialUse, StatusItem, StoreAction};
use bytes::Bytes;
use mailwright_sasl::Secret;

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
    /// SELECT
    Select(Bytes),
    /// EXAMINE
    Examine(Bytes),
    /// CREATE
    Create {
        /// The mailbox.
        mailbox: Bytes,
        /// USE (RFC 6154).
        special_use: Vec<SpecialUse>,
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
    /// COMPRESS (RFC 4978), with the algorithm's name.
    Compress(Bytes),
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
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

/// What SEARCH RETURN asks for (RFC 4731). None of them means ALL.
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
    /// A set of sequence numbers.
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
