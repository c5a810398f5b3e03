use core::fmt;

/// Why some text is not an address, and where.
///
/// It holds nothing of the text itself, so it can be logged and sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    kind: ParseErrorKind,
    offset: usize,
}

/// What is wrong at the [`offset`](ParseError::offset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A character that may not stand here.
    Unexpected,
    /// The text ends before the address does.
    UnexpectedEnd,
    /// Something follows the address.
    Trailing,
    /// Nothing, or nothing between two dots, before the `@`.
    EmptyAtom,
    /// A domain, or one of its labels, is empty; a dot at the end counts.
    EmptyLabel,
    /// A label of a domain starts or ends with a hyphen.
    Hyphen,
    /// What stands in brackets is not an address literal.
    Literal,
    /// The local part is longer than [`MAX_LOCAL_PART`](crate::MAX_LOCAL_PART).
    LocalPartTooLong,
    /// A label is longer than [`MAX_LABEL`](crate::MAX_LABEL).
    LabelTooLong,
    /// The domain or literal is longer than [`MAX_DOMAIN`](crate::MAX_DOMAIN).
    DomainTooLong,
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// What is wrong.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// Where it is wrong, in octets from the start of the text that was parsed.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.kind, self.offset)
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unexpected => "unexpected character",
            Self::UnexpectedEnd => "unexpected end",
            Self::Trailing => "something follows the address",
            Self::EmptyAtom => "empty word in the local part",
            Self::EmptyLabel => "empty label in the domain",
            Self::Hyphen => "label starts or ends with a hyphen",
            Self::Literal => "malformed address literal",
            Self::LocalPartTooLong => "local part is too long",
            Self::LabelTooLong => "label is too long",
            Self::DomainTooLong => "domain is too long",
        })
    }
}

impl core::error::Error for ParseError {}
