//! DMARC: records that print what they read, checks that end, reports packed or not, within their limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_auth::Step;
use mailwright_auth::dmarc::aggregate::{Aggregate, Limits, gzip, unpack};
use mailwright_auth::dmarc::{Authenticated, Check, Config, Discovery, FailureReport, Record, author_domain};
use mailwright_dns::{Answer, Negative, Record as Data, Records, Security, Txt};
use mailwright_fuzz::choices;
use mailwright_message::Index;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    if let Ok(record) = Record::parse(data) {
        assert_eq!(Record::parse(record.to_string().as_bytes()), Ok(record));
    }
    let mut lines = data.split(|b| *b == b'\n');
    let author = lines.next().unwrap_or_default();
    let author = author_domain(&[b"From: a@", author, b"\r\n"].concat());
    let mut config = Config::default();
    if choice & 1 != 0 {
        config.discovery = Discovery::PublicSuffixList;
    }
    let mut check = Check::new(author.as_deref().map_err(Clone::clone), Arc::new(config));
    let mut authenticated = Authenticated::default();
    authenticated.spf = lines.next().map(|line| String::from_utf8_lossy(line).into_owned());
    authenticated.dkim = lines.next().map(|line| String::from_utf8_lossy(line).into_owned()).into_iter().collect();
    check.authenticated(authenticated);
    let mut asked = 0u32;
    loop {
        match check.poll() {
            Step::Ready(report) => {
                let _ = report.to_result();
                break;
            }
            Step::Wait => panic!("waits for nothing"),
            Step::Ask(question) => {
                asked += 1;
                assert!(asked < 40, "asks without end");
                let name = question.name.clone();
                let answer = match lines.next() {
                    Some(line) => {
                        let txt = Data::Txt(Txt::new(line.chunks(255)));
                        Answer::Records(Records::new(name, [txt], Security::Insecure))
                    }
                    None => Answer::NxDomain(Negative::new(name, Security::Insecure)),
                };
                check.answer(&question, answer);
            }
        }
    }
    let mut limits = Limits::default();
    limits.max_xml = 1 << 16;
    for octets in [data.to_vec(), gzip(data), [b"\x1f\x8b\x08", data].concat(), [b"PK\x03\x04", data].concat()] {
        if let Ok(out) = unpack(&octets, limits.max_xml) {
            assert!(out.len() <= limits.max_xml);
        }
    }
    if let Ok(report) = Aggregate::parse(data, &limits) {
        let again = Aggregate::parse(report.to_xml().as_bytes(), &limits).expect("what is written is XML");
        assert_eq!(again.rows.len(), report.rows.len());
        assert_eq!(again.to_xml(), Aggregate::parse(again.to_xml().as_bytes(), &limits).expect("XML").to_xml());
    }
    let _ = Aggregate::from_message(data, &limits);
    let _ = FailureReport::parse(&Index::of(data), data);
});
