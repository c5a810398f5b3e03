//! Listeners: where connections are accepted, what is spoken there, and how TLS starts

use super::CertificateFiles;
use super::problem::Problems;
use super::tls::pair;
use super::values::{Network, Span, Text};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// A place where connections are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// What logs call it; also the key of its address in [`Running`](crate::Running).
    pub name: String,
    /// The address to listen at; port 0 takes a free one.
    pub address: SocketAddr,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How TLS starts there.
    pub tls: TlsMode,
    /// The certificate, if it is not the common one.
    pub certificate: Option<CertificateFiles>,
    /// Whether the server starts without it, with a warning, if another program has the address.
    pub optional: bool,
    /// Whether other processes of the same user may listen at the same address (SO_REUSEPORT): the system spreads
    /// connections over them.
    pub reuse_port: bool,
    /// What holds for SMTP, submission and LMTP alone.
    pub smtp: SmtpListener,
}

/// What a listener for SMTP, submission or LMTP does besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SmtpListener {
    /// Whether a PROXY header (version 1 or 2) stands ahead of every connection, TLS included. Only proxies may
    /// reach such a listener.
    pub proxy: bool,
    /// From where a proxy may tell by XCLIENT for whom it speaks.
    pub xclient: Vec<Network>,
    /// From where a content filter may tell by XFORWARD where a message came from; it is logged.
    pub xforward: Vec<Network>,
    /// How long the greeting is held back; who speaks before it is turned away.
    pub greeting_delay: Duration,
    /// Whether VRFY tells which addresses there are. Else it says 252, which tells nothing.
    pub verify: bool,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// SMTP between servers: takes mail for local domains (RFC 5321).
    Smtp,
    /// Submission by mail programs, after AUTH (RFC 6409).
    Submission,
    /// Local delivery from a trusted program (RFC 2033).
    Lmtp,
    /// IMAP4 (RFC 9051, RFC 3501).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
    /// What mail programs ask to set themselves up, over HTTP.
    Http,
    /// What programs ask that watch the server, over HTTP; configured by [`Observing::metrics`](super::Observing::metrics) alone.
    #[serde(skip)]
    Metrics,
}

/// How TLS starts on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // never, on request, at once
pub enum TlsMode {
    /// Not at all.
    None,
    /// When the client asks for it (STARTTLS, STLS).
    Starttls,
    /// At once (RFC 8314 §3).
    Implicit,
}

/// When a password may cross the network in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // nowhere, on this machine, everywhere
pub enum PlaintextLogin {
    /// Never: TLS comes first.
    #[default]
    Never,
    /// From this machine to itself.
    Loopback,
    /// Always. For networks that are protected by other means.
    Always,
}

impl PlaintextLogin {
    /// Whether a peer at `address` may send a password without TLS.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Never => false,
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Always => true,
        }
    }
}

impl ListenerConfig {
    /// A listener with the TLS mode that is usual for its protocol.
    pub fn new(protocol: Protocol, address: SocketAddr) -> Self {
        Self {
            name: match address.port() {
                0 => protocol.to_string(),
                port => format!("{protocol}-{port}"),
            },
            address,
            protocol,
            tls: protocol.usual_tls(),
            certificate: None,
            optional: false,
            reuse_port: false,
            smtp: SmtpListener::default(),
        }
    }

    /// Lets the server start without it if another program has the address.
    #[must_use]
    pub fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    /// Sets how TLS starts.
    #[must_use]
    pub fn with_tls(self, tls: TlsMode) -> Self {
        Self { tls, ..self }
    }

    /// Sets the name.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }
}

impl Protocol {
    /// TLS on request, but for HTTP, which does not know that, and for what stays on the machine.
    fn usual_tls(self) -> TlsMode {
        match self {
            Self::Lmtp | Self::Metrics => TlsMode::None,
            Self::Http => TlsMode::Implicit,
            _ => TlsMode::Starttls,
        }
    }

    /// Its name in configurations, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Http => "http",
            Self::Metrics => "metrics",
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenerSection {
    name: Option<String>,
    address: Spanned<SocketAddr>,
    protocol: Protocol,
    tls: Option<TlsMode>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    proxy: Option<bool>,
    xclient: Option<Vec<Text<Network>>>,
    xforward: Option<Vec<Text<Network>>>,
    greeting_delay: Option<Text<Span>>,
    verify: Option<bool>,
    #[serde(default)]
    reuse_port: bool,
}

impl ListenerSection {
    fn has_smtp_keys(&self) -> bool {
        self.proxy.is_some()
            || self.xclient.is_some()
            || self.xforward.is_some()
            || self.greeting_delay.is_some()
            || self.verify.is_some()
    }

    fn smtp(&self) -> SmtpListener {
        let networks =
            |list: &Option<Vec<Text<Network>>>| list.iter().flatten().map(|network| network.0).collect();
        SmtpListener {
            proxy: self.proxy.unwrap_or(false),
            xclient: networks(&self.xclient),
            xforward: networks(&self.xforward),
            greeting_delay: self
                .greeting_delay
                .as_ref()
                .map_or_else(Default::default, |span| span.0.0),
            verify: self.verify.unwrap_or(false),
        }
    }
}

pub(super) fn listeners(
    sections: Vec<Spanned<ListenerSection>>,
    folder: &Path,
    found: &mut Problems<'_>,
) -> Vec<ListenerConfig> {
    let mut taken = HashMap::new();
    let mut seen = HashMap::new();
    let mut listeners = Vec::new();
    for section in sections {
        let span = section.span();
        let section = section.into_inner();
        let address = *section.address.get_ref();
        let mut listener = ListenerConfig::new(section.protocol, address);
        listener.tls = section.tls.unwrap_or(listener.tls);
        if let Some(name) = section.name.clone() {
            listener.name = name;
        }
        if section.has_smtp_keys()
            && matches!(section.protocol, Protocol::Imap | Protocol::Pop3 | Protocol::Http)
        {
            found.add(
                Some(span.clone()),
                format!("a key of this listener has no meaning for {}", section.protocol),
                Some("remove `proxy`, `xclient`, `xforward`, `greeting_delay` and `verify`"),
            );
        }
        listener.smtp = section.smtp();
        listener.reuse_port = section.reuse_port;
        listener.certificate = pair(section.certificate, section.key, folder, span.clone(), found);
        if address.port() != 0 && taken.insert(address, ()).is_some() {
            let help = Some("give each listener an address of its own");
            found.add(
                Some(section.address.span()),
                format!("{address} is listened at twice"),
                help,
            );
        }
        if seen.insert(listener.name.clone(), ()).is_some() {
            let what = format!("two listeners are called \"{}\"", listener.name);
            found.add(Some(span.clone()), what, Some("add `name = \"...\"`"));
        }
        if listener.protocol == Protocol::Http && listener.tls == TlsMode::Starttls {
            let help = Some("use \"implicit\" or \"none\"");
            found.add(Some(span.clone()), "HTTP knows no STARTTLS", help);
        }
        if listener.protocol == Protocol::Lmtp && !address.ip().is_loopback() {
            let help = Some("LMTP trusts whoever connects: listen at 127.0.0.1 or [::1]");
            found.add(Some(section.address.span()), "LMTP is open to the network", help);
        }
        listeners.push(listener);
    }
    listeners
}
