//! The SMTP server engine, as relay, submission and LMTP server, with and without TLS, all extensions and a PROXY
//! header ahead.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};
use mailwright_smtp::Extensions;
use mailwright_smtp::proxy::Versions;
use mailwright_smtp::server::{BareNewlines, Protocol};
use std::time::Duration;

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
        let mut config = support::server_config(protocol);
        if choice & 8 != 0 {
            config.extensions = Extensions::ALL;
            config.require_auth = false;
            config.limits.message_size = 1000;
            (config.questions.vrfy, config.questions.expn, config.questions.help) = (true, true, true);
            config.questions.starttls = true;
        }
        if choice & 16 != 0 {
            config.proxy = Some(Versions::Any);
        }
        if choice & 32 != 0 {
            config.greeting_delay = Duration::from_secs(10);
        }
        if choice & 64 != 0 {
            config.bare_newlines = BareNewlines::Normalise;
        }
        let fixture = support::ServerFixture::new(config).wall_clock(1_795_429_800);
        match (choice & 4 != 0, choice & 128 != 0) {
            (true, true) => fixture.tls_first(),
            (true, false) => fixture.over_tls(),
            (false, _) => fixture,
        }
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
