//! The clients of milters, clamd and spamd, against any answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_filter::{clamd, spamd};
use mailwright_fuzz::{check_machine, choices, inputs, seed};

#[path = "../../crates/filter/tests/common/mod.rs"]
mod common;

const SCRIPT: &[&str] = &[
    "connect 192.0.2.1",
    "helo client.test",
    "macros",
    "mail <a@a.test>",
    "rcpt <b@b.test>",
    "data",
    "header Subject: x",
    "eoh",
    "body Hello",
    "eom",
    "mail <a@a.test>",
    "abort",
    "mail <a@a.test>",
    "rcpt <b@b.test>",
    "eom",
];

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let (input, seed) = (inputs(rest), seed(data));
    match choice % 8 {
        0..4 => check_machine(|| common::Milter::new(SCRIPT), &input, seed),
        4 => check_machine(|| common::Clamd::new(clamd::Command::Scan, &["Hello", "x"]), &input, seed),
        5 => check_machine(|| common::Clamd::new(clamd::Command::Version, &[]), &input, seed),
        6 => check_machine(|| common::Spamd::new(spamd::Command::Symbols, "Hello\r\n"), &input, seed),
        _ => check_machine(|| common::Spamd::new(spamd::Command::Process, "Hello\r\n"), &input, seed),
    };
});
