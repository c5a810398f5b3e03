//! Lines of a header: fields, and what is none (RFC 5322 §2.2)

use super::announced::Announced;
use super::body::LineBreak;
use super::level::Boundary;
use super::{DefaultType, Field, Mode, Nature, Scanner, Visitor};
use crate::field::{self, Name};
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
    /// Lines behind the last field that are none: the start of the body if no empty line comes.
    pub(super) stray: Option<Stray>,
}

/// Lines of a header that are no fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stray {
    pub(super) at: u64,
    /// How many line ends they have.
    pub(super) line_ends: u64,
    /// Length of the line end of the last of them.
    pub(super) line_end: u8,
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

/// A line of this length is no delimiter, and has its colon if it is a field.
const SURE: usize = 4096;

impl Scanner {
    pub(super) fn header<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
        if self.line.len == 0 && !matches!(chunk[pos], b' ' | b'\t') {
            self.end_field(chunk, Some(pos), visitor);
            let end = self.whole_fields(chunk, pos, visitor);
            if end > pos {
                return end;
            }
        }
        let Some(len) = memchr::memchr(b'\n', &chunk[pos..]).map(|at| at + 1) else {
            let rest = &chunk[pos..];
            if self.is_text_for_sure(rest) {
                let mut carried = std::mem::take(&mut self.line);
                let at = if carried.len > 0 {
                    carried.at
                } else {
                    self.offset + pos as u64
                };
                self.end_missing_header(at, visitor);
                if carried.len > 0 {
                    self.text(&carried.octets, visitor);
                }
                carried.clear();
                self.line = carried;
                self.mode = Mode::Body { line_start: false };
                return pos;
            }
            let at = self.offset + pos as u64;
            self.line.carry(rest, at, self.limits.max_field_octets as usize);
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
            self.header_line(&line, chunk, visitor);
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
            self.header_line(&line, chunk, visitor);
            carried.clear();
            self.line = carried;
        }
        end
    }

    /// Takes the fields that start at `pos` one after the other and are all in the chunk, with the line behind
    /// them; returns where the first thing starts that is no such field.
    fn whole_fields<V: Visitor>(&mut self, chunk: &[u8], mut pos: usize, visitor: &mut V) -> usize {
        let max = self.limits.max_field_octets as usize;
        while let Some((colon, len)) = whole_field(&chunk[pos..]).filter(|(_, len)| *len <= max) {
            let octets = &chunk[pos..pos + len];
            // It may be a delimiter.
            if octets.starts_with(b"--") {
                break;
            }
            self.count(octets);
            let line_end = if octets[len - 2] == b'\r' { 2 } else { 1 };
            let field = Field {
                at: self.offset + pos as u64,
                len: len as u64,
                line_end,
                name: &octets[..colon],
                value: &octets[colon + 1..len - usize::from(line_end)],
                value_at: (colon + 1) as u16,
            };
            self.field.seen_any = true;
            self.field.stray = None;
            self.look_at(&field);
            visitor.field(&field);
            pos += len;
        }
        pos
    }

    /// Takes a line of a header.
    pub(super) fn header_line<V: Visitor>(&mut self, line: &Line<'_>, chunk: &[u8], visitor: &mut V) {
        let end = line.at + line.len;
        // What is cut is too long for a delimiter.
        if let Some(delimiter) = self.match_delimiter(line.octets) {
            let before = self.end_open_headers(line.at, chunk, line.in_chunk.unwrap_or(0), visitor);
            self.delimiter(&delimiter, line.at, before, end, visitor);
            self.count_line(line);
            return;
        }
        if field::is_blank_line(line.octets) {
            self.end_field(chunk, line.in_chunk, visitor);
            self.count_line(line);
            self.end_header(end, visitor);
            return;
        }
        if matches!(line.octets[0], b' ' | b'\t') {
            if self.field.open {
                self.field.extend(line, self.limits.max_field_octets);
                self.count_line(line);
                return;
            }
        } else {
            self.end_field(chunk, line.in_chunk, visitor);
            if self.is_own_delimiter(line) {
                let before = self.end_open_headers(line.at, chunk, 0, visitor);
                if let Some(delimiter) = self.match_delimiter(line.octets) {
                    self.delimiter(&delimiter, line.at, before, end, visitor);
                }
                self.count_line(line);
                return;
            }
            let mark = field::mark_len(line.octets);
            if let Some(name) = Name::of(&line.octets[mark..]) {
                let field = Line {
                    octets: &line.octets[mark..],
                    at: line.at + mark as u64,
                    len: line.len - mark as u64,
                    line_end: line.line_end,
                    in_chunk: line.in_chunk.map(|at| at + mark),
                };
                if mark > 0 {
                    visitor.defect(Defect::new(DefectKind::ByteOrderMark, line.at));
                }
                self.field.open(&field, name, self.limits.max_field_octets);
                self.count_line(line);
                return;
            }
        }
        self.garbage_line(line, chunk, visitor);
    }

    /// Whether the line at hand, which goes on behind `rest`, is so long without being the start of a field that a
    /// header that had no field yet is none.
    fn is_text_for_sure(&self, rest: &[u8]) -> bool {
        let carried = &self.line.octets;
        if self.field.open
            || self.field.seen_any
            || carried.len() > SURE
            || carried.len() + rest.len() <= SURE
        {
            return false;
        }
        let line = [carried, &rest[..rest.len().min(SURE)]].concat();
        let is_mbox = line.starts_with(b"From ") || line.starts_with(b">From ");
        let is_shifted = self.levels.len() == 1 && Name::of(line.trim_ascii_start()).is_some();
        let name = Name::of(&line[field::mark_len(&line)..]);
        !is_mbox && !is_shifted && line.iter().any(|b| *b != b'\r') && name.is_none()
    }

    fn count_line(&mut self, line: &Line<'_>) {
        self.line_ends += u64::from(self.counts && line.line_end > 0);
    }

    /// A line that is no field: an mbox separator, a lost line, or the body of a part without header.
    fn garbage_line<V: Visitor>(&mut self, line: &Line<'_>, chunk: &[u8], visitor: &mut V) {
        let mbox = line.octets.starts_with(b"From ") || line.octets.starts_with(b">From ");
        // A space that slipped in before the first field takes no header away from a message.
        let is_shifted = self.levels.len() == 1 && Name::of(line.octets.trim_ascii_start()).is_some();
        if self.field.seen_any || mbox || is_shifted {
            if !mbox {
                let first = Stray {
                    at: line.at,
                    line_ends: 0,
                    line_end: 0,
                };
                self.field.stray.get_or_insert(first).line_end = line.line_end;
            }
            if let Some(stray) = &mut self.field.stray {
                stray.line_ends += u64::from(line.line_end > 0);
            }
            let kind = if mbox {
                DefectKind::MboxLine
            } else {
                DefectKind::InvalidHeaderLine
            };
            visitor.defect(Defect::new(kind, line.at));
        } else {
            self.end_missing_header(line.at, visitor);
            let octets = match line.in_chunk {
                Some(from) => chunk.get(from..from + line.len as usize),
                None => Some(line.octets),
            };
            self.text(octets.unwrap_or_default(), visitor);
            return;
        }
        self.count_line(line);
    }

    /// Text that nothing announces must not get lost. A digest's part is a message whose root has no header either;
    /// the loop ends there, since no message is in a message by default.
    fn end_missing_header<V: Visitor>(&mut self, at: u64, visitor: &mut V) {
        while self.mode == Mode::Header {
            visitor.defect(Defect::new(DefectKind::MissingHeader, at));
            self.end_header(at, visitor);
        }
    }

    fn end_field<V: Visitor>(&mut self, chunk: &[u8], line: Option<usize>, visitor: &mut V) {
        if !std::mem::take(&mut self.field.open) {
            return;
        }
        let cap = self.limits.max_field_octets as usize;
        let mut kept = std::mem::take(&mut self.field.octets);
        let octets = match self.field.from.take() {
            Some(from) => {
                let octets = &chunk[from..line.unwrap_or(chunk.len())];
                &octets[..octets.len().min(cap)]
            }
            None => &kept,
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
                field::without_line_end(value)
            } else {
                value
            },
            value_at: (self.field.colon + 1) as u16,
        };
        self.look_at(&field);
        visitor.field(&field);
        kept.clear();
        self.field.octets = kept;
    }

    /// Notes what a field says about the body.
    fn look_at(&mut self, field: &Field<'_>) {
        if self.announced.is_none()
            && field.name.len() == 12
            && field.name.eq_ignore_ascii_case(b"content-type")
        {
            let max = self.limits.max_parameters as usize;
            self.announced = Some(Announced::read(field.value, max));
        }
    }

    /// Ends the innermost header: the body starts at `at`.
    fn end_header<V: Visitor>(&mut self, at: u64, visitor: &mut V) {
        let depth = self.levels.len().saturating_sub(1);
        let digest = depth.checked_sub(1).and_then(|around| self.levels.get(around));
        let digest = digest.is_some_and(|level| level.digest);
        let announced = self.announced.take().unwrap_or(Announced::Empty);
        self.field.stray = None;
        if matches!(announced, Announced::Invalid) {
            visitor.defect(Defect::new(DefectKind::InvalidContentType, at));
        }
        let nature = self.nature(at, &announced, digest, depth, visitor);
        let line_ends = self.line_ends;
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        level.body = at;
        level.line_ends = line_ends;
        level.is_leaf = matches!(nature, Nature::Leaf { .. } | Nature::Opaque);
        level.counts_within |= nature == Nature::Message;
        if let (Nature::Multipart, Announced::Multipart { digest, boundary }) = (nature, announced) {
            level.is_multipart = true;
            level.digest = digest;
            level.boundary = boundary;
            self.boundaries += usize::from(level.boundary.is_some());
        }
        // A multipart in which no part is found is text.
        level.counts = level.counts_within || is_text(nature) || level.is_multipart;
        level.counted = level.counts;
        self.counts = level.counts;
        visitor.body(at, nature);
        self.mode = Mode::Body { line_start: true };
        if nature == Nature::Message {
            self.begin(at, visitor);
        }
    }

    fn nature<V: Visitor>(
        &self,
        at: u64,
        announced: &Announced,
        digest: bool,
        depth: usize,
        visitor: &mut V,
    ) -> Nature {
        let is_message = match announced {
            Announced::Multipart { .. } => false,
            Announced::Message => true,
            Announced::Empty | Announced::Invalid if digest => true,
            _ => {
                return Nature::Leaf {
                    default: if digest {
                        DefaultType::Message
                    } else {
                        DefaultType::Text
                    },
                    is_text: matches!(announced, Announced::Text | Announced::Empty | Announced::Invalid),
                };
            }
        };
        let limit = if depth >= usize::from(self.limits.max_depth) {
            DefectKind::TooDeep
        } else if self.parts >= self.limits.max_parts {
            DefectKind::TooManyParts
        } else if is_message {
            return Nature::Message;
        } else {
            if let Announced::Multipart {
                boundary: Boundary::None,
                ..
            } = announced
            {
                visitor.defect(Defect::new(DefectKind::MissingBoundary, at));
            }
            return Nature::Multipart;
        };
        visitor.defect(Defect::new(limit, at));
        Nature::Opaque
    }

    /// Whether a line delimits the parts of the multipart whose header is being read: its empty line was lost.
    fn is_own_delimiter(&self, line: &Line<'_>) -> bool {
        let Some(Announced::Multipart { boundary, .. }) = &self.announced else {
            return false;
        };
        let named = line.octets.strip_prefix(b"--").map(<[u8]>::trim_ascii_end);
        named.is_some() && named == boundary.octets()
    }

    /// Ends headers that a delimiter or the end of the message cut short, and gives the line end before `at`.
    ///
    /// Lines behind the last field that are none are the body: text must not get lost in a header.
    pub(super) fn end_open_headers<V: Visitor>(
        &mut self,
        at: u64,
        chunk: &[u8],
        line: usize,
        visitor: &mut V,
    ) -> LineBreak {
        let Some(stray) = self.field.stray.take() else {
            self.end_unended(at, chunk, line, visitor);
            return LineBreak::default();
        };
        if self.counts {
            self.line_ends = self.line_ends.saturating_sub(stray.line_ends);
        }
        self.end_unended(stray.at, chunk, line, visitor);
        self.line_ends += stray.line_ends;
        LineBreak {
            len: stray.line_end,
            after_line_end: false,
        }
    }

    fn end_unended<V: Visitor>(&mut self, at: u64, chunk: &[u8], line: usize, visitor: &mut V) {
        while self.mode == Mode::Header {
            self.end_field(chunk, Some(line), visitor);
            visitor.defect(Defect::new(DefectKind::UnendedHeader, at));
            self.end_header(at, visitor);
        }
    }
}

fn is_text(nature: Nature) -> bool {
    matches!(nature, Nature::Leaf { is_text: true, .. })
}

impl Pending {
    pub(super) fn open(&mut self, line: &Line<'_>, name: Name, max: u32) {
        self.open = true;
        self.seen_any = true;
        self.stray = None;
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

    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.open = false;
        self.from = None;
        self.seen_any = false;
        self.stray = None;
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

/// Reads a field that is written plainly, with the first octet of the line behind it in sight: the place of its
/// colon, and its length. `None` for all else.
fn whole_field(rest: &[u8]) -> Option<(usize, usize)> {
    let colon = rest
        .iter()
        .take(1001)
        .position(|b| !(b'!'..=b'~').contains(b) || *b == b':')?;
    if colon == 0 || rest[colon] != b':' {
        return None;
    }
    let mut len = colon + 1;
    loop {
        len += memchr::memchr(b'\n', &rest[len..])? + 1;
        if !matches!(rest.get(len)?, b' ' | b'\t') {
            return Some((colon, len));
        }
    }
}
