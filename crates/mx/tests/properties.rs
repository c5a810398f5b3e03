//! What holds for every route, whatever DNS says.
#![allow(clippy::unwrap_used)]

mod support;

use core::net::IpAddr;
use mailwright_dns::{
    Answer, Failure, FailureKind, Mx, Name, Negative, Question, Record, RecordType, Records, Security,
};
use mailwright_mx::sts::Known;
use mailwright_mx::{Config, Destination, Outcome, Planner, Step, Target};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use support::name;

/// What DNS says to one question.
#[derive(Debug, Clone)]
enum Said {
    Mx(Vec<(u16, u8)>),
    Addresses(Vec<u8>),
    NoData,
    NxDomain,
    Failure,
}

fn host(number: u8) -> Name {
    match number {
        0 => Name::root(),
        1 => name("own.test"),
        2 => name("192.0.2.1"),
        number => name(&format!("h{number}.test")),
    }
}

fn address(number: u8, record_type: RecordType) -> IpAddr {
    match record_type {
        RecordType::A => IpAddr::from([192, 0, if number == 0 { 0 } else { 2 }, number]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)]),
    }
}

fn answer(question: &Question, said: Option<&Said>) -> Answer {
    let records = |records: Vec<Record>| {
        Answer::Records(Records::new(question.name.clone(), records, Security::Insecure))
    };
    let negative = Negative::new(question.name.clone(), Security::Insecure);
    match said {
        Some(Said::Mx(list)) if question.record_type == RecordType::Mx => records(
            list.iter()
                .map(|(preference, number)| Record::Mx(Mx::new(*preference, host(*number))))
                .collect(),
        ),
        Some(Said::Addresses(list)) if question.record_type != RecordType::Mx => records(
            list.iter()
                .map(|number| Record::from(address(*number, question.record_type)))
                .collect(),
        ),
        Some(Said::NxDomain) => Answer::NxDomain(negative),
        Some(Said::Failure) => Answer::Failure(Failure::new(FailureKind::ServFail)),
        _ => Answer::NoData(negative),
    }
}

fn said_of_mx() -> impl Strategy<Value = Said> {
    let exchangers = prop::collection::vec((0..6u16, 0..12u8), 0..30);
    prop_oneof![8 => exchangers.prop_map(Said::Mx), 1 => Just(Said::NoData), 1 => Just(Said::NxDomain), 1 => Just(Said::Failure)]
}

fn said_of_addresses() -> impl Strategy<Value = Said> {
    let addresses = prop::collection::vec(prop_oneof![0..200u8, 95..101u8], 0..20);
    prop_oneof![6 => addresses.prop_map(Said::Addresses), 1 => Just(Said::NoData), 1 => Just(Said::NxDomain), 1 => Just(Said::Failure)]
}

proptest! {
    #[test]
    fn routes_keep_the_rules(
        mx in said_of_mx(),
        hosts in prop::collection::vec((said_of_addresses(), said_of_addresses()), 13),
        seed in any::<u64>(),
        answer_first in prop::collection::vec(any::<prop::sample::Index>(), 64),
        max_hosts in 1..8usize,
        max_attempts in 2..20usize,
    ) {
        let mut config = Config::default();
        config.own_names = vec![name("own.test")];
        config.own_addresses = vec![address(99, RecordType::A), address(98, RecordType::Aaaa)];
        config.max_hosts = max_hosts;
        config.max_attempts = max_attempts;
        let mut table: HashMap<Question, Said> = HashMap::new();
        table.insert(Question::new(name("b.test"), RecordType::Mx), mx.clone());
        for (number, (a, aaaa)) in (0u8..).zip(&hosts) {
            let owner = if number == 12 { name("b.test") } else { host(number) };
            table.insert(Question::new(owner.clone(), RecordType::A), a.clone());
            table.insert(Question::new(owner, RecordType::Aaaa), aaaa.clone());
        }
        let destination = Destination::Domain("b.test".parse().unwrap());
        let mut planner = Planner::new(destination, Arc::new(config.clone()), seed);
        let mut open: Vec<Question> = Vec::new();
        let mut order = answer_first.iter();
        let mut asked = 0;
        let route = loop {
            match planner.poll() {
                Step::Ask(question) => {
                    asked += 1;
                    open.push(question);
                }
                Step::Wait => {
                    let place = order.next().map_or(0, |index| index.index(open.len()));
                    let question = open.swap_remove(place);
                    planner.answer(&question, answer(&question, table.get(&question)));
                }
                Step::Policy(_) => planner.policy(Known::default()),
                Step::Ready(route) => break route,
            }
        };
        prop_assert!(asked <= 2 + 2 * max_hosts.max(1));
        prop_assert!(route.explain().next().is_some());
        let attempts = route.attempts();
        prop_assert!(attempts.len() <= max_attempts);
        prop_assert!(attempts.is_sorted_by_key(|attempt| attempt.preference));
        for attempt in attempts {
            let Target::Name(host) = &attempt.host else { panic!("a host without a name") };
            prop_assert!(!host.is_root() && *host != name("own.test") && *host != name("192.0.2.1"));
            prop_assert!(!config.own_addresses.contains(&attempt.addr.ip()));
            // Only hosts that are better than this one are left.
            if let Said::Mx(list) = &mx {
                let own = list.iter().filter(|(_, number)| *number == 1).map(|(preference, _)| *preference).min();
                prop_assert!(own.is_none_or(|own| attempt.preference < own));
            }
        }
        match (&mx, route.outcome()) {
            (Said::Failure, outcome) => prop_assert!(matches!(outcome, Outcome::Temporary(_))),
            (Said::NxDomain, outcome) => prop_assert!(matches!(outcome, Outcome::Permanent(_))),
            (_, Outcome::Attempts(attempts)) => prop_assert!(!attempts.is_empty()),
            (_, Outcome::Permanent(refusal) | Outcome::Temporary(refusal)) => {
                prop_assert!(refusal.reason.is_ascii() && !refusal.reason.contains(['\r', '\n']));
            }
        }
    }
}
