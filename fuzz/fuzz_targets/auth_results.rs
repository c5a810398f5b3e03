//! Authentication-Results: what is read is written, and read as the same; no field escapes its lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_auth::{AuthenticationResults, claims_of};

fuzz_target!(|data: &[u8]| {
    for claim in claims_of(data, "mx.a.test") {
        assert!(claim.end <= data.len() && claim.start < claim.end);
    }
    let Ok(results) = AuthenticationResults::parse(data) else { return };
    let field = results.to_field();
    assert!(field.trim_end_matches("\r\n").split("\r\n").skip(1).all(|line| line.starts_with([' ', '\t'])));
    let value = field.split_once(':').expect("a field").1;
    let Ok(again) = AuthenticationResults::parse(value.as_bytes()) else {
        panic!("{field:?}");
    };
    assert_eq!(again.results.len(), results.results.len(), "{field:?}");
});
