//! The IMAP server engine in front of a small account, logged in or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};
use mailwright_imap::{Capabilities, Capability};

/// What the backend of the tests can answer beyond the basic questions.
const EXTENSIONS: [Capability; 16] = [
    Capability::Imap4Rev2,
    Capability::CondStore,
    Capability::QResync,
    Capability::SearchRes,
    Capability::Within,
    Capability::Partial,
    Capability::Binary,
    Capability::MultiAppend,
    Capability::Catenate,
    Capability::Replace,
    Capability::Utf8Accept,
    Capability::ObjectId,
    Capability::SaveDate,
    Capability::Preview,
    Capability::StatusDeleted,
    Capability::UidOnly,
];

#[path = "../../crates/imap/tests/support/mod.rs"]
mod support;

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let fixture = || {
        let mut host = support::Host::new(support::sample_account());
        host.preauth = choice & 1 != 0;
        if choice & 2 != 0 {
            let offered = &mut host.config.capabilities;
            *offered = EXTENSIONS.into_iter().fold(*offered, Capabilities::with);
        }
        host
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
