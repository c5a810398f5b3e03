//! How mail for other domains leaves: resolver, routes, a smart host

use super::problem::Problems;
use super::values::{Endpoint, EndpointHost, Span, Text};
use super::{Protocol, is_among};
use mailwright_address::{Domain, EmailAddress};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// How mail for other domains leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outbound {
    /// Whether it leaves at all. If not, remote recipients are refused.
    pub enabled: bool,
    /// The DNS resolver; without it the first one of `/etc/resolv.conf`.
    pub resolver: Option<SocketAddr>,
    /// A `hosts` file whose names are answered from it alone, and need no DNS.
    pub hosts_file: Option<PathBuf>,
    /// How long an answer of the DNS is used past its time while no server can be asked (RFC 8767); zero for not at
    /// all.
    pub serve_stale: Duration,
    /// The port of other mail servers: 25 outside of tests.
    pub port: u16,
    /// The port that MTA-STS policies are fetched from: 443 outside of tests.
    pub https_port: u16,
    /// Whether TLSA records and MTA-STS policies of other domains are looked up and heeded (RFC 7672, RFC 8461).
    pub tls_policies: bool,
    /// Who sends reports about TLS to the domains that ask for them (RFC 8460); without it nothing is counted.
    pub tls_reports: Option<EmailAddress>,
    /// A PEM file with certificates to trust beside the public ones.
    pub ca: Option<PathBuf>,
    /// A server that takes all mail, in place of the recipients' own.
    pub smart_host: Option<SmartHost>,
    /// Fixed ways for some domains, in place of DNS and smart host.
    pub routes: BTreeMap<Domain, FixedRoute>,
    /// How hosts are reached where smart host and fixed route say nothing else.
    pub way: Way,
}

impl Outbound {
    /// The fixed way for a domain, in whatever form it is written: its own, or that of the nearest domain above it
    /// whose way [holds for subdomains](FixedRoute::subdomains).
    pub fn route_of(&self, domain: &Domain) -> Option<&FixedRoute> {
        if let Some(route) = self.own_route_of(domain) {
            return Some(route);
        }
        let mut name = domain.as_str();
        while let Some((_, parent)) = name.split_once('.') {
            name = parent;
            let route = Domain::parse(parent).ok();
            let route = route.and_then(|parent| self.own_route_of(&parent));
            if let Some(route) = route.filter(|route| route.subdomains) {
                return Some(route);
            }
        }
        None
    }

    fn own_route_of(&self, domain: &Domain) -> Option<&FixedRoute> {
        let exact = self.routes.get(domain);
        exact.or_else(|| {
            let same = self.routes.iter().find(|(known, _)| known.same_as(domain));
            same.map(|(_, route)| route)
        })
    }
}

/// A fixed way for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FixedRoute {
    /// The host that takes mail for it; the mail exchangers of the domain if there is none.
    pub endpoint: Option<Endpoint>,
    /// What is asked of TLS there.
    pub tls: RouteTls,
    /// Whether it is the way for all domains below as well, but those with a way of their own.
    pub subdomains: bool,
    /// How it is reached.
    pub way: Way,
}

impl FixedRoute {
    /// The way to a host.
    pub fn new(endpoint: Endpoint, way: Way) -> Self {
        Self {
            endpoint: Some(endpoint),
            way,
            ..Self::default()
        }
    }

    /// The way to a program of this machine that listens at a Unix socket.
    pub fn to_socket(path: impl Into<PathBuf>, way: Way) -> Self {
        // Whoever plans routes wants a host; nobody connects to it.
        let nowhere = Endpoint::new(EndpointHost::Address(Ipv4Addr::LOCALHOST.into()), 24);
        let socket = Some(path.into());
        Self::new(nowhere, Way { socket, ..way }).with_tls(RouteTls::None)
    }

    /// The way to the mail exchangers of the domain, past a smart host.
    pub fn by_mx(tls: RouteTls) -> Self {
        Self {
            tls,
            ..Self::default()
        }
    }

    /// The same way, with another rule for TLS.
    #[must_use]
    pub fn with_tls(self, tls: RouteTls) -> Self {
        Self { tls, ..self }
    }
}

/// What is asked of TLS on the way to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RouteTls {
    /// What the domain publishes (DANE, MTA-STS); if nothing, TLS if it is offered.
    #[default]
    Automatic,
    /// No TLS.
    None,
    /// TLS if it is offered, whatever the certificate and whatever the domain publishes.
    Opportunistic,
    /// STARTTLS, which must be there, with any certificate.
    Encrypted,
    /// STARTTLS, which must be there, with a certificate for the name of the host.
    Verified,
    /// TLS from the first octet, with a certificate for the name of the host.
    Implicit,
}

impl From<Endpoint> for FixedRoute {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint, Way::default())
    }
}

/// How other hosts are reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Way {
    /// What is spoken: [`Protocol::Lmtp`], or SMTP.
    pub protocol: Protocol,
    /// The address to connect from, of each family that has one to be set; the system's choice otherwise.
    pub source: Vec<IpAddr>,
    /// What the server calls itself there, if not its own name.
    pub ehlo: Option<Domain>,
    /// The Unix socket to connect to in place of an address.
    pub socket: Option<PathBuf>,
}

impl Default for Way {
    /// SMTP, from any address.
    fn default() -> Self {
        Self {
            protocol: Protocol::Smtp,
            source: Vec::new(),
            ehlo: None,
            socket: None,
        }
    }
}

impl Way {
    /// The address to connect from to another one.
    pub fn source_for(&self, to: SocketAddr) -> Option<IpAddr> {
        let same = |source: &&IpAddr| source.is_ipv4() == to.is_ipv4();
        self.source.iter().find(same).copied()
    }
}

impl Default for Outbound {
    /// Mail leaves by MX, on port 25.
    fn default() -> Self {
        Self {
            enabled: true,
            resolver: None,
            hosts_file: None,
            serve_stale: Duration::ZERO,
            port: 25,
            https_port: 443,
            tls_policies: true,
            tls_reports: None,
            ca: None,
            smart_host: None,
            routes: BTreeMap::new(),
            way: Way::default(),
        }
    }
}

/// A server that takes all outgoing mail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmartHost {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How the way to it is protected.
    pub tls: SmartHostTls,
    /// User name and password file (its first line), if it wants a login.
    pub login: Option<SmartHostLogin>,
    /// How it is reached.
    pub way: Way,
}

impl SmartHost {
    /// A smart host without a login.
    pub fn new(endpoint: Endpoint, tls: SmartHostTls) -> Self {
        Self {
            endpoint,
            tls,
            login: None,
            way: Way::default(),
        }
    }
}

/// How a smart host knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmartHostLogin {
    /// The user name.
    pub user: String,
    /// The file whose first line is the password.
    pub password_file: PathBuf,
}

impl SmartHostLogin {
    /// A user name, and the file whose first line is the password.
    pub fn new(user: impl Into<String>, password_file: impl Into<PathBuf>) -> Self {
        Self {
            user: user.into(),
            password_file: password_file.into(),
        }
    }
}

/// How the way to a smart host is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SmartHostTls {
    /// TLS at once, certificate verified.
    Implicit,
    /// STARTTLS, which must be there; certificate verified.
    #[default]
    Starttls,
    /// STARTTLS if it is offered; any certificate.
    Opportunistic,
    /// No TLS.
    None,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct OutboundSection {
    enabled: Option<bool>,
    resolver: Option<Text<ResolverAddress>>,
    hosts: Option<Spanned<PathBuf>>,
    serve_stale: Option<Text<Span>>,
    port: Option<u16>,
    https_port: Option<u16>,
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

impl OutboundSection {
    pub(super) fn into_config(self, folder: &Path, domains: &[Domain], found: &mut Problems<'_>) -> Outbound {
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
            https_port: self.https_port.unwrap_or(usual.https_port),
            tls_policies: self.tls_policies.unwrap_or(usual.tls_policies),
            tls_reports: self.tls_reports.map(|address| address.0),
            routes: routes.collect(),
            way: way(self.source, self.ehlo),
            ca,
            smart_host,
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
