//! APOP: a digest in place of the password (RFC 1939 §7)

use core::fmt::Write as _;
use mailwright_sasl::Secret;
use md5::{Digest as _, Md5};

/// The timestamp of a greeting: unique, and in the form of a message identifier.
pub(crate) fn timestamp(nonce: &[u8], host: &str) -> String {
    let is_host = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let host: String = host.chars().filter(is_host).take(255).collect();
    let host = if host.is_empty() { "pop3.invalid" } else { &host };
    format!("<{}@{host}>", hex(nonce))
}

/// The timestamp in the greeting of a server, if it offers APOP.
///
/// Nothing but the form of a message identifier in printable ASCII is taken for one: MD5 collisions that give
/// passwords away need octets that are not (CVE-2007-1558).
pub(crate) fn find(greeting: &[u8]) -> Option<String> {
    let start = memchr::memrchr(b'<', greeting)?;
    let end = start + memchr::memchr(b'>', &greeting[start..])?;
    let timestamp = &greeting[start..=end];
    let (left, right) = timestamp[1..timestamp.len() - 1].split_at(memchr::memchr(b'@', timestamp)? - 1);
    let is_whole = !left.is_empty() && right.len() > 1 && !right[1..].contains(&b'@');
    let text = core::str::from_utf8(timestamp).ok()?;
    (is_whole && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.to_owned())
}

/// The digest of a timestamp and a password, in lower-case hexadecimal.
pub(crate) fn digest(timestamp: &str, password: &Secret) -> String {
    let hash = Md5::new()
        .chain_update(timestamp)
        .chain_update(password.as_bytes());
    hex(&hash.finalize())
}

/// Whether a client that sent this digest knows the password.
pub(crate) fn verify(timestamp: &str, password: &Secret, given: &str) -> bool {
    let given = given.to_ascii_lowercase();
    Secret::from(digest(timestamp, password)).constant_time_eq(given.as_bytes())
}

fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .fold(String::with_capacity(octets.len() * 2), |mut hex, octet| {
            write!(hex, "{octet:02x}").expect("a String takes everything");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1939() {
        let timestamp = find(b"POP3 server ready <1896.697170952@dbc.mtview.ca.us>").unwrap();
        let password = Secret::from("tanstaaf");
        assert_eq!(digest(&timestamp, &password), "c4c9334bac560ecc979e58001b3e22fb");
        assert!(verify(&timestamp, &password, "C4C9334BAC560ECC979E58001B3E22FB"));
        assert!(!verify(&timestamp, &password, "c4c9334bac560ecc979e58001b3e22fc"));
        assert!(!verify(&timestamp, &password, ""));
    }

    #[test]
    fn what_is_a_timestamp() {
        for (greeting, want) in [
            (&b"ready <1@b>"[..], Some("<1@b>")),
            (b"<old> ready <1@b> go", Some("<1@b>")),
            (b"ready", None),
            (b"<1>", None),
            (b"<>", None),
            (b"<@b>", None),
            (b"<1@>", None),
            (b"<1@b", None),
            (b"1@b>", None),
            (b"> <1@b", None),
            (b"<1@b@c>", None),
            (b"<1 @b>", None),
            (b"<1\xff@b>", None),
            (b"<1\xc3\xa4@b>", None),
            (b"<x> 1@b", None),
        ] {
            assert_eq!(find(greeting).as_deref(), want, "{:?}", greeting.escape_ascii());
        }
        assert_eq!(timestamp(&[0xab, 1], "mx.example"), "<ab01@mx.example>");
        assert_eq!(timestamp(&[0xab, 1], "b>\r\n<\u{e9}c"), "<ab01@bc>");
        assert_eq!(timestamp(&[], " "), "<@pop3.invalid>");
    }
}
