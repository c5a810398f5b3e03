//! Key records ([RFC 6376] §3.6.1, [RFC 8463] §4)
//!
//! [RFC 6376]: https://www.rfc-editor.org/rfc/rfc6376
//! [RFC 8463]: https://www.rfc-editor.org/rfc/rfc8463

use super::{Reason, base64_decode, read_tags};
use crate::crypto::{Algorithm, PublicKey};
use crate::der;

/// A key as its domain publishes it.
///
/// ```
/// use mailwright_auth::dkim::KeyRecord;
///
/// let key = KeyRecord::parse(b"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")?;
/// assert_eq!(key.bits(), 256);
/// # Ok::<(), mailwright_auth::dkim::Reason>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRecord {
    kind: Kind,
    /// Whether the domain is only testing DKIM (`t=y`): RFC 6376 §3.6.1 has its failures mean nothing.
    pub testing: bool,
    /// Whether the agent of a signature must be of the domain itself, not of one below it (`t=s`).
    pub strict: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Rsa { key: Vec<u8>, bits: usize },
    Ed25519(Vec<u8>),
}

impl KeyRecord {
    /// Reads a TXT record, whose strings were put together.
    ///
    /// A key for RSA may stand in a `SubjectPublicKeyInfo` or by itself (RFC 6376 errata 3017). The tag `g=` of
    /// RFC 4871 is passed over.
    ///
    /// # Errors
    ///
    /// When the record is malformed, revoked, or of no use for mail or for SHA-256.
    pub fn parse(text: &[u8]) -> Result<Self, Reason> {
        let tags = read_tags(text).ok_or(Reason::KeySyntax)?;
        let words = |name: &str| tags.tag(name).map(|tag| tag.split().collect::<Vec<_>>());
        if let Some(version) = tags.tag("v") {
            let first = tags.tags().first().is_some_and(|tag| tag.name() == b"v");
            if !first || version.raw().trim_ascii() != b"DKIM1" {
                return Err(Reason::KeyVersion);
            }
        }
        let has = |name: &str, wanted: &[&[u8]]| {
            words(name).is_none_or(|words| words.iter().any(|word| wanted.contains(word)))
        };
        if !has("h", &[b"sha256"]) {
            return Err(Reason::KeyHash);
        }
        if !has("s", &[b"*", b"email"]) {
            return Err(Reason::KeyService);
        }
        let octets = tags.compact("p").ok_or(Reason::KeySyntax)?;
        if octets.is_empty() {
            return Err(Reason::KeyRevoked);
        }
        let octets = base64_decode(&octets).ok_or(Reason::KeyInvalid)?;
        let kind = match tags.tag("k").map_or(&b"rsa"[..], |tag| tag.raw().trim_ascii()) {
            b"rsa" => {
                let (key, bits) = der::rsa_public_key(&octets).ok_or(Reason::KeyInvalid)?;
                Kind::Rsa {
                    key: key.to_vec(),
                    bits,
                }
            }
            b"ed25519" if octets.len() == 32 => Kind::Ed25519(octets),
            b"ed25519" => return Err(Reason::KeyInvalid),
            _ => return Err(Reason::KeyType),
        };
        let flags = words("t").unwrap_or_default();
        Ok(Self {
            kind,
            testing: flags.contains(&&b"y"[..]),
            strict: flags.contains(&&b"s"[..]),
        })
    }

    /// The algorithm it is for.
    pub fn algorithm(&self) -> Algorithm {
        match self.kind {
            Kind::Rsa { .. } => Algorithm::RsaSha256,
            Kind::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// The size of the key in bits.
    pub fn bits(&self) -> usize {
        match self.kind {
            Kind::Rsa { bits, .. } => bits,
            Kind::Ed25519(_) => 256,
        }
    }

    /// The key itself.
    pub fn public_key(&self) -> PublicKey<'_> {
        match &self.kind {
            Kind::Rsa { key, .. } => PublicKey::Rsa(key),
            Kind::Ed25519(key) => PublicKey::Ed25519(key),
        }
    }
}
