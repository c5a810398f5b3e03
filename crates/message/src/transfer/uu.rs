//! uuencode, as a transfer encoding and inside of text (POSIX.1-2024, uuencode)

use std::ops::Range;

use super::Found;
use crate::DefectKind;

/// A file that stands uuencoded in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct File<'a> {
    /// The name as the `begin` line gives it: not safe as the name of a file.
    pub name: &'a [u8],
    /// The permissions, as in `chmod`.
    pub mode: u32,
    /// Where it stands in the text, from `begin` to behind `end`.
    pub range: Range<usize>,
    /// Whether it ends with an `end` line.
    pub ended: bool,
    lines: &'a [u8],
}

impl File<'_> {
    /// The content.
    pub fn decode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.lines.len() / 4 * 3);
        for line in self.lines.split(|b| *b == b'\n') {
            decode_line(trim(line), &mut out);
        }
        out
    }
}

/// Finds uuencoded files in the text of a message.
///
/// A `begin` line counts only when a line that can be data, or the end, comes next: people write lines that
/// begin with "begin".
///
/// ```
/// use mailwright_message::transfer::uu;
/// let text = b"Here it is:\r\nbegin 644 a.txt\r\n%:&5L;&\\\r\n`\r\nend\r\nBye\r\n";
/// let file = uu::files(text).next().unwrap();
/// assert_eq!((file.name, file.mode, file.decode()), (&b"a.txt"[..], 0o644, b"hello".to_vec()));
/// assert_eq!(&text[..file.range.start], b"Here it is:\r\n");
/// assert_eq!(&text[file.range.end..], b"Bye\r\n");
/// ```
pub fn files(text: &[u8]) -> Files<'_> {
    Files { text, at: 0 }
}

/// The iterator of [`files`].
#[derive(Debug, Clone)]
pub struct Files<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Files<'a> {
    type Item = File<'a>;

    fn next(&mut self) -> Option<File<'a>> {
        loop {
            let start = self.at;
            let line = next_line(self.text, &mut self.at)?;
            let Some((mode, name)) = begin(trim(line)) else {
                continue;
            };
            let content = self.at;
            let mut at = content;
            let mut is_empty = true;
            let (lines_end, end, ended) = loop {
                let line_start = at;
                let Some(line) = next_line(self.text, &mut at) else {
                    break (line_start, line_start, false);
                };
                match kind(trim(line)) {
                    Line::End => break (line_start, at, true),
                    Line::Data => is_empty = false,
                    Line::Last => {}
                    Line::Other => break (line_start, line_start, false),
                }
            };
            if is_empty && !ended {
                continue;
            }
            self.at = end;
            return Some(File {
                name,
                mode,
                range: start..end,
                ended,
                lines: &self.text[content..lines_end],
            });
        }
    }
}

/// Reads the body of a part that is uuencoded as a whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Before,
    Within,
    Behind,
}

/// Lines that hold data are far shorter; of longer ones the rest is not looked at.
const MAX_LINE: usize = 512;

impl Decoder {
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>, found: &mut Found) {
        let mut at = 0;
        while let Some(piece) = next_line(chunk, &mut at) {
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.line(at, out, found);
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>, found: &mut Found) {
        if !self.line.is_empty() {
            self.line(0, out, found);
        }
        if self.state != State::Behind {
            found.note(DefectKind::UnendedUuencode, 0);
        }
        *self = Self::default();
    }

    /// Reads a complete line; `at` is where it ends in the chunk.
    fn line(&mut self, at: usize, out: &mut Vec<u8>, found: &mut Found) {
        let line = trim(&self.line);
        match self.state {
            State::Before if begin(line).is_some() => self.state = State::Within,
            State::Before | State::Behind => {}
            State::Within => match kind(line) {
                Line::End => self.state = State::Behind,
                Line::Data => decode_line(line, out),
                Line::Last => {}
                Line::Other => {
                    if !line.is_empty() {
                        found.note(DefectKind::InvalidUuencode, at);
                    }
                }
            },
        }
        self.line.clear();
    }
}

enum Line {
    Data,
    /// A line of no octets.
    Last,
    End,
    Other,
}

fn kind(line: &[u8]) -> Line {
    let [count, data @ ..] = line else {
        return Line::Other;
    };
    if line == b"end" {
        return Line::End;
    }
    if !(b' '..=b'`').contains(count) || !data.iter().all(|b| (b' '..=b'`').contains(b)) {
        return Line::Other;
    }
    let octets = usize::from((count - b' ') & 63);
    // Blanks at the end get lost, and stand for zeros; some write a checksum behind the data.
    let symbols = octets.div_ceil(3) * 4;
    match octets {
        0 if data.len() <= 4 => Line::Last,
        0 => Line::Other,
        _ if data.len() <= symbols + 4 && (data.len() + 4 > octets * 4 / 3 || data.is_empty()) => Line::Data,
        _ => Line::Other,
    }
}

fn decode_line(line: &[u8], out: &mut Vec<u8>) {
    let [count, data @ ..] = line else { return };
    if !matches!(kind(line), Line::Data) {
        return;
    }
    let mut left = usize::from((count - b' ') & 63);
    let symbol = |at: usize| u32::from(data.get(at).map_or(0, |b| (b - b' ') & 63));
    let mut at = 0;
    while left > 0 {
        let group = symbol(at) << 18 | symbol(at + 1) << 12 | symbol(at + 2) << 6 | symbol(at + 3);
        let octets = &group.to_be_bytes()[1..];
        out.extend_from_slice(&octets[..left.min(3)]);
        left = left.saturating_sub(3);
        at += 4;
    }
}

/// Mode and name of a `begin` line.
fn begin(line: &[u8]) -> Option<(u32, &[u8])> {
    let rest = line.strip_prefix(b"begin ")?;
    let digits = rest.iter().take_while(|b| (b'0'..=b'7').contains(*b)).count();
    if !(3..=4).contains(&digits) {
        return None;
    }
    let mode = rest[..digits]
        .iter()
        .fold(0, |mode, b| mode * 8 + u32::from(b - b'0'));
    let name = rest[digits..].strip_prefix(b" ")?.trim_ascii();
    (!name.is_empty()).then_some((mode, name))
}

pub(super) fn next_line<'a>(text: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = text.get(*at..).filter(|rest| !rest.is_empty())?;
    let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
    *at += len;
    Some(&rest[..len])
}

pub(super) fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
