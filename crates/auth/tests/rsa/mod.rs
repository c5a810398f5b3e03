//! RSA signing as the textbook has it, for the keys of the RFCs, which are shorter than `ring` signs with.

#![allow(dead_code, clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailwright_auth::crypto::{Algorithm, KeyError, Provider, Ring, SigningKey};
use std::cmp::Ordering;

/// A private key by PKCS #1. Numbers are limbs of 32 bits, the lowest first.
#[derive(Debug)]
pub(crate) struct TextbookKey {
    modulus: Vec<u32>,
    exponent: Vec<u32>,
    octets: usize,
}

impl TextbookKey {
    pub(crate) fn from_pem(pem: &str) -> Self {
        let body: String = pem
            .lines()
            .filter(|l| !l.contains("-----"))
            .map(str::trim)
            .collect();
        let der = STANDARD.decode(body).unwrap();
        let mut rest = element(&der).0;
        let mut integers = Vec::new();
        while !rest.is_empty() {
            let (content, after) = element(rest);
            integers.push(content);
            rest = after;
        }
        let modulus = limbs(integers[1]);
        Self {
            octets: integers[1].iter().skip_while(|b| **b == 0).count(),
            exponent: limbs(integers[3]),
            modulus,
        }
    }
}

impl SigningKey for TextbookKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RsaSha256
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut hasher = Ring::default().sha256();
        hasher.update(message);
        let digest = hasher.finish();
        // RFC 8017 §9.2.
        let info = [
            0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
        ];
        let padding = vec![0xff; self.octets - 3 - info.len() - digest.len()];
        let padded = [&[0, 1][..], &padding, &[0], &info, &digest].concat();
        let mut power = vec![1];
        let base = limbs(&padded);
        for bit in (0..self.exponent.len() * 32).rev() {
            power = multiply(&power, &power, &self.modulus);
            if self.exponent[bit / 32] >> (bit % 32) & 1 == 1 {
                power = multiply(&power, &base, &self.modulus);
            }
        }
        let octets: Vec<u8> = power.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        let octet = |place: usize| octets.get(place).copied().unwrap_or(0);
        Ok((0..self.octets).rev().map(octet).collect())
    }

    fn record(&self) -> String {
        // RFC 6376 §3.6.1: no key, since the tests publish those of the RFCs.
        "v=DKIM1; p=".to_owned()
    }
}

fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (len, at) = match der[1] {
        len @ 0..=0x7f => (usize::from(len), 2),
        0x81 => (usize::from(der[2]), 3),
        _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
    };
    der[at..].split_at(len)
}

fn limbs(octets: &[u8]) -> Vec<u32> {
    let mut limbs: Vec<u32> = octets
        .rchunks(4)
        .map(|chunk| chunk.iter().fold(0, |limb, octet| limb << 8 | u32::from(*octet)))
        .collect();
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
    limbs
}

/// By doubling and adding.
fn multiply(a: &[u32], b: &[u32], modulus: &[u32]) -> Vec<u32> {
    let mut sum = Vec::new();
    for bit in (0..b.len() * 32).rev() {
        sum = add(&sum, &sum, modulus);
        if b[bit / 32] >> (bit % 32) & 1 == 1 {
            sum = add(&sum, a, modulus);
        }
    }
    sum
}

/// The sum of two numbers below the modulus, below it too.
fn add(a: &[u32], b: &[u32], modulus: &[u32]) -> Vec<u32> {
    let mut carry = 0u64;
    let mut sum = Vec::with_capacity(modulus.len() + 1);
    for place in 0..a.len().max(b.len()) {
        let limb = |n: &[u32]| u64::from(n.get(place).copied().unwrap_or(0));
        carry += limb(a) + limb(b);
        sum.push(carry as u32);
        carry >>= 32;
    }
    if carry > 0 {
        sum.push(1);
    }
    let larger = sum
        .len()
        .cmp(&modulus.len())
        .then_with(|| sum.iter().rev().cmp(modulus.iter().rev()));
    if larger != Ordering::Less {
        let mut borrow = 0i64;
        for (place, limb) in sum.iter_mut().enumerate() {
            borrow += i64::from(*limb) - i64::from(modulus.get(place).copied().unwrap_or(0));
            *limb = borrow as u32;
            borrow >>= 32;
        }
    }
    while sum.last() == Some(&0) {
        sum.pop();
    }
    sum
}
