//! The queue: how long mail for other domains is tried, and how much goes out at once

use super::problem::Problems;
use super::values::{Notice, Span, Text};
use mailwright_address::Domain;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;

/// How long mail for other domains is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// The waits between tries; the last one repeats.
    pub retry: Vec<Duration>,
    /// After how long a message is given up and its sender told. RFC 5321 §4.5.4.1: at least 4 to 5 days.
    pub expire: Duration,
    /// After how long the sender is told of the delay; never if it is not set.
    pub delay_notice: Option<Duration>,
    /// How many connections to other servers may be open at once.
    pub connections: usize,
    /// How many of them to one recipient domain: so many it grows to while all goes well.
    pub connections_per_destination: usize,
    /// How many messages a minute go to one recipient domain at most.
    pub rate: Option<u32>,
    /// What holds for some domains in place of the two.
    pub destinations: BTreeMap<Domain, DestinationLimits>,
    /// How long a connection is kept for another message; zero closes it at once.
    pub keep_connections: Duration,
}

/// How much one recipient domain gets at a time, where it is not what all get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DestinationLimits {
    /// The most connections at once.
    pub connections: Option<usize>,
    /// The most messages a minute.
    pub rate: Option<u32>,
}

impl DestinationLimits {
    /// Joins the two.
    pub fn new(connections: Option<usize>, rate: Option<u32>) -> Self {
        Self { connections, rate }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            retry: [5, 15, 30, 60, 120, 240].map(minutes).to_vec(),
            expire: Duration::from_secs(5 * 86_400),
            delay_notice: Some(Duration::from_secs(4 * 3600)),
            connections: 50,
            connections_per_destination: 20,
            rate: None,
            destinations: BTreeMap::new(),
            keep_connections: Duration::from_secs(5),
        }
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueSection {
    retry: Option<Spanned<Vec<Text<Span>>>>,
    expire: Option<Text<Span>>,
    delay_notice: Option<Text<Notice>>,
    connections: Option<usize>,
    connections_per_destination: Option<usize>,
    rate: Option<u32>,
    #[serde(default)]
    destinations: BTreeMap<Text<Domain>, DestinationSection>,
    keep_connections: Option<Text<Span>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationSection {
    connections: Option<usize>,
    rate: Option<u32>,
}

impl QueueSection {
    pub(super) fn into_config(self, found: &mut Problems<'_>) -> QueueConfig {
        let usual = QueueConfig::default();
        let retry = self.retry.map(|retry| {
            if retry.get_ref().is_empty() || retry.get_ref().iter().any(|wait| wait.0.0.is_zero()) {
                let help = Some("give the waits between tries, as [\"5m\", \"15m\", \"1h\"]");
                found.add(
                    Some(retry.span()),
                    "the schedule has no wait, or one of no length",
                    help,
                );
            }
            retry.into_inner().into_iter().map(|wait| wait.0.0).collect()
        });
        QueueConfig {
            retry: retry.unwrap_or(usual.retry),
            expire: self.expire.map_or(usual.expire, |span| span.0.0),
            delay_notice: self.delay_notice.map_or(usual.delay_notice, |notice| notice.0.0),
            connections: self.connections.unwrap_or(usual.connections).max(1),
            connections_per_destination: self
                .connections_per_destination
                .unwrap_or(usual.connections_per_destination)
                .max(1),
            rate: self.rate.or(usual.rate),
            destinations: self
                .destinations
                .into_iter()
                .map(|(domain, limits)| (domain.0, DestinationLimits::new(limits.connections, limits.rate)))
                .collect(),
            keep_connections: self
                .keep_connections
                .map_or(usual.keep_connections, |span| span.0.0),
        }
    }
}
