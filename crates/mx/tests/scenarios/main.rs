//! What the planner makes of what DNS says, case by case.
//!
//! Cases are text, in the files beside this one: add to them whatever comes to mind. Those that need settings are Rust.
//!
//! ```text
//! # Lines like this one say nothing.
//! what the case is called
//!     MX b.test | MX 10 mx1.test
//!     A mx1.test | secure A 192.0.2.1
//!     > b.test | mx1.test@192.0.2.1:25
//! ```
//!
//! A row is a question and its answer: `secure`, `insecure`, `indeterminate` or `first-secure` in front of it is its
//! security, `alias NAME` the end of a chain; then come records of one type, or one of `none`, `nxdomain`, `servfail`,
//! `refused`, `timeout`, `bogus` and `loop`. What no row names is NODATA. `HTTPS DOMAIN` is what comes of fetching an
//! MTA-STS policy, and `CACHED DOMAIN` one that is known. The last line is the destination, perhaps after `requiretls`
//! or `tlsoptional`, and the route.
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
#[derive(Clone, Copy)]
struct Case {
    what: &'static str,
    setup: fn(&mut Config),
    rows: Rows<'static>,
    to: &'static str,
    route: &'static str,
}

fn plain(_: &mut Config) {}

/// Cases that need no settings.
const TABLES: &[&str] = &[
    include_str!("dane.txt"),
    include_str!("demand.txt"),
    include_str!("destinations.txt"),
    include_str!("hosts.txt"),
    include_str!("records.txt"),
    include_str!("sts.txt"),
];

const A1: (&str, &str) = ("A mx1.test", "A 192.0.2.1");
const A2: (&str, &str) = ("A mx2.test", "A 192.0.2.2");
const A3: (&str, &str) = ("A mx3.test", "A 192.0.2.3");

fn cases() -> Vec<Case> {
    let with_settings = [
        records::CASES,
        hosts::CASES,
        destinations::CASES,
        rules::CASES,
        dane::CASES,
        sts::CASES,
        demand::CASES,
    ];
    let texts = TABLES.iter().flat_map(|text| read(text));
    with_settings
        .into_iter()
        .flatten()
        .copied()
        .chain(texts)
        .collect()
}

/// Reads a table of cases.
fn read(text: &'static str) -> Vec<Case> {
    let (mut cases, mut rows, mut title) = (Vec::new(), Vec::new(), None);
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(row) = line.strip_prefix("    ") else {
            assert_eq!(title.replace(line), None, "the case before {line} has no route");
            continue;
        };
        let (left, right) = row
            .split_once(" | ")
            .unwrap_or_else(|| panic!("no ` | ` in {line}"));
        match left.strip_prefix("> ") {
            None => rows.push((left, right)),
            Some(to) => cases.push(Case {
                what: title.take().unwrap_or_else(|| panic!("{line} is of no case")),
                setup: plain,
                rows: std::mem::take(&mut rows).leak(),
                to,
                route: right,
            }),
        }
    }
    assert_eq!((title, rows.len()), (None, 0), "the last case has no route");
    cases
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
    let names: std::collections::HashSet<&str> = cases().iter().map(|case| case.what).collect();
    assert_eq!(names.len(), cases().len());
    assert!(names.len() >= 150, "{}", names.len());
}
