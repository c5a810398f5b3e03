//! Extensions under hostile use: trees without bottom, notices without end; commands printed as they were parsed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by panicking, and winds its own clock

mod support;

use bytes::Bytes;
use mailwright_imap::codec::Command;
use mailwright_imap::{Capabilities, Event, ListRow, Notice, Server, Status, Watched};
use mailwright_wire::testing::Fixture;
use mailwright_wire::{Machine, SendBuf, Step};
use std::time::Instant;
use support::{Host, sample_account};

struct Session {
    host: Host,
    server: Server,
    now: Instant,
}

impl Session {
    fn new() -> Self {
        let mut host = Host::new(sample_account());
        host.preauth = true;
        host.config.capabilities = Capabilities::all();
        let now = Instant::now();
        let server = host.start(now);
        let mut session = Self { host, server, now };
        session.run(true);
        session
    }

    /// Runs until input is wanted, or up to a question if they are not to be answered; what was said.
    fn run(&mut self, answers: bool) -> String {
        let mut said = Vec::new();
        loop {
            match self.server.poll(self.now).unwrap() {
                Step::Event(event @ (Event::Thread(_) | Event::Notify(_))) if !answers => drop(event),
                Step::Event(event) => _ = self.host.event(&mut self.server, event),
                Step::Answer if answers => self.host.default_answer(&mut self.server),
                Step::Write => {
                    said.extend_from_slice(self.server.send_buf());
                    let n = self.server.send_buf().len();
                    self.server.sent(n);
                }
                _ => return String::from_utf8(said).unwrap(),
            }
        }
    }

    fn say(&mut self, text: &str, answers: bool) -> String {
        self.server.recv_buf()[..text.len()].copy_from_slice(text.as_bytes());
        self.server.received(text.len());
        self.run(answers)
    }

    fn threads(&mut self, places: &[(u32, Option<u32>)]) -> String {
        self.say("t UID THREAD REFERENCES UTF-8 ALL\r\n", false);
        self.server.threads(places.iter().copied());
        let said = self.run(true);
        let line = said.strip_suffix("t OK Thread completed\r\n").unwrap();
        line.trim_end().trim_start_matches("* THREAD").trim().to_owned()
    }
}

#[test]
fn threads_have_the_form_of_the_grammar() {
    let mut session = Session::new();
    session.say("s SELECT INBOX\r\n", true);
    let some = |places: &[(u32, u32)]| -> Vec<_> {
        let places = places.iter();
        places
            .map(|&(depth, uid)| (depth, (uid > 0).then_some(uid)))
            .collect()
    };
    for (places, want) in [
        (&[][..], ""),
        (&[(0, 0)], ""),
        (&[(0, 0), (1, 0), (2, 0)], ""),
        (&[(0, 101)], "(101)"),
        (
            &[(0, 103), (1, 106), (2, 104), (3, 111), (2, 105)],
            "(103 106 (104 111)(105))",
        ),
        // RFC 5256 §4: what all have in common is not there.
        (&[(0, 0), (1, 103), (1, 105)], "((103)(105))"),
        (&[(0, 0), (1, 103), (2, 105)], "(103 105)"),
        (&[(0, 101), (1, 0), (2, 102), (2, 103)], "(101 (102)(103))"),
        (&[(0, 101), (1, 0), (2, 0), (3, 102)], "(101 102)"),
        // A message that the session does not know.
        (&[(0, 999), (1, 103), (1, 105)], "((103)(105))"),
        // No place is deeper than one below the place before it.
        (&[(7, 101), (9, 102)], "(101 102)"),
    ] {
        assert_eq!(session.threads(&some(places)), want, "{places:?}");
    }
}

#[test]
fn a_thread_without_bottom_is_told_without_recursion() {
    let mut session = Session::new();
    session.say("s SELECT INBOX\r\n", true);
    let deep: Vec<_> = (0..200_000).map(|depth| (depth, Some(101))).collect();
    let said = session.threads(&deep);
    assert_eq!(said.matches("101").count(), 200_000);
    assert_eq!((said.matches('(').count(), said.matches(')').count()), (1, 1));
    // Each level with two below it.
    let wide: Vec<_> = (0..100_000)
        .flat_map(|d| [(d, Some(101)), (d + 1, Some(102))])
        .collect();
    let said = session.threads(&wide);
    assert_eq!(said.matches('(').count(), said.matches(')').count());
}

#[test]
fn notices_without_end_overflow_once() {
    let mut session = Session::new();
    session.say(
        "n NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))\r\n",
        true,
    );
    assert!(session.server.is_listening());
    let status = Status::default();
    // The same mailbox over and over is one line.
    for _ in 0..100_000 {
        session
            .server
            .notice(&Watched::new("Sent"), &Notice::Messages(&status));
    }
    assert_eq!(session.run(true), "* STATUS Sent ()\r\n");
    for n in 0..100_000 {
        let name = format!("{n}-{}", "x".repeat(900));
        session
            .server
            .notice(&Watched::new(&name), &Notice::Messages(&status));
        session
            .server
            .notice(&Watched::new(&name), &Notice::Named(&ListRow::new(&name)));
    }
    assert_eq!(
        session.run(true),
        "* OK [NOTIFICATIONOVERFLOW] Too much has changed\r\n"
    );
    assert!(!session.server.is_listening());
    session
        .server
        .notice(&Watched::new("Sent"), &Notice::Messages(&status));
    assert_eq!(session.run(true), "");
}

#[test]
fn extension_commands_print_as_they_were_parsed() {
    for text in [
        "a SORT (SUBJECT REVERSE DATE) UTF-8 SINCE 1-Feb-1994",
        "a UID SORT RETURN (MIN MAX ALL COUNT) (DISPLAYFROM REVERSE DISPLAYTO) UTF-8 ALL",
        "a THREAD ORDEREDSUBJECT UTF-8 TEXT gewp",
        "a UID THREAD REFERENCES US-ASCII NEW OLD",
        "a ESEARCH ALL",
        "a ESEARCH IN (mailboxes (folder1) subtree-one (folder2 x)) RETURN (COUNT) HEADER Subject chad",
        "a NOTIFY NONE",
        "a NOTIFY SET STATUS (selected-delayed (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (subtree (a b) (MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)) (inboxes NONE)",
        "a NOTIFY SET (subscribed (MessageNew MessageExpunge)) (personal NONE)",
        "a GETQUOTA \"\"",
        "a GETQUOTAROOT INBOX",
        "a SETQUOTA #user/alice (STORAGE 510 MESSAGE 9223372036854775807 MAILBOX 0 ANNOTATION-STORAGE 1)",
        "a SETQUOTA \"\" ()",
        "a SETACL INBOX/Drafts Byron +lrswikta",
        "a SETACL INBOX/Drafts -Fred -wt",
        "a SETACL INBOX/Drafts anyone \"\"",
        "a DELETEACL INBOX Fred",
        "a GETACL INBOX",
        "a LISTRIGHTS ~/Mail/saved smith",
        "a MYRIGHTS INBOX",
        "a GETMETADATA (MAXSIZE 1024 DEPTH infinity) INBOX (/shared/comment /private/comment)",
        "a GETMETADATA \"\" (/shared/comment)",
        "a SETMETADATA INBOX (/private/comment \"My \\\"new\\\" comment\" /shared/comment NIL /shared/x ~{3+}\r\na\0b)",
        "a LIST () \"\" \"%\" RETURN (CHILDREN MYRIGHTS METADATA (/shared/comment))",
        "a COMPRESS DEFLATE",
        "a UNAUTHENTICATE",
        "a XAPPLEPUSHSERVICE aps-version 2 aps-account-id \"a\" aps-device-token \"b\" aps-subtopic \"c\" mailboxes (INBOX Notes)",
    ] {
        let command =
            Command::parse(&Bytes::from(text), 50).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut tx = SendBuf::new();
        command.encode(&mut tx);
        assert_eq!(String::from_utf8_lossy(tx.data()), text);
    }
}

#[test]
fn commands_that_go_on_for_ever_are_refused() {
    let many = |n: usize, text: &str| vec![text; n].join(" ");
    for (text, is_taken) in [
        (
            format!("a NOTIFY SET (mailboxes ({}) NONE)", many(1000, "x")),
            true,
        ),
        (
            format!("a NOTIFY SET (mailboxes ({}) NONE)", many(1001, "x")),
            false,
        ),
        (format!("a NOTIFY SET {}", many(51, "(personal NONE)")), false),
        (format!("a ESEARCH IN ({}) ALL", many(51, "personal")), false),
        (format!("a GETMETADATA INBOX ({})", many(101, "/shared/x")), false),
        (
            format!("a SETMETADATA INBOX ({})", many(101, "/shared/x NIL")),
            false,
        ),
        (format!("a SORT ({}) UTF-8 ALL", many(21, "SIZE")), false),
        (format!("a ESEARCH {}", many(501, "ALL")), false),
    ] {
        let parsed = Command::parse(&Bytes::from(text.clone()), 50);
        assert_eq!(parsed.is_ok(), is_taken, "{}", &text[..40]);
    }
}
