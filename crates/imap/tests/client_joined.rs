//! The client joined to the server in memory, over pipes of any width.

mod client_support;
mod support;

use client_support::Host as ClientHost;
use mailwright_imap::Capability;
use mailwright_imap::client::Event;
use mailwright_wire::testing::{Fixture, Pair, Seen, Turn};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::{Host, sample_account};

/// What a conversation came to.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// What the client saw, pieces of sections joined.
    log: Vec<String>,
    /// How many ends each command has had.
    ends: BTreeMap<String, u32>,
    errors: Vec<String>,
    /// Mailboxes and the messages in them.
    mailboxes: Vec<(String, Vec<(u32, String)>)>,
}

fn run(commands: &[&str], capacity: usize) -> Told {
    let mut host = Host::new(sample_account());
    host.config.capabilities = host.config.capabilities.with(Capability::Compress);
    let mut hand = ClientHost::new();
    let now = hand.origin();
    let server = host.start(now);
    let mut client = hand.start(now);
    let all = ["auth PLAIN mrc secret"]
        .iter()
        .chain(commands)
        .chain(["logout"].iter());
    for command in all {
        hand.answer(&mut client, command);
    }
    let mut told = Told::default();
    let mut server_errors = vec![];
    let mut joined: Vec<u8> = vec![];
    let mut pair = Pair::new(client, server, now, capacity);
    let ran = pair.run(
        |client, turn| match turn {
            Turn::Event(event) => {
                match &event {
                    Event::Done(h, _) | Event::Refused(h, _) | Event::Unsent(h, _) => {
                        *told.ends.entry(format!("{h:?}")).or_default() += 1;
                    }
                    Event::Resynced(h, _) => *told.ends.entry(format!("{h:?}")).or_default() += 1,
                    _ => {}
                }
                match hand.event(client, event) {
                    Seen::Body(data) => joined.extend_from_slice(&data),
                    Seen::Line(line) => {
                        if !joined.is_empty() {
                            told.log
                                .push(std::mem::take(&mut joined).escape_ascii().to_string());
                        }
                        told.log.push(line);
                    }
                }
            }
            Turn::Answer => hand.default_answer(client),
            Turn::Failed(error) => told.errors.push(error.to_string()),
            Turn::TlsStarted | Turn::Closed => {}
        },
        |server, turn| match turn {
            Turn::Event(event) => drop(host.event(server, event)),
            Turn::Answer => host.default_answer(server),
            Turn::TlsStarted => host.tls_started(server),
            Turn::Failed(error) => server_errors.push(error.to_string()),
            Turn::Closed => {}
        },
    );
    ran.expect("nobody waits for ever");
    told.errors.extend(server_errors);
    let mail = |m: &support::Mail| (m.uid, format!("{} {}", m.flags, m.octets.len()));
    told.mailboxes = host
        .backend
        .mailboxes
        .iter()
        .map(|m| (m.name.clone(), m.mails.iter().map(mail).collect()))
        .collect();
    told
}

const COMMANDS: &[&str] = &[
    "select INBOX",
    "examine INBOX",
    "select Entwürfe & mehr",
    "select nowhere",
    "fetch 1:* flags size date",
    "fetch 112 envelope structure body header text",
    "fetch 101:104 body",
    "fetch-seq 1:3 flags body",
    "store 101:105 \\Flagged,$x",
    "store-silent 101:110 \\Seen",
    "store 103,106 \\Deleted",
    "expunge",
    "expunge 103",
    "copy 101:103 Sent",
    "move 104:105 Archive",
    "copy 1 nowhere",
    "search",
    "search text minutes",
    "esearch",
    "append Sent 60",
    "append INBOX 20 \\Seen",
    "append Entwürfe 5",
    "append-all Sent 3 0 4",
    "list *",
    "status Archive messages next unseen",
    "status Sent messages",
    "create new",
    "delete new",
    "noop",
    "compress",
    "capability",
    "close",
    "unselect",
    "namespace",
    "id name x",
    "idle; stop",
    "resync INBOX 3857529045 0 1:110",
    "resync INBOX 3857529045 1 101:118",
];

#[test]
fn a_session_with_everything() {
    let commands = [
        "select INBOX",
        "fetch 112 envelope body",
        "store 101 \\Deleted",
        "expunge",
        "append Sent 60",
        "copy 102:104 Sent",
        "status Sent messages",
        "resync INBOX 3857529045 0 100:105",
    ];
    let told = run(&commands, usize::MAX / 4);
    assert_eq!(told.errors, Vec::<String>::new());
    let has = |part: &str| {
        assert!(
            told.log.iter().any(|l| l.contains(part)),
            "{part} in {:#?}",
            told.log
        );
    };
    has("IMAP4rev1 WG mtg summary and minutes");
    has("status Sent messages=4");
    has("expunged 1");
    has("drop 100:101 fetch 106:118");
    let body = support::gray_message().escape_ascii().to_string();
    assert!(told.log.contains(&body), "the message came as it is");
}

#[test]
fn a_compressed_session_is_the_session_it_would_be() {
    let commands = [
        "select INBOX",
        "fetch 1:* flags size envelope body",
        "append Sent 60",
        "idle; stop",
        "fetch-seq 1:3 flags body",
        "store 101:105 \\Flagged,$x",
        "search text minutes",
    ];
    let plain = run(&commands, 4096);
    let mut compressed: Vec<&str> = vec!["compress", "compress"];
    compressed.extend(commands);
    for capacity in [1, 7, 4096] {
        let mut told = run(&compressed, capacity);
        assert_eq!(told.errors, Vec::<String>::new());
        let of_compress =
            |line: &String| line.contains("compressed already") || line.contains("DEFLATE active");
        let before = told.log.len();
        told.log.retain(|line| !of_compress(line));
        assert_eq!(
            before - told.log.len(),
            2,
            "it was taken, and not asked for again"
        );
        assert_eq!(told.mailboxes, plain.mailboxes);
        // But for the handles, which count the commands, and what is offered.
        let words = |log: &[String]| -> Vec<String> {
            let rest = |line: &String| {
                line.trim_start_matches(|c: char| c == '#' || c.is_ascii_digit())
                    .to_owned()
            };
            log.iter().map(rest).collect()
        };
        assert_eq!(words(&told.log), words(&plain.log));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_commands_over_any_pipe(
        commands in prop::collection::vec(prop::sample::select(COMMANDS), 1..14),
        capacity in prop_oneof![Just(1usize), 2usize..40, Just(4096)],
    ) {
        let wide = run(&commands, usize::MAX / 4);
        prop_assert_eq!(&wide.errors, &Vec::<String>::new());
        let queued: usize = commands.iter().map(|c| c.split("; ").filter(|c| *c != "stop").count()).sum();
        prop_assert_eq!(wide.ends.len(), queued + 2, "each command ends");
        prop_assert!(wide.ends.values().all(|n| *n == 1), "once");
        // A number may be that of no message, and no mailbox may be selected.
        let excused = ["Select a mailbox first", "There is no message with that number"];
        let bad = |l: &&String| l.contains("refused Bad") && !excused.iter().any(|why| l.contains(why));
        let complaints: Vec<_> = wide.log.iter().filter(bad).collect();
        prop_assert_eq!(complaints, Vec::<&String>::new(), "the server understands the client");
        let narrow = run(&commands, capacity);
        prop_assert_eq!(narrow, wide);
    }
}
