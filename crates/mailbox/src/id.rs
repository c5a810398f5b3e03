//! Identifiers: accounts, mailboxes, UIDs, mod-sequences (RFC 9051 §2.3.1, RFC 7162 §3.1)

use core::{borrow::Borrow, fmt, num::NonZeroU32};
use std::sync::Arc;

/// The login name an account is known by, for example `bob@b.test`.
///
/// Compared octet by octet: whoever lets names differ in case folds them before they come here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(Arc<str>);

impl Account {
    /// Makes an account name; cloning it is cheap.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Account {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Account {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name may come from a peer; what is printed must stay on its line.
        self.0.chars().try_for_each(|c| {
            if c.is_control() {
                write!(f, "{}", c.escape_default())
            } else {
                write!(f, "{c}")
            }
        })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A number for one mailbox that stays the same through renames and is never given twice by a store
/// (MAILBOXID of RFC 8474 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(u64);

impl MailboxId {
    /// Makes an id from its number.
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// Returns the number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// The unique identifier of a message in its mailbox, 1 to 2^32-1, strictly ascending (RFC 9051 §2.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU32);

impl Uid {
    /// The lowest UID.
    pub const MIN: Self = Self(NonZeroU32::MIN);
    /// The highest UID.
    pub const MAX: Self = Self(NonZeroU32::MAX);

    /// Makes a UID; `None` for 0.
    pub const fn new(uid: u32) -> Option<Self> {
        match NonZeroU32::new(uid) {
            Some(uid) => Some(Self(uid)),
            None => None,
        }
    }

    /// Returns the number.
    pub const fn value(self) -> u32 {
        self.0.get()
    }

    /// Returns the UID after this one; `None` after the highest.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<NonZeroU32> for Uid {
    fn from(uid: NonZeroU32) -> Self {
        Self(uid)
    }
}

/// The value that says whether UIDs of an earlier session still mean the same messages (RFC 9051 §2.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidValidity(NonZeroU32);

impl UidValidity {
    /// The highest value that is taken over from elsewhere: above it, an account would be left with few of its own.
    pub const MOST_ADOPTED: Self = Self(NonZeroU32::new(3 << 30).expect("it is not 0"));

    /// Makes a value; `None` for 0.
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// Returns the number.
    pub const fn value(self) -> u32 {
        self.0.get()
    }

    /// Gives the value of the next mailbox of an account: one more than the account ever gave out, or the
    /// wall clock if that is higher. `None` when the 32 bits are used up.
    pub fn after(previous: Option<Self>, now: i64) -> Option<Self> {
        let clock = u32::try_from(now.max(1)).unwrap_or(u32::MAX);
        let next = match previous {
            Some(previous) => previous.value().checked_add(1)?,
            None => 1,
        };
        // A clock far in the future must not use up all values that are left.
        let clock = if clock == u32::MAX { next } else { clock };
        Self::new(next.max(clock))
    }
}

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A mod-sequence: a mailbox counts its changes with it, from 1, never back (RFC 7162 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(u64);

impl ModSeq {
    /// Before every change; as `since` it means "everything".
    pub const ZERO: Self = Self(0);
    /// What an empty mailbox begins with.
    pub const ONE: Self = Self(1);

    /// Makes a mod-sequence from its number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Returns the number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Returns the mod-sequence after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        // 2^63 changes cannot be made, so the sum cannot overflow.
        Self(self.0 + 1)
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The number of a spool entry: given out ascending, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolKey(u64);

impl SpoolKey {
    /// Makes a key from its number.
    pub const fn new(key: u64) -> Self {
        Self(key)
    }

    /// Returns the number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SpoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
