//! Domains (RFC 5321 §4.1.2, RFC 6531 §3.3)

use crate::{ParseError, scan};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

/// A domain, kept as written: ASCII labels of letters, digits and hyphens, or UTF-8 labels.
///
/// Compared, ordered and hashed without regard to ASCII case. There is no dot at the end, and no underscore.
#[derive(Clone)]
pub struct Domain(Box<str>);

impl Domain {
    /// Parses a domain; all of `text` must belong to it.
    ///
    /// # Errors
    ///
    /// Fails on anything that RFC 5321 §4.1.2 or RFC 6531 §3.3 does not allow, and above
    /// [`MAX_DOMAIN`](crate::MAX_DOMAIN) or [`MAX_LABEL`](crate::MAX_LABEL).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let end = scan::domain(text, 0)?;
        scan::finish(text, end)?;
        Ok(Self(text.into()))
    }

    /// `text` must be what [`scan::domain`] found.
    pub(crate) fn scanned(text: &str) -> Self {
        Self(text.into())
    }

    /// The domain as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can be used where RFC 6531 is not understood.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// The labels from left to right; at least one, none of them empty.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Domain {}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for b in self.folded() {
            state.write_u8(b);
        }
        state.write_u8(0xff);
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}
