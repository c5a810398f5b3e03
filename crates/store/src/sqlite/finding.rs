//! What a check can find

use core::fmt;

use mailwright_mailbox::{Account, MailboxName, Uid};

/// What a check found, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many messages there are.
    pub messages: u64,
    /// How many bodies were read and compared with their hashes.
    pub bodies: u64,
    /// What is wrong, as it was left; empty when all is well.
    pub problems: Vec<Finding>,
    /// What was wrong and is mended.
    pub mended: Vec<Finding>,
    /// What could not be saved and is not in the store any more.
    pub lost: Vec<Loss>,
}

/// One thing that is wrong. It prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The database cannot be read in part or as a whole. It is mended by making it anew of what can be read.
    Database {
        /// What SQLite says.
        reason: String,
    },
    /// Rows contradict each other.
    Rule {
        /// What is not as it has to be.
        what: &'static str,
        /// How often.
        count: u64,
    },
    /// A body cannot be read, or is not the one that was stored.
    Body {
        /// Its number.
        id: u64,
        /// What is wrong with it.
        reason: String,
        /// The messages that have it, the first few.
        messages: Vec<Place>,
    },
    /// A part index cannot be read. It is mended by making it anew of the message.
    Index {
        /// The number of the body.
        id: u64,
    },
}

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Whose it is.
    pub account: Account,
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Its UID.
    pub uid: Uid,
}

/// Something that could not be saved. It prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// A message of which nothing but its place was left; the mailbox tells its clients that it is gone.
    Message(Place),
    /// The octets that an entry of the spool referred to; the entry stays.
    Spooled {
        /// The key of the entry.
        key: u64,
    },
    /// A body that cannot be read.
    Body {
        /// Its number.
        id: u64,
        /// Why.
        reason: String,
        /// The messages that had it, the first few.
        messages: Vec<Place>,
    },
    /// Pages of the database that nothing could be read of. What was on them may have been found elsewhere.
    Pages {
        /// How many.
        count: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { reason } => write!(f, "database: {reason}"),
            Self::Rule { what, count } => write!(f, "{what}: {count}"),
            Self::Body { id, reason, messages } => body(f, *id, reason, messages),
            Self::Index { id } => write!(f, "body {id}: its part index cannot be read"),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(place) => write!(f, "{place}: its octets are gone"),
            Self::Spooled { key } => write!(f, "spool entry {key}: its octets are gone"),
            Self::Body { id, reason, messages } => body(f, *id, reason, messages),
            Self::Pages { count } => write!(f, "database: {count} pages could not be read"),
        }
    }
}

fn body(f: &mut fmt::Formatter<'_>, id: u64, reason: &str, messages: &[Place]) -> fmt::Result {
    write!(f, "body {id}: {reason}")?;
    for (i, place) in messages.iter().enumerate() {
        write!(f, "{}{place}", if i == 0 { " (" } else { ", " })?;
    }
    if messages.is_empty() {
        Ok(())
    } else {
        f.write_str(")")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            account,
            mailbox,
            uid,
        } = self;
        write!(f, "{} {mailbox} UID {}", account.as_str(), uid.value())
    }
}
