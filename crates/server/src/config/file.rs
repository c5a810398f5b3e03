//! The configuration file: its keys, and the checks that go beyond one value.

use super::StoreKind;
use super::auth::{AuthSection, DkimSection, dkim_keys};
use super::delivery::{DeliverySection, ListSection};
use super::filter::{self, DnsListsSection, FilterSection, GreylistSection, RateLimitsSection};
use super::is_among;
use super::lists::aliases;
use super::login::{LoginLimitsSection, PasswordHashingSection, hashing};
use super::observing::{LogSection, MetricsSection, TraceSection, observing};
use super::problem::Problems;
use super::tls::{AcmeSection, TlsSection, pair};
use super::values::{Endpoint, EndpointHost, Network, Notice, Size, Span, Targets, Text};
use super::web::{StsSection, WebSection, web};
use super::{
    AccountEntry, AccountSection, Config, ConfigError, DestinationLimits, FixedRoute, FromHeader, Limits,
    ListenerConfig, Outbound, OverQuota, PlaintextLogin, Protocol, QueueConfig, QuotaSection, RouteTls,
    SmartHost, SmartHostLogin, SmartHostTls, SmtpListener, TlsMode, Way,
};
use crate::names;
use mailwright_address::{Domain, EmailAddress};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;

impl Config {
    /// Reads a configuration file. Relative paths in it start at its own folder.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, each with its line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::unreadable(path, &error, "give the right path with --config"))?;
        Self::parse(&text, path)
    }

    /// Reads a configuration from text that stands, or would stand, in the file `path`.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, each with its line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut found = Problems::new(path, text);
        let config = file.into_config(folder, &mut found);
        found.finish(config)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hostname: Text<Domain>,
    domains: Spanned<Vec<Text<Domain>>>,
    data: PathBuf,
    #[serde(default)]
    store: StoreKind,
    accounts_file: Option<PathBuf>,
    domains_file: Option<PathBuf>,
    #[serde(default)]
    plaintext_login: PlaintextLogin,
    tls: Option<Spanned<TlsSection>>,
    acme: Option<Spanned<AcmeSection>>,
    #[serde(default)]
    listener: Vec<Spanned<ListenerSection>>,
    #[serde(default)]
    account: Vec<Spanned<AccountSection>>,
    #[serde(default)]
    aliases: BTreeMap<Spanned<String>, Targets>,
    aliases_file: Option<PathBuf>,
    #[serde(default)]
    auth: AuthSection,
    #[serde(default)]
    dkim: Vec<Spanned<DkimSection>>,
    #[serde(default)]
    outbound: OutboundSection,
    #[serde(default)]
    queue: QueueSection,
    control: Option<bool>,
    #[serde(default)]
    from_header: FromHeader,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    login_limits: LoginLimitsSection,
    password_hash: Option<Spanned<PasswordHashingSection>>,
    #[serde(default)]
    quota: QuotaSection,
    #[serde(default)]
    filter: Vec<Spanned<FilterSection>>,
    #[serde(default)]
    dns_lists: DnsListsSection,
    #[serde(default)]
    greylist: GreylistSection,
    #[serde(default)]
    rate_limits: RateLimitsSection,
    web: Option<WebSection>,
    mta_sts: Option<StsSection>,
    metrics: Option<MetricsSection>,
    trace: Option<TraceSection>,
    log: Option<LogSection>,
    #[serde(default)]
    delivery: DeliverySection,
    #[serde(default)]
    lists: BTreeMap<Spanned<String>, ListSection>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenerSection {
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

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct OutboundSection {
    enabled: Option<bool>,
    resolver: Option<Text<ResolverAddress>>,
    hosts: Option<Spanned<PathBuf>>,
    serve_stale: Option<Text<Span>>,
    port: Option<u16>,
    tls_policies: Option<bool>,
    tls_reports: Option<Text<EmailAddress>>,
    ca: Option<Spanned<PathBuf>>,
    smart_host: Option<Spanned<SmartHostSection>>,
    #[serde(default)]
    routes: BTreeMap<Text<Domain>, Spanned<RouteSection>>,
    #[serde(default)]
    source: Vec<IpAddr>,
    ehlo: Option<Text<Domain>>,
}

/// Where mail for a domain goes: an endpoint, or a table that says more.
struct RouteSection(FixedRoute);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    to: Option<Text<RouteEnd>>,
    #[serde(default)]
    tls: RouteTls,
    #[serde(default)]
    subdomains: bool,
    #[serde(default)]
    lmtp: bool,
    #[serde(default)]
    source: Vec<IpAddr>,
    ehlo: Option<Text<Domain>>,
}

impl<'de> Deserialize<'de> for RouteSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = RouteSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"HOST:PORT\", \"unix:/PATH\", or a table with `to` or `tls`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RouteSection, E> {
                let end: RouteEnd = text
                    .parse()
                    .map_err(|error| E::custom(format!("\"{text}\": {error}")))?;
                Ok(RouteSection(end.route(Way::default())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RouteSection, A::Error> {
                let table = RouteTable::deserialize(MapAccessDeserializer::new(map))?;
                let mut way = way(table.source, table.ehlo);
                if table.lmtp {
                    way.protocol = Protocol::Lmtp;
                }
                let mut route = match table.to {
                    Some(end) => end.0.route(way),
                    None => FixedRoute {
                        way,
                        ..FixedRoute::default()
                    },
                };
                route.subdomains = table.subdomains;
                if route.way.socket.is_some() && !matches!(table.tls, RouteTls::Automatic | RouteTls::None) {
                    return Err(de::Error::custom("there is no TLS over a Unix socket"));
                }
                if route.way.socket.is_none() {
                    route.tls = table.tls;
                }
                Ok(RouteSection(route))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// Where mail for a domain goes: a host, or a socket of this machine.
enum RouteEnd {
    Host(Endpoint),
    Socket(PathBuf),
}

impl RouteEnd {
    fn route(self, way: Way) -> FixedRoute {
        match self {
            Self::Host(endpoint) => FixedRoute::new(endpoint, way),
            Self::Socket(path) => FixedRoute::to_socket(path, way),
        }
    }
}

impl std::str::FromStr for RouteEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix("unix:") else {
            let endpoint = text.parse::<Endpoint>();
            return endpoint.map(Self::Host).map_err(|error| error.to_string());
        };
        match path.starts_with('/') {
            true => Ok(Self::Socket(path.into())),
            false => Err("expected a whole path, as \"unix:/run/lists/lmtp\"".into()),
        }
    }
}

fn way(source: Vec<IpAddr>, ehlo: Option<Text<Domain>>) -> Way {
    Way {
        source,
        ehlo: ehlo.map(|name| name.0),
        ..Way::default()
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SmartHostSection {
    host: Text<EndpointHost>,
    port: Option<u16>,
    #[serde(default)]
    tls: SmartHostTls,
    user: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    source: Vec<IpAddr>,
    ehlo: Option<Text<Domain>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct QueueSection {
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

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsSection {
    message_size: Option<Text<Size>>,
    recipients: Option<usize>,
    recipient_domains: Option<u32>,
    connections: Option<u32>,
    connections_per_address: Option<u32>,
    connections_per_network: Option<u32>,
    ipv6_prefix: Option<u8>,
    sessions_per_account: Option<u32>,
    commands_per_account: Option<usize>,
    password_checks: Option<usize>,
    search_threads: Option<usize>,
    over_quota: Option<OverQuota>,
    watched_mailboxes: Option<usize>,
    imap_progress_interval: Option<Text<Span>>,
    smtp_timeout: Option<Text<Span>>,
    smtp_least_rate: Option<u64>,
    refusal_delay: Option<Text<Span>>,
    imap_timeout: Option<Text<Span>>,
    pop3_timeout: Option<Text<Span>>,
    pop3_login_delay: Option<Text<Span>>,
    login_timeout: Option<Text<Span>>,
    write_timeout: Option<Text<Span>>,
    write_least_rate: Option<u64>,
    shutdown_grace: Option<Text<Span>>,
}

impl File {
    fn into_config(self, folder: &Path, found: &mut Problems<'_>) -> Config {
        let mut config = Config::new(self.hostname.0, folder.join(self.data));
        if self.domains.get_ref().is_empty() {
            found.add(
                Some(self.domains.span()),
                "no domain is local",
                Some("name the domains whose mail ends here"),
            );
        }
        config.domains = self
            .domains
            .into_inner()
            .into_iter()
            .map(|domain| domain.0)
            .collect();
        config.store = self.store;
        if let Some(path) = self.accounts_file {
            config.accounts_file = folder.join(path);
        }
        if let Some(path) = self.domains_file {
            config.domains_file = Some(folder.join(path));
        }
        let local = config.local_domains(found);
        config.plaintext_login = self.plaintext_login;
        TlsSection::apply(self.tls, &mut config, folder, found);
        AcmeSection::apply(self.acme, &mut config, folder, found);
        config.listeners = listeners(self.listener, folder, found);
        config.accounts = accounts(self.account, &local, found);
        config.aliases = aliases(self.aliases, &local, found);
        if let Some(path) = self.aliases_file {
            config.aliases_file = Some(folder.join(path));
        }
        config.auth = self.auth.into_config();
        config.dkim = dkim_keys(self.dkim, folder, found);
        config.outbound = self.outbound.into_config(folder, &local, found);
        config.queue = self.queue.into_config(found);
        config.control = self.control.unwrap_or(true);
        config.from_header = self.from_header;
        config.limits = self.limits.into_config();
        config.login_limits = self.login_limits.into_config();
        config.password_hash = hashing(self.password_hash, found);
        config.quota = self.quota.into();
        config.filtering = filter::filtering(
            self.filter,
            self.dns_lists,
            self.greylist,
            self.rate_limits,
            folder,
            found,
        );
        config.web = web(self.web, self.mta_sts, found);
        config.observing = observing(self.metrics, self.trace, self.log, found);
        let folders = (folder, &*config.data);
        config.delivery = self
            .delivery
            .into_config(self.lists, folders, &config.domains, found);
        config
    }
}

fn listeners(
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

fn accounts(
    sections: Vec<Spanned<AccountSection>>,
    domains: &[Domain],
    found: &mut Problems<'_>,
) -> Vec<AccountEntry> {
    let mut seen = HashMap::new();
    let mut accounts = Vec::new();
    for section in sections {
        let span = section.span();
        let entry = AccountEntry::from(section.into_inner());
        if !entry
            .name
            .domain()
            .is_some_and(|domain| is_among(domains, &domain))
        {
            let what = format!("{}: its domain is not one of ours", entry.name);
            found.add(
                Some(span.clone()),
                what,
                Some("add the domain to `domains`, or correct the name"),
            );
        }
        if seen.insert(names::key(entry.name.as_str()), ()).is_some() {
            found.add(
                Some(span.clone()),
                format!("{} is there twice", entry.name),
                Some("remove one of them"),
            );
        }
        if let Err((what, help)) = entry.check() {
            found.add(Some(span), format!("{}: {what}", entry.name), Some(help));
        }
        accounts.push(entry);
    }
    accounts
}

impl OutboundSection {
    fn into_config(self, folder: &Path, domains: &[Domain], found: &mut Problems<'_>) -> Outbound {
        let usual = Outbound::default();
        let ca = self.ca.map(|path| {
            let span = path.span();
            let path = folder.join(path.into_inner());
            if let Err(error) = std::fs::metadata(&path) {
                found.add(
                    Some(span),
                    format!("{}: {error}", path.display()),
                    Some("name a PEM file"),
                );
            }
            path
        });
        let hosts_file = self.hosts.map(|path| {
            let span = path.span();
            let path = folder.join(path.into_inner());
            if let Err(error) = std::fs::read_to_string(&path) {
                found.add(
                    Some(span),
                    format!("{}: {error}", path.display()),
                    Some("name a file like /etc/hosts"),
                );
            }
            path
        });
        let smart_host = self.smart_host.map(|section| {
            let span = section.span();
            let section = section.into_inner();
            let usual_port = if section.tls == SmartHostTls::Implicit {
                465
            } else {
                587
            };
            let endpoint = Endpoint::new(section.host.0, section.port.unwrap_or(usual_port));
            let login = match (section.user, section.password_file) {
                (Some(user), Some(file)) => Some(SmartHostLogin {
                    user,
                    password_file: folder.join(file),
                }),
                (None, None) => None,
                _ => {
                    found.add(
                        Some(span),
                        "a login needs `user` and `password_file`",
                        Some("add the other one"),
                    );
                    None
                }
            };
            SmartHost {
                endpoint,
                tls: section.tls,
                login,
                way: way(section.source, section.ehlo),
            }
        });
        let routes = self.routes.into_iter().map(|(domain, endpoint)| {
            if is_among(domains, &domain.0) {
                let what = format!("{} is local: its mail does not leave", domain.0);
                found.add(
                    Some(endpoint.span()),
                    what,
                    Some("remove the route, or the domain from `domains`"),
                );
            }
            (domain.0, endpoint.into_inner().0)
        });
        Outbound {
            enabled: self.enabled.unwrap_or(usual.enabled),
            resolver: self.resolver.map(|address| address.0.0),
            hosts_file,
            serve_stale: self.serve_stale.map_or(usual.serve_stale, |span| span.0.0),
            port: self.port.unwrap_or(usual.port),
            https_port: usual.https_port,
            tls_policies: self.tls_policies.unwrap_or(usual.tls_policies),
            tls_reports: self.tls_reports.map(|address| address.0),
            routes: routes.collect(),
            way: way(self.source, self.ehlo),
            ca,
            smart_host,
        }
    }
}

impl QueueSection {
    fn into_config(self, found: &mut Problems<'_>) -> QueueConfig {
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

impl LimitsSection {
    fn into_config(self) -> Limits {
        let usual = Limits::default();
        let span = |value: Option<Text<Span>>, usual| value.map_or(usual, |span| span.0.0);
        Limits {
            message_size: self.message_size.map_or(usual.message_size, |size| size.0.0),
            recipients: self.recipients.unwrap_or(usual.recipients).max(1),
            recipient_domains: self.recipient_domains.unwrap_or(usual.recipient_domains),
            connections: self.connections.unwrap_or(usual.connections).max(1),
            connections_per_address: self
                .connections_per_address
                .unwrap_or(usual.connections_per_address)
                .max(1),
            connections_per_network: self
                .connections_per_network
                .unwrap_or(usual.connections_per_network)
                .max(1),
            ipv6_prefix: self.ipv6_prefix.unwrap_or(usual.ipv6_prefix).min(128),
            sessions_per_account: self
                .sessions_per_account
                .unwrap_or(usual.sessions_per_account)
                .max(1),
            commands_per_account: self
                .commands_per_account
                .unwrap_or(usual.commands_per_account)
                .max(1),
            password_checks: self.password_checks.unwrap_or(usual.password_checks).max(1),
            search_threads: self.search_threads.unwrap_or(usual.search_threads).max(1),
            over_quota: self.over_quota.unwrap_or_default(),
            watched_mailboxes: self.watched_mailboxes.unwrap_or(usual.watched_mailboxes),
            imap_progress_interval: span(self.imap_progress_interval, usual.imap_progress_interval),
            smtp_timeout: span(self.smtp_timeout, usual.smtp_timeout),
            smtp_least_rate: self.smtp_least_rate.unwrap_or(usual.smtp_least_rate),
            refusal_delay: span(self.refusal_delay, usual.refusal_delay),
            imap_timeout: span(self.imap_timeout, usual.imap_timeout),
            pop3_timeout: span(self.pop3_timeout, usual.pop3_timeout),
            pop3_login_delay: span(self.pop3_login_delay, usual.pop3_login_delay),
            login_timeout: span(self.login_timeout, usual.login_timeout),
            write_timeout: span(self.write_timeout, usual.write_timeout),
            write_least_rate: self.write_least_rate.unwrap_or(usual.write_least_rate),
            shutdown_grace: span(self.shutdown_grace, usual.shutdown_grace),
        }
    }
}

/// A resolver: an address, with port 53 unless it says otherwise.
struct ResolverAddress(SocketAddr);

impl std::str::FromStr for ResolverAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let with_port = text.parse().ok();
        let bare = || text.parse().ok().map(|ip| SocketAddr::new(ip, 53));
        with_port
            .or_else(bare)
            .map(Self)
            .ok_or("expected an address, as \"127.0.0.53\" or \"[::1]:53\"")
    }
}
