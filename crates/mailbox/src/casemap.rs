//! Text without regard to case: i;unicode-casemap (RFC 5051)
//!
//! Each character is mapped by itself, so text may be mapped piece by piece, and a string is part of a text exactly if
//! the one mapped is part of the other mapped.

use unicode_normalization::char::decompose_compatible;

/// Appends the mapped form of a text (RFC 5051 §2.1): titlecase, then decomposed.
///
/// ```
/// let mut mapped = Vec::new();
/// mailwright_mailbox::casemap::append("Grüße", &mut mapped);
/// assert_eq!(mapped, "GRU\u{308}ßE".as_bytes());
/// ```
pub fn append(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (ascii, behind) = rest.split_at(ascii_len(rest.as_bytes()));
        let start = out.len();
        out.extend_from_slice(ascii.as_bytes());
        out[start..].make_ascii_uppercase();
        let other = behind.find(|c: char| c.is_ascii()).unwrap_or(behind.len());
        behind[..other].chars().for_each(|c| append_char(c, out));
        rest = &behind[other..];
    }
}

/// Returns the mapped form of a text.
pub fn mapped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    append(text, &mut out);
    out
}

fn ascii_len(octets: &[u8]) -> usize {
    if octets.is_ascii() {
        return octets.len();
    }
    octets
        .iter()
        .position(|octet| !octet.is_ascii())
        .unwrap_or(octets.len())
}

fn append_char(c: char, out: &mut Vec<u8>) {
    let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    match titlecase(c) {
        // Syllables of Hangul have no decomposition in the table that the RFC means.
        c @ '\u{ac00}'..='\u{d7a3}' => push(c),
        c => decompose_compatible(c, push),
    }
}

/// The simple titlecase mapping of a character.
fn titlecase(c: char) -> char {
    let shifted = |by: u32| char::from_u32(c as u32 + by).unwrap_or(c);
    match c {
        // One character for two letters: only the first of them is a capital.
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals, but no titlecase.
        '\u{10d0}'..='\u{10ff}' => c,
        // Greek with a iota below, whose capitals are two characters.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(9),
        c => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}
