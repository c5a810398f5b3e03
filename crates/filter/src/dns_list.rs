//! Names and answers of block and allow lists in the DNS (RFC 5782)
//!
//! ```
//! use mailwright_filter::dns_list::{List, Listing, weigh};
//!
//! let list = List::new("bl.example", 5.0);
//! let client = "192.0.2.99".parse().unwrap();
//! assert_eq!(list.name(client), "99.2.0.192.bl.example");
//! // The answer of your resolver: A records, none of them where the client is not listed.
//! let listing = list.listing(&["127.0.0.2".parse().unwrap()]);
//! assert_eq!(listing, Listing::Listed);
//! assert_eq!(weigh([(&list, listing)]), 5.0);
//! ```

use core::net::{IpAddr, Ipv4Addr};
use std::fmt::Write;

/// A list: where it is, which of its answers count, and how much.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct List {
    /// Its zone, without a dot at the end.
    pub zone: String,
    /// The answers that count; all of 127.0.0.0/8 if there are none.
    pub codes: Vec<CodePattern>,
    /// What a client that is listed gets: above zero for block lists, below zero for allow lists.
    pub weight: f64,
}

/// Which answers count: each of the four numbers is given, or a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePattern([(u8, u8); 4]);

/// What a list says of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listing {
    /// The client is listed.
    Listed,
    /// It is not.
    NotListed,
    /// The list did not say: answers outside of 127.0.0.0/8 are none, and 127.255.255.0/24 tells of a mistake of whoever
    /// asked, such as asking through a public resolver.
    Broken,
}

impl List {
    /// A list whose answers all count so much.
    pub fn new(zone: impl Into<String>, weight: f64) -> Self {
        let zone: String = zone.into();
        Self {
            zone: zone.trim_end_matches('.').to_owned(),
            codes: Vec::new(),
            weight,
        }
    }

    /// Lets only these answers count.
    #[must_use]
    pub fn with_codes(self, codes: Vec<CodePattern>) -> Self {
        Self { codes, ..self }
    }

    /// The name whose A records say whether a client is listed: its octets (RFC 5782 §2.1) or nibbles (§2.4) backwards,
    /// in front of the zone.
    pub fn name(&self, client: IpAddr) -> String {
        let mut name = String::with_capacity(64 + self.zone.len());
        match client.to_canonical() {
            IpAddr::V4(v4) => {
                for octet in v4.octets().iter().rev() {
                    write!(name, "{octet}.").expect("text takes all");
                }
            }
            IpAddr::V6(v6) => {
                for octet in v6.octets().iter().rev() {
                    write!(name, "{:x}.{:x}.", octet & 15, octet >> 4).expect("text takes all");
                }
            }
        }
        name.push_str(&self.zone);
        name
    }

    /// What the A records of that name say; none are the answer "not listed".
    pub fn listing(&self, records: &[Ipv4Addr]) -> Listing {
        let broken = |record: &Ipv4Addr| !record.is_loopback() || record.octets()[..3] == [127, 255, 255];
        let counts = |record: &&Ipv4Addr| {
            !broken(record) && (self.codes.is_empty() || self.codes.iter().any(|code| code.matches(**record)))
        };
        match records.iter().find(counts) {
            Some(_) => Listing::Listed,
            None if records.iter().any(broken) => Listing::Broken,
            None => Listing::NotListed,
        }
    }
}

/// The sum of what lists say of a client; those that are broken say nothing.
pub fn weigh<'a>(listings: impl IntoIterator<Item = (&'a List, Listing)>) -> f64 {
    let listed = listings
        .into_iter()
        .filter(|(_, listing)| *listing == Listing::Listed);
    listed.map(|(list, _)| list.weight).sum()
}

impl CodePattern {
    /// Whether an answer counts.
    pub fn matches(self, code: Ipv4Addr) -> bool {
        let octets = code.octets();
        self.0
            .iter()
            .zip(octets)
            .all(|((low, high), octet)| (*low..=*high).contains(&octet))
    }
}

impl core::fmt::Display for CodePattern {
    /// As it is read.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (place, (low, high)) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            match (low, high) {
                (0, 255) => f.write_str("*")?,
                (low, high) if low == high => write!(f, "{low}")?,
                (low, high) => write!(f, "{low}-{high}")?,
            }
        }
        Ok(())
    }
}

/// Not a pattern of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadPattern;

impl core::fmt::Display for BadPattern {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("expected an answer of a list, as \"127.0.0.2\", \"127.0.0.2-11\" or \"127.0.*.1\"")
    }
}

impl core::error::Error for BadPattern {}

impl core::str::FromStr for CodePattern {
    type Err = BadPattern;

    /// Four numbers with dots between them; each may be a range, `2-11`, or any, `*`. The first is 127.
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let mut ranges = [(0, 0); 4];
        let mut parts = text.split('.');
        for range in &mut ranges {
            let part = parts.next().ok_or(BadPattern)?;
            let number = |text: &str| text.parse::<u8>().map_err(|_| BadPattern);
            *range = match part.split_once('-') {
                _ if part == "*" => (0, 255),
                Some((low, high)) => (number(low)?, number(high)?),
                None => (number(part)?, number(part)?),
            };
            if range.0 > range.1 {
                return Err(BadPattern);
            }
        }
        match parts.next().is_none() && ranges[0] == (127, 127) {
            true => Ok(Self(ranges)),
            false => Err(BadPattern),
        }
    }
}
