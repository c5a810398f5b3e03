//! The part index: the same for every cut, sound ranges, and stored octets that may be damaged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{seed, sizes};
use mailwright_message::Index;
use mailwright_message::dsn::Report;

#[path = "../../crates/message/tests/common/mod.rs"]
mod common;

fuzz_target!(|data: &[u8]| {
    let whole = Index::of(data);
    common::exercise(&whole, data);
    assert!(common::index_in_chunks(data, &sizes(seed(data))) == whole);
    assert!(common::index_in_chunks(data, &[1]) == whole);
    assert!(Index::from_bytes(whole.to_bytes()).is_ok_and(|read| read == whole));
    for part in whole.parts() {
        let body = part.body();
        let _ = part.decode_text(&data[body.start as usize..body.end as usize]);
    }
    let _ = Report::parse(&whole, data);

    // Damage that depends on the input: read or refused, never a panic.
    let mut stored = whole.to_bytes().to_vec();
    let hash = seed(data);
    let at = hash as usize % stored.len();
    stored[at] ^= (hash >> 56) as u8;
    if let Ok(index) = Index::from_bytes(stored.into()) {
        for part in index.parts() {
            let _ = (
                part.fields().count(),
                part.children().count(),
                part.decode_text(b"x"),
            );
            let body = part.body_structure();
            let _ = (body.parameters().count(), body.languages().count(), body.octets());
            let _ = part.envelope().map(|envelope| envelope.to().count());
        }
        let _ = index.defects().count();
    }
});
