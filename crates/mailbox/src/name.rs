//! Mailbox names and special uses (RFC 9051 §5.1, RFC 6154)

use core::{borrow::Borrow, fmt, str::FromStr};
use std::sync::Arc;

/// The name of a mailbox in its account: UTF-8, with `/` between the levels.
///
/// A first level that spells "inbox" in any case is kept as `INBOX` (RFC 9051 §5.1); all else is compared octet
/// by octet. No level is empty, `.` or `..`, and no name holds a control character, `*` or `%`, so that every
/// name can be printed, listed and kept as a folder on disk.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Arc<str>);

impl MailboxName {
    /// What stands between two levels of hierarchy.
    pub const SEPARATOR: char = '/';
    /// The longest name, in octets.
    pub const MAX_OCTETS: usize = 1000;
    /// The most levels of hierarchy.
    pub const MAX_LEVELS: usize = 50;

    /// Checks a name and brings the spelling of INBOX to its one form.
    ///
    /// # Errors
    /// [`NameError`] says which rule the name breaks.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::MAX_OCTETS {
            return Err(NameError::TooLong);
        }
        if name.chars().any(|c| c.is_control() || matches!(c, '*' | '%')) {
            return Err(NameError::Character);
        }
        if name
            .split(Self::SEPARATOR)
            .any(|level| matches!(level, "" | "." | ".."))
        {
            return Err(NameError::Level);
        }
        if name.split(Self::SEPARATOR).count() > Self::MAX_LEVELS {
            return Err(NameError::TooDeep);
        }
        let (first, rest) = name.split_at(name.find(Self::SEPARATOR).unwrap_or(name.len()));
        Ok(if first.eq_ignore_ascii_case("INBOX") && first != "INBOX" {
            Self(format!("INBOX{rest}").into())
        } else {
            Self(name.into())
        })
    }

    /// Returns the name INBOX.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether this is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// Tells whether this name stands below `ancestor`, at any depth.
    pub fn is_below(&self, ancestor: &Self) -> bool {
        self.0
            .strip_prefix(&*ancestor.0)
            .is_some_and(|rest| rest.starts_with(Self::SEPARATOR))
    }

    /// Returns the name one level up; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once(Self::SEPARATOR)
            .map(|(parent, _)| Self(parent.into()))
    }

    /// Returns this name with `from`, which is this name or stands above it, replaced by `to`; `None` if it does
    /// not, or if the result would break a rule.
    pub fn rebased(&self, from: &Self, to: &Self) -> Option<Self> {
        if self == from {
            return Some(to.clone());
        }
        if !self.is_below(from) {
            return None;
        }
        Self::parse(&format!("{to}{}", &self.0[from.0.len()..])).ok()
    }
}

impl FromStr for MailboxName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::parse(name)
    }
}

impl Borrow<str> for MailboxName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is no mailbox name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing.
    #[error("a mailbox name cannot be empty")]
    Empty,
    /// It is longer than [`MailboxName::MAX_OCTETS`].
    #[error("a mailbox name has at most {} octets", MailboxName::MAX_OCTETS)]
    TooLong,
    /// It has more than [`MailboxName::MAX_LEVELS`] levels.
    #[error("a mailbox name has at most {} levels", MailboxName::MAX_LEVELS)]
    TooDeep,
    /// It holds a control character, `*` or `%`.
    #[error("a mailbox name holds no control characters, '*' or '%'")]
    Character,
    /// One of its levels is empty, `.` or `..`.
    #[error("no level of a mailbox name is empty, '.' or '..'")]
    Level,
}

/// What a mailbox is for (RFC 6154 §2, RFC 8457).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SpecialUse {
    /// All messages of the account.
    All,
    /// Kept for later.
    Archive,
    /// Being written.
    Drafts,
    /// Marked as important in some way.
    Flagged,
    /// Deemed important.
    Important,
    /// Unwanted.
    Junk,
    /// Sent by the user.
    Sent,
    /// Deleted, or about to be.
    Trash,
}

impl SpecialUse {
    /// Every special use, in the order of their names.
    pub const EACH: [Self; 8] = [
        Self::All,
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Important,
        Self::Junk,
        Self::Sent,
        Self::Trash,
    ];

    /// Returns the attribute's name without its backslash, for example `Sent`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Archive => "Archive",
            Self::Drafts => "Drafts",
            Self::Flagged => "Flagged",
            Self::Important => "Important",
            Self::Junk => "Junk",
            Self::Sent => "Sent",
            Self::Trash => "Trash",
        }
    }

    /// Finds the special use of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::EACH
            .into_iter()
            .find(|it| it.name().eq_ignore_ascii_case(name))
    }
}
