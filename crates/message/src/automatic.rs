//! Automatic messages: Auto-Submitted (RFC 3834 §5), Precedence, and when not to answer (RFC 3834 §2)

use crate::header::Headers;
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

/// Whether a message came from a program or a list, so that no automatic answer may go back (RFC 3834 §2).
///
/// It has an Auto-Submitted field other than `no`, an empty Return-Path, a List-* field, or a Precedence of
/// `bulk`, `junk` or `list`.
///
/// ```
/// use mailwright_message::{automatic, header::Headers};
/// assert!(automatic::is_automatic(&Headers::new(b"Auto-Submitted: auto-replied; owner-email=\"a@b\"\r\n\r\n")));
/// assert!(!automatic::is_automatic(&Headers::new(b"Subject: hello\r\n\r\n")));
/// ```
pub fn is_automatic(headers: &Headers<'_>) -> bool {
    headers.fields().any(|field| {
        let is_list = || {
            field
                .name
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"List-"))
        };
        let value = lex::token(field.value);
        if field.is("Auto-Submitted") {
            AutoSubmitted::parse(field.value).is_some_and(|submitted| submitted != AutoSubmitted::No)
        } else if field.is("Precedence") {
            ["bulk", "junk", "list"]
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
        } else if field.is("Return-Path") {
            value == b"<>"
        } else {
            is_list()
        }
    })
}
