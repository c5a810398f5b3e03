//! Who may do what with a mailbox (RFC 4314)

use core::{
    fmt,
    ops::{BitAnd, BitOr, Not},
};
use std::sync::Arc;

/// A set of rights (RFC 4314 §2.1).
///
/// The obsolete rights `c` and `d` stand for several of these and are read and written by whoever speaks IMAP.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// `l`: the mailbox is seen in lists.
    pub const LOOKUP: Self = Self(1);
    /// `r`: it can be selected and read.
    pub const READ: Self = Self(1 << 1);
    /// `s`: \Seen can be set and removed, and stays.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: flags other than \Seen and \Deleted, and keywords.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: messages can be added.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: mail can be sent to it.
    pub const POST: Self = Self(1 << 5);
    /// `k`: mailboxes can be created below it.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: the mailbox can be deleted and renamed.
    pub const DELETE_MAILBOX: Self = Self(1 << 7);
    /// `t`: \Deleted can be set and removed.
    pub const DELETE_MESSAGES: Self = Self(1 << 8);
    /// `e`: messages can be expunged.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: rights can be seen and changed.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// All of them.
    pub const ALL: Self = Self((1 << 11) - 1);

    const LETTERS: &[u8; 11] = b"lrswipkxtea";

    /// Finds a right by its letter; `None` for letters that mean none of these.
    pub fn from_letter(letter: char) -> Option<Self> {
        let at = Self::LETTERS.iter().position(|it| char::from(*it) == letter)?;
        Some(Self(1 << at))
    }

    /// Returns the letters of the rights, in the order of RFC 4314 §2.1.
    pub fn letters(self) -> impl Iterator<Item = char> {
        (0..Self::LETTERS.len())
            .filter(move |at| self.0 & (1 << at) != 0)
            .map(|at| char::from(Self::LETTERS[at]))
    }

    /// Makes a set from the bits that a store has kept.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Returns the bits, for stores.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Tells whether all rights of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Tells whether there is no right in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Rights {
    type Output = Self;

    fn not(self) -> Self {
        Self::from_bits(!self.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letters().try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// To whom rights are given: an account's name, `anyone`, or either with a `-` in front for rights that are taken
/// away (RFC 4314 §2). The store compares them octet by octet; what they mean is said by whoever asks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(Arc<str>);

impl Identifier {
    /// Makes an identifier.
    pub fn new(identifier: impl Into<Arc<str>>) -> Self {
        Self(identifier.into())
    }

    /// Returns it as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Identifier {
    fn from(identifier: &str) -> Self {
        Self::new(identifier)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What an identifier may do with a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AclEntry {
    /// To whom the rights are given.
    pub identifier: Identifier,
    /// The rights; never none.
    pub rights: Rights,
}

impl AclEntry {
    /// Makes an entry.
    pub const fn new(identifier: Identifier, rights: Rights) -> Self {
        Self { identifier, rights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_back() {
        assert_eq!(Rights::ALL.to_string(), "lrswipkxtea");
        let some = Rights::from_letter('a').unwrap() | Rights::from_letter('l').unwrap();
        assert_eq!(
            (some.to_string().as_str(), some),
            ("la", Rights::LOOKUP | Rights::ADMINISTER)
        );
        assert_eq!((Rights::from_letter('c'), Rights::from_letter('é')), (None, None));
        assert_eq!(!some & Rights::ALL, !some);
        assert!(Rights::from_bits(u16::MAX) == Rights::ALL && !some.contains(Rights::READ));
    }
}
