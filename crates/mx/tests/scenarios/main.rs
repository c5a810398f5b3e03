//! What the planner makes of what DNS says, case by case.
#![allow(clippy::unwrap_used)]

mod dane;
mod demand;
mod destinations;
mod hosts;
mod records;
mod rules;
mod sts;
#[path = "../support/mod.rs"]
mod support;

use core::net::IpAddr;
use mailwright_mx::Config;
use support::{Order, Rows, name, plan, render};

/// Answers, a destination, and the route. The host itself is `own.test` and `alias.own.test`, at 192.0.2.99 and
/// 2001:db8::99.
struct Case {
    what: &'static str,
    setup: fn(&mut Config),
    rows: Rows<'static>,
    to: &'static str,
    route: &'static str,
}

fn plain(_: &mut Config) {}

const A1: (&str, &str) = ("A mx1.test", "A 192.0.2.1");
const A2: (&str, &str) = ("A mx2.test", "A 192.0.2.2");
const A3: (&str, &str) = ("A mx3.test", "A 192.0.2.3");

fn cases() -> impl Iterator<Item = &'static Case> {
    [
        records::CASES,
        hosts::CASES,
        destinations::CASES,
        rules::CASES,
        dane::CASES,
        sts::CASES,
        demand::CASES,
    ]
    .into_iter()
    .flatten()
}

fn config() -> Config {
    let mut config = Config::default();
    config.own_names = vec![name("own.test"), name("alias.own.test")];
    config.own_addresses = vec![
        IpAddr::from([192, 0, 2, 99]),
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99]),
    ];
    config
}

#[test]
fn scenarios() {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut config = config();
        (case.setup)(&mut config);
        for order in [Order::AtOnce, Order::FirstToLast, Order::LastToFirst] {
            for seed in [0, 7] {
                let (route, _) = plan(case.to, &config, case.rows, seed, order);
                let rendered = render(&route);
                if rendered != case.route {
                    wrong.push(format!(
                        "{} ({order:?}):\n  route    {rendered}\n  expected {}\n{route}",
                        case.what, case.route
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: std::collections::HashSet<&str> = cases().map(|case| case.what).collect();
    assert_eq!(names.len(), cases().count());
    assert!(names.len() >= 150, "{}", names.len());
}
