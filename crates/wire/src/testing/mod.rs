//! Tools to test machines with: transcripts, every fragmentation, two machines joined in memory.
//!
//! A [`Fixture`] tells the tools how to build one kind of machine, how to print its events and how to apply
//! an answer that a transcript names. Everything else is shared.

mod fragments;
mod pair;
mod run;
mod transcript;

pub use fragments::{Input, Trace, every_fragmentation, trace};
pub use pair::{Pair, Stuck, Turn};
pub use run::End;
pub use transcript::{Role, run_transcript};

use crate::Machine;
use bytes::Bytes;
use std::time::Instant;

/// How a machine under test is made, watched and answered.
pub trait Fixture {
    /// The machine under test.
    type Machine: Machine;

    /// Where simulated time starts: any moment of the test's own clock, which this crate does not read.
    fn origin(&self) -> Instant;

    /// Makes the machine; called once for each run, on a fresh fixture, with `now` at the origin.
    fn start(&mut self, now: Instant) -> Self::Machine;

    /// Takes an event and says how it is to be written down. Questions are answered later.
    fn event(&mut self, machine: &mut Self::Machine, event: <Self::Machine as Machine>::Event) -> Seen;

    /// Applies an answer (`A:`) or an action (`DO:`) of a transcript.
    ///
    /// # Panics
    ///
    /// Implementations panic on text they do not know: a transcript must not be misread.
    fn answer(&mut self, machine: &mut Self::Machine, text: &str);

    /// Answers the pending question when a transcript does not say how.
    fn default_answer(&mut self, machine: &mut Self::Machine);

    /// Tells the machine that TLS was started.
    fn tls_started(&mut self, machine: &mut Self::Machine);
}

/// How an event is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // a line or a part of a body
pub enum Seen {
    /// One line of text, compared as it is.
    Line(String),
    /// A piece of a body; consecutive pieces are joined before they are compared.
    Body(Bytes),
}
