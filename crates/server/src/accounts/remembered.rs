//! Passwords that were checked a moment ago
//!
//! A client that reconnects ten times a second, with the right password or with one that was changed, costs one hash.
//! What is kept is a keyed hash of the account, its stored hash and the password, with a key that lives as long as the
//! process: a password that was changed has another stored hash, and is not found.

use crate::random::entropy;
use mailwright_sasl::Secret;
use ring::hmac;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The outcomes of checks.
#[derive(Debug)]
pub(super) struct Remembered {
    key: hmac::Key,
    keep: Duration,
    capacity: usize,
    outcomes: HashMap<Mark, (bool, Instant)>,
    /// In the order of their ends.
    order: VecDeque<(Instant, Mark)>,
}

/// Stands for a password of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 16]);

impl Remembered {
    /// Remembers so many outcomes for so long.
    pub(super) fn new(keep: Duration, capacity: usize) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &entropy::<32>()),
            keep,
            capacity,
            outcomes: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// What stands for a password that is checked against a hash.
    pub(super) fn mark(&self, account: &str, hash: &str, password: &Secret) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [account.as_bytes(), hash.as_bytes(), password.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mark = [0; 16];
        mark.copy_from_slice(&context.sign().as_ref()[..16]);
        Mark(mark)
    }

    /// What came of the check, if it was a moment ago.
    pub(super) fn outcome(&self, mark: Mark, now: Instant) -> Option<bool> {
        let (right, until) = self.outcomes.get(&mark)?;
        (*until > now).then_some(*right)
    }

    /// Remembers what came of a check.
    pub(super) fn put(&mut self, mark: Mark, right: bool, now: Instant) {
        while let Some((until, oldest)) = self.order.front().copied() {
            if until > now && self.order.len() < self.capacity {
                break;
            }
            self.order.pop_front();
            // It may have been put again since.
            if self.outcomes.get(&oldest).is_some_and(|(_, end)| *end == until) {
                self.outcomes.remove(&oldest);
            }
        }
        if self.keep.is_zero() {
            return;
        }
        let until = now + self.keep;
        self.outcomes.insert(mark, (right, until));
        self.order.push_back((until, mark));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_remembered_for_a_while_and_bounded() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = Remembered::new(Duration::from_secs(10), 3);
        let marks = ["a", "b", "c", "d"].map(|name| known.mark(name, "hash", &Secret::from("p")));
        known.put(marks[0], true, at(0));
        known.put(marks[1], false, at(1));
        assert_eq!(known.outcome(marks[0], at(9)), Some(true));
        assert_eq!(known.outcome(marks[1], at(9)), Some(false));
        assert_eq!(known.outcome(marks[0], at(10)), None);
        assert_eq!(known.outcome(marks[2], at(9)), None);
        known.put(marks[2], true, at(2));
        known.put(marks[3], true, at(3));
        assert_eq!(known.outcome(marks[0], at(4)), None, "there is room for three");
        assert_eq!(known.outcome(marks[3], at(4)), Some(true));
        known.put(marks[3], true, at(30));
        assert_eq!((known.outcomes.len(), known.order.len()), (1, 1));
    }

    #[test]
    fn another_password_account_or_hash_is_another_mark() {
        let known = Remembered::new(Duration::from_secs(10), 3);
        let mark = |account, hash, password: &str| known.mark(account, hash, &Secret::from(password));
        let one = mark("a@b", "h", "secret");
        assert_eq!(one, mark("a@b", "h", "secret"));
        for other in [
            mark("a@c", "h", "secret"),
            mark("a@b", "i", "secret"),
            mark("a@b", "h", "secrets"),
            mark("a@bh", "", "secret"),
        ] {
            assert_ne!(one, other);
        }
        let elsewhere = Remembered::new(Duration::from_secs(10), 3);
        assert_ne!(one, elsewhere.mark("a@b", "h", &Secret::from("secret")));
    }
}
