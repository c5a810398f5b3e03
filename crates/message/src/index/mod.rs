//! The part index: where everything is in a message, kept beside it (RFC 2045, RFC 9051 §6.4.5)
//!
//! An index is built in one pass while the message streams by, is stored as it is, and answers from the stored
//! octets without parsing again. How multiparts and nested messages are read:
//!
//! - message/rfc822 and message/global are read into, in a multipart/digest also without a type; all other
//!   types of message/* are leaves: message/external-body and message/partial hold no message.
//! - The structure is what the octets show. base64 or quoted-printable around a multipart or message is
//!   forbidden, often a lie, and ignored for the structure ([`DefectKind::EncodedComposite`](crate::DefectKind)).
//! - A multipart in which no part is found has one part, text/plain, that is all of its body: nothing is hidden,
//!   and no BODYSTRUCTURE is ever without parts.
//! - A line that is no field does not end a header, but where no empty line comes, the body starts with the lines
//!   behind the last field; the delimiter that a header names ends that header too. No text is lost in a header.
//! - A delimiter of an outer multipart ends the inner ones. Of equal boundaries the innermost counts.

mod build;
mod compile;
mod format;
mod part;
mod record;
mod spans;

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::{Defect, DefectKind, Error};
use build::Draft;
use compile::Whole;
use format::{BODY, DEFECT, DEPTH, END, FIELD, FIRST_FIELD, HEAD, HEADER, KIND, MAGIC, NEXT, PART, Table};
use format::{KIND_MESSAGE, KIND_MULTIPART};

pub use build::{Builder, Options};
pub(crate) use format::Record;
pub use part::{FieldSpan, FieldSpans, Kind, Part, Parts};
use record::Slot;
pub use spans::{Encrypted, Fields, Protocol, Signed};

/// Where everything is in one message.
///
/// ```
/// use mailwright_message::index::{Index, Section};
///
/// let message = b"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
///     --x\r\n\r\nhello\r\n--x--\r\n";
/// let mut builder = Index::builder(Default::default());
/// for chunk in message.chunks(7) {
///     builder.push(chunk);
/// }
/// let stored = builder.finish().to_bytes();
///
/// let index = Index::from_bytes(stored).unwrap();
/// let text = index.section(&[1], Section::Content).unwrap();
/// assert_eq!(&message[text.start as usize..text.end as usize], b"hello");
/// ```
///
/// An index that was just built has its ranges at once. Its envelopes, body structures and defects are worked out
/// when the first of them is asked for, or when it is stored; one that was stored has them.
#[derive(Clone)]
pub struct Index {
    /// Empty for one that was stored.
    draft: Draft,
    whole: OnceLock<Whole>,
}

/// A section of an IMAP part (RFC 9051 §6.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 9051 §9: section-text
pub enum Section {
    /// `BODY[1.2]`; without a number the whole message, `BODY[]`.
    Content,
    /// `BODY[HEADER]`, `BODY[1.HEADER]`: with the empty line that ends it. For `HEADER.FIELDS`, filter
    /// [`header::fields`](crate::header::fields) of these octets.
    Header,
    /// `BODY[TEXT]`, `BODY[1.TEXT]`.
    Text,
    /// `BODY[1.MIME]`.
    Mime,
}

impl Index {
    /// Starts the index of a message that comes in pieces.
    pub fn builder(options: Options) -> Builder {
        Builder::new(options)
    }

    /// The index of a message that is in memory, with default options.
    pub fn of(message: &[u8]) -> Self {
        let mut builder = Self::builder(Options::default());
        builder.expect(message.len());
        builder.push(message);
        builder.finish()
    }

    /// Takes a stored index back.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnIndex`] when the octets are of another version or damaged in a way that matters: build the
    /// index again from the message.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Error> {
        let table = Table(&bytes);
        let place = |from: usize, count: u32, size: usize| {
            let len = (count as usize).checked_mul(size)?;
            from.checked_add(len).filter(|end| *end <= bytes.len())
        };
        if !bytes.starts_with(&MAGIC) || bytes.len() < HEAD || table.u32(4) == 0 {
            return Err(Error::NotAnIndex);
        }
        let ends = || {
            let fields_at = place(HEAD, table.u32(4), PART)?;
            let defects_at = place(fields_at, table.u32(8), FIELD)?;
            let records_at = place(defects_at, table.u32(12), DEFECT)?;
            Some((fields_at, defects_at, records_at))
        };
        let (fields_at, defects_at, records_at) = ends().ok_or(Error::NotAnIndex)?;
        let whole = Whole {
            bytes,
            fields_at,
            defects_at,
            records_at,
        };
        let index = Self {
            draft: Draft::default(),
            whole: OnceLock::from(whole),
        };
        index.is_sound().then_some(index).ok_or(Error::NotAnIndex)
    }

    fn from_draft(draft: Draft) -> Self {
        Self {
            draft,
            whole: OnceLock::new(),
        }
    }

    fn into_draft(self) -> Draft {
        self.draft
    }

    /// Whether readers may rely on ranges and nesting, so that they may walk the tree and recurse: parts inside of
    /// parts, in order, and each of them once. Cheap: most messages have a handful of parts.
    fn is_sound(&self) -> bool {
        let octets = self.octets();
        // The parts around the one at hand: where each one's body and inner parts end, and its kind.
        let mut around: Vec<(u64, u64, u32, u8)> = Vec::new();
        let mut fields = 0;
        for place in 0..self.part_count() {
            let entry = self.entry(place);
            let (start, body, end) = (entry.u48(HEADER), entry.u48(BODY), entry.u48(END));
            let (depth, next) = (usize::from(entry.u16(DEPTH)), entry.u32(NEXT));
            if depth > around.len() || depth > 501 || (depth == 0) != (place == 0) {
                return false;
            }
            let closed = around.drain(depth..).all(|(.., next, _)| next == place);
            let within = around.last().is_none_or(|(from, to, next_of_around, kind)| {
                let only = *kind == KIND_MULTIPART || *kind == KIND_MESSAGE && next == *next_of_around;
                only && *from <= start && end <= *to
            });
            let ordered = start <= body && body <= end && end <= octets;
            let first_field = entry.u32(FIRST_FIELD);
            let has_parts = matches!(entry.u8(KIND), KIND_MULTIPART | KIND_MESSAGE);
            let nested = if has_parts {
                next > place + 1
            } else {
                next == place + 1
            };
            if !(closed && within && ordered && nested && next <= self.part_count() && fields <= first_field)
            {
                return false;
            }
            fields = first_field;
            around.push((body, end, next, entry.u8(KIND)));
        }
        let count = self.part_count();
        around.iter().all(|(.., next, _)| *next == count) && fields <= self.field_count()
    }

    /// The stored form; a reference, not a copy.
    pub fn to_bytes(&self) -> Bytes {
        self.whole().bytes.clone()
    }

    /// The size of the message in octets.
    pub fn octets(&self) -> u64 {
        self.table().u64(20)
    }

    /// The root: the message as a whole.
    pub fn root(&self) -> Part<'_> {
        Part::new(self, 0)
    }

    /// All parts in the order in which they start, the root first.
    pub fn parts(&self) -> Parts<'_> {
        Parts::all(self)
    }

    /// All parts with their IMAP part numbers (RFC 9051 §6.4.5), the root first; see [`Part::number`].
    ///
    /// ```
    /// use mailwright_message::Index;
    /// let index = Index::of(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--");
    /// let numbers: Vec<_> = index.numbered().map(|(number, _)| number.unwrap()).collect();
    /// assert_eq!(numbers, [vec![], vec![1], vec![2]]);
    /// ```
    pub fn numbered(&self) -> impl Iterator<Item = (Option<Vec<u32>>, Part<'_>)> {
        // For each open part: its kind, what the numbers of its children start with, and how many there were.
        let mut open: Vec<(Kind, Vec<u32>, u32)> = Vec::new();
        self.parts().map(move |part| {
            open.truncate(part.depth().into());
            let number = open.last_mut().map_or(Some(vec![]), |(kind, prefix, children)| {
                *children += 1;
                let has_none = *kind == Kind::Message && part.kind() == Kind::Multipart;
                (!has_none).then(|| [prefix, &[*children][..]].concat())
            });
            let prefix = match (&number, open.last()) {
                (None, Some((_, prefix, _))) => prefix.clone(),
                (Some(number), _) if number.is_empty() && part.kind() == Kind::Message => vec![1],
                _ => number.clone().unwrap_or_default(),
            };
            open.push((part.kind(), prefix, 0));
            (number, part)
        })
    }

    /// The part with an IMAP part number (RFC 9051 §6.4.5); the root for no number at all.
    ///
    /// For the content of a message/rfc822 part, the part itself is returned; numbers go on inside of it. The
    /// number 1 of a message that is no multipart is its root.
    pub fn part(&self, number: &[u32]) -> Option<Part<'_>> {
        let mut part = self.root();
        let mut is_root_of_message = true;
        for n in number {
            if !is_root_of_message && part.kind() == Kind::Message {
                part = part.children().next()?;
                is_root_of_message = true;
            }
            if part.kind() == Kind::Multipart {
                part = part.children().nth(n.checked_sub(1)? as usize)?;
            } else if !is_root_of_message || *n != 1 {
                return None;
            }
            is_root_of_message = false;
        }
        Some(part)
    }

    /// The octets of an IMAP section; `None` when there is no such part, or when a part that is no message is
    /// asked for its header or text.
    pub fn section(&self, number: &[u32], section: Section) -> Option<Range<u64>> {
        let part = self.part(number)?;
        let message = || match number {
            [] => Some(part),
            _ if part.kind() == Kind::Message => part.children().next(),
            _ => None,
        };
        Some(match section {
            Section::Content if number.is_empty() => 0..self.octets(),
            Section::Content => part.body(),
            Section::Header => message()?.header(),
            Section::Text => message()?.body(),
            Section::Mime if number.is_empty() => return None,
            Section::Mime => part.header(),
        })
    }

    /// Where the fields of the message's own header are.
    pub fn header_fields(&self) -> FieldSpans<'_> {
        self.root().fields()
    }

    /// How many Received fields the message's own header has: a hundred are a loop (RFC 5321 §6.3).
    pub fn received_count(&self) -> u32 {
        self.table().u32(16)
    }

    /// What is odd about the message, in the order in which it was found; last what is odd about the
    /// values of envelopes and body structures.
    pub fn defects(&self) -> impl Iterator<Item = Defect> + '_ {
        let whole = self.whole();
        let octets = &whole.bytes[whole.defects_at..whole.records_at];
        octets.chunks_exact(DEFECT).filter_map(|entry| {
            let kind = DefectKind::from_code(entry[0])?;
            Some(Defect::new(kind, Table(entry).u64(1)))
        })
    }

    fn whole(&self) -> &Whole {
        self.whole.get_or_init(|| self.draft.compile())
    }

    /// The octets that start with the head and the entries of the parts.
    fn parts_table(&self) -> &[u8] {
        match self.draft.parts.is_empty() {
            true => &self.whole().bytes,
            false => &self.draft.parts,
        }
    }

    fn fields_table(&self) -> &[u8] {
        match self.draft.parts.is_empty() {
            true => &self.whole().bytes[self.whole().fields_at..self.whole().defects_at],
            false => &self.draft.fields,
        }
    }

    fn table(&self) -> Table<'_> {
        Table(self.parts_table())
    }

    fn entry(&self, place: u32) -> Table<'_> {
        let at = HEAD + place as usize * PART;
        Table(self.parts_table().get(at..at + PART).unwrap_or_default())
    }

    fn part_count(&self) -> u32 {
        self.table().u32(4)
    }

    fn field_count(&self) -> u32 {
        self.table().u32(8)
    }

    /// A value that was kept for the record of a part, where that is not written yet.
    fn draft_value(&self, place: u32, slot: Slot) -> Option<Option<&[u8]>> {
        match self.whole.get() {
            Some(_) => None,
            None => Some(self.draft.values_of(place as usize).value(slot)),
        }
    }

    /// The record of a part.
    fn record(&self, place: u32) -> Record<'_> {
        let at = Table(&self.whole().bytes).u32(HEAD + place as usize * PART + format::RECORD);
        let whole = self.whole();
        let records = &whole.bytes[whole.records_at..];
        Record::new(records.get(at as usize..).unwrap_or_default())
    }
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.whole().bytes == other.whole().bytes
    }
}

impl Eq for Index {}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("octets", &self.octets())
            .field("parts", &self.parts().collect::<Vec<_>>())
            .field("defects", &self.defects().collect::<Vec<_>>())
            .finish()
    }
}
