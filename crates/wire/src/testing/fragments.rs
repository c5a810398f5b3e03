use super::Fixture;
use super::run::{End, Run};
use crate::Machine;
use std::collections::VecDeque;
use std::fmt::Display;
use std::time::Duration;

/// One thing that happens to a machine under test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // what a transport can do
pub enum Input {
    /// Octets arrive.
    Bytes(Vec<u8>),
    /// The handshake happens, if the machine asks for one at this moment.
    Tls,
    /// Time passes.
    Wait(Duration),
    /// The peer ends its side.
    Eof,
}

/// All that a machine did: what must not depend on how the input was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// The events, bodies joined.
    pub events: Vec<String>,
    /// The octets sent.
    pub sent: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// Runs a machine over `input` in one way of cutting: pieces of at most the sizes that `cut` says, and
/// writes of at most `write_size` octets. Questions get the fixture's default answers.
pub fn trace<F: Fixture>(
    fixture: F,
    input: &[Input],
    cut: &mut dyn FnMut() -> usize,
    write_size: usize,
) -> Trace
where
    <F::Machine as Machine>::Error: Display,
{
    let mut run = Run::start(fixture, write_size);
    let answers = &mut VecDeque::new();
    run.pump(answers);
    for what in input {
        match what {
            Input::Bytes(bytes) => run.feed(bytes, cut, answers),
            Input::Tls => drop(run.tls(answers)),
            Input::Wait(time) => run.wait(*time, answers),
            Input::Eof => run.end_of_input(answers),
        }
    }
    Trace {
        events: run.take_log(),
        sent: run.take_sent(),
        end: run.end().clone(),
    }
}

/// Checks the property that all machines keep: however the input is cut, the machine does the same.
///
/// Returns what it did.
///
/// # Panics
///
/// Panics if two ways of cutting give different traces.
pub fn every_fragmentation<F: Fixture>(mut fixture: impl FnMut() -> F, input: &[Input]) -> Trace
where
    <F::Machine as Machine>::Error: Display,
{
    let whole = trace(fixture(), input, &mut || usize::MAX, usize::MAX);
    let longest = input
        .iter()
        .map(|i| if let Input::Bytes(b) = i { b.len() } else { 0 })
        .max()
        .unwrap_or(0);
    for way in ways_to_cut(longest) {
        let (mut cut, write_size) = way.cutter();
        let other = trace(fixture(), input, &mut cut, write_size);
        assert!(
            whole == other,
            "{way:?} makes a difference\n whole: {whole:#?}\n other: {other:#?}"
        );
    }
    whole
}

/// A way to cut input into pieces, and output into writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Every(usize),
    Random(u64),
}

/// Every small size, some larger ones up to the whole, and a few irregular ways.
pub(super) fn ways_to_cut(longest: usize) -> impl Iterator<Item = Way> {
    let small = (1..=longest.min(16)).map(Way::Every);
    let large = (5..24)
        .map(|n| (1usize << n) - 1)
        .take_while(move |n| *n < longest)
        .map(Way::Every);
    small
        .chain(large)
        .chain([Way::Every(usize::MAX)])
        .chain((1..=4).map(Way::Random))
}

impl Way {
    pub(super) fn cutter(self) -> (impl FnMut() -> usize, usize) {
        let (mut state, every) = match self {
            Self::Every(n) => (0, n),
            Self::Random(seed) => (seed, 0),
        };
        let cut = move || {
            if every > 0 {
                return every;
            }
            // A small linear congruential generator: repeatable, and good enough to cut with.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            match (state >> 33) % 64 {
                0..32 => 1 + (state >> 40) as usize % 3,
                n => n as usize,
            }
        };
        (cut, if every == 0 { 3 } else { every })
    }
}
