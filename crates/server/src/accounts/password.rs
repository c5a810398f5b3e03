//! Password hashes (Argon2id, RFC 9106), SCRAM verifiers (RFC 7677) and random passwords.

use crate::config::AccountEntry;
use crate::shared::entropy;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use mailwright_sasl::{ScramCredentials, Secret};

/// Hashes a password for an account entry: Argon2id with 19 MiB and two passes, as a PHC string.
pub fn hash_password(password: &Secret) -> String {
    let hash: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password.as_bytes(), &entropy::<16>());
    hash.expect("the default parameters, a salt of 16 octets and passwords below 4 GiB are valid")
        .to_string()
}

/// Makes a password of 20 letters and digits: 100 bits, without characters that look alike.
pub fn random_password() -> Secret {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    Secret::new(
        entropy::<20>()
            .map(|octet| ALPHABET[usize::from(octet) % ALPHABET.len()])
            .to_vec(),
    )
}

/// Gives an account a password, in all the forms it is kept in.
pub fn set_password(entry: &mut AccountEntry, password: &Secret) {
    entry.password = Some(hash_password(password));
    entry.scram = Some(
        ScramCredentials::derive(password, &entropy::<16>(), ScramCredentials::DEFAULT_ITERATIONS)
            .to_string(),
    );
}

/// Whether this is the password of an account.
pub fn password_fits(entry: &AccountEntry, password: &Secret) -> bool {
    entry
        .password
        .as_deref()
        .is_some_and(|hash| matches(password, hash))
}

/// Whether a password is the one of this hash.
pub(super) fn matches(password: &Secret, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// Whether a text is a hash that can be checked against.
pub(super) fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        let known = matches!(hash.algorithm.as_str(), "argon2id" | "argon2i" | "argon2d");
        known && hash.salt.is_some() && hash.hash.is_some()
    })
}
