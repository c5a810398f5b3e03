//! The snapshot of a maildrop that a session works on (RFC 1939 §4, §5, §7)

use core::fmt;
use core::time::Duration;

/// How long a site lets messages lie in a maildrop: EXPIRE (RFC 2449 §6.7). It is told, and nothing more: what
/// is to be removed the embedder removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expire {
    /// Nothing is ever removed but by its owner.
    Never,
    /// The least number of days that a message stays. 0 means that what was fetched may not be left.
    Days(u32),
}

/// The messages of a maildrop as they are at login: a size and a unique id for each, numbered from 1.
///
/// About 16 octets and the length of its unique id for each message: 100,000 messages need 3 to 4 MB while
/// the session lasts.
#[derive(Debug, Clone, Default)]
pub struct Maildrop {
    sizes: Vec<u64>,
    /// All unique ids one behind the other.
    uids: String,
    /// Where each of them ends.
    ends: Vec<u32>,
    deleted: Vec<u64>,
    left: u32,
    octets: u64,
    expire: Option<Expire>,
    login_delay: Option<Duration>,
}

/// A message cannot be added to a [`Maildrop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaildropError {
    /// A unique id has 1 to 70 printable ASCII characters without space (RFC 1939 §7).
    UniqueId,
    /// The maildrop is too large to be numbered.
    Full,
}

impl fmt::Display for MaildropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UniqueId => "a unique id is not 1 to 70 printable ASCII characters",
            Self::Full => "the maildrop holds too many messages",
        })
    }
}

impl core::error::Error for MaildropError {}

impl Maildrop {
    /// Makes an empty maildrop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty maildrop with room for `messages` messages, whose unique ids are of usual length.
    pub fn with_capacity(messages: usize) -> Self {
        Self {
            sizes: Vec::with_capacity(messages),
            uids: String::with_capacity(messages * 16),
            ends: Vec::with_capacity(messages),
            ..Self::default()
        }
    }

    /// Adds the next message: its size in octets, with CRLF line ends and without dot-stuffing, and its
    /// unique id, which no other message of this maildrop has or ever had (RFC 1939 §7).
    ///
    /// # Errors
    ///
    /// Refuses a unique id that cannot be sent, and more than 4 GB of them.
    pub fn push(&mut self, octets: u64, uid: &str) -> Result<(), MaildropError> {
        if !(1..=70).contains(&uid.len()) || !uid.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(MaildropError::UniqueId);
        }
        let end = u32::try_from(self.uids.len() + uid.len()).map_err(|_| MaildropError::Full)?;
        self.uids.push_str(uid);
        self.ends.push(end);
        self.sizes.push(octets);
        if self.sizes.len() > self.deleted.len() * 64 {
            self.deleted.push(0);
        }
        self.left += 1;
        self.octets = self.octets.saturating_add(octets);
        Ok(())
    }

    /// Says how long messages stay in this maildrop, if that is not
    /// [`server::Config::expire`](crate::server::Config).
    pub fn set_expire(&mut self, expire: Expire) {
        self.expire = Some(expire);
    }

    /// Says how long this user has to wait between logins, in whole seconds, if that is not
    /// [`server::Config::login_delay`](crate::server::Config).
    pub fn set_login_delay(&mut self, delay: Duration) {
        self.login_delay = Some(delay);
    }

    /// How many messages there are, those marked as deleted included.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there are no messages at all.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    pub(crate) fn expire(&self) -> Option<Expire> {
        self.expire
    }

    pub(crate) fn login_delay(&self) -> Option<Duration> {
        self.login_delay
    }

    /// The highest message number.
    pub(crate) fn last(&self) -> u32 {
        self.ends.len() as u32 // bounded by `push`: a unique id has an octet at least, and their sum fits
    }

    /// How many messages are not marked as deleted, and their octets.
    pub(crate) fn totals(&self) -> (u32, u64) {
        (self.left, self.octets)
    }

    /// Size and unique id of a message; `None` if there is no such message or it is marked as deleted.
    pub(crate) fn message(&self, number: u32) -> Option<(u64, &str)> {
        let at = self.index(number)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        Some((self.sizes[at], &self.uids[start..self.ends[at] as usize]))
    }

    /// Marks a message as deleted; `false` if there is no such message or it is already.
    pub(crate) fn delete(&mut self, number: u32) -> bool {
        let Some(at) = self.index(number) else {
            return false;
        };
        self.deleted[at / 64] |= 1 << (at % 64);
        self.left -= 1;
        self.octets = self.octets.saturating_sub(self.sizes[at]);
        true
    }

    /// Takes all marks away.
    pub(crate) fn reset(&mut self) {
        self.deleted.fill(0);
        self.left = self.last();
        self.octets = self.sizes.iter().fold(0, |sum, s| sum.saturating_add(*s));
    }

    /// The numbers of the messages that are marked as deleted, ascending.
    pub(crate) fn deleted(&self) -> Vec<u32> {
        (1..=self.last())
            .filter(|n| self.is_deleted(*n as usize - 1))
            .collect()
    }

    fn index(&self, number: u32) -> Option<usize> {
        let at = (number as usize).checked_sub(1)?;
        (at < self.sizes.len() && !self.is_deleted(at)).then_some(at)
    }

    fn is_deleted(&self, at: usize) -> bool {
        self.deleted[at / 64] >> (at % 64) & 1 == 1
    }
}
