//! A spool, a clock and a network for the queue, all simulated.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)] // each test file uses its part of this

use bytes::Bytes;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_queue::*;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

pub const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

pub fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// A message from alice@a.test, or from `<>`.
pub fn message(config: &Config, arrival: Timestamp, sender: Option<&str>, recipients: &[&str]) -> Record {
    let reverse_path = sender.map_or(ReversePath::Null, |s| ReversePath::Address(address(s)));
    let mut record = Record::new("4a1b", reverse_path, arrival, config.expires(arrival));
    for recipient in recipients {
        record.add_recipient(address(recipient));
    }
    record
}

pub fn temporary() -> Outcome {
    Outcome::Temporary(Diagnosis::remote(
        Status::new(4, 7, 1).unwrap(),
        "mx.b.test",
        "450 4.7.1 greylisted",
    ))
}

pub fn permanent() -> Outcome {
    Outcome::Permanent(Diagnosis::remote(
        Status::new(5, 1, 1).unwrap(),
        "mx.b.test",
        "550 5.1.1 no such user",
    ))
}

pub const DELIVERED: Outcome = Outcome::Delivered(Handover::Relay);

/// The same outcome for every recipient of an attempt.
pub fn all(attempt: &Attempt, outcome: Outcome, health: Health) -> Report {
    Report::new(vec![outcome; attempt.recipients().len()], health)
}

/// What the sender called a recipient, who may have been redirected.
pub fn name(original: Option<&OriginalRecipient>, address: &EmailAddress) -> String {
    original.map_or_else(|| address.to_string(), |original| original.address.to_string())
}

/// Everything around a queue.
pub struct World {
    pub queue: Queue,
    pub now: Timestamp,
    pub spool: BTreeMap<Key, Bytes>,
    next_key: u64,
    running: Vec<(Timestamp, Attempt)>,
    /// Updates handed out whose commit is not done, and when it will be.
    commits: Vec<(Timestamp, Update)>,
    /// How long an attempt and a commit take.
    pub attempt_takes: Duration,
    pub commit_takes: Duration,
    pub dsns: Vec<(Timestamp, DsnRequest)>,
    pub unreported: Vec<DsnRecipient>,
    /// Each attempt: seconds since the start, destination, recipients.
    pub attempts: Vec<(u64, String, Vec<String>)>,
    pub delivered: Vec<String>,
    pub most_running: usize,
    /// Turns of the pump; a queue that spins shows here.
    pub turns: u64,
}

impl World {
    pub fn new(config: Config) -> Self {
        Self {
            queue: Queue::new(config, 7),
            now: START,
            spool: BTreeMap::new(),
            next_key: 1,
            running: vec![],
            commits: vec![],
            attempt_takes: Duration::ZERO,
            commit_takes: Duration::ZERO,
            dsns: vec![],
            unreported: vec![],
            attempts: vec![],
            delivered: vec![],
            most_running: 0,
            turns: 0,
        }
    }

    pub fn config(&self) -> Config {
        self.queue.config().clone()
    }

    pub fn send(&mut self, sender: Option<&str>, recipients: &[&str]) -> Key {
        let record = message(self.queue.config(), self.now, sender, recipients);
        self.put(record)
    }

    pub fn put(&mut self, record: Record) -> Key {
        let key = Key::new(self.next_key);
        self.next_key += 1;
        self.spool.insert(key, record.encode());
        self.queue.arrived();
        key
    }

    /// The process dies and starts again: what was running or not yet committed is lost.
    pub fn crash(&mut self) {
        self.queue = Queue::new(self.config(), 8);
        self.running.clear();
        self.commits.clear();
    }

    /// Runs until `until`; `network` says how each attempt ends.
    pub fn run(&mut self, until: Timestamp, network: &mut dyn FnMut(&Attempt, Timestamp) -> Report) {
        loop {
            self.turn();
            self.pump();
            self.end_attempts(network);
            self.end_commits();
            let moments = [
                self.queue.deadline(),
                self.running.iter().map(|(at, _)| *at).min(),
                self.commits.iter().map(|(at, _)| *at).min(),
            ];
            match moments.into_iter().flatten().min() {
                Some(next) if next <= until => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = until;
    }

    fn turn(&mut self) {
        self.turns += 1;
        assert!(self.turns < 20_000, "the queue spins");
    }

    /// Everything the queue has to do at this moment.
    fn pump(&mut self) {
        while let Some(page) = self.queue.next_page(self.now) {
            self.turn();
            let records: Vec<_> = self
                .spool
                .iter()
                .filter(|(key, _)| page.after.is_none_or(|after| **key > after))
                .take(page.limit)
                .map(|(key, data)| (*key, data.clone()))
                .collect();
            assert!(self.queue.loaded(self.now, page, records).is_empty());
        }
        while let Some(attempt) = self.queue.due(self.now) {
            self.turn();
            let recipients: Vec<_> = attempt.recipients().map(|r| r.address.to_string()).collect();
            assert!(!recipients.is_empty());
            let destination = attempt.destination().to_string();
            self.attempts
                .push((self.now.after(START).as_secs(), destination, recipients));
            self.running.push((self.now + self.attempt_takes, attempt));
        }
        self.most_running = self.most_running.max(self.running.len());
        assert_eq!(self.queue.active(), self.running.len());
        let pairs: HashSet<_> = self
            .running
            .iter()
            .map(|(_, a)| (a.key(), a.destination().to_string().to_lowercase()))
            .collect();
        assert_eq!(
            pairs.len(),
            self.running.len(),
            "one at a time per message and domain"
        );
        while let Some(update) = self.queue.poll_update(self.now) {
            assert!(
                self.commits.iter().all(|(_, other)| other.key != update.key),
                "one commit per message at a time"
            );
            self.commits.push((self.now + self.commit_takes, update));
        }
    }

    fn end_attempts(&mut self, network: &mut dyn FnMut(&Attempt, Timestamp) -> Report) {
        let now = self.now;
        for (_, attempt) in self.running.extract_if(.., |(at, _)| *at <= now) {
            let report = network(&attempt, now);
            for (recipient, outcome) in attempt.recipients().zip(&report.outcomes) {
                if matches!(outcome, Some(Outcome::Delivered(_))) {
                    self.delivered
                        .push(name(recipient.original.as_ref(), &recipient.address));
                }
            }
            self.queue.finished(now, attempt, report);
        }
    }

    fn end_commits(&mut self) {
        let now = self.now;
        for (_, update) in self.commits.extract_if(.., |(at, _)| *at <= now) {
            match update.change {
                Change::Replace(data) => {
                    let old = self.spool.insert(update.key, data);
                    assert!(old.is_some(), "replaces what is there");
                }
                Change::Remove => assert!(self.spool.remove(&update.key).is_some(), "removes what is there"),
            }
            self.dsns.extend(update.dsn.map(|dsn| (now, dsn)));
            self.unreported.extend(update.unreported);
            self.queue.committed(now, update.key);
        }
    }

    /// Takes a message into memory, as for an operator.
    pub fn fetch(&mut self, key: Key) {
        let fetch = self.queue.fetch(key);
        let data = self.spool.get(&key).cloned();
        let known = self.queue.fetched(self.now, fetch, data.as_deref());
        assert_eq!(known.unwrap(), self.queue.record(key).is_some());
    }

    /// Changes a message by hand, be it in memory or not.
    pub fn edit(&mut self, key: Key, edit: &Edit) -> Option<Edited> {
        self.fetch(key);
        self.queue.edit(self.now, key, edit)
    }

    /// The names of the recipients of a message that is in the spool.
    pub fn names(&self, key: Key) -> Vec<String> {
        let record = self.spool.get(&key).map(|data| Record::decode(data).unwrap());
        let recipients = record.into_iter().flat_map(|record| record.recipients);
        recipients
            .map(|r| name(r.original.as_ref(), &r.address))
            .collect()
    }

    pub fn record(&self, key: Key) -> Record {
        Record::decode(&self.spool[&key]).unwrap()
    }

    /// When the attempts were, in minutes since the start.
    pub fn minutes(&self) -> Vec<u64> {
        self.attempts.iter().map(|(at, _, _)| at / 60).collect()
    }
}
