//! DKIM: what is signed verifies, what is changed does not, and each failure has its reason.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::crypto::{Provider, Ring, RingKey, SigningKey};
use mailwright_auth::dkim::{
    BodyHasher, Canonicalization, Config, KeyRecord, Profile, Reason, Report, Rotation, SignError, Signer,
    Verifier,
};
use mailwright_auth::{Keyword, Verdict};
use proptest::prelude::*;
use std::sync::Arc;
use zone::Zone;

const MESSAGE: &str = "Received: from x\r\nFrom: Alice <alice@a.test>\r\nTo: bob@b.test\r\n\
Subject:  Hello \t Bob\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nHi  Bob \r\n\r\nBye\r\n\r\n\r\n";
const NOW: u64 = 1_700_000_000;

fn key() -> Arc<RingKey> {
    Arc::new(RingKey::from_ed25519_seed(&[7; 32]))
}

fn profile() -> Profile {
    Profile::new("a.test", "s1", key())
}

fn zone() -> String {
    format!("s1._domainkey.a.test TXT {}", key().record())
}

fn sign(profile: Profile, message: &str) -> String {
    let mut signer = Signer::new([Arc::new(profile)]);
    signer.push(message.as_bytes());
    signer.finish(NOW).unwrap() + message
}

fn verify_with(config: Config, message: &[u8], zone: &str, now: u64) -> Vec<Report> {
    let mut zone = Zone::of(zone);
    let mut verifier = Verifier::new(Arc::new(config), now);
    verifier.push(message);
    verifier.finish();
    drive!(verifier, zone)
}

fn verify(message: &str, zone: &str) -> Report {
    let mut reports = verify_with(Config::default(), message.as_bytes(), zone, NOW);
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.remove(0)
}

fn reason(message: &str, zone: &str) -> Reason {
    verify(message, zone).reason.unwrap()
}

#[test]
fn every_way_of_signing_verifies() {
    use Canonicalization::{Relaxed, Simple};
    for header in [Simple, Relaxed] {
        for body in [Simple, Relaxed] {
            let mut profile = profile();
            (profile.header_way, profile.body_way) = (header, body);
            let signed = sign(profile, MESSAGE);
            assert_eq!(verify(&signed, &zone()).reason, None, "{header}/{body}");
            assert!(signed.lines().take(12).all(|line| line.len() <= 78));
            let spaced = signed.replace("Hello \t Bob", "Hello Bob");
            assert_eq!(
                verify(&spaced, &zone()).verdict == Verdict::Pass,
                header == Relaxed
            );
            let spaced = signed.replace("Hi  Bob ", "Hi Bob");
            assert_eq!(verify(&spaced, &zone()).verdict == Verdict::Pass, body == Relaxed);
        }
    }
}

#[test]
fn the_result_says_whose_signature_it_is() {
    let report = verify(&sign(profile(), MESSAGE), &zone());
    let result = report.to_result();
    assert_eq!(result.verdict, Verdict::Pass);
    assert_eq!(result.property(&Keyword::HEADER, &Keyword::D), Some("a.test"));
    assert_eq!(result.property(&Keyword::HEADER, &Keyword::S), Some("s1"));
    assert_eq!(
        result.property(&Keyword::HEADER, &Keyword::A),
        Some("ed25519-sha256")
    );
    assert_eq!(
        result.property(&Keyword::HEADER, &Keyword::B).map(str::len),
        Some(8)
    );
}

/// RFC 6376 §5.4.2: what is signed once more than it is there cannot be added.
#[test]
fn fields_cannot_be_added() {
    let signed = sign(profile(), MESSAGE);
    for added in [
        "From: mallory@m.test",
        "Subject: Pay",
        "Reply-To: mallory@m.test",
        "Content-Type: text/html",
    ] {
        let forged = signed.replace("Received: from x", added);
        assert_eq!(reason(&forged, &zone()), Reason::HeaderChanged, "{added}");
    }
    let traced = format!("Received: from y\r\n{signed}");
    assert_eq!(verify(&traced, &zone()).verdict, Verdict::Pass);
}

#[test]
fn every_failure_has_its_reason() {
    let signed = sign(profile(), MESSAGE);
    let zone = zone();
    let with_key = |record: &str| reason(&signed, &format!("s1._domainkey.a.test TXT {record}"));
    let p = key().record().split_once("p=").unwrap().1.to_owned();
    assert_eq!(reason(&signed.replace("Bye", "bye"), &zone), Reason::BodyChanged);
    assert_eq!(
        reason(&signed.replace("Hello", "Hallo"), &zone),
        Reason::HeaderChanged
    );
    assert_eq!(reason(&signed, ""), Reason::NoKey);
    let Reason::Dns(question, _) = reason(&signed, "s1._domainkey.a.test FAIL") else {
        panic!("a failure to ask is one");
    };
    assert_eq!(question.to_string(), "s1._domainkey.a.test TXT");
    assert_eq!(with_key("v=DKIM1; k=ed25519; p="), Reason::KeyRevoked);
    assert_eq!(with_key("v=DKIM1; k=ed25519"), Reason::KeySyntax);
    assert_eq!(
        with_key(&format!("v=DKIM2; k=ed25519; p={p}")),
        Reason::KeyVersion
    );
    assert_eq!(
        with_key(&format!("k=ed25519; v=DKIM1; p={p}")),
        Reason::KeyVersion
    );
    assert_eq!(with_key(&format!("k=ed25519; h=sha1; p={p}")), Reason::KeyHash);
    assert_eq!(
        with_key(&format!("k=ed25519; s=tlsrpt; p={p}")),
        Reason::KeyService
    );
    assert_eq!(with_key(&format!("k=ed448; p={p}")), Reason::KeyType);
    assert_eq!(with_key(&format!("k=rsa; p={p}")), Reason::KeyInvalid);
    assert_eq!(with_key("k=ed25519; p=AAAA"), Reason::KeyInvalid);
    let rsa = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
    assert_eq!(with_key(&format!("p={rsa}")), Reason::KeyMismatch);

    let with_tag = |from: &str, to: &str| {
        assert!(signed.contains(from), "{from} in {signed}");
        reason(&signed.replacen(from, to, 1), &zone)
    };
    assert_eq!(with_tag("v=1", "v=2"), Reason::Version);
    assert_eq!(with_tag("v=1;", ""), Reason::MissingTag("v"));
    assert_eq!(with_tag("v=1;", "v=1; v=1;"), Reason::Syntax);
    assert_eq!(with_tag("ed25519-sha256", "rsa-sha1"), Reason::Sha1);
    assert_eq!(with_tag("ed25519-sha256", "rot13"), Reason::Algorithm);
    assert_eq!(with_tag("relaxed/relaxed", "strict"), Reason::BadTag("c"));
    assert_eq!(with_tag("h=From:From:", "h="), Reason::FromNotSigned);
    assert_eq!(
        with_tag("d=a.test", "d=a.test; i=@b.test"),
        Reason::IdentityOutside
    );
    assert_eq!(with_tag("d=a.test", "d=a.test; q=dns/https"), Reason::QueryMethod);
    assert_eq!(with_tag("d=a.test", "d=a.test; l=x"), Reason::BadTag("l"));
    assert_eq!(with_tag("d=a.test", "d=a.test; l=99999"), Reason::BodyShorter);
    assert_eq!(with_tag("t=1700000000", "t=1700000301"), Reason::NotYetValid);
    assert_eq!(with_tag("t=1700000000", "x=1699999699"), Reason::Expired);
    assert_eq!(with_tag("t=1700000000", "t=5; x=5"), Reason::BadTag("x"));
    assert_eq!(with_tag("d=a.test", "d=a.test\\"), Reason::BadTag("d"));
}

#[test]
fn short_rsa_keys_fail() {
    let signed = sign(profile(), MESSAGE).replace("ed25519-sha256", "rsa-sha256");
    // 1016 bits: one octet less than RFC 8301 §3.2 asks for.
    let der = |modulus: &[u8]| {
        let inner = [
            &[2, 0x81, u8::try_from(modulus.len()).unwrap()][..],
            modulus,
            &[2, 3, 1, 0, 1],
        ]
        .concat();
        [&[0x30, 0x81, u8::try_from(inner.len()).unwrap()][..], &inner].concat()
    };
    use base64::Engine as _;
    let record = |modulus: &[u8]| {
        let p = base64::engine::general_purpose::STANDARD.encode(der(modulus));
        format!("s1._domainkey.a.test TXT k=rsa; p={p}")
    };
    assert_eq!(reason(&signed, &record(&[0xc1; 127])), Reason::KeyTooShort(1016));
    assert_eq!(
        reason(&signed, &record(&[vec![0], vec![0xc1; 128]].concat())),
        Reason::HeaderChanged
    );
}

#[test]
fn partial_bodies_are_a_matter_of_policy() {
    // `l=` is in no signature of ours, so one is made by hand.
    let mut hasher = BodyHasher::new(Canonicalization::Simple, Some(4), &Ring::default());
    hasher.push(b"Hi\r\nand more\r\n");
    let hash = hasher.finish();
    assert_eq!(hash.octets, 14);
    use base64::Engine as _;
    let b64 = |octets: &[u8]| base64::engine::general_purpose::STANDARD.encode(octets);
    let header = "From: a@a.test\r\n";
    let field = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; d=a.test; s=s1; l=4; h=From; bh={}; b=",
        b64(&hash.sha256)
    );
    let covered = mailwright_auth::dkim::signed_octets(header.as_bytes(), field.as_bytes()).unwrap();
    let message = format!(
        "{field}{}\r\n{header}\r\nHi\r\nand more\r\n",
        b64(&key().sign(&covered).unwrap())
    );
    let report = verify(&message, &zone());
    assert_eq!(
        (report.verdict, report.reason, report.uncovered),
        (Verdict::Policy, Some(Reason::Partial(10)), 10)
    );
    let mut config = Config::default();
    config.accept_partial = true;
    let reports = verify_with(config, message.as_bytes(), &zone(), NOW);
    assert_eq!((&reports[0].verdict, reports[0].uncovered), (&Verdict::Pass, 10));
    let whole = message.replace("\r\nand more\r\n", "\r\n");
    assert_eq!(verify(&whole, &zone()).verdict, Verdict::Pass);
}

#[test]
fn testing_and_strict_keys() {
    let p = key().record();
    let report = verify(
        &sign(profile(), MESSAGE),
        &format!("s1._domainkey.a.test TXT {p}; t=y:s"),
    );
    assert!(report.testing && report.verdict == Verdict::Pass);
    let mut profile = profile();
    profile.identity = Some("alice@mail.a.test".to_owned());
    let signed = sign(profile, MESSAGE);
    assert_eq!(
        verify(&signed, &zone()).identity.as_deref(),
        Some("alice@mail.a.test")
    );
    assert_eq!(
        reason(&signed, &format!("s1._domainkey.a.test TXT {p}; t=s")),
        Reason::KeyStrict
    );
}

#[test]
fn signatures_are_limited_in_number() {
    let mut message = MESSAGE.to_owned();
    for _ in 0..12 {
        message = sign(profile(), &message);
    }
    let reports = verify_with(Config::default(), message.as_bytes(), &zone(), NOW);
    let passed = reports.iter().filter(|r| r.verdict == Verdict::Pass).count();
    assert_eq!((passed, reports.len()), (10, 11));
    assert_eq!(reports[10].reason, Some(Reason::TooManySignatures));
}

#[test]
fn headers_are_limited_in_size() {
    let mut config = Config::default();
    config.max_header = 100;
    let reports = verify_with(config, sign(profile(), MESSAGE).as_bytes(), &zone(), NOW);
    assert_eq!(reports[0].reason, Some(Reason::HeaderTooLarge));
    let mut signer = Signer::with([Arc::new(profile())], 100, &Ring::default());
    signer.push(MESSAGE.as_bytes());
    assert_eq!(signer.finish(NOW), Err(SignError::HeaderTooLarge));
}

#[test]
fn what_cannot_be_signed() {
    let finish = |profile: Profile, message: &str| {
        let mut signer = Signer::new([Arc::new(profile)]);
        signer.push(message.as_bytes());
        signer.finish(NOW)
    };
    assert_eq!(finish(profile(), "To: b@b.test\r\n\r\n"), Err(SignError::NoFrom));
    let mut no_from = profile();
    no_from.headers = vec!["To".to_owned()];
    assert_eq!(finish(no_from, MESSAGE), Err(SignError::FromNotSigned));
    let mut bad = profile();
    bad.selector = "s; d=b.test".to_owned();
    assert_eq!(finish(bad, MESSAGE), Err(SignError::BadProfile));
}

#[test]
fn messages_without_body_or_header() {
    for message in ["From: a@a.test\r\n", "From: a@a.test\r\n\r\n", "From: a@a.test"] {
        let fields = sign(profile(), message);
        assert_eq!(verify(&fields, &zone()).verdict, Verdict::Pass, "{message:?}");
    }
    for message in ["", "\r\n", "\r\n\r\nFrom: a@a.test\r\n"] {
        assert_eq!(verify_with(Config::default(), message.as_bytes(), "", NOW), []);
    }
}

#[test]
fn keys_follow_each_other() {
    let rotation = Rotation::new()
        .with(100, Arc::new(Profile::new("a.test", "old", key())))
        .with(200, Arc::new(Profile::new("a.test", "new", key())));
    let at = |now| {
        rotation
            .at(now)
            .iter()
            .map(|p| p.selector.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (at(99), at(199), at(200)),
        (vec![], vec!["old".to_owned()], vec!["new".to_owned()])
    );
}

#[test]
fn keys_in_pem() {
    let key = RingKey::from_pem(&RingKey::ed25519_pem(&[7; 32])).unwrap();
    assert_eq!(key.record(), self::key().record());
    assert_eq!(KeyRecord::parse(key.record().as_bytes()).unwrap().bits(), 256);
    assert!(!format!("{key:?}").contains("Bwc"));
    assert!(RingKey::from_pem("no key").is_err());
    assert!(RingKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").is_err());
}

/// A body of symbols of three bits each: line ends and white space mostly.
fn body(symbols: [u64; 3], len: u32) -> Vec<u8> {
    let symbol = |place: u32| symbols[place as usize / 20] >> (3 * (place % 20)) & 7;
    let octets = (0..len).flat_map(|place| match symbol(place) {
        0 => &b"a"[..],
        1 | 2 => b"\r\n",
        3 => b" ",
        4 => b"\t",
        5 => b"\r",
        6 => b"\n",
        _ => b"\xff",
    });
    octets.copied().collect()
}

/// RFC 6376 §3.4.3 and §3.4.4 on a whole body, as plainly as can be.
fn plain(way: Canonicalization, body: &[u8]) -> Vec<u8> {
    let text: Vec<char> = body.iter().map(|b| char::from(*b)).collect();
    let text: String = text.into_iter().collect();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    if way == Canonicalization::Relaxed {
        for line in &mut lines {
            let mut out = String::new();
            for c in line.chars() {
                match c {
                    ' ' | '\t' if out.ends_with(' ') => {}
                    ' ' | '\t' => out.push(' '),
                    c => out.push(c),
                }
            }
            *line = out.trim_end_matches(' ').to_owned();
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let mut out: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    if out.is_empty() && way == Canonicalization::Simple {
        out.push_str("\r\n");
    }
    out.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn body_hashes_do_not_depend_on_cuts(symbols in any::<[u64; 3]>(), len in 0u32..60, relaxed in any::<bool>(), limit in proptest::option::of(0u64..30), sizes in 1u32..1 << 12) {
        let body = body(symbols, len);
        let sizes = [0, 3, 6, 9].map(|shift| 1 + (sizes >> shift & 7) as usize);
        let way = if relaxed { Canonicalization::Relaxed } else { Canonicalization::Simple };
        let expected = plain(way, &body);
        let mut hasher = BodyHasher::new(way, limit, &Ring::default());
        let (mut rest, mut turn) = (&body[..], 0);
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
            hasher.push(chunk);
            (rest, turn) = (tail, turn + 1);
        }
        let hash = hasher.finish();
        prop_assert_eq!(hash.octets, expected.len() as u64);
        let mut sha256 = Ring::default().sha256();
        sha256.update(&expected[..limit.map_or(expected.len(), |l| expected.len().min(l as usize))]);
        prop_assert_eq!(hash.sha256, sha256.finish());
    }
}

proptest! {
    /// A message cut anywhere signs and verifies alike.
    #[test]
    fn cuts_make_no_difference(body in "[ \t\r\na-z]{0,200}", sizes in proptest::collection::vec(1usize..60, 1..6)) {
        let message = format!("From: a@a.test\r\nSubject: x\r\n\r\n{body}");
        let mut signer = Signer::new([Arc::new(profile())]);
        let pieces = |text: &str, push: &mut dyn FnMut(&[u8])| {
            let (mut rest, mut turn) = (text.as_bytes(), 0);
            while !rest.is_empty() {
                let (chunk, tail) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
                push(chunk);
                (rest, turn) = (tail, turn + 1);
            }
        };
        pieces(&message, &mut |chunk| signer.push(chunk));
        let signed = sign(profile(), &message);
        prop_assert_eq!(&(signer.finish(NOW).unwrap() + &message), &signed);
        let mut verifier = Verifier::new(Arc::new(Config::default()), NOW);
        pieces(&signed, &mut |chunk| verifier.push(chunk));
        verifier.finish();
        let mut dns = Zone::of(&zone());
        let reports = drive!(verifier, dns);
        prop_assert_eq!(&reports[0].verdict, &Verdict::Pass);
    }

    #[test]
    fn any_field_is_read(value in "([a-z]{1,2}=[ -~\r\n\t]{0,20};?){0,9}", key in "([a-z]=[ -~]{0,20};?){0,6}") {
        let message = format!("DKIM-Signature: {value}\r\nFrom: a@a.test\r\n\r\nx\r\n");
        let mut dns = Zone::new();
        let mut verifier = Verifier::new(Arc::new(Config::default()), NOW);
        verifier.push(message.as_bytes());
        verifier.finish();
        let reports = drive!(verifier, dns);
        prop_assert!(reports.iter().all(|r| r.verdict != Verdict::Pass));
        let _ = KeyRecord::parse(key.as_bytes());
    }
}
