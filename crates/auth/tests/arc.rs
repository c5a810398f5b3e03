//! ARC: chains that are sealed verify, and those that are changed do not.
#![cfg(feature = "arc")]
#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::arc::{Reason, Report, SealError, Sealer, Verifier};
use mailwright_auth::crypto::RingKey;
use mailwright_auth::dkim::{self, Config, Profile};
use mailwright_auth::{AuthenticationResults, Keyword, MethodResult, Verdict};
use proptest::prelude::*;
use std::sync::Arc;
use zone::Zone;

const NOW: u64 = 1_700_000_000;
const MESSAGE: &str = "From: Alice <alice@a.test>\r\nTo: list@l.test\r\nSubject: Hello\r\n\r\nHi all\r\n";

fn profile(domain: &str) -> Arc<Profile> {
    Arc::new(Profile::new(
        domain,
        "s",
        Arc::new(RingKey::from_ed25519_seed(&[9; 32])),
    ))
}

fn zone() -> Zone {
    let record = profile("l.test").key.record();
    Zone::of(&format!(
        "s._domainkey.l.test TXT {record}\ns._domainkey.m.test TXT {record}"
    ))
}

fn verify_in(zone: &mut Zone, message: &str) -> Report {
    let mut verifier = Verifier::new(Arc::new(Config::default()), NOW);
    for chunk in message.as_bytes().chunks(33) {
        verifier.push(chunk);
    }
    verifier.finish();
    drive!(verifier, *zone)
}

fn verify(message: &str) -> Report {
    verify_in(&mut zone(), message)
}

fn seal_as(domain: &str, message: &str, chain: &Report) -> Result<String, SealError> {
    let mut results = AuthenticationResults::new(format!("mx.{domain}"));
    results
        .results
        .push(MethodResult::new(Keyword::DKIM, Verdict::Pass));
    let mut sealer = Sealer::new(profile(domain), results, chain);
    sealer.push(message.as_bytes());
    Ok(sealer.finish(NOW)? + message)
}

fn seal(domain: &str, message: &str) -> String {
    seal_as(domain, message, &verify(message)).unwrap()
}

#[test]
fn a_chain_grows_and_verifies() {
    assert_eq!(verify(MESSAGE).verdict, Verdict::None);
    let once = seal("l.test", MESSAGE);
    let report = verify(&once);
    assert_eq!((&report.verdict, &report.reason), (&Verdict::Pass, &None));
    assert_eq!(report.sets[0].domain, "l.test");
    assert_eq!(report.sets[0].results, "mx.l.test; dkim=pass");
    // The second member changes the message: that is what ARC is for.
    let changed = once.replace("Hi all", "Hi all\r\n-- \r\nthe list");
    assert_eq!(
        verify(&changed).reason,
        Some(Reason::Message(dkim::Reason::BodyChanged))
    );
    let twice = seal_as("m.test", &changed, &report).unwrap();
    let report = verify(&twice);
    assert_eq!((report.verdict.clone(), report.sets.len()), (Verdict::Pass, 2));
    assert_eq!(
        report.to_result().property(&Keyword::HEADER, &Keyword::D),
        Some("m.test")
    );
}

#[test]
fn changed_chains_fail() {
    let twice = seal("m.test", &seal("l.test", MESSAGE));
    let reason = |message: &str| verify(message).reason.unwrap();
    assert_eq!(
        reason(&twice.replace("Hello", "Hallo")),
        Reason::Message(dkim::Reason::HeaderChanged)
    );
    let forged = twice.replacen("mx.l.test; dkim=pass", "mx.l.test; dkim=fail", 1);
    assert_eq!(reason(&forged), Reason::Seal(2, dkim::Reason::HeaderChanged));
    let again = forged.replacen("cv=pass", "cv=none", 1);
    assert_eq!(reason(&again), Reason::ChainValue(2));
    assert_eq!(
        reason(&twice.replace("cv=none", "cv=fail")),
        Reason::ChainValue(1)
    );
    assert_eq!(reason(&twice.replace("cv=pass", "cv=fail")), Reason::FailedBefore);
    assert_eq!(
        reason(&twice.replace("ARC-Seal: i=1", "X-Seal: i=1")),
        Reason::Structure(1)
    );
    assert_eq!(
        reason(&twice.replace("ARC-Seal: i=1", "ARC-Seal: i=2")),
        Reason::Structure(2)
    );
    assert_eq!(
        reason(&twice.replace("ARC-Seal: i=1", "ARC-Seal: i=x")),
        Reason::Structure(0)
    );
    assert_eq!(
        reason(&twice.replace("ARC-Seal: i=1", "ARC-Seal: i=51")),
        Reason::TooLong
    );
    assert_eq!(
        reason(&twice.replace("ARC-Seal: i=1;", "ARC-Seal: i=1; h=from;")),
        Reason::Structure(1)
    );
    assert_eq!(
        verify_in(&mut Zone::new(), &twice).reason,
        Some(Reason::Message(dkim::Reason::NoKey))
    );
    let report = verify_in(&mut Zone::of("s._domainkey.m.test FAIL"), &twice);
    assert_eq!(report.verdict, Verdict::TempError);
    assert_eq!(seal_as("l.test", &twice, &report), Err(SealError::NotVerified));
}

#[test]
fn a_chain_that_failed_is_sealed_once() {
    let broken = seal("l.test", MESSAGE).replace("Hello", "Hallo");
    let failed = seal("m.test", &broken);
    assert!(failed.contains("cv=fail"));
    let report = verify(&failed);
    assert_eq!(report.reason, Some(Reason::FailedBefore));
    assert_eq!(seal_as("l.test", &failed, &report), Err(SealError::FailedBefore));
    let malformed = seal("l.test", MESSAGE).replace("ARC-Seal: i=1", "X-Seal: i=1");
    assert!(seal("m.test", &malformed).contains("i=2"));
}

#[test]
fn chains_have_an_end() {
    let mut message = MESSAGE.to_owned();
    for _ in 0..50 {
        message = seal("l.test", &message);
    }
    let report = verify(&message);
    assert_eq!((report.verdict.clone(), report.sets.len()), (Verdict::Pass, 50));
    assert_eq!(seal_as("l.test", &message, &report), Err(SealError::TooLong));
}

#[test]
fn names_of_fields_may_be_anything() {
    let once = seal("l.test", MESSAGE);
    for name in ["arç", "aaa€", "€", "arc-x"] {
        let report = verify(&once.replacen("h=From", &format!("h={name}:From"), 1));
        assert_eq!(report.verdict, Verdict::Fail, "{name}");
    }
}

/// What others sealed, from the folder in `MAIL_CORPUS`.
#[test]
fn chains_of_others() {
    let Some(corpus) = std::env::var_os("MAIL_CORPUS") else {
        eprintln!("skipped: MAIL_CORPUS is not set");
        return;
    };
    let folder = std::path::Path::new(&corpus).join("auth/mail-auth-resources/arc");
    for (file, members) in [("001.txt", 1), ("002.txt", 2)] {
        let file = std::fs::read_to_string(folder.join(file))
            .unwrap()
            .replace("\r\n", "\n");
        let (records, message) = file.split_once("\n\n").unwrap();
        let records: String = records
            .lines()
            .map(|line| line.replacen(' ', " TXT ", 1) + "\n")
            .collect();
        let mut verifier = Verifier::new(Arc::new(Config::default()), 1_667_900_000);
        verifier.push(message.replace('\n', "\r\n").as_bytes());
        verifier.finish();
        let mut zone = Zone::of(&records);
        let report = drive!(verifier, zone);
        assert_eq!((report.reason, report.sets.len()), (None, members));
    }
}

proptest! {
    #[test]
    fn any_chain_is_read(fields in proptest::collection::vec("ARC-(Seal|Message-Signature|Authentication-Results): i=[0-9]{1,2};( ?(cv|a|b|d|s|h|bh|t)=[a-z0-9=.]{0,9};?){0,8}", 0..9)) {
        let message = format!("{}\r\nFrom: a@a.test\r\n\r\nx\r\n", fields.join("\r\n"));
        let report = verify(&message);
        prop_assert!(report.verdict != Verdict::Pass);
        let _ = seal_as("l.test", &message, &report);
    }
}
