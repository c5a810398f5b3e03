//! TLS reports: records, counting, JSON in and out (RFC 8460).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use core::time::Duration;
use mailwright_dns::{Tlsa, Txt};
use mailwright_mx::TlsPolicy;
use mailwright_mx::dane;
use mailwright_mx::sts::Policy;
use mailwright_mx::tlsrpt::{
    Applied, Collector, CollectorConfig, Detail, ParseError, PolicyKind, Report, ResultType, Target,
};
use std::sync::Arc;
use std::time::Instant;
use support::name;

/// 2026-11-23T00:00:00Z.
const MONDAY: u64 = 1_795_392_000;
const DAY: u64 = 86_400;

fn targets(records: &[&str]) -> String {
    let records: Vec<Txt> = records
        .iter()
        .map(|record| Txt::new([record.as_bytes()]))
        .collect();
    let targets = Target::find(&records);
    let printed: Vec<String> = targets
        .into_iter()
        .map(|target| match target {
            Target::Mail(address) => format!("mail {address}"),
            Target::Https(url) => format!("https {url}"),
            other => panic!("{other:?}"),
        })
        .collect();
    printed.join(", ")
}

#[test]
fn records_name_targets() {
    for (records, printed) in [
        (&["v=TLSRPTv1; rua=mailto:tls@b.test"][..], "mail tls@b.test"),
        (&["v=TLSRPTv1;rua=mailto:tls@b.test;"], "mail tls@b.test"),
        (
            &["v=TLSRPTv1; rua=https://b.test/tls?x=1"],
            "https https://b.test/tls?x=1",
        ),
        (
            &["v=TLSRPTv1; rua=mailto:a@b.test, HTTPS://b.test/"],
            "mail a@b.test, https HTTPS://b.test/",
        ),
        (
            &["v=TLSRPTv1; rua=mailto:a%2Cb@b.test?subject=x"],
            "mail a,b@b.test",
        ),
        (&["v=TLSRPTv1; new=1; rua=mailto:a@b.test"], "mail a@b.test"),
        (
            &["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.test"],
            "mail a@b.test",
        ),
        (
            &[
                "v=TLSRPTv1; rua=mailto:a@b.test",
                "v=TLSRPTv1; rua=mailto:b@b.test",
            ],
            "",
        ),
        (&["v=TLSRPTv2; rua=mailto:a@b.test"], ""),
        (&["rua=mailto:a@b.test; v=TLSRPTv1"], ""),
        (&["v=TLSRPTv1;"], ""),
        (&["v=TLSRPTv1; rua="], ""),
        (&["v=TLSRPTv1; rua=http://b.test/"], ""),
        (&["v=TLSRPTv1; rua=mailto:a%0d%0ab@b.test"], ""),
        (&["v=TLSRPTv1; rua=mailto:%ff"], ""),
        (&["v=TLSRPTv1; rua=mailto:%4"], ""),
        (&["v=TLSRPTv1; rua=mailto:"], ""),
        (&[], ""),
    ] {
        assert_eq!(targets(records), printed, "{records:?}");
    }
    let many = format!("v=TLSRPTv1; rua={}", vec!["mailto:a@b.test"; 100].join(","));
    assert_eq!(targets(&[&many]).matches("mail").count(), 8);
    assert_eq!(
        Target::record_name(&name("b.test")),
        Some(name("_smtp._tls.b.test"))
    );
}

fn sts() -> TlsPolicy {
    let policy = Policy::parse(b"version: STSv1\nmode: testing\nmx: *.b.test\nmax_age: 86400\n").unwrap();
    TlsPolicy::Sts {
        policy: Arc::new(policy),
        listed: true,
    }
}

fn failure(result: ResultType, host: &str) -> Option<Detail> {
    let mut detail = Detail::new(result);
    detail.receiving_host = Some(host.to_owned());
    Some(detail)
}

#[test]
fn sessions_are_counted_by_day_domain_and_policy() {
    let mut collector = Collector::default();
    let (b, c) = (name("b.test"), name("c.test"));
    let record = Tlsa::new(3, 1, 1, vec![0xab; 32]);
    let dane = TlsPolicy::Dane(Arc::new(dane::Policy::new(name("mx.b.test"), [], vec![record])));
    let (sts, dane) = (Applied::from(&sts()), Applied::from(&dane));
    let none = Applied::from(&TlsPolicy::Opportunistic);
    for _ in 0..3 {
        collector.count(MONDAY, &b, &sts, None);
        collector.count(
            MONDAY + 5,
            &b,
            &sts,
            failure(ResultType::CertificateExpired, "mx1.b.test"),
        );
    }
    collector.count(
        MONDAY + 5,
        &b,
        &sts,
        failure(ResultType::CertificateExpired, "mx2.b.test"),
    );
    collector.count(MONDAY, &b, &dane, None);
    collector.count(MONDAY + DAY - 1, &c, &none, None);
    collector.count(MONDAY + DAY, &b, &sts, None);
    assert!(
        collector.take_over(MONDAY + DAY - 1).is_empty(),
        "the day is not over"
    );
    let days = collector.take_over(MONDAY + DAY);
    let heads: Vec<_> = days
        .iter()
        .map(|day| (day.domain.to_string(), day.start))
        .collect();
    assert_eq!(
        heads,
        [("b.test".to_owned(), MONDAY), ("c.test".to_owned(), MONDAY)]
    );
    let counts: Vec<_> = days[0]
        .policies
        .iter()
        .map(|p| (p.kind, p.successes, p.failures))
        .collect();
    assert_eq!(counts, [(PolicyKind::Sts, 3, 4), (PolicyKind::Tlsa, 1, 0)]);
    let details: Vec<_> = days[0].policies[0].details.iter().map(|d| d.sessions).collect();
    assert_eq!(details, [3, 1]);
    assert_eq!(
        days[0].policies[0].lines,
        [
            "version: STSv1",
            "mode: testing",
            "mx: *.b.test",
            "max_age: 86400"
        ]
    );
    assert_eq!(days[0].policies[1].lines, [format!("3 1 1 {}", "AB".repeat(32))]);
    assert_eq!(days[0].policies[1].hosts, ["mx.b.test"]);
    assert_eq!(days[1].policies[0].kind, PolicyKind::NoPolicy);
    // What was taken is gone, and the day that goes on is not.
    assert_eq!(collector.take_over(MONDAY + 2 * DAY).len(), 1);
    assert_eq!(collector.take_over(MONDAY + 9 * DAY).len(), 0);
}

#[test]
fn the_collector_keeps_its_limits() {
    let mut config = CollectorConfig::default();
    config.max_domains = 10;
    config.max_policies = 2;
    config.max_details = 3;
    config.max_days = 2;
    let mut collector = Collector::new(config);
    for day in 0..5 {
        for domain in 0..50 {
            for host in 0..20 {
                let domain = name(&format!("d{domain}.test"));
                let applied = Applied::unknown_tlsa(&name(&format!("mx{}.test", host % 4)));
                let detail = failure(ResultType::DnssecInvalid, &format!("mx{host}.test"));
                collector.count(MONDAY + day * DAY, &domain, &applied, detail);
            }
        }
    }
    let days = collector.take_over(MONDAY + 100 * DAY);
    assert_eq!(days.len(), 2 * 10);
    for day in days {
        assert!(day.start >= MONDAY + 3 * DAY);
        assert_eq!(day.policies.len(), 2);
        for policy in day.policies {
            assert_eq!((policy.failures, policy.details.len()), (5, 3));
        }
    }
}

#[test]
fn what_was_counted_outlives_a_restart() {
    let mut before = Collector::default();
    let (b, applied) = (name("b.test"), Applied::from(&sts()));
    before.count(MONDAY, &b, &applied, None);
    before.count(
        MONDAY,
        &b,
        &applied,
        failure(ResultType::ValidationFailure, "mx.b.test"),
    );
    let kept: Vec<String> = before.days().map(|day| day.report().to_string()).collect();
    let mut after = Collector::default();
    for report in kept {
        after.restore(&Report::parse(report.as_bytes()).unwrap());
    }
    assert_eq!(
        after.days().collect::<Vec<_>>(),
        before.days().collect::<Vec<_>>()
    );
    // The same policy goes on being counted.
    after.count(MONDAY, &b, &applied, None);
    assert_eq!(after.days().next().unwrap().policies[0].successes, 2);
}

#[test]
fn reports_come_out_as_they_went_in() {
    let mut collector = Collector::default();
    let applied = Applied::from(&sts());
    for result in [
        ResultType::StartTlsNotSupported,
        ResultType::CertificateHostMismatch,
        ResultType::CertificateExpired,
        ResultType::CertificateNotTrusted,
        ResultType::ValidationFailure,
        ResultType::TlsaInvalid,
        ResultType::DnssecInvalid,
        ResultType::DaneRequired,
        ResultType::StsPolicyFetchError,
        ResultType::StsPolicyInvalid,
        ResultType::StsWebpkiInvalid,
    ] {
        let mut detail = Detail::new(result);
        detail.sending_address = Some("2001:db8::1".parse().unwrap());
        detail.receiving_host = Some("mx.b.test".into());
        detail.receiving_helo = Some("\"quoted\" \u{1}".into());
        detail.receiving_address = Some("192.0.2.1".parse().unwrap());
        detail.information = Some("https://a.test/why".into());
        detail.reason = Some("\u{fc}mlaut".into());
        collector.count(MONDAY, &name("b.test"), &applied, Some(detail));
    }
    let mut report = collector.take_over(MONDAY + DAY).remove(0).report();
    report.organization = "A \"B\" Inc.\n".into();
    report.contact = "tls@a.test".into();
    report.id = "2026-11-23@a.test".into();
    let json = report.to_string();
    assert!(json.is_ascii() || json.contains('\u{fc}'));
    assert_eq!(Report::parse(json.as_bytes()), Ok(report.clone()));
    assert_eq!(
        report.file_name("a.test", "b.test"),
        "a.test!b.test!1795392000!1795478399.json"
    );
}

/// The sample of RFC 8460 in its own words.
const SAMPLE: &str = r#"{
  "organization-name": "Company-X",
  "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {"policy-type": "sts", "policy-string": ["version: STSv1","mode: testing","mx: *.mail.company-y.example","max_age: 86400"],
      "policy-domain": "company-y.example", "mx-host": "*.mail.company-y.example"},
    "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
    "failure-details": [
      {"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1", "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100},
      {"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1", "receiving-mx-hostname": "mx2.mail.company-y.example", "receiving-ip": "203.0.113.56",
       "failed-session-count": "200", "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"},
      {"result-type": "something-of-tomorrow", "sending-mta-ip": "198.51.100.62", "receiving-ip": "not an address", "receiving-mx-hostname": "mx-backup.mail.company-y.example",
       "failed-session-count": 3, "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"}]
  }]
}"#;

#[test]
fn reports_of_others_are_read() {
    let report = Report::parse(SAMPLE.as_bytes()).unwrap();
    assert_eq!((report.start, report.end), (1_459_468_800, 1_459_555_199));
    let policy = &report.policies[0];
    assert_eq!(
        (policy.kind, policy.successes, policy.failures),
        (PolicyKind::Sts, 5326, 303)
    );
    assert_eq!(policy.hosts, ["*.mail.company-y.example"]);
    assert_eq!(policy.lines.len(), 4);
    let details: Vec<_> = policy
        .details
        .iter()
        .map(|d| (d.result, d.sessions, d.receiving_address.is_some()))
        .collect();
    assert_eq!(
        details,
        [
            (ResultType::CertificateExpired, 100, false),
            (ResultType::StartTlsNotSupported, 200, true),
            (ResultType::ValidationFailure, 3, false),
        ]
    );
    assert!(details.iter().map(|d| d.1).sum::<u64>() == 303);
}

#[test]
fn what_is_no_report_is_refused() {
    let without = |field: &str| {
        let text = SAMPLE.replacen(&format!("\"{field}\""), "\"other\"", 1);
        Report::parse(text.as_bytes())
    };
    for field in [
        "date-range",
        "start-datetime",
        "end-datetime",
        "report-id",
        "policies",
        "policy",
        "summary",
        "policy-type",
        "policy-domain",
    ] {
        assert_eq!(without(field), Err(ParseError::Missing(field)));
    }
    for json in [
        "",
        "{",
        "[]x",
        "\u{feff}{}",
        &"[".repeat(100_000),
        &"{\"a\":".repeat(100_000),
    ] {
        assert_eq!(Report::parse(json.as_bytes()), Err(ParseError::Json));
    }
    let policy = r#"{"policy":{"policy-type":"sts","policy-domain":"b.test"},"summary":{}}"#;
    let many = |count: usize| {
        let policies = vec![policy; count].join(",");
        let range =
            r#""date-range":{"start-datetime":"2026-11-23T00:00:00Z","end-datetime":"2026-11-23T23:59:59Z"}"#;
        Report::parse(format!(r#"{{{range},"report-id":"1","policies":[{policies}]}}"#).as_bytes())
    };
    assert_eq!(many(1000).unwrap().policies.len(), 1000);
    assert_eq!(many(1001), Err(ParseError::TooLong));
}

#[test]
fn times_come_in_all_forms() {
    let start = |time: &str| {
        Report::parse(SAMPLE.replace("2016-04-01T00:00:00Z", time).as_bytes())
            .map(|report| report.start)
            .ok()
    };
    for (time, seconds) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2000-02-29T12:00:00z", Some(951_825_600)),
        ("2016-12-31T23:59:60Z", Some(1_483_228_800)),
        ("2016-04-01 02:00:00+02:00", Some(1_459_468_800)),
        ("2016-03-31T19:30:00.123456-04:30", Some(1_459_468_800)),
        ("2400-02-29T00:00:00Z", Some(13_574_563_200)),
        ("1969-12-31T23:59:59Z", None),
        ("1970-01-01T00:00:00+01:00", None),
        ("2016-13-01T00:00:00Z", None),
        ("2016-04-01T24:00:00Z", None),
        ("2016-04-01T00:00:00", None),
        ("2016-04-01T00:00:00+2", None),
        ("2016-04-01", None),
        ("+016-04-01T00:00:00Z", None),
        ("2016-04-01T00:00:0\u{e9}Z", None),
    ] {
        assert_eq!(start(time), seconds, "{time}");
    }
}

#[test]
fn days_print_as_they_are_read() {
    let mut seconds = 0;
    let mut report = Report::new("a", "b", "c");
    // Every third day or so up to the year 2500.
    while seconds < 16_725_225_600 {
        (report.start, report.end) = (seconds, seconds + 1);
        assert_eq!(Report::parse(report.to_string().as_bytes()).as_ref(), Ok(&report));
        seconds += 3 * DAY + 12_345;
    }
}

#[test]
fn reading_takes_time_in_proportion() {
    let report = |count: usize| {
        let detail = r#"{"result-type":"certificate-expired","failed-session-count":1}"#;
        let details = vec![detail; count].join(",");
        SAMPLE.replace(
            "\"failure-details\": [",
            &format!("\"failure-details\": [{details},"),
        )
    };
    let (small, large) = (report(2000), report(8000));
    let time = |json: &str| {
        let started = Instant::now();
        assert!(Report::parse(json.as_bytes()).is_ok());
        started.elapsed()
    };
    // What disturbs a try makes it longer, never shorter: 4 is linear, 16 is quadratic.
    let (mut least, mut most) = (Duration::MAX, Duration::MAX);
    let is_linear = (0..100).any(|_| {
        least = least.min(time(&small));
        most = most.min(time(&large));
        most < least * 10
    });
    assert!(is_linear, "four times the details: {least:?}, {most:?}");
}
