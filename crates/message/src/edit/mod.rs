//! Editor: changes some octets of a message, and leaves all others as they are
//!
//! A message that is edited and written keeps every octet that no edit named: the spelling of its other fields, its
//! folding, its line ends, its defects. Without edits it stays as it is, whatever it is.
//!
//! ```
//! use mailwright_message::Index;
//! use mailwright_message::build::Field;
//! use mailwright_message::edit::{Editor, Place};
//!
//! let message = b"SUBJECT:  buy  now\nX-Odd :1\nTo: a@b\n\nbody\n";
//! let index = Index::of(message);
//! let root = index.root();
//!
//! let mut editor = Editor::new(&index, message);
//! editor.set_field(root, &Field::text("Subject", "[spam] buy now"))?;
//! editor.add_field(root, Place::Top, &Field::structured("X-Seen", "yes"))?;
//! assert_eq!(editor.remove_fields(root, "To")?, 1);
//! let edited = editor.finish()?;
//!
//! assert_eq!(edited.to_vec(message), b"X-Seen: yes\nSubject: [spam] buy now\nX-Odd :1\n\nbody\n");
//! # Ok::<(), mailwright_message::edit::Error>(())
//! ```
//!
//! # Signatures
//!
//! An editor knows nothing of signatures. A DKIM signature (RFC 6376) breaks when a field that it names is changed or
//! removed, when one of a name that it oversigns is added, or when the body is; fields of other names on top, such as
//! trace fields, break nothing. multipart/signed (RFC 1847) breaks with any octet of its first part, header and line
//! ends included, and so does what is encrypted: replace or remove such parts as a whole.

mod part;
mod splice;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use crate::build::{self, Field};
use crate::header::{self, is_blank_line};
use crate::index::{Index, Kind, Part};
use splice::{Slot, Splices, Start};

pub use splice::{Edited, Segment};

/// Where a field goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place<'a> {
    /// Before all others, as trace fields go (RFC 5321 §4.4); behind the separator line of an mbox.
    Top,
    /// Behind all others.
    Bottom,
    /// Before the first field of this name.
    Before(&'a str),
    /// Behind the last field of this name.
    After(&'a str),
}

/// Why a message cannot be edited so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The octets of this range of the message cannot be read.
    Unreadable(Range<u64>),
    /// The field or part that should go in cannot be written.
    Build(build::Error),
    /// The header has no field of this name, or not as many.
    NoField(String),
    /// The part is not in a multipart: it cannot be removed, only replaced.
    NotInMultipart,
    /// The part is no multipart in which parts were found.
    NotMultipart,
    /// The part stands in for all of a multipart in which no part was found: it has no place for a header.
    StandIn,
    /// The multipart would have no part left.
    LastPart,
    /// The octets hold a delimiter of a multipart that they would stand in.
    Delimiter,
    /// Two edits change the same octets, at this offset: make one, index the result, make the other.
    Conflict(u64),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(range) => write!(f, "octets {} to {} cannot be read", range.start, range.end),
            Self::Build(error) => error.fmt(f),
            Self::NoField(name) => write!(f, "there is no field {}", name.escape_debug()),
            Self::NotInMultipart => f.write_str("the part is not in a multipart"),
            Self::NotMultipart => f.write_str("the part is no multipart with parts"),
            Self::StandIn => f.write_str("the multipart has no parts, and its body no header"),
            Self::LastPart => f.write_str("the multipart would have no part left"),
            Self::Delimiter => f.write_str("the octets hold a delimiter of the multipart around them"),
            Self::Conflict(at) => write!(f, "two edits change the octets at {at}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            _ => None,
        }
    }
}

impl From<build::Error> for Error {
    fn from(error: build::Error) -> Self {
        Self::Build(error)
    }
}

type Read<'a> = dyn Fn(Range<u64>) -> Option<Cow<'a, [u8]>> + 'a;

/// Collects edits of one message, and tells what it is made of then.
///
/// All parts that are handed to it must be of its index. Added lines end as the lines of the message do.
pub struct Editor<'a> {
    index: &'a Index,
    read: Box<Read<'a>>,
    parts: Vec<Part<'a>>,
    /// The place of the part that each part is in.
    parents: Vec<u32>,
    /// What starts the delimiters of multiparts, as far as it was looked for.
    delimiters: HashMap<u32, Option<Vec<u8>>>,
    line_end: &'static [u8],
    splices: Splices,
    removed: BTreeSet<u32>,
    /// Parts whose header gets an empty line behind it.
    unended: BTreeSet<u32>,
    /// Parts whose header gets a line end behind its last line.
    open_lines: BTreeSet<u32>,
    /// Parts whose header had such a last line, which is replaced.
    closed_lines: BTreeSet<u32>,
    utf8: bool,
    count: i64,
}

impl<'a> Editor<'a> {
    /// Edits a message that is in memory, of which `index` is the index.
    pub fn new(index: &'a Index, message: &'a [u8]) -> Self {
        Self::stored(index, move |range| {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            message.get(range).map(Cow::Borrowed)
        })
    }

    /// Edits a message that is stored elsewhere. `read` gives octets of it, or `None` when it cannot; it is asked for
    /// headers of the parts that are edited, and for a few octets of bodies.
    pub fn stored(index: &'a Index, read: impl Fn(Range<u64>) -> Option<Cow<'a, [u8]>> + 'a) -> Self {
        let mut parents = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        for part in index.parts() {
            open.truncate(part.depth().into());
            parents.push(open.last().copied().unwrap_or_default());
            open.push(part.place());
        }
        let mut editor = Self {
            index,
            read: Box::new(read),
            parts: index.parts().collect(),
            parents,
            delimiters: HashMap::new(),
            line_end: b"\r\n",
            splices: Splices::default(),
            removed: BTreeSet::new(),
            unended: BTreeSet::new(),
            open_lines: BTreeSet::new(),
            closed_lines: BTreeSet::new(),
            utf8: false,
            count: 0,
        };
        let start = (editor.read)(0..index.octets().min(LINE)).unwrap_or_default();
        if memchr::memchr(b'\n', &start).is_some_and(|at| !start[..at].ends_with(b"\r")) {
            editor.line_end = b"\n";
        }
        editor
    }

    /// Writes fields that are not ASCII as raw UTF-8 (RFC 6532).
    #[must_use]
    pub fn utf8_headers(mut self) -> Self {
        self.utf8 = true;
        self
    }

    /// Adds a field to the header of a part. On top, the one that was added last comes first.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] when the field cannot be written, [`Error::NoField`] when there is no field at its place,
    /// [`Error::StandIn`] for a part that is none.
    pub fn add_field(&mut self, part: Part<'_>, place: Place<'_>, field: &Field<'_>) -> Result<(), Error> {
        let octets = self.field(field)?;
        self.put_field(part, place, octets)
    }

    /// Adds complete fields, such as those of [`ResentFields`](build::reply::ResentFields), in their order.
    ///
    /// # Errors
    ///
    /// As [`Editor::add_field`]; [`Error::Build`] also for octets that are not all fields.
    pub fn add_fields(&mut self, part: Part<'_>, place: Place<'_>, block: &[u8]) -> Result<(), Error> {
        let fields: Vec<_> = header::fields(block).collect();
        let whole = fields.iter().map(|field| field.raw.len()).sum::<usize>() == block.len();
        if !whole {
            return Err(build::Error::Value("header".to_owned()).into());
        }
        let mut out = Vec::with_capacity(block.len());
        for field in fields {
            out.extend(self.field(&Field::verbatim(field.raw))?);
        }
        self.put_field(part, place, out)
    }

    /// Puts a field in the place of the first one of its name, and removes the others of that name. Without one it is
    /// added at the bottom.
    ///
    /// # Errors
    ///
    /// As [`Editor::add_field`].
    pub fn set_field(&mut self, part: Part<'_>, field: &Field<'_>) -> Result<(), Error> {
        let head = self.head(part)?;
        let octets = self.field(field)?;
        let mut spans = head.find(field.name()).into_iter();
        match spans.next() {
            Some(span) => self.cut(part, &head, span.raw, octets),
            None => return self.put_field(part, Place::Bottom, octets),
        }
        for span in spans {
            self.cut(part, &head, span.all, Vec::new());
        }
        Ok(())
    }

    /// Puts a field in the place of the `nth` one of a name, counted from 0.
    ///
    /// # Errors
    ///
    /// As [`Editor::add_field`]; [`Error::NoField`] when there are not as many.
    pub fn replace_field(
        &mut self,
        part: Part<'_>,
        name: &str,
        nth: usize,
        field: &Field<'_>,
    ) -> Result<(), Error> {
        let head = self.head(part)?;
        let span = head.nth(name, nth)?;
        let octets = self.field(field)?;
        self.cut(part, &head, span.raw, octets);
        Ok(())
    }

    /// Removes all fields of a name, and tells how many there were.
    ///
    /// Lines that are no field (a defect) go with the field that they stand behind: alone at the start of a header
    /// they would turn it into a body.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`].
    pub fn remove_fields(&mut self, part: Part<'_>, name: &str) -> Result<usize, Error> {
        let head = self.head(part)?;
        let spans = head.find(name);
        let count = spans.len();
        for span in spans {
            self.cut(part, &head, span.all, Vec::new());
        }
        Ok(count)
    }

    /// Removes the `nth` field of a name, counted from 0. As [`Editor::remove_fields`].
    ///
    /// # Errors
    ///
    /// [`Error::NoField`] when there are not as many.
    pub fn remove_field(&mut self, part: Part<'_>, name: &str, nth: usize) -> Result<(), Error> {
        let head = self.head(part)?;
        let span = head.nth(name, nth)?;
        self.cut(part, &head, span.all, Vec::new());
        Ok(())
    }

    /// Moves the `nth` field of a name to another place; its octets stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::NoField`] when there are not as many, or none at the place.
    pub fn move_field(
        &mut self,
        part: Part<'_>,
        name: &str,
        nth: usize,
        place: Place<'_>,
    ) -> Result<(), Error> {
        let head = self.head(part)?;
        let span = head.nth(name, nth)?;
        let mut octets = head.octets[head.local(&span.all)].to_vec();
        if !octets.ends_with(b"\n") {
            octets.extend_from_slice(self.line_end);
        }
        self.put_field(part, place, octets)?;
        self.cut(part, &head, span.all, Vec::new());
        Ok(())
    }

    /// Ends editing.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when two edits change the same octets, [`Error::LastPart`] when all parts of a multipart
    /// were removed.
    pub fn finish(mut self) -> Result<Edited, Error> {
        self.remove_marked()?;
        let blank = self.unended.iter().map(|place| (*place, Start::Blank));
        let open_lines = self.open_lines.difference(&self.closed_lines);
        for (place, start) in blank.chain(open_lines.map(|place| (*place, Start::LineEnd))) {
            if let Some(part) = self.parts.get(place as usize) {
                let slot = Slot::Start(part.depth(), start);
                self.splices.insert(part.body().start, slot, self.line_end);
            }
        }
        self.splices.finish(self.index.octets())
    }

    fn put_field(&mut self, part: Part<'_>, place: Place<'_>, octets: Vec<u8>) -> Result<(), Error> {
        let head = self.head(part)?;
        self.count += 1;
        let mut order = self.count;
        let no_field = |name: &str| Error::NoField(name.to_owned());
        let at = match place {
            Place::Top => {
                order = -order;
                head.top()
            }
            Place::Bottom => head.bottom,
            Place::Before(name) => head.find(name).first().ok_or_else(|| no_field(name))?.raw.start,
            Place::After(name) => head.find(name).last().ok_or_else(|| no_field(name))?.all.end,
        };
        if at == head.end() {
            self.end_line(part, &head)?;
        }
        // With fields, what ended the header before ends it again: a delimiter, or the end of the message.
        if !head.ended && !part.body().is_empty() {
            let first = self.octets(part.body().start..part.body().start + 1)?;
            let continues = at == head.end() && matches!(first[..], [b' ' | b'\t']);
            if continues || header::fields(&head.octets).next().is_none() {
                self.unended.insert(part.place());
            }
        }
        self.splices
            .insert(at, Slot::Start(part.depth(), Start::Field(order)), octets);
        Ok(())
    }

    /// Ends the last line before or in a header, so that another one can follow.
    fn end_line(&mut self, part: Part<'_>, head: &Head<'_>) -> Result<(), Error> {
        if head.octets.is_empty() && part.place() != 0 && self.is_message_root(part) {
            // The header of the part that holds the message may not be ended: then this one stood in it.
            let parent = self
                .parents
                .get(part.place() as usize)
                .and_then(|parent| self.part(*parent));
            if let Some(parent) = parent {
                let outer = self.head(parent)?;
                if !outer.ended {
                    return self.end_header(parent, &outer);
                }
            }
        }
        if head.open_line {
            self.open_lines.insert(part.place());
        }
        Ok(())
    }

    /// Ends a header that no empty line ends, so that a body can follow.
    fn end_header(&mut self, part: Part<'_>, head: &Head<'_>) -> Result<(), Error> {
        self.unended.insert(part.place());
        self.end_line(part, head)
    }

    /// Replaces lines of a header.
    fn cut(&mut self, part: Part<'_>, head: &Head<'_>, range: Range<u64>, octets: Vec<u8>) {
        if range.end == head.end() && head.open_line {
            self.closed_lines.insert(part.place());
        }
        self.splices.replace(range, octets);
    }

    fn field(&self, field: &Field<'_>) -> Result<Vec<u8>, Error> {
        let octets = match self.utf8 {
            true => field.to_utf8_bytes()?,
            false => field.to_bytes()?,
        };
        Ok(self.own_line_ends(octets))
    }

    /// CRLF in what is added becomes what ends the lines of the message.
    fn own_line_ends(&self, octets: Vec<u8>) -> Vec<u8> {
        if self.line_end != b"\n" {
            return octets;
        }
        let mut out = Vec::with_capacity(octets.len());
        for line in octets.split_inclusive(|b| *b == b'\n') {
            match line.strip_suffix(b"\r\n") {
                Some(content) => {
                    out.extend_from_slice(content);
                    out.push(b'\n');
                }
                None => out.extend_from_slice(line),
            }
        }
        out
    }

    fn octets(&self, range: Range<u64>) -> Result<Cow<'a, [u8]>, Error> {
        let octets =
            (self.read)(range.clone()).filter(|octets| octets.len() as u64 == range.end - range.start);
        octets.ok_or(Error::Unreadable(range))
    }

    fn head(&self, part: Part<'_>) -> Result<Head<'a>, Error> {
        let range = part.header();
        let parent = self
            .parents
            .get(part.place() as usize)
            .and_then(|parent| self.part(*parent));
        let multipart = parent.filter(|parent| parent.kind() == Kind::Multipart && part.place() != 0);
        if multipart.is_some_and(|multipart| multipart.body().start == range.start) {
            return Err(Error::StandIn);
        }
        let octets = self.octets(range.clone())?;
        let last =
            memchr::memrchr(b'\n', octets.strip_suffix(b"\n").unwrap_or(&octets)).map_or(0, |at| at + 1);
        let ended = is_blank_line(&octets[last..]);
        // CRs that the end of the message cut short would make an empty line with the next line end.
        let stray = !octets[last..].is_empty() && octets[last..].iter().all(|b| *b == b'\r');
        // A part without a header may follow a delimiter that the end of the message cut short.
        let open_line = match range.start.checked_sub(1) {
            Some(before) if octets.is_empty() => self.octets(before..range.start)?[..] != *b"\n",
            _ => !octets.is_empty() && !octets.ends_with(b"\n"),
        };
        Ok(Head {
            bottom: range.start + if ended || stray { last } else { octets.len() } as u64,
            start: range.start,
            ended,
            open_line,
            octets,
        })
    }

    fn is_message_root(&self, part: Part<'_>) -> bool {
        let parent = self
            .parents
            .get(part.place() as usize)
            .copied()
            .unwrap_or_default();
        part.place() == 0
            || self
                .part(parent)
                .is_some_and(|parent| parent.kind() == Kind::Message)
    }

    fn part(&self, place: u32) -> Option<Part<'a>> {
        self.parts.get(place as usize).copied()
    }
}

impl std::fmt::Debug for Editor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor")
            .field("splices", &self.splices)
            .field("removed", &self.removed)
            .finish_non_exhaustive()
    }
}

/// How much of a message is looked at for its first line end.
const LINE: u64 = 4096;

/// A header, and where things go in it.
struct Head<'a> {
    start: u64,
    octets: Cow<'a, [u8]>,
    /// Behind the last field.
    bottom: u64,
    /// An empty line ends it.
    ended: bool,
    /// The last line, or the delimiter before, has no line end.
    open_line: bool,
}

/// A field in a header, as a range of the message.
#[derive(Debug, Clone)]
struct Span {
    raw: Range<u64>,
    /// With the lines behind it that are no field.
    all: Range<u64>,
}

impl Head<'_> {
    fn end(&self) -> u64 {
        self.start + self.octets.len() as u64
    }

    fn top(&self) -> u64 {
        // A continuation of nothing would continue what is put before it.
        let is_none = |line: &&[u8]| {
            let mbox = line.starts_with(b"From ") || line.starts_with(b">From ");
            mbox || line.starts_with(b" ") || line.starts_with(b"\t")
        };
        let lines = self.octets.split_inclusive(|b| *b == b'\n').take_while(is_none);
        self.start + lines.map(|line| line.len() as u64).sum::<u64>()
    }

    fn local(&self, range: &Range<u64>) -> Range<usize> {
        (range.start - self.start) as usize..(range.end - self.start) as usize
    }

    fn spans(&self) -> Vec<(Vec<u8>, Span)> {
        let base = self.octets.as_ptr() as usize;
        let mut spans: Vec<(Vec<u8>, Span)> = Vec::new();
        for field in header::fields(&self.octets) {
            let at = self.start + (field.raw.as_ptr() as usize - base) as u64;
            if let Some((_, last)) = spans.last_mut() {
                // A mark before this field is no line of the one before it.
                let is_marked = self.octets[..self.local(&(at..at)).start].ends_with(crate::field::MARK);
                last.all.end = at
                    - if is_marked {
                        crate::field::MARK.len() as u64
                    } else {
                        0
                    };
            }
            let raw = at..at + field.raw.len() as u64;
            spans.push((
                field.name.to_vec(),
                Span {
                    all: raw.clone(),
                    raw,
                },
            ));
        }
        if let Some((_, last)) = spans.last_mut() {
            last.all.end = self.bottom;
        }
        spans
    }

    fn find(&self, name: &str) -> Vec<Span> {
        let named = self
            .spans()
            .into_iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, span)| span).collect()
    }

    fn nth(&self, name: &str, nth: usize) -> Result<Span, Error> {
        let span = self.find(name).into_iter().nth(nth);
        span.ok_or_else(|| Error::NoField(name.to_owned()))
    }
}
