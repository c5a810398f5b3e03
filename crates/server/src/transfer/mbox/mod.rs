//! mbox files (RFC 4155), one for each folder, as a source and as a target.
//!
//! Between messages stands a line `From sender date`, with an empty line in front of it. Flags, keywords and UIDs are
//! in header fields that are no part of the message: `Status`, `X-Status`, `X-Keywords`, `X-UID`, `X-IMAPbase`. They
//! are written at the top, `X-UID` last, and taken out from there. Other programs write them among the other fields;
//! there they are found as well.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::Target;

/// How lines that begin with `From ` are told from those between messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums)] // the two families
pub enum Quoting {
    /// mboxrd: a `>` is put in front of `From `, `>From `, `>>From ` and so on, and taken away from all of them.
    #[default]
    Rd,
    /// mboxo: a `>` is put in front of `From ` and taken away from `>From `. Where the message itself had that, the two
    /// cannot be told apart.
    O,
}

impl Quoting {
    /// How many `>` stand in front of `From ` at the beginning of a line, if it is there.
    fn depth(line: &[u8]) -> Option<usize> {
        let depth = line.iter().take_while(|octet| **octet == b'>').count();
        line[depth..].starts_with(b"From ").then_some(depth)
    }

    fn is_quoted(self, line: &[u8]) -> bool {
        match Self::depth(line) {
            Some(depth) => depth == 1 || (depth > 1 && self == Self::Rd),
            None => false,
        }
    }

    fn needs_quote(self, line: &[u8]) -> bool {
        match Self::depth(line) {
            Some(depth) => depth == 0 || self == Self::Rd,
            None => false,
        }
    }
}
