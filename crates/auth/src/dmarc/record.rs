//! DMARC records, read and printed ([RFC 9989] §4.7, RFC 7489 §6.3)
//!
//! [RFC 9989]: https://www.rfc-editor.org/rfc/rfc9989

use core::fmt;
use core::str::FromStr;
use mailwright_message::tags::TagList;

/// What a domain publishes under `_dmarc`.
///
/// ```
/// use mailwright_auth::dmarc::{Alignment, Policy, Record};
///
/// let record = Record::parse(b"v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:d@a.test!10m")?;
/// assert_eq!((record.policy, record.subdomains()), (Policy::Reject, Policy::None));
/// assert_eq!(record.dkim_alignment, Alignment::Strict);
/// assert_eq!(record.aggregate_to[0].max_size, Some(10 << 20));
/// # Ok::<(), mailwright_auth::dmarc::RecordError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// `p=`, for the domain itself.
    pub policy: Policy,
    /// `sp=`, for domains below it; none if it does not say.
    pub subdomain_policy: Option<Policy>,
    /// `np=`, for domains below it that do not exist; none if it does not say.
    pub nonexistent_policy: Option<Policy>,
    /// `adkim=`.
    pub dkim_alignment: Alignment,
    /// `aspf=`.
    pub spf_alignment: Alignment,
    /// `t=y`: the domain tries its policy out, and wants the next weaker one applied (RFC 9989 §4.7).
    pub testing: bool,
    /// `pct=` of RFC 7489, 0 to 100: to how much of the mail the policy is to be applied. RFC 9989 has it no more.
    pub percent: u8,
    /// `psd=`; none for `u`, the default.
    pub public_suffix: Option<bool>,
    /// `fo=`, which counts only where `ruf=` is.
    pub failure_options: FailureOptions,
    /// `rua=`, where aggregate reports go.
    pub aggregate_to: Vec<ReportUri>,
    /// `ruf=`, where failure reports go.
    pub failures_to: Vec<ReportUri>,
    /// `ri=` of RFC 7489, the seconds between aggregate reports. RFC 9989 has it no more.
    pub interval: u32,
}

/// What the domain wants done with mail that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
// RFC 9989 §4.7 has these three.
#[allow(clippy::exhaustive_enums)]
pub enum Policy {
    /// Nothing in particular.
    #[default]
    None,
    /// It is suspicious.
    Quarantine,
    /// It is not the domain's.
    Reject,
}

/// How near an authenticated domain must be to that of the author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
// RFC 9989 §4.7 has these two.
#[allow(clippy::exhaustive_enums)]
pub enum Alignment {
    /// Of the same organization.
    #[default]
    Relaxed,
    /// The same.
    Strict,
}

/// What failures the domain wants to hear of (`fo=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FailureOptions {
    /// `0`: when nothing passes and is aligned.
    pub all: bool,
    /// `1`: when anything does not pass, or is not aligned.
    pub any: bool,
    /// `d`: when a DKIM signature fails.
    pub dkim: bool,
    /// `s`: when SPF fails.
    pub spf: bool,
}

/// Where reports go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReportUri {
    /// The URI, without the size behind `!`.
    pub uri: String,
    /// The largest report that is taken there, in octets, as RFC 7489 §6.2 has it. RFC 9989 §4.8 has reporters pass over
    /// it.
    pub max_size: Option<u64>,
}

/// What is no DMARC record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It does not begin with `v=DMARC1`: it is something else.
    #[error("not a DMARC record")]
    NotDmarc,
    /// A policy in it is malformed, and it has no address for reports (RFC 9989 §4.10.1).
    #[error("malformed policy in DMARC record")]
    NoPolicy,
}

impl Record {
    /// Tells whether a TXT record is a DMARC record of this version: its first tag is `v=DMARC1`.
    pub fn is_dmarc(text: &[u8]) -> bool {
        let first = text.split(|b| *b == b';').next().unwrap_or_default();
        let mut parts = first.splitn(2, |b| *b == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        name == b"v" && parts.next().is_some_and(|value| value.trim_ascii() == b"DMARC1")
    }

    /// Reads a TXT record, whose strings were put together. Tags that are malformed or not known are passed over, but
    /// for policies.
    ///
    /// # Errors
    ///
    /// When it is not a DMARC record, or cannot count as one.
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        if !Self::is_dmarc(text) {
            return Err(RecordError::NotDmarc);
        }
        let tags = TagList::parse(text);
        let word = |name: &str| tags.value(name).map(|value| value.trim().to_ascii_lowercase());
        let policy = |name: &str| word(name).map(|word| word.parse::<Policy>()).transpose();
        let alignment = |name: &str| match word(name).as_deref() {
            Some("s") => Alignment::Strict,
            _ => Alignment::Relaxed,
        };
        let uris = |name: &str| {
            tags.value(name)
                .map(|value| ReportUri::list(&value))
                .unwrap_or_default()
        };
        let (aggregate_to, failures_to) = (uris("rua"), uris("ruf"));
        let policies = (policy("p"), policy("sp"), policy("np"));
        let (policy, subdomain_policy, nonexistent_policy) = match policies {
            (Ok(policy), Ok(sp), Ok(np)) => (policy.unwrap_or_default(), sp, np),
            _ if aggregate_to.is_empty() => return Err(RecordError::NoPolicy),
            _ => (Policy::None, None, None),
        };
        let percent = tags.number("pct").filter(|percent| *percent <= 100);
        Ok(Self {
            policy,
            subdomain_policy,
            nonexistent_policy,
            dkim_alignment: alignment("adkim"),
            spf_alignment: alignment("aspf"),
            testing: word("t").as_deref() == Some("y"),
            percent: percent.and_then(|percent| percent.try_into().ok()).unwrap_or(100),
            public_suffix: match word("psd").as_deref() {
                Some("y") => Some(true),
                Some("n") => Some(false),
                _ => None,
            },
            failure_options: word("fo")
                .filter(|_| !failures_to.is_empty())
                .map_or_else(FailureOptions::default, |word| FailureOptions::parse(&word)),
            aggregate_to,
            failures_to,
            interval: tags
                .number("ri")
                .and_then(|ri| ri.try_into().ok())
                .unwrap_or(86_400),
        })
    }

    /// The policy for domains below: `sp=`, or `p=`.
    pub fn subdomains(&self) -> Policy {
        self.subdomain_policy.unwrap_or(self.policy)
    }

    /// The policy for domains below that do not exist: `np=`, or `sp=`, or `p=`.
    pub fn nonexistent(&self) -> Policy {
        self.nonexistent_policy.unwrap_or(self.subdomains())
    }
}

impl Policy {
    /// Its word in records and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// The next weaker one.
    pub(crate) fn weaker(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            _ => Self::None,
        }
    }
}

impl FromStr for Policy {
    type Err = RecordError;

    fn from_str(word: &str) -> Result<Self, RecordError> {
        match word {
            "none" => Ok(Self::None),
            "quarantine" => Ok(Self::Quarantine),
            "reject" => Ok(Self::Reject),
            _ => Err(RecordError::NoPolicy),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FailureOptions {
    fn parse(word: &str) -> Self {
        let has = |letter: &str| word.split(':').any(|option| option.trim() == letter);
        let options = Self {
            all: has("0"),
            any: has("1"),
            dkim: has("d"),
            spf: has("s"),
        };
        match options {
            Self {
                all: false,
                any: false,
                dkim: false,
                spf: false,
            } => Self::default(),
            options => options,
        }
    }
}

impl Default for FailureOptions {
    fn default() -> Self {
        Self {
            all: true,
            any: false,
            dkim: false,
            spf: false,
        }
    }
}

impl fmt::Display for FailureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (self.all, "0"),
            (self.any, "1"),
            (self.dkim, "d"),
            (self.spf, "s"),
        ];
        let set: Vec<&str> = letters.iter().filter(|(on, _)| *on).map(|(_, l)| *l).collect();
        f.write_str(&set.join(":"))
    }
}

impl ReportUri {
    /// The address of a `mailto:` URI, its percent escapes decoded; none of another scheme.
    pub fn mail_address(&self) -> Option<String> {
        let scheme = self.uri.get(..7)?;
        if !scheme.eq_ignore_ascii_case("mailto:") {
            return None;
        }
        let path = self.uri[7..].split('?').next().unwrap_or_default();
        let mut octets = Vec::with_capacity(path.len());
        let mut rest = path.as_bytes();
        while let [first, tail @ ..] = rest {
            let escape = |digits: &[u8]| u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok();
            match (first, tail) {
                (b'%', [high, low, after @ ..]) => {
                    octets.push(escape(&[*high, *low])?);
                    rest = after;
                }
                (octet, _) => {
                    octets.push(*octet);
                    rest = tail;
                }
            }
        }
        let address = String::from_utf8(octets).ok()?;
        let clean = address.contains('@') && !address.chars().any(char::is_control);
        clean.then_some(address)
    }

    /// URIs between commas; those without a scheme are left out, as are those beyond a number nobody needs.
    fn list(text: &str) -> Vec<Self> {
        let uris = text.split(',').filter_map(|uri| {
            let uri = uri.trim();
            let (uri, max_size) = match uri.rsplit_once('!') {
                Some((uri, size)) => (uri, Some(parse_size(size)?)),
                None => (uri, None),
            };
            let (scheme, rest) = uri.split_once(':')?;
            let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            (valid && !rest.is_empty()).then(|| Self {
                uri: uri.to_owned(),
                max_size,
            })
        });
        uris.take(MAX_URIS).collect()
    }
}

impl fmt::Display for ReportUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)?;
        match self.max_size {
            Some(size) => write!(f, "!{size}"),
            None => Ok(()),
        }
    }
}

/// Prints the record as it would be published, tags with their default values left out.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=DMARC1; p={}", self.policy)?;
        if let Some(policy) = self.subdomain_policy {
            write!(f, "; sp={policy}")?;
        }
        if let Some(policy) = self.nonexistent_policy {
            write!(f, "; np={policy}")?;
        }
        if self.dkim_alignment == Alignment::Strict {
            f.write_str("; adkim=s")?;
        }
        if self.spf_alignment == Alignment::Strict {
            f.write_str("; aspf=s")?;
        }
        if self.testing {
            f.write_str("; t=y")?;
        }
        if self.percent != 100 {
            write!(f, "; pct={}", self.percent)?;
        }
        if let Some(is_suffix) = self.public_suffix {
            write!(f, "; psd={}", if is_suffix { "y" } else { "n" })?;
        }
        if self.failure_options != FailureOptions::default() {
            write!(f, "; fo={}", self.failure_options)?;
        }
        for (tag, uris) in [("rua", &self.aggregate_to), ("ruf", &self.failures_to)] {
            if !uris.is_empty() {
                let uris: Vec<String> = uris.iter().map(ToString::to_string).collect();
                write!(f, "; {tag}={}", uris.join(","))?;
            }
        }
        if self.interval != 86_400 {
            write!(f, "; ri={}", self.interval)?;
        }
        Ok(())
    }
}

/// RFC 7489 §6.2: digits and a unit of 2^10, 2^20, 2^30 or 2^40 octets.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

const MAX_URIS: usize = 16;
