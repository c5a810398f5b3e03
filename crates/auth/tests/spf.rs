//! SPF checks beyond the suite of RFC 7208: limits, international senders, what the report says.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::spf::{Cause, Check, Config, Identity, Record, Report};
use mailwright_auth::{Keyword, Step, Verdict};
use mailwright_dns::{Answer, Name, Negative, Question, RecordType, Security};
use proptest::prelude::*;
use std::sync::Arc;
use zone::Zone;

fn check(zone: &mut Zone, client: &str, mail_from: &str) -> Report {
    let config = Arc::new(Config::default());
    let mut check = Check::mail_from(client.parse().unwrap(), "mx.client.test", mail_from, config);
    drive!(check, *zone)
}

fn verdict(zone: &str, client: &str, mail_from: &str) -> (Verdict, String) {
    let report = check(&mut Zone::of(zone), client, mail_from);
    (report.verdict.clone(), report.cause.to_string())
}

#[test]
fn the_report_names_the_term_that_decided() {
    let zone = "a.test TXT v=spf1 include:b.test -all\nb.test TXT v=spf1 ip4:192.0.2.0/24 ?all";
    assert_eq!(
        verdict(zone, "192.0.2.9", "x@a.test"),
        (Verdict::Pass, "a.test: include:b.test".to_owned())
    );
    assert_eq!(
        verdict(zone, "198.51.100.1", "x@a.test"),
        (Verdict::Fail, "a.test: -all".to_owned())
    );
    let zone = "a.test TXT v=spf1 redirect=b.test\nb.test TXT v=spf1 ip4:192.0.2.0/24 ~all";
    assert_eq!(
        verdict(zone, "203.0.113.1", "x@a.test"),
        (Verdict::SoftFail, "b.test: ~all".to_owned())
    );
}

#[test]
fn mapped_addresses_are_those_they_stand_for() {
    let zone = "a.test TXT v=spf1 ip4:192.0.2.0/24 -all";
    assert_eq!(verdict(zone, "::ffff:192.0.2.9", "x@a.test").0, Verdict::Pass);
    assert_eq!(verdict(zone, "::ffff:192.0.3.9", "x@a.test").0, Verdict::Fail);
}

/// RFC 8616 §4.
#[test]
fn international_senders() {
    let zone =
        "xn--bcher-kva.test TXT v=spf1 exists:%{d}.ok.test -all\nxn--bcher-kva.test.ok.test A 127.0.0.2";
    assert_eq!(verdict(zone, "192.0.2.9", "x@bücher.test").0, Verdict::Pass);
    assert_eq!(
        verdict(zone, "192.0.2.9", "x@xn--bcher-kva.test").0,
        Verdict::Pass
    );
    let local = "a.test TXT v=spf1 -exists:%{l}.ok.test include:%{s}.b.test +all";
    assert_eq!(
        verdict(local, "192.0.2.9", "jürgen@a.test"),
        (Verdict::Pass, "a.test: all".to_owned())
    );
    let redirect = "a.test TXT v=spf1 redirect=%{l}.b.test";
    assert_eq!(
        verdict(redirect, "192.0.2.9", "jürgen@a.test").0,
        Verdict::Neutral
    );
    assert_eq!(
        verdict(redirect, "192.0.2.9", "juergen@a.test").0,
        Verdict::PermError
    );
    let explained = "a.test TXT v=spf1 exp=%{l}.b.test -all";
    assert_eq!(verdict(explained, "192.0.2.9", "jürgen@a.test").0, Verdict::Fail);
}

#[test]
fn lookups_are_counted_over_all_records() {
    let includes: String = (0..9).map(|n| format!(" include:i{n}.test")).collect();
    let mut zone: String = (0..9).map(|n| format!("i{n}.test TXT v=spf1 -all\n")).collect();
    zone.push_str("t.test A 192.0.2.1\n");
    let ten = format!("{zone}a.test TXT v=spf1{includes} a:t.test -all");
    assert_eq!(verdict(&ten, "192.0.2.9", "x@a.test").0, Verdict::Fail);
    let eleven = format!("{zone}a.test TXT v=spf1{includes} a:t.test a:t.test -all");
    let report = check(&mut Zone::of(&eleven), "192.0.2.9", "x@a.test");
    assert_eq!(
        (report.verdict, report.cause),
        (Verdict::PermError, Cause::TooManyLookups)
    );
    let looped = "a.test TXT v=spf1 include:a.test -all";
    assert_eq!(verdict(looped, "192.0.2.9", "x@a.test").1, "too many DNS lookups");
    let looped = "a.test TXT v=spf1 redirect=b.test\nb.test TXT v=spf1 redirect=a.test";
    assert_eq!(verdict(looped, "192.0.2.9", "x@a.test").1, "too many DNS lookups");
}

#[test]
fn void_lookups_are_counted() {
    let two = "a.test TXT v=spf1 a:v1.test a:v2.test ip4:192.0.2.9 -all";
    assert_eq!(verdict(two, "192.0.2.9", "x@a.test").0, Verdict::Pass);
    let three = "a.test TXT v=spf1 a:v1.test mx:v2.test exists:v3.test ip4:192.0.2.9 -all";
    let report = check(&mut Zone::of(three), "192.0.2.9", "x@a.test");
    assert_eq!(
        (report.verdict, report.cause),
        (Verdict::PermError, Cause::TooManyVoidLookups)
    );
    // Three exchangers without AAAA are no voids of the domain's.
    let mx = "a.test TXT v=spf1 mx -all\na.test MX m1.test\na.test MX m2.test\na.test MX m3.test\n\
              m1.test A 192.0.2.1\nm2.test A 192.0.2.1\nm3.test A 192.0.2.1";
    assert_eq!(verdict(mx, "2001:db8::1", "x@a.test").0, Verdict::Fail);
}

#[test]
fn names_of_the_client() {
    let ptr = "9.2.0.192.in-addr.arpa PTR mail.a.test\nmail.a.test A 192.0.2.9\na.test TXT v=spf1 ptr -all";
    assert_eq!(verdict(ptr, "192.0.2.9", "x@a.test").0, Verdict::Pass);
    let lies = "9.2.0.192.in-addr.arpa PTR mail.a.test\nmail.a.test A 192.0.2.8\na.test TXT v=spf1 ptr -all";
    assert_eq!(verdict(lies, "192.0.2.9", "x@a.test").0, Verdict::Fail);
    let broken = "9.2.0.192.in-addr.arpa FAIL\na.test TXT v=spf1 ptr ?all";
    assert_eq!(verdict(broken, "192.0.2.9", "x@a.test").0, Verdict::Neutral);
    let in_macro = "9.2.0.192.in-addr.arpa PTR mail.a.test\nmail.a.test A 192.0.2.9\n\
                    a.test TXT v=spf1 exists:%{p}.ok.test -all\nmail.a.test.ok.test A 127.0.0.1";
    let mut zone = Zone::of(in_macro);
    assert_eq!(check(&mut zone, "192.0.2.9", "x@a.test").verdict, Verdict::Pass);
    let ptr_questions = zone.asked.iter().filter(|q| q.record_type == RecordType::Ptr);
    assert_eq!(ptr_questions.count(), 1);
}

/// RFC 7208 §7.3: what is too long loses labels from the left, however many.
#[test]
fn long_names_are_cut() {
    let macros = "%{l}.".repeat(3000);
    let zone = format!("a.test TXT v=spf1 exists:{macros}ok.test -all");
    let mut zone = Zone::of(&zone);
    check(&mut zone, "192.0.2.9", &format!("{}l@a.test", "l.".repeat(149)));
    let asked = zone.asked[1].name.to_string();
    assert!(
        asked.ends_with(".ok.test") && asked.len() <= 253 && asked.len() > 250,
        "{asked}"
    );
    let report = check(&mut zone, "192.0.2.9", &format!("{}@a.test", "l".repeat(63)));
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(zone.asked.last().unwrap().name.to_string().len(), 199);
}

#[test]
fn failures_are_temporary_and_named() {
    let zone = "a.test TXT v=spf1 a:b.test -all\nb.test FAIL";
    let (verdict, cause) = verdict(zone, "192.0.2.9", "x@a.test");
    assert_eq!((verdict, &*cause), (Verdict::TempError, "b.test A: SERVFAIL"));
}

#[test]
fn explanations_cannot_break_a_reply() {
    let zone = "a.test TXT v=spf1 exp=e.a.test -all\ne.a.test TXT %{l} may not use %{d} from %{c}";
    let report = check(&mut Zone::of(zone), "192.0.2.9", "x@a.test");
    assert_eq!(
        report.explanation.as_deref(),
        Some("x may not use a.test from 192.0.2.9")
    );
    let report = check(&mut Zone::of(zone), "192.0.2.9", "x\r\n250 ok@a.test");
    assert_eq!((report.verdict, report.explanation), (Verdict::Fail, None));
}

#[test]
fn helo_and_the_fields_written() {
    let zone = "mx.b.test TXT v=spf1 a -all\nmx.b.test A 192.0.2.9";
    let config = Arc::new(Config::default());
    let mut check = Check::helo("192.0.2.9".parse().unwrap(), "mx.b.test", Arc::clone(&config));
    let mut dns = Zone::of(zone);
    let report = drive!(check, dns);
    assert_eq!(
        (report.verdict.clone(), report.identity),
        (Verdict::Pass, Identity::Helo)
    );
    assert_eq!(
        report.to_result().property(&Keyword::SMTP, &Keyword::HELO),
        Some("mx.b.test")
    );
    assert_eq!(
        report.to_field("mx.c.test"),
        "Received-SPF: pass (mx.c.test: mx.b.test: a) receiver=mx.c.test;\r\n \
         client-ip=192.0.2.9; helo=mx.b.test; identity=helo; mechanism=a\r\n"
    );
    let mut check = Check::mail_from("192.0.2.9".parse().unwrap(), "mx.b.test", "", config);
    let report = drive!(check, dns);
    assert_eq!(report.mail_from.as_deref(), Some("postmaster@mx.b.test"));
    let hostile = check_hostile();
    assert!(
        !hostile.replace("\r\n ", " ").trim_end().contains(['\r', '\n']),
        "{hostile:?}"
    );
}

fn check_hostile() -> String {
    check(&mut Zone::new(), "192.0.2.9", "\"a) \r\nX: y\"@b.test").to_field("mx.c.test")
}

#[test]
#[should_panic(expected = "not open")]
fn an_answer_without_question_panics() {
    let mut check = Check::helo(
        "192.0.2.9".parse().unwrap(),
        "mx.b.test",
        Arc::new(Config::default()),
    );
    let name = Name::parse("mx.b.test").unwrap();
    let question = Question::new(name.clone(), RecordType::Txt);
    check.answer(&question, Answer::NoData(Negative::new(name, Security::Insecure)));
}

#[test]
fn records_are_read_as_a_whole() {
    for (record, term) in [
        ("v=spf1 all ip4:1.2.3", 2),
        ("v=spf1 a:example..", 1),
        ("v=spf1 a//129", 1),
        ("v=spf1 a/33", 1),
        ("v=spf1 a/08", 1),
        ("v=spf1 ip6:::1/129", 1),
        ("v=spf1 exists:%{c}.test", 1),
        ("v=spf1 exists:%{l0}.test", 1),
        ("v=spf1 redirect=a.test redirect=b.test", 2),
        ("v=spf1 x=%", 1),
        ("v=spf1 -all:x", 1),
        ("v=spf1 include", 1),
        ("v=spf1 a:b.123", 1),
        ("v=spf10 all", 0),
    ] {
        assert_eq!(
            Record::parse(record.as_bytes()).map_err(|e| e.term),
            Err(term),
            "{record}"
        );
    }
}

proptest! {
    #[test]
    fn print_then_read(text in "v=spf1( ([-+~?]?(all|mx(:a\\.test)?(/24)?(//64)?|a:%\\{[dsl][1-3]?r?\\}\\.b|ip4:10\\.0\\.0\\.[1-9]/2[0-9]|ptr|exists:%\\{i\\}%%%_\\.c)|exp=e\\.test))?") {
        let record = Record::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(Record::parse(record.to_string().as_bytes()).unwrap(), record);
    }

    /// Any record, any answers: the check ends, and within its limits.
    #[test]
    fn every_check_ends(record in "v=spf1( [-+~?]?(all|mx|a|ptr|exists|include|redirect|exp)?[:=/]?(a\\.test|%\\{[a-zA-Z][0-9]?r?[.-]?\\}|[!-~]{0,9})){0,12}",
                        picks in proptest::collection::vec(0u8..6, 1..40), local in "[!-~é ]{0,12}") {
        let config = Arc::new(Config::default());
        let mut check = Check::mail_from("192.0.2.9".parse().unwrap(), "mx.a.test", &format!("{local}@a.test"), config);
        let mut asked = 0;
        loop {
            match check.poll() {
                Step::Ready(_) => break,
                Step::Wait => prop_assert!(false, "waits for nothing"),
                Step::Ask(question) => {
                    let mut zone = match picks[asked % picks.len()] {
                        0 => Zone::new(),
                        1 => Zone::of("a.test FAIL"),
                        _ => {
                            let mut zone = Zone::of("a.test A 192.0.2.8\na.test MX a.test\n9.2.0.192.in-addr.arpa PTR a.test");
                            zone.add(Name::parse("a.test").unwrap(), mailwright_dns::Record::Txt(mailwright_dns::Txt::new([record.as_bytes()])));
                            zone
                        }
                    };
                    asked += 1;
                    prop_assert!(asked < 140, "asks without end");
                    let answer = zone.answer(&question);
                    check.answer(&question, answer);
                }
            }
        }
    }
}
