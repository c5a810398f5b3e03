//! TLSA records held against certificates of any octets: no certificate takes the comparison down, and only a record
//! that can be used matches.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_dns::{Name, Tlsa};
use mailwright_fuzz::choices;
use mailwright_mx::dane::{Digests, Match, Policy, is_usable};

/// Not a digest, but as long as one.
struct Length;

impl Digests for Length {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        [data.len() as u8; 32]
    }

    fn sha512(&self, data: &[u8]) -> [u8; 64] {
        [data.len() as u8; 64]
    }
}

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let mut parts = data.split(|b| *b == 0xf8);
    let record = parts.next().unwrap_or_default();
    let chain: Vec<&[u8]> = parts.collect();
    let record = Tlsa::new(choice & 3, choice >> 2 & 3, choice >> 4 & 3, record);
    let usable = is_usable(&record);
    let base = Name::parse("mx.b.test").expect("a name");
    let policy = Policy::new(base, [], vec![record]);
    assert_eq!(policy.usable().len(), usize::from(usable));
    match policy.compare(&chain, &Length) {
        Match::EndEntity => assert!(usable && choice & 3 == 3 && !chain.is_empty()),
        Match::TrustAnchor(place) => assert!(usable && choice & 3 == 2 && place >= 1 && place < chain.len()),
        Match::RecordedAnchor(place) => assert!(usable && choice & 3 == 2 && place == 0),
        Match::Nothing => {}
    }
});
