//! Where messages go, and how much each place is given at a time.

use crate::pace::Pace;
use crate::{Config, Health, Key, Timestamp};
use mailwright_address::Host;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The name of a destination: its host in lower case, for domains differ by no case.
pub(crate) type Name = Arc<str>;

/// A message in the line of a destination: the more urgent are first (RFC 6710 §5), then the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    rank: u8,
    serial: u64,
    key: Key,
}

/// All destinations with a message in memory, and those lately used, and whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    map: HashMap<Name, Destination>,
    /// Those that have something ready and room to start it, each once: they take turns, those with the most urgent
    /// message first.
    turns: BTreeMap<(u8, u64), Name>,
    /// Those that would have their turn, but for their rate.
    paced: BTreeSet<(Timestamp, Name)>,
    /// Those nobody goes to at this moment, and when they are forgotten.
    idle: BTreeSet<(Timestamp, Name)>,
    serial: u64,
    active: usize,
}

#[derive(Debug)]
struct Destination {
    /// How many messages in memory name it.
    users: usize,
    ready: BTreeSet<Place>,
    active: usize,
    limit: usize,
    pace: Pace,
    /// Good attempts since the limit last changed.
    streak: usize,
    failures: u32,
    paused_until: Timestamp,
    turn: Option<(u8, u64)>,
    /// Its moment in the list of those that keep to a rate.
    paced: Option<Timestamp>,
    idle: Option<Timestamp>,
}

/// How many destinations are remembered that nobody goes to.
const IDLE: usize = 10_000;
/// How long.
const IDLE_FOR: Duration = Duration::from_secs(600);

impl Destinations {
    /// Notes that one more message in memory goes to `host`.
    pub(crate) fn join(&mut self, host: &Host, config: &Config) -> Name {
        let name = host.to_string().to_lowercase();
        let (name, mut destination) = match self.map.remove_entry(name.as_str()) {
            Some(known) => known,
            None => {
                let pacing = config.pacing(&name);
                let destination = Destination {
                    users: 0,
                    ready: BTreeSet::new(),
                    active: 0,
                    limit: pacing.start.clamp(1, pacing.max.max(1)),
                    pace: Pace::new(pacing.rate),
                    streak: 0,
                    failures: 0,
                    paused_until: Timestamp::default(),
                    turn: None,
                    paced: None,
                    idle: None,
                };
                (Name::from(name), destination)
            }
        };
        destination.users += 1;
        if let Some(at) = destination.idle.take() {
            self.idle.remove(&(at, name.clone()));
        }
        self.map.insert(name.clone(), destination);
        name
    }

    /// Takes back a [`join`](Self::join). What was learnt of a destination nobody goes to is kept for a while.
    pub(crate) fn leave(&mut self, name: &Name, now: Timestamp) {
        let destination = self.known(name);
        destination.users -= 1;
        if destination.users > 0 {
            return;
        }
        let until = destination.paused_until.max(destination.pace.next()).max(now) + IDLE_FOR;
        destination.idle = Some(until);
        self.idle.insert((until, name.clone()));
        while self.idle.len() > IDLE
            && let Some((_, name)) = self.idle.pop_first()
        {
            self.forget(&name);
        }
    }

    /// Puts a message of this priority in the line.
    pub(crate) fn ready(&mut self, name: &Name, key: Key, priority: i8) -> Place {
        self.serial += 1;
        let place = Place {
            rank: rank(priority),
            serial: self.serial,
            key,
        };
        self.known(name).ready.insert(place);
        self.offer(name);
        place
    }

    /// Takes a message out of the line.
    pub(crate) fn unready(&mut self, name: &Name, place: Place) {
        self.known(name).ready.remove(&place);
        self.offer(name);
    }

    /// Empties the line; the caller puts its messages somewhere else.
    pub(crate) fn drain(&mut self, name: &Name) -> Vec<Key> {
        let line = std::mem::take(&mut self.known(name).ready);
        self.offer(name);
        line.into_iter().map(|place| place.key).collect()
    }

    /// The next message to start, with its destination; it counts as started.
    pub(crate) fn next(&mut self, now: Timestamp, config: &Config) -> Option<(Name, Key)> {
        while self.has_next(config)
            && let Some((_, name)) = self.turns.pop_first()
        {
            let destination = self.known(&name);
            destination.turn = None;
            let next = destination.pace.next();
            if next > now {
                destination.paced = Some(next);
                self.paced.insert((next, name));
                continue;
            }
            let Some(place) = destination.ready.pop_first() else {
                continue;
            };
            destination.pace.start(now);
            destination.active += 1;
            self.active += 1;
            self.offer(&name);
            return Some((name, place.key));
        }
        None
    }

    /// Counts an attempt that ended and learns from it; `true` if the destination has to rest from this
    /// moment on.
    pub(crate) fn finish(&mut self, name: &Name, health: Health, now: Timestamp, config: &Config) -> bool {
        self.active -= 1;
        let destination = self.known(name);
        destination.active -= 1;
        let rests = destination.learn(name, health, now, config);
        self.offer(name);
        rests
    }

    /// Lets those have a turn whose rate allows it again, and forgets those nobody went to for long.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some((at, name)) = self.paced.first().cloned()
            && at <= now
        {
            self.paced.pop_first();
            self.known(&name).paced = None;
            self.offer(&name);
        }
        while let Some((at, name)) = self.idle.first().cloned()
            && at <= now
        {
            self.idle.pop_first();
            self.forget(&name);
        }
    }

    /// Ends the rest of a destination early.
    pub(crate) fn wake(&mut self, name: &Name) {
        self.known(name).paused_until = Timestamp::default();
    }

    /// Until when the destination rests; a moment that has passed if it does not.
    pub(crate) fn paused_until(&self, name: &Name) -> Timestamp {
        self.map
            .get(name)
            .map_or(Timestamp::default(), |d| d.paused_until)
    }

    /// How many messages wait in its line.
    pub(crate) fn waiting(&self, name: &Name) -> usize {
        self.map.get(name).map_or(0, |d| d.ready.len())
    }

    /// How many attempts are running.
    pub(crate) fn active(&self) -> usize {
        self.active
    }

    /// Whether [`next`](Self::next) would find something to look at.
    pub(crate) fn has_next(&self, config: &Config) -> bool {
        self.active < config.max_attempts.max(1) && !self.turns.is_empty()
    }

    /// When the rate of a destination allows it the next turn, if an attempt could start then.
    pub(crate) fn next_turn(&self, config: &Config) -> Option<Timestamp> {
        let has_room = self.active < config.max_attempts.max(1);
        self.paced.first().filter(|_| has_room).map(|(at, _)| *at)
    }

    fn forget(&mut self, name: &Name) {
        let Some(destination) = self.map.remove(name) else {
            return;
        };
        if let Some(at) = destination.paced {
            self.paced.remove(&(at, name.clone()));
        }
    }

    /// Gives a destination the place among the turns that its line deserves.
    fn offer(&mut self, name: &Name) {
        let serial = self.serial + 1;
        let destination = self.known(name);
        let has_room = destination.active < destination.limit && destination.paced.is_none();
        let rank = destination
            .ready
            .first()
            .filter(|_| has_room)
            .map(|place| place.rank);
        let had = destination.turn;
        if had.map(|(rank, _)| rank) == rank {
            return;
        }
        destination.turn = rank.map(|rank| (rank, serial));
        let turn = destination.turn;
        self.serial = serial;
        if let Some(had) = had {
            self.turns.remove(&had);
        }
        if let Some(turn) = turn {
            self.turns.insert(turn, name.clone());
        }
    }

    fn known(&mut self, name: &Name) -> &mut Destination {
        self.map
            .get_mut(name)
            .expect("a destination lives while a message in memory names it, or it has a turn")
    }
}

impl Destination {
    fn learn(&mut self, name: &str, health: Health, now: Timestamp, config: &Config) -> bool {
        match health {
            Health::Good => {
                self.failures = 0;
                self.pace.faster();
                self.streak += 1;
                // One more for each full round of successes.
                if self.streak >= self.limit {
                    self.streak = 0;
                    self.limit = (self.limit + 1).min(config.pacing(name).max.max(1));
                }
            }
            Health::Busy => {
                self.streak = 0;
                // Attempts that ran side by side say it of their number, not of the rate.
                if self.limit == 1 && self.active == 0 {
                    self.pace.slower(now);
                }
                self.limit = (self.limit / 2).max(1);
            }
            // Attempts that ran side by side find the same wall; they are one failure.
            Health::Unreachable if now >= self.paused_until => {
                self.streak = 0;
                self.limit = 1;
                self.failures = self.failures.saturating_add(1);
                self.paused_until = now + config.pause(self.failures);
                return true;
            }
            Health::Unreachable | Health::Unknown => {}
        }
        false
    }
}

/// Small for the urgent: 9 comes first.
fn rank(priority: i8) -> u8 {
    (9 - priority.clamp(-9, 9)).unsigned_abs()
}
