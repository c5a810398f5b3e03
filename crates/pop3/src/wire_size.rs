//! How long a message is on the wire (RFC 1939 §11)

/// Counts how many octets a message has on the wire, where every line ends in CRLF: what
/// [`Maildrop::push`](crate::Maildrop::push) wants to know of a message that is kept in another way.
///
/// A bare CR or LF counts as the CRLF that the server makes of it, and so does the end of a last line that has none.
/// Dot-stuffing does not count (RFC 1939 §11).
///
/// ```
/// use mailwright_pop3::WireSize;
/// let mut size = WireSize::default();
/// size.push(b"Subject: hi\n\n.Hel"); // as it stands in a file, in pieces of any length
/// size.push(b"lo");
/// assert_eq!(size.octets(), "Subject: hi\r\n\r\n.Hello\r\n".len() as u64);
/// ```
///
/// It can be written to, so that [`std::io::copy`] measures what can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireSize {
    octets: u64,
    ends: Ends,
}

/// How what was counted ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ends {
    /// At the start of a line.
    #[default]
    Line,
    /// With a CR, whose LF may follow.
    Cr,
    /// Within a line.
    Within,
}

impl WireSize {
    /// Counts the next octets of the message.
    pub fn push(&mut self, piece: &[u8]) {
        for octet in piece {
            // A CR that was not followed by LF becomes CRLF.
            let missing = u64::from(self.ends == Ends::Cr && *octet != b'\n');
            (self.octets, self.ends) = match octet {
                b'\r' => (self.octets + missing + 1, Ends::Cr),
                b'\n' if self.ends == Ends::Cr => (self.octets + 1, Ends::Line),
                b'\n' => (self.octets + 2, Ends::Line),
                _ => (self.octets + missing + 1, Ends::Within),
            };
        }
    }

    /// How many octets the message has, if that was all of it.
    pub fn octets(&self) -> u64 {
        match self.ends {
            Ends::Line => self.octets,
            Ends::Cr => self.octets + 1,
            Ends::Within => self.octets + 2,
        }
    }
}

impl std::io::Write for WireSize {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.push(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
