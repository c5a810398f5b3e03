//! The IMAP client engine with a list of commands, against any responses.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};
use mailwright_imap::client::{Client, Event};
use mailwright_wire::testing::{Fixture, Seen};

#[path = "../../crates/imap/tests/client_support/mod.rs"]
mod client_support;

/// The fixture of the tests, with all commands queued at the start.
struct Queued {
    inner: client_support::Host,
    commands: &'static str,
}

impl Fixture for Queued {
    type Machine = Client;

    fn origin(&self) -> Instant {
        self.inner.origin()
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
    "select INBOX; fetch 1:* flags envelope structure body; fetch 2 body; store 1 \\Seen; logout",
    "resync INBOX 67890007 20050715194045000 1:10,41; esearch; sort; thread; idle",
    "starttls; auth SCRAM-SHA-256 bob s3cret; list *; status x messages; append x 20; idle; stop; noop",
    "login bob s3cret; namespace; id; quotaroot x; acl x; metadata x y; append-all x 3 0 4; copy 1 x; move 1 x",
    "enable UTF8=ACCEPT; list-status *; lsub *; search text x; fetch-vanished 1:* 5 flags; expunge; close",
];

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let fixture = || {
        let mut inner = client_support::Host::new();
        inner.tls = choice & 0x80 != 0;
        if choice & 0x40 != 0 {
            inner.config.max_response = 200;
        }
        Queued {
            inner,
            commands: COMMANDS[usize::from(choice & 0x3f) % COMMANDS.len()],
        }
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
