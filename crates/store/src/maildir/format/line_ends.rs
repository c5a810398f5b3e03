//! Line ends: LF in files, CRLF on the wire (RFC 5322 §2.1)

/// Gives every line of a file its CRLF, in octets that come in pieces.
///
/// A message whose first line ends in CRLF is in the form of the wire already and stays as it is; in all others, every
/// LF without a CR gets one.
///
/// ```
/// use mailwright_store::maildir::format::ToWire;
/// let mut lines = ToWire::default();
/// assert_eq!(lines.convert(b"Subject: a\n\nb".to_vec()), b"Subject: a\r\n\r\nb");
/// ```
#[derive(Debug, Default)]
pub struct ToWire {
    as_is: Option<bool>,
    after_cr: bool,
}

impl ToWire {
    /// Converts the next piece.
    pub fn convert(&mut self, piece: Vec<u8>) -> Vec<u8> {
        if self.as_is.is_none() {
            let first = piece.iter().position(|octet| *octet == b'\n');
            self.as_is = first.map(|at| match at {
                0 => self.after_cr,
                _ => piece[at - 1] == b'\r',
            });
        }
        // Before the first line end there is nothing to convert, but the CR that may stand in front of it.
        if self.as_is != Some(false) {
            self.after_cr = piece.last().map_or(self.after_cr, |last| *last == b'\r');
            return piece;
        }
        let mut out = Vec::with_capacity(piece.len() + piece.len() / 32 + 16);
        for line in piece.split_inclusive(|octet| *octet == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(text) => {
                    let has_cr = text.last().map_or(self.after_cr, |last| *last == b'\r');
                    out.extend_from_slice(text);
                    out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
                    self.after_cr = false;
                }
                None => {
                    out.extend_from_slice(line);
                    self.after_cr = line.last() == Some(&b'\r');
                }
            }
        }
        out
    }
}
