//! Builds the index of a message while it streams by

use super::Index;
use super::format::{
    BODY, DECODED, DEPTH, ENCODING, END, FIELD, FIRST_FIELD, HEAD, HEADER, IS_TEXT, KIND, LINES, MAGIC, NEXT,
    PART, RECORD, Table, UNKNOWN, set_u32, set_u48,
};
use super::format::{KIND_DIGEST_LEAF, KIND_LEAF, KIND_MESSAGE, KIND_MULTIPART, KIND_OPAQUE};
use super::record::{Slot, put_value};
use crate::scan::{DefaultType, Field, Limits, Nature, Scanner, Visitor};
use crate::transfer::{Decoder, Encoding};
use crate::{Defect, DefectKind};

/// What an index keeps within bounds, and what it counts. All that goes beyond a limit is left out, and a defect
/// says so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The bounds of the scanner.
    pub limits: Limits,
    /// How many header fields the whole message may have in the index. Default 50,000.
    pub max_fields: u32,
    /// How many members of one address list are in the envelope. Default 10,000.
    pub max_addresses: u32,
    /// How many octets of text all envelopes and body structures may have together. Default 4 MiB.
    pub max_text_octets: u32,
    /// How many defects are kept, besides the first of each kind. Default 200.
    pub max_defects: u32,
    /// Whether the lines of every part are counted, or only those that IMAP tells: of text and of messages, with
    /// all that is inside of messages. Default false; it is at most twice the work, for large attachments.
    pub all_lines: bool,
    /// Whether encoded bodies are decoded on the way, to know their sizes and what is odd in their encoding.
    /// Default false; it is about ten times the work, for large attachments.
    pub decoded_sizes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_fields: 50_000,
            max_addresses: 10_000,
            max_text_octets: 4 << 20,
            max_defects: 200,
            all_lines: false,
            decoded_sizes: false,
        }
    }
}

/// Builds an [`Index`] from the pieces of a message.
///
/// It can be used again and again. With [`Builder::recycle`], no memory is asked for any more once a few messages
/// went through it:
///
/// ```
/// use mailwright_message::Index;
///
/// let mut builder = Index::builder(Default::default());
/// for message in [&b"Subject: one\r\n\r\n"[..], b"Subject: two\r\n\r\n"] {
///     builder.push(message);
///     let index = builder.finish();
///     assert_eq!(index.header_fields().count(), 1);
///     builder.recycle(index);
/// }
/// ```
#[derive(Debug)]
pub struct Builder {
    scanner: Scanner,
    tables: Tables,
}

impl Builder {
    pub(super) fn new(options: Options) -> Self {
        let mut scanner = Scanner::new(options.limits.clone());
        scanner.count_all_lines(options.all_lines);
        Self {
            scanner,
            tables: Tables {
                options,
                ..Tables::default()
            },
        }
    }

    /// Makes room for what a message of this length has most likely.
    pub(super) fn expect(&mut self, octets: usize) {
        self.tables.draft.parts.reserve(HEAD + PART * 8);
        self.tables
            .draft
            .fields
            .reserve((octets / 40).clamp(8, 256) * FIELD);
        self.tables
            .draft
            .values
            .reserve((octets / 4).clamp(512, 16 << 10));
    }

    /// Takes the next piece, of any size.
    pub fn push(&mut self, chunk: &[u8]) {
        self.scanner.push(chunk, &mut self.tables);
    }

    /// Octets pushed so far.
    pub fn octets(&self) -> u64 {
        self.scanner.offset()
    }

    /// Where the message's own header ends and its body begins; `None` as long as it is the header that comes.
    pub fn header_end(&self) -> Option<u64> {
        self.tables.header_end
    }

    /// Ends the message. The next push starts another one.
    pub fn finish(&mut self) -> Index {
        let octets = self.scanner.offset();
        self.scanner.finish(&mut self.tables);
        Index::from_draft(self.tables.finish(octets))
    }

    /// Takes the memory of an index that is done with, for the next one.
    pub fn recycle(&mut self, index: Index) {
        let mut draft = index.into_draft();
        draft.clear();
        if draft.parts.capacity() > self.tables.draft.parts.capacity() {
            self.tables.draft = draft;
        }
    }
}

/// What a builder found: the tables of the index, and the values that its records are made of when they are asked
/// for.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// The head and the entries of the parts.
    pub(super) parts: Vec<u8>,
    pub(super) fields: Vec<u8>,
    /// Of one part after the other; its entry says where they start.
    pub(super) values: Vec<u8>,
    pub(super) defects: Vec<Defect>,
    pub(super) bounds: DraftBounds,
}

/// The limits of records.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DraftBounds {
    pub(super) max_addresses: u32,
    pub(super) max_parameters: u32,
    pub(super) max_text_octets: u32,
    pub(super) max_defects: u32,
}

impl Draft {
    fn clear(&mut self) {
        self.parts.clear();
        self.fields.clear();
        self.values.clear();
        self.defects.clear();
    }
}

#[derive(Debug, Default)]
struct Tables {
    options: Options,
    draft: Draft,
    received: u32,
    header_end: Option<u64>,
    /// The places of the innermost open part and of the next one; a part that is open has that of the one around
    /// it where its `NEXT` will be.
    innermost: u32,
    places: u32,
    depth: u16,
    /// The next part is the root of a message inside of another part.
    nested: bool,
    header: CurrentHeader,
    told: Told,
    decoding: Option<Decoding>,
    /// What a decoder gave, to be measured.
    decoded: Vec<u8>,
}

/// The header that is being read.
#[derive(Debug, Default)]
struct CurrentHeader {
    at: u64,
    /// One bit for each slot that has its value.
    slots: u32,
    is_of_message: bool,
    encoding: Encoding,
}

/// The body that is being decoded.
#[derive(Debug)]
struct Decoding {
    decoder: Decoder,
    seen: u64,
    len: u64,
}

/// What was reported already.
#[derive(Debug, Default)]
struct Told {
    /// One bit for each kind of defect.
    kinds: u128,
    fields: bool,
    text: bool,
}

impl Tables {
    /// The entry of a part.
    fn entry(&mut self, place: u32) -> &mut [u8] {
        let at = HEAD + place as usize * PART;
        self.draft.parts.get_mut(at..at + PART).unwrap_or_default()
    }

    fn field_count(&self) -> u32 {
        (self.draft.fields.len() / FIELD) as u32
    }

    fn add_field(&mut self, field: &Field<'_>) {
        let start = u32::try_from(field.at.saturating_sub(self.header.at));
        let (Ok(start), Ok(len)) = (start, u32::try_from(field.len)) else {
            return self.too_many_fields(field.at);
        };
        if self.field_count() >= self.options.max_fields {
            return self.too_many_fields(field.at);
        }
        // A name has at most 1,000 octets, so that the line end fits beside the place of the value.
        let value_at = field.value_at << 2 | u16::from(field.line_end);
        let mut entry = [0; FIELD];
        entry[..4].copy_from_slice(&start.to_le_bytes());
        entry[4..8].copy_from_slice(&len.to_le_bytes());
        entry[8..10].copy_from_slice(&(field.name.len() as u16).to_le_bytes());
        entry[10..].copy_from_slice(&value_at.to_le_bytes());
        self.draft.fields.extend_from_slice(&entry);
    }

    fn too_many_fields(&mut self, at: u64) {
        if !std::mem::replace(&mut self.told.fields, true) {
            self.defect(Defect::new(DefectKind::TooManyFields, at));
        }
    }

    /// Keeps a value that the record needs.
    fn keep(&mut self, slot: Slot, field: &Field<'_>) {
        if slot.is_of_envelope() && !self.header.is_of_message {
            return;
        }
        if self.header.slots & 1 << slot as u8 != 0 {
            return self.defect(Defect::new(DefectKind::DuplicateField, field.at));
        }
        self.header.slots |= 1 << slot as u8;
        if slot == Slot::Encoding {
            self.header.encoding = Encoding::parse(field.value);
        }
        if self.draft.values.len() + field.value.len() <= self.options.max_text_octets as usize {
            put_value(slot, field.value, &mut self.draft.values);
        } else if !std::mem::replace(&mut self.told.text, true) {
            self.defect(Defect::new(DefectKind::TooMuchText, field.at));
        }
    }

    fn finish(&mut self, octets: u64) -> Draft {
        let (parts, fields) = (self.places, self.field_count());
        if let Some(head) = self.draft.parts.first_chunk_mut::<HEAD>() {
            head[..4].copy_from_slice(&MAGIC);
            set_u32(parts, 4, head);
            set_u32(fields, 8, head);
            set_u32(self.received, 16, head);
            head[20..28].copy_from_slice(&octets.to_le_bytes());
        }
        self.draft.bounds = DraftBounds {
            max_addresses: self.options.max_addresses,
            max_parameters: self.options.limits.max_parameters,
            max_text_octets: self.options.max_text_octets,
            max_defects: self.options.max_defects,
        };
        self.received = 0;
        self.header_end = None;
        self.places = 0;
        self.depth = 0;
        self.nested = false;
        self.told = Told::default();
        self.decoding = None;
        std::mem::take(&mut self.draft)
    }
}

impl Visitor for Tables {
    fn part(&mut self, at: u64) {
        let place = self.places;
        if place == 0 {
            self.draft.parts.resize(HEAD, 0);
        }
        let around = std::mem::replace(&mut self.innermost, place);
        self.header = CurrentHeader {
            at,
            is_of_message: place == 0 || std::mem::take(&mut self.nested),
            ..CurrentHeader::default()
        };
        let mut entry = [0; PART];
        for number in [HEADER, BODY, END] {
            set_u48(at, number, &mut entry);
        }
        set_u32(around, NEXT, &mut entry);
        set_u32(self.field_count(), FIRST_FIELD, &mut entry);
        set_u32(self.draft.values.len() as u32, RECORD, &mut entry);
        entry[DEPTH..DEPTH + 2].copy_from_slice(&self.depth.to_le_bytes());
        self.draft.parts.extend_from_slice(&entry);
        self.places += 1;
        self.depth += 1;
    }

    fn field(&mut self, field: &Field<'_>) {
        self.add_field(field);
        if let Some(slot) = Slot::of(field.name) {
            self.keep(slot, field);
        } else if self.depth == 1 && field.name.len() == 8 && field.name.eq_ignore_ascii_case(b"received") {
            self.received += 1;
        }
    }

    fn body(&mut self, at: u64, nature: Nature) {
        self.header_end.get_or_insert(at);
        let encoding = self.header.encoding;
        let kind = match nature {
            Nature::Leaf {
                default: DefaultType::Text,
                ..
            } => KIND_LEAF,
            Nature::Leaf {
                default: DefaultType::Message,
                ..
            } => KIND_DIGEST_LEAF,
            Nature::Multipart => KIND_MULTIPART,
            Nature::Message => KIND_MESSAGE,
            Nature::Opaque => KIND_OPAQUE,
        };
        let is_composite = matches!(kind, KIND_MULTIPART | KIND_MESSAGE);
        if is_composite && encoding != Encoding::Identity {
            self.defect(Defect::new(DefectKind::EncodedComposite, at));
        }
        self.nested = kind == KIND_MESSAGE;
        let is_encoded = !matches!(encoding, Encoding::Identity | Encoding::Unknown);
        if self.options.decoded_sizes && is_encoded && !is_composite {
            self.decoding = Some(Decoding {
                decoder: Decoder::new(encoding),
                seen: 0,
                len: 0,
            });
        }
        let is_text = matches!(nature, Nature::Leaf { is_text: true, .. });
        let entry = self.entry(self.innermost);
        set_u48(at, BODY, entry);
        entry[KIND] = kind;
        entry[ENCODING] = encoding_code(encoding);
        entry[IS_TEXT] = u8::from(is_text);
    }

    fn wants_content(&self) -> bool {
        self.decoding.is_some()
    }

    fn content(&mut self, octets: &[u8]) {
        let Some(decoding) = &mut self.decoding else {
            return;
        };
        for piece in octets.chunks(DECODED_AT_ONCE) {
            decoding.decoder.push(piece, &mut self.decoded);
            decoding.seen += piece.len() as u64;
            decoding.len += self.decoded.len() as u64;
            self.decoded.clear();
        }
    }

    fn end(&mut self, at: u64, lines: Option<u64>) {
        let (place, next) = (self.innermost, self.places);
        let decoding = self.decoding.take();
        let entry = self.entry(place);
        let around = Table(entry).u32(NEXT);
        let body = Table(entry).u48(BODY);
        set_u48(at, END, entry);
        set_u32(next, NEXT, entry);
        let unknown = &UNKNOWN.to_le_bytes()[..6];
        match lines {
            Some(lines) => set_u48(lines, LINES, entry),
            None => entry[LINES..LINES + 6].copy_from_slice(unknown),
        }
        entry[DECODED..DECODED + 6].copy_from_slice(unknown);
        if let Some(mut decoding) = decoding {
            decoding.decoder.finish(&mut self.decoded);
            decoding.len += self.decoded.len() as u64;
            self.decoded.clear();
            // Text that the scanner learnt only late to be a body was not seen.
            if decoding.seen == at.saturating_sub(body) {
                set_u48(decoding.len, DECODED, self.entry(place));
                for defect in decoding.decoder.defects() {
                    self.defect(Defect::new(defect.kind, body + defect.offset));
                }
            }
        }
        self.innermost = around;
        self.depth -= 1;
    }

    fn defect(&mut self, defect: Defect) {
        let bit = 1 << (defect.kind as u8 & 127);
        let first_of_kind = self.told.kinds & bit == 0;
        if first_of_kind || self.draft.defects.len() < self.options.max_defects as usize {
            self.told.kinds |= bit;
            self.draft.defects.push(defect);
        }
    }
}

/// How many octets of a body are decoded before what they gave is thrown away.
const DECODED_AT_ONCE: usize = 16 << 10;

fn encoding_code(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Identity => 0,
        Encoding::QuotedPrintable => 1,
        Encoding::Base64 => 2,
        Encoding::Unknown => 3,
        Encoding::Uuencode => 4,
        Encoding::Yenc => 5,
    }
}

pub(super) fn encoding_of(code: u8) -> Encoding {
    match code {
        0 => Encoding::Identity,
        1 => Encoding::QuotedPrintable,
        2 => Encoding::Base64,
        4 => Encoding::Uuencode,
        5 => Encoding::Yenc,
        _ => Encoding::Unknown,
    }
}
