//! The SMTP server engine, as relay, submission and LMTP server, with and without TLS.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};
use mailwright_smtp::server::Protocol;

#[path = "../../crates/smtp/tests/support/mod.rs"]
mod support;

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let protocol = match choice % 3 {
        0 => Protocol::Smtp,
        1 => Protocol::Submission,
        _ => Protocol::Lmtp,
    };
    let fixture = || {
        let fixture = support::ServerFixture::new(support::server_config(protocol));
        if choice & 4 != 0 {
            fixture.over_tls()
        } else {
            fixture
        }
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
