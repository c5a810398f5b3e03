//! ACL: rights and requests about them (RFC 4314)

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

/// A set of rights (RFC 4314 §2.1).
///
/// The obsolete rights `c` and `d` stand for `kx` and `te` (RFC 4314 §2.1.1). The engine reads and writes them;
/// here they do not show.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// `l`: the mailbox is seen in lists.
    pub const LOOKUP: Self = Self(1);
    /// `r`: it can be selected and read.
    pub const READ: Self = Self(1 << 1);
    /// `s`: `\Seen` can be set and removed, and stays.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: flags other than `\Seen` and `\Deleted`, and keywords.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: messages can be added.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: mail can be sent to it.
    pub const POST: Self = Self(1 << 5);
    /// `k`: mailboxes can be created below it.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: the mailbox can be deleted and renamed.
    pub const DELETE_MAILBOX: Self = Self(1 << 7);
    /// `t`: `\Deleted` can be set and removed.
    pub const DELETE_MESSAGES: Self = Self(1 << 8);
    /// `e`: messages can be expunged.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: rights can be seen and changed.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// All of them.
    pub const ALL: Self = Self((1 << 11) - 1);

    /// `c`, of the time before RFC 4314.
    pub(crate) const OLD_CREATE: Self = Self(Self::CREATE.0 | Self::DELETE_MAILBOX.0);
    /// `d`, of the time before RFC 4314.
    pub(crate) const OLD_DELETE: Self = Self(Self::DELETE_MESSAGES.0 | Self::EXPUNGE.0);

    const LETTERS: &[u8; 11] = b"lrswipkxtea";

    /// Reads rights as a client writes them, `c` and `d` included; `None` for any other octet. A capital letter
    /// is no right.
    pub fn parse(letters: &[u8]) -> Option<Self> {
        letters.iter().try_fold(Self::NONE, |rights, letter| {
            let right = match letter {
                b'c' => Self::OLD_CREATE,
                b'd' => Self::OLD_DELETE,
                _ => Self(1 << Self::LETTERS.iter().position(|it| it == letter)?),
            };
            Some(rights | right)
        })
    }

    /// The letters of the rights, without `c` and `d`, in the order of RFC 4314 §2.1.
    pub fn letters(self) -> impl Iterator<Item = char> {
        (0..Self::LETTERS.len())
            .filter(move |at| self.0 & (1 << at) != 0)
            .map(|at| char::from(Self::LETTERS[at]))
    }

    /// Makes a set from its [`bits`](Self::bits); bits that mean nothing are left out.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The rights as bits, `l` being the lowest, in the order of [`letters`](Self::letters).
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all rights of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is no right in it.
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

/// A question about rights. Identifiers are account names, `anyone`, or what else the embedder knows; with a `-`
/// in front they stand for rights that are taken away (RFC 4314 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AclRequest {
    /// SETACL, answered by [`accept`](crate::Server::accept).
    Set {
        /// The mailbox.
        mailbox: String,
        /// Whose rights.
        identifier: String,
        /// What to do.
        change: RightsChange,
        /// The rights.
        rights: Rights,
    },
    /// DELETEACL, answered by [`accept`](crate::Server::accept).
    Delete {
        /// The mailbox.
        mailbox: String,
        /// Whose rights.
        identifier: String,
    },
    /// GETACL, answered by [`acl`](crate::Server::acl).
    Get {
        /// The mailbox.
        mailbox: String,
    },
    /// LISTRIGHTS, answered by [`list_rights`](crate::Server::list_rights): what can be granted?
    List {
        /// The mailbox.
        mailbox: String,
        /// To whom.
        identifier: String,
    },
    /// MYRIGHTS, answered by [`my_rights`](crate::Server::my_rights).
    Mine {
        /// The mailbox.
        mailbox: String,
    },
}

/// What SETACL does with the rights that an identifier has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the grammar's three forms
pub enum RightsChange {
    /// These and no others.
    Replace,
    /// These, too.
    Add,
    /// All but these.
    Remove,
}
