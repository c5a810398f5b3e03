//! Builds the index of a message while it streams by

use bytes::Bytes;

use super::Index;
use super::format::{DEFECT, FIELD, HEAD, MAGIC, PART};
use super::record::{Slot, Slots};
use crate::parameters::ContentType;
use crate::scan::{Field, Limits, Nature, Scanner, Visitor};
use crate::transfer::Encoding;
use crate::{Defect, DefectKind};

/// What an index keeps within bounds. All that goes beyond is left out, and a defect says so.
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_fields: 50_000,
            max_addresses: 10_000,
            max_text_octets: 4 << 20,
            max_defects: 200,
        }
    }
}

/// Builds an [`Index`] from the pieces of a message.
#[derive(Debug)]
pub struct Builder {
    scanner: Scanner,
    tables: Tables,
}

impl Builder {
    pub(super) fn new(options: Options) -> Self {
        Self {
            scanner: Scanner::new(options.limits.clone()),
            tables: Tables {
                options,
                parts: Vec::new(),
                open: Vec::new(),
                fields: Vec::new(),
                defects: Vec::new(),
                received: 0,
                records: Vec::new(),
                slots: Slots::default(),
                nested: false,
                told: Told::default(),
            },
        }
    }

    /// Takes the next piece, of any size.
    pub fn push(&mut self, chunk: &[u8]) {
        self.scanner.push(chunk, &mut self.tables);
    }

    /// Octets pushed so far.
    pub fn octets(&self) -> u64 {
        self.scanner.offset()
    }

    /// Ends the message.
    pub fn finish(mut self) -> Index {
        let octets = self.scanner.offset();
        self.scanner.finish(&mut self.tables);
        self.tables.finish(octets)
    }
}

#[derive(Debug)]
struct Tables {
    options: Options,
    parts: Vec<PartEntry>,
    /// The open parts, by their place in `parts`.
    open: Vec<u32>,
    fields: Vec<u8>,
    defects: Vec<Defect>,
    received: u32,
    records: Vec<u8>,
    slots: Slots,
    /// The next part is the root of a message inside of another part.
    nested: bool,
    told: Told,
}

/// What was reported already.
#[derive(Debug, Default)]
struct Told {
    /// One bit for each kind of defect.
    kinds: u64,
    fields: bool,
    text: bool,
}

#[derive(Debug)]
struct PartEntry {
    header: u64,
    body: u64,
    end: u64,
    lines: u64,
    next: u32,
    first_field: u32,
    record: u32,
    depth: u16,
    kind: u8,
    encoding: Encoding,
    is_message_root: bool,
}

impl Tables {
    fn innermost(&mut self) -> Option<&mut PartEntry> {
        self.parts.get_mut(*self.open.last()? as usize)
    }

    fn field_count(&self) -> u32 {
        (self.fields.len() / FIELD) as u32
    }

    fn add_field(&mut self, field: &Field<'_>) {
        let header = self.innermost().map_or(0, |part| part.header);
        let start = u32::try_from(field.at - header);
        let (Ok(start), Ok(len)) = (start, u32::try_from(field.len)) else {
            return self.too_many_fields(field.at);
        };
        if self.field_count() >= self.options.max_fields {
            return self.too_many_fields(field.at);
        }
        self.fields.extend_from_slice(&start.to_le_bytes());
        self.fields.extend_from_slice(&len.to_le_bytes());
        // A name has at most 1,000 octets, so that the line end fits beside the place of the value.
        self.fields
            .extend_from_slice(&(field.name.len() as u16).to_le_bytes());
        let value_at = field.value_at << 2 | u16::from(field.line_end);
        self.fields.extend_from_slice(&value_at.to_le_bytes());
    }

    fn too_many_fields(&mut self, at: u64) {
        if !std::mem::replace(&mut self.told.fields, true) {
            self.defect(Defect::new(DefectKind::TooManyFields, at));
        }
    }

    fn finish(self, octets: u64) -> Index {
        let fields = self.field_count();
        let len = HEAD
            + self.parts.len() * PART
            + self.fields.len()
            + self.defects.len() * DEFECT
            + self.records.len();
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&(self.parts.len() as u32).to_le_bytes());
        out.extend_from_slice(&fields.to_le_bytes());
        out.extend_from_slice(&(self.defects.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.received.to_le_bytes());
        out.extend_from_slice(&octets.to_le_bytes());
        for part in &self.parts {
            for number in [part.header, part.body, part.end, part.lines] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            for number in [part.next, part.first_field] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(&part.record.to_le_bytes());
            out.extend_from_slice(&part.depth.to_le_bytes());
            out.push(part.kind);
            out.push(encoding_code(part.encoding));
        }
        out.extend_from_slice(&self.fields);
        for defect in &self.defects {
            out.push(defect.kind as u8);
            out.extend_from_slice(&defect.offset.to_le_bytes());
        }
        out.extend_from_slice(&self.records);
        Index::from_built(Bytes::from(out))
    }
}

impl Visitor for Tables {
    fn part(&mut self, at: u64) {
        let place = self.parts.len() as u32;
        let is_message_root = self.parts.is_empty() || std::mem::take(&mut self.nested);
        self.slots.clear(is_message_root);
        self.parts.push(PartEntry {
            header: at,
            body: at,
            end: at,
            lines: 0,
            next: place + 1,
            first_field: self.field_count(),
            record: 0,
            depth: self.open.len() as u16,
            kind: KIND_LEAF,
            encoding: Encoding::Identity,
            is_message_root,
        });
        self.open.push(place);
    }

    fn field(&mut self, field: &Field<'_>) {
        self.add_field(field);
        if self.open.len() == 1 && field.name.eq_ignore_ascii_case(b"received") {
            self.received += 1;
        }
        let repeated = Slot::of(field.name).is_some_and(|slot| !self.slots.fill(slot, field.value));
        if repeated {
            self.defect(Defect::new(DefectKind::DuplicateField, field.at));
        }
    }

    fn body(&mut self, at: u64, nature: Nature, content_type: Option<&ContentType<'_>>) {
        let encoding = self
            .slots
            .value(Slot::Encoding)
            .map_or(Encoding::Identity, Encoding::parse);
        let kind = match nature {
            Nature::Leaf { .. } => KIND_LEAF,
            Nature::Multipart => KIND_MULTIPART,
            Nature::Message => KIND_MESSAGE,
            Nature::Opaque => KIND_OPAQUE,
        };
        if matches!(kind, KIND_MULTIPART | KIND_MESSAGE) && !matches!(encoding, Encoding::Identity) {
            self.defect(Defect::new(DefectKind::EncodedComposite, at));
        }
        self.nested = kind == KIND_MESSAGE;
        let record = self.records.len() as u32;
        let Some(part) = self.innermost() else { return };
        part.body = at;
        part.kind = kind;
        part.encoding = encoding;
        part.record = record;
        let with_envelope = part.is_message_root;
        let mut limits = super::record::Bounds {
            max_addresses: self.options.max_addresses as usize,
            max_parameters: self.options.limits.max_parameters as usize,
            text: (self.options.max_text_octets as usize).saturating_sub(self.records.len()),
            cut: Vec::new(),
        };
        self.slots.write(
            content_type,
            nature,
            with_envelope,
            &mut limits,
            &mut self.records,
        );
        for kind in limits.cut {
            let repeated = kind == DefectKind::TooMuchText && std::mem::replace(&mut self.told.text, true);
            if !repeated {
                self.defect(Defect::new(kind, at));
            }
        }
    }

    fn end(&mut self, at: u64, lines: u64) {
        let next = self.parts.len() as u32;
        if let Some(part) = self.innermost() {
            part.end = at;
            part.lines = lines;
            part.next = next;
        }
        self.open.pop();
    }

    fn defect(&mut self, defect: Defect) {
        let first_of_kind = self.told.kinds & 1 << defect.kind as u8 == 0;
        if first_of_kind || self.defects.len() < self.options.max_defects as usize {
            self.told.kinds |= 1 << defect.kind as u8;
            self.defects.push(defect);
        }
    }
}

pub(super) const KIND_LEAF: u8 = 0;
pub(super) const KIND_MULTIPART: u8 = 1;
pub(super) const KIND_MESSAGE: u8 = 2;
pub(super) const KIND_OPAQUE: u8 = 3;

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
