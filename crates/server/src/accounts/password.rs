//! Password hashes (Argon2id, RFC 9106), SCRAM verifiers (RFC 7677) and random passwords.

use crate::config::{AccountEntry, PasswordHashing};
use crate::random::entropy;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use mailwright_sasl::{ScramCredentials, Secret, saslprep};

/// Hashes a password for an account entry: Argon2id with 19 MiB and two passes, as a PHC string.
///
/// It is prepared as the password of a login is (SASLprep, RFC 4013), as far as SASLprep allows it.
pub fn hash_password(password: &Secret) -> String {
    hash(&prepared(password), PasswordHashing::default())
}

/// Hashes a prepared password; as the default says if the parameters are out of their range.
pub(super) fn hash(password: &Secret, hashing: PasswordHashing) -> String {
    let params = Params::new(hashing.memory, hashing.passes, hashing.lanes, None).unwrap_or_default();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::default(), params);
    let hash: Result<PasswordHash, _> = argon2.hash_password_with_salt(password.as_bytes(), &entropy::<16>());
    hash.expect("the parameters, a salt of 16 octets and passwords below 4 GiB are valid")
        .to_string()
}

/// A hash that no password is found for: it costs as much to check as one of [`hash`], and nothing to make.
pub(super) fn decoy(hashing: PasswordHashing) -> String {
    let params = Params::new(hashing.memory, hashing.passes, hashing.lanes, None).unwrap_or_default();
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let salt = STANDARD_NO_PAD.encode(entropy::<16>());
    let output = STANDARD_NO_PAD.encode(entropy::<{ Params::DEFAULT_OUTPUT_LEN }>());
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}")
}

/// Whether a hash costs less than hashes are to cost, or is of a lesser kind.
pub(super) fn is_weaker(hash: &str, wanted: PasswordHashing) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    let is_usual = Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id);
    Params::try_from(&hash)
        .is_ok_and(|params| !is_usual || params.m_cost() < wanted.memory || params.t_cost() < wanted.passes)
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
        .is_some_and(|hash| matches(&prepared(password), hash, &mut Memory::new()))
}

fn prepared(password: &Secret) -> Secret {
    match password.as_str().and_then(saslprep) {
        Some(text) if !text.is_empty() => Secret::from(&*text),
        _ => password.clone(),
    }
}

/// What a hash is computed in; as large as the last one needed.
pub(super) type Memory = Vec<Block>;

/// Whether a password is the one of this hash.
pub(super) fn matches(password: &Secret, hash: &str, memory: &mut Memory) -> bool {
    computed(password, hash, memory).unwrap_or(false)
}

fn computed(password: &Secret, hash: &str, memory: &mut Memory) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (hash.salt?, hash.hash?);
    let params = Params::try_from(&hash).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash
        .version
        .map_or(Ok(Version::default()), Version::try_from)
        .ok()?;
    memory.resize(params.block_count(), Block::new());
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..expected.len())?;
    let argon2 = Argon2::new(algorithm, version, params);
    argon2
        .hash_password_into_with_memory(password.as_bytes(), &salt, output, memory)
        .ok()?;
    // Compared in constant time.
    Some(Output::new(output).ok()? == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoy_is_checked_like_a_hash_and_never_right() {
        let mut hashing = PasswordHashing::default();
        (hashing.memory, hashing.passes) = (8 * 1024, 1);
        let (password, mut memory) = (Secret::from("s3cret"), Memory::new());
        let (real, decoy) = (hash(&password, hashing), decoy(hashing));
        let costs = |hash: &str| hash.rsplitn(3, '$').nth(2).expect("its parameters").to_owned();
        assert_eq!((costs(&decoy), decoy.len()), (costs(&real), real.len()));
        assert_eq!(computed(&password, &real, &mut memory), Some(true));
        assert_eq!(
            computed(&password, &decoy, &mut memory),
            Some(false),
            "it is computed"
        );
        assert!(!is_weaker(&decoy, hashing));
    }
}
