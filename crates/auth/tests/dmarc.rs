//! DMARC: records, alignment, policies. For tree walks see `dmarc_walk.rs`.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::dmarc::{
    Authenticated, Check, Config, Discovery, Policy, Reason, Record, RecordError, author_domain,
    registrable_domain,
};
use mailwright_auth::{Keyword, Step, Verdict};
use mailwright_dns::{Answer, Name};
use proptest::prelude::*;
use std::sync::Arc;
use zone::dmarc::{check, zone_of};

/// The records, the author, what passed SPF, what passed DKIM, whether each is aligned.
const ALIGNMENTS: &[(&str, &str, &str, &str, bool, bool)] = &[
    ("a.test p=reject", "a.test", "a.test", "", true, false),
    ("a.test p=reject", "a.test", "", "a.test", false, true),
    ("a.test p=reject", "a.test", "A.Test", "a.TEST", true, true),
    ("a.test p=reject", "a.test", "mail.a.test", "b.test", true, false),
    (
        "a.test p=reject",
        "mail.a.test",
        "a.test",
        "news.a.test",
        true,
        true,
    ),
    ("a.test p=reject", "a.test", "xa.test", "test", false, false),
    (
        "a.test p=reject; aspf=s",
        "a.test",
        "mail.a.test",
        "mail.a.test",
        false,
        true,
    ),
    (
        "a.test p=reject; adkim=s",
        "a.test",
        "mail.a.test",
        "mail.a.test",
        true,
        false,
    ),
    (
        "a.test p=reject; adkim=s; aspf=s",
        "a.test",
        "a.test",
        "a.test",
        true,
        true,
    ),
    (
        "a.test p=reject",
        "a.test",
        "",
        "b.test c.test mail.a.test",
        false,
        true,
    ),
    (
        "test p=reject; psd=y",
        "a.test",
        "b.test",
        "mail.a.test",
        false,
        true,
    ),
    ("test p=reject; psd=y", "a.test", "test", "test", false, false),
    (
        "a.test p=reject, sub.a.test p=none; psd=n",
        "a.test",
        "sub.a.test",
        "x.sub.a.test",
        false,
        false,
    ),
    (
        "a.test p=reject, sub.a.test p=none; psd=n",
        "sub.a.test",
        "a.test",
        "x.sub.a.test",
        false,
        true,
    ),
];

#[test]
fn alignment() {
    for (records, author, spf, dkim, spf_aligned, dkim_aligned) in ALIGNMENTS {
        let report = check(&mut zone_of(records), author, spf, dkim, Config::default());
        assert_eq!(
            (report.spf_aligned, report.dkim_aligned),
            (*spf_aligned, *dkim_aligned),
            "{author}, {spf}, {dkim} with {records:?}"
        );
        assert_eq!(report.verdict == Verdict::Pass, *spf_aligned || *dkim_aligned);
        assert_eq!(
            report.disposition == Policy::None,
            report.verdict == Verdict::Pass
        );
    }
}

#[test]
fn by_the_public_suffix_list() {
    let mut config = Config::default();
    config.discovery = Discovery::PublicSuffixList;
    let mut zone = zone_of("example.co.uk p=reject; sp=quarantine, co.uk p=none");
    let report = check(
        &mut zone,
        "a.b.example.co.uk",
        "mail.example.co.uk",
        "other.co.uk",
        config.clone(),
    );
    assert_eq!(
        report.organizational_domain,
        Some(Name::parse("example.co.uk").unwrap())
    );
    assert_eq!(
        (report.policy, report.spf_aligned, report.dkim_aligned),
        (Policy::Quarantine, true, false)
    );
    assert_eq!(zone.asked.len(), 2, "{:?}", zone.asked);
    // RFC 7489 §6.6.4: what is left out is treated by the next weaker policy.
    let mut zone = zone_of("example.com p=reject; pct=30; t=y");
    for (sample, disposition) in [(29, Policy::Reject), (30, Policy::Quarantine)] {
        let mut check = Check::new(Ok("example.com"), Arc::new(config.clone())).sampled(sample);
        check.authenticated(Authenticated::default());
        assert_eq!(drive!(check, zone).disposition, disposition);
    }
}

#[test]
fn policies_that_are_only_tested() {
    let report = check(
        &mut zone_of("a.test p=reject; t=y; pct=0"),
        "a.test",
        "",
        "",
        Config::default(),
    );
    // RFC 9989 §4.7: one less than it says.
    assert_eq!(
        (report.verdict, report.policy, report.disposition),
        (Verdict::Fail, Policy::Reject, Policy::Quarantine)
    );
    for (policy, applied) in [("quarantine", Policy::None), ("none", Policy::None)] {
        let zone = format!("a.test p={policy}; t=y");
        let report = check(&mut zone_of(&zone), "a.test", "", "", Config::default());
        assert_eq!(report.disposition, applied, "{policy}");
    }
    let report = check(
        &mut zone_of("a.test p=reject; pct=0"),
        "a.test",
        "",
        "",
        Config::default(),
    );
    assert_eq!(report.disposition, Policy::Reject);
}

#[test]
fn failures_are_temporary() {
    let report = check(
        &mut zone_of("a.test FAIL"),
        "mail.a.test",
        "",
        "",
        Config::default(),
    );
    assert_eq!(report.verdict, Verdict::TempError);
    assert!(matches!(report.reason, Some(Reason::Dns(..))));
    // The walk of what passed fails: it may be aligned.
    let zone = "a.test p=reject, mail.a.test FAIL";
    let report = check(&mut zone_of(zone), "a.test", "mail.a.test", "", Config::default());
    assert_eq!(
        (report.verdict, report.disposition),
        (Verdict::TempError, Policy::None)
    );
    let report = check(
        &mut zone_of(zone),
        "a.test",
        "mail.a.test",
        "a.test",
        Config::default(),
    );
    assert_eq!(report.verdict, Verdict::Pass);
    let mut undecided = Authenticated::default();
    undecided.temporary_error = true;
    let mut check = Check::new(Ok("a.test"), Arc::new(Config::default()));
    check.authenticated(undecided);
    let mut zone = zone_of("a.test p=reject");
    assert_eq!(drive!(check, zone).reason, Some(Reason::Undecided));
}

#[test]
fn it_waits_for_spf_and_dkim() {
    let mut zone = zone_of("a.test p=reject");
    let mut check = Check::new(Ok("a.test"), Arc::new(Config::default()));
    loop {
        match check.poll() {
            Step::Ask(question) => check.answer(&question, zone.answer(&question)),
            Step::Wait => break,
            Step::Ready(report) => panic!("{report:?}"),
        }
    }
    check.authenticated(Authenticated::default());
    assert!(matches!(check.poll(), Step::Ready(report) if report.verdict == Verdict::Fail));
}

#[test]
fn authors() {
    let author = |header: &str| author_domain(header.as_bytes());
    assert_eq!(author("From: a@B.test\r\n\r\n"), Ok("b.test".to_owned()));
    assert_eq!(
        author("From: a@bücher.test\r\n\r\n"),
        Ok("xn--bcher-kva.test".to_owned())
    );
    assert_eq!(
        author("From: a@b.test, c@B.test\r\n\r\n"),
        Ok("b.test".to_owned())
    );
    assert_eq!(
        author("From: a@b.test, c@c.test\r\n\r\n"),
        Err(Reason::ManyAuthors)
    );
    assert_eq!(
        author("From: a@b.test\r\nFROM: c@c.test\r\n\r\n"),
        Err(Reason::ManyAuthors)
    );
    assert_eq!(
        author("To: a@b.test\r\n\r\nFrom: c@c.test\r\n"),
        Err(Reason::NoAuthor)
    );
    assert_eq!(author("From: undisclosed:;\r\n\r\n"), Err(Reason::NoAuthor));
    assert_eq!(
        author("From: \"a@b.test\" <c@c.test>\r\n\r\n"),
        Ok("c.test".to_owned())
    );
    let mut check = Check::new(Err(Reason::ManyAuthors), Arc::new(Config::default()));
    assert!(matches!(check.poll(), Step::Ready(report) if report.verdict == Verdict::PermError));
}

#[test]
fn records() {
    let parse = |text: &str| Record::parse(text.as_bytes());
    for text in [
        "",
        "v=spf1 -all",
        "p=none; v=DMARC1",
        "v=dmarc1; p=none",
        "v=DMARC1x; p=none",
        "V=DMARC1;p=none",
    ] {
        assert_eq!(parse(text), Err(RecordError::NotDmarc), "{text}");
    }
    assert_eq!(parse("v=DMARC1; p=maybe"), Err(RecordError::NoPolicy));
    let record = parse("v = DMARC1 ;p=REJECT;fo=1:d;rua=mailto:a@b.test!5k , https://x.test/r,nonsense;ruf=mailto:q%21@b.test;ri=3600;pct=200;x=y").unwrap();
    assert_eq!(record.policy, Policy::Reject);
    assert!(record.failure_options.any && record.failure_options.dkim && !record.failure_options.all);
    let uris: Vec<_> = record
        .aggregate_to
        .iter()
        .map(|uri| (uri.mail_address(), uri.max_size))
        .collect();
    assert_eq!(uris, [(Some("a@b.test".to_owned()), Some(5120)), (None, None)]);
    assert_eq!(record.failures_to[0].mail_address().as_deref(), Some("q!@b.test"));
    assert_eq!((record.interval, record.percent), (3600, 100));
    // RFC 9989 §4.7: without `ruf` nobody hears of failures.
    let options = parse("v=DMARC1; p=none; fo=1:d").unwrap().failure_options;
    assert!(options.all && !options.any && !options.dkim);
    assert_eq!(
        parse("v=DMARC1; p=none; rua=mailto:a%0d%0a@b.test")
            .unwrap()
            .aggregate_to[0]
            .mail_address(),
        None
    );
}

#[test]
fn the_result_for_the_header() {
    let report = check(
        &mut zone_of("a.test p=reject"),
        "a.test",
        "b.test",
        "",
        Config::default(),
    );
    let result = report.to_result();
    assert_eq!(result.verdict, Verdict::Fail);
    assert_eq!(result.property(&Keyword::HEADER, &Keyword::FROM), Some("a.test"));
    assert_eq!(result.property(&Keyword::POLICY, &Keyword::DMARC), Some("reject"));
}

/// The tests of the public suffix list, from the folder in `MAIL_CORPUS`.
#[test]
fn public_suffixes() {
    let Some(corpus) = std::env::var_os("MAIL_CORPUS") else {
        eprintln!("skipped: MAIL_CORPUS is not set");
        return;
    };
    let path = std::path::Path::new(&corpus).join("auth/publicsuffix/test_psl.txt");
    let mut cases = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        // Those that are commented out are about a list without its rule for unlisted names.
        let Some(arguments) = line
            .trim()
            .trim_start_matches('/')
            .trim()
            .strip_prefix("checkPublicSuffix(")
        else {
            continue;
        };
        let (domain, expected) = arguments.trim_end_matches(");").split_once(", ").unwrap();
        let unquote = |text: &str| {
            text.strip_prefix('\'')
                .map(|t| t.trim_end_matches('\'').to_owned())
        };
        cases += 1;
        let Some(domain) = unquote(domain) else { continue };
        let expected = unquote(expected).map(|e| Name::parse(&e).unwrap());
        let found = registrable_domain(&domain).map(|f| Name::parse(&f).unwrap());
        if line.starts_with("//") {
            continue;
        }
        assert_eq!(found, expected, "{line}");
    }
    assert_eq!(cases, 82);
}

proptest! {
    #[test]
    fn print_then_read(p in "none|quarantine|reject", sp in proptest::option::of("none|quarantine|reject"), tags in "(; (adkim=s|t=y|psd=[yn]|fo=1:s|pct=[1-9][0-9]|rua=mailto:a@b\\.test(!9)?,mailto:c@d\\.test|ri=77)){0,3}") {
        let text = format!("v=DMARC1; p={p}{}{tags}", sp.map(|sp| format!("; sp={sp}")).unwrap_or_default());
        let record = Record::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(Record::parse(record.to_string().as_bytes()).unwrap(), record);
    }

    #[test]
    fn every_check_ends(author in "[a-c.]{0,30}", spf in "[a-c.]{0,12}", dkim in "[a-c. ]{0,40}", record in "(v=DMARC1; ?)?([a-z]{1,5}=[ -~]{0,9};?){0,5}") {
        let mut check = Check::new(Ok(&author), Arc::new(Config::default()));
        let mut authenticated = Authenticated::default();
        authenticated.spf = Some(spf);
        authenticated.dkim = dkim.split(' ').map(str::to_owned).collect();
        check.authenticated(authenticated);
        let mut asked = 0;
        loop {
            match check.poll() {
                Step::Ready(_) => break,
                Step::Wait => prop_assert!(false, "waits for nothing"),
                Step::Ask(question) => {
                    asked += 1;
                    prop_assert!(asked < 90);
                    let txt = mailwright_dns::Record::Txt(mailwright_dns::Txt::new([record.as_bytes()]));
                    let records = mailwright_dns::Records::new(question.name.clone(), [txt], mailwright_dns::Security::Insecure);
                    check.answer(&question, Answer::Records(records));
                }
            }
        }
    }
}
