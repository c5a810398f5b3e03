//! Untagged data (RFC 3501 §7.2 to §7.4, and the extensions' own)

use super::Mailbox;
use super::reply::{Appended, Copied, UidList};
use super::row::Row;
use crate::data::{SpecialUse, Status};
use crate::{Flags, UidSet};
use bytes::Bytes;
use std::num::NonZeroU32;

/// What a server tells: the results of commands, and news.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// What was learnt of a mailbox by SELECT or EXAMINE; comes right before the command is done.
    Selected(Box<Selected>),
    /// The mailbox has so many messages.
    Exists(u32),
    /// So many of them are `\Recent`.
    Recent(u32),
    /// The message with this sequence number is gone, and all higher numbers fall by one.
    Expunged(u32),
    /// These UIDs are gone (RFC 7162, RFC 9586).
    Vanished {
        /// They went before the mailbox was selected, or before what was asked about; sequence numbers stay.
        earlier: bool,
        /// They may hold UIDs that never were.
        uids: UidSet,
    },
    /// The mailbox's flags.
    Flags(Flags),
    /// A message.
    Row(Box<Row>),
    /// A mailbox of LIST or LSUB.
    List(Box<ListRow>),
    /// STATUS
    Status(Box<StatusRow>),
    /// NAMESPACE: personal, of others, shared (RFC 2342).
    Namespaces([Vec<Namespace>; 3]),
    /// The result of SEARCH.
    Search(Box<SearchResult>),
    /// The result of SORT, in its order (RFC 5256).
    Sorted(Vec<u32>),
    /// The result of THREAD (RFC 5256).
    Threads(Vec<ThreadNode>),
    /// What was enabled (RFC 5161).
    Enabled(Vec<String>),
    /// Who the server is: names and values (RFC 2971).
    Id(Vec<(String, Option<String>)>),
    /// What appended messages became.
    Appended(Appended),
    /// What copied or moved messages became.
    Copied(Copied),
    /// The use and limits of a quota root (RFC 9208).
    Quota(Quota),
    /// The quota roots of a mailbox (RFC 9208).
    QuotaRoots(Mailbox, Vec<Bytes>),
    /// The rights on a mailbox: identifiers and their rights (RFC 4314).
    Acl(Mailbox, Vec<(Bytes, Bytes)>),
    /// What may be granted to an identifier: the mailbox, the identifier, the rights it always has, and the
    /// groups of those that can be granted (RFC 4314).
    ListRights(Mailbox, Bytes, Vec<Bytes>),
    /// The user's own rights on a mailbox (RFC 4314).
    MyRights(Mailbox, Bytes),
    /// Annotations of a mailbox, or of the server where its name is empty: entries and their values; names
    /// alone where they are told to have changed (RFC 5464).
    Metadata(Mailbox, Vec<(Bytes, Option<Bytes>)>),
    /// Something else, or something broken: the whole response without its line end.
    Raw(Bytes),
}

/// A mailbox that was selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selected {
    /// How many messages it has.
    pub exists: u32,
    /// How many of them are `\Recent`.
    pub recent: u32,
    /// Its flags.
    pub flags: Flags,
    /// Flags that can be changed for good, and whether new keywords can be made; `None` if the server does not
    /// say, which means all.
    pub permanent_flags: Option<(Flags, bool)>,
    /// The UID validity; `None` if UIDs are worth nothing here.
    pub uid_validity: Option<NonZeroU32>,
    /// UIDs do not last over sessions (RFC 4315).
    pub uid_not_sticky: bool,
    /// The next UID.
    pub uid_next: Option<NonZeroU32>,
    /// The sequence number of the first message without `\Seen`.
    pub unseen: Option<u32>,
    /// The highest MODSEQ; `None` without CONDSTORE, or where the mailbox has none (RFC 7162).
    pub highest_mod_seq: Option<u64>,
    /// The id of the mailbox (RFC 8474).
    pub mailbox_id: Option<Bytes>,
    /// It cannot be changed.
    pub read_only: bool,
}

/// A mailbox of LIST or LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRow {
    /// Its name.
    pub mailbox: Mailbox,
    /// What separates its levels, if it has any.
    pub delimiter: Option<char>,
    /// The attributes as they came, such as `\HasChildren`.
    pub attributes: Vec<String>,
    /// It answers LSUB.
    pub is_lsub: bool,
    /// Extended data of RFC 5258 as it came, such as `("OLDNAME" ("x"))`.
    pub extended: Bytes,
}

impl ListRow {
    /// Whether it has the attribute, in any case.
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|a| a.eq_ignore_ascii_case(attribute))
    }

    /// Whether it can be selected.
    pub fn is_selectable(&self) -> bool {
        !self.has("\\Noselect") && !self.has("\\NonExistent")
    }

    /// What it is for (RFC 6154).
    pub fn special_uses(&self) -> impl Iterator<Item = SpecialUse> + '_ {
        self.attributes.iter().filter_map(|a| SpecialUse::parse(a))
    }
}

/// The answer to STATUS.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusRow {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// What the server says of it.
    pub status: Status,
    /// Items that the engine does not know: names and values.
    pub other: Vec<(Bytes, Bytes)>,
}

/// A namespace (RFC 2342).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespace {
    /// What the names in it start with.
    pub prefix: Mailbox,
    /// What separates its levels, if it has any.
    pub delimiter: Option<char>,
}

/// The result of SEARCH (RFC 3501 §7.2.5, RFC 4731).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchResult {
    /// These are UIDs, not sequence numbers.
    pub uid: bool,
    /// The messages; all of them, or those of the page that was asked for.
    pub all: UidSet,
    /// The same in the order in which they were told, if that is not ascending: what SORT with RETURN answers
    /// (RFC 5267 §3.2).
    pub order: Option<UidList>,
    /// The smallest.
    pub min: Option<u32>,
    /// The largest.
    pub max: Option<u32>,
    /// How many there are.
    pub count: Option<u32>,
    /// The highest MODSEQ of the messages (RFC 7162).
    pub mod_seq: Option<u64>,
    /// The page that was given, such as `1:100` (RFC 9394).
    pub page: Option<Bytes>,
}

impl SearchResult {
    pub(super) fn put(&mut self, list: UidList) {
        self.all = list.to_set();
        let is_ascending = list.ranges().is_sorted_by(|a, b| a.end() < b.start());
        self.order = (!is_ascending).then_some(list);
    }
}

/// A message in a thread (RFC 5256). The list is in reading order: what answers a message follows it, one
/// deeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadNode {
    /// How deep it is; 0 starts a thread.
    pub depth: u32,
    /// The message; `None` for one that is not in the mailbox and yet has answers.
    pub message: Option<NonZeroU32>,
}

/// A quota root (RFC 9208).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Its name, often empty.
    pub root: Bytes,
    /// Resources: name such as `STORAGE` (in units of 1,024 octets), use, limit.
    pub resources: Vec<(Bytes, u64, u64)>,
}
