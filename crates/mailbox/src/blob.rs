//! Message bodies as the stores know them: named by content, kept while someone refers to them

use core::{any::Any, fmt};
use std::sync::Arc;

use ring::digest;

/// Refers to the bytes of a message that a store keeps.
///
/// A reference that a [`BlobWriter`](crate::BlobWriter) gave out keeps the bytes alive by itself until its last
/// clone is dropped; after that, messages and spool entries do. References read back from a store keep nothing
/// alive: the bytes can be gone when the message was expunged meanwhile.
#[derive(Clone)]
pub struct BlobRef {
    hash: BlobHash,
    size: u64,
    locator: u64,
    pin: Option<Arc<dyn Any + Send + Sync>>,
}

impl BlobRef {
    /// Makes a reference; for stores.
    pub const fn new(hash: BlobHash, size: u64) -> Self {
        Self {
            hash,
            size,
            locator: 0,
            pin: None,
        }
    }

    /// Adds the number under which the store finds the bytes; for stores.
    #[must_use]
    pub fn with_locator(mut self, locator: u64) -> Self {
        self.locator = locator;
        self
    }

    /// Adds what keeps the bytes alive until they are committed; for stores.
    #[must_use]
    pub fn with_pin(mut self, pin: Arc<dyn Any + Send + Sync>) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Returns the hash of the content; messages with the same bytes have the same hash (EMAILID of RFC 8474).
    pub const fn hash(&self) -> &BlobHash {
        &self.hash
    }

    /// Returns the number of octets.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the number that the store gave; for stores.
    pub const fn locator(&self) -> u64 {
        self.locator
    }

    /// Returns what the store pinned, when it is of that type; for stores.
    pub fn pin<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.pin.clone().and_then(|pin| pin.downcast().ok())
    }

    /// Returns the reference without what keeps the bytes alive; for stores, which count references themselves.
    #[must_use]
    pub const fn unpinned(&self) -> Self {
        Self {
            hash: self.hash,
            size: self.size,
            locator: self.locator,
            pin: None,
        }
    }
}

impl PartialEq for BlobRef {
    /// Two references are equal when their bytes are.
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.size == other.size
    }
}

impl Eq for BlobRef {}

impl fmt::Debug for BlobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobRef({}, {} octets)", self.hash, self.size)
    }
}

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash([u8; 32]);

impl BlobHash {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = BlobHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Makes a hash from octets a store has kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes bytes that come in pieces.
#[derive(Clone)]
pub struct BlobHasher(digest::Context);

impl BlobHasher {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the hash of all bytes taken.
    pub fn finish(self) -> BlobHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        BlobHash(hash)
    }
}

impl Default for BlobHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BlobHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobHasher")
    }
}
