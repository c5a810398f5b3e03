//! Bodies: written in their transfer encoding, in pieces of any size (RFC 2045 §6.7, §6.8)

use super::Error;
use super::content::Encoding;
use crate::transfer;

/// Encodes one body that comes in pieces.
#[derive(Debug)]
pub(super) enum Encoder {
    Encoded(Encoded),
    Identity(Identity),
}

/// base64 or quoted-printable. The line end behind the last line is kept back: it belongs to the delimiter.
#[derive(Debug)]
pub(super) struct Encoded {
    encoder: transfer::Encoder,
    base64: bool,
    line_end: bool,
}

impl Encoder {
    /// `boundary`: what no line of a body that goes as it is may start with.
    pub(super) fn new(encoding: Encoding, boundary: &[u8]) -> Self {
        let encoded = |encoding, base64| {
            Self::Encoded(Encoded {
                encoder: transfer::Encoder::new(encoding),
                base64,
                line_end: false,
            })
        };
        match encoding {
            Encoding::Base64 => encoded(transfer::Encoding::Base64, true),
            Encoding::QuotedPrintable => encoded(transfer::Encoding::QuotedPrintable, false),
            identity => Self::Identity(Identity {
                encoding: identity,
                boundary: boundary.into(),
                tail: Vec::new(),
                line: 0,
                cr: false,
            }),
        }
    }

    pub(super) fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Encoded(encoder) => encoder.push(octets, out),
            Self::Identity(encoder) => {
                encoder.check(octets)?;
                out.extend_from_slice(octets);
            }
        }
        Ok(())
    }

    /// Ends the body. `last`: it ends the message, so its last line must be complete.
    pub(super) fn finish(self, last: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Encoded(encoder) => encoder.finish(last, out),
            Self::Identity(encoder) => {
                if encoder.cr && encoder.encoding != Encoding::Binary {
                    return Err(Error::Encoding(encoder.encoding));
                }
                if last && encoder.line > 0 {
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        Ok(())
    }
}

impl Encoded {
    fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        self.put(out, |encoder, out| encoder.push(octets, out));
    }

    fn finish(mut self, last: bool, out: &mut Vec<u8>) {
        let start = out.len();
        self.put(out, transfer::Encoder::finish);
        if last {
            if self.line_end {
                out.extend_from_slice(b"\r\n");
            }
        } else if !self.base64 && out[start..].ends_with(b"=\r\n") {
            // Where a delimiter follows, a soft line break has nothing to break.
            out.truncate(out.len() - 3);
        }
    }

    fn put(&mut self, out: &mut Vec<u8>, put: impl FnOnce(&mut transfer::Encoder, &mut Vec<u8>)) {
        if !self.base64 {
            return put(&mut self.encoder, out);
        }
        let start = out.len();
        if self.line_end {
            out.extend_from_slice(b"\r\n");
        }
        let lines = out.len();
        put(&mut self.encoder, out);
        if out.len() == lines {
            out.truncate(start);
        } else {
            out.truncate(out.len() - 2);
            self.line_end = true;
        }
    }
}

/// The length of base64 without its last line end.
pub(super) fn base64_len(octets: u64) -> u64 {
    let breaks = octets.div_ceil(57).saturating_sub(1);
    octets.div_ceil(3) * 4 + breaks * 2
}

/// Checks octets that go as they are.
#[derive(Debug)]
pub(super) struct Identity {
    encoding: Encoding,
    boundary: Box<[u8]>,
    /// The last octets before the chunk at hand: a boundary may be cut.
    tail: Vec<u8>,
    /// Octets of the line at hand.
    line: usize,
    cr: bool,
}

impl Identity {
    pub(super) fn check(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.check_boundary(octets)?;
        if self.encoding == Encoding::Binary {
            if !octets.is_empty() {
                let crlf = octets.ends_with(b"\r\n") || self.cr && octets == b"\n";
                self.cr = octets.ends_with(b"\r");
                self.line = usize::from(!crlf);
            }
            return Ok(());
        }
        let wrong = Err(Error::Encoding(self.encoding));
        let high = self.encoding == Encoding::SevenBit && !octets.is_ascii();
        if high || memchr::memchr(0, octets).is_some() {
            return wrong;
        }
        let mut at = 0;
        for end in memchr::memchr2_iter(b'\r', b'\n', octets).chain([octets.len()]) {
            let run = end - at;
            self.line += run;
            if self.cr && run > 0 || self.line > 998 {
                return wrong;
            }
            match octets.get(end) {
                Some(b'\r') if !self.cr => self.cr = true,
                Some(b'\n') if self.cr => {
                    self.cr = false;
                    self.line = 0;
                }
                None => {}
                Some(_) => return wrong,
            }
            at = end + 1;
        }
        Ok(())
    }

    fn check_boundary(&mut self, octets: &[u8]) -> Result<(), Error> {
        let keep = self.boundary.len().saturating_sub(1);
        let seam = octets.len().min(keep);
        self.tail.extend_from_slice(&octets[..seam]);
        let find =
            |text: &[u8]| !self.boundary.is_empty() && memchr::memmem::find(text, &self.boundary).is_some();
        if find(&self.tail) || find(octets) {
            return Err(Error::Boundary);
        }
        if octets.len() > keep {
            self.tail = octets[octets.len() - keep..].to_vec();
        }
        let surplus = self.tail.len().saturating_sub(keep);
        self.tail.drain(..surplus);
        Ok(())
    }
}
