//! Greylisting: who was seen before (RFC 6647)
//!
//! A stranger is told to come back; servers do, programs that send unwanted mail as a rule do not. What is remembered is
//! the network of the client, the sender and the recipient; a network whose mail came through often enough is asked no
//! more.
//!
//! ```text
//!  stranger ─ Later ─▶ waiting ─ back after `wait`, within `window` ─▶ Pass, known for `keep` after its last mail
//!                         └─ forgotten after `window`                      └─ `auto_allow` times: its network is known
//! ```
//!
//! The table is bounded: what would be forgotten first makes room. It prints itself as lines and reads them back, so it can
//! be kept in a file.

use core::fmt::Write;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

/// How long, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long a stranger has to wait. Default: 5 minutes (RFC 6647 §4: between one minute and an hour or so).
    pub wait: Duration,
    /// How long a stranger that waits is remembered. Default: 24 hours.
    pub window: Duration,
    /// How long one that passed is remembered after its last mail. Default: 36 days.
    pub keep: Duration,
    /// After how many passes a whole network is asked no more; 0 for never. Default: 5.
    pub auto_allow: u32,
    /// How many entries are remembered. Default: 100,000; each takes some 200 octets.
    pub capacity: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(5 * 60),
            window: Duration::from_secs(24 * 3600),
            keep: Duration::from_secs(36 * 86_400),
            auto_allow: 5,
            capacity: 100_000,
        }
    }
}

/// What to tell a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Its mail may come in.
    Pass,
    /// It has to come back; not before this time is over.
    Later(Duration),
}

/// The table.
#[derive(Debug)]
pub struct Greylist {
    config: Config,
    entries: HashMap<Key, Entry>,
    /// When entries are forgotten, the first one first.
    ends: BTreeSet<(u64, Key)>,
    changes: u64,
}

/// A triplet; a network of its own has neither sender nor recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    network: IpAddr,
    sender_and_recipient: Option<Box<str>>,
}

/// Whatever stands in an address, an entry is one line.
fn one_line(names: &str) -> Box<str> {
    names.chars().filter(|c| !c.is_control()).collect()
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// When it was seen first, in unix seconds.
    since: u64,
    /// When it is forgotten.
    until: u64,
    /// How often it passed.
    passes: u32,
}

impl Greylist {
    /// An empty table.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            entries: HashMap::new(),
            ends: BTreeSet::new(),
            changes: 0,
        }
    }

    /// Asks whether mail from a network ([`client_network`](crate::client_network)) by a sender to a recipient may come in
    /// at `now`, in unix seconds. Addresses are compared without regard to case.
    pub fn check(&mut self, network: IpAddr, sender: &str, recipient: &str, now: u64) -> Answer {
        self.forget(now);
        let whole = Key {
            network,
            sender_and_recipient: None,
        };
        if self.config.auto_allow > 0
            && let Some(entry) = self.entries.get(&whole).copied()
            && entry.passes >= self.config.auto_allow
        {
            self.pass(whole, entry, now);
            return Answer::Pass;
        }
        let key = Key {
            network,
            sender_and_recipient: Some(one_line(&format!(
                "{} {}",
                sender.to_lowercase(),
                recipient.to_lowercase()
            ))),
        };
        let Some(entry) = self.entries.get(&key).copied() else {
            let entry = Entry {
                since: now,
                until: now.saturating_add(self.config.window.as_secs()),
                passes: 0,
            };
            self.put(key, entry);
            return Answer::Later(self.config.wait);
        };
        let may_pass = entry.since.saturating_add(self.config.wait.as_secs());
        if entry.passes == 0 && now < may_pass {
            return Answer::Later(Duration::from_secs(may_pass - now));
        }
        let first = entry.passes == 0;
        self.pass(key, entry, now);
        if first && self.config.auto_allow > 0 {
            let fresh = Entry {
                since: now,
                until: now,
                passes: 0,
            };
            let entry = self.entries.get(&whole).copied().unwrap_or(fresh);
            self.pass(whole, entry, now);
        }
        Answer::Pass
    }

    /// Counts the changes since the start: whoever keeps the table in a file sees whether it has to be written.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Prints the table, a line for each entry.
    pub fn print(&self) -> String {
        let mut text = String::from(HEAD);
        for (_, key) in &self.ends {
            let Some(entry) = self.entries.get(key) else {
                continue;
            };
            let names = key.sender_and_recipient.as_deref().unwrap_or("");
            let Entry { since, until, passes } = entry;
            let network = key.network;
            writeln!(text, "{since} {until} {passes} {network} {names}").expect("text takes all");
        }
        text
    }

    /// Reads what [`print`](Greylist::print) printed; lines that are not understood are passed over, and what is over the
    /// capacity is forgotten as ever.
    pub fn read(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.splitn(5, ' ');
            let mut number = || words.next()?.parse::<u64>().ok();
            let (Some(since), Some(until), Some(passes)) = (number(), number(), number()) else {
                continue;
            };
            let network = words.next().and_then(|word| word.parse().ok());
            let names = words.next().map(one_line).filter(|names| !names.is_empty());
            let (Some(network), Ok(passes)) = (network, u32::try_from(passes)) else {
                continue;
            };
            let key = Key {
                network,
                sender_and_recipient: names,
            };
            self.put(key, Entry { since, until, passes });
        }
    }

    /// Counts a pass, from which on the entry is kept.
    fn pass(&mut self, key: Key, entry: Entry, now: u64) {
        let entry = Entry {
            until: now.saturating_add(self.config.keep.as_secs()),
            passes: entry.passes.saturating_add(1),
            ..entry
        };
        self.put(key, entry);
    }

    fn put(&mut self, key: Key, entry: Entry) {
        self.changes += 1;
        if let Some(old) = self.entries.insert(key.clone(), entry) {
            self.ends.remove(&(old.until, key.clone()));
        }
        self.ends.insert((entry.until, key));
        while self.entries.len() > self.config.capacity.max(1) {
            let Some((_, first)) = self.ends.pop_first() else {
                break;
            };
            self.entries.remove(&first);
        }
    }

    fn forget(&mut self, now: u64) {
        while let Some((until, _)) = self.ends.first()
            && *until < now
        {
            let Some((_, key)) = self.ends.pop_first() else {
                break;
            };
            self.entries.remove(&key);
            self.changes += 1;
        }
    }
}

/// The first line of a printed table.
const HEAD: &str = "# greylist 1: first seen, forgotten at, passes, network, sender and recipient\n";
