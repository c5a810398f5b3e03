//! How fast a message comes in: who sends an octet now and then must not hold a connection for ever

use std::time::{Duration, Instant};

/// The octets of a message and the time they took.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    octets: u64,
}

impl Pace {
    /// Takes note that the message is waited for.
    pub(super) fn waits(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Takes note of octets that came.
    pub(super) fn took(&mut self, octets: usize) {
        self.octets += octets as u64;
    }

    /// When the message is too slow, with `unread` octets that came as well: past the `grace`, on an average below
    /// `rate` octets in a second. `None` if it never is.
    pub(super) fn end(&self, unread: usize, grace: Duration, rate: u64) -> Option<Instant> {
        let earned = (self.octets + unread as u64).checked_div(rate)?;
        self.since?
            .checked_add(grace)?
            .checked_add(Duration::from_secs(earned))
    }
}
