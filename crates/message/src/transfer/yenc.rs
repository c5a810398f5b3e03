//! yEnc 1.3, as a transfer encoding and inside of text

use std::ops::Range;

use super::Found;
use super::uu::{next_line, trim};
use crate::{Defect, DefectKind};

/// A file, or one part of a file, that stands in a text in yEnc.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct File<'a> {
    /// The name as written: not safe as the name of a file.
    pub name: &'a [u8],
    /// The size of the whole file in octets, as it says.
    pub size: u64,
    /// Which part this is, counted from 1.
    pub part: Option<u32>,
    /// How many parts there are, if it says.
    pub total: Option<u32>,
    /// Where in the whole file the octets of this part belong, as it says.
    pub place: Option<Range<u64>>,
    /// Where it stands in the text, from `=ybegin` to behind `=yend`.
    pub range: Range<usize>,
    content: &'a [u8],
    end: Option<&'a [u8]>,
}

impl File<'_> {
    /// The content, and what is wrong with it: a checksum that does not match, another size, no end.
    pub fn decode(&self) -> (Vec<u8>, Vec<Defect>) {
        let mut out = Vec::with_capacity(self.content.len());
        let mut found = Found::default();
        let mut escaped = false;
        decode(self.content, &mut escaped, &mut out);
        let trailer = self.end.map(Trailer::read);
        let expected = self
            .place
            .as_ref()
            .map_or(self.size, |place| place.end - place.start);
        judge(
            trailer,
            expected,
            out.len() as u64,
            crc32(0, &out),
            self.range.start as u64,
            &mut found,
        );
        (out, found.list)
    }
}

/// Finds files in yEnc in the text of a message.
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
            let Some(head) = Head::read(trim(line)) else {
                continue;
            };
            let mut content = self.at;
            let mut ahead = self.at;
            let mut place = None;
            if let Some(range) = next_line(self.text, &mut ahead).and_then(|line| read_part(trim(line))) {
                place = Some(range);
                content = ahead;
                self.at = ahead;
            }
            let mut end = None;
            let mut content_end = self.text.len();
            loop {
                let line_start = self.at;
                let Some(line) = next_line(self.text, &mut self.at) else {
                    break;
                };
                if line.starts_with(b"=ybegin ") {
                    // The next one starts before this one has ended.
                    self.at = line_start;
                    content_end = line_start;
                    break;
                }
                if line.starts_with(b"=yend") {
                    end = Some(trim(line));
                    content_end = line_start;
                    break;
                }
            }
            return Some(File {
                name: head.name,
                size: head.size,
                part: head.part,
                total: head.total,
                place,
                range: start..self.at,
                content: &self.text[content..content_end],
                end,
            });
        }
    }
}

/// Puts a file together from its parts, in whatever order they came; `None` when there are gaps, when parts
/// overlap or are damaged, or when it is not as long as it says.
///
/// The result is as large as the decoded parts together, whatever size they claim.
pub fn join(parts: &[File<'_>]) -> Option<Vec<u8>> {
    let mut parts: Vec<&File<'_>> = parts.iter().collect();
    parts.sort_by_key(|file| file.place.as_ref().map_or(0, |place| place.start));
    let mut out = Vec::new();
    for file in &parts {
        if file
            .place
            .as_ref()
            .is_some_and(|place| place.start != out.len() as u64)
        {
            return None;
        }
        let (octets, defects) = file.decode();
        if !defects.is_empty() {
            return None;
        }
        out.extend(octets);
    }
    (out.len() as u64 == parts.first()?.size).then_some(out)
}

/// Reads the body of a part that is in yEnc as a whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoder {
    state: State,
    /// The start of a line, as long as it may be one of yEnc's own; or all of one that is.
    line: Vec<u8>,
    /// The line that is being read holds data.
    in_data: bool,
    escaped: bool,
    size: u64,
    place: Option<Range<u64>>,
    crc: u32,
    len: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Before,
    Within,
    Behind,
}

/// yEnc's own lines are not longer; what is behind that is not looked at.
const MAX_LINE: usize = 1024;

impl Decoder {
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>, found: &mut Found) {
        let mut at = 0;
        while let Some(mut piece) = next_line(chunk, &mut at) {
            if !self.in_data {
                let before = self.line.len();
                let room = MAX_LINE - before;
                self.line.extend_from_slice(&piece[..piece.len().min(room)]);
                let is_own = self.line.starts_with(b"=y") || b"=y".starts_with(&self.line);
                if self.state == State::Within && !is_own {
                    // Octets that waited for this one come first.
                    let waited = std::mem::take(&mut self.line);
                    self.data(&waited[..before], out);
                    self.in_data = true;
                } else if !piece.ends_with(b"\n") {
                    continue;
                } else {
                    self.line(at, found);
                    self.line.clear();
                    continue;
                }
            }
            let ended = piece.ends_with(b"\n");
            if ended {
                piece = &piece[..piece.len() - 1];
            }
            self.data(piece, out);
            self.in_data = !ended;
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>, found: &mut Found) {
        if self.state == State::Within && !self.line.starts_with(b"=y") {
            let waited = std::mem::take(&mut self.line);
            self.data(&waited, out);
        }
        if !self.line.is_empty() {
            self.line(0, found);
        }
        if self.state != State::Behind {
            found.note(DefectKind::UnendedYenc, 0);
        }
        *self = Self::default();
    }

    fn data(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let from = out.len();
        decode(octets, &mut self.escaped, out);
        self.crc = crc32(self.crc, &out[from..]);
        self.len += (out.len() - from) as u64;
    }

    /// Reads one of yEnc's own lines, which ends at `at` in the chunk.
    fn line(&mut self, at: usize, found: &mut Found) {
        let line = trim(&self.line);
        match self.state {
            State::Before => {
                if let Some(head) = Head::read(line) {
                    self.size = head.size;
                    self.state = State::Within;
                }
            }
            State::Within if line.starts_with(b"=yend") => {
                let expected = self
                    .place
                    .as_ref()
                    .map_or(self.size, |place| place.end - place.start);
                let offset = found.at + at as u64;
                judge(
                    Some(Trailer::read(line)),
                    expected,
                    self.len,
                    self.crc,
                    offset,
                    found,
                );
                self.state = State::Behind;
            }
            State::Within => self.place = read_part(line).or(self.place.take()),
            State::Behind => {}
        }
    }
}

/// Decodes data; line ends in it mean nothing.
fn decode(octets: &[u8], escaped: &mut bool, out: &mut Vec<u8>) {
    for byte in octets {
        match byte {
            b'\r' | b'\n' => {}
            b'=' if !*escaped => *escaped = true,
            byte => {
                let shift = if std::mem::take(escaped) { 42 + 64 } else { 42 };
                out.push(byte.wrapping_sub(shift));
            }
        }
    }
}

fn judge(trailer: Option<Trailer>, expected: u64, len: u64, crc: u32, at: u64, found: &mut Found) {
    let Some(trailer) = trailer else {
        found.note_at(DefectKind::UnendedYenc, at);
        return;
    };
    if len != expected || trailer.size.is_some_and(|size| size != len) {
        found.note_at(DefectKind::YencSize, at);
    }
    if trailer.crc.is_some_and(|wanted| wanted != crc) {
        found.note_at(DefectKind::YencChecksum, at);
    }
}

struct Head<'a> {
    name: &'a [u8],
    size: u64,
    part: Option<u32>,
    total: Option<u32>,
}

impl<'a> Head<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"=ybegin ")?;
        // The name is last, and may hold anything.
        let at = memchr::memmem::find(rest, b"name=")?;
        let (fields, name) = (&rest[..at], rest[at + 5..].trim_ascii());
        let number = |name| number(fields, name, 10);
        number("line")?;
        Some(Self {
            name,
            size: number("size")?,
            part: number("part").and_then(|n| n.try_into().ok()),
            total: number("total").and_then(|n| n.try_into().ok()),
        })
    }
}

/// The place that a `=ypart` line names, counted from 0.
fn read_part(line: &[u8]) -> Option<Range<u64>> {
    let fields = line.strip_prefix(b"=ypart ")?;
    let start = number(fields, "begin", 10)?.checked_sub(1)?;
    let end = number(fields, "end", 10)?;
    (start <= end).then_some(start..end)
}

struct Trailer {
    size: Option<u64>,
    crc: Option<u32>,
}

impl Trailer {
    fn read(line: &[u8]) -> Self {
        // crc32 is that of the whole file where there are parts.
        let crc = number(line, "pcrc32", 16).or_else(|| {
            let is_part = number(line, "part", 10).is_some();
            number(line, "crc32", 16).filter(|_| !is_part)
        });
        Self {
            size: number(line, "size", 10),
            crc: crc.map(|crc| crc as u32),
        }
    }
}

fn number(fields: &[u8], name: &str, radix: u32) -> Option<u64> {
    let mut words = fields.split(u8::is_ascii_whitespace);
    let value = words.find_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    u64::from_str_radix(std::str::from_utf8(value).ok()?, radix).ok()
}

/// Goes on with a CRC-32 (ISO 3309).
fn crc32(crc: u32, octets: &[u8]) -> u32 {
    !octets
        .iter()
        .fold(!crc, |crc, byte| crc >> 8 ^ CRC[(crc as u8 ^ byte) as usize])
}

static CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};
