//! Where the answer to TOP ends (RFC 1939 §7)

/// Cuts a message that comes in pieces behind its header, the blank line, and a number of lines.
///
/// A bare CR or LF counts as a line end, because it is sent as one.
#[derive(Debug)]
pub(crate) struct TopCut {
    in_header: bool,
    lines_left: u64,
    at_line_start: bool,
    /// The last octet was a CR: a LF that follows belongs to it.
    after_cr: bool,
}

impl TopCut {
    pub(crate) fn new(lines: u64) -> Self {
        Self {
            in_header: true,
            lines_left: lines,
            at_line_start: true,
            after_cr: false,
        }
    }

    /// Whether all that is wanted has come.
    pub(crate) fn is_done(&self) -> bool {
        !self.in_header && self.lines_left == 0
    }

    /// How many octets of `chunk` are wanted.
    pub(crate) fn take(&mut self, chunk: &[u8]) -> usize {
        let mut at = 0;
        while at < chunk.len() {
            if self.after_cr && chunk[at] == b'\n' {
                self.after_cr = false;
                at += 1;
                continue;
            }
            if self.is_done() {
                return at;
            }
            self.after_cr = false;
            match memchr::memchr2(b'\r', b'\n', &chunk[at..]) {
                Some(0) => self.line_ended(chunk[at], true),
                Some(n) => {
                    at += n;
                    self.line_ended(chunk[at], false);
                }
                None => {
                    self.at_line_start = false;
                    return chunk.len();
                }
            }
            at += 1;
        }
        at
    }

    fn line_ended(&mut self, with: u8, nothing_before: bool) {
        self.after_cr = with == b'\r';
        let is_blank = nothing_before && self.at_line_start;
        self.at_line_start = true;
        if !self.in_header {
            self.lines_left -= 1;
        } else if is_blank {
            self.in_header = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(message: &[u8], lines: u64, pieces: usize) -> Vec<u8> {
        let mut top = TopCut::new(lines);
        let mut out = vec![];
        for piece in message.chunks(pieces) {
            out.extend_from_slice(&piece[..top.take(piece)]);
        }
        out
    }

    #[test]
    fn header_blank_line_and_lines() {
        let message = b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\nfour";
        for (lines, want) in [
            (0, &b"A: 1\r\nB: 2\r\n\r\n"[..]),
            (1, b"A: 1\r\nB: 2\r\n\r\none\r\n"),
            (2, b"A: 1\r\nB: 2\r\n\r\none\r\n\r\n"),
            (3, b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n"),
            (4, message),
            (u64::MAX, message),
        ] {
            for pieces in 1..=message.len() {
                assert_eq!(
                    cut(message, lines, pieces).escape_ascii().to_string(),
                    want.escape_ascii().to_string()
                );
            }
        }
    }

    #[test]
    fn odd_messages() {
        for pieces in 1..8 {
            assert_eq!(cut(b"only: header\r\n", 5, pieces), b"only: header\r\n");
            assert_eq!(cut(b"\r\nbody\r\nmore", 1, pieces), b"\r\nbody\r\n");
            assert_eq!(cut(b"a\n\nb\nc\n", 1, pieces), b"a\n\nb\n");
            assert_eq!(cut(b"a\r\rb\rc", 1, pieces), b"a\r\rb\r");
            assert_eq!(cut(b"", 1, pieces), b"");
        }
    }
}
