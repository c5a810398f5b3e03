//! Parts of an indexed message

use std::borrow::Cow;
use std::ops::Range;

use super::build::encoding_of;
use super::format::{
    BODY, DECODED, DEPTH, ENCODING, END, FIELD, FIRST_FIELD, HEADER, IS_TEXT, KIND, LINES, NEXT, Record,
    UNKNOWN,
};
use super::format::{KIND_MESSAGE, KIND_MULTIPART};
use super::record::Slot;
use super::{Index, Table};
use crate::transfer::Encoding;

/// A part: the root, a part of a multipart, or the root of a nested message.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    index: &'a Index,
    place: u32,
}

/// What a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 2045 §2.4 knows no fourth
pub enum Kind {
    /// It has no parts.
    Leaf,
    /// It has one part or more.
    Multipart,
    /// message/rfc822 or message/global: its one child is the root of the nested message.
    Message,
}

impl<'a> Part<'a> {
    pub(super) fn new(index: &'a Index, place: u32) -> Self {
        Self { index, place }
    }

    /// What the part is made of.
    pub fn kind(&self) -> Kind {
        match self.entry().u8(KIND) {
            KIND_MULTIPART => Kind::Multipart,
            KIND_MESSAGE => Kind::Message,
            _ => Kind::Leaf,
        }
    }

    /// The place of the part among all parts of the message, in the order in which they start.
    pub fn place(&self) -> u32 {
        self.place
    }

    /// The IMAP part number (RFC 9051 §6.4.5), by which [`Index::part`] finds the part: empty for the root, and `None`
    /// for the multipart that a nested message is, which has none.
    ///
    /// It is looked for from the root; [`Index::numbered`] has those of all parts at once.
    pub fn number(&self) -> Option<Vec<u32>> {
        let mut part = Part::new(self.index, 0);
        let (mut number, mut has_number) = (Vec::new(), true);
        while part.place != self.place {
            if part.place == 0 && part.kind() == Kind::Message {
                number.push(1);
            }
            let mut children = (1..).zip(part.children());
            let (nth, child) =
                children.find(|(_, child)| (child.place..child.next()).contains(&self.place))?;
            has_number = !(part.kind() == Kind::Message && child.kind() == Kind::Multipart);
            if has_number {
                number.push(nth);
            }
            part = child;
        }
        has_number.then_some(number)
    }

    /// How deep the part is nested; the root is at 0.
    pub fn depth(&self) -> u16 {
        self.entry().u16(DEPTH)
    }

    /// The header, with the empty line that ends it.
    pub fn header(&self) -> Range<u64> {
        self.entry().u48(HEADER)..self.entry().u48(BODY)
    }

    /// The body, without the line end that belongs to the delimiter behind it.
    pub fn body(&self) -> Range<u64> {
        self.entry().u48(BODY)..self.entry().u48(END)
    }

    /// Lines of the body, where they were counted; a last one without line end counts.
    ///
    /// They always are for text and for messages, and for all that is inside of messages; for other parts only with
    /// [`Options::all_lines`](super::Options::all_lines).
    pub fn lines(&self) -> Option<u64> {
        Some(self.entry().u48(LINES)).filter(|lines| *lines != UNKNOWN)
    }

    /// The size of the body without its transfer encoding, where it is known: without decoding, that is so for a
    /// body that has none; for others only with [`Options::decoded_sizes`](super::Options::decoded_sizes). A
    /// multipart or message is never decoded.
    pub fn decoded_len(&self) -> Option<u64> {
        let (body, decoded) = (self.body(), self.entry().u48(DECODED));
        match (self.kind(), self.encoding()) {
            (Kind::Leaf, Encoding::Identity | Encoding::Unknown) => Some(body.end - body.start),
            (Kind::Leaf, _) => Some(decoded).filter(|len| *len != UNKNOWN),
            _ => Some(body.end - body.start),
        }
    }

    /// The parts right inside of this one.
    pub fn children(&self) -> Parts<'a> {
        Parts {
            index: self.index,
            place: self.place + 1,
            end: self.next().min(self.index.part_count()),
            depth: Some(self.depth() + 1),
        }
    }

    /// Where the fields of the header are.
    pub fn fields(&self) -> FieldSpans<'a> {
        let count = self.index.field_count();
        let end = match self.place + 1 {
            next if next < self.index.part_count() => Part::new(self.index, next).first_field().min(count),
            _ => count,
        };
        FieldSpans {
            table: self.index.fields_table(),
            header: self.header(),
            at: self.first_field(),
            end,
        }
    }

    /// How the body is encoded.
    pub fn encoding(&self) -> Encoding {
        encoding_of(self.entry().u8(ENCODING))
    }

    /// Removes the transfer encoding from the octets of [`Part::body`]. Parts inside of it are not touched.
    pub fn decode<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        match self.kind() {
            Kind::Leaf => self.encoding().decode(body),
            Kind::Multipart | Kind::Message => Cow::Borrowed(body),
        }
    }

    /// Whether this is a leaf of type text/*.
    pub fn is_text(&self) -> bool {
        self.kind() == Kind::Leaf && self.entry().u8(IS_TEXT) == 1
    }

    fn entry(&self) -> Table<'a> {
        self.index.entry(self.place)
    }

    /// The place behind the last part inside of this one.
    pub(super) fn next(&self) -> u32 {
        self.entry().u32(NEXT)
    }

    fn first_field(&self) -> u32 {
        self.entry().u32(FIRST_FIELD)
    }

    /// Whether this is the root of a message: of the one with the index, or of one inside of it.
    pub(crate) fn is_message_root(&self) -> bool {
        let Some(before) = self.place.checked_sub(1) else {
            return true;
        };
        let before = Part::new(self.index, before);
        before.kind() == Kind::Message && before.depth() + 1 == self.depth()
    }

    /// The value of the Content-Type field, if there is one, from an index whose records are not written yet.
    pub(crate) fn content_type(&self) -> Option<Option<&'a [u8]>> {
        self.index.draft_value(self.place, Slot::ContentType)
    }

    pub(crate) fn record(&self) -> Record<'a> {
        self.index.record(self.place)
    }
}

impl std::fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("kind", &self.kind())
            .field("depth", &self.depth())
            .field("header", &self.header())
            .field("body", &self.body())
            .field("lines", &self.lines())
            .finish_non_exhaustive()
    }
}

/// Parts of one message.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    index: &'a Index,
    place: u32,
    end: u32,
    /// Only parts of this depth, and what is inside of them is passed over.
    depth: Option<u16>,
}

impl<'a> Parts<'a> {
    pub(super) fn all(index: &'a Index) -> Self {
        Self {
            index,
            place: 0,
            end: index.part_count(),
            depth: None,
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.place >= self.end {
            return None;
        }
        let part = Part::new(self.index, self.place);
        self.place = match self.depth {
            None => self.place + 1,
            Some(depth) if depth == part.depth() => part.next().max(self.place + 1),
            Some(_) => return None,
        };
        Some(part)
    }
}

/// Where a field is. All ranges count from the start of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldSpan {
    /// The name as written.
    pub name: Range<u64>,
    /// What stands behind the colon, without the last line end.
    pub value: Range<u64>,
    /// All of the field, with its last line end.
    pub field: Range<u64>,
}

/// The fields of one header, from the top or from the bottom.
#[derive(Debug, Clone)]
pub struct FieldSpans<'a> {
    table: &'a [u8],
    header: Range<u64>,
    at: u32,
    end: u32,
}

impl FieldSpans<'_> {
    fn span(&self, place: u32) -> FieldSpan {
        let entry = Table(self.table.get(place as usize * FIELD..).unwrap_or_default());
        let within = |at: u64| at.min(self.header.end);
        let start = within(self.header.start.saturating_add(entry.u32(0).into()));
        let end = within(start.saturating_add(entry.u32(4).into()));
        let value_at = entry.u16(10);
        let value = end.min(start.saturating_add(u64::from(value_at >> 2)));
        FieldSpan {
            name: start..end.min(start.saturating_add(u64::from(entry.u16(8)))),
            value: value..value.max(end - u64::from(value_at & 3).min(end)),
            field: start..end,
        }
    }

    /// Passes over fields whose names have another length, without looking at more.
    pub(crate) fn skip_names_unlike(&mut self, len: usize, from_bottom: bool) {
        let range = self.at as usize * FIELD..self.end as usize * FIELD;
        let entries = self.table.get(range).unwrap_or_default().chunks_exact(FIELD);
        let differs = |entry: &[u8]| usize::from(u16::from_le_bytes([entry[8], entry[9]])) != len;
        if from_bottom {
            self.end -= entries.rev().take_while(|entry| differs(entry)).count() as u32;
        } else {
            self.at += entries.take_while(|entry| differs(entry)).count() as u32;
        }
    }
}

impl Iterator for FieldSpans<'_> {
    type Item = FieldSpan;

    fn next(&mut self) -> Option<FieldSpan> {
        let place = (self.at < self.end).then_some(self.at)?;
        self.at += 1;
        Some(self.span(place))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.saturating_sub(self.at) as usize;
        (left, Some(left))
    }
}

impl DoubleEndedIterator for FieldSpans<'_> {
    fn next_back(&mut self) -> Option<FieldSpan> {
        self.end = (self.at < self.end).then(|| self.end - 1)?;
        Some(self.span(self.end))
    }
}
