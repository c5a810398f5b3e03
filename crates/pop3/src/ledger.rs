//! Which messages were fetched before: leaving mail on the server (RFC 1939 §7, §8)

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

/// What a client remembers between sessions so that it can leave messages on the server: their unique ids, and
/// when each was fetched. One for each maildrop.
///
/// A pure value: it is kept as text ([`Display`](fmt::Display), [`FromStr`]), wherever the caller likes.
/// Whenever it is in doubt a message is fetched again, and none is deleted that was not fetched.
///
/// # Examples
///
/// ```
/// use mailwright_pop3::{Keep, Ledger};
///
/// const DAY: u64 = 86_400;
/// let listing = [(1, "a"), (2, "b")];
/// let mut ledger = Ledger::new();
/// assert_eq!(ledger.plan(listing, Keep::Days(3), 0).fetch, [1, 2]);
/// ledger.fetched("a", 0);
/// let stored = ledger.to_string();
///
/// let mut ledger: Ledger = stored.parse()?;
/// let plan = ledger.plan(listing, Keep::Days(3), 3 * DAY);
/// assert_eq!((plan.fetch, plan.delete), (vec![2], vec![1]));
/// # Ok::<(), mailwright_pop3::LedgerError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// When it was fetched first, in unix seconds.
    fetched: u64,
    /// When the server listed it last, in unix seconds.
    listed: u64,
    /// How many messages with this unique id were fetched: more than one only with servers that give it twice.
    copies: u32,
}

/// How long fetched messages stay on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Keep {
    /// They are deleted as soon as they are fetched.
    No,
    /// For so many days since they were fetched.
    Days(u32),
    /// Until somebody else deletes them.
    Forever,
}

/// What to do with the messages of a maildrop. Message numbers, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Those to fetch.
    pub fetch: Vec<u32>,
    /// Those to delete at once: they were fetched in another session, and their time is over.
    pub delete: Vec<u32>,
}

/// Text that is not a [`Ledger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerError {
    /// The number of the line that cannot be read, counted from 1.
    pub line: usize,
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is not one of a list of fetched messages", self.line)
    }
}

impl core::error::Error for LedgerError {}

impl Ledger {
    /// Makes an empty ledger: nothing was fetched yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes which messages a whole UIDL listed, at a time in unix seconds, and says what to do with them.
    ///
    /// What was not listed for 30 days is forgotten: not at once, because servers have been seen to lose
    /// messages for a while. Where a server gives one unique id to more messages than were fetched under it,
    /// all of them are fetched, as none can be told from the others.
    pub fn plan<'a>(
        &mut self,
        listing: impl IntoIterator<Item = (u32, &'a str)>,
        keep: Keep,
        now: u64,
    ) -> Plan {
        let mut by_uid = BTreeMap::<&str, Vec<u32>>::new();
        for (message, uid) in listing {
            by_uid.entry(uid).or_default().push(message);
        }
        let mut plan = Plan::default();
        for (uid, messages) in by_uid {
            let copies = messages.len();
            let fetched = self.entries.get_mut(uid).filter(|e| copies <= e.copies as usize);
            let Some(entry) = fetched else {
                self.entries.remove(uid);
                plan.fetch.extend(messages);
                continue;
            };
            entry.listed = now;
            entry.copies = copies as u32; // no more than it was
            let is_over = match keep {
                Keep::No => true,
                Keep::Days(days) => now.saturating_sub(entry.fetched) >= u64::from(days) * DAY,
                Keep::Forever => false,
            };
            if is_over {
                plan.delete.extend(messages);
            }
        }
        self.entries
            .retain(|_, entry| now.saturating_sub(entry.listed) < FORGET_AFTER);
        plan.fetch.sort_unstable();
        plan.delete.sort_unstable();
        plan
    }

    /// Notes that a message was fetched and is safe. To be stored before anything is deleted.
    /// Several messages with one unique id are noted by as many calls.
    pub fn fetched(&mut self, uid: &str, now: u64) {
        let entry = self.entries.entry(uid.to_owned()).or_insert(Entry {
            fetched: now,
            listed: now,
            copies: 0,
        });
        entry.listed = now;
        entry.copies = entry.copies.saturating_add(1);
    }

    /// Whether the message of this unique id was fetched.
    pub fn contains(&self, uid: &str) -> bool {
        self.entries.contains_key(uid)
    }

    /// How many unique ids are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// One line for each unique id: when it was fetched and listed, how many of it, and the unique id, in which
/// `%` and what is not printable ASCII stand as `%` and two hexadecimal digits.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        for (uid, entry) in &self.entries {
            write!(f, "{} {} {} ", entry.fetched, entry.listed, entry.copies)?;
            for octet in uid.bytes() {
                match octet {
                    b'%' | 0..=b' ' | 0x7f.. => write!(f, "%{octet:02x}")?,
                    _ => write!(f, "{}", char::from(octet))?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl FromStr for Ledger {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let mut lines = text.lines().enumerate();
        match lines.next() {
            None | Some((_, TITLE)) => {}
            Some(_) => return Err(LedgerError { line: 1 }),
        }
        let mut entries = BTreeMap::new();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let (uid, entry) = entry(line).ok_or(LedgerError { line: at + 1 })?;
            entries.insert(uid, entry);
        }
        Ok(Self { entries })
    }
}

fn entry(line: &str) -> Option<(String, Entry)> {
    let mut words = line.split(' ');
    let entry = Entry {
        fetched: words.next()?.parse().ok()?,
        listed: words.next()?.parse().ok()?,
        copies: words.next()?.parse().ok()?,
    };
    let mut uid = Vec::new();
    let mut octets = words.next()?.bytes();
    while let Some(octet) = octets.next() {
        uid.push(match octet {
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(octets.next())?, digit(octets.next())?);
                (high * 16 + low) as u8 // two digits fit
            }
            octet => octet,
        });
    }
    let uid = String::from_utf8(uid).ok()?;
    (words.next().is_none() && !uid.is_empty()).then_some((uid, entry))
}

const TITLE: &str = "mailwright fetched messages 1";

const DAY: u64 = 24 * 60 * 60;

const FORGET_AFTER: u64 = 30 * DAY;
