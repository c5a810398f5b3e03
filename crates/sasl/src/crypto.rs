use core::fmt;
use core::num::NonZeroU32;
use ring::{digest, hmac, pbkdf2};
use zeroize::{Zeroize, Zeroizing};

/// A digest or a key; wiped when dropped.
pub(crate) type Hash = Zeroizing<Vec<u8>>;

/// The hash function that a SCRAM mechanism is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScramHash {
    /// SHA-1, for SCRAM-SHA-1 (RFC 5802). What breaks signatures made with it does not break this use.
    Sha1,
    /// SHA-256, for SCRAM-SHA-256 (RFC 7677).
    Sha256,
}

impl ScramHash {
    /// The octets of a digest.
    pub(crate) fn len(self) -> usize {
        self.digest_algorithm().output_len()
    }

    pub(crate) fn digest(self, data: &[u8]) -> Hash {
        wiped(digest::digest(self.digest_algorithm(), data))
    }

    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Hash {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        wiped(hmac::sign(&hmac::Key::new(algorithm, key), data))
    }

    /// `Hi` of RFC 5802 §2.2.
    pub(crate) fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Hash {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut out = Zeroizing::new(vec![0; self.len()]);
        pbkdf2::derive(algorithm, iterations, salt, password, &mut out);
        out
    }

    fn digest_algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        }
    }
}

/// Compares in a time that tells nothing but the lengths.
pub(crate) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b));
    a.len() == b.len() && core::hint::black_box(difference) == 0
}

/// Makes as many nonces as a connection needs from one draw of randomness.
///
/// Nobody who sees some of them can tell others.
pub struct NonceSource {
    seed: [u8; 32],
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
        let nonce = ScramHash::Sha256.hmac(&self.seed, &self.drawn.to_be_bytes());
        nonce[..].try_into().expect("SHA-256 gives 32 octets")
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

fn wiped(digest: impl AsRef<[u8]>) -> Hash {
    Zeroizing::new(digest.as_ref().to_vec())
}
