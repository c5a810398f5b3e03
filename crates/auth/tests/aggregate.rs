//! DMARC reports: written and read, packed and unpacked, and those of others.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_auth::dkim::{Profile, Signer};
use mailwright_auth::dmarc::aggregate::{
    Aggregate, Collector, DkimResult, Facts, Limits, Metadata, PackError, PublishedPolicy, ReadError, gzip,
    unpack,
};
use mailwright_auth::dmarc::{Alignment, Discovery, FailureReport, Policy};
use mailwright_auth::{Checker, Envelope, Step, Verdict};
use mailwright_dns::Name;
use mailwright_message::Index;
use proptest::prelude::*;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use zone::Zone;

fn corpus(folder: &str) -> Option<PathBuf> {
    match std::env::var_os("MAIL_CORPUS") {
        Some(corpus) => Some(
            PathBuf::from(corpus)
                .join("auth/mail-auth-resources")
                .join(folder),
        ),
        None => {
            eprintln!("skipped: MAIL_CORPUS is not set");
            None
        }
    }
}

fn sample() -> Aggregate {
    let record =
        mailwright_auth::dmarc::Record::parse(b"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; fo=1")
            .unwrap();
    let policy = PublishedPolicy::of(&Name::parse("A.test").unwrap(), &record, Discovery::TreeWalk);
    let mut collector = Collector::new(policy, 2);
    let mut facts = Facts::default();
    facts.header_from = "a.test".to_owned();
    facts.envelope_from = Some("<&\"'> ü\u{1}".to_owned());
    facts.disposition = Policy::Reject;
    facts
        .overrides
        .push(("mailing_list".to_owned(), Some("list <x>".to_owned())));
    for _ in 0..3 {
        collector.add("192.0.2.1".parse().unwrap(), facts.clone());
    }
    facts.dkim_aligned = true;
    facts.disposition = Policy::None;
    facts.overrides.clear();
    collector.add("2001:db8::1".parse().unwrap(), facts.clone());
    facts.header_from = "b.a.test".to_owned();
    collector.add("2001:db8::1".parse().unwrap(), facts);
    let mut metadata = Metadata::default();
    metadata.organization = "B & C".to_owned();
    metadata.email = "dmarc@b.test".to_owned();
    metadata.report_id = "1".to_owned();
    (metadata.begin, metadata.end) = (100, 86_500);
    collector.finish(metadata)
}

#[test]
fn collected_written_and_read() {
    let report = sample();
    let rows: Vec<_> = report.rows.iter().map(|row| row.count).collect();
    assert_eq!(rows, [3, 1]);
    assert_eq!(report.metadata.errors, ["1 messages are left out of the report"]);
    let xml = report.to_xml();
    assert!(xml.contains("<disposition>pass</disposition>"), "{xml}");
    let packed = gzip(xml.as_bytes());
    assert!(packed.len() < xml.len());
    let read = Aggregate::parse(&unpack(&packed, 1 << 20).unwrap(), &Limits::default()).unwrap();
    let mut expected = report.clone();
    for row in &mut expected.rows {
        row.facts.envelope_from = Some("<&\"'> ü?".to_owned());
    }
    assert_eq!(read, expected);
    assert_eq!(report.file_name("b.test"), "b.test!a.test!100!86500.xml.gz");
}

/// RFC 9990 has fewer elements than RFC 7489.
#[test]
fn what_is_of_rfc_7489_alone_is_read_and_not_written() {
    let old = b"<feedback><report_metadata><error>one</error><error>two</error></report_metadata>\
        <policy_published><domain>a.test</domain><p>reject</p><pct>30</pct></policy_published>\
        <record><auth_results><spf><domain>mx.a.test</domain><scope>helo</scope><result>pass</result></spf>\
        <spf><domain>a.test</domain><scope>mfrom</scope><result>fail</result></spf></auth_results></record></feedback>";
    let report = Aggregate::parse(old, &Limits::default()).unwrap();
    assert_eq!(
        (report.policy.percent, report.rows[0].facts.spf.len()),
        (Some(30), 2)
    );
    let xml = report.to_xml();
    let count = |what: &str| xml.matches(what).count();
    assert_eq!(
        (count("<pct>"), count("<spf><"), count("<spf>\n")),
        (0, 0, 1),
        "{xml}"
    );
    assert_eq!((count("<scope>mfrom<"), count("<scope>")), (1, 1), "{xml}");
    assert_eq!(count("<error>one; two</error>"), 1, "{xml}");
}

/// RFC 9990 §3.1.3: which signatures come first. §3.1.6: why less is done than is published.
#[test]
fn facts_of_a_message() {
    let signer = |domain: &str, seed| {
        let key = Arc::new(RingKey::from_ed25519_seed(&[seed; 32]));
        (Arc::new(Profile::new(domain, "s", key.clone())), key.record())
    };
    let domains = ["b.test", "mail.a.test", "c.test", "a.test"];
    let lines = String::from("_dmarc.a.test TXT v=DMARC1; p=reject; t=y; adkim=s\n");
    let (mut message, mut published) = (String::new(), Vec::new());
    for (seed, domain) in (0..).zip(domains) {
        let (profile, record) = signer(domain, seed);
        let mut signer = Signer::new([profile]);
        signer.push(b"From: a@a.test\r\n\r\nHello\r\n");
        message += &signer.finish(100).unwrap();
        published.push(format!("s._domainkey.{domain} TXT {record}\n"));
    }
    message += "From: a@a.test\r\n\r\nHello\r\n";
    // The third one has no key, and the last one is left out the second time.
    published.remove(2);
    let facts = |keys: &[String]| {
        let mut zone = Zone::of(&(lines.clone() + &keys.concat()));
        let mut config = mailwright_auth::Config::default();
        config.iprev = false;
        let envelope = Envelope::new("192.0.2.1".parse().unwrap(), "mx.a.test", "a@a.test");
        let mut checker = Checker::new(&Arc::new(config), &envelope, 100);
        checker.push(message.as_bytes());
        checker.finish();
        let checked = loop {
            match checker.poll() {
                Step::Ask(question) => checker.answer(&question, &zone.answer(&question)),
                Step::Ready(checked) => break checked,
                Step::Wait => panic!("every question is answered at once"),
            }
        };
        let spf: Vec<_> = checked.spf_helo.iter().chain(&checked.spf).cloned().collect();
        Facts::of(&checked.dmarc.unwrap(), &checked.dkim.unwrap(), &spf).unwrap()
    };
    let passed = facts(&published);
    let order: Vec<_> = passed.dkim.iter().map(|dkim| &*dkim.domain).collect();
    assert_eq!(order, ["a.test", "mail.a.test", "b.test", "c.test"]);
    assert!(passed.dkim_aligned && passed.overrides.is_empty());
    let [spf] = &passed.spf[..] else {
        panic!("{:?}", passed.spf)
    };
    assert_eq!((&*spf.domain, spf.helo), ("a.test", Some(false)));
    let failed = facts(&published[..2]);
    assert!(!failed.dkim_aligned);
    assert_eq!(failed.disposition, Policy::Quarantine);
    assert_eq!(failed.overrides, [("policy_test_mode".to_owned(), None)]);
}

#[test]
fn bombs_are_refused() {
    let bomb = gzip(&vec![b' '; 10 << 20]);
    assert!(bomb.len() < 20_000);
    assert_eq!(unpack(&bomb, 1 << 20), Err(PackError::TooLarge));
    assert_eq!(unpack(&bomb, 10 << 20).map(|out| out.len()), Ok(10 << 20));
    let mut limits = Limits::default();
    limits.max_xml = 1000;
    let mail = |packed: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(packed);
        format!("Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n")
    };
    assert_eq!(
        Aggregate::from_message(mail(&bomb).as_bytes(), &limits),
        Err(ReadError::Pack(PackError::TooLarge))
    );
    let zip = zip(&vec![b' '; 10 << 20]);
    assert_eq!(unpack(&zip, 1 << 20), Err(PackError::TooLarge));
    assert_eq!(unpack(&zip, 10 << 20).map(|out| out.len()), Ok(10 << 20));
    let deep = "<feedback>".to_owned() + &"<a>".repeat(100_000);
    assert_eq!(
        Aggregate::parse(deep.as_bytes(), &Limits::default()),
        Err(ReadError::Xml)
    );
    let laughs = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><feedback><report_metadata><org_name>&b;&lt;</org_name></report_metadata></feedback>";
    let report = Aggregate::parse(laughs.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(report.metadata.organization, "<");
    let mut limits = Limits::default();
    limits.max_rows = 2;
    let many = format!(
        "<feedback>{}</feedback>",
        "<record><row><count>1</count></row></record>".repeat(5)
    );
    assert_eq!(Aggregate::parse(many.as_bytes(), &limits).unwrap().rows.len(), 2);
}

/// A ZIP archive of one file, as its writers make it who do not know the size before.
fn zip(octets: &[u8]) -> Vec<u8> {
    let gz = gzip(octets);
    let (data, trailer) = (&gz[10..gz.len() - 8], &gz[gz.len() - 8..]);
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    let mut out = b"PK\x03\x04\x14\0\x08\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0a.xml".to_vec();
    out.extend_from_slice(data);
    out.extend_from_slice(b"PK\x07\x08");
    out.extend_from_slice(&trailer[..4]);
    out.extend_from_slice(&size);
    out.extend_from_slice(&trailer[4..]);
    let directory = u32::try_from(out.len()).unwrap().to_le_bytes();
    out.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\x08\0\x08\0\0\0\0\0");
    out.extend_from_slice(&trailer[..4]);
    out.extend_from_slice(&size);
    out.extend_from_slice(&trailer[4..]);
    out.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(b"a.xmlPK\x05\x06\0\0\0\0\x01\0\x01\0\x33\0\0\0");
    out.extend_from_slice(&directory);
    out.extend_from_slice(&[0, 0]);
    out
}

#[test]
fn damage_is_seen() {
    let xml = sample().to_xml();
    for packed in [gzip(xml.as_bytes()), zip(xml.as_bytes())] {
        assert_eq!(unpack(&packed, 1 << 20).unwrap(), xml.as_bytes());
        for place in (0..packed.len()).step_by(7) {
            let mut damaged = packed.clone();
            damaged[place] ^= 0x55;
            let _ = unpack(&damaged, 1 << 20);
            let _ = unpack(&packed[..place], 1 << 20);
        }
        let mut damaged = packed.clone();
        damaged[60] ^= 1;
        assert!(unpack(&damaged, 1 << 20).is_err());
    }
    assert_eq!(unpack(b"hello", 100), Err(PackError::Unknown));
    assert_eq!(
        Aggregate::parse(b"<html></html>", &Limits::default()),
        Err(ReadError::NotFeedback)
    );
    assert_eq!(
        Aggregate::from_message(b"From: a@b.test\r\n\r\nhi\r\n", &Limits::default()),
        Err(ReadError::NoReport)
    );
}

/// What other programs sent, against what mail-auth reads in it.
#[test]
fn samples_of_mail_auth() {
    let Some(folder) = corpus("dmarc-feedback") else {
        return;
    };
    let mut samples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let limits = Limits::default();
        let report = match path.extension().and_then(|e| e.to_str()) {
            Some("xml") => Aggregate::parse(&bytes, &limits),
            Some("eml") => Aggregate::from_message(&bytes, &limits),
            _ => continue,
        };
        let report = report.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let json: Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        samples += 1;
        let name = path.display();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &json["report_metadata"];
        assert_eq!(
            report.metadata.organization,
            text(&metadata["org_name"]),
            "{name}"
        );
        assert_eq!(report.metadata.report_id, text(&metadata["report_id"]), "{name}");
        assert_eq!(
            Some(report.metadata.begin),
            metadata["date_range"]["begin"].as_u64(),
            "{name}"
        );
        assert_eq!(
            Some(report.metadata.end),
            metadata["date_range"]["end"].as_u64(),
            "{name}"
        );
        let published = &json["policy_published"];
        assert_eq!(report.policy.domain, text(&published["domain"]), "{name}");
        assert_eq!(
            report.policy.policy.to_string(),
            text(&published["p"]).to_lowercase(),
            "{name}"
        );
        assert_eq!(
            report.policy.dkim_alignment == Alignment::Strict,
            text(&published["adkim"]) == "Strict",
            "{name}"
        );
        let rows = json["record"].as_array().unwrap();
        assert_eq!(report.rows.len(), rows.len(), "{name}");
        for (row, json) in report.rows.iter().zip(rows) {
            assert_eq!(
                row.source.map(|ip| ip.to_string()).unwrap_or_default(),
                text(&json["row"]["source_ip"]),
                "{name}"
            );
            assert_eq!(Some(row.count), json["row"]["count"].as_u64(), "{name}");
            let evaluated = &json["row"]["policy_evaluated"];
            assert_eq!(
                row.facts.dkim_aligned,
                text(&evaluated["dkim"]) == "Pass",
                "{name}"
            );
            assert_eq!(row.facts.spf_aligned, text(&evaluated["spf"]) == "Pass", "{name}");
            assert_eq!(
                row.facts.header_from,
                text(&json["identifiers"]["header_from"]),
                "{name}"
            );
            let signatures: Vec<_> = row
                .facts
                .dkim
                .iter()
                .map(|d| (d.domain.clone(), d.verdict.to_string()))
                .collect();
            let expected = json["auth_results"]["dkim"].as_array().unwrap();
            let expected: Vec<_> = expected
                .iter()
                .map(|d| (text(&d["domain"]), text(&d["result"]).to_lowercase()))
                .collect();
            assert_eq!(signatures, expected, "{name}");
            assert_eq!(
                row.facts.spf.len(),
                json["auth_results"]["spf"].as_array().unwrap().len(),
                "{name}"
            );
        }
    }
    assert_eq!(samples, 10);
}

#[test]
fn failure_reports_of_mail_auth() {
    let Some(folder) = corpus("arf") else { return };
    let mut failures = 0;
    for number in 1..=5 {
        let bytes = std::fs::read(folder.join(format!("00{number}.eml"))).unwrap();
        let json: Value =
            serde_json::from_slice(&std::fs::read(folder.join(format!("00{number}.json"))).unwrap()).unwrap();
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let report = FailureReport::parse(&Index::of(&bytes), &bytes);
        let is_failure = text("feedback_type").as_deref() == Some("AuthFailure");
        assert_eq!(report.is_some(), is_failure, "{number}");
        let Some(report) = report else { continue };
        failures += 1;
        assert_eq!(
            report.feedback.source_ip.map(|ip| ip.to_string()),
            text("source_ip"),
            "{number}"
        );
        assert_eq!(
            report.feedback.auth_failure.unwrap(),
            text("auth_failure").unwrap().to_lowercase(),
            "{number}"
        );
        assert_eq!(
            (report.dkim_domain, report.dkim_selector),
            (text("dkim_domain"), text("dkim_selector")),
            "{number}"
        );
        assert_eq!(report.dkim_identity, text("dkim_identity"), "{number}");
    }
    assert_eq!(failures, 3);
}

proptest! {
    #[test]
    fn print_then_read(names in proptest::collection::vec("[!-~é]([ -~é]{0,10}[!-~])?", 6), count in 0u64..9, aligned in any::<bool>(), result in "pass|fail|none|temperror") {
        let mut report = Aggregate::default();
        report.metadata.organization = names[0].clone();
        report.policy.domain = names[1].clone();
        let mut facts = Facts::default();
        facts.header_from = names[2].clone();
        facts.envelope_to = Some(names[3].clone());
        facts.dkim_aligned = aligned;
        let dkim = Aggregate::parse(format!("<feedback><record><auth_results><dkim><domain>d</domain><result>{result}</result></dkim></auth_results></record></feedback>").as_bytes(), &Limits::default()).unwrap();
        let dkim: DkimResult = dkim.rows[0].facts.dkim[0].clone();
        prop_assert_eq!(&dkim.verdict, &Verdict::new(&result).unwrap());
        facts.dkim.push(dkim);
        let mut collector = Collector::new(report.policy.clone(), 9);
        for _ in 0..count {
            collector.add("192.0.2.1".parse().unwrap(), facts.clone());
        }
        let report = collector.finish(report.metadata.clone());
        prop_assert_eq!(Aggregate::parse(report.to_xml().as_bytes(), &Limits::default()).unwrap(), report);
    }

    #[test]
    fn any_octets_are_read(octets in proptest::collection::vec(any::<u8>(), 0..200), head in 0usize..3) {
        let head = [&b"\x1f\x8b\x08"[..], b"PK\x03\x04", b"<feedback>"][head];
        let octets = [head, &octets].concat();
        if let Ok(out) = unpack(&octets, 1000) {
            prop_assert!(out.len() <= 1000);
        }
        let _ = Aggregate::parse(&octets, &Limits::default());
    }
}
