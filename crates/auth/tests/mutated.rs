//! Records and fields of every kind, mutated: whatever comes of it, nothing panics, and all that is asked ends.
//!
//! 100,000 mutations from one seed; the environment variables `MUTATIONS` and `MUTATION_SEED` say otherwise:
//!
//! ```text
//! MUTATIONS=10000000 cargo test --release -p mailwright-auth --all-features --test mutated
//! ```

#![allow(clippy::unwrap_used)]

use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_auth::dkim::{self, KeyRecord, Profile, Signature, Signer};
use mailwright_auth::dmarc::{self, Authenticated};
use mailwright_auth::{AuthenticationResults, Checker, Config, Envelope, Step, claims_of, spf};
use mailwright_dns::{
    Answer, Failure, FailureKind, Mx, Name, Negative, Question, Record, RecordType, Records, Security, Txt,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// What is mutated, and what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Spf,
    Key,
    Signature,
    Dmarc,
    Results,
    Arc,
    Received,
}

const SEEDS: &[(Kind, &str)] = &[
    (
        Kind::Spf,
        "v=spf1 mx a:out.a.test/24//64 include:_spf.b.test ip4:192.0.2.0/24 ip6:2001:db8::/32 -all",
    ),
    (
        Kind::Spf,
        "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d2} ptr:a.test redirect=_spf.%{o} exp=why.%{d}",
    ),
    (
        Kind::Spf,
        "v=spf1 ?include:a.test ~exists:%{S}%{h}%{v}%{p}%%%_%- +a -mx:%{d4r}//128 x=%{i} exp=%{c}%{r}%{t}.a.test",
    ),
    (
        Kind::Key,
        "v=DKIM1; h=sha256:sha1; k=ed25519; n=a key; s=email:*; t=y:s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    ),
    (
        Kind::Key,
        "k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    ),
    (
        Kind::Signature,
        "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.test; s=s; i=joe@mail.a.test; q=dns/txt; l=5; t=100; x=9999; z=From:a=40a.test; h=from:to:subject:from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n AAAA==",
    ),
    (
        Kind::Signature,
        "v=1; a=rsa-sha256; c=simple; d=example.com; s=brisbane; h=Received : From : To;\r\n\tbh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB",
    ),
    (
        Kind::Dmarc,
        "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; t=y; psd=n; pct=50; fo=1:d:s; rf=afrf; ri=3600; rua=mailto:a@a.test!10m,mailto:b%21@b.test; ruf=mailto:c@c.test",
    ),
    (
        Kind::Dmarc,
        "v = DMARC1 ; p = none ; psd=y; rua=https://x.test/r,mailto:a@b.test;",
    ),
    (
        Kind::Results,
        " mx.b.test 1; spf=pass (mailfrom) smtp.mailfrom=\"a b\"@a.test; dkim=fail reason=\"body hash\" header.d=a.test header.b=abcdefgh; dmarc=pass header.from=a.test; iprev=pass policy.iprev=192.0.2.1\r\n\t(a (nested) comment)",
    ),
    (Kind::Results, " mx.b.test; none"),
    (
        Kind::Arc,
        "ARC-Seal: i=1; a=ed25519-sha256; cv=none; d=a.test; s=s; t=100; b=AAAA\r\nARC-Message-Signature: i=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.test; s=s; h=from:to; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\nARC-Authentication-Results: i=1; a.test; dmarc=pass header.from=a.test\r\n",
    ),
    (
        Kind::Received,
        "From: \"A. B\" <a@a.test>, c@sub.a.test\r\nAuthentication-Results: mx.b.test; dkim=pass\r\nauthentication-results: (x) \"mx.b.test\" ; spf=pass\r\nTo: b@b.test\r\n",
    ),
];

/// What a mutation puts in.
const TOKENS: &[&[u8]] = &[
    b";",
    b"=",
    b":",
    b"/",
    b"//",
    b"%{",
    b"}",
    b"%",
    b"\"",
    b"(",
    b")",
    b"\\",
    b"\r\n ",
    b"\r\n",
    b"\r",
    b"\n",
    b"\t",
    b" ",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b".",
    b"..",
    b"@",
    b"<",
    b">",
    b",",
    b"!",
    b"18446744073709551616",
    b"-1",
    b"0",
    b"999999999999",
    b"AAAA",
    b"====",
    b"v=spf1 ",
    b"v=DMARC1;",
    b"v=DKIM1;",
    b" -all",
    b"redirect=a.test",
    b"include:a.test",
    b"%{d999r}",
    b"%{l0}",
    b"i=50;",
    b"i=51;",
    b"cv=pass;",
    b"h=;",
    b"b=",
    b"bh=",
    b"p=",
    b"l=18446744073709551615;",
    b"\xef\xbb\xbf",
    "ü".as_bytes(),
    b"xn--",
    b"[::ffff:192.0.2.1]",
    b"/33",
    b"ip6:::1/129",
    b"\x00\x01\x02\x03",
];

fn mutate(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(out.len() + 1);
        let end = (at + random.below(12)).min(out.len());
        match random.below(8) {
            0 if at < out.len() => out[at] = random.next().to_le_bytes()[0],
            1 if at < out.len() => out[at] ^= 1 << random.below(8),
            2 => drop(out.splice(at..at, random.of(TOKENS).iter().copied())),
            3 => drop(out.drain(at..end)),
            4 => {
                let piece = out[at..end].to_vec();
                let to = random.below(out.len() + 1);
                out.splice(to..to, piece.repeat(1 + random.below(3)));
            }
            5 => out.truncate(at),
            6 => drop(out.splice(at..end, random.of(TOKENS).iter().copied())),
            _ => {
                // A piece of another kind of record.
                let other = SEEDS[random.below(SEEDS.len())].1.as_bytes();
                let from = random.below(other.len());
                let len = random.below(other.len() - from + 1);
                out.splice(at..at, other[from..from + len].iter().copied());
            }
        }
        out.truncate(2000);
    }
    out
}

fn answer(question: &Question, text: &[u8], turn: usize) -> Answer {
    let name = question.name.clone();
    let other = || Name::parse("mx.a.test").unwrap();
    let record = match question.record_type {
        RecordType::Txt => Record::Txt(Txt::new(text.chunks(255))),
        RecordType::Mx => Record::Mx(Mx::new(10, other())),
        RecordType::Ptr => Record::Ptr(other()),
        RecordType::Aaaa => Record::Aaaa(1.into()),
        _ => Record::A([192, 0, 2, 1].into()),
    };
    match (turn + text.len()) % 7 {
        5 => Answer::NxDomain(Negative::new(name, Security::Insecure)),
        6 => Failure::new(FailureKind::ServFail).into(),
        _ => Answer::Records(Records::new(name, [record], Security::Insecure)),
    }
}

/// Asks and answers until it is over.
macro_rules! end_of {
    ($machine:expr, $text:expr, $answer:expr) => {{
        let mut turn = 0;
        loop {
            match $machine.poll() {
                Step::Ready(ready) => break ready,
                Step::Wait => panic!("waits for nothing"),
                Step::Ask(question) => {
                    turn += 1;
                    assert!(turn < 200, "asks without end");
                    $answer(&question, answer(&question, $text, turn));
                }
            }
        }
    }};
}

fn whole_message(fields: &[u8]) -> Vec<u8> {
    [
        fields,
        b"From: a@a.test\r\nSubject: x\r\n\r\nHello \t there\r\n\r\n",
    ]
    .concat()
}

/// All checks of one message, where every TXT record is `text`.
fn check_message(message: &[u8], text: &[u8], cut: usize) {
    let mut config = Config::default();
    #[cfg(feature = "arc")]
    {
        config.arc = true;
    }
    config.spf = Some(Arc::default());
    let envelope = Envelope::new("192.0.2.1".parse().unwrap(), "mx.a.test", "joe@a.test");
    let mut checker = Checker::new(&Arc::new(config), &envelope, 200);
    let (head, tail) = message.split_at(cut % (message.len() + 1));
    checker.push(head);
    checker.push(tail);
    checker.finish();
    let checked = end_of!(checker, text, |question: &Question, answer: Answer| checker
        .answer(question, &answer));
    let passes = |report: &dkim::Report| report.verdict == mailwright_auth::Verdict::Pass;
    assert!(!checked.dkim.iter().flatten().any(passes), "nobody signed it");
    let field = checked.results("mx.b.test").to_field();
    let value = field.split_once(':').unwrap().1;
    AuthenticationResults::parse(value.as_bytes()).unwrap_or_else(|error| panic!("{error}: {field:?}"));
}

fn exercise(kind: Kind, text: &[u8], turn: usize, key: &Arc<dyn SigningKey>) {
    match kind {
        Kind::Spf => {
            if let Ok(record) = spf::Record::parse(text) {
                assert_eq!(spf::Record::parse(record.to_string().as_bytes()), Ok(record));
            }
            let client = ["192.0.2.1", "2001:db8::1"][turn % 2].parse().unwrap();
            let mut check = spf::Check::mail_from(client, "mx.a.test", "joe@a.test", Arc::default());
            let report = end_of!(check, text, |question: &Question, answer| check
                .answer(question, answer));
            assert!(report.to_field("mx.b.test").ends_with("\r\n"));
        }
        Kind::Dmarc => {
            if let Ok(record) = dmarc::Record::parse(text) {
                assert_eq!(dmarc::Record::parse(record.to_string().as_bytes()), Ok(record));
            }
            let mut check = dmarc::Check::new(Ok("x.mail.a.test"), Arc::default()).sampled(50);
            let mut authenticated = Authenticated::default();
            authenticated.spf = Some("b.a.test".to_owned());
            authenticated
                .dkim
                .push(String::from_utf8_lossy(text).into_owned());
            check.authenticated(authenticated);
            end_of!(check, text, |question: &Question, answer| check
                .answer(question, answer));
        }
        Kind::Key => {
            if let Ok(record) = KeyRecord::parse(text) {
                let _ = (record.bits(), record.algorithm(), record.public_key());
            }
            let mut signer = Signer::new([Arc::new(Profile::new("a.test", "s", Arc::clone(key)))]);
            signer.push(&whole_message(b""));
            let mut verifier = dkim::Verifier::new(Arc::default(), 200);
            verifier.push(signer.finish(100).unwrap().as_bytes());
            verifier.push(&whole_message(b""));
            verifier.finish();
            end_of!(verifier, text, |question: &Question, answer| verifier
                .answer(question, answer));
        }
        Kind::Signature => {
            let _ = Signature::parse(text);
            let field = [b"DKIM-Signature: ", text, b"\r\n"].concat();
            let _ = dkim::signed_octets(&whole_message(&field), &field);
            let record = key.record();
            let record = if turn.is_multiple_of(2) {
                record.as_bytes()
            } else {
                text
            };
            check_message(&whole_message(&field), record, turn);
        }
        Kind::Results => {
            if let Ok(results) = AuthenticationResults::parse(text) {
                let field = results.to_field();
                let value = field.split_once(':').unwrap().1;
                let again = AuthenticationResults::parse(value.as_bytes());
                assert_eq!(
                    again.map(|it| it.results.len()),
                    Ok(results.results.len()),
                    "{field:?}"
                );
            }
        }
        Kind::Arc => check_message(&whole_message(text), key.record().as_bytes(), turn),
        Kind::Received => {
            for claim in claims_of(text, "mx.b.test") {
                assert!(claim.start < claim.end && claim.end <= text.len());
            }
            let _ = dmarc::author_domain(text);
            check_message(&[text, b"\r\n\r\nHello"].concat(), b"v=DMARC1; p=reject", turn);
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    let told = std::env::var_os(name);
    told.map_or(default, |text| text.to_str().unwrap().parse().unwrap())
}

#[test]
fn no_mutation_breaks_anything() {
    let mutations = usize::try_from(number("MUTATIONS", 100_000)).unwrap();
    let mut random = Random(number("MUTATION_SEED", 8));
    let key: Arc<dyn SigningKey> = Arc::new(RingKey::from_ed25519_seed(&[9; 32]));
    let mut by_kind = std::collections::BTreeMap::new();
    for turn in 0..mutations {
        let (kind, seed) = SEEDS[random.below(SEEDS.len())];
        let text = mutate(&mut random, seed.as_bytes());
        let done = catch_unwind(AssertUnwindSafe(|| exercise(kind, &text, turn, &key)));
        assert!(done.is_ok(), "{kind:?} number {turn}: {}", text.escape_ascii());
        *by_kind.entry(format!("{kind:?}")).or_insert(0u32) += 1;
    }
    println!("{mutations} mutations: {by_kind:?}");
    assert!(by_kind.len() == 7 || mutations < 1000, "{by_kind:?}");
}
