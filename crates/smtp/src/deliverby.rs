//! DELIVERBY: a time by which a message should have arrived (RFC 2852)

use crate::number::decimal;
use std::fmt;

/// The value of `BY` on MAIL (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: Mode,
    trace: bool,
}

/// What happens when the time is over (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 2852 §4 has two
pub enum Mode {
    /// `N`: the sender is told of the delay, and delivery goes on.
    Notify,
    /// `R`: the message is returned.
    Return,
}

impl DeliverBy {
    /// The largest number of seconds, in both directions: 31 years.
    pub const MAX_SECONDS: i32 = 999_999_999;

    /// Makes one. `None` if `seconds` is beyond [`MAX_SECONDS`](Self::MAX_SECONDS), or if it is not positive
    /// and the message is to be returned. `trace` asks for a report of each relay.
    pub fn new(seconds: i32, mode: Mode, trace: bool) -> Option<Self> {
        let possible = mode == Mode::Notify || seconds > 0;
        let fits = seconds.unsigned_abs() <= Self::MAX_SECONDS.unsigned_abs();
        (possible && fits).then_some(Self { seconds, mode, trace })
    }

    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (time, mode) = value.split_once(';')?;
        let (negative, digits) = match time.strip_prefix(['-', '+']) {
            Some(digits) => (time.starts_with('-'), digits),
            None => (false, time),
        };
        let seconds = i32::try_from(decimal(digits, 9)?).ok()?;
        let (mode, trace) = match () {
            () if mode.eq_ignore_ascii_case("N") => (Mode::Notify, false),
            () if mode.eq_ignore_ascii_case("R") => (Mode::Return, false),
            () if mode.eq_ignore_ascii_case("NT") => (Mode::Notify, true),
            () if mode.eq_ignore_ascii_case("RT") => (Mode::Return, true),
            () => return None,
        };
        Self::new(if negative { -seconds } else { seconds }, mode, trace)
    }

    /// Seconds from the moment MAIL was received; zero or less if the time was over before.
    pub fn seconds(self) -> i32 {
        self.seconds
    }

    /// What happens when the time is over.
    pub fn mode(self) -> Mode {
        self.mode
    }

    /// Whether each relay is to be reported.
    pub fn trace(self) -> bool {
        self.trace
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Notify => "N",
            Mode::Return => "R",
        };
        let trace = if self.trace { "T" } else { "" };
        write!(f, "{};{mode}{trace}", self.seconds)
    }
}
