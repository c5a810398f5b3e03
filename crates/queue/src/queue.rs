use crate::destination::{Destinations, Name};
use crate::entry::{Entry, Phase, Pin};
use crate::{Attempt, Config, Edit, Edited, Error, Health, Record, Report, Timestamp, Update};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// The place of a message in the spool: the store's key, which is never used twice and only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

impl Key {
    /// Wraps the store's number.
    pub const fn new(key: u64) -> Self {
        Self(key)
    }

    /// The store's number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The scheduler: which message goes where, when, and what becomes of it.
///
/// ```text
///                     ┌───────────── not yet due, destination rests ─────────────┐
///                     ▼                                                          │
///  page ─▶ loaded ─▶ waiting ──due──▶ ready ──turn──▶ attempt ──temporary────────┤
///             ▲       │  │                             │  │                      │
///  evicted ◀──┼───────┘  └──── expiry ───▶ failed ◀────┘  └─▶ delivered          │
///     └───────┘                              └────────┬──────────┘               │
///                                                     ▼                          │
///                                   poll_update ─▶ commit ─▶ committed ──────────┘
/// ```
///
/// The driver calls, in any order and whenever it wakes: [`next_page`](Queue::next_page),
/// [`due`](Queue::due), [`poll_update`](Queue::poll_update) until each has nothing more, then sleeps until
/// [`deadline`](Queue::deadline) or until something happens that it tells the queue of.
#[derive(Debug)]
pub struct Queue {
    config: Config,
    dice: Dice,
    entries: HashMap<Key, Entry>,
    destinations: Destinations,
    /// Entries that only wait for a moment: the others may take their room.
    waiting: BTreeSet<(Timestamp, Key)>,
    /// Moments of entries that must stay in memory.
    pinned: BTreeSet<(Timestamp, Key)>,
    /// Entries with something to commit.
    outbox: VecDeque<Key>,
    /// Recipients in memory.
    load: usize,
    spool: Spool,
}

/// What of the spool has been read.
#[derive(Debug, Default)]
struct Spool {
    /// The last record that was read.
    after: Option<Key>,
    /// Whether there may be more behind it.
    more: bool,
    /// Whether a page is being read.
    reading: bool,
    /// How many pages and records are being read.
    readers: usize,
    /// Messages whose record changed since then: what is read may show them as they were.
    changed: HashSet<Key>,
    /// When the spool must be read again for what was left out of memory.
    again: Option<Timestamp>,
    /// The recipients in memory when it was found full of messages that are due.
    full: Option<usize>,
}

/// A stretch of the spool to be read and given to [`Queue::loaded`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "no other page is asked for until this one is loaded"]
#[non_exhaustive]
pub struct Page {
    /// Read the records behind this one; `None` for the first ones.
    pub after: Option<Key>,
    /// How many.
    pub limit: usize,
}

impl Spool {
    /// Counts a reader that is done.
    fn read(&mut self) {
        self.readers -= 1;
        if self.readers == 0 {
            self.changed.clear();
        }
    }
}

/// One record of the spool to be read and given to [`Queue::fetched`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "until it is given back, the queue remembers every change"]
#[non_exhaustive]
pub struct Fetch {
    /// Its place in the spool.
    pub key: Key,
}

impl Queue {
    /// Starts with an empty memory and the whole spool to be read. `seed` is random; it sets the jitter.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            dice: Dice(seed),
            entries: HashMap::new(),
            destinations: Destinations::default(),
            waiting: BTreeSet::new(),
            pinned: BTreeSet::new(),
            outbox: VecDeque::new(),
            load: 0,
            spool: Spool {
                more: true,
                ..Spool::default()
            },
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes up other settings. Waits that have begun keep their ends.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
    }

    // ----- the spool -----

    /// Tells that records were added to the spool, by whomever.
    pub fn arrived(&mut self) {
        self.spool.more = true;
    }

    /// The next stretch of the spool to read; `None` while one is being read, when there is nothing more,
    /// or when memory is full of messages that are due.
    pub fn next_page(&mut self, now: Timestamp) -> Option<Page> {
        self.advance(now);
        if self.spool.reading || self.is_full() {
            return None;
        }
        if self.spool.again.is_some_and(|again| again <= now) {
            self.spool.again = None;
            self.spool.after = None;
            self.spool.more = true;
        }
        if !self.spool.more {
            return None;
        }
        self.spool.more = false;
        self.spool.reading = true;
        self.spool.readers += 1;
        self.spool.full = None;
        Some(Page {
            after: self.spool.after,
            limit: self.config.page.max(1),
        })
    }

    /// Takes the records that a page was read to hold, in the order of their keys. Those already known are
    /// left as they are.
    ///
    /// Returns the records that cannot be read; they stay in the spool, and belong in the log.
    pub fn loaded(&mut self, now: Timestamp, page: Page, records: Vec<(Key, Bytes)>) -> Vec<(Key, Error)> {
        self.advance(now);
        self.spool.reading = false;
        self.spool.more |= records.len() >= page.limit;
        let mut errors = Vec::new();
        for (key, data) in records {
            if !self.is_known(key) {
                match Record::decode(&data) {
                    Ok(record) => match self.admit(now, key, record) {
                        Admission::Kept | Admission::Later => {}
                        Admission::Full => {
                            self.spool.full = Some(self.load);
                            self.spool.more = true;
                            break;
                        }
                    },
                    Err(error) => errors.push((key, error)),
                }
            }
            self.spool.after = Some(key);
        }
        self.spool.read();
        errors
    }

    /// Takes back a page that could not be read; it is asked for again.
    pub fn not_loaded(&mut self, page: Page) {
        self.spool.reading = false;
        self.spool.more = true;
        self.spool.after = page.after;
        self.spool.read();
    }

    /// Takes one record that is in the spool, for those who do not read it by pages. Returns whether it is
    /// in memory afterwards; if not, it is read again by and by.
    pub fn load(&mut self, now: Timestamp, key: Key, record: Record) -> bool {
        if self.is_known(key) {
            return true;
        }
        self.advance(now);
        match self.admit(now, key, record) {
            Admission::Kept => true,
            Admission::Later => false,
            Admission::Full => {
                self.read_again(now + self.config.reread_after);
                false
            }
        }
    }

    // ----- attempts -----

    /// The next attempt to start; `None` when nothing is due or every limit is reached.
    pub fn due(&mut self, now: Timestamp) -> Option<Attempt> {
        self.advance(now);
        let (name, key) = self.destinations.next(now, &self.config)?;
        let entry = self.entries.get_mut(&key);
        let most = self.config.attempt_recipients.max(1);
        let attempt = entry.and_then(|entry| entry.start(key, &name, now, most));
        self.settle(now, key);
        Some(attempt.expect("what stands in a line is in memory and ready"))
    }

    /// Takes an attempt back with what became of it. The change it makes comes from
    /// [`poll_update`](Queue::poll_update).
    pub fn finished(&mut self, now: Timestamp, attempt: Attempt, report: Report) {
        let key = attempt.key;
        let Some(name) = self.land(&attempt) else {
            return;
        };
        let rests = self.destinations.finish(&name, report.health, now, &self.config);
        let dice = self.dice.roll();
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.take_outcomes(now, &attempt, report, |attempts| {
                now + self.config.backoff(attempts, dice)
            });
        }
        if rests {
            for other in self.destinations.drain(&name) {
                self.send_back(now, other, &name);
            }
        }
        self.settle(now, key);
    }

    /// Takes an attempt back that came to nothing and says nothing, such as one cut short by a shutdown: it
    /// is due as before.
    pub fn abandoned(&mut self, now: Timestamp, attempt: Attempt) {
        self.finished(now, attempt, Report::partial(Vec::new(), Health::Unknown));
    }

    // ----- what goes to the spool -----

    /// The next change to commit. There is never more than one of a message on its way; confirm each with
    /// [`committed`](Queue::committed).
    pub fn poll_update(&mut self, now: Timestamp) -> Option<Update> {
        self.advance(now);
        while let Some(key) = self.outbox.pop_front() {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.listed = false;
            if entry.committing || !entry.dirty {
                continue;
            }
            entry.dirty = false;
            entry.committing = true;
            let update = entry.update(key);
            self.settle(now, key);
            return Some(update);
        }
        None
    }

    /// Tells that an update is in the spool.
    pub fn committed(&mut self, now: Timestamp, key: Key) {
        if self.spool.readers > 0 {
            self.spool.changed.insert(key);
        }
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.committing = false;
            self.settle(now, key);
            self.trim(now);
        }
    }

    /// When to look again even if nothing happens; a moment that has passed if there is something to do.
    /// `None` when there is nothing to wait for.
    pub fn deadline(&self) -> Option<Timestamp> {
        let can_read = !self.spool.reading && !self.is_full();
        if !self.outbox.is_empty()
            || self.destinations.has_next(&self.config)
            || (can_read && self.spool.more)
        {
            return Some(Timestamp::default());
        }
        let again = self.spool.again.filter(|_| can_read);
        [
            self.waiting.first().map(|(at, _)| *at),
            self.pinned.first().map(|(at, _)| *at),
            self.destinations.next_turn(&self.config),
            again,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // ----- by hand -----

    /// The record of a message in memory, as it stands.
    pub fn record(&self, key: Key) -> Option<&Record> {
        self.entries.get(&key).map(|entry| &*entry.record)
    }

    /// The messages in memory, in no order.
    pub fn records(&self) -> impl Iterator<Item = (Key, &Record)> {
        self.entries.iter().map(|(key, entry)| (*key, &*entry.record))
    }

    /// How many messages are in memory.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no message is in memory.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many attempts are running.
    pub fn active(&self) -> usize {
        self.destinations.active()
    }

    /// Asks for one message to be taken into memory, for an operator who wants to change it: read its record,
    /// and give it to [`fetched`](Queue::fetched).
    pub fn fetch(&mut self, key: Key) -> Fetch {
        self.spool.readers += 1;
        Fetch { key }
    }

    /// Takes the record that a fetch was to read; `None` if it is not in the spool or could not be read. It is held
    /// in memory even where there is no room for it. Returns whether the message is in memory afterwards.
    ///
    /// # Errors
    ///
    /// Returns an error if the octets are not a record.
    pub fn fetched(&mut self, now: Timestamp, fetch: Fetch, record: Option<&[u8]>) -> Result<bool, Error> {
        let known = self.is_known(fetch.key);
        self.spool.read();
        self.advance(now);
        let Some(data) = record.filter(|_| !known) else {
            return Ok(self.entries.contains_key(&fetch.key));
        };
        let record = Record::decode(data)?;
        let entry = Entry::new(record, |host| self.destinations.join(host, &self.config));
        self.keep(now, fetch.key, entry);
        Ok(self.entries.contains_key(&fetch.key))
    }

    /// Changes a message in memory by an operator's hand; `None` if it is not there. Recipients that are on their way
    /// at this moment are not redirected.
    pub fn edit(&mut self, now: Timestamp, key: Key, edit: &Edit) -> Option<Edited> {
        let entry = self.entries.get_mut(&key).filter(|entry| !entry.dropped)?;
        let busy: HashSet<usize> = entry.on_their_way().collect();
        let edited = Arc::make_mut(&mut entry.record).edit_but(now, edit, |index| busy.contains(&index));
        entry.dirty |= edited != Edited::Unchanged;
        match edit {
            Edit::Retry => {
                for group in &entry.groups {
                    self.destinations.wake(&group.name);
                }
            }
            Edit::Redirect { .. } => self.regroup(now, key),
            Edit::Hold | Edit::Release | Edit::GiveUp => {}
        }
        self.settle(now, key);
        Some(edited)
    }

    /// Whether the spool has all that is known of a message, be it that it is not in memory.
    pub fn is_settled(&self, key: Key) -> bool {
        self.entries
            .get(&key)
            .is_none_or(|entry| !entry.dirty && !entry.committing)
    }

    /// Whether an attempt with a message is running.
    pub fn is_running(&self, key: Key) -> bool {
        let entry = self.entries.get(&key);
        entry.is_some_and(|entry| entry.on_their_way().next().is_some())
    }

    /// Removes a message in memory, and tells nobody. What is being delivered at this moment may still
    /// arrive. Returns whether it is known.
    pub fn discard(&mut self, now: Timestamp, key: Key) -> bool {
        self.change(now, key, |entry| {
            // Once is enough: its removal may be what found out that the record is gone.
            let is_going = entry.committing && !entry.dirty && entry.record.is_finished();
            entry.dirty |= !entry.dropped && !is_going;
            entry.dropped = true;
            entry.notices.clear();
        })
    }

    // ----- inside -----

    fn change(&mut self, now: Timestamp, key: Key, how: impl FnOnce(&mut Entry)) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        how(entry);
        self.settle(now, key);
        true
    }

    fn is_known(&self, key: Key) -> bool {
        self.entries.contains_key(&key) || self.spool.changed.contains(&key)
    }

    fn is_full(&self) -> bool {
        // A quarter must have left, so that pages are not read for one record each; or something only waits
        // that can be read again.
        self.waiting.is_empty() && self.spool.full.is_some_and(|then| self.load >= then - then / 4)
    }

    fn read_again(&mut self, at: Timestamp) {
        self.spool.again = Some(self.spool.again.map_or(at, |again| again.min(at)));
    }

    /// Makes room for a record and takes it, if it is due sooner than what has to go for it.
    fn admit(&mut self, now: Timestamp, key: Key, record: Record) -> Admission {
        let mut entry = Entry::new(record, |host| self.destinations.join(host, &self.config));
        let first = entry.first_moment(&self.config, &self.destinations);
        let share = (self.config.memory_recipients / 4).max(1);
        let crowded = !entry.groups.is_empty()
            && entry
                .groups
                .iter()
                .all(|group| self.destinations.waiting(&group.name) >= share);
        let admission = if crowded && first <= now && now < entry.record.ends() {
            self.read_again(now + self.config.reread_after);
            Admission::Later
        } else {
            self.make_room(now, entry.weight(), first)
        };
        if admission != Admission::Kept {
            self.leave_all(now, &mut entry);
            return admission;
        }
        self.keep(now, key, entry);
        Admission::Kept
    }

    fn keep(&mut self, now: Timestamp, key: Key, mut entry: Entry) {
        self.load += entry.weight();
        // A record without anything left to do was meant to be removed.
        entry.dirty = entry.record.is_finished();
        self.entries.insert(key, entry);
        self.settle(now, key);
    }

    /// Sorts the recipients that are not on their way into the groups of where they go.
    fn regroup(&mut self, now: Timestamp, key: Key) {
        let Some(mut entry) = self.entries.remove(&key) else {
            return;
        };
        for group in entry
            .groups
            .extract_if(.., |group| group.phase != Phase::InFlight)
        {
            if let Phase::Ready(place) = group.phase {
                self.destinations.unready(&group.name, place);
            }
            self.destinations.leave(&group.name, now);
        }
        entry.group(|host| self.destinations.join(host, &self.config));
        self.entries.insert(key, entry);
    }

    fn make_room(&mut self, now: Timestamp, weight: usize, first: Timestamp) -> Admission {
        while self.load > 0 && self.load.saturating_add(weight) > self.config.memory_recipients {
            match self.waiting.last().copied() {
                Some((at, victim)) if at > first => {
                    self.read_again(at);
                    self.forget(now, victim);
                }
                _ if first > now => {
                    self.read_again(first);
                    return Admission::Later;
                }
                _ => return Admission::Full,
            }
        }
        Admission::Kept
    }

    /// Lets go of what was taken into memory beyond its bound.
    fn trim(&mut self, now: Timestamp) {
        while self.load > self.config.memory_recipients
            && self.entries.len() > 1
            && let Some((at, victim)) = self.waiting.last().copied()
        {
            self.read_again(at);
            self.forget(now, victim);
        }
    }

    fn forget(&mut self, now: Timestamp, key: Key) {
        if let Some(mut entry) = self.entries.remove(&key) {
            self.load -= entry.weight();
            self.set_timer(key, entry.timer, None);
            self.leave_all(now, &mut entry);
        }
    }

    fn leave_all(&mut self, now: Timestamp, entry: &mut Entry) {
        for group in entry.groups.drain(..) {
            self.destinations.leave(&group.name, now);
        }
    }

    fn set_timer(&mut self, key: Key, old: Option<(Timestamp, Pin)>, new: Option<(Timestamp, Pin)>) {
        if let Some((at, pin)) = old {
            self.timers(pin).remove(&(at, key));
        }
        if let Some((at, pin)) = new {
            self.timers(pin).insert((at, key));
        }
    }

    fn timers(&mut self, pin: Pin) -> &mut BTreeSet<(Timestamp, Key)> {
        match pin {
            Pin::Waiting => &mut self.waiting,
            Pin::Pinned => &mut self.pinned,
        }
    }

    /// Does everything whose moment has come.
    fn advance(&mut self, now: Timestamp) {
        loop {
            let next = [self.waiting.first(), self.pinned.first()]
                .into_iter()
                .flatten()
                .min()
                .copied();
            match next {
                Some((at, key)) if at <= now => self.settle(now, key),
                _ => break,
            }
        }
        self.destinations.advance(now);
    }

    /// Brings one message up to date: expiry, warning, readiness, its timer, its place in the outbox.
    fn settle(&mut self, now: Timestamp, key: Key) {
        let Some(mut entry) = self.entries.remove(&key) else {
            return;
        };
        if !entry.dropped {
            if now >= entry.record.ends() {
                entry.expire(now);
            } else if entry.warn_at(&self.config).is_some_and(|at| at <= now) {
                entry.warn(now, &self.config);
            }
        }
        self.settle_groups(now, key, &mut entry);
        let timer = entry.moment(now, &self.config, &self.destinations);
        self.set_timer(key, entry.timer, timer);
        entry.timer = timer;
        if entry.is_over() {
            self.load -= entry.weight();
            self.leave_all(now, &mut entry);
            return;
        }
        if entry.dirty && !entry.committing && !entry.listed {
            entry.listed = true;
            self.outbox.push_back(key);
        }
        self.entries.insert(key, entry);
    }

    /// Moves groups between waiting and ready, and lets go of those with nothing left to do.
    fn settle_groups(&mut self, now: Timestamp, key: Key, entry: &mut Entry) {
        let may_go = !entry.record.held && !entry.dropped && now < entry.record.ends();
        let mut index = 0;
        while index < entry.groups.len() {
            let due = entry.group_due(index);
            let group = &mut entry.groups[index];
            let is_due = may_go
                && due.is_some_and(|due| due <= now)
                && self.destinations.paused_until(&group.name) <= now;
            match group.phase {
                Phase::Waiting if is_due => {
                    let priority = entry.record.priority;
                    group.phase = Phase::Ready(self.destinations.ready(&group.name, key, priority));
                }
                Phase::Ready(place) if !is_due => {
                    group.phase = Phase::Waiting;
                    self.destinations.unready(&group.name, place);
                }
                _ => {}
            }
            if due.is_none() && entry.groups[index].phase == Phase::Waiting {
                let group = entry.groups.swap_remove(index);
                self.destinations.leave(&group.name, now);
            } else {
                index += 1;
            }
        }
    }

    /// Marks the attempt's group as no longer in flight.
    fn land(&mut self, attempt: &Attempt) -> Option<Name> {
        let entry = self.entries.get_mut(&attempt.key)?;
        let group = entry
            .groups
            .iter_mut()
            .find(|g| g.host == attempt.destination && g.phase == Phase::InFlight)?;
        group.phase = Phase::Waiting;
        Some(group.name.clone())
    }

    /// Puts a message that was in the line of a destination back to waiting.
    fn send_back(&mut self, now: Timestamp, key: Key, name: &Name) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        for group in &mut entry.groups {
            if group.name == *name && matches!(group.phase, Phase::Ready(_)) {
                group.phase = Phase::Waiting;
            }
        }
        self.settle(now, key);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Kept,
    /// Not due yet, or its destination has its share: it is read again in time.
    Later,
    /// Due, and no room.
    Full,
}

/// Jitter from a seed (SplitMix64): it spreads load and guards nothing.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    /// A number in 0..1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
