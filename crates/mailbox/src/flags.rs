//! Flags and keywords of a message (RFC 9051 §2.3.2)

use core::{cmp::Ordering, fmt, hash::Hash, hash::Hasher, ops::BitOr};
use std::sync::Arc;

/// The flags of a message: a set of system flags and a sorted set of keywords.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    system: SystemFlags,
    // Most messages have none, so the set costs nothing until it is needed.
    keywords: Vec<Keyword>,
}

impl Flags {
    /// Returns the empty set.
    pub const fn new() -> Self {
        Self {
            system: SystemFlags::NONE,
            keywords: Vec::new(),
        }
    }

    /// Returns the system flags.
    pub const fn system(&self) -> SystemFlags {
        self.system
    }

    /// Returns the keywords in their order, each once.
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// Tells whether all of `flags` are set.
    pub const fn contains(&self, flags: SystemFlags) -> bool {
        self.system.contains(flags)
    }

    /// Tells whether the keyword is set.
    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.binary_search(keyword).is_ok()
    }

    /// Tells whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.system == SystemFlags::NONE && self.keywords.is_empty()
    }

    /// Sets system flags.
    pub fn insert(&mut self, flags: SystemFlags) {
        self.system = self.system | flags;
    }

    /// Sets a keyword; the spelling that was set first stays.
    pub fn insert_keyword(&mut self, keyword: Keyword) {
        if let Err(at) = self.keywords.binary_search(&keyword) {
            self.keywords.insert(at, keyword);
        }
    }

    /// Returns the flags after a change.
    #[must_use]
    pub fn changed(&self, change: &FlagChange) -> Self {
        match change {
            FlagChange::Replace(flags) => flags.clone(),
            FlagChange::Add(flags) => {
                let mut result = self.clone();
                result.system = result.system | flags.system;
                flags
                    .keywords
                    .iter()
                    .for_each(|keyword| result.insert_keyword(keyword.clone()));
                result
            }
            FlagChange::Remove(flags) => Self {
                system: self.system.without(flags.system),
                keywords: self
                    .keywords
                    .iter()
                    .filter(|it| !flags.has_keyword(it))
                    .cloned()
                    .collect(),
            },
        }
    }
}

impl From<SystemFlags> for Flags {
    fn from(system: SystemFlags) -> Self {
        Self {
            system,
            keywords: Vec::new(),
        }
    }
}

impl FromIterator<Keyword> for Flags {
    fn from_iter<I: IntoIterator<Item = Keyword>>(keywords: I) -> Self {
        let mut flags = Self::new();
        keywords
            .into_iter()
            .for_each(|keyword| flags.insert_keyword(keyword));
        flags
    }
}

/// A set of system flags; one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SystemFlags(u8);

impl SystemFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Read.
    pub const SEEN: Self = Self(1);
    /// Answered.
    pub const ANSWERED: Self = Self(2);
    /// Marked for special attention.
    pub const FLAGGED: Self = Self(4);
    /// To be removed by a later expunge.
    pub const DELETED: Self = Self(8);
    /// Not finished.
    pub const DRAFT: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);

    /// Returns the bits, for a store to keep.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Makes a set from bits a store has kept; bits that mean nothing are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Tells whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns this set without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for SystemFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A keyword: a flag that users and their programs name themselves, for example `$Forwarded`.
///
/// Kept as it was written, compared without regard to ASCII case. It is 1 to [`Keyword::MAX_OCTETS`] printable
/// ASCII characters other than `( ) { % * " \ ]` (the atom of RFC 9051 §9).
#[derive(Clone)]
pub struct Keyword(Arc<str>);

impl Keyword {
    /// The longest keyword, in octets.
    pub const MAX_OCTETS: usize = 128;

    /// Checks a keyword; `None` when it breaks a rule.
    pub fn parse(keyword: &str) -> Option<Self> {
        let atom = |b: u8| b.is_ascii_graphic() && !br#"(){%*"\]"#.contains(&b);
        let fits = (1..=Self::MAX_OCTETS).contains(&keyword.len());
        (fits && keyword.bytes().all(atom)).then(|| Self(keyword.into()))
    }

    /// Returns the keyword as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|b| state.write_u8(b));
        state.write_u8(0xff);
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A change of flags, the same for every message it is applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // The three forms of STORE; there is no fourth.
pub enum FlagChange {
    /// These are set as well.
    Add(Flags),
    /// These are cleared.
    Remove(Flags),
    /// These are set and no others.
    Replace(Flags),
}

impl FlagChange {
    /// Returns the flags that are added, removed or put in place.
    pub const fn flags(&self) -> &Flags {
        match self {
            Self::Add(flags) | Self::Remove(flags) | Self::Replace(flags) => flags,
        }
    }
}
