//! Cutting the input into responses; sections of FETCH pass through (RFC 3501 §4.3, §7)

use super::Problem;
use bytes::{Bytes, BytesMut};
use mailwright_wire::RecvBuf;

/// What the input holds next.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A whole response without its final line end. Literals are in it as they came; a section that passed
    /// through has left a NUL.
    Response(Bytes),
    /// A literal of FETCH that is handed on instead of being kept.
    SectionStart(SectionStart),
    /// The next octets of it.
    SectionData(Bytes),
    /// All of it came.
    SectionEnd,
    /// A response above the limit; this is how it began, the rest was dropped.
    TooLong(Bytes),
}

/// The head of a section that follows.
#[derive(Debug)]
pub(crate) struct SectionStart {
    /// The sequence number, or the UID in UIDFETCH.
    pub(crate) number: u32,
    pub(crate) is_uidfetch: bool,
    /// The UID, if it was told before the section.
    pub(crate) uid: Option<u32>,
    /// What the server calls it, such as `BODY[1]<0>`.
    pub(crate) name: Bytes,
    pub(crate) len: u64,
}

/// Gathers one response: lines and the literals between them.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    /// The response so far.
    head: BytesMut,
    /// Where its last line starts.
    line: usize,
    /// How much of the unread data is known to hold no LF.
    scanned: usize,
    reading: Reading,
    scan: Scan,
}

#[derive(Debug, Default)]
enum Reading {
    #[default]
    Line,
    /// So much of a literal is still to be kept.
    Literal(u64),
    /// So much of a section is still to be handed on.
    Section(u64),
    AfterSection,
    /// The row is not complete, yet its line is: what comes next tells whether it goes on.
    Undecided,
    Dropping(Dropping),
}

#[derive(Debug, Default)]
struct Dropping {
    /// The last octets of the line: they may announce a literal.
    tail: Vec<u8>,
    literal: u64,
}

impl Framer {
    /// The next piece, or `None` when more input is needed. `max` bounds a response, in octets.
    pub(crate) fn next(&mut self, rx: &mut RecvBuf, max: usize) -> Result<Option<Piece>, Problem> {
        loop {
            match &mut self.reading {
                Reading::Section(0) => {
                    self.reading = Reading::AfterSection;
                    return Ok(Some(Piece::SectionEnd));
                }
                Reading::Section(left) => {
                    let n = clip(*left, rx);
                    if n == 0 {
                        return Ok(None);
                    }
                    *left -= n as u64;
                    return Ok(Some(Piece::SectionData(rx.take(n))));
                }
                Reading::AfterSection => match rx.data().first() {
                    None => return Ok(None),
                    Some(b' ' | b')' | b'\r' | b'\n') => self.go_on_with_line(),
                    // The literal had another length than was announced; nothing behind can be trusted.
                    Some(_) => return Err(Problem::OutOfStep),
                },
                Reading::Literal(left) => {
                    let n = clip(*left, rx);
                    *left -= n as u64;
                    let done = *left == 0;
                    self.head.extend_from_slice(&rx.data()[..n]);
                    rx.skip(n);
                    if !done {
                        return Ok(None);
                    }
                    self.go_on_with_line();
                }
                Reading::Undecided => match is_response(rx.data()) {
                    None if !rx.is_eof() => return Ok(None),
                    Some(false) => {
                        self.head.extend_from_slice(b"\r\n");
                        self.go_on_with_line();
                    }
                    _ => return Ok(Some(Piece::Response(self.take()))),
                },
                Reading::Dropping(_) => match self.drop_more(rx) {
                    true => return Ok(Some(Piece::TooLong(self.take()))),
                    false => return Ok(None),
                },
                Reading::Line => match self.read_line(rx, max) {
                    Some(piece) => return Ok(Some(piece)),
                    None if matches!(self.reading, Reading::Line) => return Ok(None),
                    None => {}
                },
            }
        }
    }

    /// Whether octets of a section are awaited, which may come in large pieces.
    pub(crate) fn section_left(&self) -> Option<u64> {
        match self.reading {
            Reading::Section(left) => Some(left),
            _ => None,
        }
    }

    /// Forgets everything: for when the input was cleared.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    fn take(&mut self) -> Bytes {
        let head = std::mem::take(&mut self.head).freeze();
        self.reset();
        head
    }

    fn go_on_with_line(&mut self) {
        self.line = self.head.len();
        self.reading = Reading::Line;
    }

    /// Reads up to the end of the line. `None`: more is needed, or there is another thing to read.
    fn read_line(&mut self, rx: &mut RecvBuf, max: usize) -> Option<Piece> {
        let data = rx.data();
        let from = self.scanned.min(data.len());
        let lf = memchr::memchr(b'\n', &data[from..]).map(|at| from + at);
        let len = lf.unwrap_or(data.len());
        if self.head.len() + len > max {
            let keep = max.saturating_sub(self.head.len()).min(len);
            self.head.extend_from_slice(&data[..keep]);
            rx.skip(keep);
            self.scanned = 0;
            self.reading = Reading::Dropping(Dropping::default());
            return None;
        }
        let Some(lf) = lf else {
            self.scanned = len;
            if rx.is_full() {
                self.head.extend_from_slice(data);
                rx.skip(len);
                self.scanned = 0;
            }
            return None;
        };
        self.scanned = 0;
        if self.head.is_empty() {
            let line = without_cr(&data[..lf]);
            let is_whole = self.scan.is_whole(line);
            if !is_whole || (may_hold_literals(line) && literal_head(line).is_some()) {
                self.head.extend_from_slice(line);
                rx.skip(lf + 1);
            } else {
                let len = line.len();
                let mut whole = rx.take(lf + 1);
                whole.truncate(len);
                self.reset();
                return Some(Piece::Response(whole));
            }
            return self.end_of_line(max);
        }
        self.head.extend_from_slice(&data[..lf]);
        rx.skip(lf + 1);
        let len = without_cr(&self.head[self.line..]).len();
        self.head.truncate(self.line + len);
        self.scan.walk(&self.head[self.line..]);
        self.end_of_line(max)
    }

    /// Looks at how the line ends, which is in the head and was walked.
    fn end_of_line(&mut self, max: usize) -> Option<Piece> {
        let line = &self.head[self.line..];
        let literal = may_hold_literals(&self.head)
            .then(|| literal_head(line))
            .flatten();
        let Some((at, len)) = literal else {
            if self.scan.is_complete() {
                return Some(Piece::Response(self.take()));
            }
            self.reading = Reading::Undecided;
            return None;
        };
        let section = section_name(&line[..at]).map(Bytes::copy_from_slice);
        if let (Some(name), Some(row)) = (section, row_head(&self.head)) {
            let at = self.line + at;
            let tilde = usize::from(self.head[..at].ends_with(b"~"));
            self.head.truncate(at - tilde);
            self.head.extend_from_slice(b"\0");
            self.reading = Reading::Section(len);
            return Some(Piece::SectionStart(SectionStart {
                number: row.number,
                is_uidfetch: row.is_uidfetch,
                uid: self.scan.uid,
                name,
                len,
            }));
        }
        self.head.extend_from_slice(b"\r\n");
        self.reading = if len > max.saturating_sub(self.head.len()) as u64 {
            Reading::Dropping(Dropping {
                tail: Vec::new(),
                literal: len,
            })
        } else {
            Reading::Literal(len)
        };
        None
    }

    /// Drops up to the end of the response; says whether it was reached.
    fn drop_more(&mut self, rx: &mut RecvBuf) -> bool {
        let Reading::Dropping(dropping) = &mut self.reading else {
            return false;
        };
        loop {
            let n = clip(dropping.literal, rx);
            dropping.literal -= n as u64;
            rx.skip(n);
            if dropping.literal > 0 {
                return false;
            }
            let data = rx.data();
            let lf = memchr::memchr(b'\n', data);
            let end = lf.unwrap_or(data.len());
            // Enough for the head of any literal.
            const TAIL: usize = 32;
            dropping
                .tail
                .extend_from_slice(&data[end.saturating_sub(TAIL)..end]);
            dropping.tail.drain(..dropping.tail.len().saturating_sub(TAIL));
            rx.skip(lf.map_or(end, |lf| lf + 1));
            if lf.is_none() {
                return false;
            }
            let literal = literal_head(without_cr(&dropping.tail)).filter(|_| may_hold_literals(&self.head));
            dropping.tail.clear();
            match literal {
                Some((_, len)) => dropping.literal = len,
                None => return true,
            }
        }
    }
}

fn clip(left: u64, rx: &RecvBuf) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(rx.data().len())
}

/// Walks the lines of a row to learn whether it is complete, and its UID on the way.
#[derive(Debug, Default)]
struct Scan {
    is_row: bool,
    started: bool,
    depth: u32,
    in_quotes: bool,
    uid: Option<u32>,
}

impl Scan {
    /// Walks the first line of a response and says whether it is a whole one.
    fn is_whole(&mut self, line: &[u8]) -> bool {
        self.walk(line);
        self.is_complete()
    }

    fn is_complete(&self) -> bool {
        !self.is_row || (self.depth == 0 && !self.in_quotes)
    }

    fn walk(&mut self, line: &[u8]) {
        if !std::mem::replace(&mut self.started, true) {
            self.is_row = row_head(line).is_some();
        }
        if !self.is_row {
            return;
        }
        let mut at = 0;
        while let Some(&b) = line.get(at) {
            at += 1;
            match b {
                b'\\' if self.in_quotes => at += 1,
                b'"' => self.in_quotes = !self.in_quotes,
                _ if self.in_quotes => {}
                b'(' => self.depth += 1,
                // More closed than were opened: some servers do that.
                b')' => self.depth = self.depth.saturating_sub(1),
                b'U' | b'u' if self.depth == 1 && matches!(line[..at - 1].last(), Some(b' ' | b'(')) => {
                    let rest = &line[at..];
                    if rest.len() > 3 && rest[..2].eq_ignore_ascii_case(b"id") && rest[2] == b' ' {
                        self.uid = self
                            .uid
                            .or(leading_number(rest[3..].trim_ascii_start()).map(|n| n.0));
                    }
                }
                _ => {}
            }
        }
    }
}

/// The head of a FETCH or UIDFETCH response.
pub(super) struct RowHead {
    pub(super) number: u32,
    pub(super) is_uidfetch: bool,
    /// Where the list of items begins.
    pub(super) at: usize,
}

/// Reads `* 12 FETCH`, with more spaces than there should be, too.
pub(super) fn row_head(line: &[u8]) -> Option<RowHead> {
    let rest = line.strip_prefix(b"*")?.trim_ascii_start();
    let (number, rest) = leading_number(rest)?;
    let rest = rest.trim_ascii_start();
    let word = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let is_uidfetch = rest[..word].eq_ignore_ascii_case(b"UIDFETCH");
    (is_uidfetch || rest[..word].eq_ignore_ascii_case(b"FETCH")).then(|| RowHead {
        number,
        is_uidfetch,
        at: line.len() - rest.len() + word,
    })
}

pub(super) fn leading_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    Some((number, &text[digits..]))
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Text for people may end in what looks like the head of a literal: only data is looked at.
fn may_hold_literals(response: &[u8]) -> bool {
    let Some(rest) = response.strip_prefix(b"*") else {
        return false;
    };
    let rest = rest.trim_ascii_start();
    let word = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let status = ["OK", "NO", "BAD", "BYE", "PREAUTH"];
    !rest.starts_with(b"[")
        && !status
            .iter()
            .any(|s| rest[..word].eq_ignore_ascii_case(s.as_bytes()))
}

/// Whether a line ends in the head of a literal: where that begins, and how long the literal is.
fn literal_head(line: &[u8]) -> Option<(usize, u64)> {
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let at = inner.len() - digits;
    if digits == 0 || inner[..at].last() != Some(&b'{') {
        return None;
    }
    let len = std::str::from_utf8(&inner[at..]).ok()?.parse().ok()?;
    Some((at - 1, len))
}

/// The name of the section whose literal begins behind `line`, if it is one.
fn section_name(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"~").unwrap_or(line).trim_ascii_end();
    let name = if line.ends_with(b"]") || line.ends_with(b">") {
        let open = memchr::memrchr(b'[', line)?;
        let start = line[..open]
            .iter()
            .rposition(|b| !(b.is_ascii_alphabetic() || *b == b'.'))
            .map_or(0, |at| at + 1);
        let word = &line[start..open];
        (word.eq_ignore_ascii_case(b"BODY") || word.eq_ignore_ascii_case(b"BINARY"))
            .then(|| &line[start..])?
    } else {
        let start = line
            .iter()
            .rposition(|b| matches!(b, b' ' | b'('))
            .map_or(0, |at| at + 1);
        let word = &line[start..];
        ["RFC822", "RFC822.HEADER", "RFC822.TEXT"]
            .iter()
            .any(|n| word.eq_ignore_ascii_case(n.as_bytes()))
            .then_some(word)?
    };
    let before = line[..line.len() - name.len()].last();
    matches!(before, None | Some(b' ' | b'(' | b')' | b'"')).then_some(name)
}

/// Whether what follows a broken row is another response; `None` if that is not yet to be seen.
fn is_response(data: &[u8]) -> Option<bool> {
    let second = data.get(1);
    match data.first()? {
        b'*' | b'+' => second.map(|b| *b == b' '),
        // One of our tags.
        b'A' => {
            let digits = data[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            if digits > 20 {
                return Some(false);
            }
            data.get(1 + digits).map(|b| digits > 0 && *b == b' ')
        }
        _ => Some(false),
    }
}
