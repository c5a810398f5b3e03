//! SCRAM-SHA-256 ([RFC 5802], [RFC 7677])
//!
//! ```text
//! client                                                  server
//!    n,,n=user,r=CNONCE                     ───────────▶  ClientFirst::parse, a question
//!    ◀──────────  r=CNONCE SNONCE,s=salt,i=iterations     Exchange::server_first
//!    c=biws,r=CNONCE SNONCE,p=proof         ───────────▶  Exchange::verify
//!    ◀──────────  v=signature
//! ```
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
pub(crate) use server::{ClientFirst, Exchange};

use crate::base64_decode;

/// The value of an attribute `name=value`; `None` if it is another attribute.
fn value(attribute: Option<&str>, name: char) -> Option<&str> {
    attribute?.strip_prefix(name)?.strip_prefix('=')
}

/// A nonce of the peer: `1*printable` of RFC 5802 §7, which leaves out the comma.
fn nonce(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| matches!(b, 0x21..=0x2b | 0x2d..=0x7e))).then_some(text)
}

fn hash(base64: &str) -> Option<[u8; 32]> {
    base64_decode(base64.as_bytes())?.try_into().ok()
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
