//! Filters, lists in the DNS, greylisting and rate limits in the configuration.

use super::problem::Problems;
use super::values::{Endpoint, Size, Span, Text};
use mailwright_filter::dns_list::{CodePattern, List};
use mailwright_filter::greylist;
use mailwright_filter::rate::Rate;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;

/// What filters mail that comes in.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Filtering {
    /// Programs that are asked about messages, in this order.
    pub filters: Vec<FilterConfig>,
    /// Lists in the DNS. None without lists.
    pub dns_lists: DnsLists,
    /// Greylisting. Off by default.
    pub greylist: Greylisting,
    /// How often clients, senders and accounts may do what.
    pub rates: RateLimits,
}

/// A program that is asked about messages.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FilterConfig {
    /// What logs call it.
    pub name: String,
    /// What it speaks.
    pub kind: FilterKind,
    /// Where it listens.
    pub address: FilterAddress,
    /// Whose mail it is asked about.
    pub mail: FilteredMail,
    /// What happens to a message when it does not answer, or answers nonsense.
    pub on_error: OnFilterError,
    /// What happens to a message that it finds bad, where its answer does not say that itself.
    pub on_hit: OnHit,
    /// How long a connection to it may take.
    pub connect_timeout: Duration,
    /// How long one question may take as a whole.
    pub timeout: Duration,
    /// The largest message that it is asked about, in octets; larger ones pass.
    pub max_size: u64,
}

/// What a filter speaks.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FilterKind {
    /// rspamd: HTTP, `/checkv2`.
    Rspamd,
    /// ClamAV: INSTREAM.
    Clamd,
    /// SpamAssassin: SPAMC.
    Spamd {
        /// Whose preferences hold; spamd's own without it.
        user: Option<String>,
        /// From which score on a message is refused, whatever [`FilterConfig::on_hit`] says.
        reject: Option<f64>,
    },
    /// The milter protocol, version 6.
    Milter,
}

/// Where a filter listens: `HOST:PORT`, or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterAddress {
    /// TCP.
    Tcp(Endpoint),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Whose mail a filter is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // who is known, who is not, and both
pub enum FilteredMail {
    /// Of clients that did not log in, and are of no trusted network.
    Strangers,
    /// Of those who logged in.
    Accounts,
    /// All mail.
    All,
}

/// What happens to a message when a filter fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // open or closed
pub enum OnFilterError {
    /// It passes.
    Accept,
    /// The client is asked to come back later.
    #[default]
    Defer,
}

/// What happens to a message that a filter finds bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // all that can be done with mail
pub enum OnHit {
    /// It is delivered, and its header says so.
    Mark,
    /// It is marked, and goes into Junk.
    Junk,
    /// It is refused.
    Reject,
    /// It is thrown away, and the client believes that it was taken.
    Discard,
}

/// Lists in the DNS of clients that send unwanted mail, or wanted mail (RFC 5782).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DnsLists {
    /// The lists.
    pub lists: Vec<List>,
    /// From which sum of weights on clients are refused.
    pub reject: f64,
    /// From which sum of weights on messages go into Junk.
    pub junk: f64,
    /// How long lists may take to answer; those that do not say nothing.
    pub timeout: Duration,
}

impl Default for DnsLists {
    /// No lists.
    fn default() -> Self {
        Self {
            lists: Vec::new(),
            reject: 5.0,
            junk: 2.0,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Greylisting (RFC 6647).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Greylisting {
    /// Whether strangers have to come back.
    pub enabled: bool,
    /// How long, and how many.
    pub table: greylist::Config,
    /// How many bits of an IPv4 address make a network.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network.
    pub ipv6_prefix: u8,
}

impl Default for Greylisting {
    /// Off.
    fn default() -> Self {
        Self {
            enabled: false,
            table: greylist::Config::default(),
            ipv4_prefix: 24,
            ipv6_prefix: 64,
        }
    }
}

/// How often clients, senders and accounts may do what; without a rate as often as they like.
///
/// What comes from this machine itself is not counted but for accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// Connections of one address to SMTP and submission.
    pub connections_per_address: Option<Rate>,
    /// Messages of strangers from one address.
    pub messages_per_address: Option<Rate>,
    /// Messages of strangers from one network, `/24` and `/64`.
    pub messages_per_network: Option<Rate>,
    /// Messages of strangers with one sender in the envelope.
    pub messages_per_sender: Option<Rate>,
    /// Recipients that one account sends to.
    pub recipients_per_account: Option<Rate>,
    /// The same, over a day.
    pub recipients_per_account_daily: Option<Rate>,
    /// Messages that one account sends.
    pub messages_per_account: Option<Rate>,
    /// The same, over a day.
    pub messages_per_account_daily: Option<Rate>,
    /// How many of each are counted at once: those that were counted longest ago are forgotten.
    pub entries: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        Self {
            connections_per_address: Some(Rate::new(300, minute)),
            messages_per_address: Some(Rate::new(3000, hour)),
            messages_per_network: Some(Rate::new(20_000, hour)),
            messages_per_sender: Some(Rate::new(3000, hour)),
            recipients_per_account: Some(Rate::new(5000, hour)),
            recipients_per_account_daily: Some(Rate::new(20_000, 24 * hour)),
            messages_per_account: Some(Rate::new(1000, hour)),
            messages_per_account_daily: Some(Rate::new(5000, 24 * hour)),
            entries: 50_000,
        }
    }
}

impl FilterConfig {
    /// A filter with the settings that are usual for its kind.
    pub fn new(kind: FilterKind, address: FilterAddress) -> Self {
        let (mail, on_hit, max_size) = match kind {
            FilterKind::Rspamd => (FilteredMail::Strangers, OnHit::Junk, 50 << 20),
            FilterKind::Spamd { .. } => (FilteredMail::Strangers, OnHit::Junk, 1 << 20),
            FilterKind::Clamd => (FilteredMail::All, OnHit::Reject, 25 << 20),
            FilterKind::Milter => (FilteredMail::All, OnHit::Junk, u64::MAX),
        };
        Self {
            name: kind.to_string(),
            kind,
            address,
            mail,
            on_error: OnFilterError::default(),
            on_hit,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(120),
            max_size,
        }
    }
}

impl std::fmt::Display for FilterKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rspamd => "rspamd",
            Self::Clamd => "clamd",
            Self::Spamd { .. } => "spamd",
            Self::Milter => "milter",
        })
    }
}

impl FromStr for FilterAddress {
    type Err = super::Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ => text.parse().map(Self::Tcp).map_err(|_| {
                super::Unreadable(
                    "expected where a filter listens, as \"127.0.0.1:11333\" or \"unix:/run/filter.sock\"",
                )
            }),
        }
    }
}

impl std::fmt::Display for FilterAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterSection {
    kind: Kind,
    address: Text<FilterAddress>,
    name: Option<String>,
    mail: Option<FilteredMail>,
    #[serde(default)]
    on_error: OnFilterError,
    on_hit: Option<OnHit>,
    connect_timeout: Option<Text<Span>>,
    timeout: Option<Text<Span>>,
    max_size: Option<Text<Size>>,
    user: Option<String>,
    reject: Option<f64>,
}

#[derive(serde::Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Rspamd,
    Clamd,
    Spamd,
    Milter,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct DnsListsSection {
    #[serde(default)]
    list: Vec<ListSection>,
    reject: Option<f64>,
    junk: Option<f64>,
    timeout: Option<Text<Span>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ListSection {
    zone: Text<mailwright_address::Domain>,
    weight: f64,
    #[serde(default)]
    codes: Vec<Text<CodePattern>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct GreylistSection {
    #[serde(default)]
    enabled: bool,
    wait: Option<Text<Span>>,
    window: Option<Text<Span>>,
    keep: Option<Text<Span>>,
    auto_allow: Option<u32>,
    entries: Option<usize>,
    ipv4_prefix: Option<u8>,
    ipv6_prefix: Option<u8>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimitsSection {
    connections_per_address: Option<Text<RateText>>,
    messages_per_address: Option<Text<RateText>>,
    messages_per_network: Option<Text<RateText>>,
    messages_per_sender: Option<Text<RateText>>,
    recipients_per_account: Option<Text<RateText>>,
    recipients_per_account_daily: Option<Text<RateText>>,
    messages_per_account: Option<Text<RateText>>,
    messages_per_account_daily: Option<Text<RateText>>,
    entries: Option<usize>,
}

/// A rate as people write it: `100/1h`, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateText(pub(super) Option<Rate>);

impl FromStr for RateText {
    type Err = super::Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = super::Unreadable("expected how often, as \"100/1h\", or \"none\"");
        if text == "none" {
            return Ok(Self(None));
        }
        let (events, per) = text.split_once('/').ok_or(wrong)?;
        let events = events
            .trim()
            .parse()
            .ok()
            .filter(|events| *events > 0)
            .ok_or(wrong)?;
        let per: Span = per.trim().parse().map_err(|_| wrong)?;
        match per.0.is_zero() {
            true => Err(wrong),
            false => Ok(Self(Some(Rate::new(events, per.0)))),
        }
    }
}

impl std::fmt::Display for RateText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(rate) => write!(f, "{}/{}", rate.events, Span(rate.per)),
            None => f.write_str("none"),
        }
    }
}

/// What the sections of the file say, as a whole.
pub(super) fn filtering(
    filters: Vec<Spanned<FilterSection>>,
    dns_lists: DnsListsSection,
    greylist: GreylistSection,
    rates: RateLimitsSection,
    folder: &Path,
    found: &mut Problems<'_>,
) -> Filtering {
    Filtering {
        filters: filters
            .into_iter()
            .map(|section| {
                let span = section.span();
                section.into_inner().into_config(folder, span, found)
            })
            .collect(),
        dns_lists: dns_lists.into_config(),
        greylist: greylist.into_config(),
        rates: rates.into_config(),
    }
}

impl FilterSection {
    fn into_config(
        self,
        folder: &Path,
        span: std::ops::Range<usize>,
        found: &mut Problems<'_>,
    ) -> FilterConfig {
        if self.kind != Kind::Spamd && (self.user.is_some() || self.reject.is_some()) {
            found.add(
                Some(span.clone()),
                "a key of this filter has no meaning for its kind",
                Some("remove `user` and `reject`, which are for \"spamd\""),
            );
        }
        if self.kind == Kind::Milter && self.on_hit.is_some() {
            found.add(
                Some(span),
                "`on_hit` has no meaning for a milter, which says itself what is to happen",
                Some("remove it"),
            );
        }
        let kind = match self.kind {
            Kind::Rspamd => FilterKind::Rspamd,
            Kind::Clamd => FilterKind::Clamd,
            Kind::Milter => FilterKind::Milter,
            Kind::Spamd => FilterKind::Spamd {
                user: self.user,
                reject: self.reject,
            },
        };
        let address = match self.address.0 {
            FilterAddress::Unix(path) => FilterAddress::Unix(folder.join(path)),
            tcp => tcp,
        };
        let usual = FilterConfig::new(kind, address);
        FilterConfig {
            name: self.name.unwrap_or(usual.name),
            mail: self.mail.unwrap_or(usual.mail),
            on_error: self.on_error,
            on_hit: self.on_hit.unwrap_or(usual.on_hit),
            connect_timeout: self
                .connect_timeout
                .map_or(usual.connect_timeout, |span| span.0.0),
            timeout: self.timeout.map_or(usual.timeout, |span| span.0.0),
            max_size: self.max_size.map_or(usual.max_size, |size| size.0.0),
            kind: usual.kind,
            address: usual.address,
        }
    }
}

impl DnsListsSection {
    fn into_config(self) -> DnsLists {
        let usual = DnsLists::default();
        let list = |section: ListSection| {
            List::new(section.zone.0.as_str(), section.weight)
                .with_codes(section.codes.into_iter().map(|code| code.0).collect())
        };
        DnsLists {
            lists: self.list.into_iter().map(list).collect(),
            reject: self.reject.unwrap_or(usual.reject),
            junk: self.junk.unwrap_or(usual.junk),
            timeout: self.timeout.map_or(usual.timeout, |span| span.0.0),
        }
    }
}

impl GreylistSection {
    fn into_config(self) -> Greylisting {
        let usual = Greylisting::default();
        let mut table = usual.table;
        let span = |value: Option<Text<Span>>, usual| value.map_or(usual, |span| span.0.0);
        table.wait = span(self.wait, table.wait);
        table.window = span(self.window, table.window);
        table.keep = span(self.keep, table.keep);
        table.auto_allow = self.auto_allow.unwrap_or(table.auto_allow);
        table.capacity = self.entries.unwrap_or(table.capacity);
        Greylisting {
            enabled: self.enabled,
            table,
            ipv4_prefix: self.ipv4_prefix.unwrap_or(usual.ipv4_prefix),
            ipv6_prefix: self.ipv6_prefix.unwrap_or(usual.ipv6_prefix),
        }
    }
}

impl RateLimitsSection {
    fn into_config(self) -> RateLimits {
        let usual = RateLimits::default();
        let rate = |value: Option<Text<RateText>>, usual| value.map_or(usual, |rate| rate.0.0);
        RateLimits {
            connections_per_address: rate(self.connections_per_address, usual.connections_per_address),
            messages_per_address: rate(self.messages_per_address, usual.messages_per_address),
            messages_per_network: rate(self.messages_per_network, usual.messages_per_network),
            messages_per_sender: rate(self.messages_per_sender, usual.messages_per_sender),
            recipients_per_account: rate(self.recipients_per_account, usual.recipients_per_account),
            recipients_per_account_daily: rate(
                self.recipients_per_account_daily,
                usual.recipients_per_account_daily,
            ),
            messages_per_account: rate(self.messages_per_account, usual.messages_per_account),
            messages_per_account_daily: rate(
                self.messages_per_account_daily,
                usual.messages_per_account_daily,
            ),
            entries: self.entries.unwrap_or(usual.entries),
        }
    }
}
