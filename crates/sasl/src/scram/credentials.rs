use super::hash;
use crate::crypto::{self, ScramHash};
use crate::{Secret, base64_decode, base64_encode, prep};
use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

/// What a server keeps of a password for SCRAM; the password cannot be read from it.
///
/// Whoever steals it can pose as the server to its user, and can guess passwords at the cost of the
/// iterations, but cannot log in with it (RFC 5802 §9).
///
/// Prints and parses as `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the form of RFC 5803 that
/// PostgreSQL uses as well, or the same with SHA-1; salt and keys are base64.
#[derive(Clone)]
pub struct ScramCredentials {
    hash: ScramHash,
    salt: Box<[u8]>,
    iterations: NonZeroU32,
    stored_key: crypto::Hash,
    server_key: crypto::Hash,
}

impl ScramCredentials {
    /// A cost that takes a small machine a few hundredths of a second; RFC 7677 §4 asks for 4096 at least, and
    /// clients that use Cyrus SASL refuse more than these.
    pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(65_536).expect("not zero");

    /// Derives them from a password, for SHA-256. `salt` must be fresh randomness, 16 octets or more, for each
    /// password.
    ///
    /// The password is prepared with SASLprep, with the feature `saslprep`; one that SASLprep forbids is used
    /// as it is. Takes as long as the iterations need: do not call it where others wait.
    pub fn derive(password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Self {
        Self::derive_with(ScramHash::Sha256, password, salt, iterations)
    }

    /// As [`derive`](ScramCredentials::derive), for the hash function that a mechanism needs.
    pub fn derive_with(hash: ScramHash, password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Self {
        let password = prep::password(password);
        let salted = hash.pbkdf2(password.as_bytes(), salt, iterations);
        Self {
            hash,
            salt: salt.into(),
            iterations,
            stored_key: hash.digest(&hash.hmac(&salted, b"Client Key")),
            server_key: hash.hmac(&salted, b"Server Key"),
        }
    }

    /// Makes credentials that no password fits, for a user who does not exist, for SHA-256.
    ///
    /// With the same `key` (a secret of the server that outlives connections) a user name always gets the
    /// same salt, so that asking twice does not tell that there is no such user. Give the name in the form
    /// that all spellings of it lead to, and the iterations that true users have.
    pub fn decoy(key: &[u8], username: &str, iterations: NonZeroU32) -> Self {
        Self::decoy_with(ScramHash::Sha256, key, username, iterations)
    }

    /// As [`decoy`](ScramCredentials::decoy), for the hash function that a mechanism needs.
    pub fn decoy_with(hash: ScramHash, key: &[u8], username: &str, iterations: NonZeroU32) -> Self {
        let made = |what: &[u8]| hash.hmac(key, &[what, b"\0", username.as_bytes()].concat());
        Self {
            hash,
            salt: made(b"salt")[..16].into(),
            iterations,
            // Finding a client key with this hash means finding a preimage of the hash function.
            stored_key: made(b"stored"),
            server_key: made(b"server"),
        }
    }

    /// The hash function they are of.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// Whether they were derived from `password`. Takes as long as [`derive`](ScramCredentials::derive).
    pub fn verify(&self, password: &Secret) -> bool {
        let derived = Self::derive_with(self.hash, password, &self.salt, self.iterations);
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

    pub(super) fn stored_key(&self) -> &[u8] {
        &self.stored_key
    }

    pub(super) fn server_key(&self) -> &[u8] {
        &self.server_key
    }
}

impl PartialEq for ScramCredentials {
    /// The keys in constant time.
    fn eq(&self, other: &Self) -> bool {
        let stored_keys = crypto::constant_time_eq(&self.stored_key, &other.stored_key);
        let server_keys = crypto::constant_time_eq(&self.server_key, &other.server_key);
        self.hash == other.hash
            && self.salt == other.salt
            && self.iterations == other.iterations
            && (stored_keys & server_keys)
    }
}

impl Eq for ScramCredentials {}

impl fmt::Display for ScramCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}${}:{}${}:{}",
            scheme(self.hash),
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
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// The text is not in the form that [`ScramCredentials`] prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseCredentialsError;

impl fmt::Display for ParseCredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not SCRAM credentials of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
    }
}

impl core::error::Error for ParseCredentialsError {}

impl FromStr for ScramCredentials {
    type Err = ParseCredentialsError;

    fn from_str(text: &str) -> Result<Self, ParseCredentialsError> {
        let parse = || {
            let (name, rest) = text.split_once('$')?;
            let function = [ScramHash::Sha256, ScramHash::Sha1]
                .into_iter()
                .find(|function| scheme(*function) == name)?;
            let (cost, keys) = rest.split_once('$')?;
            let (iterations, salt) = cost.split_once(':')?;
            let (stored_key, server_key) = keys.split_once(':')?;
            Some(Self {
                hash: function,
                salt: base64_decode(salt.as_bytes()).filter(|s| !s.is_empty())?.into(),
                iterations: iterations.parse().ok()?,
                stored_key: hash(function, stored_key)?,
                server_key: hash(function, server_key)?,
            })
        };
        parse().ok_or(ParseCredentialsError)
    }
}

fn scheme(hash: ScramHash) -> &'static str {
    match hash {
        ScramHash::Sha1 => "SCRAM-SHA-1",
        ScramHash::Sha256 => "SCRAM-SHA-256",
    }
}
