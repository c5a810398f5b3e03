//! RSA public keys in DER (RFC 8017 §A.1, RFC 5280 §4.1.2.7)

/// Finds the `RSAPublicKey` in a `SubjectPublicKeyInfo`, or takes it as it is, and counts the bits of its modulus.
pub(crate) fn rsa_public_key(der: &[u8]) -> Option<(&[u8], usize)> {
    let (content, rest) = element(der, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    if content.first() == Some(&INTEGER) {
        return Some((der, modulus_bits(content)?));
    }
    let (algorithm, rest) = element(content, SEQUENCE)?;
    if !algorithm.starts_with(&RSA_ENCRYPTION) {
        return None;
    }
    let (bits, rest) = element(rest, BIT_STRING)?;
    let (unused, key) = bits.split_first()?;
    let (content, after) = element(key, SEQUENCE)?;
    if *unused != 0 || !rest.is_empty() || !after.is_empty() {
        return None;
    }
    Some((key, modulus_bits(content)?))
}

/// The `SubjectPublicKeyInfo` of an `RSAPublicKey`.
pub(crate) fn rsa_to_spki(key: &[u8]) -> Vec<u8> {
    let mut algorithm = RSA_ENCRYPTION.to_vec();
    algorithm.extend_from_slice(&[NULL, 0]);
    let mut content = Vec::new();
    push(&mut content, SEQUENCE, &algorithm);
    push(&mut content, BIT_STRING, &[&[0], key].concat());
    let mut out = Vec::new();
    push(&mut out, SEQUENCE, &content);
    out
}

fn modulus_bits(content: &[u8]) -> Option<usize> {
    let (modulus, _) = element(content, INTEGER)?;
    let zeros = modulus.iter().take_while(|b| **b == 0).count();
    let modulus = &modulus[zeros..];
    let first = modulus.first()?;
    Some(modulus.len() * 8 - first.leading_zeros() as usize)
}

/// The content of the element in front, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = octets
                .iter()
                .fold(0usize, |len, octet| len << 8 | usize::from(*octet));
            (len, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    (found == tag).then_some((content, rest))
}

fn push(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let len = content.len().to_be_bytes();
    let octets = &len[len.iter().take_while(|b| **b == 0).count()..];
    if content.len() < 0x80 {
        out.extend(u8::try_from(content.len()));
    } else {
        out.extend(u8::try_from(octets.len()).map(|n| n | 0x80));
        out.extend_from_slice(octets);
    }
    out.extend_from_slice(content);
}

const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const NULL: u8 = 5;
const SEQUENCE: u8 = 0x30;
/// The object identifier 1.2.840.113549.1.1.1 with its tag and length.
const RSA_ENCRYPTION: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
