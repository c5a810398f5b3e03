//! METADATA: entry names and requests about them (RFC 5464)

use bytes::Bytes;
use std::fmt;

/// The name of an annotation: below `/private` or `/shared`, in lower case (RFC 5464 §3.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// The most octets of a name.
    pub const MOST_OCTETS: usize = 1000;

    /// Reads a name, whatever its case.
    ///
    /// Returns `None` when it does not begin with `/private/` or `/shared/`, ends in `/`, holds `//`, `*`, `%` or
    /// anything but printable ASCII, or is too long.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::parse_root(name).filter(|name| name.0.matches('/').count() > 1)
    }

    /// The same, but `/private` and `/shared` themselves are taken, too.
    pub(crate) fn parse_root(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|it| it.len() <= Self::MOST_OCTETS)?;
        let name = name.to_ascii_lowercase();
        let first = name.strip_prefix('/')?.split('/').next()?;
        let well_formed = matches!(first, "private" | "shared")
            && name
                .bytes()
                .all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'*' | b'%'))
            && !name.ends_with('/')
            && !name.contains("//");
        well_formed.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How far `name` is below this one: 0 for the same name, `None` if it is elsewhere.
    pub(crate) fn depth_of(&self, name: &str) -> Option<usize> {
        let rest = name.strip_prefix(&*self.0)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.matches('/').count())
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

/// How far below the named entries GETMETADATA looks (RFC 5464 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(clippy::exhaustive_enums)] // the grammar's three values
pub enum Depth {
    /// The entries themselves.
    #[default]
    Zero,
    /// Their children, too.
    One,
    /// All below them.
    Infinity,
}

impl Depth {
    pub(crate) fn reaches(self, depth: usize) -> bool {
        match self {
            Self::Zero => depth == 0,
            Self::One => depth <= 1,
            Self::Infinity => true,
        }
    }
}

/// A question about annotations. No mailbox means those of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataRequest {
    /// GETMETADATA, answered by [`metadata`](crate::Server::metadata) for each annotation, then
    /// [`accept`](crate::Server::accept).
    Get {
        /// The mailbox.
        mailbox: Option<String>,
        /// Which entries; those elsewhere may be offered and are left out.
        entries: Vec<EntryName>,
        /// How far below them.
        depth: Depth,
    },
    /// SETMETADATA, answered by [`accept`](crate::Server::accept),
    /// [`reject_metadata`](crate::Server::reject_metadata) or [`reject`](crate::Server::reject). All or nothing.
    Set {
        /// The mailbox.
        mailbox: Option<String>,
        /// Entries with their values; `None` removes the entry.
        entries: Vec<(EntryName, Option<Bytes>)>,
    },
}

/// Why annotations are not set (RFC 5464 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetadataRefusal {
    /// A value is larger than this many octets; at least 1024.
    TooLarge(u32),
    /// There would be too many; at least 10 must be possible.
    TooMany,
    /// Private annotations are not possible here.
    NoPrivate,
}
