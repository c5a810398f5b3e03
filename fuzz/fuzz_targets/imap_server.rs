//! The IMAP server engine in front of a small account, logged in or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};

#[path = "../../crates/imap/tests/support/mod.rs"]
mod support;

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let fixture = || {
        let mut host = support::Host::new(support::sample_account());
        host.preauth = choice & 1 != 0;
        host
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
