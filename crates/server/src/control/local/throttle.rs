//! How much each user of this machine may hand in

use crate::config::RateLimits;
use mailwright_filter::rate::Limiter;
use std::time::Instant;

/// Counts messages and recipients by user, as those of accounts are counted.
#[derive(Debug)]
pub(super) struct Throttle {
    /// What they were made of.
    rates: RateLimits,
    /// By the hour and by the day.
    messages: [Option<Limiter<u32>>; 2],
    recipients: [Option<Limiter<u32>>; 2],
}

impl Throttle {
    pub(super) fn new(rates: &RateLimits) -> Self {
        let limiter = |rate| Some(Limiter::new(rate?, rates.entries));
        Self {
            messages: [rates.messages_per_account, rates.messages_per_account_daily].map(limiter),
            recipients: [rates.recipients_per_account, rates.recipients_per_account_daily].map(limiter),
            rates: rates.clone(),
        }
    }

    /// Counts a message of a user; `false`, and nothing is counted, if it is one too many. With other rates than before all
    /// counts begin anew.
    pub(super) fn take(&mut self, rates: &RateLimits, user: u32, recipients: usize, now: Instant) -> bool {
        if self.rates != *rates {
            *self = Self::new(rates);
        }
        let recipients = u32::try_from(recipients).unwrap_or(u32::MAX);
        let mut all: Vec<(&mut Limiter<u32>, u32)> = Vec::with_capacity(4);
        all.extend(self.messages.iter_mut().flatten().map(|limiter| (limiter, 1)));
        all.extend(
            self.recipients
                .iter_mut()
                .flatten()
                .map(|limiter| (limiter, recipients)),
        );
        for at in 0..all.len() {
            let (limiter, tokens) = &mut all[at];
            if limiter.take(user, *tokens, now).is_err() {
                for (limiter, tokens) in &mut all[..at] {
                    limiter.give_back(&user, *tokens, now);
                }
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailwright_filter::rate::Rate;
    use std::time::Duration;

    #[test]
    fn each_user_is_counted_alone_and_a_refusal_costs_nothing() {
        let hour = Duration::from_secs(3600);
        let mut rates = RateLimits {
            messages_per_account: Some(Rate::new(3, hour)),
            recipients_per_account: Some(Rate::new(10, hour)),
            ..RateLimits::default()
        };
        let (mut throttle, now) = (Throttle::new(&rates), Instant::now());
        assert!(throttle.take(&rates, 1, 8, now));
        // Too many recipients; as a message it does not count then.
        assert!(!throttle.take(&rates, 1, 3, now));
        assert!(throttle.take(&rates, 1, 1, now) && throttle.take(&rates, 1, 1, now));
        assert!(!throttle.take(&rates, 1, 0, now), "a fourth message");
        assert!(throttle.take(&rates, 2, 10, now), "another user");
        assert!(throttle.take(&rates, 1, 1, now + 2 * hour), "later");
        rates.messages_per_account = None;
        rates.recipients_per_account = None;
        assert!((0..100).all(|_| throttle.take(&rates, 3, 10, now)));
    }
}
