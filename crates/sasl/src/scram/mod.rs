//! SCRAM-SHA-1, SCRAM-SHA-256, and both bound to a channel ([RFC 5802], [RFC 7677])
//!
//! ```text
//! client                                                  server
//!    n,,n=user,r=CNONCE                     ───────────▶  ClientFirst::parse, a question
//!    ◀──────────  r=CNONCE SNONCE,s=salt,i=iterations     Exchange::server_first
//!    c=biws,r=CNONCE SNONCE,p=proof         ───────────▶  Exchange::verify
//!    ◀──────────  v=signature
//! ```
//!
//! With -PLUS the first message starts with `p=` and the name of a binding in place of `n`, and `c=` holds
//! its data as well. `y` says that the client could, and saw no -PLUS: a server that offers it refuses.
//!
//! [RFC 5802]: https://www.rfc-editor.org/rfc/rfc5802
//! [RFC 7677]: https://www.rfc-editor.org/rfc/rfc7677

mod client;
mod credentials;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use client::{FinalSent, FirstSent};
pub use credentials::{ParseCredentialsError, ScramCredentials};
pub(crate) use server::{ClientFirst, Exchange, Flag, Verdict};

use crate::base64_decode;
use crate::crypto::{Hash, ScramHash};

/// The value of an attribute `name=value`; `None` if it is another attribute.
fn value(attribute: Option<&str>, name: char) -> Option<&str> {
    attribute?.strip_prefix(name)?.strip_prefix('=')
}

/// A nonce of the peer: `1*printable` of RFC 5802 §7, which leaves out the comma.
fn nonce(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| matches!(b, 0x21..=0x2b | 0x2d..=0x7e))).then_some(text)
}

/// A digest in base64.
fn hash(function: ScramHash, base64: &str) -> Option<Hash> {
    let digest = Hash::new(base64_decode(base64.as_bytes())?);
    (digest.len() == function.len()).then_some(digest)
}

/// RFC 5802 §5.1: commas and equals signs are escaped.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Undoes the escapes of RFC 5802 §5.1: `=2C` for a comma and `=3D` for an equals sign, and no others.
pub(crate) fn sasl_name(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut parts = escaped.split('=');
    name.push_str(parts.next()?);
    for part in parts {
        let (c, rest) = match part.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        name.push(c);
        name.push_str(rest);
    }
    (!name.is_empty() && !escaped.contains(',')).then_some(name)
}

/// Whether what follows the attributes that are known is a list of extensions that may be ignored: those
/// that must be understood (`m`) come first and were refused with what they stand in front of.
fn are_extensions<'a>(mut attributes: impl Iterator<Item = &'a str>) -> bool {
    attributes.all(|a| {
        let mut chars = a.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.next() == Some('=')
            && !a.contains('\0')
    })
}
