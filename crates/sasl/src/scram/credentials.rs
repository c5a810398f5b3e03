use super::hash;
use crate::{Secret, base64_decode, base64_encode, crypto};
use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;
use zeroize::Zeroize;

/// What a server keeps of a password for SCRAM-SHA-256; the password cannot be read from it.
///
/// Whoever steals it can pose as the server to its user, and can guess passwords at the cost of the
/// iterations, but cannot log in with it (RFC 5802 §9).
///
/// Prints and parses as `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the form of RFC 5803 that
/// PostgreSQL uses as well; salt and keys are base64.
#[derive(Clone)]
pub struct ScramCredentials {
    salt: Box<[u8]>,
    iterations: NonZeroU32,
    stored_key: crypto::Hash,
    server_key: crypto::Hash,
}

impl ScramCredentials {
    /// A cost that takes a small machine a few hundredths of a second; RFC 7677 §4 asks for 4096 at least, and
    /// clients that use Cyrus SASL refuse more than these.
    pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(65_536).expect("not zero");

    /// Derives them from a password. `salt` must be fresh randomness, 16 octets or more, for each password.
    ///
    /// Takes as long as the iterations need: do not call it where others wait.
    pub fn derive(password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = crypto::pbkdf2_sha256(password.as_bytes(), salt, iterations);
        Self {
            salt: salt.into(),
            iterations,
            stored_key: crypto::sha256(&crypto::hmac_sha256(&*salted, b"Client Key")),
            server_key: crypto::hmac_sha256(&*salted, b"Server Key"),
        }
    }

    /// Makes credentials that no password fits, for a user who does not exist.
    ///
    /// With the same `key` (a secret of the server that outlives connections) a user name always gets the
    /// same salt, so that asking twice does not tell that there is no such user. Give the iterations that
    /// true users have.
    pub fn decoy(key: &[u8], username: &str, iterations: NonZeroU32) -> Self {
        let salt = crypto::hmac_sha256(key, &[b"salt\0", username.as_bytes()].concat());
        let stored_key = crypto::hmac_sha256(key, &[b"stored\0", username.as_bytes()].concat());
        Self {
            salt: salt[..16].into(),
            iterations,
            // Finding a client key with this hash means finding a preimage in SHA-256.
            stored_key,
            server_key: crypto::hmac_sha256(key, &[b"server\0", username.as_bytes()].concat()),
        }
    }

    /// Whether they were derived from `password`. Takes as long as [`derive`](ScramCredentials::derive).
    pub fn verify(&self, password: &Secret) -> bool {
        let derived = Self::derive(password, &self.salt, self.iterations);
        crypto::constant_time_eq(&derived.stored_key, &self.stored_key)
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How often the hash is iterated.
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    pub(super) fn stored_key(&self) -> &crypto::Hash {
        &self.stored_key
    }

    pub(super) fn server_key(&self) -> &crypto::Hash {
        &self.server_key
    }
}

impl PartialEq for ScramCredentials {
    /// The keys in constant time.
    fn eq(&self, other: &Self) -> bool {
        let stored_keys = crypto::constant_time_eq(&self.stored_key, &other.stored_key);
        let server_keys = crypto::constant_time_eq(&self.server_key, &other.server_key);
        self.salt == other.salt && self.iterations == other.iterations && (stored_keys & server_keys)
    }
}

impl Eq for ScramCredentials {}

impl Drop for ScramCredentials {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

impl fmt::Display for ScramCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            base64_encode(&self.salt),
            base64_encode(&self.stored_key),
            base64_encode(&self.server_key)
        )
    }
}

impl fmt::Debug for ScramCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredentials")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// The text is not in the form that [`ScramCredentials`] prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not SCRAM credentials of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")]
#[non_exhaustive]
pub struct ParseCredentialsError;

impl FromStr for ScramCredentials {
    type Err = ParseCredentialsError;

    fn from_str(text: &str) -> Result<Self, ParseCredentialsError> {
        let parse = || {
            let rest = text.strip_prefix("SCRAM-SHA-256$")?;
            let (cost, keys) = rest.split_once('$')?;
            let (iterations, salt) = cost.split_once(':')?;
            let (stored_key, server_key) = keys.split_once(':')?;
            Some(Self {
                salt: base64_decode(salt.as_bytes()).filter(|s| !s.is_empty())?.into(),
                iterations: iterations.parse().ok()?,
                stored_key: hash(stored_key)?,
                server_key: hash(server_key)?,
            })
        };
        parse().ok_or(ParseCredentialsError)
    }
}
