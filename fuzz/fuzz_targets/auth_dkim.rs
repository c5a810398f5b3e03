//! DKIM and ARC: any message, any key. Cuts make no difference, and nothing passes that nobody signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_auth::crypto::RingKey;
use mailwright_auth::dkim::{Config, KeyRecord, Profile, Signer, Verifier};
use mailwright_auth::{Step, Verdict, arc};
use mailwright_dns::{Answer, Question, Record, Records, Security, Txt};
use mailwright_fuzz::{choices, seed, sizes};
use std::sync::Arc;

fn pieces(message: &[u8], sizes: [usize; 4], mut push: impl FnMut(&[u8])) {
    let (mut rest, mut turn) = (message, 0);
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(sizes[turn % 4].min(rest.len()));
        push(piece);
        (rest, turn) = (tail, turn + 1);
    }
}

fn answer(question: &Question, key: &[u8]) -> Answer {
    let txt = Record::Txt(Txt::new(key.chunks(255)));
    Answer::Records(Records::new(question.name.clone(), [txt], Security::Insecure))
}

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    // The key record stands before the message.
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(0);
    let (key, message) = data.split_at(end);
    let _ = KeyRecord::parse(key);
    let message = match choice & 1 {
        0 => [b"DKIM-Signature: v=1; a=ed25519-sha256; d=a.test; s=s; ", message].concat(),
        _ => message.to_vec(),
    };
    let sizes = sizes(seed(data));
    let config = Arc::new(Config::default());
    let verify = |sizes| {
        let mut verifier = Verifier::new(Arc::clone(&config), 1_700_000_000);
        pieces(&message, sizes, |piece| verifier.push(piece));
        verifier.finish();
        loop {
            match verifier.poll() {
                Step::Ask(question) => verifier.answer(&question, answer(&question, key)),
                Step::Ready(reports) => break reports,
                Step::Wait => panic!("waits for nothing"),
            }
        }
    };
    let whole = verify([usize::MAX; 4]);
    assert_eq!(whole, verify(sizes));
    assert!(whole.iter().all(|report| report.verdict != Verdict::Pass));
    let mut chain = arc::Verifier::new(Arc::clone(&config), 1_700_000_000);
    pieces(&message, sizes, |piece| chain.push(piece));
    chain.finish();
    loop {
        match chain.poll() {
            Step::Ask(question) => chain.answer(&question, answer(&question, key)),
            Step::Ready(report) => {
                assert_ne!(report.verdict, Verdict::Pass);
                break;
            }
            Step::Wait => panic!("waits for nothing"),
        }
    }
    // What we sign over it verifies.
    let signing = Arc::new(RingKey::from_ed25519_seed(&[1; 32]));
    let published = mailwright_auth::crypto::SigningKey::record(&*signing);
    let mut profile = Profile::new("a.test", "fuzz", signing);
    if choice & 2 != 0 {
        profile.body_way = mailwright_auth::dkim::Canonicalization::Simple;
    }
    if choice & 4 != 0 {
        profile.header_way = mailwright_auth::dkim::Canonicalization::Simple;
    }
    let message = [b"From: a@a.test\r\n", &message[..]].concat();
    let mut signer = Signer::new([Arc::new(profile)]);
    pieces(&message, sizes, |piece| signer.push(piece));
    let field = signer.finish(1_700_000_000).expect("it has a From");
    let mut verifier = Verifier::new(config, 1_700_000_000);
    verifier.push(field.as_bytes());
    verifier.push(&message);
    verifier.finish();
    let reports = loop {
        match verifier.poll() {
            Step::Ask(question) => verifier.answer(&question, answer(&question, published.as_bytes())),
            Step::Ready(reports) => break reports,
            Step::Wait => panic!("waits for nothing"),
        }
    };
    assert_eq!(reports[0].reason, None, "{field}");
});
