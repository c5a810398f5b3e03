//! Which strings a text holds, as far as that can be told without reading it
//!
//! A sketch tells of the [text](super::text) of a message
//!
//! - which runs of three octets are in it, by a Bloom filter: a string whose runs are not all in the filter is not in the
//!   text; one whose runs are may be, and only the text tells;
//! - which runs of two octets, and which octets that stand alone, are in it: all of them, so that a string of one or two
//!   octets is in the text exactly if the sketch has it. Those of the body are told apart from those of headers alone.
//!
//! So a search with sketches finds what one without finds, and reads the texts of a few messages instead of all.
//!
//! ```text
//!  sketch = 2 pairs:1 words:8*2^n                       (n words of the filter, little-endian; none where it tells nothing)
//!           [of the body] [of headers alone]            (if pairs is 1)
//!  of     = count difference*  count octet*             (pairs in order, each less the one before; numbers of 7 bits an octet)
//! ```
//!
//! A sketch of the first version is `1` and the words of the filter.

use bytes::Bytes;

/// A sketch in the making.
#[derive(Debug)]
pub(super) struct Sketcher {
    /// The filter.
    bits: Box<[u64; MOST_BITS / 64]>,
    /// Runs of two octets, a bit each: those of the body, and those of headers.
    pairs: [Box<[u64; PAIRS / 64]>; 2],
    /// Octets that are all there is of a unit.
    lone: [[u64; 4]; 2],
    /// 0 in the body, 1 elsewhere.
    place: usize,
    /// The last two octets of the unit, the last one lowest, and how many there are.
    before: u32,
    have: usize,
    /// Octets until the filter is looked at again.
    patience: usize,
    is_full: bool,
}

impl Sketcher {
    pub(super) fn new() -> Self {
        Self {
            bits: zeroed(),
            pairs: [zeroed(), zeroed()],
            lone: [[0; 4]; 2],
            place: 0,
            before: 0,
            have: 0,
            patience: PATIENCE,
            is_full: false,
        }
    }

    /// Begins a unit.
    pub(super) fn begin(&mut self, is_body: bool) {
        (self.place, self.before, self.have) = (usize::from(!is_body), 0, 0);
    }

    /// Takes mapped text of the unit.
    pub(super) fn push(&mut self, mapped: &[u8]) {
        if self.is_full {
            return;
        }
        let pairs = &mut self.pairs[self.place];
        let mut last = self.before;
        // What the unit begins with is no whole run.
        let (start, rest) = mapped.split_at(mapped.len().min(2 - self.have));
        for (at, octet) in start.iter().enumerate() {
            last = last << 8 | u32::from(*octet);
            if self.have + at >= 1 {
                set(pairs, last as usize & (PAIRS - 1));
            }
        }
        for octet in rest {
            last = last << 8 | u32::from(*octet);
            set(pairs, last as usize & (PAIRS - 1));
            set(&mut self.bits, bit_of(last.swap_bytes() >> 8));
        }
        self.before = last & 0xffff;
        self.have = (self.have + mapped.len()).min(2);
        self.patience = self.patience.saturating_sub(mapped.len());
        if self.patience == 0 {
            self.patience = PATIENCE;
            self.is_full = count(&*self.bits) * 2 > MOST_BITS;
        }
    }

    /// Ends the unit.
    pub(super) fn end(&mut self) {
        if self.have == 1 {
            let octet = self.before as usize & 0xff;
            self.lone[self.place][octet / 64] |= 1 << (octet % 64);
        }
    }

    /// Whether the text has so many runs that the filter tells nothing, so that there is no use in more of it.
    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Makes it as small as tells enough; empty where it tells nothing.
    pub(super) fn finish(mut self) -> Bytes {
        if self.is_full || count(&*self.bits) * 2 > MOST_BITS {
            return Bytes::new();
        }
        let mut bits = (self.bits as Box<[u64]>).into_vec();
        // One half laid upon the other is the filter of half the size, with the same hash.
        while bits.len() > 1 {
            let (lower, upper) = bits.split_at(bits.len() / 2);
            let folded: Vec<u64> = lower.iter().zip(upper).map(|(a, b)| a | b).collect();
            if count(&folded) * 4 > folded.len() * 64 {
                break;
            }
            bits = folded;
        }
        let [body, headers] = &mut self.pairs;
        headers
            .iter_mut()
            .zip(&**body)
            .for_each(|(one, of_body)| *one &= !of_body);
        let counts = [count(&**body), count(&**headers)];
        let has_pairs = counts[0] + counts[1] <= MOST_PAIRS;
        let mut sketch = vec![VERSION, u8::from(has_pairs), bits.len().trailing_zeros() as u8];
        sketch.extend(bits.iter().flat_map(|word| word.to_le_bytes()));
        if has_pairs {
            for ((pairs, lone), many) in self.pairs.iter().zip(&self.lone).zip(counts) {
                put(many, &mut sketch);
                let mut before = 0;
                for pair in ones(&**pairs) {
                    put(pair - before, &mut sketch);
                    before = pair;
                }
                put(count(lone), &mut sketch);
                sketch.extend(ones(lone).map(|octet| octet as u8));
            }
        }
        sketch.into()
    }
}

/// Tells whether a text holds a string, both mapped; in its body alone if that is asked. `None` where only the text can
/// tell.
pub(crate) fn holds(sketch: &[u8], mapped: &[u8], in_body: bool) -> Option<bool> {
    let (bits, pairs) = parts(sketch)?;
    match mapped {
        [] => None,
        [_] | [_, _] => {
            let mut pairs = pairs?;
            let body = has(&mut pairs, mapped)?;
            Some(body || !in_body && has(&mut pairs, mapped)?)
        }
        _ => {
            let mask = bits.len() * 8 - 1;
            let mut runs = mapped.windows(3);
            let is_in = |run: &[u8]| {
                let bit = bit_of(u32::from_le_bytes([run[0], run[1], run[2], 0])) & mask;
                bits[bit / 8] & 1 << (bit % 8) != 0
            };
            (!runs.all(is_in)).then_some(false)
        }
    }
}

/// The filter, and what follows it; `None` for what this program did not make.
fn parts(sketch: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    match sketch {
        [FIRST_VERSION, bits @ ..] => {
            let is_filter = bits.len().is_power_of_two() && bits.len() * 8 <= MOST_BITS;
            is_filter.then_some((bits, None))
        }
        [VERSION, has_pairs, log, rest @ ..] => {
            let octets = 8_usize << u32::from(*log).min(MOST_BITS.trailing_zeros());
            let (bits, pairs) = rest.split_at_checked(octets)?;
            Some((bits, (*has_pairs == 1).then_some(pairs)))
        }
        _ => None,
    }
}

/// Looks for one or two octets in what was found in one place, and goes on behind it.
fn has(from: &mut &[u8], mapped: &[u8]) -> Option<bool> {
    let wanted = mapped
        .iter()
        .fold(0, |pair, octet| pair << 8 | usize::from(*octet));
    let is_pair = mapped.len() == 2;
    let (mut found, mut pair) = (false, 0);
    for _ in 0..take(from)? {
        pair = take(from)?.checked_add(pair)?;
        found |= match is_pair {
            true => pair == wanted,
            false => pair >> 8 == wanted || pair & 0xff == wanted,
        };
    }
    let count = take(from)?;
    let (lone, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(found || !is_pair && lone.contains(&mapped[0]))
}

fn zeroed<const N: usize>() -> Box<[u64; N]> {
    let zeroes = vec![0; N].into_boxed_slice();
    zeroes.try_into().expect("it has this length")
}

fn set<const N: usize>(bits: &mut [u64; N], bit: usize) {
    bits[bit / 64] |= 1 << (bit % 64);
}

fn count(bits: &[u64]) -> usize {
    bits.iter().map(|word| word.count_ones() as usize).sum()
}

/// The places of the bits that are set.
fn ones(bits: &[u64]) -> impl Iterator<Item = usize> {
    // Most words have none.
    let some = bits.iter().enumerate().filter(|(_, word)| **word != 0);
    some.flat_map(|(at, word)| {
        let mut left = *word;
        core::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(at * 64 + bit)
        })
    })
}

/// Seven bits an octet, the lowest first; the eighth says that more follow.
fn put(mut n: usize, to: &mut Vec<u8>) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

fn take(from: &mut &[u8]) -> Option<usize> {
    let mut n = 0;
    for shift in [0, 7, 14] {
        let (octet, rest) = from.split_first()?;
        *from = rest;
        n |= usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

fn bit_of(run: u32) -> usize {
    // The upper half of the product depends on all octets; the odd constant is that of Fibonacci hashing.
    (u64::from(run).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (MOST_BITS - 1)
}

const FIRST_VERSION: u8 = 1;
const VERSION: u8 = 2;
/// Of the largest filter, 8 KiB; a power of two.
const MOST_BITS: usize = 1 << 16;
/// How many runs of two octets there are.
const PAIRS: usize = 1 << 16;
/// With more than these, which no text of a language has, a list would be longer than it is of use.
const MOST_PAIRS: usize = 8192;
/// After so many octets it is found out whether the filter is full.
const PATIENCE: usize = 64 * 1024;
