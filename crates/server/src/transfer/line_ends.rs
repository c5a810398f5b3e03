//! Line ends: CRLF in the store, LF in files (RFC 5322 §2.1).

/// Whether all LF of a message stand behind a CR, and all CR in front of an LF, so that CRLF can become LF and nothing
/// is lost; in octets that come in pieces.
#[derive(Debug, Default)]
pub(super) struct OnlyCrlf {
    after_cr: bool,
    broken: bool,
}

impl OnlyCrlf {
    /// Looks at the next piece.
    pub(super) fn look(&mut self, piece: &[u8]) {
        for octet in piece {
            self.broken |= (*octet == b'\n') != self.after_cr;
            self.after_cr = *octet == b'\r';
        }
    }

    /// Tells what was found.
    pub(super) fn holds(&self) -> bool {
        !self.broken && !self.after_cr
    }
}

/// Takes the CR of every CRLF away, in octets that come in pieces.
#[derive(Debug, Default)]
pub(super) struct ToFile {
    held_cr: bool,
}

impl ToFile {
    /// Appends the next piece to what is written.
    pub(super) fn convert(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for octet in piece {
            if core::mem::take(&mut self.held_cr) && *octet != b'\n' {
                out.push(b'\r');
            }
            match octet {
                b'\r' => self.held_cr = true,
                _ => out.push(*octet),
            }
        }
    }

    /// Appends what is left at the end.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        if self.held_cr {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to cut in two gives the same.
    fn cut(text: &[u8], run: impl Fn(&[&[u8]]) -> Vec<u8>) -> Vec<u8> {
        let whole = run(&[text]);
        for at in 0..=text.len() {
            assert_eq!(run(&[&text[..at], &text[at..]]), whole, "cut at {at}");
        }
        whole
    }

    #[test]
    fn to_files() {
        let to_file = |text: &[u8]| {
            cut(text, |pieces| {
                let (mut it, mut out) = (ToFile::default(), Vec::new());
                pieces.iter().for_each(|piece| it.convert(piece, &mut out));
                it.finish(&mut out);
                out
            })
        };
        assert_eq!(to_file(b"a\r\n\r\nb\r\rc\r"), b"a\n\nb\r\rc\r");
        for (text, expected) in [
            (&b"a\r\nb\r\n"[..], true),
            (b"", true),
            (b"a\n", false),
            (b"a\r", false),
            (b"\r\r\n", false),
        ] {
            let found = cut(text, |pieces| {
                let mut it = OnlyCrlf::default();
                pieces.iter().for_each(|piece| it.look(piece));
                vec![u8::from(it.holds())]
            });
            assert_eq!(found, [u8::from(expected)], "{text:?}");
        }
    }
}
