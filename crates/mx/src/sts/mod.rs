//! MTA-STS ([RFC 8461])
//!
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461

mod cache;
mod fetch;
mod policy;

pub use cache::{Cache, CacheConfig, Lookup};
pub use fetch::{Fetch, FetchError};
pub use policy::{Mode, Pattern, Policy, PolicyError};

use core::fmt;
use mailwright_dns::{Name, Txt};

/// What a [`Planner`](crate::Planner) wants to know: the policy of a domain. [`Cache::lookup`] takes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Request {
    /// The domain of the recipient.
    pub domain: Name,
    /// What DNS says of its policy.
    pub record: Announced,
}

impl Request {
    /// Asks for the policy of a domain.
    pub fn new(domain: Name, record: Announced) -> Self {
        Self { domain, record }
    }
}

/// What the TXT record at `_mta-sts` says (RFC 8461 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
// There, not there, not known: nothing else.
#[allow(clippy::exhaustive_enums)]
pub enum Announced {
    /// There is a policy with this id.
    Id(Id),
    /// There is none. A policy fetched earlier holds nevertheless until it expires.
    Nothing,
    /// The record could not be looked up. As [`Nothing`](Self::Nothing), and nothing is fetched.
    Unknown,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Known {
    /// The policy that holds; never one whose mode is `none`.
    pub policy: Option<std::sync::Arc<Policy>>,
    /// Why the present policy could not be fetched, if it was tried. An earlier one may hold all the same.
    pub error: Option<FetchError>,
}

impl Known {
    /// This policy holds.
    pub fn policy(policy: impl Into<std::sync::Arc<Policy>>) -> Self {
        Self {
            policy: Some(policy.into()),
            error: None,
        }
    }
}

/// The id of a policy: 1 to 32 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// Parses an id by itself; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// Finds the id in the TXT records at `_mta-sts`: there must be exactly one record of this version, and it must be
    /// well formed (RFC 8461 §3.1). Records of other kinds are passed over.
    ///
    /// ```
    /// use mailwright_dns::Txt;
    /// use mailwright_mx::sts::Id;
    ///
    /// let record = Txt::new([&b"v=STSv1; id=20261123;"[..]]);
    /// assert_eq!(Id::find([&record]).unwrap().as_str(), "20261123");
    /// assert_eq!(Id::find([&record, &record]), None);
    /// ```
    pub fn find<'a>(records: impl IntoIterator<Item = &'a Txt>) -> Option<Self> {
        let records = records.into_iter().map(Txt::joined);
        let mut records = records.filter_map(|record| fields(&record, "STSv1").map(<[u8]>::to_vec));
        let record = records.next()?;
        if records.next().is_some() {
            return None;
        }
        let text = String::from_utf8(record).ok()?;
        let mut id = None;
        for field in text.split(';').map(trim).filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=')?;
            // The first one counts, as with the fields of policies.
            if trim(name) == "id" && id.is_none() {
                id = Some(Self::parse(trim(value))?);
            }
        }
        id
    }

    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What follows `v=VERSION;` in a record; `None` in other records.
pub(crate) fn fields<'a>(record: &'a [u8], version: &str) -> Option<&'a [u8]> {
    let rest = record.strip_prefix(b"v=")?.strip_prefix(version.as_bytes())?;
    rest.trim_ascii_start().strip_prefix(b";")
}

/// Without the spaces and tabs around.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
