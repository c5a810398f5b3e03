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
//! - A delimiter of an outer multipart ends the inner ones. Of equal boundaries the innermost counts.

mod build;
mod format;
mod part;
mod record;

use std::ops::Range;

use bytes::Bytes;

use crate::{Defect, DefectKind, Error};
use format::{DEFECT, FIELD, HEAD, MAGIC, PART, Table};

pub use build::{Builder, Options};
pub(crate) use format::Record;
pub use part::{FieldSpan, FieldSpans, Kind, Part, Parts};

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
#[derive(Clone, PartialEq, Eq)]
pub struct Index {
    bytes: Bytes,
    fields_at: usize,
    defects_at: usize,
    records_at: usize,
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
        let index = Self {
            bytes,
            fields_at,
            defects_at,
            records_at,
        };
        index.is_sound().then_some(index).ok_or(Error::NotAnIndex)
    }

    fn from_built(bytes: Bytes) -> Self {
        let table = Table(&bytes);
        let fields_at = HEAD + table.u32(4) as usize * PART;
        let defects_at = fields_at + table.u32(8) as usize * FIELD;
        let records_at = defects_at + table.u32(12) as usize * DEFECT;
        Self {
            bytes,
            fields_at,
            defects_at,
            records_at,
        }
    }

    /// Whether readers may rely on ranges and nesting. Cheap: most messages have a handful of parts.
    fn is_sound(&self) -> bool {
        let octets = self.octets();
        let mut depth_before = 0;
        self.parts().all(|part| {
            let depth = part.depth();
            let nested = match part.place() {
                0 => depth == 0,
                _ => depth >= 1 && depth <= depth_before + 1,
            };
            depth_before = depth;
            nested
                && depth <= 501
                && part.next() > part.place()
                && part.next() <= self.part_count()
                && part.header().start <= part.header().end
                && part.body().start <= part.body().end
                && part.body().end <= octets
        })
    }

    /// The stored form; a reference, not a copy.
    pub fn to_bytes(&self) -> Bytes {
        self.bytes.clone()
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

    /// What is odd about the message, in the order in which it was found.
    pub fn defects(&self) -> impl Iterator<Item = Defect> + '_ {
        let octets = &self.bytes[self.defects_at..self.records_at];
        octets.chunks_exact(DEFECT).filter_map(|entry| {
            let kind = DefectKind::from_code(entry[0])?;
            Some(Defect::new(kind, Table(entry).u64(1)))
        })
    }

    fn table(&self) -> Table<'_> {
        Table(&self.bytes)
    }

    fn part_count(&self) -> u32 {
        self.table().u32(4)
    }

    fn field_count(&self) -> u32 {
        self.table().u32(8)
    }

    fn record(&self, at: u32) -> Record<'_> {
        let records = &self.bytes[self.records_at..];
        Record::new(records.get(at as usize..).unwrap_or_default())
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("octets", &self.octets())
            .field("parts", &self.parts().collect::<Vec<_>>())
            .field("defects", &self.defects().collect::<Vec<_>>())
            .finish()
    }
}
