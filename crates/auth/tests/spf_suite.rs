//! The test suite of RFC 7208 by the OpenSPF project, from the folder in `MAIL_CORPUS`.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::spf::{Check, Config};
use mailwright_dns::{FailureKind, Mx, Name, Record, Txt};
use serde_json::Value;
use std::sync::Arc;
use zone::Zone;

#[test]
fn every_case_of_the_suite() {
    let Some(corpus) = std::env::var_os("MAIL_CORPUS") else {
        eprintln!("skipped: MAIL_CORPUS is not set");
        return;
    };
    let path = std::path::Path::new(&corpus).join("auth/spf-rfc7208/rfc7208-suite.json");
    let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut cases, mut explanations, mut wrong) = (0, 0, Vec::new());
    for scenario in suite.as_array().unwrap() {
        let zone = read_zone(&scenario["zone"]);
        for test in scenario["tests"].as_array().unwrap() {
            let text = |key: &str| test[key].as_str().unwrap_or_default();
            let config = Arc::new(Config::default());
            let client = text("host").parse().unwrap();
            let mut zone = zone.clone();
            let mut check = Check::mail_from(client, text("helo"), text("mailfrom"), config);
            let report = drive!(check, zone);
            cases += 1;
            let expected: Vec<&str> = test["result"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            if !expected.contains(&report.verdict.as_str()) {
                wrong.push(format!(
                    "{}: {} ({}), not {expected:?}",
                    text("id"),
                    report.verdict,
                    report.cause
                ));
            }
            if let Some(expected) = test["explanation"].as_str() {
                explanations += 1;
                let found = report.explanation.as_deref().unwrap_or("DEFAULT");
                if found != expected {
                    wrong.push(format!(
                        "{}: explained by {found:?}, not {expected:?}",
                        text("id")
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((cases, explanations), (203, 22));
}

fn read_zone(json: &Value) -> Zone {
    let mut zone = Zone::new();
    for (name, records) in json.as_object().unwrap() {
        let name = zone::name(name);
        for record in records.as_array().unwrap() {
            let data = &record[1];
            let text = || data.as_str().unwrap();
            let record = match record[0].as_str().unwrap() {
                "TIMEOUT" => {
                    zone.fail(name.clone(), FailureKind::Timeout);
                    continue;
                }
                "SPF" => continue,
                "A" => Record::A(text().parse().unwrap()),
                "AAAA" => Record::Aaaa(text().parse().unwrap()),
                "CNAME" => Record::Cname(zone::name(text())),
                "PTR" => Record::Ptr(zone::name(text())),
                "MX" => {
                    let exchange = data[1].as_str().unwrap();
                    let exchange = if exchange.is_empty() {
                        Name::root()
                    } else {
                        zone::name(exchange)
                    };
                    Record::Mx(Mx::new(data[0].as_u64().unwrap().try_into().unwrap(), exchange))
                }
                "TXT" => Record::Txt(Txt::new(data.as_array().unwrap().iter().map(latin1))),
                other => panic!("unknown type {other}"),
            };
            zone.add(name.clone(), record);
        }
    }
    zone
}

/// The suite writes octets as the characters of that number.
fn latin1(string: &Value) -> Vec<u8> {
    let string = string.as_str().unwrap();
    string
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}
