//! Cutting the input into commands with their literals (RFC 3501 §4.3, RFC 7888)

use bytes::{Bytes, BytesMut};
use mailwright_wire::RecvBuf;

/// Gathers one command: lines and the literals between them.
///
/// A line may end in a bare LF, for people with a terminal; the frame holds CRLF behind each literal's head in
/// any case. A line that is too long is dropped, but its end is looked at: if that announces a
/// non-synchronising literal, what follows is data and must not be taken for a command.
#[derive(Debug, Default)]
pub struct Framer {
    /// Lines and literals of the command so far.
    head: BytesMut,
    /// How much of the unread data is known to hold no LF.
    scanned: usize,
    /// The last octets of a line that is being dropped.
    dropping: Option<Vec<u8>>,
    /// How much of a literal is still to be put into the frame.
    literal: usize,
}

/// What the input holds next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// A complete command without its final CRLF, literals and all.
    Command(Bytes),
    /// The command so far ends in the head of a literal. Say what becomes of it:
    /// [`keep_literal`](Framer::keep_literal), or [`take_head`](Framer::take_head) and read it yourself.
    Literal(Literal),
}

/// The head of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Literal {
    /// How many octets follow. `u64::MAX` if the number was larger than that.
    pub len: u64,
    /// The client waits for our leave before it sends them.
    pub is_sync: bool,
    /// A `literal8`, which may hold NUL (RFC 3516).
    pub is_binary: bool,
}

/// A command was longer than the limit; it has been dropped up to the end of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooLong {
    /// The literal that was announced at the end of the dropped line.
    pub literal: Option<Literal>,
}

impl Framer {
    /// The next frame, or `None` when more input is needed. `max` bounds the command in octets; the receive
    /// buffer must be able to hold that much.
    ///
    /// # Errors
    ///
    /// [`TooLong`], once for each command that is. Its head is forgotten.
    pub fn next(&mut self, rx: &mut RecvBuf, max: usize) -> Result<Option<Frame>, TooLong> {
        if self.literal > 0 {
            let n = self.literal.min(rx.data().len());
            self.head.extend_from_slice(&rx.data()[..n]);
            rx.skip(n);
            self.literal -= n;
            if self.literal > 0 {
                return Ok(None);
            }
        }
        let Some(end) = self.line_end(rx, max)? else {
            return Ok(None);
        };
        if let Some(tail) = self.dropping.take() {
            return Err(TooLong {
                literal: literal_head(strip_eol(&tail)).map(|(_, literal)| literal),
            });
        }
        let len = strip_eol(&rx.data()[..end]).len();
        if let Some((at, literal)) = literal_head(&rx.data()[..len]) {
            self.head.extend_from_slice(&rx.data()[..at]);
            rx.skip(end);
            return Ok(Some(Frame::Literal(literal)));
        }
        if self.head.is_empty() {
            let mut line = rx.take(end);
            line.truncate(len);
            return Ok(Some(Frame::Command(line)));
        }
        self.head.extend_from_slice(&rx.data()[..len]);
        rx.skip(end);
        Ok(Some(Frame::Command(self.take_head())))
    }

    /// The next line as it is, without looking for literals: for IDLE and AUTHENTICATE.
    ///
    /// # Errors
    ///
    /// [`TooLong`], once for each line that is.
    pub fn line(&mut self, rx: &mut RecvBuf, max: usize) -> Result<Option<Bytes>, TooLong> {
        let Some(end) = self.line_end(rx, max)? else {
            return Ok(None);
        };
        if self.dropping.take().is_some() {
            return Err(TooLong { literal: None });
        }
        let len = strip_eol(&rx.data()[..end]).len();
        let mut line = rx.take(end);
        line.truncate(len);
        Ok(Some(line))
    }

    /// Puts the literal that was announced into the frame.
    pub fn keep_literal(&mut self, literal: Literal) {
        let head = if literal.is_sync { "}\r\n" } else { "+}\r\n" };
        self.head
            .extend_from_slice(if literal.is_binary { b"~{" } else { b"{" });
        self.head.extend_from_slice(literal.len.to_string().as_bytes());
        self.head.extend_from_slice(head.as_bytes());
        self.literal = usize::try_from(literal.len).unwrap_or(usize::MAX);
    }

    /// Takes what there is of the command: all before the head of the literal that was announced.
    pub fn take_head(&mut self) -> Bytes {
        std::mem::take(&mut self.head).freeze()
    }

    /// Puts back what [`take_head`](Framer::take_head) gave.
    pub fn restore_head(&mut self, head: &[u8]) {
        self.head.extend_from_slice(head);
    }

    /// The command so far.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Forgets everything: for when the input was cleared.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Where the line ends in the unread data. While a line is dropped, its end is at 0.
    fn line_end(&mut self, rx: &mut RecvBuf, max: usize) -> Result<Option<usize>, TooLong> {
        let data = rx.data();
        let from = self.scanned.min(data.len());
        let lf = memchr::memchr(b'\n', &data[from..]).map(|at| from + at + 1);
        let end = lf.unwrap_or(data.len());
        if self.dropping.is_none() && self.head.len() + end > max {
            self.dropping = Some(Vec::new());
            self.head = BytesMut::new();
        }
        if let Some(tail) = &mut self.dropping {
            // Enough for the longest head of a literal that matters, and to know a longer one for what it is.
            const TAIL: usize = 32;
            tail.extend_from_slice(&data[end.saturating_sub(TAIL)..end]);
            tail.drain(..tail.len().saturating_sub(TAIL));
            rx.skip(end);
            self.scanned = 0;
            return Ok(lf.map(|_| 0));
        }
        self.scanned = if lf.is_some() { 0 } else { data.len() };
        Ok(lf)
    }
}

fn strip_eol(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a line ends in the head of a literal, and where that begins.
fn literal_head(line: &[u8]) -> Option<(usize, Literal)> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, is_sync) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let at = inner.len() - digits;
    if digits == 0 || inner[..at].last() != Some(&b'{') {
        return None;
    }
    let len = inner[at..].iter().fold(0u64, |n, b| {
        n.saturating_mul(10).saturating_add(u64::from(b - b'0'))
    });
    let is_binary = line[..at - 1].ends_with(b"~");
    let literal = Literal {
        len,
        is_sync,
        is_binary,
    };
    Some((at - 1 - usize::from(is_binary), literal))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames the input in pieces; literals up to 100 octets are kept.
    fn frames(input: &[u8], cut: usize, max: usize) -> Vec<String> {
        let (mut rx, mut framer, mut seen) = (RecvBuf::new(max + 1), Framer::default(), vec![]);
        for mut piece in input.chunks(cut) {
            while !piece.is_empty() {
                let room = rx.room();
                let n = room.len().min(piece.len());
                room[..n].copy_from_slice(&piece[..n]);
                rx.received(n);
                piece = &piece[n..];
                while let Some(frame) = framer.next(&mut rx, max).transpose() {
                    match frame {
                        Ok(Frame::Command(c)) => seen.push(c.escape_ascii().to_string()),
                        Ok(Frame::Literal(l)) if l.len <= 100 => framer.keep_literal(l),
                        Ok(Frame::Literal(l)) => {
                            seen.push(format!("{} {l:?}", framer.take_head().escape_ascii()));
                        }
                        Err(e) => seen.push(format!("{e:?}")),
                    }
                }
            }
        }
        seen
    }

    #[test]
    fn every_cut_gives_the_same_frames() {
        let long = "x".repeat(200);
        let input = format!(
            "a NOOP\r\nb bare\n\r\nc LOGIN {{5}}\r\nal\nce {{2+}}\n\r\n\r\nd {{18446744073709551616+}}\r\n\
             e {{}}\r\nf {{+}}\r\ng{{3}}\r\n\r\nx{{0}}\r\n\r\n{long}{{7+}}\r\n{long}\nz {{3}}\r\n{long}\r\nok\r\n"
        );
        let want = [
            "a NOOP",
            "b bare",
            "",
            "c LOGIN {5}\\r\\nal\\nce {2+}\\r\\n\\r\\n",
            "d  Literal { len: 18446744073709551615, is_sync: false, is_binary: false }",
            "e {}",
            "f {+}",
            "g{3}\\r\\n\\r\\nx{0}\\r\\n",
            "TooLong { literal: Some(Literal { len: 7, is_sync: false, is_binary: false }) }",
            "TooLong { literal: None }",
            "TooLong { literal: None }",
            "ok",
        ];
        for cut in 1..=input.len() {
            assert_eq!(frames(input.as_bytes(), cut, 120), want, "cut every {cut}");
        }
    }

    #[test]
    fn a_dropped_line_is_held_nowhere() {
        let mut rx = RecvBuf::new(1000);
        let mut framer = Framer::default();
        for _ in 0..10_000 {
            rx.room().fill(b'x');
            let n = rx.room().len();
            rx.received(n);
            assert_eq!(framer.next(&mut rx, 999), Ok(None));
        }
        assert!(framer.head.capacity() == 0 && framer.dropping.as_ref().is_some_and(|t| t.capacity() <= 128));
    }
}
