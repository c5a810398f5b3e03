use crate::RecvBuf;
use bytes::Bytes;

/// Cuts the input into lines of bounded length.
///
/// Lines end at LF. Whether a line that does not end in CRLF is acceptable is the codec's to say, which sees
/// [`Line::is_crlf`]; a CR elsewhere stays in the line for the codec to refuse. So no line is ever hidden
/// inside another one, whatever the peer counts as a line end.
///
/// A line longer than the limit is reported once, as soon as that is known, and dropped up to its end; the
/// next line is framed as usual.
#[derive(Debug, Clone)]
pub struct LineFramer {
    max: usize,
    /// How much of the unread data is known to hold no LF.
    scanned: usize,
    dropping: bool,
}

/// One line of input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The line without its ending.
    pub data: Bytes,
    /// Whether the line ended in CRLF, as the protocols demand, rather than in a bare LF.
    pub is_crlf: bool,
}

/// A line was longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineTooLong;

impl std::fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("line is longer than the limit")
    }
}

impl std::error::Error for LineTooLong {}

impl LineFramer {
    /// Frames lines of at most `max` octets, line ending included.
    ///
    /// The [`RecvBuf`] it is used with must have a limit of at least `max`.
    pub fn new(max: usize) -> Self {
        Self {
            max: max.max(2),
            scanned: 0,
            dropping: false,
        }
    }

    /// Changes the limit for the lines that follow.
    pub fn set_max(&mut self, max: usize) {
        self.max = max.max(2);
    }

    /// Forgets what was scanned: for when the buffer was cleared or read by other means in between.
    pub fn reset(&mut self) {
        self.scanned = 0;
        self.dropping = false;
    }

    /// The next line, or `None` when more input is needed.
    ///
    /// # Errors
    ///
    /// [`LineTooLong`], once for each line that is.
    pub fn next(&mut self, rx: &mut RecvBuf) -> Result<Option<Line>, LineTooLong> {
        debug_assert!(
            rx.limit() >= self.max,
            "the receive buffer cannot hold a line of the allowed length"
        );
        if self.dropping {
            match memchr::memchr(b'\n', rx.data()) {
                Some(at) => {
                    rx.skip(at + 1);
                    self.dropping = false;
                }
                None => {
                    rx.clear();
                    return Ok(None);
                }
            }
        }
        let data = rx.data();
        let from = self.scanned.min(data.len());
        match memchr::memchr(b'\n', &data[from..]).map(|at| from + at) {
            Some(at) if at < self.max => {
                self.scanned = 0;
                let is_crlf = at > 0 && data[at - 1] == b'\r';
                let mut line = rx.take(at + 1);
                line.truncate(at - usize::from(is_crlf));
                Ok(Some(Line { data: line, is_crlf }))
            }
            Some(at) => {
                self.scanned = 0;
                rx.skip(at + 1);
                Err(LineTooLong)
            }
            None if data.len() >= self.max => {
                self.scanned = 0;
                self.dropping = true;
                rx.clear();
                Err(LineTooLong)
            }
            None => {
                self.scanned = data.len();
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(input: &[u8], cut: usize, max: usize) -> Vec<Result<Line, LineTooLong>> {
        let (mut rx, mut framer, mut seen) = (RecvBuf::new(max), LineFramer::new(max), vec![]);
        for mut piece in input.chunks(cut) {
            while !piece.is_empty() {
                let room = rx.room();
                let n = room.len().min(piece.len());
                room[..n].copy_from_slice(&piece[..n]);
                rx.received(n);
                piece = &piece[n..];
                while let Some(line) = framer.next(&mut rx).transpose() {
                    seen.push(line);
                }
            }
        }
        seen
    }

    fn line(data: &'static [u8], is_crlf: bool) -> Result<Line, LineTooLong> {
        Ok(Line {
            data: Bytes::from_static(data),
            is_crlf,
        })
    }

    #[test]
    fn every_cut_gives_the_same_lines() {
        let input = b"NOOP\r\nbare\nwith\rCR\r\n\r\n0123456789\r\n01234567890\r\nnext\r\nopen";
        let want = [
            line(b"NOOP", true),
            line(b"bare", false),
            line(b"with\rCR", true),
            line(b"", true),
            line(b"0123456789", true),
            Err(LineTooLong),
            line(b"next", true),
        ];
        for cut in 1..=input.len() {
            assert_eq!(frame(input, cut, 12), want, "cut every {cut}");
        }
    }

    #[test]
    fn an_endless_line_is_told_once_and_held_nowhere() {
        let seen = frame(&[b'x'; 1 << 20], 4096, 512);
        assert_eq!(seen, [Err(LineTooLong)]);
    }
}
