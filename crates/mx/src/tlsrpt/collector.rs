//! Sessions counted by day, domain and policy ([RFC 8460] §4.1, §4.2)
//!
//! [RFC 8460]: https://www.rfc-editor.org/rfc/rfc8460

use super::{Detail, PolicyKind, PolicyReport, Report};
use crate::{TlsPolicy, dane};
use mailwright_dns::Name;
use std::collections::BTreeMap;

/// Limits of a [`Collector`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CollectorConfig {
    /// How many domains are counted in one day; others are left out. Default: 10,000.
    pub max_domains: usize,
    /// How many policies of one domain are told apart in one day; sessions under others are left out. Default: 16.
    pub max_policies: usize,
    /// How many kinds of failure are told apart under one policy; others are only counted. Default: 64.
    pub max_details: usize,
    /// How many days are kept that nobody took. Default: 3.
    pub max_days: usize,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self {
            max_domains: 10_000,
            max_policies: 16,
            max_details: 64,
            max_days: 3,
        }
    }
}

/// What happened in sessions with other servers.
#[derive(Debug, Default)]
pub struct Collector {
    config: CollectorConfig,
    days: BTreeMap<u64, BTreeMap<Name, Vec<PolicyReport>>>,
}

/// The policy that a session was under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Applied {
    kind: PolicyKind,
    lines: Vec<String>,
    hosts: Vec<String>,
}

impl Applied {
    /// An MTA-STS policy that is not known, because it could not be fetched.
    pub fn unknown_sts() -> Self {
        Self {
            kind: PolicyKind::Sts,
            lines: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// DANE whose records are not known, because they could not be looked up.
    pub fn unknown_tlsa(host: &Name) -> Self {
        Self {
            kind: PolicyKind::Tlsa,
            lines: Vec::new(),
            hosts: vec![host.to_string()],
        }
    }
}

impl From<&TlsPolicy> for Applied {
    fn from(policy: &TlsPolicy) -> Self {
        match policy {
            TlsPolicy::Dane(policy) => Self {
                kind: PolicyKind::Tlsa,
                lines: policy.records().iter().map(dane::print).collect(),
                hosts: vec![policy.base().to_string()],
            },
            TlsPolicy::Sts { policy, .. } => Self {
                kind: PolicyKind::Sts,
                lines: policy.lines().collect(),
                hosts: policy.patterns().iter().map(ToString::to_string).collect(),
            },
            _ => Self {
                kind: PolicyKind::NoPolicy,
                lines: Vec::new(),
                hosts: Vec::new(),
            },
        }
    }
}

/// What happened with one domain in one day.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Day {
    /// The domain.
    pub domain: Name,
    /// The first second of the day, since 1970.
    pub start: u64,
    /// What happened.
    pub policies: Vec<PolicyReport>,
}

impl Day {
    /// Makes the report of it. It lacks names and id.
    pub fn report(self) -> Report {
        let mut report = Report::new("", "", "");
        (report.start, report.end) = (self.start, self.start + DAY - 1);
        report.policies = self.policies;
        report
    }
}

impl Collector {
    /// An empty collector.
    pub fn new(config: CollectorConfig) -> Self {
        Self {
            config,
            days: BTreeMap::new(),
        }
    }

    /// Counts one session, at `now` in seconds since 1970: met, or failed as `failure` tells.
    pub fn count(&mut self, now: u64, domain: &Name, applied: &Applied, failure: Option<Detail>) {
        let max_details = self.config.max_details;
        let Some(report) = self.report(now, domain, applied) else {
            return;
        };
        let Some(detail) = failure else {
            report.successes = report.successes.saturating_add(1);
            return;
        };
        report.failures = report.failures.saturating_add(detail.sessions);
        let known = report.details.iter().position(|known| known.is_like(&detail));
        if let Some(place) = known {
            let sessions = &mut report.details[place].sessions;
            *sessions = sessions.saturating_add(detail.sessions);
        } else if report.details.len() < max_details {
            report.details.push(detail);
        }
    }

    /// Takes what happened on days that are over, the oldest first.
    pub fn take_over(&mut self, now: u64) -> Vec<Day> {
        let later = self.days.split_off(&(now / DAY));
        let days = core::mem::replace(&mut self.days, later);
        let days = days.into_iter().flat_map(|(day, domains)| {
            domains.into_iter().map(move |(domain, policies)| Day {
                domain,
                start: day * DAY,
                policies,
            })
        });
        days.collect()
    }

    /// What happened so far, one [`Day`] for each domain and day: what an embedder keeps over a restart, with
    /// [`restore`](Self::restore).
    pub fn days(&self) -> impl Iterator<Item = Day> {
        self.days.iter().flat_map(|(day, domains)| {
            domains.iter().map(move |(domain, policies)| Day {
                domain: domain.clone(),
                start: day * DAY,
                policies: policies.clone(),
            })
        })
    }

    /// Adds what was counted before a restart.
    pub fn restore(&mut self, report: &Report) {
        for policy in &report.policies {
            let Ok(domain) = Name::parse(&policy.domain) else {
                continue;
            };
            let applied = Applied {
                kind: policy.kind,
                lines: policy.lines.clone(),
                hosts: policy.hosts.clone(),
            };
            let max_details = self.config.max_details;
            if let Some(known) = self.report(report.start, &domain, &applied) {
                known.successes = known.successes.saturating_add(policy.successes);
                known.failures = known.failures.saturating_add(policy.failures);
                let room = max_details.saturating_sub(known.details.len());
                known.details.extend(policy.details.iter().take(room).cloned());
            }
        }
    }

    fn report(&mut self, now: u64, domain: &Name, applied: &Applied) -> Option<&mut PolicyReport> {
        let domains = self.days.entry(now / DAY).or_default();
        if domains.len() >= self.config.max_domains && !domains.contains_key(domain) {
            return None;
        }
        while self.days.len() > self.config.max_days.max(1) {
            self.days.pop_first();
        }
        let policies = self
            .days
            .get_mut(&(now / DAY))?
            .entry(domain.clone())
            .or_default();
        let same = |report: &PolicyReport| {
            (report.kind, &report.lines, &report.hosts) == (applied.kind, &applied.lines, &applied.hosts)
        };
        if let Some(place) = policies.iter().position(same) {
            return policies.get_mut(place);
        }
        if policies.len() >= self.config.max_policies {
            return None;
        }
        policies.push(PolicyReport {
            kind: applied.kind,
            lines: applied.lines.clone(),
            domain: domain.to_string(),
            hosts: applied.hosts.clone(),
            ..PolicyReport::default()
        });
        policies.last_mut()
    }
}

const DAY: u64 = 86_400;
