//! Token buckets by key: how often something may happen
//!
//! A bucket holds tokens up to its size and fills at an even rate; each event takes one. The table holds a bounded number
//! of buckets: full ones are forgotten first, which changes nothing, and then those that were used longest ago.

use core::hash::Hash;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// How often: so many events in a span of time, and so many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// Events in a span; also the size of a bucket.
    pub events: u32,
    /// The span.
    pub per: Duration,
}

impl Rate {
    /// So many events in a span; at least one, in at least a millisecond.
    pub fn new(events: u32, per: Duration) -> Self {
        Self {
            events: events.max(1),
            per: per.max(Duration::from_millis(1)),
        }
    }

    /// How long one token takes to come.
    fn interval(self) -> Duration {
        self.per / self.events.max(1)
    }
}

/// Buckets by key.
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    capacity: usize,
    /// When the bucket of a key is full again, and its place in the order of use.
    buckets: HashMap<K, Bucket>,
    /// Who was used when, the oldest first.
    order: BTreeMap<u64, K>,
    serial: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: Instant,
    used: u64,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// A table of at most `capacity` buckets (at least 1), each with the same rate.
    pub fn new(rate: Rate, capacity: usize) -> Self {
        Self {
            rate,
            capacity: capacity.max(1),
            buckets: HashMap::new(),
            order: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Takes `tokens` out of the bucket of a key. More than the bucket can ever hold are taken once it is full.
    ///
    /// # Errors
    ///
    /// How long it takes until there are enough; nothing was taken then.
    pub fn take(&mut self, key: K, tokens: u32, now: Instant) -> Result<(), Duration> {
        let interval = self.rate.interval();
        let cost = interval.saturating_mul(tokens.min(self.rate.events));
        let full_at = self
            .buckets
            .get(&key)
            .map_or(now, |bucket| bucket.full_at.max(now));
        let after = full_at + cost;
        // The time until a bucket is full is what was taken from it.
        let most = interval * self.rate.events;
        if let Some(wait) = (after - now).checked_sub(most).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        self.put(key, after, now);
        Ok(())
    }

    /// Whether the bucket of a key has a token, and how long it takes until it does.
    ///
    /// # Errors
    ///
    /// How long it takes until it does.
    pub fn check(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let interval = self.rate.interval();
        let full_at = self
            .buckets
            .get(key)
            .map_or(now, |bucket| bucket.full_at.max(now));
        let after = full_at + interval;
        match (after - now).checked_sub(interval * self.rate.events) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(()),
        }
    }

    /// How many tokens are missing from the bucket of a key, those that have begun to come back included.
    pub fn taken(&self, key: &K, now: Instant) -> u32 {
        let missing = self.buckets.get(key).map_or(Duration::ZERO, |bucket| {
            bucket.full_at.saturating_duration_since(now)
        });
        let interval = self.rate.interval().as_nanos().max(1);
        u32::try_from(missing.as_nanos().div_ceil(interval)).unwrap_or(u32::MAX)
    }

    /// Puts tokens back into the bucket of a key, as far as they are missing.
    pub fn give_back(&mut self, key: &K, tokens: u32, now: Instant) {
        let worth = self.rate.interval().saturating_mul(tokens);
        let Some(bucket) = self.buckets.get_mut(key) else {
            return;
        };
        match bucket.full_at.checked_sub(worth).filter(|full_at| *full_at > now) {
            Some(full_at) => bucket.full_at = full_at,
            None => {
                let used = bucket.used;
                self.order.remove(&used);
                self.buckets.remove(key);
            }
        }
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    fn put(&mut self, key: K, full_at: Instant, now: Instant) {
        self.serial += 1;
        let bucket = Bucket {
            full_at,
            used: self.serial,
        };
        if let Some(old) = self.buckets.insert(key.clone(), bucket) {
            self.order.remove(&old.used);
        }
        self.order.insert(self.serial, key);
        // Some of the oldest at a time, so that no call takes long.
        for _ in 0..2 {
            let Some((used, oldest)) = self.order.first_key_value() else {
                break;
            };
            let is_full = self
                .buckets
                .get(oldest)
                .is_none_or(|bucket| bucket.full_at <= now);
            if !is_full && self.buckets.len() <= self.capacity {
                break;
            }
            let (used, oldest) = (*used, oldest.clone());
            self.buckets.remove(&oldest);
            self.order.remove(&used);
        }
    }
}
