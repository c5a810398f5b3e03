//! Logins: how many may fail, what is remembered of those that succeed, how passwords are hashed

use super::filter::RateText;
use super::problem::Problems;
use super::values::{Size, Span, Text};
use super::{Config, Network};
use mailwright_filter::rate::Rate;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// How many logins may fail, and how long each takes. See [`throttle`](crate::accounts::throttle) for how the limits
/// work together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginLimits {
    /// Failures from one address, whatever the account.
    pub failures_per_address: Option<Rate>,
    /// Failures from one network.
    pub failures_per_network: Option<Rate>,
    /// Failures of one account, from all places together that it has not logged in from before.
    pub failures_per_account: Option<Rate>,
    /// Failures of one account from one place that it has logged in from before: an address, or else its network.
    pub failures_per_known_place: Option<Rate>,
    /// How many bits of an IPv4 address make a network.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network.
    pub ipv6_prefix: u8,
    /// How long an attempt waits after three failures; each further failure doubles it.
    pub delay: Duration,
    /// The longest that an attempt waits.
    pub longest_delay: Duration,
    /// How long a place that an account has logged in from is remembered after the last login.
    pub remember: Duration,
    /// Networks whose addresses log in on behalf of many, as that of a webmail server: their failures count for the
    /// account alone.
    pub exempt: Vec<Network>,
    /// How many of each are counted at once: those that were counted longest ago are forgotten. Each takes some 150
    /// octets.
    pub entries: usize,
    /// How long a password that was right, or wrong, is known again without hashing it; zero hashes each time.
    pub cache: Duration,
    /// How many logins may wait for their passwords to be checked, all together; an address has a tenth of them. Who
    /// comes then is told to come back.
    pub waiting: usize,
}

impl Default for LoginLimits {
    fn default() -> Self {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        Self {
            failures_per_address: Some(Rate::new(20, 30 * minute)),
            failures_per_network: Some(Rate::new(100, 30 * minute)),
            failures_per_account: Some(Rate::new(30, hour)),
            failures_per_known_place: Some(Rate::new(30, hour)),
            ipv4_prefix: 24,
            ipv6_prefix: 64,
            delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(5),
            remember: Duration::from_secs(90 * 86_400),
            exempt: [
                (IpAddr::from([127, 0, 0, 0]), 8),
                (Ipv6Addr::LOCALHOST.into(), 128),
            ]
            .map(|(address, prefix)| Network::new(address, prefix))
            .into(),
            entries: 50_000,
            cache: 2 * minute,
            waiting: 1000,
        }
    }
}

impl Config {
    /// The file that says where accounts have logged in from, and when application passwords were used.
    pub fn logins_file(&self) -> PathBuf {
        self.data.join("logins")
    }
}

/// What an Argon2id hash of a password costs (RFC 9106 §4). The hashes of accounts in the accounts file that cost less are
/// replaced when their owners log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordHashing {
    /// Memory, in KiB: 19 MiB by default.
    pub memory: u32,
    /// Passes over the memory: 2 by default.
    pub passes: u32,
    /// Lanes, 1 by default; they are computed one after the other.
    pub lanes: u32,
}

impl Default for PasswordHashing {
    fn default() -> Self {
        Self {
            memory: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginLimitsSection {
    failures_per_address: Option<Text<RateText>>,
    failures_per_network: Option<Text<RateText>>,
    failures_per_account: Option<Text<RateText>>,
    failures_per_known_place: Option<Text<RateText>>,
    ipv4_prefix: Option<u8>,
    ipv6_prefix: Option<u8>,
    delay: Option<Text<Span>>,
    longest_delay: Option<Text<Span>>,
    remember: Option<Text<Span>>,
    exempt: Option<Vec<Text<Network>>>,
    entries: Option<usize>,
    cache: Option<Text<Span>>,
    waiting: Option<usize>,
}

impl LoginLimitsSection {
    pub(super) fn into_config(self) -> LoginLimits {
        let usual = LoginLimits::default();
        let rate = |value: Option<Text<RateText>>, usual| value.map_or(usual, |rate| rate.0.0);
        let span = |value: Option<Text<Span>>, usual| value.map_or(usual, |span| span.0.0);
        LoginLimits {
            failures_per_address: rate(self.failures_per_address, usual.failures_per_address),
            failures_per_network: rate(self.failures_per_network, usual.failures_per_network),
            failures_per_account: rate(self.failures_per_account, usual.failures_per_account),
            failures_per_known_place: rate(self.failures_per_known_place, usual.failures_per_known_place),
            ipv4_prefix: self.ipv4_prefix.unwrap_or(usual.ipv4_prefix).min(32),
            ipv6_prefix: self.ipv6_prefix.unwrap_or(usual.ipv6_prefix).min(128),
            delay: span(self.delay, usual.delay),
            longest_delay: span(self.longest_delay, usual.longest_delay),
            remember: span(self.remember, usual.remember),
            exempt: self
                .exempt
                .map_or(usual.exempt, |list| list.into_iter().map(|one| one.0).collect()),
            entries: self.entries.unwrap_or(usual.entries).max(1),
            cache: span(self.cache, usual.cache),
            waiting: self.waiting.unwrap_or(usual.waiting).max(1),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordHashingSection {
    memory: Option<Text<Size>>,
    passes: Option<u32>,
    lanes: Option<u32>,
}

/// What the section says, if it says what can be done.
pub(super) fn hashing(
    section: Option<Spanned<PasswordHashingSection>>,
    found: &mut Problems<'_>,
) -> PasswordHashing {
    let usual = PasswordHashing::default();
    let Some(section) = section else { return usual };
    let span = section.span();
    let section = section.into_inner();
    let kib = section
        .memory
        .map(|size| u32::try_from(size.0.0 / 1024).unwrap_or(u32::MAX));
    let hashing = PasswordHashing {
        memory: kib.unwrap_or(usual.memory),
        passes: section.passes.unwrap_or(usual.passes),
        lanes: section.lanes.unwrap_or(usual.lanes),
    };
    // Less is guessed too fast; more, and a login takes all of a machine.
    let is_sound = (8 << 10..=1 << 20).contains(&hashing.memory)
        && (1..=20).contains(&hashing.passes)
        && (1..=16).contains(&hashing.lanes);
    if !is_sound {
        found.add(
            Some(span),
            "passwords cannot be hashed so",
            Some("8M to 1G of memory, 1 to 20 passes, 1 to 16 lanes; RFC 9106 and OWASP advise 19M and 2 passes at least"),
        );
        return usual;
    }
    hashing
}
