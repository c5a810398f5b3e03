//! How many messages a minute a destination takes.

use crate::Timestamp;

/// A rate that is kept to, and that adapts: it halves each time a destination asks for less although it has one
/// attempt at a time, and grows again with success.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The most that the settings allow, in messages a minute.
    most: Option<f64>,
    /// What is kept to; without bound if nothing is set.
    rate: Option<f64>,
    /// When the next attempt may start, in milliseconds.
    next: f64,
    /// How many began lately: each counts one, and less by and by.
    lately: f64,
    first: Option<Timestamp>,
    last: Timestamp,
}

/// A destination is asked at least once in so many minutes.
const SLOWEST: f64 = 1.0 / 5.0;
/// From here on a rate that no setting bounds is none.
const FREE: f64 = 1200.0;
/// What a success does to the rate.
const GROWTH: f64 = 1.1;
const MINUTE: f64 = 60_000.0;

impl Pace {
    pub(crate) fn new(most: Option<u32>) -> Self {
        let most = most.map(|most| f64::from(most.max(1)));
        Self {
            most,
            rate: most,
            next: 0.0,
            lately: 0.0,
            first: None,
            last: Timestamp::default(),
        }
    }

    /// When the next attempt may start.
    pub(crate) fn next(&self) -> Timestamp {
        match self.rate {
            Some(_) => Timestamp::from_unix_millis(self.next.ceil() as u64),
            None => Timestamp::default(),
        }
    }

    /// Counts an attempt that starts.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.fade(now);
        self.lately += 1.0;
        self.first.get_or_insert(now);
        if let Some(rate) = self.rate {
            self.next = self.next.max(millis(now)) + MINUTE / rate;
        }
    }

    /// The destination asks for less.
    pub(crate) fn slower(&mut self, now: Timestamp) {
        self.fade(now);
        // What a whole minute would have come to at this speed.
        let began = self.first.unwrap_or(now);
        let seen = (now.after(began).as_secs_f64() * 1000.0).max(1000.0);
        let lately = self.lately / (1.0 - (-seen / MINUTE).exp());
        let current = self.rate.map_or(lately, |rate| rate.min(lately));
        let rate = (current / 2.0).max(SLOWEST);
        self.rate = Some(rate);
        self.next = self.next.max(millis(now) + MINUTE / rate);
    }

    /// The destination did well.
    pub(crate) fn faster(&mut self) {
        self.rate = match (self.rate.map(|rate| rate * GROWTH), self.most) {
            (Some(rate), Some(most)) => Some(rate.min(most)),
            (Some(rate), None) => Some(rate).filter(|rate| *rate < FREE),
            (None, most) => most,
        };
    }

    fn fade(&mut self, now: Timestamp) {
        let passed = now.after(self.last).as_secs_f64() * 1000.0;
        self.lately *= (-passed / MINUTE).exp();
        self.last = self.last.max(now);
    }
}

fn millis(at: Timestamp) -> f64 {
    at.unix_millis() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_rate_is_kept_to() {
        let mut pace = Pace::new(Some(30));
        let mut now = START;
        for _ in 0..100 {
            now = now.max(pace.next());
            pace.start(now);
        }
        assert_eq!(now.after(START), Duration::from_secs(99 * 2));
        // What was not used is not saved up.
        now = now + Duration::from_secs(3600);
        pace.start(now);
        assert_eq!(pace.next().after(now), Duration::from_secs(2));
    }

    #[test]
    fn it_halves_when_asked_for_less_and_grows_with_success() {
        let mut pace = Pace::new(None);
        let mut now = START;
        for _ in 0..600 {
            now = now + Duration::from_millis(100);
            pace.start(now);
        }
        assert_eq!(pace.next(), Timestamp::default(), "nothing bounds it");
        pace.slower(now);
        let wait = pace.next().after(now);
        assert!(
            (195..=205).contains(&wait.as_millis()),
            "600 a minute became 300: {wait:?}"
        );
        let mut young = Pace::new(None);
        for n in 0..10 {
            young.start(START + Duration::from_millis(100 * n));
        }
        young.slower(START + Duration::from_secs(1));
        let wait = young.next().after(START + Duration::from_secs(1));
        assert!(
            (190..=210).contains(&wait.as_millis()),
            "so it does after a second: {wait:?}"
        );
        for _ in 0..40 {
            pace.slower(now);
        }
        assert_eq!(pace.next().after(now), Duration::from_secs(300), "the slowest");
        for _ in 0..100 {
            pace.faster();
        }
        assert_eq!(pace.next(), Timestamp::default());
        let mut bounded = Pace::new(Some(60));
        bounded.slower(START);
        for _ in 0..100 {
            bounded.faster();
        }
        let start = START + Duration::from_secs(3600);
        bounded.start(start);
        assert_eq!(
            bounded.next().after(start),
            Duration::from_secs(1),
            "never above its bound"
        );
    }
}
