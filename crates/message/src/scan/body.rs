//! Bodies: delimiters, and the parts that they begin and end (RFC 2046 §5.1)

use super::{DefaultType, Level, Mode, Nature, Scanner, Visitor};
use crate::{Defect, DefectKind};

/// A line that began in an earlier chunk.
#[derive(Debug, Default)]
pub(super) struct Carry {
    pub(super) octets: Vec<u8>,
    /// Its length so far; more than `octets` when it is longer than is kept.
    pub(super) len: u64,
    pub(super) at: u64,
    pub(super) last: u8,
    pub(super) before: LineBreak,
}

/// The line end before a line.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct LineBreak {
    pub(super) len: u8,
    /// The line that it ends is empty.
    pub(super) after_line_end: bool,
}

/// A delimiter line of the multipart at `level`.
pub(super) struct Delimiter {
    pub(super) level: usize,
    pub(super) last: bool,
    pub(super) trail: bool,
}

/// A longer line is no delimiter. RFC 2046 §5.1.1 allows 70 octets and any white space behind them.
const MAX_DELIMITER: usize = 2048;

impl Scanner {
    pub(super) fn body<V: Visitor>(
        &mut self,
        chunk: &[u8],
        pos: usize,
        line_start: bool,
        visitor: &mut V,
    ) -> usize {
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
    pub(super) fn candidate<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
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

    pub(super) fn candidate_line<V: Visitor>(
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

    pub(super) fn body_carried<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
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

    pub(super) fn line_break_before(&self, chunk: &[u8], pos: usize) -> LineBreak {
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
    pub(super) fn match_delimiter(&self, line: &[u8], len: u64) -> Option<Delimiter> {
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

    pub(super) fn begin<V: Visitor>(&mut self, at: u64, visitor: &mut V) {
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
    pub(super) fn delimiter<V: Visitor>(
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
    pub(super) fn end_level<V: Visitor>(
        &mut self,
        end: u64,
        line_ended: bool,
        line_ends: u64,
        visitor: &mut V,
    ) {
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
}

impl Carry {
    pub(super) fn carry(&mut self, octets: &[u8], at: u64, max: usize) {
        if self.len == 0 {
            self.at = at;
        }
        let room = max.saturating_sub(self.octets.len()).min(octets.len());
        self.octets.extend_from_slice(&octets[..room]);
        self.len += octets.len() as u64;
        self.last = octets.last().copied().unwrap_or(self.last);
    }

    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.len = 0;
    }
}

fn count_line_ends(octets: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', octets).count() as u64
}
