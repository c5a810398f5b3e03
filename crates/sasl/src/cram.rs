//! CRAM-MD5 ([RFC 2195])
//!
//! [RFC 2195]: https://www.rfc-editor.org/rfc/rfc2195

use crate::{Secret, crypto};
use core::fmt::Write as _;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// The server's challenge: unique, and in the form of a message identifier.
pub(crate) fn challenge(nonce: &str) -> String {
    let unique: String = nonce.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("<{unique}@sasl.invalid>")
}

/// The client's response.
pub(crate) fn response(username: &str, password: &Secret, challenge: &[u8]) -> String {
    format!("{username} {}", digest(password, challenge))
}

/// User name and digest of a response.
pub(crate) fn parse(response: &[u8]) -> Option<(&str, &str)> {
    let (username, digest) = core::str::from_utf8(response).ok()?.rsplit_once(' ')?;
    let is_digest = digest.len() == 32 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (is_digest && !username.is_empty()).then_some((username, digest))
}

/// Whether the digest is the one of this password.
pub(crate) fn verify(password: &Secret, challenge: &[u8], given: &str) -> bool {
    crypto::constant_time_eq(digest(password, challenge).as_bytes(), given.as_bytes())
}

/// HMAC-MD5 (RFC 2104) in lower-case hexadecimal.
fn digest(password: &Secret, message: &[u8]) -> String {
    let mut key = Zeroizing::new([0; BLOCK]);
    match password.as_bytes() {
        long if long.len() > BLOCK => key[..16].copy_from_slice(&Md5::digest(long)),
        short => key[..short.len()].copy_from_slice(short),
    }
    let keyed = |mask: u8, data: &[u8]| {
        let pad = Zeroizing::new(key.map(|octet| octet ^ mask));
        Md5::new().chain_update(*pad).chain_update(data).finalize()
    };
    let digest = keyed(0x5c, &keyed(0x36, message));
    digest.iter().fold(String::with_capacity(32), |mut hex, octet| {
        write!(hex, "{octet:02x}").expect("a String takes everything");
        hex
    })
}

/// The block of MD5, in octets.
const BLOCK: usize = 64;
