//! Where mail comes from, checked by a server over loopback, with a made-up DNS; and mail signed by it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets

#[path = "support/dns.rs"]
mod dns;
#[allow(dead_code, unreachable_pub)] // these tests use a part of them
#[path = "support/lines.rs"]
mod lines;
#[allow(dead_code, unreachable_pub)]
#[path = "support/receiver.rs"]
mod receiver;
#[allow(dead_code, unreachable_pub)]
#[path = "support/sink.rs"]
mod sink;

use dns::{DnsServer, Zone};
use mailwright_auth::arc::Sealer;
use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_auth::dkim::{self, Profile, Signer};
use mailwright_auth::dmarc::Policy;
use mailwright_auth::dmarc::aggregate::{Aggregate, Limits};
use mailwright_auth::{
    AuthenticationResults, Checked, Checker, Envelope, Keyword, MethodResult, Step, Verdict,
};
use mailwright_dns::{Answer, Negative, Record, Records, Security, Txt};
use mailwright_server::Config;
use mailwright_server::config::{AuthMode, DkimKey, Endpoint, EndpointHost};
use mailwright_server::judge::{Change, Filter, HeaderField, Judging, Message, Ruling, Transaction};
use receiver::{Receiver, transfer};
use sink::{Script, Sink};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BOB: [&str; 1] = ["bob@b.test"];

fn zone() -> Zone {
    Zone::new()
        .ptr("1.0.0.127.in-addr.arpa", "out.c.test")
        .a("out.c.test", "127.0.0.1")
        .txt("c.test", "v=spf1 ip4:127.0.0.1 -all")
        .txt("_dmarc.c.test", "v=DMARC1; p=reject")
        .txt("elsewhere.test", "v=spf1 ip4:192.0.2.1 -all")
        .txt("_dmarc.reject.test", "v=DMARC1; p=reject")
        .txt("s._domainkey.reject.test", &key().record())
        .txt("_dmarc.quarantine.test", "v=DMARC1; p=quarantine")
        .txt("_dmarc.none.test", "v=DMARC1; p=none")
        .txt("s._domainkey.lists.test", &key().record())
        .servfail("_dmarc.broken.test")
        // Whose servers are not found for the time being: what is spooled for them stays spooled.
        .mx("c.test", 0, "mx.broken.test")
        .mx("d.test", 0, "mx.broken.test")
        .mx("elsewhere.test", 0, "mx.broken.test")
        .servfail("mx.broken.test")
        .mx("refuses.test", 0, ".")
}

fn key() -> RingKey {
    RingKey::from_ed25519_seed(&[7; 32])
}

async fn site(dns: &DnsServer, change: impl FnOnce(&mut Config)) -> Receiver {
    Receiver::start(Vec::new(), |config| {
        config.outbound.resolver = Some(dns.address());
        config.auth.mode = AuthMode::Enforce;
        config.auth.trusted.clear();
        change(config);
    })
    .await
}

fn message(from: &str) -> String {
    format!(
        "From: {from}\r\nTo: bob@b.test\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"
    )
}

fn signed(domain: &str, message: &str) -> String {
    let profile = Profile::new(domain, "s", Arc::new(key()));
    let mut signer = Signer::new([Arc::new(profile)]);
    signer.push(message.as_bytes());
    let now = u64::try_from(mailwright_server::unix_now()).unwrap();
    signer.finish(now).unwrap() + message
}

/// What our server wrote into a message about a method.
fn verdict(mail: &str, method: &Keyword) -> Vec<Verdict> {
    let fields = mailwright_message::header::fields(mail.as_bytes());
    let results = fields
        .filter(|field| field.is("Authentication-Results"))
        .filter_map(|field| AuthenticationResults::parse(field.value).ok())
        .filter(|results| results.is_from("mail.b.test"));
    results
        .flat_map(|results| {
            results
                .of(method)
                .map(|it| it.verdict.clone())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_marked_and_what_was_forged_is_gone() {
    let dns = DnsServer::start(zone());
    let site = site(&dns, |config| config.auth.received_spf = true).await;
    let forged = format!(
        "Authentication-Results: mail.b.test; dkim=pass header.d=bank.test\r\n{}",
        message("carol@c.test")
    );
    site.send("carol@c.test", &BOB, &forged, "250").await;
    let mail = &site.mail("bob@b.test", "INBOX").await[0];
    assert!(
        mail.starts_with("Return-Path: <carol@c.test>\r\nAuthentication-Results: mail.b.test;"),
        "{mail}"
    );
    assert!(!mail.contains("bank.test"), "{mail}");
    let of = |method| verdict(mail, &method);
    assert_eq!(of(Keyword::IPREV), [Verdict::Pass], "{mail}");
    // client.example is not in the DNS, and has no SPF.
    assert_eq!(of(Keyword::SPF), [Verdict::Pass], "{mail}");
    assert_eq!(of(Keyword::DKIM), [Verdict::None], "{mail}");
    assert_eq!(of(Keyword::DMARC), [Verdict::Pass], "{mail}");
    let order = [
        "Authentication-Results:",
        "Received-SPF: pass",
        "Received: from",
        "From: ",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|part| mail.find(part).unwrap_or_else(|| panic!("{part}: {mail}")))
        .collect();
    assert!(places.is_sorted(), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_done_and_spf_alone_refuses_nothing() {
    let dns = DnsServer::start(zone());
    let site = site(&dns, |_| {}).await;
    site.send("x@elsewhere.test", &BOB, &message("x@elsewhere.test"), "250")
        .await;
    let mail = &site.mail("bob@b.test", "INBOX").await[0];
    assert_eq!(verdict(mail, &Keyword::SPF), [Verdict::Fail], "{mail}");
    // SPF passes for another domain than the author's.
    let refused = site
        .send("carol@c.test", &BOB, &message("boss@reject.test"), "550 5.7.1")
        .await;
    assert!(
        refused.contains("reject.test") && refused.contains("DMARC"),
        "{refused}"
    );
    site.send("carol@c.test", &BOB, &message("boss@quarantine.test"), "250")
        .await;
    site.send("carol@c.test", &BOB, &message("boss@none.test"), "250")
        .await;
    let [junk] = &site.mail("bob@b.test", "Junk").await[..] else {
        panic!()
    };
    assert_eq!(verdict(junk, &Keyword::DMARC), [Verdict::Fail]);
    let inbox = site.mail("bob@b.test", "INBOX").await;
    assert_eq!(inbox.len(), 2);
    assert_eq!(verdict(&inbox[1], &Keyword::DMARC), [Verdict::Fail]);
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_have_modes_of_their_own() {
    let dns = DnsServer::start(zone());
    let site = site(&dns, |config| {
        config.domains.push("mild.test".parse().unwrap());
        config.domains.push("off.test".parse().unwrap());
        for alias in ["bob@mild.test", "bob@off.test"] {
            config
                .aliases
                .insert(alias.into(), vec!["bob@b.test".parse().unwrap()]);
        }
        config
            .auth
            .recipients
            .insert("mild.test".parse().unwrap(), AuthMode::Mark);
        config
            .auth
            .recipients
            .insert("off.test".parse().unwrap(), AuthMode::Off);
        config
            .auth
            .senders
            .insert("partner.test".parse().unwrap(), AuthMode::Mark);
    })
    .await;
    dns.set_zone(zone().txt("_dmarc.partner.test", "v=DMARC1; p=reject"));
    let text = message("boss@reject.test");
    site.send("carol@c.test", &["bob@mild.test"], &text, "250").await;
    site.send("carol@c.test", &BOB, &message("boss@partner.test"), "250")
        .await;
    let inbox = site.mail("bob@b.test", "INBOX").await;
    assert_eq!(inbox.len(), 2);
    assert!(
        inbox
            .iter()
            .all(|mail| verdict(mail, &Keyword::DMARC) == [Verdict::Fail])
    );
    // One answer for those who want it refused and those who do not.
    site.send("carol@c.test", &["alice@b.test", "bob@mild.test"], &text, "250")
        .await;
    assert_eq!(site.mail("alice@b.test", "Junk").await.len(), 1);
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 3);
    let asked = dns.log().len();
    site.send("carol@c.test", &["bob@off.test"], &text, "250").await;
    assert_eq!(
        dns.log().len(),
        asked,
        "nothing is asked for a domain that wants nothing checked"
    );
    assert!(verdict(&site.mail("bob@b.test", "INBOX").await[3], &Keyword::DMARC).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_count_where_spf_does_not_pass() {
    let dns = DnsServer::start(zone());
    let site = site(&dns, |_| {}).await;
    let mut long = message("boss@reject.test");
    for line in 0..30_000 {
        long.push_str(&format!("line {line} of a message that is long\r\n"));
    }
    site.send("x@elsewhere.test", &BOB, &signed("reject.test", &long), "250")
        .await;
    let mail = &site.mail("bob@b.test", "INBOX").await[0];
    assert_eq!(verdict(mail, &Keyword::DKIM), [Verdict::Pass]);
    assert_eq!(verdict(mail, &Keyword::DMARC), [Verdict::Pass]);
    let broken = signed("reject.test", &long).replace("line 29999", "line 30000");
    site.send("x@elsewhere.test", &BOB, &broken, "550 5.7.1").await;
    // It passes, for a domain that is not the author's.
    site.send(
        "x@elsewhere.test",
        &BOB,
        &signed("lists.test", &long),
        "550 5.7.1",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_list_is_believed_if_it_is_named() {
    let dns = DnsServer::start(zone());
    let original = signed("reject.test", &message("boss@reject.test"));
    // The list has seen DMARC pass, and changes the subject.
    let changed = original.replace("Subject: hello", "Subject: [list] hello");
    let mut seen = AuthenticationResults::new("lists.test");
    seen.results
        .push(MethodResult::new(Keyword::DMARC, Verdict::Pass));
    let profile = Arc::new(Profile::new("lists.test", "s", Arc::new(key())));
    let chain = check(original.as_bytes()).arc.unwrap();
    assert_eq!(chain.verdict, Verdict::None);
    let mut sealer = Sealer::new(profile, seen, &chain);
    sealer.push(changed.as_bytes());
    let now = u64::try_from(mailwright_server::unix_now()).unwrap();
    let sealed = sealer.finish(now).unwrap() + &changed;

    let strict = site(&dns, |_| {}).await;
    strict
        .send("list@elsewhere.test", &BOB, &sealed, "550 5.7.1")
        .await;
    let believing = site(&dns, |config| {
        config.auth.arc_sealers.push("Lists.test".parse().unwrap());
    })
    .await;
    believing.send("list@elsewhere.test", &BOB, &sealed, "250").await;
    let mail = &believing.mail("bob@b.test", "INBOX").await[0];
    assert_eq!(verdict(mail, &Keyword::ARC), [Verdict::Pass], "{mail}");
    assert_eq!(verdict(mail, &Keyword::DMARC), [Verdict::Fail], "{mail}");
    // Who changes it behind the seal is not believed.
    let again = sealed.replace("Hello\r\n", "Buy this\r\n");
    believing
        .send("list@elsewhere.test", &BOB, &again, "550 5.7.1")
        .await;
}

/// All checks, with the keys of the zone alone.
fn check(message: &[u8]) -> Checked {
    let envelope = Envelope::new([127, 0, 0, 1].into(), "x.test", "");
    let mut checker = Checker::new(
        &Arc::default(),
        &envelope,
        u64::try_from(mailwright_server::unix_now()).unwrap(),
    );
    checker.push(message);
    checker.finish();
    loop {
        match checker.poll() {
            Step::Ask(question) => {
                let name = question.name.clone();
                let txt = Record::Txt(Txt::new([key().record().as_bytes()]));
                let answer = match name.to_string().contains("_domainkey") {
                    true => Answer::Records(Records::new(name, [txt], Security::Insecure)),
                    false => Answer::NxDomain(Negative::new(name, Security::Insecure)),
                };
                checker.answer(&question, &answer);
            }
            Step::Wait => unreachable!("every question is answered at once"),
            Step::Ready(checked) => break checked,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_for_the_time_being_defer_only_if_that_is_wanted() {
    let dns = DnsServer::start(zone());
    let text = message("x@broken.test");
    let usual = site(&dns, |_| {}).await;
    usual.send("carol@c.test", &BOB, &text, "250").await;
    let mail = &usual.mail("bob@b.test", "INBOX").await[0];
    assert_eq!(verdict(mail, &Keyword::DMARC), [Verdict::TempError], "{mail}");
    let careful = site(&dns, |config| config.auth.defer_on_errors = true).await;
    careful.send("carol@c.test", &BOB, &text, "451 4.4.3").await;
    careful
        .send("carol@c.test", &BOB, &message("carol@c.test"), "250")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dns_that_is_silent_holds_nothing_up_for_long() {
    let dns = DnsServer::start(zone().silent("slow.test").silent("_dmarc.slow.test"));
    let site = site(&dns, |config| config.auth.timeout = Duration::from_millis(300)).await;
    let begun = Instant::now();
    site.send("x@slow.test", &BOB, &message("x@slow.test"), "250")
        .await;
    // The resolver itself would try for longer than a test has patience.
    assert!(begun.elapsed() < Duration::from_secs(20));
    let mail = &site.mail("bob@b.test", "INBOX").await[0];
    assert_eq!(verdict(mail, &Keyword::SPF), [Verdict::TempError], "{mail}");
    assert_eq!(verdict(mail, &Keyword::DMARC), [Verdict::TempError], "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_trusted_or_known_is_not_checked() {
    let dns = DnsServer::start(zone());
    let text = message("boss@reject.test");
    let usual = site(&dns, |config| {
        config.auth.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    usual.send("carol@c.test", &BOB, &text, "250").await;
    let strict = site(&dns, |_| {}).await;
    let mut c = strict.connect("lmtp").await;
    transfer(&mut c, "carol@c.test", &BOB, &text, "250").await;
    let mut c = strict.submit_as("alice@b.test").await;
    transfer(&mut c, "alice@b.test", &BOB, &text, "250").await;
    assert_eq!(dns.log(), Vec::<String>::new());
}

const KEYS: [(&str, [u8; 32]); 3] = [("one", [1; 32]), ("two", [2; 32]), ("three", [3; 32])];

/// The site's own keys; the third one begins in the far future.
fn own_keys(config: &mut Config) {
    for (selector, seed) in KEYS {
        let file = config.data.join(selector);
        std::fs::write(&file, RingKey::ed25519_pem(&seed)).unwrap();
        let mut key = DkimKey::new("b.test".parse().unwrap(), selector, file);
        key.from = if selector == "three" {
            1 << 40
        } else {
            u64::from(selector == "two")
        };
        config.dkim.push(key);
    }
}

fn verify(message: &str) -> Vec<dkim::Report> {
    let now = u64::try_from(mailwright_server::unix_now()).unwrap();
    let mut verifier = dkim::Verifier::new(Arc::default(), now);
    verifier.push(message.as_bytes());
    verifier.finish();
    loop {
        match verifier.poll() {
            Step::Ask(question) => {
                let name = question.name.to_string();
                let found = KEYS
                    .iter()
                    .find(|(selector, _)| name.starts_with(&format!("{selector}._domainkey.b.test")));
                let record = RingKey::from_ed25519_seed(&found.expect("one of ours").1).record();
                let txt = Record::Txt(Txt::new([record.as_bytes()]));
                let records = Records::new(question.name.clone(), [txt], Security::Insecure);
                verifier.answer(&question, Answer::Records(records));
            }
            Step::Wait => unreachable!("every question is answered at once"),
            Step::Ready(reports) => break reports,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_accounts_submit_is_signed_with_the_key_of_the_time() {
    let dns = DnsServer::start(zone());
    let site = site(&dns, own_keys).await;
    let mut c = site.submit_as("alice@b.test").await;
    let to = ["dave@d.test"];
    // Without Date and Message-ID, which are added before it is signed.
    transfer(
        &mut c,
        "alice@b.test",
        &to,
        "From: alice@b.test\r\n\r\nHi  Dave \r\n\r\n\r\n",
        "250",
    )
    .await;
    // Another domain's author: the domain of the account answers for it.
    transfer(&mut c, "alice@b.test", &to, &message("boss@reject.test"), "250").await;
    let spool = site.spool().await;
    for (record, mail) in &spool {
        assert!(mail.starts_with("DKIM-Signature: v=1;"), "{mail}");
        let [report] = &verify(mail)[..] else {
            panic!("{mail}")
        };
        assert_eq!(
            (&report.verdict, &*report.domain, &*report.selector),
            (&Verdict::Pass, "b.test", "two"),
            "{mail}"
        );
        assert_eq!(record.size, mail.len() as u64);
    }
    assert_eq!(spool.len(), 2);
    // What an alias sends on is not ours.
    site.send(
        "x@elsewhere.test",
        &["team@b.test"],
        &message("x@elsewhere.test"),
        "250",
    )
    .await;
    let relayed = &site.spool().await[2].1;
    assert!(!relayed.contains("DKIM-Signature"), "{relayed}");
}

/// Whether dkimpy verifies a message with this key; nothing if it is not installed.
fn dkimpy(record: &str, message: &[u8]) -> Option<bool> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../auth/tests/dkim_peers.py");
    // The distribution's own has its packages, whichever comes first in PATH.
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let probe = Command::new(python).arg(&script).arg("probe").output();
        probe.is_ok_and(|probe| probe.status.success())
    });
    let mut child = Command::new(python?)
        .arg(&script)
        .args(["verify", record])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    Some(output.stdout.trim_ascii() == b"True")
}

#[tokio::test(flavor = "multi_thread")]
async fn dkimpy_verifies_what_leaves() {
    let rsa = include_str!("../../auth/tests/data/rsa2048.pem");
    for pem in [RingKey::ed25519_pem(&[3; 32]), rsa.to_owned()] {
        let record = RingKey::from_pem(&pem).unwrap().record();
        let sink = Sink::start(Script::takes_all()).await;
        let dns = DnsServer::start(zone());
        let site = site(&dns, |config| {
            let file = config.data.join("key");
            std::fs::write(&file, &pem).unwrap();
            config
                .dkim
                .push(DkimKey::new("b.test".parse().unwrap(), "s", file));
            let at = sink.address;
            let endpoint = Endpoint::new(EndpointHost::Address(at.ip()), at.port());
            config
                .outbound
                .routes
                .insert("d.test".parse().unwrap(), endpoint.into());
        })
        .await;
        let mut c = site.submit_as("alice@b.test").await;
        // Dots are doubled on the way, lines are long, and there is white space that canonicalization is about.
        let text = format!(
            "From: alice@b.test\r\nTo: dave@d.test\r\nSubject:  two \t words\r\n\r\n..one\r\n \t\r\nx {}\r\n\r\n\r\n",
            "y".repeat(900)
        );
        transfer(&mut c, "alice@b.test", &["dave@d.test"], &text, "250").await;
        let [taken] = &sink.messages(1).await[..] else {
            panic!("one was sent")
        };
        let mail = String::from_utf8(taken.body.clone()).unwrap();
        assert!(mail.contains("\r\n.one\r\n"), "{mail}");
        match dkimpy(&record, &taken.body) {
            None => eprintln!("skipped: no python3 has dkimpy with PyNaCl"),
            Some(verified) => {
                assert!(verified, "{record}\n{mail}");
                let changed = mail.replace(".one", ".two");
                assert_eq!(dkimpy(&record, changed.as_bytes()), Some(false));
            }
        }
    }
}

/// Puts a field on top, and one into the header.
#[derive(Debug)]
struct Changes;

impl Filter for Changes {
    fn name(&self) -> &str {
        "changes"
    }

    fn message<'a>(&'a self, _: &'a Transaction, _: &'a Message<'a>) -> Judging<'a> {
        let subject = HeaderField::new("Subject", "other").unwrap();
        let replace = Change::Replace {
            name: "Subject".into(),
            nth: 1,
            field: subject,
        };
        Box::pin(async move { Ruling::accept().with(replace) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_changes_is_signed_as_it_leaves() {
    let dns = DnsServer::start(zone());
    let address = dns.address();
    let site = Receiver::start(vec![Arc::new(Changes)], |config| {
        config.outbound.resolver = Some(address);
        own_keys(config);
    })
    .await;
    let mut c = site.submit_as("alice@b.test").await;
    transfer(
        &mut c,
        "alice@b.test",
        &["dave@d.test"],
        &message("alice@b.test"),
        "250",
    )
    .await;
    let mail = &site.spool().await[0].1;
    assert!(mail.contains("\r\nSubject: other\r\n"), "{mail}");
    assert_eq!(verify(mail)[0].verdict, Verdict::Pass, "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_signed_too() {
    let dns = DnsServer::start(zone());
    let site = site(&dns, |config| {
        own_keys(config);
        config
            .aliases
            .insert("away".into(), vec!["dave@refuses.test".parse().unwrap()]);
    })
    .await;
    let text = message("x@elsewhere.test");
    site.send("x@elsewhere.test", &["away@b.test"], &text, "250")
        .await;
    let begun = Instant::now();
    let notice = loop {
        let spool = site.spool().await;
        if let Some((_, mail)) = spool.iter().find(|(_, mail)| mail.contains("multipart/report")) {
            break mail.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{spool:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let [report] = &verify(&notice)[..] else {
        panic!("{notice}")
    };
    assert_eq!(
        (&report.verdict, &*report.domain),
        (&Verdict::Pass, "b.test"),
        "{notice}"
    );
}

const ASKS: &str = "v=DMARC1; p=reject; rua=mailto:r@d.test,mailto:x@nobody.test,mailto:own@mail.asks.test,mailto:small@mail.asks.test!100,mailto:e@e.test,mailto:f@f.test";

fn zone_that_asks() -> Zone {
    zone()
        .txt("_dmarc.asks.test", ASKS)
        .txt("asks.test._report._dmarc.d.test", "v=DMARC1")
        // RFC 9990 §4: another address of the host counts instead, and one elsewhere means none.
        .txt(
            "asks.test._report._dmarc.e.test",
            "v=DMARC1; rua=mailto:victim@g.test",
        )
        .txt(
            "asks.test._report._dmarc.f.test",
            "v=DMARC1; rua=mailto:both@f.test",
        )
        .mx("f.test", 0, "mx.broken.test")
        .servfail("mail.asks.test")
        .servfail("nobody.test")
}

fn report_file(config: &Config, days_ago: u64) -> std::path::PathBuf {
    let today = u64::try_from(mailwright_server::unix_now()).unwrap() / 86_400;
    config
        .data
        .join("dmarc-reports")
        .join(format!("{}-asks.test.xml", today - days_ago))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_dmarc_is_counted_kept_and_reported() {
    let dns = DnsServer::start(zone_that_asks());
    let mut file = None;
    let site = site(&dns, |config| {
        config.auth.reports = Some("dmarc@b.test".parse().unwrap());
        file = Some(report_file(config, 0));
    })
    .await;
    for _ in 0..2 {
        site.send("carol@c.test", &BOB, &message("x@asks.test"), "550 5.7.1")
            .await;
    }
    site.send("carol@c.test", &BOB, &message("carol@c.test"), "250")
        .await;
    let Receiver { running, .. } = &site;
    running.shared().shutdown.begin();
    let (file, begun) = (file.unwrap(), Instant::now());
    while !file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kept = std::fs::read(&file).unwrap();
    let report = Aggregate::parse(&kept, &Limits::default()).unwrap();
    let [row] = &report.rows[..] else {
        panic!("{report:?}")
    };
    assert_eq!((row.count, row.source), (2, Some([127, 0, 0, 1].into())));
    assert_eq!(
        (row.facts.disposition, row.facts.spf_aligned),
        (Policy::Reject, false)
    );
    assert_eq!(
        (&*row.facts.header_from, &*report.policy.domain),
        ("asks.test", "asks.test")
    );

    // Days later, at the next start, it is sent to those who may have it and have room for it.
    let mut old = None;
    let later = self::site(&dns, |config| {
        config.auth.reports = Some("dmarc@b.test".parse().unwrap());
        own_keys(config);
        let path = report_file(config, 3);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let begin = report.metadata.begin;
        let text = String::from_utf8(kept.clone()).unwrap();
        let text = text.replace(
            &format!("<begin>{begin}<"),
            &format!("<begin>{}<", begin - 3 * 86_400),
        );
        std::fs::write(&path, text).unwrap();
        old = Some(path);
    })
    .await;
    let begun = Instant::now();
    while old.as_ref().unwrap().exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let spool = later.spool().await;
    let mut to: Vec<_> = spool
        .iter()
        .map(|(record, _)| record.recipients[0].address.to_string())
        .collect();
    to.sort();
    // RFC 9989 §4.8: how large it may be counts no more.
    assert_eq!(
        to,
        [
            "both@f.test",
            "own@mail.asks.test",
            "r@d.test",
            "small@mail.asks.test"
        ]
    );
    for (_, mail) in &spool {
        let sent = Aggregate::from_message(mail.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(sent.rows, report.rows);
        assert!(
            mail.contains("Report Domain: asks.test Submitter: mail.b.test"),
            "{mail}"
        );
        assert_eq!(verify(mail)[0].verdict, Verdict::Pass, "{mail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_dmarc_outlives_a_crash() {
    let dns = DnsServer::start(zone_that_asks());
    let with_reports = |config: &mut Config| config.auth.reports = Some("dmarc@b.test".parse().unwrap());
    let crashed = site(&dns, with_reports).await;
    let journal = crashed.data().join("dmarc-reports/journal");
    for _ in 0..3 {
        crashed
            .send("carol@c.test", &BOB, &message("x@asks.test"), "550 5.7.1")
            .await;
    }
    // All three are in the journal, or in the file that it goes into.
    let folder = journal.parent().unwrap();
    let kept = || -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| Some((file.file_name(), std::fs::read(file.path()).ok()?)))
            .collect()
    };
    let begun = Instant::now();
    let files = loop {
        let files = kept();
        let text: Vec<u8> = files.iter().flat_map(|(_, text)| text.clone()).collect();
        let text = String::from_utf8_lossy(&text);
        let is_whole = text.matches("<count>1<").count() == 3 || text.contains("<count>3<");
        if is_whole && files.len() == 1 {
            break files;
        }
        assert!(begun.elapsed() < Duration::from_secs(150), "{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // Another server begins with what was there at that moment, and with a note that was cut off in the middle.
    let next = site(&dns, |config| {
        with_reports(config);
        let folder = config.data.join("dmarc-reports");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in &files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let mut cut = std::fs::read(folder.join("journal")).unwrap_or_default();
        cut.extend_from_slice(b"<feedback><record>");
        std::fs::write(folder.join("journal"), cut).unwrap();
    })
    .await;
    let begun = Instant::now();
    let folder = next.data().join("dmarc-reports");
    let report = loop {
        let file = std::fs::read_dir(&folder).unwrap().flatten().find(|file| {
            let name = file.file_name();
            name.to_string_lossy().ends_with("-asks.test.xml")
        });
        let report = file
            .and_then(|file| Aggregate::parse(&std::fs::read(file.path()).ok()?, &Limits::default()).ok());
        match report {
            Some(report) if !folder.join("journal").exists() => break report,
            _ => assert!(begun.elapsed() < Duration::from_secs(60), "it is not kept"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(report.rows.iter().map(|row| row.count).sum::<u64>(), 3);
}
