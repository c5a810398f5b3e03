//! What a client asks for, owned and resolved

use crate::{Criterion, DateTime, FetchItem, Flags, ObjectId, StatusItem, UidSet};
use bytes::Bytes;
use mailwright_sasl::{Identity, Question};

/// What the client did.
///
/// Events marked *question* are owed an answer; no other event comes before it was given. Any question can be
/// refused with [`reject`](crate::Server::reject). [`accept`](crate::Server::accept) is the plain yes, and ends
/// answers that are given row by row. Mailbox names are UTF-8; INBOX comes in that spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// *Question*, answered by [`answer_auth`](crate::Server::answer_auth): are these credentials good?
    /// From LOGIN and AUTHENTICATE.
    Auth(Question),
    /// The client is logged in as this user.
    Authenticated(Identity),
    /// The client said what it is (RFC 2971). For logs; RFC 2971 §1 forbids to behave differently.
    Id(Vec<(String, Option<String>)>),
    /// *Question*, answered by [`selected`](crate::Server::selected): SELECT, or EXAMINE if `read_only`.
    ///
    /// Whatever was selected before is closed without expunging.
    Select {
        /// The mailbox.
        mailbox: String,
        /// EXAMINE.
        read_only: bool,
    },
    /// *Question*, answered by [`created`](crate::Server::created) or [`accept`](crate::Server::accept): CREATE.
    /// A trailing delimiter has been taken off.
    Create {
        /// The mailbox.
        mailbox: String,
        /// What it is to be used for (RFC 6154 §3).
        special_use: Vec<crate::SpecialUse>,
    },
    /// *Question*: DELETE.
    Delete {
        /// The mailbox; never INBOX.
        mailbox: String,
    },
    /// *Question*: RENAME. Children move along. Renaming INBOX moves its messages and leaves it empty
    /// (RFC 3501 §6.3.5).
    Rename {
        /// The old name.
        from: String,
        /// The new name; never INBOX.
        to: String,
    },
    /// *Question*: SUBSCRIBE.
    Subscribe {
        /// The mailbox, which need not exist.
        mailbox: String,
    },
    /// *Question*: UNSUBSCRIBE.
    Unsubscribe {
        /// The mailbox.
        mailbox: String,
    },
    /// *Question*, answered by [`list`](crate::Server::list) for each mailbox of the account, then
    /// [`accept`](crate::Server::accept): LIST, LSUB. The engine picks what matches.
    List(ListRequest),
    /// *Question*, answered by [`status`](crate::Server::status): STATUS.
    Status {
        /// The mailbox.
        mailbox: String,
        /// What was asked for; more may be told, and is left out.
        items: Vec<StatusItem>,
    },
    /// *Question*, answered by [`accept`](crate::Server::accept) or [`reject`](crate::Server::reject): may this
    /// message come? From APPEND and REPLACE, before the client sends the message if it waits for our leave.
    Append(AppendRequest),
    /// The next octets of the message.
    AppendData(Bytes),
    /// *Question*: put what an IMAP URL (RFC 5092) refers to behind what came of the message, and accept
    /// (CATENATE, RFC 4469). It is relative to this server and as the client wrote it. Refuse with
    /// [`Code::BadUrl`](crate::Code::BadUrl), and the client hears which one it was.
    AppendUrl(String),
    /// *Question*: the message before is complete, and another one comes in the same command (MULTIAPPEND,
    /// RFC 3502). Accept or refuse it as with [`Append`](Self::Append); a refusal, like
    /// [`AppendAborted`](Self::AppendAborted), is for all messages of the command.
    AppendNext(AppendRequest),
    /// *Question*, answered by [`appended`](crate::Server::appended): the last message is complete. Store all
    /// messages of the command, or none.
    ///
    /// If the request said [`replaces`](AppendRequest::replaces), remove that message in the same step.
    AppendEnd,
    /// The command turned out malformed behind a message: drop what came of all its messages.
    AppendAborted,
    /// *Question*: NOOP or CHECK with a mailbox selected. [`notify`](crate::Server::notify) what has changed,
    /// then accept.
    Noop,
    /// *Question*: CLOSE, UNSELECT.
    Close {
        /// Whether messages marked deleted are to be expunged, without telling.
        expunge: bool,
    },
    /// *Question*: EXPUNGE, UID EXPUNGE. Remove messages marked deleted, [`notify`](crate::Server::notify) that,
    /// then accept.
    Expunge {
        /// Only these (RFC 4315).
        uids: Option<UidSet>,
    },
    /// *Question*, answered by [`search`](crate::Server::search) or
    /// [`search_mod_seqs`](crate::Server::search_mod_seqs) in pieces, then
    /// [`accept`](crate::Server::accept): SEARCH, UID SEARCH.
    Search(SearchRequest),
    /// *Question*, answered by [`fetch`](crate::Server::fetch) for each message, then
    /// [`accept`](crate::Server::accept): FETCH, UID FETCH, and what a SELECT with QRESYNC has to tell.
    Fetch(FetchRequest),
    /// *Question*, answered by [`stored`](crate::Server::stored) for each message, then
    /// [`accept`](crate::Server::accept): STORE, UID STORE.
    Store(StoreRequest),
    /// *Question*, answered by [`copied`](crate::Server::copied): COPY, UID COPY. All or nothing,
    /// but for messages that are gone by now, which may be left out (RFC 3501 §6.4.8).
    Copy {
        /// The messages.
        uids: UidSet,
        /// Where to.
        mailbox: String,
    },
    /// *Question*, answered by [`notify`](crate::Server::notify) of the expunges, then
    /// [`copied`](crate::Server::copied): MOVE, UID MOVE (RFC 6851).
    Move {
        /// The messages.
        uids: UidSet,
        /// Where to.
        mailbox: String,
    },
    /// *Question*, answered by [`namespaces`](crate::Server::namespaces): NAMESPACE (RFC 2342).
    Namespace,
    /// *Question*, answered by [`sorted`](crate::Server::sorted) in pieces, then
    /// [`accept`](crate::Server::accept): SORT, UID SORT.
    Sort(crate::SortRequest),
    /// *Question*, answered by [`threads`](crate::Server::threads): THREAD, UID THREAD.
    Thread(crate::ThreadRequest),
    /// *Question*, answered by [`found_in`](crate::Server::found_in) for each mailbox, then
    /// [`accept`](crate::Server::accept): ESEARCH.
    SearchIn(SearchInRequest),
    /// *Question*, answered by [`notify_status`](crate::Server::notify_status) for each mailbox where the request
    /// says so, then [`accept`](crate::Server::accept): NOTIFY. From there on give each
    /// [`notice`](crate::Server::notice).
    Notify(crate::NotifyRequest),
    /// *Question*, answered by [`apple_push`](crate::Server::apple_push): XAPPLEPUSHSERVICE.
    ApplePush(crate::ApplePushRequest),
    /// *Question* about quotas (RFC 9208); each kind says how it is answered.
    Quota(crate::QuotaRequest),
    /// *Question* about rights (RFC 4314); each kind says how it is answered.
    Acl(crate::AclRequest),
    /// *Question* about annotations (RFC 5464); each kind says how it is answered.
    Metadata(crate::MetadataRequest),
    /// The client has enabled METADATA (RFC 5464 §4.1): from here on it hears of changes of annotations, be they
    /// watched or not. Give each [`notice`](crate::Server::notice) of them.
    MetadataEnabled,
    /// The client is no longer logged in (RFC 8437): whatever was selected is closed without expunging. Another
    /// login may follow, of anybody.
    Unauthenticated,
    /// The client idles (RFC 2177): from here on each [`notify`](crate::Server::notify) is told at once.
    Idle,
}

/// A LIST or LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRequest {
    /// Only subscribed names are asked for. They are listed even if there is no such mailbox.
    pub subscribed_only: bool,
    /// STATUS items asked for with each mailbox (RFC 5819): answer [`list_status`](crate::Server::list_status)
    /// behind each row for which [`list`](crate::Server::list) returned true. Empty if none are.
    pub status: Vec<StatusItem>,
    /// The user's rights are asked for with each mailbox (RFC 8440): answer
    /// [`list_my_rights`](crate::Server::list_my_rights) in the same way.
    pub my_rights: bool,
    /// Annotations asked for with each mailbox (RFC 9590): answer
    /// [`list_metadata`](crate::Server::list_metadata) in the same way. Empty if none are.
    pub metadata: Vec<crate::EntryName>,
}

/// The head of an APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendRequest {
    /// Where to. If it does not exist, refuse with
    /// [`NO_SUCH_MAILBOX`](crate::Rejection::NO_SUCH_MAILBOX), which becomes TRYCREATE.
    pub mailbox: String,
    /// The message's flags.
    pub flags: Flags,
    /// Its internal date; `None` for the moment of arrival.
    pub internal_date: Option<DateTime>,
    /// Its size in octets, which is exact. `None` for a message that is catenated from parts (RFC 4469): then
    /// [`Config::max_append`](crate::Config::max_append) bounds each part, and the sum is the embedder's to bound.
    pub size: Option<u64>,
    /// The message's header is in UTF-8 (RFC 6855).
    pub utf8: bool,
    /// The message may hold NUL (RFC 3516).
    pub binary: bool,
    /// The UID of the message in the selected mailbox that this one takes the place of (REPLACE, RFC 8508).
    pub replaces: Option<u32>,
}

/// A SEARCH or UID SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchRequest {
    /// What to look for.
    pub criterion: Criterion,
    /// The client wants to know the highest mod-sequence of what is found (RFC 7162): answer by
    /// [`search_mod_seqs`](crate::Server::search_mod_seqs).
    pub mod_seqs: bool,
}

/// An ESEARCH (RFC 7377).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchInRequest {
    /// The mailboxes to search; never empty. Those that the user may not read are to be left out.
    pub sources: Vec<crate::MailboxFilter>,
    /// What to look for.
    pub criterion: Criterion,
}

/// A FETCH or UID FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchRequest {
    /// The messages.
    pub uids: UidSet,
    /// What to tell of each. Empty if only the UID is wanted, which the engine fills in.
    pub items: Vec<FetchItem>,
    /// Whether `\Seen` is to be set on all of them first: a body section was asked for without PEEK and the
    /// mailbox is not read-only. Where that changed the flags, tell them in the message's row, asked or not, and
    /// the mod-sequence if you keep one; the engine leaves it out where it is not wanted.
    pub mark_seen: bool,
    /// Only messages whose mod-sequence is higher than this are asked for (RFC 7162); leave out the others.
    /// 0 is allowed, and asks for all.
    pub changed_since: Option<u64>,
    /// The client also wants to hear which of these messages are gone since
    /// [`changed_since`](Self::changed_since) (RFC 7162 §3.2.6): answer
    /// [`vanished`](crate::Server::vanished) before the first row. If you no longer know, do not, and the engine
    /// tells all of these that are not in the mailbox, which is too much but never too little.
    pub vanished: Option<UidSet>,
}

/// A STORE or UID STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreRequest {
    /// The messages.
    pub uids: UidSet,
    /// What to do with the flags.
    pub action: StoreAction,
    /// The flags.
    pub flags: Flags,
    /// Only messages whose mod-sequence is not higher than this are to be changed (RFC 7162 §3.1.3); tell the
    /// others by [`not_stored`](crate::Server::not_stored).
    pub unchanged_since: Option<u64>,
}

/// What STORE does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the grammar's three forms
pub enum StoreAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// What is told of a mailbox that was selected; see [`Server::selected`](crate::Server::selected).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selected {
    /// The UIDs of all messages.
    pub uids: UidSet,
    /// The UID validity.
    pub uid_validity: std::num::NonZeroU32,
    /// The next UID.
    pub uid_next: std::num::NonZeroU32,
    /// The UID of the first message without `\Seen`.
    pub first_unseen: Option<u32>,
    /// The first UID that no session has been told of: it and what follows is `\Recent` here.
    /// `None` if nobody keeps count; then nothing ever is.
    pub first_recent: Option<u32>,
    /// Keywords in use, besides the five system flags.
    pub keywords: Vec<crate::Keyword>,
    /// Whether clients may make new keywords (`\*`). Defaults to true.
    pub new_keywords: bool,
    /// Read-only although SELECT was asked. EXAMINE is read-only in any case.
    pub read_only: bool,
    /// The highest mod-sequence, 1 to 2^63 - 1, of the state that [`uids`](Self::uids) is of (RFC 7162). `None`
    /// if the mailbox has none, which is told as NOMODSEQ.
    pub highest_mod_seq: Option<u64>,
    /// The mailbox's identifier (RFC 8474).
    pub mailbox_id: Option<ObjectId>,
}

impl Selected {
    /// Describes a mailbox by what is always needed.
    pub fn new(uids: UidSet, uid_validity: std::num::NonZeroU32, uid_next: std::num::NonZeroU32) -> Self {
        Self {
            uids,
            uid_validity,
            uid_next,
            first_unseen: None,
            first_recent: None,
            keywords: Vec::new(),
            new_keywords: true,
            read_only: false,
            highest_mod_seq: None,
            mailbox_id: None,
        }
    }
}

/// Where messages went (RFC 4315 §3): both sets have the same size and order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyUid {
    /// The UID validity of the destination.
    pub uid_validity: std::num::NonZeroU32,
    /// UIDs in the source, ascending.
    pub from: UidSet,
    /// UIDs in the destination, ascending.
    pub to: UidSet,
}

impl CopyUid {
    /// Pairs the sets; `None` unless they are of one size and not empty.
    pub fn new(uid_validity: std::num::NonZeroU32, from: UidSet, to: UidSet) -> Option<Self> {
        (from.len() == to.len() && !from.is_empty()).then_some(Self {
            uid_validity,
            from,
            to,
        })
    }
}
