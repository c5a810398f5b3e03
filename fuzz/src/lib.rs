//! What the targets share: input with a time line, and the fragmentation property.

use std::fmt::Display;
use std::time::Duration;

use mailwright_wire::Machine;
use mailwright_wire::testing::{Fixture, Input, Trace, trace};

/// The octet that starts something else than octets; UTF-8 never has it.
const MARK: u8 = 0xf8;

/// Reads a time line: octets, with marks for a handshake (`F8 00`), the end of input (`F8 FF`) and for time that
/// passes (`F8 nn`, in units of ten seconds).
pub fn inputs(data: &[u8]) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut pieces = data.split(|b| *b == MARK);
    inputs.extend(pieces.next().map(|first| Input::Bytes(first.to_vec())));
    for piece in pieces {
        let Some((what, octets)) = piece.split_first() else {
            continue;
        };
        inputs.push(match what {
            0 => Input::Tls,
            0xff => Input::Eof,
            tens => Input::Wait(Duration::from_secs(u64::from(*tens) * 10)),
        });
        inputs.push(Input::Bytes(octets.to_vec()));
    }
    inputs
}

/// Runs a machine on the whole input, octet by octet, and cut at random; all must be alike.
pub fn check_machine<F: Fixture>(mut fixture: impl FnMut() -> F, inputs: &[Input], seed: u64) -> Trace
where
    <F::Machine as Machine>::Error: Display,
{
    let whole = trace(fixture(), inputs, &mut || usize::MAX, usize::MAX);
    let mut state = seed | 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        1 + (state >> 33) as usize % 40
    };
    let in_pieces = trace(fixture(), inputs, &mut random, 5);
    assert_eq!(whole, in_pieces, "random pieces make a difference");
    let one_by_one = trace(fixture(), inputs, &mut || 1, 1);
    assert_eq!(whole, one_by_one, "single octets make a difference");
    whole
}

/// Splits data into its first octet, for choices, and the rest.
pub fn choices(data: &[u8]) -> (u8, &[u8]) {
    data.split_first()
        .map_or((0, data), |(first, rest)| (*first, rest))
}

/// A number that depends on all of the data, to cut it with.
pub fn seed(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Sizes of pieces that depend on a seed.
pub fn sizes(seed: u64) -> [usize; 4] {
    [0, 16, 32, 48].map(|shift| 1 + (seed >> shift) as usize % 97)
}
