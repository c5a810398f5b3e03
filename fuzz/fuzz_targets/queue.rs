//! Records of the queue and the queue that has them in memory: any octets for a record, and whatever may happen to it, in
//! any order.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_queue::{
    Attempt, Change, Config, Diagnosis, Edit, Handover, Health, Key, Outcome, Queue, Record, Report, Status,
    Timestamp,
};

fuzz_target!(|data: &[u8]| {
    let (happenings, octets) = data.split_at(data.len() / 2);
    for octets in [data, octets] {
        if let Ok(record) = Record::decode(octets) {
            of_record(&record);
        }
    }
    World::new(octets).live(happenings);
});

/// What can be read is written and read again, whatever an operator does to it.
fn of_record(record: &Record) {
    let again = |record: &Record| Record::decode(&record.encode()).expect("it was written here");
    let same = again(record);
    assert_eq!(same.encode(), record.encode());
    for edit in edits() {
        let mut edited = record.clone();
        let _ = edited.edit(record.starts(), &edit);
        assert_eq!(again(&edited).encode(), edited.encode());
    }
}

fn edits() -> [Edit; 6] {
    let to = address("else@d9.test");
    let from = Some(address("u0@d0.test"));
    [
        Edit::Hold,
        Edit::Release,
        Edit::Retry,
        Edit::GiveUp,
        Edit::Redirect {
            from: None,
            to: to.clone(),
        },
        Edit::Redirect { from, to },
    ]
}

fn address(text: &str) -> EmailAddress {
    text.parse().expect("an address")
}

struct World<'a> {
    queue: Queue,
    now: Timestamp,
    spool: BTreeMap<Key, Bytes>,
    last: u64,
    attempts: Vec<Attempt>,
    committing: Vec<Key>,
    octets: &'a [u8],
}

impl<'a> World<'a> {
    fn new(octets: &'a [u8]) -> Self {
        let mut config = Config::default();
        config.page = 3;
        config.attempt_recipients = 2;
        Self {
            queue: Queue::new(config, 1),
            now: Timestamp::from_unix_seconds(1_700_000_000),
            spool: BTreeMap::new(),
            last: 0,
            attempts: Vec::new(),
            committing: Vec::new(),
            octets,
        }
    }

    fn live(mut self, happenings: &[u8]) {
        for pair in happenings.chunks(2).take(500) {
            let [what, how] = [pair[0], pair.get(1).copied().unwrap_or(0)];
            self.happens(what, how);
        }
        // All that runs comes back, and all that is to be written is: then nothing runs.
        while let Some(attempt) = self.attempts.pop() {
            self.queue.abandoned(self.now, attempt);
        }
        self.write();
        assert_eq!(self.queue.active(), 0);
        for (key, record) in self.queue.records() {
            assert!(
                self.queue.is_settled(key) && self.spool.contains_key(&key),
                "{record:?}"
            );
        }
    }

    fn happens(&mut self, what: u8, how: u8) {
        let key = Key::new(u64::from(how) % (self.last + 1));
        match what % 11 {
            0 => self.arrives(Record::decode(self.octets).ok()),
            1 => self.arrives(Some(self.record(how))),
            2 => self.attempts.extend(self.queue.due(self.now)),
            3 => self.comes_back(how),
            4 => self.now = self.now + Duration::from_secs(u64::from(how).pow(3)),
            5 => self.write(),
            6 => {
                let edit = &edits()[usize::from(how) % 6];
                let key = Key::new(u64::from(how / 6) % (self.last + 1));
                let _ = self.queue.edit(self.now, key, edit);
            }
            7 => _ = self.queue.discard(self.now, key),
            8 => self.reads(),
            9 => {
                let fetch = self.queue.fetch(key);
                let record = self.spool.get(&key).cloned();
                let _ = self.queue.fetched(self.now, fetch, record.as_deref());
            }
            _ => _ = self.queue.deadline(),
        }
    }

    fn record(&self, how: u8) -> Record {
        let sender = match how & 1 {
            0 => ReversePath::Null,
            _ => ReversePath::Address(address("alice@a.test")),
        };
        let mut record = Record::new("id", sender, self.now, self.now + Duration::from_secs(90_000));
        for at in 0..=how >> 1 & 3 {
            record.add_recipient(address(&format!("u{at}@d{}.test", how >> 3 & 3)));
        }
        record
    }

    fn arrives(&mut self, record: Option<Record>) {
        let Some(record) = record else { return };
        self.last += 1;
        self.spool.insert(Key::new(self.last), record.encode());
        self.queue.arrived();
    }

    fn reads(&mut self) {
        let Some(page) = self.queue.next_page(self.now) else {
            return;
        };
        let all = self
            .spool
            .iter()
            .filter(|(key, _)| page.after.is_none_or(|after| **key > after));
        let records = all
            .take(page.limit)
            .map(|(key, record)| (*key, record.clone()))
            .collect();
        let errors = self.queue.loaded(self.now, page, records);
        assert!(errors.is_empty(), "{errors:?}");
    }

    fn comes_back(&mut self, how: u8) {
        if self.attempts.is_empty() {
            return;
        }
        let attempt = self.attempts.remove(usize::from(how) % self.attempts.len());
        let diagnosis = |class| Diagnosis::local(Status::new(class, 0, 0).expect("a class that is"), "so");
        let outcome = |at: usize| match (usize::from(how) >> 2).wrapping_add(at) % 5 {
            0 => Some(Outcome::Delivered(Handover::Mailbox)),
            1 => Some(Outcome::Delivered(Handover::Relay)),
            2 => Some(Outcome::Temporary(diagnosis(4))),
            3 => Some(Outcome::Permanent(diagnosis(5))),
            _ => None,
        };
        let health = [Health::Good, Health::Busy, Health::Unreachable, Health::Unknown][usize::from(how & 3)];
        let outcomes = (0..attempt.recipients().len()).map(outcome).collect();
        self.queue
            .finished(self.now, attempt, Report::partial(outcomes, health));
    }

    /// Commits what there is to commit.
    fn write(&mut self) {
        while let Some(update) = self.queue.poll_update(self.now) {
            match update.change {
                Change::Replace(record) => {
                    assert_eq!(
                        Record::decode(&record).map(|it| it.encode()).as_ref(),
                        Ok(&record)
                    );
                    self.spool.insert(update.key, record);
                }
                _ => _ = self.spool.remove(&update.key),
            }
            self.committing.push(update.key);
        }
        for key in self.committing.drain(..) {
            self.queue.committed(self.now, key);
        }
    }
}
