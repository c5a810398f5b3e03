//! Plans routes with a table for a resolver.
//!
//! A row is a question and its answer: `MX 10 mx1.test, 20 mx2.test`, `A 192.0.2.1, 192.0.2.2`, `AAAA ::2`, `none`,
//! `nxdomain`, `servfail`, `refused`, `timeout`, `loop`; before it may stand `secure`, and `alias NAME` for the
//! canonical name. What has no row has no data.

#![allow(clippy::unwrap_used, dead_code)]

use mailwright_dns::{
    Answer, Failure, FailureKind, Mx, Name, Negative, Question, Record, RecordType, Records, Security,
};
use mailwright_mx::{Config, Destination, Outcome, Planner, Relay, Route, Step};
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

/// Plans a route; gives the questions asked as well.
pub(crate) fn plan(
    to: &str,
    config: &Config,
    rows: Rows<'_>,
    seed: u64,
    order: Order,
) -> (Route, Vec<String>) {
    let mut planner = Planner::new(destination(to), Arc::new(config.clone()), seed);
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

/// Puts an outcome into words: `HOST@ADDRESS:PORT` for each attempt, or code, enhanced code and kind.
pub(crate) fn render(route: &Route) -> String {
    match route.outcome() {
        Outcome::Attempts(attempts) => {
            assert!(!attempts.is_empty());
            attempts
                .iter()
                .map(|a| format!("{}@{}", a.host, a.addr))
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

fn answer(question: &Question, rows: Rows<'_>) -> Answer {
    let text = format!("{} {}", question.record_type, question.name);
    let Some((_, answer)) = rows.iter().find(|(row, _)| row.eq_ignore_ascii_case(&text)) else {
        return Answer::NoData(Negative::new(question.name.clone(), Security::Insecure));
    };
    let (security, answer) = match answer.strip_prefix("secure ") {
        Some(answer) => (Security::Secure, answer),
        None => (Security::Insecure, *answer),
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
        _ => Record::from(data.parse::<core::net::IpAddr>().unwrap()),
    });
    Answer::Records(Records::new(canonical, records, security).with_aliases(aliases))
}
