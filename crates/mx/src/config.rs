//! What the operator decides about routes

use crate::Error;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use mailwright_dns::Name;
use std::collections::HashMap;

/// A host, by name or by address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // there is no third way to name a host
pub enum Target {
    /// A name, whose addresses are looked up.
    Name(Name),
    /// An address.
    Address(IpAddr),
}

/// Prints an address in brackets, as mail programs show it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Address(address) => write!(f, "[{address}]"),
        }
    }
}

/// A host that mail is handed to without looking up MX records: a smart host, or the end of a fixed route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Relay {
    /// The host.
    pub host: Target,
    /// The port.
    pub port: u16,
}

impl Relay {
    /// Names a relay.
    pub fn new(host: Target, port: u16) -> Self {
        Self { host, port }
    }

    /// Parses `HOST`, `HOST:PORT`, `ADDRESS`, `ADDRESS:PORT` (IPv4), `[ADDRESS]` or `[ADDRESS]:PORT`.
    ///
    /// # Errors
    ///
    /// Whatever [`Error`] lists.
    ///
    /// ```
    /// use mailwright_mx::Relay;
    ///
    /// assert_eq!(Relay::parse("mail.example:587", 25)?.to_string(), "mail.example:587");
    /// assert_eq!(Relay::parse("2001:db8::1", 25)?.to_string(), "[2001:db8::1]:25");
    /// # Ok::<(), mailwright_mx::Error>(())
    /// ```
    pub fn parse(text: &str, default_port: u16) -> Result<Self, Error> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::new(Target::Address(address), default_port));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(Error::Brackets)?;
            let address = address.parse().map_err(|_| Error::Brackets)?;
            let port = match port {
                "" => default_port,
                port => parse_port(port.strip_prefix(':').ok_or(Error::Port)?)?,
            };
            return Ok(Self::new(Target::Address(address), port));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, parse_port(port)?),
            None => (text, default_port),
        };
        let host = match host.parse::<Ipv4Addr>() {
            Ok(address) => Target::Address(IpAddr::V4(address)),
            Err(_) => Target::Name(Name::parse(host).map_err(Error::Host)?),
        };
        Ok(Self::new(host, port))
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Which families of addresses are used, and which goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Families {
    /// IPv4 and IPv6 in turn, IPv4 first. The default: large receivers judge mail over IPv6 more harshly, and a
    /// refusal for that reason ends the delivery.
    #[default]
    PreferIpv4,
    /// IPv6 and IPv4 in turn, IPv6 first.
    PreferIpv6,
    /// Only IPv4.
    Ipv4Only,
    /// Only IPv6.
    Ipv6Only,
}

impl Families {
    pub(crate) fn ipv4(self) -> bool {
        self != Self::Ipv6Only
    }

    pub(crate) fn ipv6(self) -> bool {
        self != Self::Ipv4Only
    }
}

/// Settings and limits of a [`Planner`](crate::Planner).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The names by which this host is known as a mail exchanger (RFC 5321 §5.1). Default: none.
    pub own_names: Vec<Name>,
    /// The addresses by which this host is known from outside (RFC 5321 §5.1). Default: none.
    pub own_addresses: Vec<IpAddr>,
    /// Whether a loopback address that an MX record or an address literal leads to is this host. Relays may be on
    /// loopback in any case. Default: true; tests on one machine say false.
    pub loopback_is_own: bool,
    /// The port of mail exchangers. Default: 25; tests use others.
    pub port: u16,
    /// Where mail goes that has no fixed route, instead of to its mail exchangers: the first that answers, in this
    /// order. Default: none.
    pub smart_hosts: Vec<Relay>,
    /// Which addresses are used. Default: [`Families::PreferIpv4`].
    pub families: Families,
    /// How many mail exchangers of a domain are looked at, best first. Default: 16.
    pub max_hosts: usize,
    /// How many addresses of one host are used. Default: 8; at least 2 (RFC 5321 §5.1: a client SHOULD try at least
    /// two addresses).
    pub max_addresses_per_host: usize,
    /// How many addresses a route has at most. Default: 24; at least 2.
    pub max_attempts: usize,
    routes: HashMap<Name, Vec<Relay>>,
}

impl Config {
    /// Sends mail for one domain to `relays`, the first that answers, in this order. An empty list removes the route.
    pub fn add_route(&mut self, domain: Name, relays: Vec<Relay>) {
        if relays.is_empty() {
            self.routes.remove(&domain);
        } else {
            self.routes.insert(domain, relays);
        }
    }

    /// The fixed route of a domain.
    pub fn route(&self, domain: &Name) -> Option<&[Relay]> {
        self.routes.get(domain).map(Vec::as_slice)
    }

    pub(crate) fn is_own_name(&self, name: &Name) -> bool {
        self.own_names.contains(name)
    }

    pub(crate) fn is_own_address(&self, address: IpAddr) -> bool {
        (self.loopback_is_own && address.is_loopback())
            || self.own_addresses.iter().any(|own| own.to_canonical() == address)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            own_names: Vec::new(),
            own_addresses: Vec::new(),
            loopback_is_own: true,
            port: 25,
            smart_hosts: Vec::new(),
            families: Families::default(),
            max_hosts: 16,
            max_addresses_per_host: 8,
            max_attempts: 24,
            routes: HashMap::new(),
        }
    }
}

/// Whether mail could be sent to an address at all: not to "this network", to a group, or to a link that is not named.
pub(crate) fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.octets()[0] != 0 && !address.is_multicast() && address != Ipv4Addr::BROADCAST
        }
        IpAddr::V6(address) => {
            address != Ipv6Addr::UNSPECIFIED
                && !address.is_multicast()
                && address.segments()[0] & 0xffc0 != 0xfe80
        }
    }
}

fn parse_port(text: &str) -> Result<u16, Error> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Port);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(Error::Port)
}
