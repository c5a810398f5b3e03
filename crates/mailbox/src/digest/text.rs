//! The text of a message as it is searched (RFC 9051 §6.4.4)
//!
//! It comes in units: each header, its fields unfolded and decoded, one to a line; and the text of each part of type
//! text/*, HTML without its marks. A string is in a message when it is in one of the units. Other attachments have no
//! text.

use core::ops::Range;
use std::borrow::Cow;

use bytes::Bytes;
use mailwright_message::{
    header::{Field, fields},
    index::{Index, Kind, Part, Parts},
    text::Reader,
    transfer::Encoding,
};

use super::sketch::Sketcher;
use crate::casemap;

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // the two that RFC 9051 tells apart, and the one that HEADER looks in
pub enum UnitKind {
    /// The message's own header.
    RootHeader,
    /// The header of a part.
    Header,
    /// The text of a part, or the header of a nested message: both are in the body of the message.
    Body,
}

/// Takes the text of units, each in pieces.
pub trait Sink {
    /// A unit begins. Nothing of it comes when this returns false.
    fn begin(&mut self, kind: UnitKind) -> bool;
    /// The next piece of text. Nothing more of the unit comes when this returns false.
    fn text(&mut self, text: &str) -> bool;
    /// The unit ends.
    fn end(&mut self);
}

/// Walks the units of a message whose octets are read on the way.
///
/// While [`Walk::wanted`] names a range, give its octets, as many as there are at hand, to [`Walk::push`].
#[derive(Debug)]
pub struct Walk<'a> {
    parts: Parts<'a>,
    part: Option<Part<'a>>,
    /// What the part before was.
    before: Option<Kind>,
    unit: Option<Unit>,
}

#[derive(Debug)]
struct Unit {
    reading: Reading,
    left: Range<u64>,
}

#[derive(Debug)]
enum Reading {
    // A header is decoded as a whole.
    Header(Vec<u8>),
    Body(Box<Reader>),
}

impl<'a> Walk<'a> {
    /// Begins with the first unit.
    pub fn new(index: &'a Index) -> Self {
        Self {
            parts: index.parts(),
            part: None,
            before: None,
            unit: None,
        }
    }

    /// Returns the octets of the message that are wanted next; `None` at its end.
    pub fn wanted(&mut self, sink: &mut impl Sink) -> Option<Range<u64>> {
        loop {
            if let Some(unit) = &self.unit {
                return Some(unit.left.clone());
            }
            let (kind, reading, left) = match self.part.take() {
                Some(part) => {
                    let Some(reader) = Reader::of(&part) else {
                        continue;
                    };
                    (UnitKind::Body, Reading::Body(Box::new(reader)), part.body())
                }
                None => {
                    let part = self.parts.next()?;
                    self.part = Some(part);
                    // What follows a message/rfc822 part is the root of its message.
                    let kind = match self.before.replace(part.kind()) {
                        None => UnitKind::RootHeader,
                        Some(Kind::Message) => UnitKind::Body,
                        Some(_) => UnitKind::Header,
                    };
                    (kind, Reading::Header(Vec::new()), part.header())
                }
            };
            if !left.is_empty() && sink.begin(kind) {
                self.unit = Some(Unit { reading, left });
            }
        }
    }

    /// Takes octets from the start of the range that is wanted. None at all mean that there are no more.
    pub fn push(&mut self, octets: &[u8], sink: &mut impl Sink) {
        let Some(unit) = &mut self.unit else {
            return;
        };
        let wanted = unit.left.end - unit.left.start;
        let octets = &octets[..octets.len().min(usize::try_from(wanted).unwrap_or(usize::MAX))];
        unit.left.start += octets.len() as u64;
        let is_last = unit.left.is_empty() || octets.is_empty();
        let mut text = String::new();
        match &mut unit.reading {
            Reading::Header(header) if is_last && header.is_empty() => header_text(octets, &mut text),
            Reading::Header(header) => {
                header.extend_from_slice(octets);
                if is_last {
                    header_text(header, &mut text);
                }
            }
            Reading::Body(reader) => {
                reader.push(octets, &mut text);
                if is_last {
                    reader.finish(&mut text);
                }
            }
        }
        if !sink.text(&text) || is_last {
            sink.end();
            self.unit = None;
        }
    }

    /// Walks through a message in memory.
    pub fn run(mut self, message: &[u8], sink: &mut impl Sink) {
        while let Some(wanted) = self.wanted(sink) {
            self.push(slice(message, wanted), sink);
        }
    }
}

/// Text that is kept: the units of a message, mapped by [`casemap`]; and its sketch.
#[derive(Debug)]
pub struct Kept {
    most: usize,
    bytes: Vec<u8>,
    /// Where the length of the open unit stands.
    unit: usize,
    is_full: bool,
    sketcher: Sketcher,
}

const VERSION: u8 = 1;

impl Kept {
    /// Makes room for so many octets.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            bytes: Vec::new(),
            unit: 0,
            is_full: most == 0,
            sketcher: Sketcher::new(),
        }
    }

    /// Returns what is stored, which is nothing when the text is longer than was allowed, and its sketch.
    pub(super) fn finish(self) -> (Option<Bytes>, Bytes) {
        let text = (!self.is_full && !self.bytes.is_empty()).then(|| self.bytes.into());
        (text, self.sketcher.finish())
    }

    /// Reads what [`Digest`](super::Digest) made of it; `None` for what it did not.
    pub fn units(bytes: &[u8]) -> Option<impl Iterator<Item = (UnitKind, &[u8])>> {
        let (&VERSION, mut rest) = bytes.split_first()? else {
            return None;
        };
        let next = |rest: &mut &'_ [u8]| -> Option<usize> {
            let len = rest.get(1..5)?.first_chunk().copied()?;
            usize::try_from(u32::from_le_bytes(len))
                .ok()
                .filter(|len| *len <= rest.len() - 5)
        };
        let mut check = rest;
        while !check.is_empty() {
            check = &check[5 + next(&mut check)?..];
        }
        Some(core::iter::from_fn(move || {
            let len = next(&mut rest)?;
            let kind = match rest[0] {
                0 => UnitKind::RootHeader,
                1 => UnitKind::Header,
                _ => UnitKind::Body,
            };
            let text = &rest[5..5 + len];
            rest = &rest[5 + len..];
            Some((kind, text))
        }))
    }
}

impl Sink for Kept {
    fn begin(&mut self, kind: UnitKind) -> bool {
        self.sketcher.begin(kind == UnitKind::Body);
        if !self.is_full {
            if self.bytes.is_empty() {
                self.bytes.push(VERSION);
            }
            self.bytes.push(match kind {
                UnitKind::RootHeader => 0,
                UnitKind::Header => 1,
                UnitKind::Body => 2,
            });
            self.unit = self.bytes.len();
            self.bytes.extend_from_slice(&[0; 4]);
        }
        !(self.is_full && self.sketcher.is_full())
    }

    fn text(&mut self, text: &str) -> bool {
        if self.is_full {
            // Its sketch alone is made, of a piece at a time.
            let mut mapped = Vec::new();
            let mut rest = text;
            while !rest.is_empty() {
                let most = PIECE.min(rest.len());
                let end = (most..=rest.len()).find(|at| rest.is_char_boundary(*at));
                let (piece, behind) = rest.split_at(end.unwrap_or(rest.len()));
                mapped.clear();
                casemap::append(piece, &mut mapped);
                self.sketcher.push(&mapped);
                rest = behind;
            }
            return !self.sketcher.is_full();
        }
        let from = self.bytes.len();
        casemap::append(text, &mut self.bytes);
        self.sketcher.push(&self.bytes[from..]);
        if self.bytes.len() > self.most {
            (self.is_full, self.bytes) = (true, Vec::new());
        }
        true
    }

    fn end(&mut self) {
        self.sketcher.end();
        let len = self.bytes.len().saturating_sub(self.unit + 4) as u32;
        if let Some(place) = self.bytes.get_mut(self.unit..self.unit + 4) {
            place.copy_from_slice(&len.to_le_bytes());
        }
    }
}

/// How much of a text is mapped at a time where it is not kept.
const PIECE: usize = 4096;

/// Gives the units of a message that [`Keys::plain`](super::Keys::plain) is for; false when it is not that message.
pub fn plain(message: &[u8], body: u32, sink: &mut impl Sink) -> bool {
    let Some((header, body)) = message.split_at_checked(body as usize) else {
        return false;
    };
    let Ok(body) = str::from_utf8(body) else {
        return false;
    };
    if !header.is_empty() && sink.begin(UnitKind::RootHeader) {
        let mut text = String::with_capacity(header.len());
        header_text(header, &mut text);
        sink.text(&text);
        sink.end();
    }
    if !body.is_empty() && sink.begin(UnitKind::Body) {
        sink.text(body);
        sink.end();
    }
    true
}

/// Whether a message is one part of text that decoding does not change in the least.
pub(super) fn is_plain(index: &Index, message: &[u8]) -> bool {
    let root = index.root();
    let body = slice(message, root.body());
    if root.kind() != Kind::Leaf
        || !matches!(root.encoding(), Encoding::Identity)
        || root.body().end != index.octets()
        || root.is("text", "html")
    {
        return false;
    }
    let Some(mut reader) = Reader::of(&root) else {
        return false;
    };
    let mut text = String::with_capacity(body.len());
    reader.push(body, &mut text);
    reader.finish(&mut text);
    text.as_bytes() == body
}

/// Writes the fields of a header, decoded, a line each.
fn header_text(header: &[u8], out: &mut String) {
    for field in fields(header) {
        out.push_str(str::from_utf8(field.name).unwrap_or_default());
        out.push_str(": ");
        out.push_str(&field_text(&field));
        out.push_str("\r\n");
    }
}

/// The decoded value of a field, on one line whatever was encoded in it.
pub(super) fn field_text<'a>(field: &Field<'a>) -> Cow<'a, str> {
    let text = field.text();
    match memchr::memchr2(b'\r', b'\n', text.as_bytes()) {
        None => text,
        Some(_) => Cow::Owned(text.replace(['\r', '\n'], " ")),
    }
}

/// The octets of a range; none where the message is shorter.
pub(crate) fn slice(message: &[u8], range: Range<u64>) -> &[u8] {
    let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    message.get(start..end).unwrap_or_default()
}
