//! Annotations on mailboxes and accounts (RFC 5464)

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The name of an annotation: `/private/...` or `/shared/...`, in lower case (RFC 5464 §3).
///
/// Private ones belong to the account that has set them, whoever has the mailbox; shared ones to the mailbox, whose
/// account they are kept under.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Arc<str>);

impl EntryName {
    /// The most octets of a name.
    pub const MOST_OCTETS: usize = 255;

    /// Reads a name, whatever its case.
    ///
    /// Returns `None` when it does not begin with `/private/` or `/shared/`, ends in `/`, holds `//`, `*`, `%` or
    /// anything but printable ASCII, or is too long.
    pub fn parse(name: &str) -> Option<Self> {
        let well_formed = name.len() <= Self::MOST_OCTETS
            && name
                .bytes()
                .all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'*' | b'%'))
            && !name.ends_with('/')
            && !name.contains("//");
        let name = name.to_ascii_lowercase();
        let rooted = name.starts_with("/private/") || name.starts_with("/shared/");
        (well_formed && rooted).then(|| Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it belongs to the account that has set it, and not to the mailbox.
    pub fn is_private(&self) -> bool {
        self.0.starts_with("/private/")
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// An annotation and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Annotation {
    /// Its name.
    pub name: EntryName,
    /// Its value, any octets.
    pub value: Bytes,
}

impl Annotation {
    /// Makes an annotation.
    pub const fn new(name: EntryName, value: Bytes) -> Self {
        Self { name, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["/private/comment", "/SHARED/vendor/x y/z"] {
            assert_eq!(
                EntryName::parse(good).unwrap().as_str(),
                good.to_ascii_lowercase()
            );
        }
        let long = format!("/private/{}", "x".repeat(247));
        for bad in [
            "",
            "/",
            "private/x",
            "/private",
            "/private/",
            "/private//x",
            "/shared/*",
            "/shared/%",
            "/shared/é",
            "/shared/\r",
            "/other/x",
            &long,
        ] {
            assert_eq!(EntryName::parse(bad), None, "{bad}");
        }
        assert!(EntryName::parse(&long[..255]).unwrap().is_private());
    }
}
