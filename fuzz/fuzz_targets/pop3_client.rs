//! The POP3 client engine with a list of commands, against any replies.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};
use mailwright_pop3::client::{Client, Event};
use mailwright_wire::testing::{Fixture, Seen};

#[path = "../../crates/pop3/tests/common/mod.rs"]
mod common;

/// The fixture of the tests, with all commands queued at the start.
struct Queued {
    inner: common::ClientFixture,
    commands: &'static str,
}

impl Fixture for Queued {
    type Machine = Client;

    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, now: Instant) -> Client {
        let mut client = self.inner.start(now);
        self.inner.answer(&mut client, self.commands);
        client
    }

    fn event(&mut self, machine: &mut Client, event: Event) -> Seen {
        self.inner.event(machine, event)
    }

    fn answer(&mut self, machine: &mut Client, text: &str) {
        self.inner.answer(machine, text);
    }

    fn default_answer(&mut self, machine: &mut Client) {
        self.inner.default_answer(machine);
    }

    fn tls_started(&mut self, machine: &mut Client) {
        self.inner.tls_started(machine);
    }
}

const COMMANDS: [&str; 5] = [
    "capa, login bob s3cret, stat, list, uidl, retr 1, top 2 1, dele 1, noop, rset, quit",
    "list 1, uidl 2, retr 1, retr 2, quit",
    "capa, auth SCRAM-SHA-256 bob s3cret, stat, quit",
    "capa, utf8, lang, lang de, auth PLAIN bob s3cret, uidl, list, capa, quit",
    "stls, auth PLAIN bob s3cret, auth LOGIN bob s3cret, uidl, quit",
];

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let fixture = || Queued {
        inner: common::ClientFixture::new(),
        commands: COMMANDS[usize::from(choice) % COMMANDS.len()],
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
