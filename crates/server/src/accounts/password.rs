//! Password hashes (Argon2id, RFC 9106), SCRAM verifiers (RFC 7677) and random passwords.

use crate::config::{AccountEntry, PasswordHashing};
use crate::random::entropy;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher, Version};
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

/// Whether a hash costs less than hashes are to cost, or is of a lesser kind.
pub(super) fn is_weaker(hash: &str, wanted: PasswordHashing) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    let is_usual = Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id);
    Params::try_from(&hash)
        .is_ok_and(|params| !is_usual || params.m_cost() < wanted.memory || params.t_cost() < wanted.passes)
}

/// What computing a hash costs: KiB of memory times passes over it.
pub(super) fn work(hash: &str) -> u64 {
    let params = PasswordHash::new(hash)
        .ok()
        .and_then(|hash| Params::try_from(&hash).ok());
    params.map_or(0, |params| {
        u64::from(params.m_cost()) * u64::from(params.t_cost())
    })
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

/// The same; `None` if it cannot be computed.
pub(super) fn computed(password: &Secret, hash: &str, memory: &mut Memory) -> Option<bool> {
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
