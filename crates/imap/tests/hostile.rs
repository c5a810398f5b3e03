//! Hostile input is answered, costs a bounded amount of memory, and harms nothing.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by panicking, and winds its own clock

mod support;

use bytes::Bytes;
use mailwright_imap::{Error, Event, Server};
use mailwright_wire::testing::Fixture;
use mailwright_wire::{Machine, Step};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use support::{Host, Mail, Mailbox, sample_account};

/// A session driven by hand, its output kept.
struct Session {
    host: Host,
    server: Server,
    now: Instant,
    output: Vec<u8>,
    events: Vec<String>,
    /// The most octets that waited to be sent at any time.
    peak: usize,
    end: Option<Result<(), Error>>,
}

impl Session {
    fn new(mut host: Host) -> Self {
        let now = Instant::now();
        let server = host.start(now);
        let mut session = Self {
            host,
            server,
            now,
            output: vec![],
            events: vec![],
            peak: 0,
            end: None,
        };
        session.run();
        session
    }

    fn logged_in() -> Self {
        let mut host = Host::new(sample_account());
        host.preauth = true;
        Self::new(host)
    }

    fn run(&mut self) {
        while self.end.is_none() {
            match self.server.poll(self.now) {
                Ok(Step::Event(event)) => {
                    if !matches!(event, Event::AppendData(_)) {
                        self.events.push(format!("{event:?}"));
                    }
                    self.host.event(&mut self.server, event);
                }
                Ok(Step::Write) => {
                    let mut slices = [std::io::IoSlice::new(&[]); 64];
                    let n = self.server.send_bufs(&mut slices);
                    let pending = slices[..n].iter().map(|s| s.len()).sum();
                    self.peak = self.peak.max(pending);
                    self.output.extend_from_slice(self.server.send_buf());
                    self.server.sent(self.server.send_buf().len());
                }
                Ok(Step::Answer) => self.host.default_answer(&mut self.server),
                Ok(Step::Read) => return,
                Ok(Step::Close) => self.end = Some(Ok(())),
                Ok(other) => panic!("unexpected {other:?}"),
                Err(error) => self.end = Some(Err(error)),
            }
        }
    }

    fn feed(&mut self, mut input: &[u8]) {
        while !input.is_empty() && self.end.is_none() {
            let room = self.server.recv_buf();
            assert!(!room.is_empty(), "no room, but it wants to read");
            let n = room.len().min(input.len());
            room[..n].copy_from_slice(&input[..n]);
            self.server.received(n);
            input = &input[n..];
            self.run();
        }
    }

    /// What was answered since the last call.
    fn answered(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.output)).into_owned()
    }

    /// Whether the session still works.
    fn is_well(&mut self) -> bool {
        self.feed(b"\r\nwell NOOP\r\n");
        self.answered().ends_with("well OK Noop completed\r\n")
    }
}

#[test]
fn what_is_too_long_is_refused_and_the_session_goes_on() {
    let line = |n: usize| [vec![b'x'; n], b"\r\n".to_vec()].concat();
    let many = |head: &str, item: &str, count: u32, tail: &str| {
        let items: String = (1..=count).map(|n| format!("{item}{n}")).collect();
        format!("{head}{items}{tail}\r\n").into_bytes()
    };
    let table: [(&str, Vec<u8>); 10] = [
        ("10 MB without a line end", line(10_000_000)),
        (
            "10 MB of tag and NULs",
            [b"a LOGIN ".to_vec(), vec![0; 10_000_000], b"\r\n".to_vec()].concat(),
        ),
        ("one octet more than the limit", line(65_535)),
        (
            "quotes that never close",
            [b"a SELECT \"".to_vec(), line(70_000)].concat(),
        ),
        (
            "parentheses",
            [b"a SEARCH ".to_vec(), vec![b'('; 100_000], b"\r\n".to_vec()].concat(),
        ),
        ("7,000 flags", many("a STORE 1 FLAGS (x", " k", 7000, ")")),
        (
            "1,000 items",
            [
                b"a FETCH 1 (UID".to_vec(),
                b" FLAGS".repeat(1000),
                b")\r\n".to_vec(),
            ]
            .concat(),
        ),
        (
            "5,000 header fields",
            many("a FETCH 1 BODY[HEADER.FIELDS (x", " f", 5000, ")]"),
        ),
        ("5,000 search keys", many("a SEARCH ALL", " TEXT x", 5000, "")),
        (
            "a set of 40,000 numbers",
            [
                b"a FETCH 1".to_vec(),
                b",1".repeat(40_000),
                b" FLAGS\r\n".to_vec(),
            ]
            .concat(),
        ),
    ];
    for (what, input) in table {
        for mut session in [Session::new(Host::new(vec![])), Session::logged_in()] {
            session.answered();
            session.feed(&input);
            let answer = session.answered();
            assert_eq!(answer.matches("BAD").count(), 1, "{what}: {answer}");
            // Refused for what it is, and not because no mailbox is selected.
            assert!(!answer.contains(" first"), "{what}: {answer}");
            assert!(session.events.is_empty() && session.is_well(), "{what}");
        }
    }
}

#[test]
fn a_line_of_the_allowed_length_is_taken() {
    let mut session = Session::logged_in();
    session.feed(b"s SELECT INBOX\r\n");
    session.answered();
    let set = vec!["1"; 32_750].join(",");
    session.feed(format!("a FETCH {set} FLAGS\r\n").as_bytes());
    assert_eq!(
        session.answered(),
        "* 1 FETCH (FLAGS (\\Seen))\r\na OK Fetch completed\r\n"
    );
}

#[test]
fn literals_beyond_the_limits_are_refused_in_every_place() {
    let huge = [
        "4294967296",
        "4294967295",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
    ];
    for number in huge {
        for command in [
            "LOGIN",
            "LOGIN user",
            "SELECT",
            "FETCH 1 BODY[HEADER.FIELDS (",
            "APPEND INBOX",
            "APPEND",
            "X",
        ] {
            let mut session = Session::logged_in();
            session.answered();
            session.feed(format!("a {command} {{{number}}}\r\n").as_bytes());
            let answer = session.answered();
            assert!(answer.starts_with("a NO [TOOBIG]"), "{command}: {answer}");
            assert!(session.is_well(), "{command}");

            session.feed(format!("a {command} {{{number}+}}\r\nb NOOP\r\n").as_bytes());
            let answer = session.answered();
            assert!(
                answer.starts_with("a NO [TOOBIG]") && answer.contains("* BYE"),
                "{command}: {answer}"
            );
            assert_eq!(session.end, Some(Err(Error::LiteralTooLarge)), "{command}");
        }
    }
}

#[test]
fn a_dropped_line_that_announces_a_literal_does_not_smuggle_commands() {
    let mut session = Session::logged_in();
    let hidden = b"evil DELETE Sent\r\n";
    session.feed(format!("a {} {{{}+}}\r\n", "x".repeat(70_000), hidden.len()).as_bytes());
    session.feed(hidden);
    assert!(session.is_well() && session.events.is_empty());
}

#[test]
fn many_small_literals_do_not_add_up() {
    let mut session = Session::logged_in();
    session.answered();
    session.feed(b"a SEARCH");
    for _ in 0..10_000 {
        session.feed(b" TEXT {30+}\r\n012345678901234567890123456789");
    }
    session.feed(b"\r\n");
    let answer = session.answered();
    assert!(answer.starts_with("a NO [TOOBIG]"), "{answer}");
    assert!(session.is_well());
}

#[test]
fn the_largest_sets_cost_nothing() {
    let mut session = Session::logged_in();
    session.feed(b"s SELECT INBOX\r\n");
    session.answered();
    session.feed(
        b"a UID FETCH 1:4294967295 (UID)\r\nb FETCH 18:4294967295 (UID)\r\nc UID SEARCH 1:*,4294967295:1\r\n",
    );
    let answer = session.answered();
    assert_eq!(answer.matches(" FETCH (UID 1").count(), 19);
    assert!(
        session.events.iter().all(|e| e.len() < 200),
        "{:?}",
        session.events
    );
    let set = (0..8000).map(|_| "1:4294967295").collect::<Vec<_>>().join(",");
    session.feed(
        format!(
            "d UID STORE {} +FLAGS.SILENT (x)\r\n",
            &set[..60_000 - 60_000 % 13 - 1]
        )
        .as_bytes(),
    );
    assert_eq!(session.answered(), "d OK Store completed\r\n");
}

#[test]
fn sets_in_searches_do_not_grow_with_the_mailbox() {
    let mails = (1..=2000).map(|n| Mail::new(2 * n, "", "a: b\r\n\r\n")).collect();
    let mut inbox = Mailbox::new("INBOX").with_mails(mails);
    inbox.first_recent = Some(2);
    let mut host = Host::new(vec![inbox]);
    host.preauth = true;
    let mut session = Session::new(host);
    session.feed(b"s SELECT INBOX\r\n");
    session.events.clear();
    session.feed(format!("a SEARCH{}\r\n", " 1:* RECENT UID 1:*".repeat(10)).as_bytes());
    assert_eq!(session.events.len(), 1);
    assert!(session.events[0].len() < 1000, "{}", session.events[0].len());
    assert!(
        session
            .answered()
            .ends_with(" 1999 2000\r\na OK Search completed\r\n")
    );
}

#[test]
fn a_large_message_needs_little_memory_either_way() {
    const SIZE: usize = 10 * 1024 * 1024;
    let mut host = Host::new(vec![Mailbox::new("INBOX")]);
    host.preauth = true;
    let mut session = Session::new(host);
    session.feed(format!("a APPEND INBOX {{{SIZE}}}\r\n").as_bytes());
    let before = session.host.backend.mailboxes[0].mails.len();
    let line = [b"x".repeat(78), b"\r\n".to_vec()].concat();
    let body: Vec<u8> = line.iter().copied().cycle().take(SIZE).collect();
    for chunk in body.chunks(8192) {
        session.feed(chunk);
        // All that was received went out as events: none of it waits inside.
        assert!(session.server.recv_buf().len() >= 4096);
    }
    session.feed(b"\r\ns SELECT INBOX\r\n");
    assert_eq!(session.host.backend.mailboxes[0].mails.len(), before + 1);
    session.answered();
    session.peak = 0;
    session.feed(b"b FETCH 1 BODY.PEEK[]\r\n");
    let answer = session.output.clone();
    assert_eq!(
        answer.len(),
        SIZE + format!("* 1 FETCH (BODY[] {{{SIZE}}}\r\n)\r\nb OK Fetch completed\r\n").len()
    );
    assert!(session.peak < 80 * 1024, "{} octets waited", session.peak);
}

#[test]
fn a_long_list_of_messages_needs_little_memory() {
    let mails = (1..=20_000)
        .map(|n| Mail::new(n, "\\Seen", "a: b\r\n\r\n"))
        .collect();
    let mut host = Host::new(vec![Mailbox::new("INBOX").with_mails(mails)]);
    host.preauth = true;
    let mut session = Session::new(host);
    session.feed(b"s SELECT INBOX\r\na FETCH 1:* (FLAGS UID ENVELOPE)\r\nb STORE 1:* +FLAGS.SILENT \\Deleted\r\nc EXPUNGE\r\n");
    assert!(session.peak < 80 * 1024, "{} octets waited", session.peak);
    let answer = session.answered();
    assert_eq!(answer.matches("* 1 EXPUNGE\r\n").count(), 20_000);
    assert!(answer.ends_with("c OK Expunge completed\r\n"));
}

#[test]
fn an_answer_that_cannot_be_finished_ends_the_session() {
    let mut session = Session::logged_in();
    session.feed(b"s SELECT INBOX\r\n");
    let (server, now) = (&mut session.server, session.now);
    let input = b"f FETCH 1:2 BODY[]\r\n";
    server.recv_buf()[..input.len()].copy_from_slice(input);
    server.received(input.len());
    assert!(matches!(server.poll(now), Ok(Step::Event(Event::Fetch(_)))));

    let item = mailwright_imap::BodyItem::new(Default::default(), None, true);
    let row = server.fetch(101).unwrap();
    assert_eq!(row.section_stream(&item, 100), 0..100);
    assert_eq!(server.fetch_piece(Bytes::from_static(&[b'x'; 60])), 40);
    assert!(server.fetch_row().is_none(), "forty octets are owed");
    // Beginning the next message all the same is a mistake that cannot be mended on the wire.
    assert!(server.fetch(102).is_none() && !server.has_room());
    while let Ok(Step::Write) = server.poll(now) {
        server.sent(server.send_buf().len());
    }
    assert_eq!(server.poll(now).err(), Some(Error::CutShort));
}

#[test]
fn end_of_input_is_an_error_without_logout() {
    for input in [
        &b""[..],
        b"a NO",
        b"a APPEND INBOX {10}\r\nabc",
        b"a IDLE\r\n",
        b"a LOGIN {5}\r\n",
    ] {
        let mut session = Session::logged_in();
        session.feed(input);
        let _ = session.server.recv_buf();
        session.server.received(0);
        session.run();
        assert_eq!(session.end, Some(Err(Error::Closed)), "{}", input.escape_ascii());
    }
}

/// Pieces of commands, good and bad, that a client could send in any order.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&[u8]> = vec![
        b"a LOGIN user pass\r\n",
        b"b SELECT INBOX\r\n",
        b"c FETCH 1:3 (FLAGS BODY[])\r\n",
        b"d UID FETCH 1:* BODY.PEEK[HEADER]<3.9>\r\n",
        b"e STORE 2:4 +FLAGS (\\Deleted $x)\r\n",
        b"f EXPUNGE\r\n",
        b"g SEARCH RETURN (COUNT ALL) UNSEEN\r\n",
        b"h APPEND Sent (\\Seen) {12+}\r\nab\r\nc\0 NOOP\r\n\r\n",
        b"i APPEND INBOX {3}\r\n",
        b"abc\r\n",
        b"j IDLE\r\n",
        b"DONE\r\n",
        b"k LIST \"\" %\r\n",
        b"l LOGIN {4+}\r\nuser {4+}\r\npass\r\n",
        b"m AUTHENTICATE PLAIN\r\n",
        b"AHVzZXIAcGFzcw==\r\n",
        b"n LOGIN {4}\r\nuser {9999+}\r\n",
        b"o MOVE 1 Sent\r\n",
        b"p CLOSE\r\n",
        b"q LOGOUT\r\n",
        b"{3+}\r\n",
        b"\r\n",
        b"x {2}\r\n",
        b"r COPY 1 INBOX\r\n",
    ];
    prop_oneof![
        9 => prop::sample::select(fixed).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_fragmentation_gives_the_same(pieces in proptest::collection::vec(piece(), 0..14), preauth: bool, small: bool) {
        use mailwright_wire::testing::{Input, every_fragmentation};
        let input = pieces.concat();
        every_fragmentation(
            || {
                let mut host = Host::new(sample_account());
                host.preauth = preauth;
                if small {
                    // Streams every section, stops at every row, and refuses most commands as too long.
                    host.backend.piece = 7;
                    host.config.output_high_water = 100;
                    host.config.max_command = 40;
                    host.config.max_command_before_login = 40;
                }
                host
            },
            &[Input::Bytes(input)],
        );
    }
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let mut session = Session::logged_in();
    session.feed(b"s SELECT INBOX\r\n");
    let (server, mut now) = (&mut session.server, session.now);
    let input = b"f NOOP\r\n";
    server.recv_buf()[..input.len()].copy_from_slice(input);
    server.received(input.len());
    assert!(matches!(server.poll(now), Ok(Step::Event(Event::Noop))));
    // While the embedder owes an answer, no clock runs.
    assert_eq!((server.poll(now), server.deadline()), (Ok(Step::Answer), None));
    now += Duration::from_secs(7200);
    assert_eq!(server.poll(now), Ok(Step::Answer));
    server.accept();
    assert_eq!(server.poll(now), Ok(Step::Write));
    // A little progress is enough to be given time.
    server.sent(1);
    assert_eq!(server.poll(now), Ok(Step::Write));
    let end = server.deadline().unwrap();
    assert_eq!(end, now + Duration::from_secs(1800));
    assert_eq!(server.poll(end), Err(Error::IdleTimeout));
    assert!(server.send_buf().is_empty());
    // A write that was on its way may still be reported.
    server.sent(5);
}
