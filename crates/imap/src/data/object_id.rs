//! Object identifiers (RFC 8474)

use std::fmt;

/// An identifier of a mailbox, message or thread: 1 to 255 letters, digits, `_` or `-`; case matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(Box<str>);

impl ObjectId {
    /// Makes an identifier; `None` if it has another form.
    pub fn new(text: impl Into<Box<str>>) -> Option<Self> {
        let text = text.into();
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        ((1..=255).contains(&text.len()) && text.bytes().all(valid)).then_some(Self(text))
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
