//! DANE for SMTP ([RFC 7672], [RFC 6698], [RFC 7671])
//!
//! A pure matcher: it compares certificates with TLSA records. It computes no digests and checks no signatures; the
//! embedder has a library for both.
//!
//! [RFC 6698]: https://www.rfc-editor.org/rfc/rfc6698
//! [RFC 7671]: https://www.rfc-editor.org/rfc/rfc7671
//! [RFC 7672]: https://www.rfc-editor.org/rfc/rfc7672

use crate::der;
use core::fmt::Write;
use mailwright_dns::{Name, Tlsa};

/// The digests that TLSA records use (RFC 6698 §2.1.3).
pub trait Digests {
    /// SHA-256 of `data`.
    fn sha256(&self, data: &[u8]) -> [u8; 32];
    /// SHA-512 of `data`.
    fn sha512(&self, data: &[u8]) -> [u8; 64];
}

/// The TLSA records of one host, and the names that go with them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    base: Name,
    names: Vec<Name>,
    records: Vec<Tlsa>,
    usable: Vec<Tlsa>,
}

/// What certificates are, seen from TLSA records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// RFC 7672 §3.1 leaves these.
#[allow(clippy::exhaustive_enums)]
pub enum Match {
    /// The server's own certificate matches a record of usage 3. Nothing else is to be looked at: neither names nor
    /// dates nor issuers (RFC 7672 §3.1.1).
    EndEntity,
    /// The certificate at this place in the chain, 1 or more, matches a record of usage 2. The server's certificate
    /// must be verified with it as the trust anchor, and hold one of [`Policy::names`] (RFC 7672 §3.1.2, §3.2.2).
    TrustAnchor(usize),
    /// The chain does not show a trust anchor, but this record of usage 2 is one itself. Verify with it as above.
    RecordedAnchor(usize),
    /// No record matches: the connection must not be used.
    Nothing,
}

impl Policy {
    /// Sorts out `records`, found at `base`. `names` are the further names that a certificate under a trust anchor may
    /// have: those of the destination.
    ///
    /// Of records that differ by digest alone the stronger ones count (RFC 7671 §9).
    pub fn new(base: Name, names: impl IntoIterator<Item = Name>, records: Vec<Tlsa>) -> Self {
        let strongest = |one: &Tlsa| {
            let rival = |other: &Tlsa| {
                (other.usage, other.selector) == (one.usage, one.selector)
                    && is_usable(other)
                    && other.matching == SHA512
            };
            one.matching != SHA256 || !records.iter().any(rival)
        };
        let usable = records
            .iter()
            .filter(|record| is_usable(record) && strongest(record))
            .cloned()
            .collect();
        let mut all = vec![base.clone()];
        for name in names {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        Self {
            base,
            names: all,
            records,
            usable,
        }
    }

    /// The TLSA base domain: the name to ask for in TLS (RFC 7672 §8.1).
    pub fn base(&self) -> &Name {
        &self.base
    }

    /// The names that a certificate under a trust anchor may have, the base first.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// All records, as they came.
    pub fn records(&self) -> &[Tlsa] {
        &self.records
    }

    /// The records that count: usage 2 or 3, a known selector and digest, data of the right length. If there are none,
    /// TLS is required, and the certificate says nothing (RFC 7672 §2.2).
    pub fn usable(&self) -> &[Tlsa] {
        &self.usable
    }

    /// Compares the certificates that a server showed, its own first, with the records.
    ///
    /// ```
    /// use mailwright_dns::{Name, Tlsa};
    /// use mailwright_mx::dane::{Digests, Match, Policy};
    ///
    /// struct Ring;
    /// impl Digests for Ring {
    ///     fn sha256(&self, data: &[u8]) -> [u8; 32] {
    ///         [data.len() as u8; 32] // a real one in real life
    ///     }
    ///     fn sha512(&self, data: &[u8]) -> [u8; 64] {
    ///         [data.len() as u8; 64]
    ///     }
    /// }
    ///
    /// let record = Tlsa::new(3, 0, 1, [5; 32]);
    /// let policy = Policy::new(Name::parse("mx.b.test")?, [], vec![record]);
    /// assert_eq!(policy.compare(&[b"12345"], &Ring), Match::EndEntity);
    /// assert_eq!(policy.compare(&[b"1234"], &Ring), Match::Nothing);
    /// # Ok::<(), mailwright_dns::Error>(())
    /// ```
    pub fn compare(&self, chain: &[&[u8]], digests: &dyn Digests) -> Match {
        let of_usage = |usage| self.usable.iter().filter(move |record| record.usage == usage);
        let Some((own, issuers)) = chain.split_first() else {
            return Match::Nothing;
        };
        if of_usage(DANE_EE).any(|record| matches(record, own, digests)) {
            return Match::EndEntity;
        }
        for (place, issuer) in issuers.iter().take(MAX_ISSUERS).enumerate() {
            if of_usage(DANE_TA).any(|record| matches(record, issuer, digests)) {
                return Match::TrustAnchor(place + 1);
            }
        }
        let whole = |record: &Tlsa| (record.usage, record.selector, record.matching) == (DANE_TA, 0, FULL);
        match self.usable.iter().position(whole) {
            Some(place) => Match::RecordedAnchor(place),
            None => Match::Nothing,
        }
    }
}

/// Whether a record can be used for SMTP: usages 0 and 1 cannot (RFC 7672 §3.1.3).
pub fn is_usable(record: &Tlsa) -> bool {
    let fits = match record.matching {
        FULL => match record.selector {
            0 => der::public_key(&record.data).is_some(),
            _ => der::is_element(&record.data),
        },
        SHA256 => record.data.len() == 32,
        SHA512 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, DANE_TA | DANE_EE) && record.selector <= 1 && fits
}

/// Prints a record as a zone file has it, and as reports want it (RFC 8460 §4.4).
pub fn print(record: &Tlsa) -> String {
    let Tlsa {
        usage,
        selector,
        matching,
        data,
        ..
    } = record;
    let mut text = format!("{usage} {selector} {matching} ");
    for octet in data {
        // Writing into a string cannot fail.
        let _ = write!(text, "{octet:02X}");
    }
    text
}

fn matches(record: &Tlsa, certificate: &[u8], digests: &dyn Digests) -> bool {
    let selected = match record.selector {
        0 => Some(certificate),
        _ => der::public_key(certificate),
    };
    let Some(selected) = selected else { return false };
    match record.matching {
        FULL => *record.data == *selected,
        SHA256 => *record.data == digests.sha256(selected),
        SHA512 => *record.data == digests.sha512(selected),
        _ => false,
    }
}

const DANE_TA: u8 = 2;
const DANE_EE: u8 = 3;
const FULL: u8 = 0;
const SHA256: u8 = 1;
const SHA512: u8 = 2;
/// Longer chains are not honest, and each certificate costs digests.
const MAX_ISSUERS: usize = 10;
