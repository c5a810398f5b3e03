//! How the time of work grows with its input.
#![allow(dead_code)] // each test binary uses its own share of it

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What four times the input may cost in times of the input: 4 is linear, 16 is quadratic.
const BOUND: u32 = 5;

/// What it may cost at every size. Caches and memory that is asked of the system make large inputs dearer than small
/// ones, not twice as dear; what is quadratic is on the far side of this.
const BOUND_AT_FULL_SIZE: u32 = 8;

/// Tried until the ratio is good: what disturbs a try makes it longer, never shorter.
const TRIES: usize = 12;

/// The sizes at which the bound may be met: the full one, a quarter, and a sixteenth.
const SIZES: [usize; 3] = [1, 4, 16];

/// Work that takes longer than in proportion, with what was measured: times of an input and of four times as much.
#[derive(Debug)]
pub(crate) struct TooSlow(Vec<(Duration, Duration)>);

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Whether the work takes time in proportion to its input, which `input` makes in the size it is told, up to `4 * size`.
///
/// The bound is to be met at one of three sizes, so that the sizes of one machine's caches do not decide; at the full
/// size at least a looser one, which no quadratic work meets.
pub(crate) fn is_linear(
    size: usize,
    input: impl Fn(usize) -> Vec<u8>,
    work: impl Fn(&[u8]),
) -> Result<(), TooSlow> {
    let mut measured = Vec::new();
    for part in SIZES {
        let (small, large) = (input(size / part), input(4 * (size / part)));
        let (mut least, mut most) = (Duration::MAX, Duration::MAX);
        let is_met = (0..TRIES).any(|_| {
            least = least.min(time(&work, &small));
            most = most.min(time(&work, &large));
            most <= least * BOUND
        });
        measured.push((least, most));
        if part == 1 && most > least * BOUND_AT_FULL_SIZE {
            break;
        }
        if is_met {
            return Ok(());
        }
    }
    Err(TooSlow(measured))
}

/// The time that the thread worked: what other programs do in between does not count.
pub(crate) fn time(work: impl Fn(&[u8]), input: &[u8]) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let start = now();
    work(input);
    now() - start
}
