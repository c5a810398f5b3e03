use crate::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How the queue paces, how long it tries, and how much it holds in memory.
///
/// With the defaults the attempts of one message lie about 0, 5, 20, 50, 110 and 230 minutes after its arrival,
/// and four hours apart in the end: early enough behind the five minutes most greylists ask for, and never
/// before them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The waits behind the first failed attempt of a recipient, the second, and so on; the last one repeats.
    /// Default 5, 15 and 30 minutes, 1, 2 and 4 hours. RFC 5321 §4.5.4.1 asks for 30 minutes at least, but most
    /// first deferrals are greylisting, which is over sooner. If there is none, it is 30 minutes.
    pub retry: Vec<Duration>,
    /// The largest random addition to a wait, as a share of it, 0 to 1. Default 0.1. It only ever adds, so
    /// that no retry comes too early for a greylist.
    pub retry_jitter: f64,
    /// How long after its arrival a message is given up. Default 5 days; RFC 5321 §4.5.4.1 asks for at
    /// least 4 to 5 days.
    pub expire_after: Duration,
    /// How long after its arrival the sender is told once of a recipient still waiting; `None` for never.
    /// Default 4 hours.
    pub warn_after: Option<Duration>,
    /// How many attempts may run at the same time. Default 100.
    pub max_attempts: usize,
    /// How many attempts one destination starts with. Default 5.
    pub destination_start: usize,
    /// How many attempts one destination may grow to. Default 20.
    pub destination_max: usize,
    /// How many messages a minute one destination gets at most. Default without bound. Below it the rate adapts: it
    /// halves when a destination asks for less although it has one attempt at a time, and grows with success.
    pub destination_rate: Option<u32>,
    /// What holds for some destinations in place of the three settings above, by their names in lower case.
    pub destinations: BTreeMap<String, Pacing>,
    /// How long a destination rests after it could not be reached at all; doubles while that lasts.
    /// Default 1 minute.
    pub pause_first: Duration,
    /// The longest rest. Default 10 minutes.
    pub pause_max: Duration,
    /// How many recipients one attempt carries at most; the rest follow when it is over. Default 100,
    /// which every server must take (RFC 5321 §4.5.3.1.8).
    pub attempt_recipients: usize,
    /// How many recipients are held in memory; the messages due soonest are preferred, and the others are
    /// read again from the spool when their time comes. Default 50,000 (some 110 MB). A single message with
    /// more is held all the same, alone.
    pub memory_recipients: usize,
    /// How many records the driver is asked to read at once. Default 500.
    pub page: usize,
    /// How soon the spool may be read again for what was left out because its destination has more than
    /// its share of memory (a quarter) waiting already. Default 30 seconds.
    pub reread_after: Duration,
}

/// How much one destination gets at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pacing {
    /// How many attempts it starts with.
    pub start: usize,
    /// How many attempts it may grow to.
    pub max: usize,
    /// How many messages a minute it gets at most.
    pub rate: Option<u32>,
}

impl Pacing {
    /// Joins the three.
    pub fn new(start: usize, max: usize, rate: Option<u32>) -> Self {
        Self { start, max, rate }
    }
}

impl Default for Config {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            retry: [5, 15, 30, 60, 120, 240].map(minutes).to_vec(),
            retry_jitter: 0.1,
            expire_after: Duration::from_secs(5 * 24 * 3600),
            warn_after: Some(Duration::from_secs(4 * 3600)),
            max_attempts: 100,
            destination_start: 5,
            destination_max: 20,
            destination_rate: None,
            destinations: BTreeMap::new(),
            pause_first: Duration::from_secs(60),
            pause_max: Duration::from_secs(10 * 60),
            attempt_recipients: 100,
            memory_recipients: 50_000,
            page: 500,
            reread_after: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// When a message that came at `arrival` is given up.
    pub fn expires(&self, arrival: Timestamp) -> Timestamp {
        arrival + self.expire_after
    }

    /// The wait after the `attempts`-th failure, for a random `dice` in 0..1.
    pub fn backoff(&self, attempts: u32, dice: f64) -> Duration {
        let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.retry.get(step).or(self.retry.last());
        let wait = wait.copied().unwrap_or(Duration::from_secs(30 * 60));
        let share = self.retry_jitter.clamp(0.0, 1.0) * dice.clamp(0.0, 1.0);
        let jitter = Duration::try_from_secs_f64(wait.as_secs_f64() * share).unwrap_or_default();
        wait.saturating_add(jitter)
    }

    /// What holds for a destination.
    pub(crate) fn pacing(&self, name: &str) -> Pacing {
        self.destinations.get(name).copied().unwrap_or(Pacing {
            start: self.destination_start,
            max: self.destination_max,
            rate: self.destination_rate,
        })
    }

    /// How long a destination rests after it could not be reached `failures` times in a row.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.pause_first
            .saturating_mul(1 << doublings)
            .min(self.pause_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wait_repeats() {
        let config = Config::default();
        let minutes: Vec<u64> = (1..=7).map(|n| config.backoff(n, 0.0).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 15, 30, 60, 120, 240, 240]);
        assert_eq!(config.backoff(u32::MAX, 0.0), Duration::from_secs(4 * 3600));
        assert_eq!(config.backoff(1, 1.0), Duration::from_secs(330));
    }

    #[test]
    fn no_setting_makes_a_wait_shorter() {
        let mut config = Config::default();
        for jitter in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            config.retry_jitter = jitter;
            assert!(config.backoff(1, 0.5) >= Duration::from_secs(300), "{jitter}");
            assert!(config.backoff(1, 0.5) <= Duration::from_secs(600), "{jitter}");
        }
        config.retry = vec![Duration::MAX];
        assert_eq!(config.backoff(1, 1.0), Duration::MAX);
        config.retry.clear();
        assert_eq!(config.backoff(9, 0.0), Duration::from_secs(1800));
    }

    #[test]
    fn pauses_double_to_their_longest() {
        let config = Config::default();
        let minutes: Vec<u64> = (1..=6).map(|n| config.pause(n).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 10, 10]);
        assert_eq!(config.pause(u32::MAX), config.pause_max);
    }
}
