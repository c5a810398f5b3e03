//! Scanner: finds fields, parts and lines in a message that comes in pieces (RFC 5322 §2, RFC 2046 §5.1)
//!
//! The work is linear in the message (times the number of enclosing boundaries for lines that start with two
//! hyphens), without recursion, and the memory is bounded by [`Limits`]. However the message is cut, the
//! [`Visitor`] sees the same.

mod announced;
mod body;
mod header;
mod level;

use crate::Defect;
use announced::Announced;
use body::{Carry, Held};
use header::{Line, Pending};
use level::Levels;

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
    fn body(&mut self, at: u64, nature: Nature) {
        let _ = (at, nature);
    }

    /// Whether [`Visitor::content`] is wanted for the innermost part. Asked again and again: keep it cheap.
    fn wants_content(&self) -> bool {
        false
    }

    /// The next octets of the body of the innermost part, which has no parts. How they are cut depends on the
    /// pieces that were pushed.
    ///
    /// The text of a multipart in which no part is found is not told: that it is one shows only at its end.
    fn content(&mut self, octets: &[u8]) {
        let _ = octets;
    }

    /// The innermost part ends. `lines` counts the lines of its body, a last one without line end included, where
    /// they were counted: see [`Scanner::count_all_lines`].
    fn end(&mut self, at: u64, lines: Option<u64>) {
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
        /// Whether its type is text/*, said or assumed.
        is_text: bool,
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
    all_lines: bool,
    /// The open parts, the root first.
    levels: Levels,
    /// How many of `levels` have a boundary to look for.
    boundaries: usize,
    parts: u32,
    mode: Mode,
    /// Offset of the octet that comes next.
    offset: u64,
    /// Line ends so far, of those that are counted.
    line_ends: u64,
    /// Whether the innermost part needs its lines counted.
    counts: bool,
    /// The last octets before the chunk at hand.
    tail: [u8; 3],
    /// The start of a line whose end has not come. Empty: no such line.
    line: Carry,
    /// The end of the content so far, which may belong to a delimiter.
    held: Held,
    field: Pending,
    /// What the first Content-Type field of this header says.
    announced: Option<Announced>,
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
            all_lines: false,
            levels: Levels::default(),
            boundaries: 0,
            parts: 0,
            mode: Mode::Start,
            offset: 0,
            line_ends: 0,
            counts: false,
            tail: [0; 3],
            line: Carry::default(),
            held: Held::None,
            field: Pending::default(),
            announced: None,
        }
    }

    /// Counts the lines of every part. Otherwise only those of text and of messages are counted, with all that is
    /// inside of messages: what IMAP tells (RFC 9051 §7.5.2). Large attachments pass by twice as fast then.
    ///
    /// To be called before the first [`Scanner::push`] of a message.
    pub fn count_all_lines(&mut self, all: bool) {
        self.all_lines = all;
    }

    /// Octets pushed so far.
    pub fn offset(&self) -> u64 {
        self.offset
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

    /// Ends the message. The next push starts another one, with the memory of this one.
    pub fn finish<V: Visitor>(&mut self, visitor: &mut V) {
        self.start(visitor);
        let mut carried = std::mem::take(&mut self.line);
        let last = if self.offset == 0 { b'\n' } else { self.tail[2] };
        if carried.len > 0 {
            match self.mode {
                Mode::Body { .. } => {
                    self.candidate_line(&carried.octets, carried.at, carried.before, visitor);
                }
                Mode::Start | Mode::Header => self.header_line(
                    &Line {
                        octets: &carried.octets,
                        at: carried.at,
                        len: carried.len,
                        line_end: 0,
                        in_chunk: None,
                    },
                    &[],
                    visitor,
                ),
            }
        }
        self.end_open_headers(self.offset, &[], 0, visitor);
        self.tell_held(visitor);
        let end = self.offset;
        while !self.levels.is_empty() {
            self.end_level(end, last == b'\n', self.line_ends, visitor);
        }
        carried.clear();
        self.line = carried;
        self.boundaries = 0;
        self.parts = 0;
        self.mode = Mode::Start;
        self.offset = 0;
        self.line_ends = 0;
        self.counts = false;
        self.tail = [0; 3];
        self.field.clear();
        self.announced = None;
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

    /// Counts line ends, where they are counted.
    fn count(&mut self, octets: &[u8]) {
        if self.counts {
            self.line_ends += body::count_line_ends(octets);
        }
    }
}
