//! DMARC checks over records written in one line.

use super::Zone;
use crate::zone;
use mailwright_auth::dmarc::{Authenticated, Check, Config, Report};
use mailwright_dns::{FailureKind, Name, Record, Txt};
use std::sync::Arc;

/// Checks mail of an author, with the domains for which SPF and DKIM passed.
pub(crate) fn check(zone: &mut Zone, author: &str, spf: &str, dkim: &str, config: Config) -> Report {
    let mut check = Check::new(Ok(author), Arc::new(config));
    let mut authenticated = Authenticated::default();
    authenticated.spf = Some(spf.to_owned()).filter(|spf| !spf.is_empty());
    authenticated.dkim = dkim
        .split(' ')
        .filter(|d| !d.is_empty())
        .map(str::to_owned)
        .collect();
    check.authenticated(authenticated);
    drive!(check, *zone)
}

/// `"domain record"` with commas between, or `domain FAIL`, as a zone of `_dmarc` records. Every domain exists.
pub(crate) fn zone_of(records: &str) -> Zone {
    let mut zone = Zone::new();
    for entry in records.split(", ").filter(|entry| !entry.is_empty()) {
        let (domain, record) = entry.split_once(' ').unwrap();
        let name = Name::parse(domain).unwrap();
        zone.add(name.clone(), Record::A([192, 0, 2, 1].into()));
        let dmarc = name.with_prefix("_dmarc").unwrap();
        match record {
            "FAIL" => zone.fail(dmarc, FailureKind::ServFail),
            "A" => {}
            _ => {
                let text = format!("v=DMARC1; {record}");
                zone.add(dmarc, Record::Txt(Txt::new([text.as_bytes()])));
            }
        }
    }
    zone
}
