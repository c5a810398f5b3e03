//! Lines of a header: fields, and what is none (RFC 5322 §2.2)

use super::{DefaultType, Field, LineBreak, Mode, Nature, Scanner, Visitor};
use crate::header::{self, Name};
use crate::parameters::ContentType;
use crate::{Defect, DefectKind};

/// The field that is being read: it is complete when the next line starts.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) open: bool,
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) line_end: u8,
    pub(super) name: usize,
    pub(super) colon: usize,
    /// What earlier chunks held of it.
    pub(super) octets: Vec<u8>,
    /// Where it starts in the chunk at hand, if it does.
    pub(super) from: Option<usize>,
    /// Whether the header had a field at all.
    pub(super) seen_any: bool,
}

/// A whole line of a header.
pub(super) struct Line<'a> {
    /// Cut at the limit.
    pub(super) octets: &'a [u8],
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) line_end: u8,
    /// Where it is in the chunk; `None` when it came in pieces.
    pub(super) in_chunk: Option<usize>,
}

impl Scanner {
    pub(super) fn header<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
        let Some(len) = memchr::memchr(b'\n', &chunk[pos..]).map(|at| at + 1) else {
            let at = self.offset + pos as u64;
            self.line
                .carry(&chunk[pos..], at, self.limits.max_field_octets as usize);
            return chunk.len();
        };
        let end = pos + len;
        if self.line.len == 0 {
            let octets = &chunk[pos..end];
            let line = Line {
                octets: &octets[..len.min(self.limits.max_field_octets as usize)],
                at: self.offset + pos as u64,
                len: len as u64,
                line_end: if octets.ends_with(b"\r\n") { 2 } else { 1 },
                in_chunk: Some(pos),
            };
            self.header_line(&line, chunk, true, visitor);
        } else {
            let mut carried = std::mem::take(&mut self.line);
            let cr = match len {
                1 => carried.last == b'\r',
                _ => chunk[end - 2] == b'\r',
            };
            carried.carry(&chunk[pos..end], 0, self.limits.max_field_octets as usize);
            let line = Line {
                octets: &carried.octets,
                at: carried.at,
                len: carried.len,
                line_end: if cr { 2 } else { 1 },
                in_chunk: None,
            };
            self.header_line(&line, chunk, true, visitor);
            carried.clear();
            self.line = carried;
        }
        end
    }

    /// Takes a line of a header; `ended`: it has a line end, which is not so for the last line of a message.
    pub(super) fn header_line<V: Visitor>(
        &mut self,
        line: &Line<'_>,
        chunk: &[u8],
        ended: bool,
        visitor: &mut V,
    ) {
        let end = line.at + line.len;
        if let Some(delimiter) = self.match_delimiter(line.octets, line.len) {
            self.end_open_headers(line.at, chunk, line.in_chunk.unwrap_or(0), visitor);
            self.delimiter(&delimiter, line.at, LineBreak::default(), end, visitor);
            self.line_ends += u64::from(ended);
            return;
        }
        if header::is_blank_line(line.octets) {
            self.end_field(chunk, line.in_chunk, visitor);
            self.line_ends += 1;
            self.end_header(end, visitor);
            return;
        }
        if matches!(line.octets[0], b' ' | b'\t') {
            if self.field.open {
                self.field.extend(line, self.limits.max_field_octets);
                self.line_ends += u64::from(ended);
                return;
            }
        } else {
            self.end_field(chunk, line.in_chunk, visitor);
            if let Some(name) = Name::of(line.octets) {
                self.field.open(line, name, self.limits.max_field_octets);
                self.line_ends += u64::from(ended);
                return;
            }
        }
        self.garbage_line(line, ended, visitor);
    }

    /// A line that is no field: an mbox separator, a lost line, or the body of a part without header.
    pub(super) fn garbage_line<V: Visitor>(&mut self, line: &Line<'_>, ended: bool, visitor: &mut V) {
        let mbox = line.octets.starts_with(b"From ") || line.octets.starts_with(b">From ");
        if self.field.seen_any || mbox {
            let kind = if mbox {
                DefectKind::MboxLine
            } else {
                DefectKind::InvalidHeaderLine
            };
            visitor.defect(Defect::new(kind, line.at));
        } else {
            // Text that nothing announces must not get lost. A digest's part is a message whose root has no
            // header either; the loop ends there, since no message is in a message by default.
            while self.mode == Mode::Header {
                visitor.defect(Defect::new(DefectKind::MissingHeader, line.at));
                self.end_header(line.at, visitor);
            }
            self.mode = Mode::Body { line_start: true };
        }
        self.line_ends += u64::from(ended);
    }

    pub(super) fn end_field<V: Visitor>(&mut self, chunk: &[u8], line: Option<usize>, visitor: &mut V) {
        if !std::mem::take(&mut self.field.open) {
            return;
        }
        let cap = self.limits.max_field_octets as usize;
        let octets = match self.field.from.take() {
            Some(from) => {
                let octets = &chunk[from..line.unwrap_or(chunk.len())];
                &octets[..octets.len().min(cap)]
            }
            None => &self.field.octets,
        };
        let value = &octets[self.field.colon + 1..];
        let whole = octets.len() as u64 == self.field.len;
        if !whole {
            visitor.defect(Defect::new(DefectKind::FieldTooLong, self.field.at));
        }
        let field = Field {
            at: self.field.at,
            len: self.field.len,
            line_end: self.field.line_end,
            name: &octets[..self.field.name],
            value: if whole {
                header::without_line_end(value)
            } else {
                value
            },
            value_at: (self.field.colon + 1) as u16,
        };
        if self.content_type.is_none() && field.name.eq_ignore_ascii_case(b"content-type") {
            self.content_type = Some(field.value.to_vec());
        }
        visitor.field(&field);
        self.field.octets.clear();
    }

    /// Ends the innermost header: the body starts at `at`.
    pub(super) fn end_header<V: Visitor>(&mut self, at: u64, visitor: &mut V) {
        let value = self.content_type.take();
        let depth = self.levels.len() - 1;
        let digest = depth > 0 && self.levels[depth - 1].digest;
        let (content_type, cut) = match &value {
            Some(value) => ContentType::parse_limited(value, self.limits.max_parameters as usize),
            None => (None, false),
        };
        if cut {
            visitor.defect(Defect::new(DefectKind::TooManyParameters, at));
        }
        if value.as_ref().is_some_and(|value| !value.trim_ascii().is_empty()) && content_type.is_none() {
            visitor.defect(Defect::new(DefectKind::InvalidContentType, at));
        }
        let nature = self.nature(at, content_type.as_ref(), digest, depth, visitor);
        let level = &mut self.levels[depth];
        level.body = at;
        level.line_ends = self.line_ends;
        if nature == Nature::Multipart {
            level.is_multipart = true;
            if let Some(content_type) = &content_type {
                level.digest = content_type.subtype().eq_ignore_ascii_case("digest");
                level.boundary = content_type.boundary().map(Into::into);
            }
            self.boundaries += usize::from(level.boundary.is_some());
        }
        visitor.body(at, nature, content_type.as_ref());
        self.mode = Mode::Body { line_start: true };
        if nature == Nature::Message {
            self.begin(at, visitor);
        }
    }

    pub(super) fn nature<V: Visitor>(
        &self,
        at: u64,
        content_type: Option<&ContentType<'_>>,
        digest: bool,
        depth: usize,
        visitor: &mut V,
    ) -> Nature {
        let (multipart, message) = match content_type {
            Some(t) => (
                t.media_type().eq_ignore_ascii_case("multipart"),
                t.is("message", "rfc822") || t.is("message", "global"),
            ),
            None => (false, digest),
        };
        if !multipart && !message {
            return Nature::Leaf {
                default: if digest {
                    DefaultType::Message
                } else {
                    DefaultType::Text
                },
            };
        }
        let limit = if depth >= usize::from(self.limits.max_depth) {
            DefectKind::TooDeep
        } else if self.parts >= self.limits.max_parts {
            DefectKind::TooManyParts
        } else if multipart {
            if content_type.is_some_and(|t| t.boundary().is_none()) {
                visitor.defect(Defect::new(DefectKind::MissingBoundary, at));
            }
            return Nature::Multipart;
        } else {
            return Nature::Message;
        };
        visitor.defect(Defect::new(limit, at));
        Nature::Opaque
    }

    /// Ends headers that a delimiter or the end of the message cut short.
    pub(super) fn end_open_headers<V: Visitor>(
        &mut self,
        at: u64,
        chunk: &[u8],
        line: usize,
        visitor: &mut V,
    ) {
        while self.mode == Mode::Header {
            self.end_field(chunk, Some(line), visitor);
            visitor.defect(Defect::new(DefectKind::UnendedHeader, at));
            self.end_header(at, visitor);
        }
    }
}

impl Pending {
    pub(super) fn open(&mut self, line: &Line<'_>, name: Name, max: u32) {
        self.open = true;
        self.seen_any = true;
        self.at = line.at;
        self.len = line.len;
        self.line_end = line.line_end;
        self.name = name.len;
        self.colon = name.colon;
        self.octets.clear();
        self.from = line.in_chunk;
        if line.in_chunk.is_none() {
            self.keep(line.octets, max);
        }
    }

    pub(super) fn extend(&mut self, line: &Line<'_>, max: u32) {
        self.len += line.len;
        self.line_end = line.line_end;
        if self.from.is_none() {
            self.keep(line.octets, max);
        }
    }

    pub(super) fn keep(&mut self, octets: &[u8], max: u32) {
        let room = (max as usize).saturating_sub(self.octets.len()).min(octets.len());
        self.octets.extend_from_slice(&octets[..room]);
    }
}
