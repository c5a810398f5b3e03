//! Values of the configuration file: durations, sizes, addresses, as people write them.

use mailwright_address::{Domain, EmailAddress, Host};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// A host and a port to connect to, written `mail.example.org:25`, `192.0.2.1:25` or `[2001:db8::1]:25`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The host.
    pub host: EndpointHost,
    /// The port.
    pub port: u16,
}

/// The host of an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // a name or an address: there is no third way to say where to connect
pub enum EndpointHost {
    /// A name, to be resolved.
    Name(Domain),
    /// An address.
    Address(IpAddr),
}

impl Endpoint {
    /// Makes an endpoint from its parts.
    pub fn new(host: EndpointHost, port: u16) -> Self {
        Self { host, port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            EndpointHost::Name(name) => write!(f, "{name}:{}", self.port),
            EndpointHost::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            EndpointHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = Unreadable("expected HOST:PORT, as \"mail.example.org:25\" or \"[2001:db8::1]:25\"");
        let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(v6) => EndpointHost::Address(IpAddr::V6(v6.parse().map_err(|_| wrong)?)),
            None => host_from(host).ok_or(wrong)?,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for EndpointHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl FromStr for EndpointHost {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        host_from(text).ok_or(Unreadable("expected a host name or an IP address"))
    }
}

fn host_from(text: &str) -> Option<EndpointHost> {
    if let Ok(address) = text.parse() {
        return Some(EndpointHost::Address(address));
    }
    match Host::parse(text).ok()? {
        Host::Domain(name) => Some(EndpointHost::Name(name)),
        _ => None,
    }
}

/// Why a value was not understood: says what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub(super) &'static str);

impl Unreadable {
    pub(super) const fn expected(what: &'static str) -> Self {
        Self(what)
    }
}

/// A network, written `192.0.2.0/24` or `2001:db8::/32`; one address is a network of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of an address that has its first `prefix` bits in common; all of them at most.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        Self {
            address,
            prefix: prefix.min(longest),
        }
    }

    /// Whether an address belongs to it. An IPv4 address in IPv6 clothes is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = Unreadable("expected a network, as \"192.0.2.0/24\", \"2001:db8::/32\" or \"192.0.2.1\"");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or(wrong)?,
            None => longest,
        };
        Ok(Self { address, prefix })
    }
}

/// A duration as people write it: `90s`, `5m`, `4h`, `5d`, also joined as in `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    /// In whole seconds: a file knows no smaller ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_secs();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (seconds, unit) in [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')] {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
            }
            rest %= seconds;
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = Unreadable("expected a duration, as \"90s\", \"5m\", \"4h\" or \"5d\"");
        let mut total: u64 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(wrong)?;
            let count: u64 = rest[..digits].parse().map_err(|_| wrong)?;
            let unit = match rest.as_bytes()[digits] {
                b's' => 1,
                b'm' => 60,
                b'h' => 3600,
                b'd' => 86_400,
                _ => return Err(wrong),
            };
            total = count
                .checked_mul(unit)
                .and_then(|part| total.checked_add(part))
                .ok_or(wrong)?;
            rest = &rest[digits + 1..];
        }
        // Ten years: longer ones are slips, and clocks cannot add them.
        if total > 10 * 366 * 86_400 {
            return Err(Unreadable("the duration is longer than ten years"));
        }
        Ok(Self(Duration::from_secs(total)))
    }
}

/// A size in octets as people write it: `1000`, `64K`, `50M`, `2G` (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // a number of octets
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "G"), (20, "M"), (10, "K")];
        let whole = units
            .iter()
            .find(|(shift, _)| self.0 > 0 && self.0.trailing_zeros() >= *shift);
        match whole {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => self.0.fmt(f),
        }
    }
}

impl FromStr for Size {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = Unreadable("expected a size, as 1000000, \"64K\", \"50M\" or \"2G\"");
        let text = text.trim();
        let (number, shift) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
            Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        let number: u64 = number.parse().map_err(|_| wrong)?;
        number.checked_mul(1 << shift).map(Self).ok_or(wrong)
    }
}

/// Any value that is written as a string and read by its [`FromStr`].
///
/// It is read inside the deserializer, so an error knows the very place of the value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Reader<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse()
                    .map(Text)
                    .map_err(|error: T::Err| E::custom(format!("\"{text}\": {error}")))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text<T>, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// When a sender is told of a delay: a duration or `never`.
pub(super) struct Notice(pub(super) Option<Duration>);

impl FromStr for Notice {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self(None)),
            _ => text.parse::<Span>().map(|span| Self(Some(span.0))),
        }
    }
}

/// One address or a list of them.
pub(super) struct Targets(pub(super) Vec<EmailAddress>);

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Targets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Targets, E> {
                let target = text
                    .parse()
                    .map_err(|error| E::custom(format!("\"{text}\": {error}")))?;
                Ok(Targets(vec![target]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Targets, A::Error> {
                let mut targets = Vec::new();
                while let Some(Text(target)) = list.next_element()? {
                    targets.push(target);
                }
                Ok(Targets(targets))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let secs = |text: &str| text.parse::<Span>().map(|span| span.0.as_secs());
        assert_eq!(secs("90s"), Ok(90));
        assert_eq!(secs("1h30m"), Ok(5400));
        assert_eq!(secs("5d"), Ok(432_000));
        for text in ["0s", "90m", "1h30m", "5d", "1d1s", "59s"] {
            let span: Span = text.parse().expect(text);
            assert_eq!(span.to_string().parse(), Ok(span), "{text}");
        }
        assert_eq!(Span(Duration::from_secs(5400)).to_string(), "1h30m");
        for wrong in [
            "",
            "5",
            "m",
            "5 m",
            "5y",
            "-1s",
            "99999999999999999999s",
            "9999999999d",
            "5m3",
        ] {
            assert!(secs(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        let octets = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(octets("1000"), Ok(1000));
        assert_eq!(octets("50M"), Ok(50 << 20));
        assert_eq!(octets("2g"), Ok(2 << 30));
        for (octets, text) in [
            (0, "0"),
            (1000, "1000"),
            (64 << 10, "64K"),
            (50 << 20, "50M"),
            (1 << 40, "1024G"),
        ] {
            assert_eq!(Size(octets).to_string(), text);
            assert_eq!(text.parse(), Ok(Size(octets)));
        }
        for wrong in ["", "M", "-5", "1.5M", "99999999999G"] {
            assert!(octets(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoints() {
        for text in ["mail.example.org:25", "192.0.2.1:2525", "[2001:db8::1]:25"] {
            assert_eq!(text.parse::<Endpoint>().expect(text).to_string(), text);
        }
        for wrong in [
            "mail.example.org",
            ":25",
            "a.test:0",
            "a.test:99999",
            "[::1]",
            "[x]:25",
            "a b:25",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
