//! Threads: which messages belong to one conversation (RFC 8474 §5.2, RFC 5256 §3)

use core::fmt;

use ring::digest;

/// A number for one conversation of an account (THREADID of RFC 8474 §5.2). A message keeps the one it got when it
/// came into the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(u64);

impl ThreadId {
    /// Makes an id from its number.
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// Returns the number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Stands for a Message-ID: the first 64 bits of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadKey(u64);

impl ThreadKey {
    /// Makes the key of a Message-ID, given without its angle brackets.
    pub fn of(message_id: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, message_id);
        let first = hash.as_ref().first_chunk().expect("a SHA-256 has 32 octets");
        Self(u64::from_be_bytes(*first))
    }

    /// Makes a key from a number that a store has kept.
    pub const fn new(key: u64) -> Self {
        Self(key)
    }

    /// Returns the number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// By what a message is put into a thread: its own Message-ID and those it refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Threading {
    id: Option<ThreadKey>,
    references: Box<[ThreadKey]>,
}

impl Threading {
    /// The most references that are kept; of a longer list, the first and the last ones.
    pub const MOST: usize = 64;

    /// Makes it from the message's own key, and those of References (or In-Reply-To), the oldest first.
    pub fn new(id: Option<ThreadKey>, references: impl IntoIterator<Item = ThreadKey>) -> Self {
        let mut references: Vec<_> = references.into_iter().collect();
        if references.len() > Self::MOST {
            // The root of the thread, which most others name too, and the messages just before this one.
            references.drain(1..=references.len() - Self::MOST);
        }
        let references = references.into();
        Self { id, references }
    }

    /// Returns the key of the message itself.
    pub const fn id(&self) -> Option<ThreadKey> {
        self.id
    }

    /// Returns the keys of the messages it refers to, the oldest first.
    pub const fn references(&self) -> &[ThreadKey] {
        &self.references
    }

    /// Returns all keys, its own last.
    pub fn keys(&self) -> impl Iterator<Item = ThreadKey> + '_ {
        self.references.iter().copied().chain(self.id)
    }

    /// Writes it as octets; nothing at all when there are no keys. For stores.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.keys().next().is_none() {
            return Vec::new();
        }
        let mut bytes = vec![u8::from(self.id.is_some())];
        self.keys()
            .for_each(|key| bytes.extend_from_slice(&key.0.to_be_bytes()));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) has written; octets that it did not write give no keys. For stores.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let Some((&has_id, rest)) = bytes.split_first() else {
            return Self::default();
        };
        let mut keys: Vec<_> = rest
            .as_chunks()
            .0
            .iter()
            .map(|key| ThreadKey(u64::from_be_bytes(*key)))
            .collect();
        let id = if has_id == 1 { keys.pop() } else { None };
        Self::new(id, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_back() {
        let key = ThreadKey::of;
        for threading in [
            Threading::default(),
            Threading::new(Some(key(b"a@b")), []),
            Threading::new(None, [key(b"c@d")]),
            Threading::new(Some(key(b"a@b")), [key(b"c@d"), key(b"e@f")]),
        ] {
            assert_eq!(Threading::from_bytes(&threading.to_bytes()), threading);
        }
    }

    #[test]
    fn long_lists_keep_both_ends() {
        let long = Threading::new(None, (0..1000).map(ThreadKey::new));
        let kept: Vec<_> = long.keys().map(ThreadKey::value).collect();
        assert_eq!((kept.len(), kept[0], kept[1], kept[63]), (64, 0, 937, 999));
    }
}
