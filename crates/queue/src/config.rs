use crate::Timestamp;
use std::time::Duration;

/// How the queue paces, how long it tries, and how much it holds in memory.
///
/// The back-off of a recipient after its n-th failed attempt is `retry_first` × `retry_factor`ⁿ⁻¹, at most
/// `retry_max`, plus a random share of up to `retry_jitter` of that. With the defaults the attempts of one
/// message lie about 0, 5, 13, 24, 41 and 66 minutes after its arrival, and four hours apart in the end:
/// early enough behind the five minutes most greylists ask for, and never before them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The wait after the first failure. Default 5 minutes. RFC 5321 §4.5.4.1 asks for 30 minutes at least,
    /// "except when the client knows why": nearly all first deferrals of today are greylisting.
    pub retry_first: Duration,
    /// What each further wait is multiplied by; at least 1. Default 1.5.
    pub retry_factor: f64,
    /// The longest wait. Default 4 hours.
    pub retry_max: Duration,
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
    /// How long a destination rests after it could not be reached at all; doubles while that lasts.
    /// Default 1 minute.
    pub pause_first: Duration,
    /// The longest rest. Default 10 minutes.
    pub pause_max: Duration,
    /// How many recipients one attempt carries at most; the rest follow when it is over. Default 100,
    /// which every server must take (RFC 5321 §4.5.3.1.8).
    pub attempt_recipients: usize,
    /// How many recipients are held in memory; the messages due soonest are preferred, and the others are
    /// read again from the spool when their time comes. Default 50,000 (some 30 MB). A single message with
    /// more is held all the same, alone.
    pub memory_recipients: usize,
    /// How many records the driver is asked to read at once. Default 500.
    pub page: usize,
    /// How soon the spool may be read again for what was left out because its destination has more than
    /// its share of memory (a quarter) waiting already. Default 30 seconds.
    pub reread_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_secs(5 * 60),
            retry_factor: 1.5,
            retry_max: Duration::from_secs(4 * 3600),
            retry_jitter: 0.1,
            expire_after: Duration::from_secs(5 * 24 * 3600),
            warn_after: Some(Duration::from_secs(4 * 3600)),
            max_attempts: 100,
            destination_start: 5,
            destination_max: 20,
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
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.retry_max.max(self.retry_first).as_secs_f64();
        let wait = self.retry_first.as_secs_f64() * self.retry_factor.max(1.0).powi(exponent);
        // `min` also takes the place of an infinite or undefined product.
        let wait = wait.min(longest);
        let jitter = wait * self.retry_jitter.clamp(0.0, 1.0) * dice.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(wait + jitter).unwrap_or(self.retry_max)
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
    fn waits_grow_to_the_longest_and_stay() {
        let config = Config::default();
        let minutes: Vec<u64> = (1..=6).map(|n| config.backoff(n, 0.0).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 7, 11, 16, 25, 37]);
        for attempts in [20, 1000, u32::MAX] {
            assert_eq!(config.backoff(attempts, 0.0), config.retry_max);
            assert_eq!(config.backoff(attempts, 1.0), config.retry_max.mul_f64(1.1));
        }
        assert!(config.backoff(0, 0.0) >= config.retry_first);
    }

    #[test]
    fn no_setting_makes_a_wait_shorter_than_the_first() {
        for factor in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let config = Config {
                retry_factor: factor,
                retry_jitter: f64::NAN,
                ..Config::default()
            };
            for attempts in [1, 2, 100] {
                assert!(
                    config.backoff(attempts, 0.5) >= config.retry_first,
                    "{factor} {attempts}"
                );
            }
        }
    }

    #[test]
    fn pauses_double_to_their_longest() {
        let config = Config::default();
        let minutes: Vec<u64> = (1..=6).map(|n| config.pause(n).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 10, 10]);
        assert_eq!(config.pause(u32::MAX), config.pause_max);
    }
}
