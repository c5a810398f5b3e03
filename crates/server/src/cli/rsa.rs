//! RSA keys for DKIM, made (RFC 8017 §3, RFC 8301 §3.2)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_bigint::{NonZero, Odd, U1024, U2048};
use crypto_primes::{Flavor, random_prime};
use std::convert::Infallible;

/// Makes an RSA key of 2048 bits, in PEM by PKCS #1.
pub(super) fn make() -> String {
    let exponent = U1024::from_u32(EXPONENT);
    let prime = || loop {
        let prime: U1024 = random_prime(&mut System, Flavor::Any, 1024);
        let before = prime.wrapping_sub(&U1024::ONE);
        // The two highest bits make the product of two primes as long as it should be, and the exponent must have an
        // inverse.
        let fits = before.rem_vartime(&NonZero::new(exponent).expect("it is no zero")) != U1024::ZERO;
        if prime.bit_vartime(1022) && fits {
            break prime;
        }
    };
    let (first, second) = (prime(), prime());
    let (p, q) = if first > second {
        (first, second)
    } else {
        (second, first)
    };
    let modulus: U2048 = p.concatenating_mul(&q);
    let (before_p, before_q) = (p.wrapping_sub(&U1024::ONE), q.wrapping_sub(&U1024::ONE));
    let order: U2048 = before_p.concatenating_mul(&before_q);
    let order = NonZero::new(order).expect("primes are above one");
    let secret = U2048::from_u32(EXPONENT).invert_mod(&order);
    let secret = secret.expect("both factors were chosen so");
    let rest = |of: U1024| {
        let of = NonZero::new(of.resize::<{ U2048::LIMBS }>()).expect("primes are above one");
        secret.rem_vartime(&of)
    };
    let coefficient = q.invert_odd_mod(&Odd::new(p).expect("a large prime is odd"));
    let coefficient = coefficient.expect("two primes have no factor in common");
    let mut body = Vec::new();
    integer(&mut body, &[0]);
    integer(&mut body, &octets(&modulus));
    integer(&mut body, &EXPONENT.to_be_bytes());
    integer(&mut body, &octets(&secret));
    for number in [p, q] {
        integer(&mut body, &octets(&number.resize::<{ U2048::LIMBS }>()));
    }
    for number in [
        rest(before_p),
        rest(before_q),
        coefficient.resize::<{ U2048::LIMBS }>(),
    ] {
        integer(&mut body, &octets(&number));
    }
    let mut der = Vec::new();
    element(&mut der, 0x30, &body);
    pem(&der)
}

/// The usual public exponent.
const EXPONENT: u32 = 65_537;

fn octets(number: &U2048) -> [u8; 256] {
    let mut out = [0; 256];
    for (place, word) in number
        .to_words()
        .iter()
        .rev()
        .flat_map(|word| word.to_be_bytes())
        .enumerate()
    {
        out[place] = word;
    }
    out
}

/// A non-negative INTEGER in DER: as short as can be, and without a sign.
fn integer(out: &mut Vec<u8>, octets: &[u8]) {
    let first = octets
        .iter()
        .position(|octet| *octet != 0)
        .unwrap_or(octets.len() - 1);
    let mut content = Vec::with_capacity(octets.len() + 1);
    if octets[first] >= 0x80 {
        content.push(0);
    }
    content.extend_from_slice(&octets[first..]);
    element(out, 0x02, &content);
}

fn element(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = u16::try_from(content.len()).expect("the key has 2048 bits");
    match length.to_be_bytes() {
        [0, short @ 0..=0x7f] => out.push(short),
        [0, long] => out.extend([0x81, long]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(content);
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = String::from("-----BEGIN RSA PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|octet| char::from(*octet)));
        out.push('\n');
    }
    out + "-----END RSA PRIVATE KEY-----\n"
}

/// The randomness of the operating system.
struct System;

impl rand_core::TryRng for System {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes(mailwright_server::shared::entropy()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes(mailwright_server::shared::entropy()))
    }

    fn try_fill_bytes(&mut self, room: &mut [u8]) -> Result<(), Infallible> {
        for chunk in room.chunks_mut(32) {
            let fresh: [u8; 32] = mailwright_server::shared::entropy();
            chunk.copy_from_slice(&fresh[..chunk.len()]);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for System {}
