//! Scanner: finds fields, parts and lines in a message that comes in pieces (RFC 5322 §2, RFC 2046 §5.1)
//!
//! The work is linear in the message (times the number of enclosing boundaries for lines that start with two
//! hyphens), without recursion, and the memory is bounded by [`Limits`]. However the message is cut, the
//! [`Visitor`] sees the same.

use crate::header::{self, Name};
use crate::parameters::ContentType;
use crate::{Defect, DefectKind};

/// What the scanner keeps within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep parts may be nested; the root is at 0. Default 100, at most 500, so that whoever reads the
    /// structure may recurse.
    pub max_depth: u16,
    /// How many parts a message may have. Default 10,000.
    pub max_parts: u32,
    /// How much of one field is looked at, in octets. Default 1 MiB. Lines of 998 octets must be read
    /// (RFC 5322 §2.1.1); a field may have any number of them.
    pub max_field_octets: u32,
    /// How many parameters of one field are read. Default 500.
    pub max_parameters: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 100,
            max_parts: 10_000,
            max_field_octets: 1 << 20,
            max_parameters: 500,
        }
    }
}

/// Sees what is in a message, in order. Offsets count octets from the start of the message.
pub trait Visitor {
    /// A part begins: the root, a part of a multipart, or the root of a nested message.
    fn part(&mut self, at: u64) {
        let _ = at;
    }

    /// A header field of the innermost part is complete.
    fn field(&mut self, field: &Field<'_>) {
        let _ = field;
    }

    /// The header of the innermost part is complete; its body starts at `at`.
    ///
    /// `content_type` is `None` where the header has none that can be read.
    fn body(&mut self, at: u64, nature: Nature, content_type: Option<&ContentType>) {
        let _ = (at, nature, content_type);
    }

    /// The innermost part ends. `lines` counts the lines of its body, a last one without line end included.
    fn end(&mut self, at: u64, lines: u64) {
        let _ = (at, lines);
    }

    /// Something is odd.
    fn defect(&mut self, defect: Defect) {
        let _ = defect;
    }
}

/// A header field as it passes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field<'a> {
    /// Offset of its first octet.
    pub at: u64,
    /// Its length with the last line end.
    pub len: u64,
    /// Length of the last line end: 0, 1 or 2.
    pub line_end: u8,
    /// The name as written.
    pub name: &'a [u8],
    /// What stands behind the colon, without the last line end; cut at [`Limits::max_field_octets`].
    pub value: &'a [u8],
    /// Octets from `at` to the one behind the colon.
    pub value_at: u16,
}

/// How the body of a part is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Nature {
    /// It has no parts.
    Leaf {
        /// The type to assume when the header names none; message/rfc822 is never one here.
        default: DefaultType,
    },
    /// Parts follow, at least one.
    Multipart,
    /// The root of a nested message follows: message/rfc822 or message/global.
    Message,
    /// It should have parts, but a limit forbids: application/octet-stream.
    Opaque,
}

/// The type of a part that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 2046 §5.1.5 knows no third
pub enum DefaultType {
    /// text/plain; charset=us-ascii.
    Text,
    /// message/rfc822, in a multipart/digest.
    Message,
}

/// The push scanner.
///
/// ```
/// use mailwright_message::scan::{Field, Limits, Scanner, Visitor};
///
/// #[derive(Default)]
/// struct Names(Vec<String>);
/// impl Visitor for Names {
///     fn field(&mut self, field: &Field<'_>) {
///         self.0.push(String::from_utf8_lossy(field.name).into_owned());
///     }
/// }
///
/// let (mut scanner, mut names) = (Scanner::new(Limits::default()), Names::default());
/// for chunk in [&b"From: a@b\r\nSub"[..], b"ject: x\r\n\r\nbody"] {
///     scanner.push(chunk, &mut names);
/// }
/// scanner.finish(&mut names);
/// assert_eq!(names.0, ["From", "Subject"]);
/// ```
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    /// The open parts, the root first.
    levels: Vec<Level>,
    /// How many of `levels` have a boundary to look for.
    boundaries: usize,
    parts: u32,
    mode: Mode,
    /// Offset of the octet that comes next.
    offset: u64,
    /// Line ends so far.
    line_ends: u64,
    /// The last octets before the chunk at hand.
    tail: [u8; 3],
    /// The start of a line whose end has not come. Empty: no such line.
    line: Carry,
    field: Pending,
    /// The value of the first Content-Type field of this header.
    content_type: Option<Vec<u8>>,
    delimiters: memchr::memmem::Finder<'static>,
}

/// An open part.
#[derive(Debug)]
struct Level {
    boundary: Option<Box<[u8]>>,
    digest: bool,
    has_parts: bool,
    is_multipart: bool,
    body: u64,
    /// Line ends before the body.
    line_ends: u64,
}

/// ```text
///            first octet          empty line, or no field
///   Start ──────────────▶ Header ────────────────────────▶ Body ◀─┐ text, last delimiter
///                           ▲ ▲      message/rfc822         │ │   │
///                           │ └─────────────────────────────┘ └───┘
///                           └───────── delimiter ──────────── Body
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Before the first octet.
    Start,
    Header,
    /// `line_start`: the next octet is the first of a line.
    Body {
        line_start: bool,
    },
}

/// A line that began in an earlier chunk.
#[derive(Debug, Default)]
struct Carry {
    octets: Vec<u8>,
    /// Its length so far; more than `octets` when it is longer than is kept.
    len: u64,
    at: u64,
    last: u8,
    before: LineBreak,
}

/// The line end before a line.
#[derive(Debug, Default, Clone, Copy)]
struct LineBreak {
    len: u8,
    /// The line that it ends is empty.
    after_line_end: bool,
}

/// The field that is being read: it is complete when the next line starts.
#[derive(Debug, Default)]
struct Pending {
    open: bool,
    at: u64,
    len: u64,
    line_end: u8,
    name: usize,
    colon: usize,
    /// What earlier chunks held of it.
    octets: Vec<u8>,
    /// Where it starts in the chunk at hand, if it does.
    from: Option<usize>,
    /// Whether the header had a field at all.
    seen_any: bool,
}

/// A whole line of a header.
struct Line<'a> {
    /// Cut at the limit.
    octets: &'a [u8],
    at: u64,
    len: u64,
    line_end: u8,
    /// Where it is in the chunk; `None` when it came in pieces.
    in_chunk: Option<usize>,
}

/// A delimiter line of the multipart at `level`.
struct Delimiter {
    level: usize,
    last: bool,
    trail: bool,
}

/// A longer line is no delimiter. RFC 2046 §5.1.1 allows 70 octets and any white space behind them.
const MAX_DELIMITER: usize = 2048;

impl Scanner {
    /// Starts a message.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            max_depth: limits.max_depth.min(500),
            max_field_octets: limits.max_field_octets.max(1000),
            max_parts: limits.max_parts.max(1),
            ..limits
        };
        Self {
            limits,
            levels: Vec::new(),
            boundaries: 0,
            parts: 0,
            mode: Mode::Start,
            offset: 0,
            line_ends: 0,
            tail: [0; 3],
            line: Carry::default(),
            field: Pending::default(),
            content_type: None,
            delimiters: memchr::memmem::Finder::new(b"\n--"),
        }
    }

    /// Octets pushed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Line ends pushed so far.
    pub fn line_ends(&self) -> u64 {
        self.line_ends
    }

    /// Scans the next piece, of any size.
    pub fn push<V: Visitor>(&mut self, chunk: &[u8], visitor: &mut V) {
        if chunk.is_empty() {
            return;
        }
        self.start(visitor);
        let mut pos = 0;
        while pos < chunk.len() {
            pos = match self.mode {
                Mode::Body { line_start } => self.body(chunk, pos, line_start, visitor),
                Mode::Start | Mode::Header => self.header(chunk, pos, visitor),
            };
        }
        if let Some(from) = self.field.from.take() {
            let line = chunk.len() - self.carried_of(chunk);
            self.field.keep(&chunk[from..line], self.limits.max_field_octets);
        }
        self.offset += chunk.len() as u64;
        let kept = chunk.len().min(3);
        self.tail.rotate_left(kept);
        self.tail[3 - kept..].copy_from_slice(&chunk[chunk.len() - kept..]);
    }

    /// Ends the message.
    pub fn finish<V: Visitor>(mut self, visitor: &mut V) {
        self.start(visitor);
        let carried = std::mem::take(&mut self.line);
        let last = if self.offset == 0 { b'\n' } else { self.tail[2] };
        if carried.len > 0 {
            let line_end = 0;
            match self.mode {
                Mode::Body { .. } => {
                    if let Some(delimiter) = self.match_delimiter(&carried.octets, carried.len) {
                        self.delimiter(&delimiter, carried.at, carried.before, self.offset, visitor);
                    }
                }
                Mode::Start | Mode::Header => self.header_line(
                    &Line {
                        octets: &carried.octets,
                        at: carried.at,
                        len: carried.len,
                        line_end,
                        in_chunk: None,
                    },
                    &[],
                    false,
                    visitor,
                ),
            }
        }
        self.end_open_headers(self.offset, &[], 0, visitor);
        let end = self.offset;
        while !self.levels.is_empty() {
            self.end_level(end, last == b'\n', self.line_ends, visitor);
        }
    }

    fn start<V: Visitor>(&mut self, visitor: &mut V) {
        if self.mode == Mode::Start {
            self.begin(self.offset, visitor);
        }
    }

    /// How many octets at the end of the chunk are in the carried line.
    fn carried_of(&self, chunk: &[u8]) -> usize {
        usize::try_from(self.line.len).map_or(chunk.len(), |len| len.min(chunk.len()))
    }

    // --- headers ---

    fn header<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
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
    fn header_line<V: Visitor>(&mut self, line: &Line<'_>, chunk: &[u8], ended: bool, visitor: &mut V) {
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
    fn garbage_line<V: Visitor>(&mut self, line: &Line<'_>, ended: bool, visitor: &mut V) {
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

    fn end_field<V: Visitor>(&mut self, chunk: &[u8], line: Option<usize>, visitor: &mut V) {
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
    fn end_header<V: Visitor>(&mut self, at: u64, visitor: &mut V) {
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
        if value.is_some_and(|value| !value.trim_ascii().is_empty()) && content_type.is_none() {
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

    fn nature<V: Visitor>(
        &self,
        at: u64,
        content_type: Option<&ContentType>,
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
    fn end_open_headers<V: Visitor>(&mut self, at: u64, chunk: &[u8], line: usize, visitor: &mut V) {
        while self.mode == Mode::Header {
            self.end_field(chunk, Some(line), visitor);
            visitor.defect(Defect::new(DefectKind::UnendedHeader, at));
            self.end_header(at, visitor);
        }
    }

    // --- parts ---

    fn begin<V: Visitor>(&mut self, at: u64, visitor: &mut V) {
        self.levels.push(Level {
            boundary: None,
            digest: false,
            has_parts: false,
            is_multipart: false,
            body: at,
            line_ends: self.line_ends,
        });
        self.parts += 1;
        self.field.seen_any = false;
        self.content_type = None;
        self.mode = Mode::Header;
        visitor.part(at);
    }

    /// Acts on a delimiter line that starts at `at`, behind the line end `before`, and ends at `end`.
    fn delimiter<V: Visitor>(
        &mut self,
        delimiter: &Delimiter,
        at: u64,
        before: LineBreak,
        end: u64,
        visitor: &mut V,
    ) {
        if delimiter.trail {
            visitor.defect(Defect::new(DefectKind::DelimiterTrail, at));
        }
        // The line end before a delimiter belongs to it (RFC 2046 §5.1.1), unless a header ends with it.
        let body = self.levels.last().map_or(0, |level| level.body);
        let before = if body == at { LineBreak::default() } else { before };
        let content_end = at - u64::from(before.len);
        let line_ends = self.line_ends - u64::from(before.len > 0);
        let line_ended = before.after_line_end || before.len == 0;
        while self.levels.len() > delimiter.level + 1 {
            self.end_level(content_end, line_ended, line_ends, visitor);
        }
        self.mode = Mode::Body { line_start: true };
        let level = &mut self.levels[delimiter.level];
        if delimiter.last {
            level.boundary = None;
            self.boundaries -= 1;
            if !level.has_parts {
                visitor.defect(Defect::new(DefectKind::NoParts, at));
            }
            return;
        }
        if self.parts >= self.limits.max_parts {
            visitor.defect(Defect::new(DefectKind::TooManyParts, at));
            for level in &mut self.levels {
                level.boundary = None;
            }
            self.boundaries = 0;
            return;
        }
        level.has_parts = true;
        self.begin(end, visitor);
    }

    /// Ends the innermost part. `line_ends` were counted before `end`; `line_ended`: the last octet before it is one.
    fn end_level<V: Visitor>(&mut self, end: u64, line_ended: bool, line_ends: u64, visitor: &mut V) {
        let Some(level) = self.levels.pop() else { return };
        let end = end.max(level.body);
        let lines = match end > level.body {
            true => line_ends - level.line_ends + u64::from(!line_ended),
            false => 0,
        };
        if level.boundary.is_some() {
            self.boundaries -= 1;
        }
        if level.is_multipart && !level.has_parts {
            if level.boundary.is_some() {
                visitor.defect(Defect::new(DefectKind::NoParts, level.body));
            }
            let default = DefaultType::Text;
            visitor.part(level.body);
            visitor.body(level.body, Nature::Leaf { default }, None);
            visitor.end(end, lines);
        } else if level.boundary.is_some() {
            visitor.defect(Defect::new(DefectKind::UnclosedMultipart, end));
        }
        visitor.end(end, lines);
    }

    // --- bodies ---

    fn body<V: Visitor>(&mut self, chunk: &[u8], pos: usize, line_start: bool, visitor: &mut V) -> usize {
        let rest = &chunk[pos..];
        if self.boundaries == 0 {
            self.line_ends += count_line_ends(rest);
            self.mode = Mode::Body {
                line_start: rest.ends_with(b"\n"),
            };
            return chunk.len();
        }
        if self.line.len > 0 {
            return self.body_carried(chunk, pos, visitor);
        }
        if line_start {
            if rest == b"-" || rest.starts_with(b"--") {
                return self.candidate(chunk, pos, visitor);
            }
            self.mode = Mode::Body { line_start: false };
        }
        let (len, line_start) = match self.delimiters.find(rest) {
            Some(at) => (at + 1, true),
            None if rest.ends_with(b"\n-") => (rest.len() - 1, true),
            None => (rest.len(), rest.ends_with(b"\n")),
        };
        self.line_ends += count_line_ends(&rest[..len]);
        self.mode = Mode::Body { line_start };
        pos + len
    }

    /// A line starts at `pos` with what may be two hyphens.
    fn candidate<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
        let rest = &chunk[pos..];
        let at = self.offset + pos as u64;
        let before = self.line_break_before(chunk, pos);
        let Some(len) = memchr::memchr(b'\n', rest).map(|at| at + 1) else {
            self.line.carry(rest, at, MAX_DELIMITER);
            self.line.before = before;
            return chunk.len();
        };
        self.candidate_line(&rest[..len], len as u64, at, before, visitor);
        pos + len
    }

    fn candidate_line<V: Visitor>(
        &mut self,
        octets: &[u8],
        len: u64,
        at: u64,
        before: LineBreak,
        visitor: &mut V,
    ) {
        self.mode = Mode::Body { line_start: true };
        if let Some(delimiter) = self.match_delimiter(octets, len) {
            self.delimiter(&delimiter, at, before, at + len, visitor);
        }
        self.line_ends += 1;
    }

    fn body_carried<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
        let rest = &chunk[pos..];
        if self.line.len == 1 && rest[0] != b'-' {
            self.line.clear();
            self.mode = Mode::Body { line_start: false };
            return pos;
        }
        let Some(len) = memchr::memchr(b'\n', rest).map(|at| at + 1) else {
            self.line.carry(rest, 0, MAX_DELIMITER);
            return chunk.len();
        };
        let mut carried = std::mem::take(&mut self.line);
        carried.carry(&rest[..len], 0, MAX_DELIMITER);
        self.candidate_line(&carried.octets, carried.len, carried.at, carried.before, visitor);
        carried.clear();
        self.line = carried;
        pos + len
    }

    fn line_break_before(&self, chunk: &[u8], pos: usize) -> LineBreak {
        let back = |n: usize| match pos.checked_sub(n) {
            Some(at) => chunk[at],
            None => self.tail[3 + pos - n],
        };
        let at = self.offset + pos as u64;
        if at < 1 || back(1) != b'\n' {
            return LineBreak::default();
        }
        let len = if at >= 2 && back(2) == b'\r' { 2 } else { 1 };
        LineBreak {
            len,
            after_line_end: at > u64::from(len) && back(usize::from(len) + 1) == b'\n',
        }
    }

    /// The multipart that a line delimits: the innermost of those whose boundary it names exactly, else of those
    /// whose last delimiter it starts with.
    ///
    /// White space behind the boundary is allowed. RFC 2046 §5.1.1 would have any line that starts with a
    /// boundary be a delimiter, but then a boundary that starts like another one cuts the wrong part; mail
    /// programs agree on the exact match.
    fn match_delimiter(&self, line: &[u8], len: u64) -> Option<Delimiter> {
        if self.boundaries == 0 || len > MAX_DELIMITER as u64 {
            return None;
        }
        let line = line.strip_prefix(b"--")?.trim_ascii_end();
        let found = |level, last, trail| Some(Delimiter { level, last, trail });
        let mut loose = None;
        for (at, level) in self.levels.iter().enumerate().rev() {
            let rest = level.boundary.as_ref().and_then(|b| line.strip_prefix(&**b));
            match rest {
                Some([]) => return found(at, false, false),
                Some(b"--") => return found(at, true, false),
                Some([b'-', b'-', ..]) if loose.is_none() => loose = found(at, true, true),
                _ => {}
            }
        }
        loose
    }
}

impl Carry {
    fn carry(&mut self, octets: &[u8], at: u64, max: usize) {
        if self.len == 0 {
            self.at = at;
        }
        let room = max.saturating_sub(self.octets.len()).min(octets.len());
        self.octets.extend_from_slice(&octets[..room]);
        self.len += octets.len() as u64;
        self.last = octets.last().copied().unwrap_or(self.last);
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.len = 0;
    }
}

impl Pending {
    fn open(&mut self, line: &Line<'_>, name: Name, max: u32) {
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

    fn extend(&mut self, line: &Line<'_>, max: u32) {
        self.len += line.len;
        self.line_end = line.line_end;
        if self.from.is_none() {
            self.keep(line.octets, max);
        }
    }

    fn keep(&mut self, octets: &[u8], max: u32) {
        let room = (max as usize).saturating_sub(self.octets.len()).min(octets.len());
        self.octets.extend_from_slice(&octets[..room]);
    }
}

fn count_line_ends(octets: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', octets).count() as u64
}
