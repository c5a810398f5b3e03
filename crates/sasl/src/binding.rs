//! Channel bindings of TLS ([RFC 5929], [RFC 9266])
//!
//! [RFC 5929]: https://www.rfc-editor.org/rfc/rfc5929
//! [RFC 9266]: https://www.rfc-editor.org/rfc/rfc9266

use core::fmt;
use ring::digest;

/// What both ends of one TLS connection know, and nobody who stands between them.
///
/// The embedder, who has the TLS connection, gives what it can. Without anything the -PLUS mechanisms are
/// neither offered nor chosen. `tls-unique` is not here: it is not safe before TLS 1.3 without an extension,
/// and does not exist from TLS 1.3 on (RFC 9266 §1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    exporter: Option<Box<[u8]>>,
    end_point: Option<Box<[u8]>>,
}

impl ChannelBindings {
    /// Nothing to bind to.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds `tls-exporter`: 32 octets of keying material exported with the label `EXPORTER-Channel-Binding`
    /// and an empty context (RFC 9266 §2).
    ///
    /// Only for TLS 1.3, or TLS 1.2 with extended master secrets (RFC 9266 §4.2).
    pub fn with_tls_exporter(mut self, exported: &[u8]) -> Self {
        self.exporter = Some(exported.into());
        self
    }

    /// Adds `tls-server-end-point`: the hash of the server's certificate (RFC 5929 §4.1), from
    /// [`tls_server_end_point`] or where the TLS library has it.
    pub fn with_tls_server_end_point(mut self, hash: &[u8]) -> Self {
        self.end_point = Some(hash.into());
        self
    }

    /// Whether there is nothing to bind to.
    pub fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.end_point.is_none()
    }

    /// What is known under the registered name of a binding.
    pub(crate) fn named(&self, name: &str) -> Option<&[u8]> {
        match name {
            EXPORTER => self.exporter.as_deref(),
            END_POINT => self.end_point.as_deref(),
            _ => None,
        }
    }

    /// The one that a client uses: the exporter is bound to this very connection, a certificate to all.
    pub(crate) fn best(&self) -> Option<(&'static str, &[u8])> {
        [EXPORTER, END_POINT]
            .into_iter()
            .find_map(|name| Some((name, self.named(name)?)))
    }
}

impl fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBindings")
            .field(EXPORTER, &self.exporter.is_some())
            .field(END_POINT, &self.end_point.is_some())
            .finish()
    }
}

/// The data of `tls-server-end-point` for the certificate of the server, in DER: its hash with the hash
/// function of its signature, with SHA-256 in place of MD5 and SHA-1 (RFC 5929 §4.1).
///
/// `None` if the signature does not use exactly one hash function (as Ed25519), or one that is not known
/// here (known are SHA-256, SHA-384 and SHA-512 with RSA and ECDSA): there is no such binding then.
pub fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (certificate_fields, _) = element(certificate, SEQUENCE)?;
    let (_, after_tbs) = element(certificate_fields, SEQUENCE)?;
    let (algorithm, _) = element(after_tbs, SEQUENCE)?;
    let (oid, parameters) = element(algorithm, OID)?;
    let hash = match oid {
        RSA_PSS => pss_hash(parameters)?,
        oid => SIGNATURES.iter().find(|(known, _)| *known == oid)?.1,
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// RFC 4055 §3.1: `[0] EXPLICIT` a hash algorithm, SHA-1 by default.
fn pss_hash(parameters: &[u8]) -> Option<&'static digest::Algorithm> {
    let (fields, _) = element(parameters, SEQUENCE)?;
    let Some((explicit, _)) = element(fields, 0xa0) else {
        return Some(&digest::SHA256);
    };
    let (oid, _) = element(element(explicit, SEQUENCE)?.0, OID)?;
    HASHES
        .iter()
        .find(|(known, _)| *known == oid)
        .map(|(_, hash)| *hash)
}

/// What is in the DER element at the start of `data`, and what follows it.
fn element(data: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = data.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(*short), rest),
        // Four octets of length hold more than any certificate.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let length = length.iter().fold(0u64, |n, octet| n << 8 | u64::from(*octet));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    (*first == tag).then_some(rest)?.split_at_checked(length)
}

const EXPORTER: &str = "tls-exporter";
const END_POINT: &str = "tls-server-end-point";

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;

/// 1.2.840.113549.1.1.10.
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];

/// Signature algorithms of RFC 4055, RFC 5758 and RFC 8017, and what a certificate with them is hashed with.
const SIGNATURES: &[(&[u8], &digest::Algorithm)] = &[
    // md5, sha1, sha256, sha384 and sha512WithRSAEncryption: 1.2.840.113549.1.1.
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12], &digest::SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13], &digest::SHA512),
    // ecdsa-with-SHA1, SHA256, SHA384 and SHA512: 1.2.840.10045.4.
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], &digest::SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], &digest::SHA384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4], &digest::SHA512),
];

/// Hash functions of RSASSA-PSS: SHA-1 as 1.3.14.3.2.26, the others as 2.16.840.1.101.3.4.2.
const HASHES: &[(&[u8], &digest::Algorithm)] = &[
    (&[0x2b, 14, 3, 2, 26], &digest::SHA256),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1], &digest::SHA256),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2], &digest::SHA384),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3], &digest::SHA512),
];
