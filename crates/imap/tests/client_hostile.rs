//! Responses that were damaged: nothing panics, and how they are cut makes no difference.

mod client_support;

use client_support::Host;
use mailwright_imap::client::{Client, Event};
use mailwright_wire::testing::{Fixture, Input, Seen, trace};
use proptest::prelude::*;
use std::time::Instant;

/// The fixture of the transcripts, with all commands queued at the start.
struct Queued(Host, &'static str);

impl Fixture for Queued {
    type Machine = Client;

    fn origin(&self) -> Instant {
        self.0.origin()
    }

    fn start(&mut self, now: Instant) -> Client {
        let mut client = self.0.start(now);
        self.0.answer(&mut client, self.1);
        client
    }

    fn event(&mut self, machine: &mut Client, event: Event) -> Seen {
        self.0.event(machine, event)
    }

    fn answer(&mut self, machine: &mut Client, text: &str) {
        self.0.answer(machine, text);
    }

    fn default_answer(&mut self, machine: &mut Client) {
        self.0.default_answer(machine);
    }

    fn tls_started(&mut self, machine: &mut Client) {
        self.0.tls_started(machine);
    }
}

const TRANSCRIPTS: &[&str] = &[
    include_str!("transcripts/client/session.txt"),
    include_str!("transcripts/client/streaming.txt"),
    include_str!("transcripts/client/quirks.txt"),
    include_str!("transcripts/client/quirks-fetch.txt"),
    include_str!("transcripts/client/extensions.txt"),
    include_str!("transcripts/client/resync.txt"),
    include_str!("transcripts/client/append.txt"),
    include_str!("transcripts/client/idle.txt"),
];

const COMMANDS: &[&str] = &[
    "login bob s3cret; select INBOX; fetch 1:* flags envelope structure body; store 1 \\Seen; logout",
    "resync INBOX 67890007 20050715194045000 1:10,41; esearch; sort; thread; idle",
    "starttls; auth PLAIN bob s3cret; list *; status x messages; append x 20; idle; stop; noop",
    "append-all x 3 0 4; copy 1 x; move 1 x; namespace; id; quotaroot x; acl x; metadata x y",
];

/// What the server says in a transcript.
fn server_says(transcript: &str) -> Vec<u8> {
    let lines = transcript.lines().filter_map(|l| l.strip_prefix("S: "));
    let mut out = Vec::new();
    for line in lines {
        out.extend_from_slice(line.replace("\\\\", "\\").replace("\\r\\n", "\r\n").as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_responses(
        transcript in prop::sample::select(TRANSCRIPTS),
        commands in prop::sample::select(COMMANDS),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 0..12),
        cuts in prop::collection::vec(1usize..30, 1..8),
        tls: bool,
        short: bool,
    ) {
        let mut octets = server_says(transcript);
        for (at, what, octet) in damage {
            let at = at.index(octets.len());
            let syntax = b"(){}[]\"\\\r\n *+~0123456789AUID\0\xff<>:,-";
            match what {
                0 => octets[at] = syntax[usize::from(octet) % syntax.len()],
                1 => octets.insert(at, syntax[usize::from(octet) % syntax.len()]),
                2 if octets.len() > 1 => _ = octets.remove(at),
                _ => octets.swap(at, at / 2),
            }
        }
        let fixture = || {
            let mut host = Host::new();
            host.tls = tls;
            if short {
                host.config.max_response = 150;
            }
            Queued(host, commands)
        };
        let inputs = [Input::Bytes(octets), Input::Eof];
        let whole = trace(fixture(), &inputs, &mut || usize::MAX, usize::MAX);
        let mut round = cuts.iter().cycle();
        let cut = trace(fixture(), &inputs, &mut || *round.next().expect("it goes round"), 5);
        prop_assert_eq!(&whole, &cut);
        let single = trace(fixture(), &inputs, &mut || 1, 1);
        prop_assert_eq!(&whole, &single);
    }
}
