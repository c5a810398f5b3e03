//! Commands made of the extensions' words, in any order: each is answered, and none harms the session.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use mailwright_imap::{Capabilities, Capability, Server};
use mailwright_wire::testing::Fixture;
use mailwright_wire::{Machine, Step};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Host, sample_account};

const OFFERED: [Capability; 16] = [
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

/// Commands that are mostly right, so that what is behind the grammar is reached.
fn command() -> impl Strategy<Value = String> {
    let uid = || prop::sample::select(vec!["", "UID "]);
    let set = || {
        prop::sample::select(vec![
            "1",
            "1:*",
            "*",
            "$",
            "3,5:7",
            "101:103",
            "110",
            "118:90",
            "4294967295",
        ])
    };
    let item = prop::sample::select(vec![
        "FLAGS",
        "(UID MODSEQ)",
        "BODY[]",
        "BODY.PEEK[TEXT]<1.3>",
        "BINARY[1]",
        "BINARY.PEEK[]<0.4>",
        "BINARY.SIZE[1]",
        "(EMAILID THREADID SAVEDATE)",
        "PREVIEW (LAZY)",
        "(FLAGS BODY[1])",
        "ALL",
    ]);
    let modifiers = prop::sample::select(vec![
        "",
        " (CHANGEDSINCE 0)",
        " (CHANGEDSINCE 2 VANISHED)",
        " (PARTIAL -1:-3)",
        " (PARTIAL 2:4 CHANGEDSINCE 1)",
    ]);
    let key = || {
        prop::sample::select(vec![
            "ALL",
            "1:3",
            "$",
            "UID 104:*",
            "MODSEQ 2",
            "UNSEEN",
            "OR 2 DELETED",
            "NOT $",
            "YOUNGER 5",
            "EMAILID M101",
            "SAVEDON 17-Jul-1996",
            "RECENT",
            "90",
        ])
    };
    let returns = prop::sample::select(vec![
        "",
        "RETURN () ",
        "RETURN (SAVE) ",
        "RETURN (SAVE MIN MAX) ",
        "RETURN (COUNT ALL) ",
        "RETURN (PARTIAL 2:3 SAVE) ",
    ]);
    let parameters = prop::sample::select(vec![
        "",
        " (CONDSTORE)",
        " (QRESYNC (3857529045 1))",
        " (QRESYNC (3857529045 2 1:118 (1:3 101:103)))",
        " (QRESYNC (17 1))",
        " (QRESYNC (3857529045 900))",
    ]);
    let message = prop::sample::select(vec![
        "{14+}\r\nSubject: a\r\n\r\n",
        "~{3+}\r\na\0b",
        "UTF8 (~{2+}\r\n\u{e4})",
        "(\\Seen) {1+}\r\nx {1+}\r\ny",
        "CATENATE (URL \"/INBOX/;UID=102\" TEXT {1+}\r\nx)",
        "CATENATE (TEXT {1+}\r\nx URL nowhere)",
        "{0+}\r\n",
    ]);
    let to = || prop::sample::select(vec!["INBOX", "Sent", "nowhere"]);
    prop_oneof![
        prop::sample::select(vec![
            "ENABLE CONDSTORE",
            "ENABLE QRESYNC",
            "ENABLE IMAP4rev2",
            "ENABLE UTF8=ACCEPT",
            "ENABLE UIDONLY",
            "NOOP",
            "EXPUNGE",
            "CLOSE",
            "UNSELECT",
            "UID EXPUNGE $",
            "STATUS INBOX (HIGHESTMODSEQ MAILBOXID APPENDLIMIT)",
            "IDLE\r\nDONE",
        ])
        .prop_map(str::to_owned),
        (prop::sample::select(vec!["SELECT", "EXAMINE"]), to(), parameters)
            .prop_map(|(verb, name, p)| format!("{verb} {name}{p}")),
        (uid(), set(), item, modifiers).prop_map(|(u, s, i, m)| format!("{u}FETCH {s} {i}{m}")),
        (
            uid(),
            set(),
            prop::sample::select(vec!["", "(UNCHANGEDSINCE 2) "]),
            prop::sample::select(vec!["+FLAGS", "-FLAGS.SILENT"])
        )
            .prop_map(|(u, s, m, a)| format!("{u}STORE {s} {m}{a} (\\Deleted)")),
        (uid(), returns, key(), key()).prop_map(|(u, r, a, b)| format!("{u}SEARCH {r}{a} {b}")),
        (uid(), prop::sample::select(vec!["COPY", "MOVE"]), set(), to())
            .prop_map(|(u, v, s, n)| format!("{u}{v} {s} {n}")),
        (to(), message.clone()).prop_map(|(name, m)| format!("APPEND {name} {m}")),
        (uid(), prop::sample::select(vec!["1", "104", "*"]), to(), message)
            .prop_map(|(u, n, name, m)| format!("{u}REPLACE {n} {name} {m}")),
    ]
}

/// What happens behind the session's back.
fn action() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(vec![
        "expunged 101-102",
        "expunged 104,110-112",
        "flags 103 \\Seen",
        "flags 118 \\Flagged $x",
        "appended x\\r\\n",
        "forget",
    ]))
}

struct Session {
    host: Host,
    server: Server,
    output: Vec<u8>,
}

impl Session {
    fn run(&mut self) {
        let now = self.host.origin();
        loop {
            match self.server.poll(now).unwrap() {
                Step::Event(event) => _ = self.host.event(&mut self.server, event),
                Step::Answer => self.host.default_answer(&mut self.server),
                Step::Write => {
                    self.output.extend_from_slice(self.server.send_buf());
                    self.server.sent(self.server.send_buf().len());
                }
                Step::Read => return,
                other => panic!("{other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_command_is_answered(commands in vec((command(), action()), 1..25), piece in 1usize..40) {
        let mut host = Host::new(sample_account());
        host.preauth = true;
        let offered = &mut host.config.capabilities;
        *offered = OFFERED.into_iter().fold(*offered, Capabilities::with);
        host.config.max_bad_commands = u32::MAX;
        let now = host.origin();
        let server = host.start(now);
        let mut session = Session { host, server, output: vec![] };
        session.run();
        for (n, (command, action)) in commands.iter().enumerate() {
            session.output.clear();
            for piece in format!("t{n} {command}\r\n").as_bytes().chunks(piece) {
                session.server.recv_buf()[..piece.len()].copy_from_slice(piece);
                session.server.received(piece.len());
                session.run();
            }
            let output = String::from_utf8_lossy(&session.output).into_owned();
            let tagged = output.lines().filter(|line| line.starts_with(&format!("t{n} ")));
            prop_assert_eq!(tagged.count(), 1, "{}: {}", command, output);
            // Message numbers must not move under a command that uses them: RFC 3501 §7.4.1.
            let numbered = ["FETCH ", "STORE ", "SEARCH "].iter().any(|verb| command.starts_with(verb));
            let told = |word: &str| output.lines().any(|line| line.starts_with("* ") && line.contains(word));
            prop_assert!(!numbered || !(told(" EXPUNGE") || output.contains("* VANISHED 1")), "{}: {}", command, output);
            if let Some(action) = action
                && session.host.backend.selected.is_some()
            {
                session.host.answer(&mut session.server, action);
                session.run();
            }
        }
    }
}
