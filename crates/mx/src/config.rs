//! What the operator decides about routes

use crate::{Relay, Rule};
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
    /// Whether TLSA records are looked up, where DNSSEC vouches for the way there (RFC 7672). Without a resolver
    /// that is trusted to validate this asks nothing. Default: true.
    pub dane: bool,
    /// Whether MTA-STS policies are looked up for mail by MX (RFC 8461). Default: true.
    pub sts: bool,
    rules: HashMap<Name, Rule>,
}

impl Config {
    /// Sends mail for one domain to `relays`, the first that answers, in this order. An empty list removes the rule
    /// for the domain.
    pub fn add_route(&mut self, domain: Name, relays: Vec<Relay>) {
        if relays.is_empty() {
            self.rules.remove(&domain);
        } else {
            self.add_rule(domain, Rule::to(relays));
        }
    }

    /// Decides how mail for one domain goes, in place of a rule that was there.
    pub fn add_rule(&mut self, domain: Name, rule: Rule) {
        self.rules.insert(domain, rule);
    }

    /// The rule for a domain, and the domain it was made for: its own, or that of the nearest parent whose rule
    /// [holds for subdomains](Rule::subdomains).
    pub fn rule(&self, domain: &Name) -> Option<(&Name, &Rule)> {
        if self.rules.is_empty() {
            return None;
        }
        let own = self.rules.get_key_value(domain);
        own.or_else(|| {
            let parents = core::iter::successors(domain.parent(), Name::parent);
            parents
                .filter_map(|parent| self.rules.get_key_value(&parent))
                .find(|(_, rule)| rule.subdomains)
        })
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
            dane: true,
            sts: true,
            rules: HashMap::new(),
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
