use core::fmt;
use core::num::NonZeroU32;
use ring::{digest, hmac, pbkdf2};
use zeroize::{Zeroize, Zeroizing};

/// A digest or key of SHA-256.
pub(crate) type Hash = [u8; 32];

pub(crate) fn sha256(data: &[u8]) -> Hash {
    hash(digest::digest(&digest::SHA256, data).as_ref())
}

pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> Hash {
    hash(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
}

/// `Hi` of RFC 5802 §2.2.
pub(crate) fn pbkdf2_sha256(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Zeroizing<Hash> {
    let mut out = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut *out);
    out
}

pub(crate) fn constant_time_eq(a: &Hash, b: &Hash) -> bool {
    let difference = a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b));
    core::hint::black_box(difference) == 0
}

/// Makes as many nonces as a connection needs from one draw of randomness.
///
/// Nobody who sees some of them can tell others.
pub struct NonceSource {
    seed: Hash,
    drawn: u64,
}

impl NonceSource {
    /// Starts from `seed`, which must be fresh, unpredictable randomness for each source.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next nonce; never the same twice.
    pub fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        hmac_sha256(&self.seed, &self.drawn.to_be_bytes())
    }
}

impl Drop for NonceSource {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl fmt::Debug for NonceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceSource")
            .field("drawn", &self.drawn)
            .finish_non_exhaustive()
    }
}

fn hash(digest: &[u8]) -> Hash {
    digest.try_into().expect("SHA-256 gives 32 octets")
}
