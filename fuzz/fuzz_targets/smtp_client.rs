//! The SMTP client engine with two transactions to send, against any replies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};
use mailwright_smtp::client;
use mailwright_smtp::server::Protocol;

#[path = "../../crates/smtp/tests/support/mod.rs"]
mod support;

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let protocol = if choice & 1 == 0 {
        Protocol::Smtp
    } else {
        Protocol::Lmtp
    };
    let fixture = || {
        let mut config = support::client_config(protocol);
        if choice & 2 != 0 {
            config.credentials = Some(support::credentials());
        }
        config.chunking.size = 4;
        config.chunking.eager = if choice & 8 != 0 { u64::MAX } else { 0 };
        if choice & 16 != 0 {
            config.bare_newlines = client::BareNewlines::Refuse;
        }
        if choice & 32 != 0 {
            config.starttls = client::StartTls::Verified;
        }
        let fixture = support::ClientFixture::new(config)
            .sending(
                support::transaction("<a@x.example>", &["<b@y.example>", "<c@y.example>"]),
                &[b".one\r\n", b"two"],
            )
            .sending(
                support::eight_bit(support::transaction("<>", &["<d@y.example>", "<\u{fc}@z.example>"])),
                &[b"three\r\n", b"\n.\r", b"four"],
            );
        if choice & 4 != 0 {
            fixture.over_tls()
        } else {
            fixture
        }
    };
    let trace = check_machine(fixture, &inputs(rest), seed(data));
    // A chunk may end between CR and LF.
    if trace.sent.windows(5).any(|octets| octets == b"BDAT ") {
        return;
    }
    // RFC 5321 §2.3.8: nothing is ever sent with a bare CR or LF.
    let mut before = 0;
    for byte in &trace.sent {
        assert_eq!(*byte == b'\n', before == b'\r', "a bare CR or LF was sent");
        before = *byte;
    }
});
