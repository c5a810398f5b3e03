//! Policies that were fetched ([RFC 8461] §3.3, §5)
//!
//! ```text
//!  record ─┬─ id of the policy in memory, and it has not expired ─▶ that policy
//!          ├─ another id ─▶ fetch ─┬─ policy ─▶ kept, and used
//!          │                       └─ failure ─▶ the policy in memory, if it has not expired; no fetch for a while
//!          └─ none, or not known ─▶ the policy in memory, if it has not expired
//! ```
//!
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461

use super::{Announced, Fetch, FetchError, Id, Known, Mode, Policy, Request};
use core::fmt::Write;
use core::time::Duration;
use mailwright_dns::Name;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Limits of a [`Cache`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How many domains are remembered; those go first that would expire first. Default: 10,000.
    pub max_entries: usize,
    /// How long after a failure nothing is fetched (RFC 8461 §3.3: 5 minutes at least). Default: 5 minutes.
    pub retry_after: Duration,
    /// How long before its end a policy is fetched again although its id is the same, so that a policy in use never
    /// lapses. A policy that holds shorter is fetched again in the second half of its life. Default: 1 day.
    pub refresh_before: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            retry_after: Duration::from_secs(5 * 60),
            refresh_before: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Policies until they expire. All times are in seconds since 1970, so that the cache can outlive a restart: what it
/// holds is what protects against an attacker who suppresses the record ([`print`](Self::print), [`read`](Self::read)).
#[derive(Debug, Default)]
pub struct Cache {
    config: CacheConfig,
    entries: HashMap<Name, Entry>,
    ends: BTreeSet<(u64, Name)>,
}

/// What a [`Cache`] says to a [`Request`].
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
// The embedder has to handle both.
#[allow(clippy::exhaustive_enums)]
pub enum Lookup {
    /// The answer.
    Known(Known),
    /// Fetch this, and give what comes of it to [`Cache::fetched`].
    Fetch(Fetch),
}

#[derive(Debug)]
struct Entry {
    /// With the id it was announced with, and when it was fetched.
    policy: Option<(Id, Arc<Policy>, u64)>,
    /// Before this nothing is fetched.
    retry_at: u64,
    end: u64,
}

impl Cache {
    /// An empty cache.
    pub fn new(config: CacheConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Looks for the policy of a domain.
    pub fn lookup(&self, now: u64, request: &Request) -> Lookup {
        let known = self.valid(now, &request.domain);
        let policy = known.map(|(_, policy, _)| in_force(policy));
        let holds = |error| {
            let policy = policy.clone().flatten();
            Lookup::Known(Known { policy, error })
        };
        let Announced::Id(id) = &request.record else {
            return holds(None);
        };
        let entry = self.entries.get(&request.domain);
        let fresh = known.is_some_and(|(of, policy, at)| of == id && now < self.refresh_at(policy, *at));
        if fresh {
            return holds(None);
        }
        if entry.is_some_and(|entry| now < entry.retry_at) {
            // A policy of the same id holds whether or not it could be fetched again.
            let same = known.is_some_and(|(of, ..)| of == id);
            return holds((!same).then_some(FetchError::Recently));
        }
        match Fetch::new(request.domain.clone(), id.clone()) {
            Some(fetch) => Lookup::Fetch(fetch),
            None => holds(None),
        }
    }

    /// Takes what came of a fetch, and gives the policy that holds.
    pub fn fetched(&mut self, now: u64, fetch: &Fetch, result: Result<Policy, FetchError>) -> Known {
        let earlier = self.valid(now, &fetch.domain).cloned();
        let (policy, error, retry_at) = match result {
            Ok(policy) => (Some((fetch.id.clone(), Arc::new(policy), now)), None, now),
            Err(error) => (
                earlier,
                Some(error),
                now.saturating_add(self.config.retry_after.as_secs()),
            ),
        };
        let known = Known {
            policy: policy.as_ref().and_then(|(_, policy, _)| in_force(policy)),
            error,
        };
        self.insert(now, fetch.domain.clone(), policy, retry_at);
        known
    }

    /// How many domains are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Prints all policies, for [`read`](Self::read).
    pub fn print(&self) -> String {
        let mut text = String::new();
        for (_, domain) in &self.ends {
            if let Some((id, policy, fetched)) = &self.entries[domain].policy {
                // Writing into a string cannot fail.
                let _ = writeln!(text, "domain: {domain}\nid: {id}\nfetched: {fetched}");
                for line in policy.lines() {
                    text.push_str(&line);
                    text.push('\n');
                }
                text.push('\n');
            }
        }
        text
    }

    /// Takes back what [`print`](Self::print) wrote, and gives the number of domains read. What has expired, or cannot
    /// be read, is left out.
    pub fn read(&mut self, now: u64, text: &str) -> usize {
        let mut count = 0;
        for part in text.split("\n\n") {
            let mut lines = part.trim_start_matches('\n').splitn(4, '\n');
            let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(": ");
            let head = (field("domain"), field("id"), field("fetched"));
            let (Some(domain), Some(id), Some(fetched), Some(body)) = (head.0, head.1, head.2, lines.next())
            else {
                continue;
            };
            let (Ok(domain), Some(id), Ok(fetched), Ok(policy)) = (
                Name::parse(domain),
                Id::parse(id),
                fetched.parse::<u64>(),
                Policy::parse(body.as_bytes()),
            ) else {
                continue;
            };
            // A clock that was wrong must not make a policy hold for ever.
            let fetched = fetched.min(now);
            if now < fetched.saturating_add(policy.max_age().as_secs()) {
                self.insert(now, domain, Some((id, Arc::new(policy), fetched)), now);
                count += 1;
            }
        }
        count
    }

    fn valid(&self, now: u64, domain: &Name) -> Option<&(Id, Arc<Policy>, u64)> {
        let known = self.entries.get(domain)?.policy.as_ref();
        known.filter(|(_, policy, fetched)| now < fetched.saturating_add(policy.max_age().as_secs()))
    }

    fn refresh_at(&self, policy: &Policy, fetched: u64) -> u64 {
        let age = policy.max_age().as_secs();
        let before = self.config.refresh_before.as_secs().min(age / 2);
        fetched.saturating_add(age - before)
    }

    fn insert(&mut self, now: u64, domain: Name, policy: Option<(Id, Arc<Policy>, u64)>, retry_at: u64) {
        if let Some(old) = self.entries.remove(&domain) {
            self.ends.remove(&(old.end, domain.clone()));
        }
        let end = policy.as_ref().map_or(retry_at, |(_, policy, fetched)| {
            fetched.saturating_add(policy.max_age().as_secs()).max(retry_at)
        });
        if end <= now {
            return;
        }
        self.ends.insert((end, domain.clone()));
        let entry = Entry {
            policy,
            retry_at,
            end,
        };
        self.entries.insert(domain, entry);
        while let Some((end, first)) = self.ends.first() {
            if *end > now && self.entries.len() <= self.config.max_entries.max(1) {
                break;
            }
            self.entries.remove(first);
            self.ends.pop_first();
        }
    }
}

fn in_force(policy: &Arc<Policy>) -> Option<Arc<Policy>> {
    (policy.mode() != Mode::None).then(|| policy.clone())
}
