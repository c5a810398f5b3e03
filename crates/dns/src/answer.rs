//! Answers ([RFC 2308] on negative ones, [RFC 4035] §3.2.3 on the AD bit, [RFC 8767] on stale ones, [RFC 8914] on
//! extended errors)
//!
//! [RFC 2308]: https://www.rfc-editor.org/rfc/rfc2308
//! [RFC 4035]: https://www.rfc-editor.org/rfc/rfc4035
//! [RFC 8767]: https://www.rfc-editor.org/rfc/rfc8767
//! [RFC 8914]: https://www.rfc-editor.org/rfc/rfc8914

use crate::{Mx, Name, Record, Tlsa, Txt};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
// A fifth kind of answer would be a contract of its own: every caller must tell "no" from "not known".
#[allow(clippy::exhaustive_enums)]
pub enum Answer {
    /// There are records of the type asked for.
    Records(Records),
    /// The name exists and has no record of that type.
    NoData(Negative),
    /// The name does not exist.
    NxDomain(Negative),
    /// It is not known: never to be read as "no such record".
    Failure(Failure),
}

impl Answer {
    /// The records; empty unless this is [`Answer::Records`].
    pub fn records(&self) -> &[Record] {
        match self {
            Self::Records(records) => &records.records,
            _ => &[],
        }
    }

    /// How far the answer can be trusted, over the whole chain of aliases.
    pub fn security(&self) -> Security {
        match self {
            Self::Records(records) => records.path.security,
            Self::NoData(negative) | Self::NxDomain(negative) => negative.path.security,
            Self::Failure(failure) => failure.security(),
        }
    }

    /// How long the answer holds from the moment it was handed out.
    pub fn ttl(&self) -> Duration {
        match self {
            Self::Records(records) => records.ttl,
            Self::NoData(negative) | Self::NxDomain(negative) => negative.ttl,
            Self::Failure(_) => Duration::ZERO,
        }
    }

    /// Whether the answer has outlived its TTL, and was given because no server could be asked (RFC 8767).
    pub fn is_stale(&self) -> bool {
        self.path().is_some_and(|path| path.stale)
    }

    pub(crate) fn stale(mut self, ttl: Duration) -> Self {
        match &mut self {
            Self::Records(records) => records.path.stale = true,
            Self::NoData(negative) | Self::NxDomain(negative) => negative.path.stale = true,
            Self::Failure(_) => {}
        }
        self.with_ttl(ttl)
    }

    /// The failure, if the answer is not known.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failure(failure) => Some(failure),
            _ => None,
        }
    }

    pub(crate) fn with_ttl(mut self, left: Duration) -> Self {
        match &mut self {
            Self::Records(records) => records.ttl = left,
            Self::NoData(negative) | Self::NxDomain(negative) => negative.ttl = left,
            Self::Failure(_) => {}
        }
        self
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Records(records) => Some(&records.path),
            Self::NoData(negative) | Self::NxDomain(negative) => Some(&negative.path),
            Self::Failure(_) => None,
        }
    }

    /// Octets of memory the answer holds, about.
    pub(crate) fn weight(&self) -> usize {
        let path = self
            .path()
            .map_or(0, |path| path.aliases.iter().map(Name::weight).sum());
        size_of::<Self>() + path + self.records().iter().map(Record::weight).sum::<usize>()
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// A set of records, all of the type asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    pub(crate) records: Arc<[Record]>,
    pub(crate) path: Path,
    pub(crate) ttl: Duration,
}

impl Records {
    /// Makes an answer by hand, as tests of its readers need it.
    pub fn new(name: Name, records: impl IntoIterator<Item = Record>, security: Security) -> Self {
        Self {
            records: records.into_iter().collect(),
            path: Path::direct(name, security),
            ttl: Duration::ZERO,
        }
    }

    /// The same answer, reached over `aliases`: the names asked before the canonical one, first to last.
    #[must_use]
    pub fn with_aliases(mut self, aliases: impl IntoIterator<Item = Name>) -> Self {
        self.path.aliases = aliases.into_iter().collect();
        self
    }

    /// The same answer, whose first step is secured in another way than the whole: a signed zone may hold an alias to a
    /// name in an unsigned one.
    #[must_use]
    pub fn with_first_security(mut self, security: Security) -> Self {
        self.path.first_security = security;
        self
    }

    /// The records, in the order the server gave them, without duplicates. Never empty when it came from a resolver.
    pub fn as_slice(&self) -> &[Record] {
        &self.records
    }

    /// The addresses in A and AAAA records.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records.iter().filter_map(Record::address)
    }

    /// The MX records.
    pub fn mx(&self) -> impl Iterator<Item = &Mx> {
        self.records.iter().filter_map(|record| match record {
            Record::Mx(mx) => Some(mx),
            _ => None,
        })
    }

    /// The TXT records.
    pub fn txt(&self) -> impl Iterator<Item = &Txt> {
        self.records.iter().filter_map(|record| match record {
            Record::Txt(txt) => Some(txt),
            _ => None,
        })
    }

    /// The TLSA records.
    pub fn tlsa(&self) -> impl Iterator<Item = &Tlsa> {
        self.records.iter().filter_map(|record| match record {
            Record::Tlsa(tlsa) => Some(tlsa),
            _ => None,
        })
    }

    /// The name that has the records, at the end of all aliases.
    pub fn canonical_name(&self) -> &Name {
        &self.path.canonical
    }

    /// The aliases that led there, the name asked for first; empty if there were none.
    pub fn aliases(&self) -> &[Name] {
        &self.path.aliases
    }

    /// The weakest security along the way.
    pub fn security(&self) -> Security {
        self.path.security
    }

    /// The security of the first step alone, from the name asked for (RFC 7672 §2.1.3).
    pub fn first_security(&self) -> Security {
        self.path.first_security
    }

    /// How long the records hold from the moment they were handed out.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }
}

/// An answer that there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negative {
    pub(crate) path: Path,
    pub(crate) ttl: Duration,
}

impl Negative {
    /// Makes an answer by hand, as tests of its readers need it.
    pub fn new(name: Name, security: Security) -> Self {
        Self {
            path: Path::direct(name, security),
            ttl: Duration::ZERO,
        }
    }

    /// The same answer, reached over `aliases`: the names asked before the canonical one, first to last.
    #[must_use]
    pub fn with_aliases(mut self, aliases: impl IntoIterator<Item = Name>) -> Self {
        self.path.aliases = aliases.into_iter().collect();
        self
    }

    /// The name that lacks the records, at the end of all aliases.
    pub fn canonical_name(&self) -> &Name {
        &self.path.canonical
    }

    /// The aliases that led there, the name asked for first; empty if there were none.
    pub fn aliases(&self) -> &[Name] {
        &self.path.aliases
    }

    /// The weakest security along the way.
    pub fn security(&self) -> Security {
        self.path.security
    }

    /// The security of the first step alone, from the name asked for.
    pub fn first_security(&self) -> Security {
        self.path.first_security
    }

    /// How long this holds from the moment it was handed out; zero if no SOA record said so (RFC 2308 §5).
    pub fn ttl(&self) -> Duration {
        self.ttl
    }
}

/// The way from the name asked for to the one that the answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) aliases: Arc<[Name]>,
    pub(crate) canonical: Name,
    pub(crate) security: Security,
    pub(crate) first_security: Security,
    /// Whether a part of it has outlived its TTL.
    pub(crate) stale: bool,
}

impl Path {
    fn direct(name: Name, security: Security) -> Self {
        Self {
            aliases: Arc::from([]),
            canonical: name,
            security,
            first_security: security,
            stale: false,
        }
    }
}

/// What DNSSEC says about an answer, as far as the server that gave it is trusted to say so.
///
/// Ordered from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
// RFC 4035 §4.3 has these four.
#[allow(clippy::exhaustive_enums)]
pub enum Security {
    /// A trusted server validated it (AD bit, RFC 4035 §3.2.3).
    Secure,
    /// A trusted server did not vouch for it: the zone is not signed.
    Insecure,
    /// The server is not trusted to validate, so nothing is known.
    Indeterminate,
    /// A trusted server says that validation failed (RFC 8914). Only failures are bogus.
    Bogus,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Indeterminate => "indeterminate",
            Self::Bogus => "bogus",
        })
    }
}

/// Why no answer could be had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// The server that gave the failure, if one did.
    pub server: Option<SocketAddr>,
    /// The extended error of the server (RFC 8914 §4), if it gave one.
    pub extended_error: Option<u16>,
    /// Whether that server is trusted to speak of DNSSEC.
    pub(crate) trusted: bool,
}

impl Failure {
    /// Makes a failure that no server gave.
    pub fn new(kind: FailureKind) -> Self {
        Self {
            kind,
            server: None,
            extended_error: None,
            trusted: false,
        }
    }

    /// Makes the failure of a trusted server that found a signature wrong (SERVFAIL with extended error 6), as tests of
    /// its readers need it.
    pub fn bogus() -> Self {
        Self {
            extended_error: Some(6),
            trusted: true,
            ..Self::new(FailureKind::ServFail)
        }
    }

    /// Whether somebody who wants an answer may have an old one instead (RFC 8767 §4): not if validation failed, for
    /// that would bring back what its owner revoked, nor if the fault is in the data.
    pub(crate) fn allows_stale(&self) -> bool {
        let passing = matches!(
            self.kind,
            FailureKind::Timeout | FailureKind::Unreachable | FailureKind::ServFail | FailureKind::Refused
        );
        passing && self.security() != Security::Bogus
    }

    /// [`Security::Bogus`] if a trusted server said that validation failed, else [`Security::Indeterminate`].
    pub fn security(&self) -> Security {
        match self.extended_error {
            // RFC 8914 §4.7 to §4.13: bogus, expired, not yet valid, keys or signatures missing.
            Some(6..=12) if self.trusted => Security::Bogus,
            _ => Security::Indeterminate,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(server) = self.server {
            write!(f, " from {server}")?;
        }
        if let Some(code) = self.extended_error {
            write!(f, " (extended error {code})")?;
        }
        Ok(())
    }
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// No server answered in time.
    Timeout,
    /// The servers could not be reached, or closed the connection.
    Unreachable,
    /// The server could not find out (SERVFAIL).
    ServFail,
    /// The server does not answer us (REFUSED).
    Refused,
    /// Another response code of the server (RFC 6895 §2.3).
    ResponseCode(u16),
    /// The answer could not be read, contradicted itself, or was too large.
    Malformed,
    /// The server pointed elsewhere: it does not resolve recursively.
    Referral,
    /// The aliases lead in a circle.
    AliasLoop,
    /// There are more aliases than [`Config::max_aliases`](crate::Config::max_aliases).
    TooManyAliases,
    /// No server is configured.
    NoServers,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Unreachable => f.write_str("no connection"),
            Self::ServFail => f.write_str("SERVFAIL"),
            Self::Refused => f.write_str("REFUSED"),
            Self::ResponseCode(code) => write!(f, "response code {code}"),
            Self::Malformed => f.write_str("malformed answer"),
            Self::Referral => f.write_str("referral instead of an answer"),
            Self::AliasLoop => f.write_str("CNAME loop"),
            Self::TooManyAliases => f.write_str("CNAME chain too long"),
            Self::NoServers => f.write_str("no DNS server configured"),
        }
    }
}
