//! DKIM and SPF: messages signed and verified next to hashing alone, and a record of ten lookups.
//!
//! `sha256` is the limit of DKIM: what it costs to hash the octets of the message and nothing else, with the same
//! library. `relaxed` and `simple` name the form of the body; headers are relaxed. Messages come in pieces of 16 KiB, as
//! from a socket. Keys are Ed25519 and RSA of 2048 bits; DNS answers are at hand.
//!
//! With the feature `peers`, mail-auth signs the same fields of the same messages, which it is given whole, and verifies
//! what it signed: `cargo bench -p mailwright-benches --features peers --ignore-rust-version --bench auth`. Both use
//! `ring`.
#![allow(missing_docs)] // `criterion_group!` makes public items

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mailwright_auth::crypto::{Provider, Ring, RingKey, SigningKey};
use mailwright_auth::dkim::{Canonicalization, Config, Profile, Signer, Verifier};
use mailwright_auth::{Step, Verdict, spf};
use mailwright_benches::CpuTime;
use mailwright_dns::{Answer, Name, Negative, Question, Record, RecordType, Records, Security, Txt};
use std::hint::black_box;
use std::sync::Arc;

const NOW: u64 = 1_700_000_000;
const READ: usize = 16 * 1024;
/// The fields that are signed, all of which the messages have.
const HEADERS: [&str; 5] = ["From", "To", "Subject", "Date", "Message-ID"];
const SEED: [u8; 32] = [7; 32];
const RSA: &str = include_str!("../../crates/auth/tests/data/rsa2048.pem");

/// A message of text, with the blanks and short lines that text has.
fn message(size: usize) -> Vec<u8> {
    let mut message = b"From: Alice <alice@a.test>\r\nTo: bob@b.test\r\nSubject: Figures\r\n\
        Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <1@a.test>\r\n\r\n"
        .to_vec();
    let words = [
        "the",
        "message",
        "is",
        "read",
        "by",
        "everybody",
        "who",
        "gets",
        "it",
    ];
    for line in 0.. {
        if message.len() >= size {
            break;
        }
        for word in 0..9 + line % 5 {
            message.extend_from_slice(words[(line * 7 + word * 5) % words.len()].as_bytes());
            message.push(b' ');
        }
        message.pop();
        message.extend_from_slice(b"\r\n");
    }
    message
}

fn sign(profile: &Arc<Profile>, message: &[u8]) -> String {
    let mut signer = Signer::new([Arc::clone(profile)]);
    for chunk in message.chunks(READ) {
        signer.push(chunk);
    }
    signer.finish(NOW).expect("the message can be signed")
}

fn verify(config: &Arc<Config>, message: &[u8], key: &Answer) -> Verdict {
    let mut verifier = Verifier::new(Arc::clone(config), NOW);
    for chunk in message.chunks(READ) {
        verifier.push(chunk);
    }
    verifier.finish();
    loop {
        match verifier.poll() {
            Step::Ask(question) => verifier.answer(&question, key.clone()),
            Step::Ready(reports) => return reports[0].verdict.clone(),
            Step::Wait => unreachable!("the message has ended"),
        }
    }
}

fn dkim(c: &mut Criterion<CpuTime>) {
    let keys: [(&str, Arc<dyn SigningKey>); 2] = [
        ("ed25519", Arc::new(RingKey::from_ed25519_seed(&SEED))),
        ("rsa", Arc::new(RingKey::from_pem(RSA).expect("a key"))),
    ];
    let config = Arc::new(Config::default());
    for (size, name) in [(4 << 10, "4KiB"), (10 << 20, "10MiB")] {
        let message = message(size);
        let mut group = c.benchmark_group(format!("dkim {name}"));
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function("sha256", |b| {
            b.iter(|| {
                let mut hasher = Ring::default().sha256();
                message.chunks(READ).for_each(|chunk| hasher.update(chunk));
                black_box(hasher.finish())
            });
        });
        for (kind, key) in &keys {
            for way in [Canonicalization::Relaxed, Canonicalization::Simple] {
                let mut profile = Profile::new("a.test", "s", Arc::clone(key));
                profile.body_way = way;
                profile.headers = HEADERS.map(str::to_owned).to_vec();
                profile.oversigned.clear();
                let profile = Arc::new(profile);
                group.bench_function(format!("sign {kind} {way}"), |b| {
                    b.iter(|| black_box(sign(&profile, &message)));
                });
                let signed = [sign(&profile, &message).as_bytes(), &message].concat();
                let record = Record::Txt(Txt::new(key.record().as_bytes().chunks(255)));
                let owner = Name::parse("s._domainkey.a.test").expect("a name");
                let answer = Answer::Records(Records::new(owner, [record], Security::Insecure));
                assert_eq!(verify(&config, &signed, &answer), Verdict::Pass);
                group.bench_function(format!("verify {kind} {way}"), |b| {
                    b.iter(|| black_box(verify(&config, &signed, &answer)));
                });
                #[cfg(feature = "peers")]
                if way == Canonicalization::Relaxed {
                    peers::dkim(&mut group, kind, &key.record(), &SEED, &message);
                }
            }
        }
        group.finish();
    }
}

/// Nine includes and an `a`, the last of which matches.
fn answer(question: &Question) -> Answer {
    let name = question.name.clone();
    let text = name.to_string();
    let record = match (question.record_type, text.as_str()) {
        (RecordType::Txt, "a.test") => {
            let includes: String = (0..9).map(|n| format!(" include:_spf{n}.a.test")).collect();
            Record::Txt(Txt::new([
                format!("v=spf1{includes} a:out.a.test -all").as_bytes()
            ]))
        }
        (RecordType::Txt, _) => Record::Txt(Txt::new([
            &b"v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ~all"[..],
        ])),
        (RecordType::A, _) => Record::A([192, 0, 2, 25].into()),
        _ => return Answer::NxDomain(Negative::new(name, Security::Insecure)),
    };
    Answer::Records(Records::new(name, [record], Security::Insecure))
}

fn check(config: &Arc<spf::Config>) -> (Verdict, usize) {
    let client = "192.0.2.25".parse().expect("an address");
    let mut check = spf::Check::mail_from(client, "mx.a.test", "alice@a.test", Arc::clone(config));
    let mut asked = 0;
    loop {
        match check.poll() {
            Step::Ask(question) => {
                asked += 1;
                check.answer(&question, answer(&question));
            }
            Step::Ready(report) => return (report.verdict, asked),
            Step::Wait => unreachable!("every question is answered at once"),
        }
    }
}

fn spf_lookups(c: &mut Criterion<CpuTime>) {
    let config = Arc::new(spf::Config::default());
    // The record itself, and ten lookups.
    assert_eq!(check(&config), (Verdict::Pass, 11));
    c.bench_function("spf 10 lookups", |b| b.iter(|| black_box(check(&config))));
}

#[cfg(feature = "peers")]
mod peers {
    use super::HEADERS;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use criterion::BenchmarkGroup;
    use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
    use mail_auth::common::headers::HeaderWriter;
    use mail_auth::common::parse::TxtRecordParser;
    use mail_auth::common::verify::DomainKey;
    use mail_auth::dkim::DkimSigner;
    use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
    use mailwright_benches::CpuTime;
    use std::borrow::Borrow;
    use std::hash::Hash;
    use std::hint::black_box;
    use std::sync::Arc;

    /// What stands before the seed of an Ed25519 key in PKCS #8 (RFC 8410 §7).
    const PKCS8: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

    /// Has the key, whatever is asked for.
    struct Keys(Txt);

    impl ResolverCache<String, Txt> for Keys {
        fn get<Q: ?Sized + Hash + Eq>(&self, _: &Q) -> Option<Txt>
        where
            String: Borrow<Q>,
        {
            Some(self.0.clone())
        }

        fn remove<Q: ?Sized + Hash + Eq>(&self, _: &Q) -> Option<Txt>
        where
            String: Borrow<Q>,
        {
            None
        }

        fn insert(&self, _: String, _: Txt, _: std::time::Instant) {}
    }

    pub(super) fn dkim(
        group: &mut BenchmarkGroup<'_, CpuTime>,
        kind: &str,
        record: &str,
        seed: &[u8; 32],
        message: &[u8],
    ) {
        let key = DomainKey::parse(record.as_bytes()).expect("a key record");
        let keys = Keys(Txt::DomainKey(Arc::new(key)));
        if kind == "rsa" {
            let key = RsaKey::<Sha256>::from_rsa_pem(super::RSA).expect("a key");
            return measure(group, kind, DkimSigner::from_key(key), &keys, message);
        }
        let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&[&PKCS8[..], seed].concat()).expect("a key");
        measure(group, kind, DkimSigner::from_key(key), &keys, message);
    }

    fn measure<K: SigningKey<Hasher = Sha256>>(
        group: &mut BenchmarkGroup<'_, CpuTime>,
        kind: &str,
        signer: DkimSigner<K>,
        keys: &Keys,
        message: &[u8],
    ) {
        let signer = signer.domain("a.test").selector("s").headers(HEADERS);
        let sign = || {
            signer
                .sign(message)
                .expect("the message can be signed")
                .to_header()
        };
        group.bench_function(format!("sign {kind} mail-auth"), |b| b.iter(|| black_box(sign())));
        let signed = [sign().as_bytes(), message].concat();
        // It is not asked: the answer is in the cache.
        let authenticator = MessageAuthenticator::new_cloudflare().expect("it can be made");
        let verify = || {
            let message = AuthenticatedMessage::parse(&signed).expect("a message");
            let verifying = authenticator.verify_dkim(Parameters::new(&message).with_txt_cache(keys));
            let mut context = Context::from_waker(Waker::noop());
            let Poll::Ready(outputs) = pin!(verifying).poll(&mut context) else {
                unreachable!("nothing is waited for")
            };
            outputs[0].result() == &DkimResult::Pass
        };
        assert!(verify());
        group.bench_function(format!("verify {kind} mail-auth"), |b| {
            b.iter(|| black_box(verify()))
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = dkim, spf_lookups
}
criterion_main!(benches);
