//! Where messages go, and how much each place is given at a time.

use crate::{Config, Health, Key, Timestamp};
use mailwright_address::Host;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The name of a destination: its host in lower case, for domains differ by no case.
pub(crate) type Name = Arc<str>;

/// All destinations with a message in memory, and whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    map: HashMap<Name, Destination>,
    /// Those that have something ready and room to start it, each once: they take turns.
    turns: VecDeque<Name>,
    active: usize,
}

#[derive(Debug)]
struct Destination {
    /// How many messages in memory name it.
    users: usize,
    /// Messages ready to go, oldest first. May hold keys whose message has since left; `waiting` counts
    /// the others.
    ready: VecDeque<Key>,
    waiting: usize,
    active: usize,
    limit: usize,
    /// Good attempts since the limit last changed.
    streak: usize,
    failures: u32,
    paused_until: Timestamp,
    in_turn: bool,
}

impl Destinations {
    /// Notes that one more message in memory goes to `host`.
    pub(crate) fn join(&mut self, host: &Host, config: &Config) -> Name {
        let name = host.to_string().to_lowercase();
        let (name, destination) = match self.map.remove_entry(name.as_str()) {
            Some(known) => known,
            None => (
                Name::from(name),
                Destination {
                    users: 0,
                    ready: VecDeque::new(),
                    waiting: 0,
                    active: 0,
                    limit: config.destination_start.max(1),
                    streak: 0,
                    failures: 0,
                    paused_until: Timestamp::default(),
                    in_turn: false,
                },
            ),
        };
        let destination = self.map.entry(name.clone()).or_insert(destination);
        destination.users += 1;
        name
    }

    /// Takes back a [`join`](Self::join). A destination nobody goes to is forgotten.
    pub(crate) fn leave(&mut self, name: &Name) {
        let destination = self.known(name);
        destination.users -= 1;
        if destination.users == 0 {
            self.map.remove(name);
        }
    }

    /// Puts a message in the line.
    pub(crate) fn ready(&mut self, name: &Name, key: Key) {
        let destination = self.known(name);
        destination.ready.push_back(key);
        destination.waiting += 1;
        self.offer(name);
    }

    /// Takes a message out of the line that will not be asked for by [`next`](Self::next).
    pub(crate) fn unready(&mut self, name: &Name, is_ready: impl FnMut(&Key) -> bool) {
        let destination = self.known(name);
        destination.waiting -= 1;
        // Swept only when most of the line is gone, so that many leaving at once stay cheap.
        if destination.ready.len() > 2 * destination.waiting + 16 {
            destination.ready.retain(is_ready);
        }
    }

    /// Empties the line; the caller puts its messages somewhere else.
    pub(crate) fn drain(&mut self, name: &Name) -> VecDeque<Key> {
        let destination = self.known(name);
        destination.waiting = 0;
        std::mem::take(&mut destination.ready)
    }

    /// The next message that may start, with its destination. The key may be that of a message that has
    /// left the line; then the caller asks again. Otherwise it calls [`start`](Self::start).
    pub(crate) fn next(&mut self, max_active: usize) -> Option<(Name, Key)> {
        if self.active >= max_active.max(1) {
            return None;
        }
        while let Some(name) = self.turns.pop_front() {
            let Some(destination) = self.map.get_mut(&name) else {
                continue;
            };
            destination.in_turn = false;
            if destination.active >= destination.limit {
                continue;
            }
            if let Some(key) = destination.ready.pop_front() {
                self.offer(&name);
                return Some((name, key));
            }
        }
        None
    }

    /// Counts an attempt that began.
    pub(crate) fn start(&mut self, name: &Name) {
        let destination = self.known(name);
        destination.waiting -= 1;
        destination.active += 1;
        self.active += 1;
    }

    /// Counts an attempt that ended and learns from it; `true` if the destination has to rest from this
    /// moment on.
    pub(crate) fn finish(&mut self, name: &Name, health: Health, now: Timestamp, config: &Config) -> bool {
        self.active -= 1;
        let destination = self.known(name);
        destination.active -= 1;
        let rests = destination.learn(health, now, config);
        self.offer(name);
        rests
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
        self.map.get(name).map_or(0, |d| d.waiting)
    }

    /// How many attempts are running.
    pub(crate) fn active(&self) -> usize {
        self.active
    }

    /// Whether [`next`](Self::next) would find something to look at.
    pub(crate) fn has_next(&self, max_active: usize) -> bool {
        self.active < max_active.max(1) && !self.turns.is_empty()
    }

    fn offer(&mut self, name: &Name) {
        let destination = self.known(name);
        if !destination.in_turn && !destination.ready.is_empty() && destination.active < destination.limit {
            destination.in_turn = true;
            self.turns.push_back(name.clone());
        }
    }

    fn known(&mut self, name: &Name) -> &mut Destination {
        self.map
            .get_mut(name)
            .expect("a destination lives while a message in memory names it")
    }
}

impl Destination {
    fn learn(&mut self, health: Health, now: Timestamp, config: &Config) -> bool {
        match health {
            Health::Good => {
                self.failures = 0;
                self.streak += 1;
                // One more for each full round of successes.
                if self.streak >= self.limit {
                    self.streak = 0;
                    self.limit = (self.limit + 1).min(config.destination_max.max(1));
                }
            }
            Health::Busy => {
                self.streak = 0;
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
