//! Questions and resource records ([RFC 1035] §3.2, [RFC 3596], [RFC 6698])
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 3596]: https://www.rfc-editor.org/rfc/rfc3596
//! [RFC 6698]: https://www.rfc-editor.org/rfc/rfc6698

use crate::Name;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The types of record that mail asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Alias.
    Cname,
    /// Mail exchanger.
    Mx,
    /// Name of an address.
    Ptr,
    /// Start of a zone.
    Soa,
    /// Where a service is (RFC 2782).
    Srv,
    /// Certificate association for DANE.
    Tlsa,
    /// Text: SPF, DKIM, DMARC, MTA-STS.
    Txt,
}

impl RecordType {
    /// The number of the type on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Tlsa => 52,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Srv => "SRV",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Tlsa => "TLSA",
            Self::Txt => "TXT",
        })
    }
}

/// What is asked: a name and a type, in class IN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Question {
    /// The name asked for.
    pub name: Name,
    /// The type of record wanted.
    pub record_type: RecordType,
}

impl Question {
    /// Asks for the records of one type at one name.
    pub fn new(name: Name, record_type: RecordType) -> Self {
        Self { name, record_type }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)
    }
}

/// The data of one resource record.
///
/// Owner and TTL belong to the whole set (RFC 2181 §5), and stand in [`Records`](crate::Records).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Record {
    /// IPv4 address.
    A(Ipv4Addr),
    /// IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name this one stands for.
    Cname(Name),
    /// Mail exchanger.
    Mx(Mx),
    /// The name of an address.
    Ptr(Name),
    /// Start of a zone.
    Soa(Soa),
    /// Where a service is.
    Srv(Srv),
    /// Certificate association.
    Tlsa(Tlsa),
    /// Text.
    Txt(Txt),
}

impl Record {
    /// The type of the record.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::Aaaa,
            Self::Cname(_) => RecordType::Cname,
            Self::Mx(_) => RecordType::Mx,
            Self::Ptr(_) => RecordType::Ptr,
            Self::Soa(_) => RecordType::Soa,
            Self::Srv(_) => RecordType::Srv,
            Self::Tlsa(_) => RecordType::Tlsa,
            Self::Txt(_) => RecordType::Txt,
        }
    }

    /// The address in an A or AAAA record.
    pub fn address(&self) -> Option<IpAddr> {
        match *self {
            Self::A(address) => Some(IpAddr::V4(address)),
            Self::Aaaa(address) => Some(IpAddr::V6(address)),
            _ => None,
        }
    }

    /// Octets of memory the record holds, about.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::A(_) | Self::Aaaa(_) => 0,
                Self::Cname(name) | Self::Ptr(name) => name.weight(),
                Self::Mx(mx) => mx.exchange.weight(),
                Self::Srv(srv) => srv.target.weight(),
                Self::Soa(soa) => soa.primary.weight() + soa.responsible.weight(),
                Self::Tlsa(tlsa) => tlsa.data.len(),
                Self::Txt(txt) => txt.strings.iter().map(|s| size_of_val(s) + s.len()).sum(),
            }
    }
}

impl From<IpAddr> for Record {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

/// A mail exchanger (RFC 1035 §3.3.9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host; the root in a null MX (RFC 7505).
    pub exchange: Name,
}

impl Mx {
    /// Makes the record.
    pub fn new(preference: u16, exchange: Name) -> Self {
        Self { preference, exchange }
    }
}

/// The start of a zone (RFC 1035 §3.3.13). All times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Soa {
    /// The primary name server.
    pub primary: Name,
    /// The mailbox of the person responsible.
    pub responsible: Name,
    /// The version of the zone.
    pub serial: u32,
    /// How long a negative answer holds (RFC 2308 §4).
    pub minimum: u32,
}

impl Soa {
    /// Makes the record.
    pub fn new(primary: Name, responsible: Name, serial: u32, minimum: u32) -> Self {
        Self {
            primary,
            responsible,
            serial,
            minimum,
        }
    }
}

/// Where a service is (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Srv {
    /// Lower is tried first.
    pub priority: u16,
    /// Of those with one priority, how large a part this one takes.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; the root where the service is not offered.
    pub target: Name,
}

impl Srv {
    /// Makes the record.
    pub fn new(priority: u16, weight: u16, port: u16, target: Name) -> Self {
        Self {
            priority,
            weight,
            port,
            target,
        }
    }
}

/// A certificate association (RFC 6698 §2.1). Numbers are kept as they came: what is unusable is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tlsa {
    /// Certificate usage; SMTP uses 2 (DANE-TA) and 3 (DANE-EE).
    pub usage: u8,
    /// 0 for the whole certificate, 1 for its public key.
    pub selector: u8,
    /// 0 exact, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// The certificate association data.
    pub data: Box<[u8]>,
}

impl Tlsa {
    /// Makes the record.
    pub fn new(usage: u8, selector: u8, matching: u8, data: impl Into<Box<[u8]>>) -> Self {
        Self {
            usage,
            selector,
            matching,
            data: data.into(),
        }
    }
}

/// Text (RFC 1035 §3.3.14): one or more strings of at most 255 octets, in no particular charset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Txt {
    strings: Box<[Box<[u8]>]>,
}

impl Txt {
    /// Makes the record from its strings.
    pub fn new<S: Into<Box<[u8]>>>(strings: impl IntoIterator<Item = S>) -> Self {
        Self {
            strings: strings.into_iter().map(Into::into).collect(),
        }
    }

    /// The strings as they stand in the record.
    pub fn strings(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.strings.iter().map(|s| &**s)
    }

    /// The strings put together without anything between them, as SPF, DKIM and DMARC read them (RFC 7208 §3.3).
    pub fn joined(&self) -> Vec<u8> {
        self.strings.concat()
    }
}
