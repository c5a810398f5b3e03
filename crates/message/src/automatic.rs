//! Automatic messages: Auto-Submitted (RFC 3834 §5)

use crate::lex;

/// The value of an Auto-Submitted field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AutoSubmitted {
    /// A person sent it.
    No,
    /// `auto-generated`: a program sent it on its own.
    Generated,
    /// `auto-replied`: it answers another message.
    Replied,
    /// `auto-notified`: a filter tells of another message (RFC 5436 §2.7.1).
    Notified,
    /// Something else; RFC 3834 §5 has it count as automatic.
    Other,
}

impl AutoSubmitted {
    /// Reads a value, its parameters passed over; `None` when it is empty.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let word = lex::token(value);
        let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        Some(match word {
            b"" => return None,
            _ if is("no") => Self::No,
            _ if is("auto-generated") => Self::Generated,
            _ if is("auto-replied") => Self::Replied,
            _ if is("auto-notified") => Self::Notified,
            _ => Self::Other,
        })
    }
}
