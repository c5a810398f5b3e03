//! Hosts: domains and address literals (RFC 5321 §4.1.3)

use crate::{Domain, MAX_DOMAIN, ParseError, ParseErrorKind, scan};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// What stands behind the `@`, or in EHLO: a domain or an address literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Host {
    /// A name.
    Domain(Domain),
    /// An address in brackets.
    Literal(AddressLiteral),
}

impl Host {
    /// Parses a domain, or a literal with its brackets; all of `text` must belong to it.
    ///
    /// # Errors
    ///
    /// Fails on anything that RFC 5321 §4.1.2 and §4.1.3 do not allow.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (host, end) = Self::scan(text, 0)?;
        scan::finish(text, end)?;
        Ok(host)
    }

    /// The domain, if it is one.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Literal(_) => None,
        }
    }

    /// Whether it can be used where RFC 6531 is not understood.
    pub fn is_ascii(&self) -> bool {
        self.domain().is_none_or(Domain::is_ascii)
    }

    /// The host that starts at `from`, and where it ends.
    pub(crate) fn scan(text: &str, from: usize) -> Result<(Self, usize), ParseError> {
        if text[from..].starts_with('[') {
            let (literal, end) = AddressLiteral::scan(text, from)?;
            return Ok((Self::Literal(literal), end));
        }
        let end = scan::domain(text, from)?;
        Ok((Self::Domain(Domain::scanned(&text[from..end])), end))
    }
}

/// An address literal: RFC 5321 §4.1.3.
///
/// Prints with its brackets. An IP address prints in its usual form, whatever form it was written in; an
/// [`EmailAddress`](crate::EmailAddress) prints the form that was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressLiteral {
    /// `[192.0.2.1]`. Octets with leading zeros are refused: some take them for octal.
    Ipv4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`.
    Ipv6(Ipv6Addr),
    /// `[tag:content]` with any other tag.
    General(GeneralLiteral),
}

impl AddressLiteral {
    /// Parses a literal with its brackets; all of `text` must belong to it.
    ///
    /// # Errors
    ///
    /// Fails on anything that RFC 5321 §4.1.3 does not allow, and above [`MAX_DOMAIN`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (literal, end) = Self::scan(text, 0)?;
        scan::finish(text, end)?;
        Ok(literal)
    }

    /// The IP address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ipv4(ip) => Some((*ip).into()),
            Self::Ipv6(ip) => Some((*ip).into()),
            Self::General(_) => None,
        }
    }

    fn scan(text: &str, from: usize) -> Result<(Self, usize), ParseError> {
        let start = scan::expect(text, from, b'[')?;
        let end = match text.as_bytes()[start..].iter().position(|b| !is_dcontent(*b)) {
            Some(n) if text.as_bytes()[start + n] == b']' => start + n,
            Some(n) => return Err(ParseError::new(ParseErrorKind::Unexpected, start + n)),
            None => return Err(ParseError::new(ParseErrorKind::UnexpectedEnd, text.len())),
        };
        if end + 1 - from > MAX_DOMAIN {
            return Err(ParseError::new(ParseErrorKind::DomainTooLong, from + MAX_DOMAIN));
        }
        let literal =
            Self::content(&text[start..end]).ok_or(ParseError::new(ParseErrorKind::Literal, start))?;
        Ok((literal, end + 1))
    }

    fn content(text: &str) -> Option<Self> {
        let Some((tag, content)) = text.split_once(':') else {
            return text.parse().ok().map(Self::Ipv4);
        };
        if tag.eq_ignore_ascii_case("IPv6") {
            return content.parse().ok().map(Self::Ipv6);
        }
        let is_ldh = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if tag.is_empty() || !is_ldh || tag.ends_with('-') || content.is_empty() {
            return None;
        }
        Some(Self::General(GeneralLiteral { text: text.into() }))
    }
}

/// An address literal of a kind that is neither IPv4 nor IPv6, kept as written.
///
/// Compared and hashed without regard to ASCII case.
#[derive(Debug, Clone)]
pub struct GeneralLiteral {
    /// With the colon behind the tag.
    text: Box<str>,
}

impl GeneralLiteral {
    /// The tag in front of the colon: letters, digits and hyphens.
    pub fn tag(&self) -> &str {
        self.halves().0
    }

    /// What stands behind the colon: printable ASCII without brackets and backslash.
    pub fn content(&self) -> &str {
        self.halves().1
    }

    fn halves(&self) -> (&str, &str) {
        self.text.split_once(':').expect("it was parsed with a colon")
    }
}

impl PartialEq for GeneralLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for GeneralLiteral {}

impl Hash for GeneralLiteral {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.to_ascii_lowercase().hash(state);
    }
}

impl From<Domain> for Host {
    fn from(domain: Domain) -> Self {
        Self::Domain(domain)
    }
}

impl From<AddressLiteral> for Host {
    fn from(literal: AddressLiteral) -> Self {
        Self::Literal(literal)
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Literal(ip.into())
    }
}

impl From<IpAddr> for AddressLiteral {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::Ipv4(ip),
            IpAddr::V6(ip) => Self::Ipv6(ip),
        }
    }
}

impl FromStr for Host {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl FromStr for AddressLiteral {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

impl fmt::Display for AddressLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(ip) => write!(f, "[{ip}]"),
            Self::Ipv6(ip) => write!(f, "[IPv6:{ip}]"),
            Self::General(general) => write!(f, "[{}]", general.text),
        }
    }
}

/// RFC 5321 §4.1.3 `dcontent`: printable ASCII without `[`, `\` and `]`.
fn is_dcontent(b: u8) -> bool {
    matches!(b, 33..=90 | 94..=126)
}
