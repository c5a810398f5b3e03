//! The text of a command before it is known what the server can take (RFC 3501 §4.3, RFC 7888)

use super::Mailbox;
use mailwright_wire::SendBuf;

/// A command in parts. Literals have non-synchronising heads; those that the server cannot take are changed
/// when the command is sent, as mailbox names are encoded then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Octets(Vec<u8>),
    Mailbox(Mailbox),
    /// What says that the strings of a search are UTF-8, where that has to be said.
    Charset,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let mut new = Self::default();
        new.raw(text);
        new
    }

    fn octets(&mut self) -> &mut Vec<u8> {
        if !matches!(self.0.last(), Some(Part::Octets(_))) {
            self.0.push(Part::Octets(Vec::new()));
        }
        match self.0.last_mut() {
            Some(Part::Octets(octets)) => octets,
            _ => unreachable!("it was pushed"),
        }
    }

    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.octets().extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn raw_octets(&mut self, octets: &[u8]) -> &mut Self {
        self.octets().extend_from_slice(octets);
        self
    }

    pub(super) fn mailbox(&mut self, mailbox: Mailbox) -> &mut Self {
        self.0.push(Part::Mailbox(mailbox));
        self
    }

    /// Says that the strings of a search are UTF-8. Where UTF-8 is enabled they are that anyway, and to say so is an
    /// error (RFC 6855 §3).
    pub(super) fn charset(&mut self) -> &mut Self {
        self.0.push(Part::Charset);
        self
    }

    pub(super) fn string(&mut self, text: &[u8]) -> &mut Self {
        put_string(self.octets(), text, false);
        self
    }

    pub(super) fn astring(&mut self, text: &[u8]) -> &mut Self {
        put_string(self.octets(), text, true);
        self
    }

    /// What `print` prints into a send buffer.
    pub(super) fn printed(&mut self, print: impl FnOnce(&mut SendBuf)) -> &mut Self {
        let mut tx = SendBuf::new();
        print(&mut tx);
        while !tx.is_empty() {
            let n = tx.data().len();
            self.octets().extend_from_slice(tx.data());
            tx.sent(n);
        }
        self
    }

    /// Whether the text so far holds octets that are not ASCII.
    pub(super) fn has_8bit(&self) -> bool {
        self.0.iter().any(|part| match part {
            Part::Octets(octets) => !octets.is_ascii(),
            Part::Mailbox(_) | Part::Charset => false,
        })
    }

    /// The whole text; `utf8` says that UTF-8 is enabled.
    pub(super) fn finish(self, utf8: bool) -> Vec<u8> {
        let mut text = Vec::new();
        for part in self.0 {
            match part {
                Part::Octets(octets) => text.extend_from_slice(&octets),
                Part::Mailbox(mailbox) => put_string(&mut text, &mailbox.to_wire(utf8), true),
                Part::Charset if utf8 => {}
                Part::Charset => text.extend_from_slice(b" CHARSET UTF-8"),
            }
        }
        text
    }
}

/// Quoted strings above this length go as literals.
const LONGEST_QUOTED: usize = 1000;

pub(super) fn put_string(out: &mut Vec<u8>, text: &[u8], may_be_atom: bool) {
    let is_atom = |b: &u8| crate::codec::is_atom_char(*b);
    if may_be_atom && !text.is_empty() && !text.eq_ignore_ascii_case(b"NIL") && text.iter().all(is_atom) {
        out.extend_from_slice(text);
    } else if text.len() <= LONGEST_QUOTED && text.iter().all(|b| matches!(b, b' '..=b'~')) {
        out.push(b'"');
        for &b in text {
            if matches!(b, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(b);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
        out.extend_from_slice(text);
    }
}

/// Text that is on its way: at the head of a literal that must be asked for, sending stops.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    text: Vec<u8>,
    at: usize,
    /// Where the literal ends that is to be sent next.
    literal_end: usize,
}

impl Outgoing {
    pub(super) fn new(text: Vec<u8>) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// Sends on; says whether all is sent, or the server's leave is awaited for a literal. A literal of up to
    /// `free` octets needs no leave.
    pub(super) fn send(&mut self, free: u64, tx: &mut SendBuf) -> bool {
        loop {
            // A literal's own octets are not searched for heads.
            let literal_end = self.literal_end.min(self.text.len());
            if literal_end > self.at {
                tx.put(&self.text[self.at..literal_end]);
                self.at = literal_end;
            }
            // Outside of literals there is a CRLF only behind their heads.
            let Some((open, len, end)) = self.next_literal() else {
                tx.put(&self.text[self.at..]);
                self.at = self.text.len();
                return true;
            };
            self.literal_end = end.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
            if len > free || free == 0 {
                tx.put(&self.text[self.at..open]);
                self.at = end;
                tx.put(format!("{{{len}}}\r\n").as_bytes());
                return false;
            }
            tx.put(&self.text[self.at..end]);
            self.at = end;
        }
    }

    /// The next head: where it opens, the literal's length, where it ends.
    fn next_literal(&self) -> Option<(usize, u64, usize)> {
        let rest = &self.text[self.at..];
        let close = memchr::memmem::find(rest, b"+}\r\n")?;
        let open = memchr::memrchr(b'{', &rest[..close])?;
        let len = std::str::from_utf8(&rest[open + 1..close]).ok()?.parse().ok()?;
        Some((self.at + open, len, self.at + close + 4))
    }
}
