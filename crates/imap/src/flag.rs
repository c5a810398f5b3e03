//! Flags and keywords (RFC 3501 §2.3.2)

use std::fmt;

/// One flag of a message.
///
/// `\Recent` is not here: it belongs to a session, not to a message, and [`View`](crate::View) keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Seen`
    Seen,
    /// `\Draft`
    Draft,
    /// A keyword such as `$Forwarded`.
    Keyword(Keyword),
}

impl Flag {
    const SYSTEM: [(Self, &'static str); 5] = [
        (Self::Answered, "\\Answered"),
        (Self::Flagged, "\\Flagged"),
        (Self::Deleted, "\\Deleted"),
        (Self::Seen, "\\Seen"),
        (Self::Draft, "\\Draft"),
    ];

    /// Parses a flag; `None` if it is neither one of the five nor a keyword.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.starts_with('\\') {
            return Keyword::new(text).map(Self::Keyword);
        }
        Self::SYSTEM
            .into_iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(flag, _)| flag)
    }

    /// The flag as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Seen => "\\Seen",
            Self::Draft => "\\Draft",
            Self::Keyword(keyword) => keyword.as_str(),
        }
    }

    fn bit(&self) -> Option<u8> {
        match self {
            Self::Answered => Some(1),
            Self::Flagged => Some(2),
            Self::Deleted => Some(4),
            Self::Seen => Some(8),
            Self::Draft => Some(16),
            Self::Keyword(_) => None,
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A keyword: an atom, compared without regard to ASCII case (RFC 9051 §2.3.2), kept as first written.
#[derive(Debug, Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// Makes a keyword; `None` unless the text is an atom.
    pub fn new(text: &str) -> Option<Self> {
        let valid = !text.is_empty() && text.bytes().all(crate::codec::is_atom_char);
        valid.then(|| Self(text.into()))
    }

    /// The keyword as written.
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

impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for b in self.folded() {
            state.write_u8(b);
        }
        state.write_u8(0xff);
    }
}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

/// The flags of one message: a set, keywords in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    system: u8,
    keywords: Vec<Keyword>,
}

impl Flags {
    /// Makes an empty set; allocates nothing.
    pub const fn new() -> Self {
        Self {
            system: 0,
            keywords: Vec::new(),
        }
    }

    /// Adds a flag; says whether it was missing.
    pub fn insert(&mut self, flag: Flag) -> bool {
        match flag {
            Flag::Keyword(keyword) => match self.keywords.binary_search(&keyword) {
                Ok(_) => false,
                Err(at) => {
                    self.keywords.insert(at, keyword);
                    true
                }
            },
            system => {
                let bit = system.bit().unwrap_or(0);
                let missing = self.system & bit == 0;
                self.system |= bit;
                missing
            }
        }
    }

    /// Takes a flag away; says whether it was there.
    pub fn remove(&mut self, flag: &Flag) -> bool {
        match flag {
            Flag::Keyword(keyword) => match self.keywords.binary_search(keyword) {
                Ok(at) => {
                    self.keywords.remove(at);
                    true
                }
                Err(_) => false,
            },
            system => {
                let bit = system.bit().unwrap_or(0);
                let there = self.system & bit != 0;
                self.system &= !bit;
                there
            }
        }
    }

    /// Whether the flag is set.
    pub fn contains(&self, flag: &Flag) -> bool {
        match flag {
            Flag::Keyword(keyword) => self.keywords.binary_search(keyword).is_ok(),
            system => self.system & system.bit().unwrap_or(0) != 0,
        }
    }

    /// Whether no flag is set.
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// The flags: system flags first, then keywords in order.
    pub fn iter(&self) -> impl Iterator<Item = Flag> + '_ {
        Flag::SYSTEM
            .into_iter()
            .map(|(flag, _)| flag)
            .filter(|flag| self.contains(flag))
            .chain(self.keywords.iter().cloned().map(Flag::Keyword))
    }

    /// The flags as they stand on the wire, without allocating.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + '_ {
        Flag::SYSTEM
            .iter()
            .filter(|(flag, _)| self.contains(flag))
            .map(|&(_, name)| name)
            .chain(self.keywords.iter().map(Keyword::as_str))
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut set = Self::new();
        set.extend(flags);
        set
    }
}

impl Extend<Flag> for Flags {
    fn extend<I: IntoIterator<Item = Flag>>(&mut self, flags: I) {
        for flag in flags {
            self.insert(flag);
        }
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.names().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_ignore_case_and_repeats() {
        let mut flags: Flags = ["$Junk", "\\SEEN", "$junk", "\\Flagged", "aaa"]
            .iter()
            .filter_map(|f| Flag::parse(f))
            .collect();
        assert_eq!(flags.to_string(), "\\Flagged \\Seen $Junk aaa");
        assert!(flags.remove(&Flag::parse("$JUNK").unwrap()));
        assert!(!flags.remove(&Flag::Answered));
        assert!(flags.remove(&Flag::Seen) && !flags.contains(&Flag::Seen));
        assert_eq!(flags.iter().count(), 2);
    }

    #[test]
    fn what_is_no_atom_is_no_keyword() {
        for bad in [
            "", "a b", "a(b", "\\Foo", "a\"", "a\\", "ä", "a]", "{", "%", "*", "\0",
        ] {
            assert_eq!(Flag::parse(bad), None, "{bad:?}");
        }
    }
}
