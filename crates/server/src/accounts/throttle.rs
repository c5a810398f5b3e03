//! How often somebody may try to log in: a machine without a clock
//!
//! ```text
//!                 ┌ the account has logged in from this address ──▶ account + address ─┐
//!  Attempt ───────┼ ... from this network ────────────────────────▶ account + network ─┼─▶ Verdict: after a delay,
//!                 └ neither ─▶ address, network, account ─────────────────────────────┘            or not at all
//! ```
//!
//! Every attempt takes a token before the password is looked at, so that a thousand at once are no way round; one that
//! succeeds puts it back. An attacker can use up what strangers have of an account, and then strangers wait. Its owner
//! does not: places the account has logged in from have tokens of their own, which nobody else can take. Only a success
//! makes a place known, and what it forgives is what this account failed from this place.

use crate::config::LoginLimits;
use mailwright_filter::client_network;
use mailwright_filter::rate::{Limiter, Rate};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Somebody who wants to log in.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs)] // who, and from where
pub struct Attempt<'a> {
    /// The account's name, in the one form that all its spellings have.
    pub name: &'a str,
    /// Whether there is such an account. Names that nobody has are counted apart, so that making them up does not have
    /// true ones forgotten; what holds for them is the same.
    pub exists: bool,
    /// Where the attempt comes from.
    pub address: IpAddr,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // yes or no
pub enum Verdict {
    /// The password may be checked, after so long. It counts as a failure, unless the ticket is shown to
    /// [`Throttle::succeeded`] or [`Throttle::undone`].
    After(Duration, Ticket),
    /// There were too many failures. So long until one more is let through.
    Refused(Duration),
}

/// What an attempt was counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(Counted);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// A failure of an account at a place that it is known at.
    Known(u64, Place),
    /// A failure of a stranger, of whose address none is counted if it is exempt.
    Stranger {
        who: u64,
        exists: bool,
        address: Option<IpAddr>,
    },
}

/// Counts failed logins.
#[derive(Debug)]
pub struct Throttle {
    limits: LoginLimits,
    /// Keys names, which peers choose, by hashes that they cannot foresee.
    hasher: RandomState,
    addresses: Table<IpAddr>,
    networks: Table<IpAddr>,
    /// Of strangers to an account.
    accounts: Table<u64>,
    /// The same of names that nobody has.
    nobodies: Table<u64>,
    /// Of places known to an account.
    known: Table<(u64, Place)>,
    /// How often they were forgiven.
    pardons: Table<(u64, Place)>,
    places: HashMap<Box<str>, Places>,
    /// The accounts with places, those that logged in longest ago first.
    order: BTreeMap<u64, Box<str>>,
    serial: u64,
    changed: bool,
}

/// Where an account has logged in.
#[derive(Debug, Default)]
struct Places {
    /// Addresses, and when they were last used, in seconds since 1970; the latest at the end.
    addresses: Vec<(IpAddr, i64)>,
    used: u64,
}

/// A place that an account has logged in from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Address(IpAddr),
    Network(IpAddr),
}

/// One kind of limit, if there is one.
#[derive(Debug)]
struct Table<K>(Option<Limiter<K>>);

impl Throttle {
    /// How many addresses of an account are remembered; the one that was used longest ago is forgotten first.
    pub const MOST_PLACES: usize = 16;

    /// How often in an hour a success at a known place forgives what the account failed there.
    pub const PARDONS: u32 = 4;

    /// How many failures go unpunished before each further one doubles the delay.
    pub const FREE: u32 = 3;

    /// Counts from nothing.
    pub fn new(limits: LoginLimits) -> Self {
        let entries = limits.entries;
        Self {
            hasher: RandomState::new(),
            addresses: Table::new(limits.failures_per_address, entries),
            networks: Table::new(limits.failures_per_network, entries),
            accounts: Table::new(limits.failures_per_account, entries),
            nobodies: Table::new(limits.failures_per_account, entries),
            known: Table::new(limits.failures_per_known_place, entries),
            pardons: Table::new(Some(Rate::new(Self::PARDONS, HOUR)), entries),
            places: HashMap::new(),
            order: BTreeMap::new(),
            serial: 0,
            changed: false,
            limits,
        }
    }

    /// Decides on an attempt, and counts it as a failure if its password may be checked.
    pub fn begin(&mut self, attempt: &Attempt<'_>, now: Instant) -> Verdict {
        let who = self.hasher.hash_one(attempt.name);
        let Some(place) = self.place(attempt) else {
            return self.stranger(who, attempt, now);
        };
        match (self.known.take((who, place), now), place) {
            (Ok(failures), _) => self.after(failures, Counted::Known(who, place)),
            // Neighbours of the owner may have used it up: then it is as for strangers.
            (Err(_), Place::Network(_)) => self.stranger(who, attempt, now),
            (Err(wait), Place::Address(_)) => Verdict::Refused(wait),
        }
    }

    /// The password of an attempt was right. `date` is in seconds since 1970. Without the ticket its account and its
    /// place are known henceforth, and what the attempt was counted as stays counted.
    pub fn succeeded(&mut self, attempt: &Attempt<'_>, ticket: Option<Ticket>, now: Instant, date: i64) {
        if let Some(ticket) = ticket {
            self.undone(ticket, now);
        }
        let who = self.hasher.hash_one(attempt.name);
        let place = (who, Place::Address(attempt.address.to_canonical()));
        // Somebody else behind the same address may be guessing, whose failures are not to be forgiven for ever.
        if self.known.taken(&place, now) > 0 && self.pardons.take(place, now).is_ok() {
            self.known.give_back(&place, u32::MAX, now);
        }
        self.remember(attempt.name, attempt.address, date);
    }

    /// An attempt that was let through came to nothing, and its client learnt nothing: it was no failure.
    pub fn undone(&mut self, ticket: Ticket, now: Instant) {
        match ticket.0 {
            Counted::Known(who, place) => self.known.give_back(&(who, place), 1, now),
            Counted::Stranger { who, exists, address } => {
                self.of_strangers(exists).give_back(&who, 1, now);
                if let Some(address) = address {
                    let network = self.network(address);
                    self.addresses.give_back(&address, 1, now);
                    self.networks.give_back(&network, 1, now);
                }
            }
        }
    }

    /// Remembers that an account has logged in from an address.
    pub fn remember(&mut self, name: &str, address: IpAddr, date: i64) {
        self.serial += 1;
        let places = self.places.entry(name.into()).or_default();
        self.order.remove(&places.used);
        places.used = self.serial;
        self.order.insert(self.serial, name.into());
        let address = address.to_canonical();
        let before = places.addresses.iter().position(|(one, _)| *one == address);
        let last = before.map(|at| places.addresses.remove(at).1);
        // The file that keeps them need not be written for every login.
        let fresh = last.is_none_or(|last| date - last >= DAY);
        let kept = if fresh { date } else { last.unwrap_or(date) };
        places.addresses.push((address, kept));
        if places.addresses.len() > Self::MOST_PLACES {
            places.addresses.remove(0);
        }
        self.changed |= fresh;
        while self.places.len() > self.limits.entries.max(1) {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.places.remove(&oldest);
        }
    }

    /// Forgets places that were last used before a date, in seconds since 1970.
    pub fn forget_before(&mut self, date: i64) {
        let order = &mut self.order;
        self.places.retain(|_, places| {
            places.addresses.retain(|(_, used)| *used >= date);
            let some = !places.addresses.is_empty();
            if !some {
                order.remove(&places.used);
            }
            some
        });
    }

    /// The places that accounts have logged in from, and when they were last used.
    pub fn places(&self) -> impl Iterator<Item = (&str, IpAddr, i64)> {
        // The accounts in the order of their use, so that they keep it when they are read again.
        self.order.values().flat_map(|name| {
            let places = self.places.get(name).map(|places| places.addresses.as_slice());
            places
                .unwrap_or_default()
                .iter()
                .map(|(address, used)| (&**name, *address, *used))
        })
    }

    /// Whether there are places since the last call that there were not before.
    pub fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn stranger(&mut self, who: u64, attempt: &Attempt<'_>, now: Instant) -> Verdict {
        let is_exempt = self
            .limits
            .exempt
            .iter()
            .any(|exempt| exempt.contains(attempt.address));
        let address = Some(attempt.address.to_canonical()).filter(|_| !is_exempt);
        let network = address.map(|address| self.network(address));
        // An attempt that is refused for one reason costs nothing of the others.
        let checks = [
            self.of_strangers(attempt.exists).check(&who, now),
            address.map_or(Ok(()), |address| self.addresses.check(&address, now)),
            network.map_or(Ok(()), |network| self.networks.check(&network, now)),
        ];
        if let Some(wait) = checks.into_iter().filter_map(Result::err).max() {
            return Verdict::Refused(wait);
        }
        let mut failures = self.of_strangers(attempt.exists).take(who, now).unwrap_or(0);
        if let (Some(address), Some(network)) = (address, network) {
            failures = failures.max(self.addresses.take(address, now).unwrap_or(0));
            // Many share a network: it bounds, and delays nobody.
            let _ = self.networks.take(network, now);
        }
        let exists = attempt.exists;
        self.after(failures, Counted::Stranger { who, exists, address })
    }

    /// Lets an attempt through, with the delay after so many failures.
    fn after(&self, failures: u32, counted: Counted) -> Verdict {
        let delay = match failures.checked_sub(Self::FREE) {
            None => Duration::ZERO,
            Some(times) => self.limits.delay.saturating_mul(1 << times.min(20)),
        };
        Verdict::After(delay.min(self.limits.longest_delay), Ticket(counted))
    }

    /// The nearest place to an attempt that its account has logged in from.
    fn place(&self, attempt: &Attempt<'_>) -> Option<Place> {
        let places = self.places.get(attempt.name)?;
        let (address, network) = (attempt.address.to_canonical(), self.network(attempt.address));
        let mut known = places.addresses.iter().map(|(known, _)| *known);
        if known.clone().any(|known| known == address) {
            return Some(Place::Address(address));
        }
        let is_near = known.any(|known| self.network(known) == network);
        is_near.then_some(Place::Network(network))
    }

    fn network(&self, address: IpAddr) -> IpAddr {
        client_network(address, self.limits.ipv4_prefix, self.limits.ipv6_prefix)
    }

    fn of_strangers(&mut self, exists: bool) -> &mut Table<u64> {
        match exists {
            true => &mut self.accounts,
            false => &mut self.nobodies,
        }
    }
}

impl<K: Hash + Eq + Clone> Table<K> {
    fn new(rate: Option<Rate>, entries: usize) -> Self {
        Self(rate.map(|rate| Limiter::new(rate, entries)))
    }

    /// How many were missing before this one.
    fn take(&mut self, key: K, now: Instant) -> Result<u32, Duration> {
        let Some(limiter) = &mut self.0 else { return Ok(0) };
        let before = limiter.taken(&key, now);
        limiter.take(key, 1, now).map(|()| before)
    }

    fn check(&self, key: &K, now: Instant) -> Result<(), Duration> {
        self.0.as_ref().map_or(Ok(()), |limiter| limiter.check(key, now))
    }

    fn taken(&self, key: &K, now: Instant) -> u32 {
        self.0.as_ref().map_or(0, |limiter| limiter.taken(key, now))
    }

    fn give_back(&mut self, key: &K, tokens: u32, now: Instant) {
        if let Some(limiter) = &mut self.0 {
            limiter.give_back(key, tokens, now);
        }
    }
}

/// A day, in seconds.
const DAY: i64 = 86_400;

const HOUR: Duration = Duration::from_secs(3600);
