//! Errors

/// What can go wrong. Reading a message is not among it: what is odd there is a [`Defect`](crate::Defect).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// Stored octets are no index, or one of another version: build it again from the message.
    NotAnIndex,
    /// A text is no enhanced status code (RFC 3463 §2).
    NotAStatus,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAnIndex => f.write_str("not an index of this version"),
            Self::NotAStatus => f.write_str("not an enhanced status code"),
        }
    }
}

impl std::error::Error for Error {}
