//! Searching (RFC 9051 §6.4.4), exactly and in stages
//!
//! A [`Search`] judges a message first by its row, its keys and the sketch of its text, which cost little to read, and
//! looks into its text only where that leaves the answer open:
//!
//! ```text
//!  scan(uids, first) ─▶ judge ─┬─▶ yes, no
//!                              └─▶ open: scan(those, second) ─▶ look ─┬─▶ yes, no
//!                                                                     └─▶ open: Looking, a Walk over its octets
//! ```
//!
//! The answer is the same whichever stage gives it: a string is in a message exactly if it is in one unit of its
//! [text], both mapped by [`casemap`].

use core::ops::Range;

use memchr::memmem::Finder;

use mailwright_message::index::{Index, Section};

use crate::{
    BlobHash, Fields, Keyword, Message, ModSeq, SystemFlags, ThreadId, UidSet, casemap,
    digest::{
        Keys, sketch,
        text::{self, Kept, Sink, UnitKind, Walk},
    },
};

/// What is searched for.
///
/// Days are counted from 1970-01-01, seconds from its beginning, UTC. Whoever reads a query from a peer bounds how deep
/// it nests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// Every message.
    All,
    /// These messages; some may not exist.
    Uids(UidSet),
    /// All of these flags are set.
    Flag(SystemFlags),
    /// The keyword is set.
    Keyword(Keyword),
    /// The mod-sequence is this or higher (RFC 7162 §3.1.5).
    ModSeq(ModSeq),
    /// The day of one of the message's dates is among these.
    Day(DateOf, Range<i64>),
    /// The internal date is among these seconds (RFC 5032).
    Arrived(Range<i64>),
    /// The size in octets is among these.
    Size(Range<u64>),
    /// A field of the message's own header has this name, and the text in its value. An empty text is in every value.
    Header {
        /// The field's name; case does not matter.
        name: String,
        /// The text.
        value: String,
    },
    /// The text is in the body: in a part of type text/*, or in the header of a nested message.
    Body(String),
    /// The text is in the body or in a header, that of a part among them.
    Text(String),
    /// The message has these octets (EMAILID, RFC 8474).
    Email(BlobHash),
    /// The message belongs to this thread (THREADID, RFC 8474).
    Thread(ThreadId),
    /// The query does not hold.
    Not(Box<Self>),
    /// One of them holds.
    Or(Vec<Self>),
    /// All of them hold.
    And(Vec<Self>),
}

/// One of the dates of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 9051 has two, RFC 8514 the third
pub enum DateOf {
    /// When it arrived: the internal date, in UTC.
    Arrival,
    /// When it was sent: the Date field, in the zone it is written in. A message without one fulfils nothing.
    Sending,
    /// When it came into the mailbox, in UTC (RFC 8514).
    Saving,
}

impl Query {
    /// Matches messages that arrived in the last seconds, `now` being the wall clock (YOUNGER, RFC 5032 §3).
    pub const fn younger(now: i64, seconds: u32) -> Self {
        Self::Arrived(now.saturating_sub(seconds as i64)..i64::MAX)
    }

    /// Matches messages that arrived so many seconds ago or earlier (OLDER, RFC 5032 §3).
    pub const fn older(now: i64, seconds: u32) -> Self {
        Self::Arrived(i64::MIN..now.saturating_sub(seconds as i64).saturating_add(1))
    }
}

/// A query that is ready to be put to many messages, from many threads.
///
/// ```
/// use mailwright_mailbox::search::{Query, Search};
/// use mailwright_mailbox::{Message, ModSeq, Uid, digest};
///
/// let octets = b"Subject: Gr=?utf-8?q?=C3=BC=C3=9Fe?=\r\n\r\nFrom Bonn\r\n";
/// let mut builder = digest::Builder::new(digest::Options::default());
/// builder.push(octets);
/// let mut message = Message::new(Uid::MIN, ModSeq::ONE);
/// message.sort_keys = builder.finish().meta.sort_keys;
///
/// let search = Search::new(&Query::Text("bonn".into()));
/// assert_eq!(search.judge(&message), None);
/// message.content = Some(octets[..].into());
/// assert_eq!(search.look(&message), Some(true));
/// ```
#[derive(Debug)]
pub struct Search {
    node: Node,
    patterns: Vec<Pattern>,
    uids: UidSet,
    row: Fields,
    sketch: Fields,
    is_cheap: bool,
}

#[derive(Debug)]
enum Node {
    Row(Query),
    Sent(Range<i64>),
    Pattern(usize),
    Not(Box<Self>),
    Or(Vec<Self>),
    And(Vec<Self>),
}

/// A string to be found.
#[derive(Debug)]
struct Pattern {
    scope: Scope,
    finder: Finder<'static>,
}

#[derive(Debug)]
enum Scope {
    Header { name: String, mapped: Vec<u8> },
    Body,
    Text,
}

impl Search {
    /// Prepares a query.
    pub fn new(query: &Query) -> Self {
        let mut search = Self {
            node: Node::And(Vec::new()),
            patterns: Vec::new(),
            uids: candidates(query),
            row: Fields::NONE,
            sketch: Fields::NONE,
            is_cheap: false,
        };
        search.node = search.prepare(query);
        search.is_cheap |= search.patterns.is_empty();
        search
    }

    /// Returns the messages that can match, as far as UIDs tell.
    pub const fn uids(&self) -> &UidSet {
        &self.uids
    }

    /// Returns what [`Search::judge`] needs of a message; `None` when it could not judge a single one, so that there is
    /// no use in a first stage.
    pub fn first(&self) -> Option<Fields> {
        self.is_cheap.then_some(self.row | self.sketch)
    }

    /// Returns what [`Search::look`] needs of a message.
    pub fn second(&self) -> Fields {
        self.row | Fields::SORT | Fields::INDEX | Fields::BLOB | Fields::TEXT
    }

    /// Judges a message of which [`Search::first`] was read; `None` when that does not tell.
    pub fn judge(&self, message: &Message) -> Option<bool> {
        self.eval(
            &self.node,
            message,
            Keys::from_bytes(&message.sort_keys).as_ref(),
            None,
        )
    }

    /// Judges a message of which [`Search::second`] was read; `None` when neither its text nor its octets are at
    /// hand, and a [`Looking`] is needed.
    pub fn look(&self, message: &Message) -> Option<bool> {
        let mut looking = Looking::new(self, message);
        if let Some(verdict) = looking.early() {
            return Some(verdict);
        }
        if looking.keys.is_some()
            && let Some(units) = message.text.as_deref().and_then(Kept::units)
        {
            for (kind, text) in units {
                looking.mapped_unit(kind, text);
            }
            return Some(looking.verdict());
        }
        let content = message.content.as_deref()?;
        let body = looking.keys.as_ref().and_then(Keys::plain);
        if body.is_some_and(|body| text::plain(content, body, &mut looking)) {
            return Some(looking.verdict());
        }
        let index = match message.index.is_empty() {
            true => Index::of(content),
            false => Index::from_bytes(message.index.clone()).ok()?,
        };
        let header = index.section(&[], Section::Header).unwrap_or(0..0);
        looking.header(text::slice(content, header));
        Walk::new(&index).run(content, &mut looking);
        Some(looking.verdict())
    }

    fn prepare(&mut self, query: &Query) -> Node {
        let row = match query {
            Query::Flag(_) | Query::Keyword(_) => Fields::FLAGS,
            Query::Day(DateOf::Arrival | DateOf::Saving, _) | Query::Arrived(_) => Fields::DATES,
            Query::Size(_) => Fields::SIZE,
            Query::Email(_) => Fields::BLOB,
            Query::Thread(_) => Fields::THREAD,
            Query::All | Query::Uids(_) | Query::ModSeq(_) => Fields::NONE,
            Query::Day(DateOf::Sending, days) => {
                (self.row, self.is_cheap) = (self.row | Fields::SORT, true);
                return Node::Sent(days.clone());
            }
            Query::Header { name, value } => {
                if Keys::of(&[]).named(name).is_some() {
                    (self.row, self.is_cheap) = (self.row | Fields::SORT, true);
                }
                let (name, mapped) = (name.clone(), casemap::mapped(name));
                return self.pattern(Scope::Header { name, mapped }, value);
            }
            Query::Body(text) => return self.pattern(Scope::Body, text),
            Query::Text(text) => return self.pattern(Scope::Text, text),
            Query::Not(inner) => return Node::Not(Box::new(self.prepare(inner))),
            Query::Or(all) => return Node::Or(all.iter().map(|it| self.prepare(it)).collect()),
            Query::And(all) => return Node::And(all.iter().map(|it| self.prepare(it)).collect()),
        };
        // UIDs alone have already chosen what is read.
        self.is_cheap |= !matches!(query, Query::All | Query::Uids(_));
        self.row = self.row | row;
        Node::Row(query.clone())
    }

    fn pattern(&mut self, scope: Scope, text: &str) -> Node {
        let finder = Finder::new(&casemap::mapped(text)).into_owned();
        if !finder.needle().is_empty() {
            (self.sketch, self.is_cheap) = (Fields::SKETCH, true);
        }
        self.patterns.push(Pattern { scope, finder });
        Node::Pattern(self.patterns.len() - 1)
    }

    /// Judges by what is known: the keys, and which patterns were found, if the text was looked at.
    fn eval(
        &self,
        node: &Node,
        message: &Message,
        keys: Option<&Keys>,
        found: Option<&[bool]>,
    ) -> Option<bool> {
        let eval = |node| self.eval(node, message, keys, found);
        match node {
            Node::Row(query) => Some(row_has(query, message)),
            Node::Sent(days) => Some(keys?.sent().is_some_and(|sent| {
                let local = sent.unix.saturating_add(i64::from(sent.offset) * 60);
                days.contains(&local.div_euclid(DAY))
            })),
            Node::Pattern(at) => {
                if let Some(found) = found {
                    return Some(found[*at]);
                }
                let pattern = &self.patterns[*at];
                let needle = pattern.finder.needle();
                match &pattern.scope {
                    Scope::Header { name, .. } => {
                        if let Some(mut values) = keys.and_then(|keys| keys.named(name)) {
                            return Some(values.any(|value| pattern.is_in(value)));
                        }
                    }
                    Scope::Body | Scope::Text if needle.is_empty() => return Some(true),
                    Scope::Body => return sketch::holds(&message.sketch, needle, true),
                    Scope::Text => return sketch::holds(&message.sketch, needle, false),
                }
                // What is in the text may be in another field.
                sketch::holds(&message.sketch, needle, false).filter(|holds| !holds)
            }
            Node::Not(inner) => eval(inner).map(|holds| !holds),
            Node::Or(all) => any(all.iter().map(eval)),
            Node::And(all) => any(all.iter().map(|it| eval(it).map(|holds| !holds))).map(|one| !one),
        }
    }
}

impl Pattern {
    fn is_in(&self, mapped: &[u8]) -> bool {
        self.finder.find(mapped).is_some()
    }

    fn is_in_unit(&self, kind: UnitKind, mapped: &[u8]) -> bool {
        match &self.scope {
            Scope::Text => self.is_in(mapped),
            Scope::Body => kind == UnitKind::Body && self.is_in(mapped),
            Scope::Header { mapped: name, .. } => {
                let value = |line| -> Option<&[u8]> {
                    let (before, behind) = split_once(line, b':')?;
                    (before == name).then_some(behind.get(1..).unwrap_or_default())
                };
                kind == UnitKind::RootHeader
                    && mapped.split(|octet| *octet == b'\n').any(|line| {
                        let line = line.strip_suffix(b"\r").unwrap_or(line);
                        value(line).is_some_and(|value| self.is_in(value))
                    })
            }
        }
    }

    const fn may_be_in(&self, kind: UnitKind) -> bool {
        match self.scope {
            Scope::Text => true,
            Scope::Body => matches!(kind, UnitKind::Body),
            Scope::Header { .. } => matches!(kind, UnitKind::RootHeader),
        }
    }
}

/// A look into the text of one message; the [`Sink`] of a [`Walk`] over it.
///
/// Give it the message's own header first, where it [asks for that](Looking::wants_header). It holds a header as a
/// whole, and of other text 64 KiB and as much as the longest string has.
#[derive(Debug)]
pub struct Looking<'s> {
    search: &'s Search,
    message: &'s Message,
    keys: Option<Keys>,
    found: Vec<bool>,
    kind: UnitKind,
    buffer: Vec<u8>,
}

impl<'s> Looking<'s> {
    /// Begins with a message of which [`Search::second`] was read.
    pub fn new(search: &'s Search, message: &'s Message) -> Self {
        let is_empty =
            |it: &Pattern| !matches!(it.scope, Scope::Header { .. }) && it.finder.needle().is_empty();
        Self {
            search,
            message,
            keys: Keys::from_bytes(&message.sort_keys),
            found: search.patterns.iter().map(is_empty).collect(),
            kind: UnitKind::RootHeader,
            buffer: Vec::new(),
        }
    }

    /// Whether the message was stored without keys, so that they have to come from its header.
    pub const fn wants_header(&self) -> bool {
        self.keys.is_none()
    }

    /// Takes the message's own header.
    pub fn header(&mut self, header: &[u8]) {
        self.keys.get_or_insert_with(|| Keys::of(header));
    }

    /// Judges the message when no text is needed for that; `None` otherwise.
    pub fn early(&self) -> Option<bool> {
        self.search
            .eval(&self.search.node, self.message, self.keys.as_ref(), None)
    }

    /// Judges the message when all of its text was given, and its header if that was wanted.
    pub fn verdict(&self) -> bool {
        let (keys, found) = (self.keys.as_ref(), Some(&self.found[..]));
        self.search
            .eval(&self.search.node, self.message, keys, found)
            .unwrap_or(false)
    }

    fn mapped_unit(&mut self, kind: UnitKind, text: &[u8]) {
        for (found, pattern) in self.found.iter_mut().zip(&self.search.patterns) {
            *found = *found || pattern.is_in_unit(kind, text);
        }
    }

    fn is_wanted(&self) -> bool {
        let mut open = self.found.iter().zip(&self.search.patterns);
        open.any(|(found, pattern)| !found && pattern.may_be_in(self.kind))
    }

    fn find_in_buffer(&mut self) {
        let buffer = core::mem::take(&mut self.buffer);
        self.mapped_unit(self.kind, &buffer);
        self.buffer = buffer;
    }
}

impl Sink for Looking<'_> {
    fn begin(&mut self, kind: UnitKind) -> bool {
        self.kind = kind;
        self.is_wanted()
    }

    fn text(&mut self, text: &str) -> bool {
        casemap::append(text, &mut self.buffer);
        if self.buffer.len() < BUFFER || self.kind != UnitKind::Body {
            return true;
        }
        self.find_in_buffer();
        // What is found may have begun in this piece and end in the next.
        let longest = self
            .search
            .patterns
            .iter()
            .map(|it| it.finder.needle().len())
            .max();
        let kept = longest.unwrap_or(0).saturating_sub(1).min(self.buffer.len());
        self.buffer.drain(..self.buffer.len() - kept);
        self.is_wanted()
    }

    fn end(&mut self) {
        self.find_in_buffer();
        self.buffer.clear();
    }
}

/// How much of a text is gathered before it is looked through.
const BUFFER: usize = 64 * 1024;
const DAY: i64 = 86_400;

/// The messages that can match, as far as UIDs tell.
fn candidates(query: &Query) -> UidSet {
    match query {
        Query::Uids(uids) => uids.clone(),
        Query::And(all) => {
            let sets = all.iter().map(candidates);
            sets.fold(UidSet::all(), |some, more| some.intersection(&more))
        }
        Query::Or(all) => all
            .iter()
            .map(candidates)
            .fold(UidSet::new(), |some, more| some.union(&more)),
        _ => UidSet::all(),
    }
}

/// Judges what the row of a message tells.
fn row_has(query: &Query, message: &Message) -> bool {
    let day = |seconds: i64| seconds.div_euclid(DAY);
    match query {
        Query::All => true,
        Query::Uids(uids) => uids.contains(message.uid),
        Query::Flag(flags) => message.flags.contains(*flags),
        Query::Keyword(keyword) => message.flags.has_keyword(keyword),
        Query::ModSeq(least) => message.mod_seq >= *least,
        Query::Day(DateOf::Saving, days) => days.contains(&day(message.save_date)),
        Query::Day(_, days) => days.contains(&day(message.internal_date)),
        Query::Arrived(seconds) => seconds.contains(&message.internal_date),
        Query::Size(octets) => octets.contains(&message.size()),
        Query::Email(hash) => message.blob.as_ref().is_some_and(|blob| blob.hash() == hash),
        Query::Thread(thread) => message.thread == *thread,
        // The others are no leaves, or not of the row.
        _ => false,
    }
}

/// Whether one is true; `None` if that is open.
fn any(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut verdict = Some(false);
    for one in all {
        match one {
            Some(true) => return one,
            Some(false) => {}
            None => verdict = None,
        }
    }
    verdict
}

fn split_once(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, line)?;
    Some((&line[..at], &line[at + 1..]))
}
