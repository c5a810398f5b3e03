//! Addresses of letters, digits and the usual marks, as nearly all are, looked at eight octets at a time
//! (RFC 5321 §4.1.2)
//!
//! What is found here is right; what is not found may be right as well, and [`scan`](crate::scan) judges it.

use crate::{MAX_LABEL, MAX_LOCAL_PART};

/// The end of the local part that starts at `from`, if it is plain: letters and digits with single marks in between.
#[inline]
pub(crate) fn local_part(text: &str, from: usize) -> Option<usize> {
    let end = end(text.as_bytes(), from, |octets| {
        octets.between(b'-', b'.') | octets.are(b'+') | octets.are(b'_') | octets.are(b'=')
    })?;
    (end - from <= MAX_LOCAL_PART).then_some(end)
}

/// The end of the domain that starts at `from`, if it is plain: letters and digits with single dots and hyphens in
/// between, and so short that no label can be too long.
#[inline]
pub(crate) fn domain(text: &str, from: usize) -> Option<usize> {
    let end = end(text.as_bytes(), from, |octets| octets.between(b'-', b'.'))?;
    (end - from <= MAX_LABEL).then_some(end)
}

/// The end of the letters, digits and `marks` from `from` on, unless a mark stands at the start, at the end or
/// beside another one, or other than ASCII is near.
#[inline]
fn end(text: &[u8], from: usize, marks: impl Fn(Octets) -> u64) -> Option<usize> {
    // What is behind either end counts as a mark: none may stand beside it.
    let (mut at, mut before) = (from, TOPS);
    loop {
        let octets = Octets::of(text, at)?;
        let marks = marks(octets);
        let others = !(octets.alphanumeric() | marks) & TOPS;
        let edges = marks & TOPS | others;
        let touching = edges & (edges << 8 | before >> 56);
        if others != 0 {
            let seen = others ^ (others - 1);
            return (touching & seen == 0).then_some(at + others.trailing_zeros() as usize / 8);
        }
        if touching != 0 {
            return None;
        }
        before = edges;
        at += 8;
    }
}

/// The top bit of each of eight octets: where what is asked for is true of it.
const TOPS: u64 = all(0x80);

const fn all(octet: u8) -> u64 {
    u64::from_ne_bytes([octet; 8])
}

/// Eight octets of ASCII, the first of them lowest.
#[derive(Clone, Copy)]
struct Octets(u64);

impl Octets {
    /// Those at `at`, with NUL behind the end of the text. `None` if they are not all ASCII, and for texts of fewer
    /// than eight octets.
    #[inline]
    fn of(text: &[u8], at: usize) -> Option<Self> {
        let octets = match text.get(at..)?.first_chunk() {
            Some(octets) => u64::from_le_bytes(*octets),
            None => {
                let last = u64::from_le_bytes(*text.last_chunk()?);
                let missing = at + 8 - text.len();
                last.checked_shr(8 * missing as u32).unwrap_or(0)
            }
        };
        (octets & TOPS == 0).then_some(Self(octets))
    }

    /// Where they are this one, which is ASCII; the bits below the top are of no meaning.
    #[inline(always)]
    fn are(self, octet: u8) -> u64 {
        TOPS - (self.0 ^ all(octet))
    }

    /// Where they are letters or digits; the bits below the top are of no meaning.
    #[inline(always)]
    fn alphanumeric(self) -> u64 {
        Self(self.0 | all(0x20)).between(b'a', b'z') | self.between(b'0', b'9')
    }

    /// Where they are from `first` to `last`, which are ASCII; the bits below the top are of no meaning.
    #[inline(always)]
    fn between(self, first: u8, last: u8) -> u64 {
        (self.0 + all(0x80 - first)) & !(self.0 + all(0x7f - last))
    }
}
