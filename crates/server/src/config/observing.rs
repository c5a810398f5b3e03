//! What a server tells of itself: metrics, the journal of messages, the log

use super::problem::Problems;
use super::values::{Network, Size, Span, Text, Unreadable};
use super::{ListenerConfig, Protocol, TlsMode};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use toml::Spanned;
use tracing_subscriber::filter::Targets;

/// How a server can be watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Observing {
    /// Where its metrics are to be had, if anywhere. Default: nowhere.
    pub metrics: Option<MetricsConfig>,
    /// The journal of what becomes of messages.
    pub trace: TraceConfig,
    /// The log.
    pub log: LogConfig,
}

/// Where `/metrics` and `/healthz` are to be had, over HTTP without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// The address to listen at. Default: port 9465 of this machine.
    pub address: SocketAddr,
    /// Who may ask. Default: this machine.
    pub allow: Vec<Network>,
}

impl MetricsConfig {
    /// At an address, for this machine alone.
    pub fn new(address: SocketAddr) -> Self {
        let own = ["127.0.0.0/8", "::1"].map(|network| network.parse().expect("it is a network"));
        Self {
            address,
            allow: own.to_vec(),
        }
    }

    /// Whether a client may ask.
    pub fn allows(&self, client: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(client))
    }

    /// The listener.
    pub(crate) fn listener(&self) -> ListenerConfig {
        ListenerConfig::new(Protocol::Metrics, self.address)
            .with_tls(TlsMode::None)
            .with_name("metrics")
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9465)))
    }
}

/// The journal of what becomes of messages, which `mailwright trace` reads. It has addresses and replies, and nothing
/// that stands in messages but their Message-ID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceConfig {
    /// Whether it is kept. Default: yes.
    pub enabled: bool,
    /// How large it gets, in octets; then the oldest events go. Default: 64 MiB.
    pub max_size: u64,
    /// How long events are kept. Default: 30 days.
    pub keep: Duration,
}

impl TraceConfig {
    /// The least of [`max_size`](Self::max_size).
    pub const LEAST_SIZE: u64 = 64 << 10;
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_size: 64 << 20,
            keep: Duration::from_secs(30 * 86_400),
        }
    }
}

/// What the program writes to its log, which is its standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogConfig {
    /// How much, as directives of `tracing`: `info`, or `info,mailwright_server::outbound=debug`. Default: `info`.
    pub level: String,
    /// In which form.
    pub format: LogFormat,
}

impl LogConfig {
    /// Sets the level.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn set_level(&mut self, level: impl Into<String>) -> Result<(), Unreadable> {
        let level = level.into();
        let known = level.parse::<Targets>();
        known.map_err(|_| Unreadable::expected(LEVELS))?;
        self.level = level;
        Ok(())
    }
}

/// What a level of the log looks like.
const LEVELS: &str =
    "expected error, warn, info, debug or trace, or directives such as \"info,mailwright_server=debug\"";

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsSection {
    address: Option<SocketAddr>,
    allow: Option<Vec<Text<Network>>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceSection {
    enabled: Option<bool>,
    max_size: Option<Spanned<Text<Size>>>,
    keep: Option<Text<Span>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LogSection {
    level: Option<Spanned<String>>,
    #[serde(default)]
    format: LogFormat,
}

/// Joins the three sections.
pub(super) fn observing(
    metrics: Option<MetricsSection>,
    trace: Option<TraceSection>,
    log: Option<LogSection>,
    found: &mut Problems<'_>,
) -> Observing {
    let metrics = metrics.map(|section| {
        let usual = MetricsConfig::default();
        let networks = |list: Vec<Text<Network>>| list.into_iter().map(|network| network.0).collect();
        MetricsConfig {
            address: section.address.unwrap_or(usual.address),
            allow: section.allow.map_or(usual.allow, networks),
        }
    });
    let (trace, log) = (trace.unwrap_or_default(), log.unwrap_or_default());
    let usual = TraceConfig::default();
    let max_size = trace.max_size.map(|size| {
        let (span, size) = (size.span(), size.into_inner().0.0);
        if size < TraceConfig::LEAST_SIZE {
            found.add(
                Some(span),
                "the journal is too small",
                Some("give it \"64K\" at least"),
            );
        }
        size
    });
    let mut logs = LogConfig {
        format: log.format,
        ..LogConfig::default()
    };
    if let Some(level) = log.level {
        let what = format!("\"{}\" is no level", level.get_ref());
        let span = level.span();
        if let Err(error) = logs.set_level(level.into_inner()) {
            found.add(Some(span), what, Some(&error.to_string()));
        }
    }
    Observing {
        metrics,
        trace: TraceConfig {
            enabled: trace.enabled.unwrap_or(usual.enabled),
            max_size: max_size.unwrap_or(usual.max_size),
            keep: trace.keep.map_or(usual.keep, |span| span.0.0),
        },
        log: logs,
    }
}
