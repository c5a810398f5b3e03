//! Policies ([RFC 8461] §3.2)
//!
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461

use super::trim;
use core::fmt;
use core::time::Duration;
use mailwright_dns::Name;

/// A policy: which hosts may take the mail of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    mode: Mode,
    max_age: Duration,
    patterns: Vec<Pattern>,
}

/// What is to be done with the policy (RFC 8461 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// RFC 8461 §3.2 has these three, and a policy with another is invalid.
#[allow(clippy::exhaustive_enums)]
pub enum Mode {
    /// Do not deliver where it is not met.
    Enforce,
    /// Deliver all the same, and report.
    Testing,
    /// There is none any more.
    None,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

/// A host name, or all names with one more label than a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    name: Name,
    wildcard: bool,
}

/// Why a text is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is not UTF-8.
    #[error("the policy is not text")]
    NotText,
    /// A line has no colon.
    #[error("a line of the policy has no colon")]
    NoField,
    /// There is no `version: STSv1`.
    #[error("the policy has another version, or none")]
    Version,
    /// The mode is missing or unknown.
    #[error("the policy has no known mode")]
    Mode,
    /// The lifetime is missing or not a number.
    #[error("the policy has no max_age")]
    MaxAge,
    /// A name of a host is not valid.
    #[error("the policy has an invalid mx pattern")]
    Pattern,
    /// There is no host, or there are more than 1,000.
    #[error("the policy lists no mail exchangers, or too many")]
    Patterns,
}

impl Policy {
    /// Parses the body of a policy file.
    ///
    /// Lines may end with LF alone. Unknown fields are passed over; of fields that may stand once the first counts. A
    /// lifetime beyond the greatest is cut down to it.
    ///
    /// # Errors
    ///
    /// Whatever [`PolicyError`] lists.
    ///
    /// ```
    /// use mailwright_dns::Name;
    /// use mailwright_mx::sts::{Mode, Policy};
    ///
    /// let policy = Policy::parse(b"version: STSv1\r\nmode: enforce\r\nmx: *.b.test\r\nmax_age: 604800\r\n")?;
    /// assert_eq!(policy.mode(), Mode::Enforce);
    /// assert!(policy.lists(&Name::parse("mx1.b.test")?));
    /// assert!(!policy.lists(&Name::parse("a.mx1.b.test")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(body: &[u8]) -> Result<Self, PolicyError> {
        let text = core::str::from_utf8(body).map_err(|_| PolicyError::NotText)?;
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut patterns = Vec::new();
        for line in text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
        {
            if trim(line).is_empty() {
                continue;
            }
            let (name, value) = line.split_once(':').ok_or(PolicyError::NoField)?;
            let value = trim(value);
            match trim(name) {
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if patterns.len() < MAX_PATTERNS => {
                    patterns.push(Pattern::parse(value).ok_or(PolicyError::Pattern)?);
                }
                "mx" => return Err(PolicyError::Patterns),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyError::Version);
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(PolicyError::Mode),
        };
        let max_age = max_age.filter(|digits| {
            (1..=10).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        });
        let seconds: u64 = max_age
            .and_then(|digits| digits.parse().ok())
            .ok_or(PolicyError::MaxAge)?;
        if patterns.is_empty() && mode != Mode::None {
            return Err(PolicyError::Patterns);
        }
        Ok(Self {
            mode,
            max_age: Duration::from_secs(seconds.min(MAX_AGE)),
            patterns,
        })
    }

    /// What is to be done.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How long the policy holds after it was fetched; 31,557,600 s (a year) at most.
    pub fn max_age(&self) -> Duration {
        self.max_age
    }

    /// The hosts.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether the policy lists a host (RFC 8461 §4.1).
    pub fn lists(&self, host: &Name) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(host))
    }

    /// The lines of the policy, as reports have them (RFC 8460 §4.4), and [`parse`](Self::parse) reads them.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let head = ["version: STSv1".to_owned(), format!("mode: {}", self.mode)];
        let hosts = self.patterns.iter().map(|pattern| format!("mx: {pattern}"));
        let age = format!("max_age: {}", self.max_age.as_secs());
        head.into_iter().chain(hosts).chain([age])
    }
}

impl Pattern {
    /// Parses a host name in A-labels, or one behind `*.`; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let of_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let name = Name::parse(name).ok().filter(|_| name.bytes().all(of_host))?;
        if name.is_root() {
            return None;
        }
        Some(Self { name, wildcard })
    }

    /// Whether a host has the name, or with a wildcard one label before it.
    pub fn matches(&self, host: &Name) -> bool {
        match self.wildcard {
            true => host.parent().is_some_and(|parent| parent == self.name),
            false => *host == self.name,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.wildcard { "*." } else { "" };
        write!(f, "{star}{}", self.name)
    }
}

/// RFC 8461 §3.2.
const MAX_AGE: u64 = 31_557_600;
/// What 64 KiB can hold is more than any domain has.
const MAX_PATTERNS: usize = 1000;
