//! Bodies: delimiters, and the parts that they begin and end (RFC 2046 §5.1)

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::level::Boundary;
use super::{Mode, Scanner, Visitor};
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

/// A line end, or the start of one, that is content only if no delimiter follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    None,
    Cr,
    Lf,
    CrLf,
}

/// A delimiter line of the multipart at `level`.
pub(super) struct Delimiter {
    pub(super) level: usize,
    pub(super) last: bool,
    pub(super) trail: bool,
}

/// A longer line is no delimiter. RFC 2046 §5.1.1 allows 70 octets and any white space behind them.
const MAX_DELIMITER: usize = 2048;

/// How much is searched before its lines are counted: what the fastest cache holds.
const WINDOW: usize = 16 * 1024;

/// A line that starts with two hyphens.
static LINE_WITH_HYPHENS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n--"));

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
            self.text(rest, visitor);
            let line_start = rest.ends_with(b"\n");
            self.mode = Mode::Body { line_start };
            return chunk.len();
        }
        if self.line.len > 0 {
            return self.body_carried(chunk, pos, visitor);
        }
        if line_start && (rest == b"-" || rest.starts_with(b"--")) {
            return self.candidate(chunk, pos, visitor);
        }
        let window = match self.counts {
            true => &rest[..rest.len().min(WINDOW)],
            false => rest,
        };
        let (len, line_start) = match find_hyphens(window) {
            Some(at) => (at + 1, true),
            None if window.ends_with(b"\n-") => (window.len() - 1, true),
            None => (window.len(), window.ends_with(b"\n")),
        };
        self.text(&rest[..len], visitor);
        self.mode = Mode::Body { line_start };
        pos + len
    }

    /// Text of a body: no delimiter is in it.
    pub(super) fn text<V: Visitor>(&mut self, octets: &[u8], visitor: &mut V) {
        self.count(octets);
        if visitor.wants_content() && self.levels.last().is_some_and(|level| level.is_leaf) {
            self.content(octets, visitor);
        }
    }

    fn content<V: Visitor>(&mut self, octets: &[u8], visitor: &mut V) {
        if self.held == Held::Cr && octets == b"\n" {
            self.held = Held::CrLf;
            return;
        }
        self.tell_held(visitor);
        let held = match octets {
            [.., b'\r', b'\n'] => Held::CrLf,
            [.., b'\n'] => Held::Lf,
            [.., b'\r'] => Held::Cr,
            _ => Held::None,
        };
        let told = &octets[..octets.len() - held.octets().len()];
        if !told.is_empty() {
            visitor.content(told);
        }
        self.held = held;
    }

    /// Tells what was held back: it is content.
    pub(super) fn tell_held<V: Visitor>(&mut self, visitor: &mut V) {
        let held = std::mem::replace(&mut self.held, Held::None);
        if held != Held::None {
            visitor.content(held.octets());
        }
    }

    /// A line starts at `pos` with what may be two hyphens.
    fn candidate<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
        let rest = &chunk[pos..];
        let at = self.offset + pos as u64;
        match memchr::memchr(b'\n', rest).map(|at| at + 1) {
            Some(len) => {
                let before = self.line_break_before(chunk, pos);
                self.candidate_line(&rest[..len], at, before, visitor);
                pos + len
            }
            None if rest.len() > MAX_DELIMITER => {
                self.text(rest, visitor);
                self.mode = Mode::Body { line_start: false };
                chunk.len()
            }
            None => {
                self.line.carry(rest, at, MAX_DELIMITER);
                self.line.before = self.line_break_before(chunk, pos);
                chunk.len()
            }
        }
    }

    /// Takes a whole line that starts with two hyphens, or all that came of it.
    pub(super) fn candidate_line<V: Visitor>(
        &mut self,
        octets: &[u8],
        at: u64,
        before: LineBreak,
        visitor: &mut V,
    ) {
        self.mode = Mode::Body { line_start: true };
        match self.match_delimiter(octets) {
            Some(delimiter) => {
                self.delimiter(&delimiter, at, before, at + octets.len() as u64, visitor);
                self.count(&octets[octets.len() - 1..]);
            }
            None => self.text(octets, visitor),
        }
    }

    fn body_carried<V: Visitor>(&mut self, chunk: &[u8], pos: usize, visitor: &mut V) -> usize {
        let rest = &chunk[pos..];
        let line = memchr::memchr(b'\n', rest).map(|at| at + 1);
        let len = line.unwrap_or(rest.len());
        let no_hyphens = self.line.len == 1 && rest[0] != b'-';
        if no_hyphens || self.line.octets.len() + len > MAX_DELIMITER {
            let mut carried = std::mem::take(&mut self.line);
            self.text(&carried.octets, visitor);
            carried.clear();
            self.line = carried;
            self.mode = Mode::Body { line_start: false };
            return pos;
        }
        self.line.carry(&rest[..len], 0, MAX_DELIMITER);
        if line.is_some() {
            let mut carried = std::mem::take(&mut self.line);
            self.candidate_line(&carried.octets, carried.at, carried.before, visitor);
            carried.clear();
            self.line = carried;
        }
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
    pub(super) fn match_delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        if self.boundaries == 0 || line.len() > MAX_DELIMITER {
            return None;
        }
        let line = line.strip_prefix(b"--")?.trim_ascii_end();
        let found = |level, last, trail| Some(Delimiter { level, last, trail });
        let mut loose = None;
        for (at, level) in self.levels.inside_out() {
            match level.boundary.octets().and_then(|b| line.strip_prefix(b)) {
                Some([]) => return found(at, false, false),
                Some(b"--") => return found(at, true, false),
                Some([b'-', b'-', ..]) if loose.is_none() => loose = found(at, true, true),
                _ => {}
            }
        }
        loose
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
        self.held = Held::None;
        // The line end before a delimiter belongs to it (RFC 2046 §5.1.1), unless a header ends with it.
        let body = self.levels.last().map_or(0, |level| level.body);
        let before = if body == at { LineBreak::default() } else { before };
        let content_end = at - u64::from(before.len);
        let line_ends = self.line_ends.saturating_sub(u64::from(before.len > 0));
        let line_ended = before.after_line_end || before.len == 0;
        while self.levels.len() > delimiter.level + 1 {
            self.end_level(content_end, line_ended, line_ends, visitor);
        }
        self.mode = Mode::Body { line_start: true };
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        if delimiter.last {
            level.boundary = Boundary::None;
            self.boundaries -= 1;
            if !level.has_parts {
                visitor.defect(Defect::new(DefectKind::NoParts, at));
            }
            return;
        }
        if self.parts >= self.limits.max_parts {
            visitor.defect(Defect::new(DefectKind::TooManyParts, at));
            self.levels.forget_boundaries();
            self.boundaries = 0;
            return;
        }
        level.has_parts = true;
        level.counts = level.counts_within;
        level.counted = level.counts_within;
        self.begin(end, visitor);
    }
}

impl Held {
    fn octets(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Cr => b"\r",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
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

/// Where a line end stands before two hyphens. One octet is found twice as fast as three, as long as it is not found
/// too often: text with many hyphens must not make the work slow.
fn find_hyphens(octets: &[u8]) -> Option<usize> {
    let mut from = 1;
    for _ in 0..8 {
        let at = from + memchr::memchr(b'-', octets.get(from..)?)?;
        if octets[at - 1] == b'\n' && octets.get(at + 1) == Some(&b'-') {
            return Some(at - 1);
        }
        from = at + 1;
    }
    let from = from - 1;
    Some(from + LINE_WITH_HYPHENS.find(&octets[from..])?)
}

/// How many line feeds there are. The sums of short blocks fit into octets, so that the compiler adds up many at
/// once: several times as fast as to look for one after the other.
pub(super) fn count_line_ends(octets: &[u8]) -> u64 {
    let count = |block: &[u8]| block.iter().map(|b| u8::from(*b == b'\n')).sum::<u8>();
    let (blocks, rest) = octets.as_chunks::<192>();
    let whole: u64 = blocks.iter().map(|block| u64::from(count(block))).sum();
    whole + u64::from(count(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_counted_in_blocks() {
        for len in [0, 1, 191, 192, 193, 1000] {
            let text = b"\n\nx".iter().copied().cycle().take(len).collect::<Vec<u8>>();
            let want = text.iter().filter(|b| **b == b'\n').count() as u64;
            assert_eq!(count_line_ends(&text), want);
            assert_eq!(count_line_ends(&vec![b'\n'; len]), len as u64);
        }
    }

    #[test]
    fn hyphens_are_found_where_they_are_rare_and_where_not() {
        for filler in [&b"AAAA\n"[..], b"-\n-", b"---"] {
            for count in [0, 1, 20, 100] {
                let text = [&filler.repeat(count), &b"x\n--b\n--"[..]].concat();
                assert_eq!(find_hyphens(&text), LINE_WITH_HYPHENS.find(&text));
                let text = filler.repeat(count);
                assert_eq!(find_hyphens(&text), LINE_WITH_HYPHENS.find(&text));
            }
        }
    }
}
