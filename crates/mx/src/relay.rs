//! What the operator decides about one domain or one relay

use crate::{Error, Target};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use mailwright_dns::Name;

/// How mail for a domain goes, if not as DNS and the general settings have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Rule {
    /// Where it goes: the first that answers, in this order. If there are none, mail goes to the mail exchangers of the
    /// domain, past smart hosts.
    pub relays: Vec<Relay>,
    /// What is asked of TLS with mail exchangers; each relay has its own. `None` for what the domain itself publishes.
    pub tls: Option<TlsRule>,
    /// The port of mail exchangers; each relay has its own. `None` for [`Config::port`](crate::Config::port).
    pub port: Option<u16>,
    /// Whether the rule holds for all names below the domain, but those with a rule of their own. Default: false.
    pub subdomains: bool,
}

impl Rule {
    /// Mail goes to these relays.
    pub fn to(relays: impl IntoIterator<Item = Relay>) -> Self {
        Self {
            relays: relays.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Mail goes to the mail exchangers, with this rule for TLS.
    pub fn by_mx(tls: TlsRule) -> Self {
        Self {
            tls: Some(tls),
            ..Self::default()
        }
    }
}

/// What the operator asks of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TlsRule {
    /// What DANE says (RFC 7672), for mail exchangers else MTA-STS (RFC 8461); if neither says anything, TLS if it is
    /// offered. The default.
    #[default]
    Automatic,
    /// No TLS.
    Cleartext,
    /// TLS if it is offered, whatever the certificate; no policy of the domain is looked up.
    Opportunistic,
    /// STARTTLS must be there; any certificate will do.
    Encrypted,
    /// STARTTLS must be there, and the certificate be verified for the name of the host.
    Verified,
    /// TLS from the first octet (RFC 8314 §3), with a verified certificate.
    Implicit,
}

impl fmt::Display for TlsRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Automatic => "automatic",
            Self::Cleartext => "none",
            Self::Opportunistic => "opportunistic",
            Self::Encrypted => "encrypted",
            Self::Verified => "verified",
            Self::Implicit => "implicit",
        })
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
    /// Where the host is. If there are any, its name is not looked up, and only certificates are held against it.
    /// Default: none.
    pub addresses: Vec<IpAddr>,
    /// What is asked of TLS. Default: [`TlsRule::Automatic`].
    pub tls: TlsRule,
}

impl Relay {
    /// Names a relay.
    pub fn new(host: Target, port: u16) -> Self {
        Self {
            host,
            port,
            addresses: Vec::new(),
            tls: TlsRule::default(),
        }
    }

    /// The same relay, with another rule for TLS.
    #[must_use]
    pub fn with_tls(self, tls: TlsRule) -> Self {
        Self { tls, ..self }
    }

    /// The same relay, at these addresses.
    #[must_use]
    pub fn at(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
            ..self
        }
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

fn parse_port(text: &str) -> Result<u16, Error> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Port);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(Error::Port)
}
