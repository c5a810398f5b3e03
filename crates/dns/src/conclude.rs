//! What a response says about a name ([RFC 1034] §4.3.2, [RFC 2308] §2)
//!
//! [RFC 1034]: https://www.rfc-editor.org/rfc/rfc1034
//! [RFC 2308]: https://www.rfc-editor.org/rfc/rfc2308

use crate::message::{NX_DOMAIN, Owned, Response};
use crate::{FailureKind, Name, Record, RecordType, Soa};

/// A response, read from the name asked for to the end of the aliases it holds.
#[derive(Debug)]
pub(crate) struct Conclusion {
    /// The names passed before `name`, the one asked for first.
    pub(crate) aliases: Vec<Name>,
    /// The name that `end` is about.
    pub(crate) name: Name,
    /// The shortest TTL of the aliases, in seconds.
    pub(crate) ttl: u32,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    /// The records and their TTL in seconds.
    Records(Vec<Record>, u32),
    /// How long it holds, in seconds; zero without an SOA record that covers the name.
    NoData(u32),
    NxDomain(u32),
    /// The name is an alias's target about which the response says nothing.
    Elsewhere,
}

/// Reads a response with code NOERROR or NXDOMAIN.
pub(crate) fn conclude(
    response: &Response,
    asked: &Name,
    record_type: RecordType,
    max_aliases: usize,
) -> Result<Conclusion, FailureKind> {
    let mut aliases = Vec::new();
    let mut name = asked.clone();
    let mut ttl = u32::MAX;
    loop {
        let here = || response.answers.iter().filter(|owned| owned.name == name);
        let mut found = here()
            .filter(|owned| owned.data.record_type() == record_type)
            .peekable();
        if found.peek().is_some() {
            if response.code == NX_DOMAIN {
                return Err(FailureKind::Malformed);
            }
            let (records, records_ttl) = set(found);
            return Ok(Conclusion {
                aliases,
                name,
                ttl,
                end: End::Records(records, records_ttl),
            });
        }
        let mut targets = here().filter_map(|owned| match &owned.data {
            Record::Cname(target) => Some((target, owned.ttl)),
            _ => None,
        });
        let Some((target, alias_ttl)) = targets.next() else {
            break;
        };
        // RFC 2181 §10.1: a name has one CNAME record at most.
        if targets.any(|(other, _)| other != target) {
            return Err(FailureKind::Malformed);
        }
        if aliases.len() == max_aliases {
            return Err(FailureKind::TooManyAliases);
        }
        ttl = ttl.min(alias_ttl);
        aliases.push(core::mem::replace(&mut name, target.clone()));
        if aliases.contains(&name) {
            return Err(FailureKind::AliasLoop);
        }
    }
    let soa = response.soas.iter().find(|soa| name.is_within(&soa.name));
    let end = match soa.map(negative_ttl) {
        _ if response.code == NX_DOMAIN => End::NxDomain(soa.map_or(0, negative_ttl)),
        Some(negative_ttl) => End::NoData(negative_ttl),
        None if !aliases.is_empty() => End::Elsewhere,
        None if response.name_servers && response.soas.is_empty() => return Err(FailureKind::Referral),
        None => End::NoData(0),
    };
    Ok(Conclusion {
        aliases,
        name,
        ttl,
        end,
    })
}

/// One set of records without duplicates, with its shortest TTL (RFC 2181 §5).
fn set<'a>(found: impl Iterator<Item = &'a Owned<Record>>) -> (Vec<Record>, u32) {
    let mut records = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut ttl = u32::MAX;
    for owned in found {
        ttl = ttl.min(owned.ttl);
        if seen.insert(&owned.data) {
            records.push(owned.data.clone());
        }
    }
    (records, ttl)
}

/// RFC 2308 §5.
fn negative_ttl(soa: &Owned<Soa>) -> u32 {
    soa.ttl.min(soa.data.minimum)
}
