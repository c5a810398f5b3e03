//! Which strings a text cannot hold: asked before any text is read
//!
//! A sketch is a Bloom filter over all runs of three octets in the [text](super::text) of a message. A string whose runs
//! are not all in the sketch is not in the text; one whose runs are may be, and only the text tells. So a search
//! with sketches finds what one without finds, and reads the texts of a few messages instead of all.

use bytes::Bytes;

/// A sketch in the making.
pub(super) struct Sketcher {
    bits: Vec<u64>,
}

impl Sketcher {
    pub(super) fn new() -> Self {
        Self {
            bits: vec![0; MOST_BITS / 64],
        }
    }

    /// Takes the mapped text of a unit.
    pub(super) fn unit(&mut self, mapped: &[u8]) {
        for run in runs(mapped) {
            let bit = bit_of(run);
            self.bits[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Makes it as small as tells enough; empty where the text has so many runs that nothing is told.
    pub(super) fn finish(mut self) -> Bytes {
        let set = |bits: &[u64]| bits.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        if set(&self.bits) * 2 > MOST_BITS {
            return Bytes::new();
        }
        // One half laid upon the other is the sketch of half the size, with the same hash.
        while self.bits.len() > 1 {
            let (lower, upper) = self.bits.split_at(self.bits.len() / 2);
            let folded: Vec<u64> = lower.iter().zip(upper).map(|(a, b)| a | b).collect();
            if set(&folded) * 4 > folded.len() * 64 {
                break;
            }
            self.bits = folded;
        }
        let words = self.bits.iter().flat_map(|word| word.to_le_bytes());
        core::iter::once(VERSION).chain(words).collect()
    }
}

/// Tells whether a text may hold a string, both mapped. Says yes where it cannot tell.
pub(crate) fn may_hold(sketch: &[u8], mapped: &[u8]) -> bool {
    let Some((&VERSION, bits)) = sketch.split_first() else {
        return true;
    };
    if !bits.len().is_power_of_two() || bits.len() * 8 > MOST_BITS {
        return true;
    }
    let mask = bits.len() * 8 - 1;
    runs(mapped).all(|run| {
        let bit = bit_of(run) & mask;
        bits[bit / 8] & 1 << (bit % 8) != 0
    })
}

/// Whether a sketch can say anything of a string.
pub(crate) const fn tells_of(mapped: &[u8]) -> bool {
    mapped.len() >= 3
}

fn runs(mapped: &[u8]) -> impl Iterator<Item = u32> {
    let run = |run: &[u8]| u32::from_le_bytes([run[0], run[1], run[2], 0]);
    mapped.windows(3).map(run)
}

fn bit_of(run: u32) -> usize {
    // The upper half of the product depends on all octets; the odd constant is that of Fibonacci hashing.
    (u64::from(run).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (MOST_BITS - 1)
}

const VERSION: u8 = 1;
/// Of the largest sketch, 8 KiB; a power of two.
const MOST_BITS: usize = 1 << 16;
