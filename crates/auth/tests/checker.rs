//! All checks of one message together, and the name of the client.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_auth::dkim::{Profile, Signer};
use mailwright_auth::dmarc::Policy;
use mailwright_auth::{Checked, Checker, Config, Envelope, Keyword, Step, Verdict, iprev, spf};
use proptest::prelude::*;
use std::sync::Arc;
use zone::Zone;

const NOW: u64 = 1_700_000_000;
const MESSAGE: &str = "From: Alice <alice@a.test>\r\nSubject: Hello\r\n\r\nHi Bob\r\n";

fn key() -> Arc<RingKey> {
    Arc::new(RingKey::from_ed25519_seed(&[9; 32]))
}

fn zone() -> Zone {
    Zone::of(&format!(
        "25.2.0.192.in-addr.arpa PTR mx.a.test\nmx.a.test A 192.0.2.25\nmx.a.test TXT v=spf1 a -all\n\
         a.test TXT v=spf1 ip4:192.0.2.0/24 -all\n_dmarc.a.test TXT v=DMARC1; p=reject\ns._domainkey.a.test TXT {}",
        key().record()
    ))
}

fn signed() -> String {
    let mut signer = Signer::new([Arc::new(Profile::new("a.test", "s", key()))]);
    signer.push(MESSAGE.as_bytes());
    signer.finish(NOW).unwrap() + MESSAGE
}

fn run(config: Config, envelope: &Envelope, message: &str, zone: &mut Zone, size: usize) -> Checked {
    let mut checker = Checker::new(&Arc::new(config), envelope, NOW);
    let answer_all = |checker: &mut Checker, zone: &mut Zone| loop {
        match checker.poll() {
            Step::Ask(question) => {
                let answer = zone.answer(&question);
                checker.answer(&question, &answer);
            }
            Step::Wait => break None,
            Step::Ready(checked) => break Some(checked),
        }
    };
    for chunk in message.as_bytes().chunks(size) {
        assert!(answer_all(&mut checker, zone).is_none());
        checker.push(chunk);
    }
    checker.finish();
    answer_all(&mut checker, zone).unwrap()
}

fn envelope(client: &str) -> Envelope {
    Envelope::new(client.parse().unwrap(), "mx.a.test", "alice@a.test")
}

#[test]
fn everything_passes() {
    let mut zone = zone();
    let checked = run(
        Config::default(),
        &envelope("192.0.2.25"),
        &signed(),
        &mut zone,
        usize::MAX,
    );
    let results = checked.results("mx.b.test");
    let found: Vec<_> = results
        .results
        .iter()
        .map(|r| format!("{}={}", r.method, r.verdict))
        .collect();
    let mut expected = vec!["iprev=pass", "spf=pass", "spf=pass", "dkim=pass"];
    if cfg!(feature = "arc") {
        expected.push("arc=none");
    }
    expected.push("dmarc=pass");
    assert_eq!(found, expected);
    let dmarc = checked.dmarc.unwrap();
    assert!(dmarc.spf_aligned && dmarc.dkim_aligned);
    // What two checks ask is asked once.
    let mut asked: Vec<String> = zone.asked.iter().map(ToString::to_string).collect();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), all);
}

#[test]
fn forged_mail_fails() {
    let message = MESSAGE.replace("Hi", "Pay");
    let checked = run(
        Config::default(),
        &envelope("198.51.100.1"),
        &message,
        &mut zone(),
        7,
    );
    assert_eq!(checked.spf.as_ref().unwrap().verdict, Verdict::Fail);
    assert_eq!(checked.dkim.as_ref().unwrap().len(), 0);
    let dmarc = checked.dmarc.as_ref().unwrap();
    assert_eq!(
        (&dmarc.verdict, dmarc.disposition),
        (&Verdict::Fail, Policy::Reject)
    );
    let field = checked.results("mx.b.test").to_field();
    assert!(field.contains("dkim=none"), "{field}");
    assert!(field.contains("policy.dmarc=reject"), "{field}");
}

#[test]
fn spf_is_known_before_the_message() {
    let mut zone = zone();
    let mut checker = Checker::new(&Arc::new(Config::default()), &envelope("192.0.2.25"), NOW);
    assert!(checker.spf().is_none());
    while let Step::Ask(question) = checker.poll() {
        let answer = zone.answer(&question);
        checker.answer(&question, &answer);
    }
    assert_eq!(checker.spf().unwrap().verdict, Verdict::Pass);
}

#[test]
fn the_null_reverse_path_is_checked_by_helo() {
    let envelope = Envelope::new("192.0.2.25".parse().unwrap(), "mx.a.test", "");
    let checked = run(Config::default(), &envelope, MESSAGE, &mut zone(), 9);
    assert!(checked.spf_helo.is_none());
    assert_eq!(
        checked.spf.unwrap().mail_from.as_deref(),
        Some("postmaster@mx.a.test")
    );
    assert_eq!(checked.dmarc.unwrap().verdict, Verdict::Pass);
}

#[test]
fn what_is_off_is_not_checked() {
    let mut config = Config::default();
    config.iprev = false;
    config.spf = None;
    config.dmarc = None;
    let mut zone = zone();
    let checked = run(config, &envelope("192.0.2.25"), &signed(), &mut zone, 100);
    assert!(checked.iprev.is_none() && checked.spf.is_none() && checked.dmarc.is_none());
    assert_eq!(zone.asked.len(), 1);
}

#[test]
fn failures_to_ask_are_no_final_ones() {
    let mut zone = Zone::of("a.test FAIL\n_dmarc.a.test TXT v=DMARC1; p=reject");
    let checked = run(
        Config::default(),
        &envelope("192.0.2.25"),
        MESSAGE,
        &mut zone,
        100,
    );
    assert_eq!(checked.spf.unwrap().verdict, Verdict::TempError);
    let dmarc = checked.dmarc.unwrap();
    assert_eq!(
        (dmarc.verdict, dmarc.disposition),
        (Verdict::TempError, Policy::None)
    );
}

#[test]
fn names_of_clients() {
    let check = |zone: &str, client: &str| {
        let mut check = iprev::Check::new(client.parse().unwrap());
        let mut zone = Zone::of(zone);
        drive!(check, zone)
    };
    let ptr = "25.2.0.192.in-addr.arpa PTR other.test\n25.2.0.192.in-addr.arpa PTR mx.a.test\n";
    let good = format!("{ptr}mx.a.test A 192.0.2.25\nother.test A 192.0.2.1");
    for client in ["192.0.2.25", "::ffff:192.0.2.25"] {
        let report = check(&good, client);
        assert_eq!(
            (report.verdict, report.name.unwrap().to_string()),
            (Verdict::Pass, "mx.a.test".to_owned())
        );
    }
    assert_eq!(check(ptr, "192.0.2.25").verdict, Verdict::Fail);
    assert_eq!(check("", "192.0.2.25").reason, Some(iprev::Reason::NoName));
    assert_eq!(check("", "192.0.2.25").verdict, Verdict::PermError);
    assert_eq!(
        check(&format!("{ptr}mx.a.test FAIL"), "192.0.2.25").verdict,
        Verdict::TempError
    );
    assert_eq!(
        check("25.2.0.192.in-addr.arpa FAIL", "192.0.2.25").verdict,
        Verdict::TempError
    );
    let result = check(&good, "192.0.2.25").to_result();
    assert_eq!(
        result.property(&Keyword::POLICY, &Keyword::IPREV),
        Some("192.0.2.25")
    );
}

#[test]
fn received_spf_of_the_report() {
    let checked = run(
        Config::default(),
        &envelope("192.0.2.25"),
        MESSAGE,
        &mut zone(),
        100,
    );
    let report: spf::Report = checked.spf.unwrap();
    let field = report.to_field("mx.b.test");
    assert!(
        field.starts_with("Received-SPF: pass (mx.b.test: a.test: ip4:192.0.2.0/24) receiver=mx.b.test;\r\n"),
        "{field}"
    );
    assert!(field.contains("envelope-from=\"alice@a.test\";"), "{field}");
}

proptest! {
    #[test]
    fn cuts_make_no_difference(size in 1usize..60) {
        let field = |size| run(Config::default(), &envelope("192.0.2.25"), &signed(), &mut zone(), size).results("x").to_field();
        prop_assert_eq!(field(size), field(usize::MAX));
    }
}
