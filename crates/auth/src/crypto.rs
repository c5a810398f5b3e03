//! Hashes and signatures: what DKIM and ARC need of a crypto library ([RFC 8301], [RFC 8463])
//!
//! [`Provider`] and [`SigningKey`] are the whole of it; [`Ring`] and [`RingKey`] are the defaults. A hardware token,
//! or keys shorter than `ring` signs with, come in by the same traits.
//!
//! [RFC 8301]: https://www.rfc-editor.org/rfc/rfc8301
//! [RFC 8463]: https://www.rfc-editor.org/rfc/rfc8463

use crate::der;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use ring::rand::SystemRandom;
use ring::signature::{self, Ed25519KeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey};

/// The algorithms of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 over SHA-256 (RFC 6376 §3.3.2).
    RsaSha256,
    /// Ed25519 over a SHA-256 digest (RFC 8463 §3).
    Ed25519Sha256,
}

impl Algorithm {
    /// Its name in `a=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A key to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey<'a> {
    /// An `RSAPublicKey` of RFC 8017 §A.1.1, in DER.
    Rsa(&'a [u8]),
    /// The 32 octets of RFC 8032 §5.1.5.
    Ed25519(&'a [u8]),
}

/// Hashes, and verifies signatures.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Begins to hash.
    fn sha256(&self) -> Box<dyn Sha256>;

    /// Tells whether `signature` is one of `message` by the owner of the key.
    ///
    /// `message` is what the algorithm hashes: for Ed25519 it is hashed with SHA-256 first, and the digest is what is
    /// signed (RFC 8463 §3).
    fn verify(&self, key: &PublicKey<'_>, message: &[u8], signature: &[u8]) -> bool;
}

/// A hash that is being computed.
pub trait Sha256: fmt::Debug + Send {
    /// Takes more octets.
    fn update(&mut self, octets: &[u8]);

    /// The hash of all octets taken.
    fn finish(self: Box<Self>) -> [u8; 32];
}

/// A private key.
pub trait SigningKey: fmt::Debug + Send + Sync {
    /// What it signs with.
    fn algorithm(&self) -> Algorithm;

    /// Signs a message; [`Provider::verify`] tells what that is.
    ///
    /// # Errors
    ///
    /// When the key cannot sign.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// The TXT record to publish at `SELECTOR._domainkey.DOMAIN` (RFC 6376 §3.6.1).
    fn record(&self) -> String;
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has no block `PRIVATE KEY` or `RSA PRIVATE KEY` in PEM.
    #[error("no private key in PEM")]
    NoPem,
    /// It is no RSA key of 2048 to 8192 bits and no Ed25519 key, or its parts do not fit.
    #[error("the private key is malformed, or of a kind or size that cannot be used")]
    Rejected,
    /// Signing failed.
    #[error("signing failed")]
    Signing,
}

/// `ring`: verifies RSA of 1024 to 8192 bits, and Ed25519.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Ring;

impl Provider for Ring {
    fn sha256(&self) -> Box<dyn Sha256> {
        Box::new(RingSha256(ring::digest::Context::new(&ring::digest::SHA256)))
    }

    fn verify(&self, key: &PublicKey<'_>, message: &[u8], signature: &[u8]) -> bool {
        match key {
            PublicKey::Rsa(key) => {
                // RFC 8301 §3.2 has verifiers take 1024 bits; the caller decides what is long enough for it.
                let scheme = &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
                UnparsedPublicKey::new(scheme, key)
                    .verify(message, signature)
                    .is_ok()
            }
            PublicKey::Ed25519(key) => {
                let digest = ring::digest::digest(&ring::digest::SHA256, message);
                let key = UnparsedPublicKey::new(&signature::ED25519, key);
                key.verify(digest.as_ref(), signature).is_ok()
            }
        }
    }
}

struct RingSha256(ring::digest::Context);

impl fmt::Debug for RingSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingSha256")
    }
}

impl Sha256 for RingSha256 {
    fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    fn finish(self: Box<Self>) -> [u8; 32] {
        let digest = self.0.finish();
        digest.as_ref().try_into().expect("SHA-256 has 32 octets")
    }
}

/// A private key of `ring`: RSA of 2048 bits or more, or Ed25519. Its Debug form shows nothing secret.
pub struct RingKey(Pair);

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl RingKey {
    /// Reads a key in PEM: PKCS #8 (RFC 5958, Ed25519 and RSA) or PKCS #1 (`RSA PRIVATE KEY`, RFC 8017 §A.1.2).
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be used.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = pem_block(pem, "PRIVATE KEY").map(|der| Self::from_pkcs8(&der));
        let pkcs1 = || {
            let der = pem_block(pem, "RSA PRIVATE KEY")?;
            Some(RsaKeyPair::from_der(&der).map_err(|_| KeyError::Rejected))
        };
        match der {
            Some(key) => key,
            None => Ok(Self(Pair::Rsa(pkcs1().ok_or(KeyError::NoPem)??))),
        }
    }

    /// Reads a key in DER by PKCS #8, with its public key or without.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self(Pair::Ed25519(key)));
        }
        let key = RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Rejected)?;
        Ok(Self(Pair::Rsa(key)))
    }

    /// Makes the Ed25519 key of 32 random octets, its seed.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 octets are a seed");
        Self(Pair::Ed25519(key))
    }

    /// Writes the Ed25519 key of a seed in PEM by PKCS #8 (RFC 8410 §7), as [`from_pem`](Self::from_pem) reads it.
    pub fn ed25519_pem(seed: &[u8; 32]) -> String {
        let der = [&PKCS8_ED25519[..], seed].concat();
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der)
        )
    }
}

impl SigningKey for RingKey {
    fn algorithm(&self) -> Algorithm {
        match self.0 {
            Pair::Rsa(_) => Algorithm::RsaSha256,
            Pair::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Pair::Rsa(key) => {
                let mut out = vec![0; key.public().modulus_len()];
                // Only the padding of PSS would draw random numbers.
                key.sign(
                    &signature::RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut out,
                )
                .map_err(|_| KeyError::Signing)?;
                Ok(out)
            }
            Pair::Ed25519(key) => {
                let digest = ring::digest::digest(&ring::digest::SHA256, message);
                Ok(key.sign(digest.as_ref()).as_ref().to_vec())
            }
        }
    }

    fn record(&self) -> String {
        match &self.0 {
            Pair::Rsa(key) => {
                let spki = der::rsa_to_spki(key.public().as_ref());
                format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(spki))
            }
            Pair::Ed25519(key) => {
                format!(
                    "v=DKIM1; k=ed25519; p={}",
                    STANDARD.encode(key.public_key().as_ref())
                )
            }
        }
    }
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingKey({})", self.algorithm())
    }
}

fn pem_block(pem: &str, label: &str) -> Option<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let (_, rest) = pem.split_once(&begin)?;
    let (body, _) = rest.split_once(&end)?;
    let text: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

/// What stands before the seed in a PKCS #8 Ed25519 key: SEQUENCE, version 0, the algorithm, OCTET STRING twice.
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
