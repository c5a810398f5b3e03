//! Remembered answers ([RFC 2308] §5, [RFC 8767], [RFC 9520])
//!
//! [RFC 2308]: https://www.rfc-editor.org/rfc/rfc2308
//! [RFC 8767]: https://www.rfc-editor.org/rfc/rfc8767
//! [RFC 9520]: https://www.rfc-editor.org/rfc/rfc9520

use crate::{Answer, Config, Name, Question, RecordType};
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Answers until their TTL ends, bounded in number and in octets.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<Key, Entry>,
    /// All keys by their end, the serial number making each pair its own.
    ends: BTreeSet<(Instant, u64)>,
    keys: HashMap<u64, Key>,
    octets: usize,
    serial: u64,
    max_entries: usize,
    max_octets: usize,
    max_ttl: Duration,
    max_negative_ttl: Duration,
    failure_ttl: Duration,
    /// How long answers are kept past their TTL.
    max_stale: Duration,
}

/// A name that does not exist has no records of any type: that is kept once, without a type.
type Key = (Name, Option<RecordType>);

#[derive(Debug)]
struct Entry {
    answer: Answer,
    end: Instant,
    /// Until when it is given although it has ended, without asking anybody.
    stale_until: Option<Instant>,
    serial: u64,
    weight: usize,
}

impl Cache {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            entries: HashMap::new(),
            ends: BTreeSet::new(),
            keys: HashMap::new(),
            octets: 0,
            serial: 0,
            max_entries: config.cache_entries,
            max_octets: config.cache_octets,
            max_ttl: config.max_ttl,
            max_negative_ttl: config.max_negative_ttl.min(config.max_ttl),
            failure_ttl: config.failure_ttl.min(MAX_FAILURE_TTL),
            max_stale: config.serve_stale,
        }
    }

    /// Cuts the TTL of an answer down to what is allowed.
    pub(crate) fn clamp(&self, answer: Answer) -> Answer {
        let limit = match answer {
            Answer::Records(_) => self.max_ttl,
            _ => self.max_negative_ttl,
        };
        let ttl = answer.ttl().min(limit);
        answer.with_ttl(ttl)
    }

    /// Keeps an answer for as long as its TTL says.
    pub(crate) fn insert(&mut self, now: Instant, question: &Question, answer: &Answer) {
        let ttl = match answer {
            Answer::Failure(_) => self.failure_ttl,
            _ => answer.ttl(),
        };
        if ttl.is_zero() || self.max_entries == 0 || answer.is_stale() {
            return;
        }
        let direct = answer.path().is_some_and(|path| path.aliases.is_empty());
        let any_type = matches!(answer, Answer::NxDomain(_)) && direct;
        let key = (question.name.clone(), (!any_type).then_some(question.record_type));
        self.remove(&key);
        let weight = answer.weight() + 2 * question.name.weight() + size_of::<(Key, Entry)>();
        self.serial += 1;
        self.octets += weight;
        self.ends.insert((now + ttl, self.serial));
        self.keys.insert(self.serial, key.clone());
        let entry = Entry {
            answer: answer.clone(),
            end: now + ttl,
            stale_until: None,
            serial: self.serial,
            weight,
        };
        self.entries.insert(key, entry);
        self.expire(now);
        while self.entries.len() > self.max_entries || self.octets > self.max_octets {
            let Some(&(_, serial)) = self.ends.first() else {
                break;
            };
            self.remove_serial(serial);
        }
    }

    /// Looks for an answer that still holds; its TTL is what is left of it.
    pub(crate) fn find(&self, now: Instant, question: &Question) -> Option<Answer> {
        let entry = self.entry(question, |entry| {
            entry.end > now || entry.stale_until.is_some_and(|until| until > now)
        })?;
        let answer = entry.answer.clone();
        Some(
            match entry
                .end
                .checked_duration_since(now)
                .filter(|left| !left.is_zero())
            {
                Some(left) => answer.with_ttl(left),
                None => answer.stale(STALE_TTL),
            },
        )
    }

    /// Looks for an answer that has ended, after nobody could be asked, and gives it for a while without asking again
    /// (RFC 8767 §5).
    pub(crate) fn find_stale(&mut self, now: Instant, question: &Question) -> Option<Answer> {
        if self.max_stale.is_zero() {
            return None;
        }
        let fits = |entry: &Entry| entry.end + self.max_stale > now && entry.answer.failure().is_none();
        let serial = self.entry(question, fits)?.serial;
        let entry = self.entries.get_mut(self.keys.get(&serial)?)?;
        entry.stale_until = Some(now + STALE_TTL);
        Some(entry.answer.clone().stale(STALE_TTL))
    }

    fn entry(&self, question: &Question, fits: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let mut key = (question.name.clone(), None);
        for record_type in [None, Some(question.record_type)] {
            key.1 = record_type;
            if let Some(entry) = self.entries.get(&key).filter(|entry| fits(entry)) {
                return Some(entry);
            }
        }
        None
    }

    /// Forgets all answers.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
        self.keys.clear();
        self.octets = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn expire(&mut self, now: Instant) {
        while let Some(&(end, serial)) = self.ends.first() {
            if end + self.max_stale > now {
                break;
            }
            self.remove_serial(serial);
        }
    }

    fn remove_serial(&mut self, serial: u64) {
        if let Some(key) = self.keys.get(&serial).cloned() {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.ends.remove(&(entry.end, entry.serial));
            self.keys.remove(&entry.serial);
            self.octets -= entry.weight;
        }
    }
}

/// RFC 8767 §4 recommends 30 seconds, for the answer and before the next try.
const STALE_TTL: Duration = Duration::from_secs(30);
/// RFC 2308 §7.1 and RFC 9520 §3.2.
const MAX_FAILURE_TTL: Duration = Duration::from_secs(5 * 60);
