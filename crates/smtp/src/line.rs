use bytes::Bytes;
use mailwright_wire::RecvBuf;

/// Frames command lines, which end at CRLF and at nothing else.
///
/// A line with a bare LF in it, and one that is too long, is reported once, as soon as that is known, and
/// dropped up to its CRLF. So it is neither run nor split into lines that are, whatever a relay in between
/// takes for a line end.
#[derive(Debug)]
pub(crate) struct LineFramer {
    max: usize,
    /// How much of the unread data is known to hold no LF.
    scanned: usize,
    dropping: bool,
}

/// Octets of a line end.
pub(crate) const CRLF: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineFault {
    TooLong,
    BareLf,
}

impl LineFramer {
    /// Frames lines of at most `max` octets, line ending included.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            scanned: 0,
            dropping: false,
        }
    }

    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Forgets what was scanned: the buffer was read by other means.
    pub(crate) fn reset(&mut self) {
        self.scanned = 0;
        self.dropping = false;
    }

    /// The next line without its CRLF; `None` when more input is needed.
    pub(crate) fn next(&mut self, rx: &mut RecvBuf) -> Option<Result<Bytes, LineFault>> {
        let found = self.find(rx)?;
        Some(found.map(|len| {
            let line = Bytes::copy_from_slice(&rx.data()[..len]);
            rx.skip(len + CRLF);
            line
        }))
    }

    /// How long the line is that the unread data starts with, without its [`CRLF`]: the caller skips both. `None`
    /// when more input is needed.
    #[inline]
    pub(crate) fn find(&mut self, rx: &mut RecvBuf) -> Option<Result<usize, LineFault>> {
        if self.dropping && !self.drop_line(rx) {
            return None;
        }
        let data = rx.data();
        let from = self.scanned.min(data.len());
        match memchr::memchr(b'\n', &data[from..]).map(|at| from + at) {
            Some(lf) if lf >= self.max => self.fault(LineFault::TooLong, rx),
            Some(lf) if lf > 0 && data[lf - 1] == b'\r' => {
                self.scanned = 0;
                Some(Ok(lf - 1))
            }
            Some(lf) => {
                rx.skip(lf + 1);
                self.fault(LineFault::BareLf, rx)
            }
            None if data.len() >= self.max => self.fault(LineFault::TooLong, rx),
            None => {
                self.scanned = data.len();
                None
            }
        }
    }

    #[cold]
    fn fault<T>(&mut self, fault: LineFault, rx: &mut RecvBuf) -> Option<Result<T, LineFault>> {
        self.scanned = 0;
        self.dropping = true;
        self.drop_line(rx);
        Some(Err(fault))
    }

    /// Drops up to the next CRLF; whether it came.
    fn drop_line(&mut self, rx: &mut RecvBuf) -> bool {
        match memchr::memmem::find(rx.data(), b"\r\n") {
            Some(at) => {
                rx.skip(at + 2);
                self.dropping = false;
                true
            }
            None => {
                let keep = usize::from(rx.data().ends_with(b"\r"));
                rx.skip(rx.data().len() - keep);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_gives_the_same_lines() {
        let input = b"NOOP\r\na\nMAIL b\nc\r\nwith\rCR\r\n\r\n0123456789\r\n012345678901\nx\r\r\r\nnext\r\n\nx\r\nopen";
        let want = [
            Ok("NOOP"),
            Err(LineFault::BareLf),
            Ok("with\rCR"),
            Ok(""),
            Ok("0123456789"),
            Err(LineFault::TooLong),
            Ok("next"),
            Err(LineFault::BareLf),
        ];
        for cut in 1..=input.len() {
            let (mut rx, mut framer, mut seen) = (RecvBuf::new(64), LineFramer::new(12), vec![]);
            for mut piece in input.chunks(cut) {
                while !piece.is_empty() {
                    let room = rx.room();
                    let n = room.len().min(piece.len());
                    room[..n].copy_from_slice(&piece[..n]);
                    rx.received(n);
                    piece = &piece[n..];
                    while let Some(line) = framer.next(&mut rx) {
                        seen.push(line.map(|l| String::from_utf8(l.to_vec()).unwrap()));
                    }
                }
            }
            assert_eq!(seen, want.map(|w| w.map(str::to_owned)), "cut every {cut}");
        }
    }
}
