//! The POP3 server engine in front of two messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};

#[path = "../../crates/pop3/tests/common/mod.rs"]
mod common;

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let fixture = || {
        common::ServerFixture::new().with(|fixture| {
            fixture.config.allow_plaintext = choice & 1 == 0;
            fixture.piece = 1 + usize::from(choice >> 1);
        })
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
