//! Just enough of X.509 to find a public key ([RFC 5280] §4.1)
//!
//! [RFC 5280]: https://www.rfc-editor.org/rfc/rfc5280

/// The SubjectPublicKeyInfo of a certificate, with its header.
pub(crate) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (whole, rest) = element(certificate)?;
    if whole.tag != SEQUENCE || !rest.is_empty() {
        return None;
    }
    let (to_be_signed, _) = element(whole.content)?;
    if to_be_signed.tag != SEQUENCE {
        return None;
    }
    let mut rest = to_be_signed.content;
    let (first, after) = element(rest)?;
    if first.tag == VERSION {
        rest = after;
    }
    // Serial number, algorithm, issuer, validity, subject.
    for _ in 0..5 {
        rest = element(rest)?.1;
    }
    let (key, _) = element(rest)?;
    (key.tag == SEQUENCE).then_some(key.all)
}

/// Whether this is one element, a SEQUENCE, and nothing behind it.
pub(crate) fn is_element(der: &[u8]) -> bool {
    element(der).is_some_and(|(element, rest)| element.tag == SEQUENCE && rest.is_empty())
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    all: &'a [u8],
}

/// Reads one element with a tag of one octet, and gives what follows it.
fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let [tag, first, rest @ ..] = der else { return None };
    // Tags of more octets do not occur where keys are looked for.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets.iter().fold(0u64, |n, octet| n << 8 | u64::from(*octet));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let all = &der[..der.len() - after.len()];
    Some((
        Element {
            tag: *tag,
            content,
            all,
        },
        after,
    ))
}

const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`
const VERSION: u8 = 0xa0;
