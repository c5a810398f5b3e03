//! The Message-ID of a message that passes, for the journal

use mailwright_message::header;

/// Keeps the header of a message until it has ended.
#[derive(Debug)]
pub(super) enum Peek {
    Header(Vec<u8>),
    Over(Option<String>),
}

impl Peek {
    /// How far it is looked for the end of the header, in octets.
    const MAX: usize = 64 << 10;
    /// The longest Message-ID that is told, in octets: a line of RFC 5322 §2.1.1.
    const LONGEST: usize = 998;

    /// Sees the next octets.
    pub(super) fn see(&mut self, data: &[u8]) {
        let Self::Header(header) = self else { return };
        // The empty line may have begun in what is there.
        let from = header.len().saturating_sub(3);
        header.extend_from_slice(&data[..data.len().min(Self::MAX - header.len())]);
        let is_over =
            header.starts_with(b"\r\n") || memchr::memmem::find(&header[from..], b"\r\n\r\n").is_some();
        if is_over || header.len() >= Self::MAX {
            *self = Self::Over(message_id(header));
        }
    }

    /// The Message-ID without its brackets.
    pub(super) fn message_id(&self) -> Option<String> {
        match self {
            Self::Header(header) => message_id(header),
            Self::Over(id) => id.clone(),
        }
    }
}

impl Default for Peek {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}

fn message_id(header: &[u8]) -> Option<String> {
    let field = header::fields(header).find(|field| field.is("Message-ID"))?;
    let value = String::from_utf8_lossy(field.value);
    let (_, behind) = value.split_once('<')?;
    let id = behind.split_once('>')?.0;
    (!id.is_empty() && id.len() <= Peek::LONGEST).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peeked(message: &[u8], at_once: usize) -> Option<String> {
        let mut peek = Peek::default();
        message.chunks(at_once).for_each(|piece| peek.see(piece));
        peek.message_id()
    }

    #[test]
    fn the_id_is_that_of_the_header_however_it_comes() {
        let message = b"A: b\r\nmessage-id:\r\n <one@a.test>\r\n\r\nMessage-ID: <two@a.test>\r\n";
        for at_once in 1..message.len() {
            assert_eq!(
                peeked(message, at_once).as_deref(),
                Some("one@a.test"),
                "{at_once}"
            );
        }
        assert_eq!(peeked(b"\r\nMessage-ID: <two@a.test>\r\n", 2), None);
        assert_eq!(peeked(b"Message-ID: none\r\n\r\n", 4), None);
        let long = [
            b"A: ".as_slice(),
            &[b'a'; 100_000],
            b"\r\nMessage-ID: <late@a.test>\r\n\r\n",
        ]
        .concat();
        assert_eq!(peeked(&long, 9000), None);
        assert_eq!(
            peeked(b"Message-ID: <bare@a.test>\r\n", 5).as_deref(),
            Some("bare@a.test")
        );
    }
}
