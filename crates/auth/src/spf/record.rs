//! SPF records, read ([RFC 7208] §4.5, §4.6, §5, §6, §12)
//!
//! [RFC 7208]: https://www.rfc-editor.org/rfc/rfc7208

use super::macros::MacroString;
use crate::Verdict;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An SPF record: directives in order, and its modifiers.
///
/// ```
/// use mailwright_auth::spf::{Mechanism, Record};
/// use mailwright_auth::Verdict;
///
/// let record = Record::parse(b"v=spf1 mx ip4:192.0.2.0/24 ~all")?;
/// assert_eq!(record.directives().len(), 3);
/// assert_eq!(record.directives()[2].verdict, Verdict::SoftFail);
/// assert_eq!(record.directives()[2].mechanism, Mechanism::All);
/// assert_eq!(Record::parse(b"v=spf1 ip4:192.0.2.256 -all").unwrap_err().term, 1);
/// # Ok::<(), mailwright_auth::spf::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    directives: Vec<Directive>,
    redirect: Option<MacroString>,
    explanation: Option<MacroString>,
}

/// One mechanism with its qualifier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directive {
    /// What a match comes to: pass, fail, softfail or neutral.
    pub verdict: Verdict,
    /// What is looked at.
    pub mechanism: Mechanism,
}

/// What a directive looks at (RFC 7208 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// Everything.
    All,
    /// What the record of another domain passes.
    Include(MacroString),
    /// The addresses of a domain, the current one if none is given.
    A(Option<MacroString>, Prefixes),
    /// The addresses of the mail exchangers of a domain.
    Mx(Option<MacroString>, Prefixes),
    /// Names of the client, found by its address (RFC 7208 §5.5: not to be published any more).
    Ptr(Option<MacroString>),
    /// A network.
    Ip(IpAddr, u8),
    /// Whether a name has an A record.
    Exists(MacroString),
}

/// How many leading bits of an address count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefixes {
    /// For IPv4, 0 to 32.
    pub v4: u8,
    /// For IPv6, 0 to 128.
    pub v6: u8,
}

/// A record that does not follow RFC 7208 §12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("term {term} of the record is malformed")]
#[non_exhaustive]
pub struct SyntaxError {
    /// Which term: the version is 0, the first directive or modifier is 1.
    pub term: usize,
}

impl Record {
    /// Tells whether a TXT record is an SPF record of this version: RFC 7208 §4.5.
    pub fn is_spf(text: &[u8]) -> bool {
        text.get(..6).is_some_and(|v| v.eq_ignore_ascii_case(b"v=spf1"))
            && text.get(6).is_none_or(|next| *next == b' ')
    }

    /// Reads a record, all of it: what is wrong behind the directive that would match counts too (RFC 7208 §4.6).
    ///
    /// # Errors
    ///
    /// When it is not an SPF record, or any term of it is malformed.
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        if !Self::is_spf(text) {
            return Err(SyntaxError { term: 0 });
        }
        let mut record = Self {
            directives: Vec::new(),
            redirect: None,
            explanation: None,
        };
        let terms = text[6..].split(|b| *b == b' ').filter(|term| !term.is_empty());
        for (number, term) in (1..).zip(terms) {
            let text = core::str::from_utf8(term).ok().filter(|text| text.is_ascii());
            text.and_then(|text| record.take(text))
                .ok_or(SyntaxError { term: number })?;
        }
        Ok(record)
    }

    /// The directives in order.
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    /// Whose record decides when no directive matches; of no effect in a record with `all` (RFC 7208 §6.1).
    pub fn redirect(&self) -> Option<&MacroString> {
        let has_all = self.directives.iter().any(|d| d.mechanism == Mechanism::All);
        self.redirect.as_ref().filter(|_| !has_all)
    }

    /// Where the text stands that explains a fail (RFC 7208 §6.2).
    pub fn explanation(&self) -> Option<&MacroString> {
        self.explanation.as_ref()
    }

    fn take(&mut self, term: &str) -> Option<()> {
        let name_len = term
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))
            .unwrap_or(term.len());
        match term[name_len..].strip_prefix('=') {
            Some(value) if term.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.modifier(&term[..name_len], value)
            }
            _ => {
                self.directives.push(Directive::parse(term)?);
                Some(())
            }
        }
    }

    fn modifier(&mut self, name: &str, value: &str) -> Option<()> {
        let place = if name.eq_ignore_ascii_case("redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case("exp") {
            &mut self.explanation
        } else {
            // RFC 7208 §6: unknown modifiers are passed over if they are well-formed.
            return MacroString::parse(value).map(|_| ());
        };
        match place {
            Some(_) => None,
            None => {
                *place = Some(MacroString::parse_domain(value)?);
                Some(())
            }
        }
    }
}

impl Directive {
    fn parse(term: &str) -> Option<Self> {
        let verdict = match term.as_bytes().first()? {
            b'-' => Verdict::Fail,
            b'~' => Verdict::SoftFail,
            b'?' => Verdict::Neutral,
            _ => Verdict::Pass,
        };
        let term = term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term);
        let name_len = term
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(term.len());
        let (name, argument) = term.split_at(name_len);
        let mechanism = match name.to_ascii_lowercase().as_str() {
            "all" if argument.is_empty() => Mechanism::All,
            "include" => Mechanism::Include(MacroString::parse_domain(argument.strip_prefix(':')?)?),
            "a" => {
                let (domain, prefixes) = domain_and_prefixes(argument)?;
                Mechanism::A(domain, prefixes)
            }
            "mx" => {
                let (domain, prefixes) = domain_and_prefixes(argument)?;
                Mechanism::Mx(domain, prefixes)
            }
            "ptr" => Mechanism::Ptr(optional_domain(argument)?),
            "ip4" => network::<Ipv4Addr>(argument, 32)?,
            "ip6" => network::<Ipv6Addr>(argument, 128)?,
            "exists" => Mechanism::Exists(MacroString::parse_domain(argument.strip_prefix(':')?)?),
            _ => return None,
        };
        Some(Self { verdict, mechanism })
    }
}

impl Mechanism {
    /// Whether evaluating it asks the DNS, and so counts as a lookup (RFC 7208 §4.6.4).
    pub fn looks_up(&self) -> bool {
        !matches!(self, Self::All | Self::Ip(..))
    }

    /// Its domain, where it has one.
    pub fn domain(&self) -> Option<&MacroString> {
        match self {
            Self::Include(domain) | Self::Exists(domain) => Some(domain),
            Self::A(domain, _) | Self::Mx(domain, _) | Self::Ptr(domain) => domain.as_ref(),
            Self::All | Self::Ip(..) => None,
        }
    }
}

impl Prefixes {
    const WHOLE: Self = Self { v4: 32, v6: 128 };

    /// Whether two addresses are of the same family and agree in so many leading bits.
    pub(crate) fn matches(self, a: IpAddr, b: IpAddr) -> bool {
        let prefix = if a.is_ipv4() { self.v4 } else { self.v6 };
        same_network(a, b, prefix)
    }
}

/// Prints the directive as it would stand in a record.
impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict {
            Verdict::Fail => "-",
            Verdict::SoftFail => "~",
            Verdict::Neutral => "?",
            _ => "",
        })?;
        self.mechanism.fmt(f)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::All => "all",
            Self::Include(_) => "include",
            Self::A(..) => "a",
            Self::Mx(..) => "mx",
            Self::Ptr(_) => "ptr",
            Self::Ip(IpAddr::V4(_), _) => "ip4",
            Self::Ip(IpAddr::V6(_), _) => "ip6",
            Self::Exists(_) => "exists",
        };
        f.write_str(name)?;
        if let Some(domain) = self.domain() {
            write!(f, ":{domain}")?;
        }
        match self {
            Self::Ip(address, prefix) => {
                let whole = if address.is_ipv4() { 32 } else { 128 };
                write!(f, ":{address}")?;
                if *prefix != whole {
                    write!(f, "/{prefix}")?;
                }
            }
            Self::A(_, prefixes) | Self::Mx(_, prefixes) => {
                if prefixes.v4 != 32 {
                    write!(f, "/{}", prefixes.v4)?;
                }
                if prefixes.v6 != 128 {
                    write!(f, "//{}", prefixes.v6)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Prints the record in its shortest form. Unknown modifiers are not kept.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        for directive in &self.directives {
            write!(f, " {directive}")?;
        }
        if let Some(domain) = &self.redirect {
            write!(f, " redirect={domain}")?;
        }
        if let Some(domain) = &self.explanation {
            write!(f, " exp={domain}")?;
        }
        Ok(())
    }
}

pub(crate) fn same_network(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            differ.leading_zeros() >= u32::from(prefix)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            differ.leading_zeros() >= u32::from(prefix)
        }
        _ => false,
    }
}

fn optional_domain(argument: &str) -> Option<Option<MacroString>> {
    match argument.strip_prefix(':') {
        Some(domain) => MacroString::parse_domain(domain).map(Some),
        None => argument.is_empty().then_some(None),
    }
}

/// `[":" domain-spec] ["/" digits] ["//" digits]`, read from its end: a domain may hold slashes in its macros.
fn domain_and_prefixes(argument: &str) -> Option<(Option<MacroString>, Prefixes)> {
    let mut prefixes = Prefixes::WHOLE;
    let mut domain = argument;
    let bare = domain.trim_end_matches(|c: char| c.is_ascii_digit());
    if let Some(front) = bare.strip_suffix("//") {
        prefixes.v6 = prefix_length(&domain[bare.len()..], 128)?;
        domain = front;
    }
    let bare = domain.trim_end_matches(|c: char| c.is_ascii_digit());
    if let Some(front) = bare.strip_suffix('/') {
        prefixes.v4 = prefix_length(&domain[bare.len()..], 32)?;
        domain = front;
    }
    Some((optional_domain(domain)?, prefixes))
}

fn network<A: FromStr + Into<IpAddr>>(argument: &str, whole: u8) -> Option<Mechanism> {
    let argument = argument.strip_prefix(':')?;
    let (address, prefix) = match argument.split_once('/') {
        Some((address, prefix)) => (address, prefix_length(prefix, whole)?),
        None => (argument, whole),
    };
    Some(Mechanism::Ip(address.parse::<A>().ok()?.into(), prefix))
}

/// RFC 7208 §5.6: no zero stands before other digits.
fn prefix_length(digits: &str, whole: u8) -> Option<u8> {
    let plain = digits.len() == 1 || !digits.starts_with('0');
    let valid = plain && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let length = valid.then(|| digits.parse().ok())??;
    (length <= whole).then_some(length)
}
