//! Plans routes with a table for a resolver.
//!
//! A row is a question and its answer: `MX 10 mx1.test, 20 mx2.test`, `A 192.0.2.1, 192.0.2.2`, `AAAA ::2`, `none`,
//! `nxdomain`, `servfail`, `refused`, `timeout`, `loop`, `bogus`; before it may stand `secure`, `indeterminate` or
//! `first-secure` (only the first step), and `alias NAME` for the canonical name. What has no row has no data.
//!
//! `TLSA 3 1 1, 2 0 2` makes up data of the right length; `3 1 1/20` has 20 octets. `HTTPS b.test` is what comes of
//! fetching the MTA-STS policy: `enforce mx1.test *.x.test`, a status, or `unreachable`, `certificate`, `html`,
//! `large`, `garbage`; `CACHED b.test` is a policy fetched earlier with its id before it: `id1 enforce mx1.test`.

#![allow(clippy::unwrap_used, dead_code)]

use mailwright_dns::{
    Answer, Failure, FailureKind, Mx, Name, Negative, Question, Record, RecordType, Records, Security, Tlsa,
    Txt,
};
use mailwright_mx::sts::{Announced, Cache, Fetch, FetchError, Id, Known, Lookup, Policy, Request};
use mailwright_mx::{Config, Demand, Destination, Outcome, Planner, Relay, Route, Step, TlsPolicy};
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) type Rows<'a> = &'a [(&'a str, &'a str)];

/// In which order questions are answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    AtOnce,
    FirstToLast,
    LastToFirst,
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn relay(text: &str, default_port: u16) -> Relay {
    Relay::parse(text, default_port).unwrap()
}

/// A domain, a literal in brackets, or relays as `relay HOST:PORT HOST:PORT`.
pub(crate) fn destination(text: &str) -> Destination {
    if let Some(relays) = text.strip_prefix("relay ") {
        return Destination::Relays(relays.split(' ').map(|text| relay(text, 25)).collect());
    }
    match text.starts_with('[') {
        true => Destination::Literal(text.parse().unwrap()),
        false => Destination::Domain(text.parse().unwrap()),
    }
}

/// Plans a route; gives the questions asked as well. Before the destination may stand `requiretls` or `tlsoptional`.
pub(crate) fn plan(
    to: &str,
    config: &Config,
    rows: Rows<'_>,
    seed: u64,
    order: Order,
) -> (Route, Vec<String>) {
    let (demand, to) = match to.split_once(' ') {
        Some(("requiretls", to)) => (Demand::Required, to),
        Some(("tlsoptional", to)) => (Demand::Optional, to),
        _ => (Demand::Usual, to),
    };
    let mut planner = Planner::with_demand(destination(to), Arc::new(config.clone()), seed, demand);
    let mut asked = Vec::new();
    let mut open = VecDeque::new();
    loop {
        match planner.poll() {
            Step::Ask(question) => {
                let text = format!("{} {}", question.record_type, question.name);
                assert!(!asked.contains(&text), "{text} was asked twice");
                asked.push(text);
                match order {
                    Order::AtOnce => planner.answer(&question, answer(&question, rows)),
                    _ => open.push_back(question),
                }
            }
            Step::Wait => {
                let question = match order {
                    Order::LastToFirst => open.pop_back(),
                    _ => open.pop_front(),
                };
                let question = question.expect("the planner waits for an open question");
                planner.answer(&question, answer(&question, rows));
            }
            Step::Policy(request) => {
                assert!(open.is_empty(), "the policy comes last");
                let known = policy(&request, rows, &mut asked);
                planner.policy(known);
            }
            Step::Ready(route) => {
                assert!(open.is_empty(), "the planner did not wait for {open:?}");
                assert_eq!(
                    planner.poll(),
                    Step::Ready(route.clone()),
                    "the route stays the same"
                );
                return (route, asked);
            }
        }
    }
}

/// Puts an outcome into words: `HOST@ADDRESS:PORT` for each attempt, with its TLS policy unless that is opportunistic,
/// or code and enhanced code.
pub(crate) fn render(route: &Route) -> String {
    match route.outcome() {
        Outcome::Attempts(attempts) => {
            assert!(!attempts.is_empty());
            attempts
                .iter()
                .map(|a| format!("{}@{}{}", a.host, a.addr, tls(&a.tls)))
                .collect::<Vec<_>>()
                .join(" ")
        }
        Outcome::Permanent(refusal) => {
            assert!(refusal.code >= 550 && refusal.enhanced.class == 5, "{refusal}");
            format!("{} {}", refusal.code, refusal.enhanced)
        }
        Outcome::Temporary(refusal) => {
            assert!(
                (400..500).contains(&refusal.code) && refusal.enhanced.class == 4,
                "{refusal}"
            );
            format!("{} {}", refusal.code, refusal.enhanced)
        }
    }
}

fn tls(policy: &TlsPolicy) -> String {
    match policy {
        TlsPolicy::Opportunistic => String::new(),
        TlsPolicy::Cleartext => "/clear".into(),
        TlsPolicy::Encrypted => "/encrypted".into(),
        TlsPolicy::Verified => "/verified".into(),
        TlsPolicy::Implicit => "/implicit".into(),
        TlsPolicy::Dane(policy) => {
            assert!(!policy.usable().is_empty());
            format!("/dane:{}", policy.base())
        }
        TlsPolicy::Sts { policy, listed: true } => format!("/sts-{}", policy.mode()),
        TlsPolicy::Sts { policy, .. } => format!("/sts-{}-unlisted", policy.mode()),
        other => panic!("{other:?}"),
    }
}

/// A moment in 2026.
const NOW: u64 = 1_795_000_000;

fn policy(request: &Request, rows: Rows<'_>, asked: &mut Vec<String>) -> Known {
    let row = |kind: &str| {
        let key = format!("{kind} {}", request.domain);
        rows.iter().find(|(row, _)| *row == key).map(|(_, text)| *text)
    };
    let mut cache = Cache::default();
    if let Some((id, text)) = row("CACHED").map(|text| text.split_once(' ').unwrap()) {
        let earlier = Request::new(request.domain.clone(), Announced::Id(Id::parse(id).unwrap()));
        let Lookup::Fetch(fetch) = cache.lookup(NOW - 1000, &earlier) else {
            panic!("an empty cache knows nothing")
        };
        cache.fetched(NOW - 1000, &fetch, Ok(policy_of(text).unwrap()));
    }
    match cache.lookup(NOW, request) {
        Lookup::Known(known) => known,
        Lookup::Fetch(fetch) => {
            asked.push(fetch.url());
            let result = policy_of(row("HTTPS").unwrap_or("unreachable"));
            cache.fetched(NOW, &fetch, result)
        }
    }
}

fn policy_of(text: &str) -> Result<Policy, FetchError> {
    let read = |body: &[u8]| Fetch::read(200, Some("text/plain; charset=utf-8"), body);
    match text.split_once(' ').unwrap_or((text, "")) {
        ("unreachable", _) => Err(FetchError::Unreachable),
        ("certificate", _) => Err(FetchError::Certificate),
        ("html", _) => Fetch::read(200, Some("text/html"), b"version: STSv1"),
        ("large", _) => read(&[b'\n'; Fetch::MAX_BODY + 1]),
        ("garbage", _) => read(b"<html>"),
        (mode @ ("enforce" | "testing" | "none"), hosts) => {
            let hosts: String = hosts
                .split_terminator(' ')
                .map(|host| format!("mx: {host}\r\n"))
                .collect();
            read(format!("version: STSv1\r\nmode: {mode}\r\n{hosts}max_age: 86400\r\n").as_bytes())
        }
        (status, _) => Fetch::read(status.parse().unwrap(), Some("text/plain"), b"version: STSv1"),
    }
}

fn tlsa(text: &str) -> Tlsa {
    let (numbers, length) = match text.split_once('/') {
        Some((numbers, length)) => (numbers, Some(length.parse().unwrap())),
        None => (text, None),
    };
    let numbers: Vec<u8> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
    let length = length.unwrap_or(match numbers[2] {
        1 => 32,
        2 => 64,
        _ => 3,
    });
    Tlsa::new(numbers[0], numbers[1], numbers[2], vec![7; length])
}

fn answer(question: &Question, rows: Rows<'_>) -> Answer {
    let text = format!("{} {}", question.record_type, question.name);
    let Some((_, answer)) = rows.iter().find(|(row, _)| row.eq_ignore_ascii_case(&text)) else {
        return Answer::NoData(Negative::new(question.name.clone(), Security::Insecure));
    };
    let (security, answer) = match answer.split_once(' ') {
        Some(("secure", answer)) => (Security::Secure, answer),
        Some(("indeterminate", answer)) => (Security::Indeterminate, answer),
        Some(("first-secure" | "insecure", answer)) => (Security::Insecure, answer),
        _ => (Security::Insecure, *answer),
    };
    let first = match rows
        .iter()
        .any(|(row, a)| *row == text && a.starts_with("first-secure"))
    {
        true => Security::Secure,
        false => security,
    };
    let (canonical, aliases, answer) = match answer.strip_prefix("alias ") {
        Some(answer) => {
            let (target, answer) = answer.split_once(' ').unwrap();
            (name(target), vec![question.name.clone()], answer)
        }
        None => (question.name.clone(), vec![], answer),
    };
    let failure = |kind| Answer::Failure(Failure::new(kind));
    let negative = Negative::new(canonical.clone(), security).with_aliases(aliases.clone());
    match answer {
        "none" => return Answer::NoData(negative),
        "nxdomain" => return Answer::NxDomain(negative),
        "servfail" => return failure(FailureKind::ServFail),
        "refused" => return failure(FailureKind::Refused),
        "timeout" => return failure(FailureKind::Timeout),
        "bogus" => return Answer::Failure(Failure::bogus()),
        "loop" => return failure(FailureKind::AliasLoop),
        _ => {}
    }
    let (kind, data) = answer.split_once(' ').unwrap();
    assert_eq!(kind, question.record_type.to_string(), "{text}");
    let records = data.split(", ").map(|data| match question.record_type {
        RecordType::Mx => {
            let (preference, exchange) = data.split_once(' ').unwrap();
            Record::Mx(Mx::new(preference.parse().unwrap(), name(exchange)))
        }
        RecordType::Txt => Record::Txt(Txt::new([data.as_bytes()])),
        RecordType::Tlsa => Record::Tlsa(tlsa(data)),
        RecordType::Cname => Record::Cname(name(data)),
        _ => Record::from(data.parse::<core::net::IpAddr>().unwrap()),
    });
    let records = Records::new(canonical, records, security).with_aliases(aliases);
    Answer::Records(records.with_first_security(first))
}
