//! Who is told that somebody is away, what they are told, and how often (RFC 3834, RFC 5230).

use crate::site::{address, field};
use mailwright_address::ReversePath;
use mailwright_message::date::DateTime;
use mailwright_server::config::Vacation;
use mailwright_server::delivery::vacation::{Memory, Silence, recipient, reply};

const DAY: u64 = 86_400;

fn judge(sender: &str, header: &str) -> Result<String, Silence> {
    let sender = match sender {
        "" => ReversePath::Null,
        sender => ReversePath::Address(address(sender)),
    };
    let is_own = |address: &mailwright_address::EmailAddress| address.as_str().starts_with("alice@");
    recipient(&sender, header.as_bytes(), is_own).map(|to| to.to_string())
}

#[test]
fn every_rule() {
    let to_alice = "To: Alice <alice@a.test>\r\nSubject: x\r\n";
    let yes = Ok("bob@b.test".to_owned());
    // Who sends.
    for (sender, want) in [
        ("bob@b.test", yes.clone()),
        ("", Err(Silence::NoSender)),
        ("MAILER-DAEMON@b.test", Err(Silence::Program)),
        ("LISTSERV@b.test", Err(Silence::Program)),
        ("Majordomo@b.test", Err(Silence::Program)),
        ("owner-things@b.test", Err(Silence::Program)),
        ("things-owner@b.test", Err(Silence::Program)),
        ("things-request@b.test", Err(Silence::Program)),
        ("things-bounces+alice=a.test@b.test", Err(Silence::Program)),
        ("no-reply@b.test", Err(Silence::Program)),
        ("alice@a.test", Err(Silence::Own)),
        ("postmaster@b.test", Ok("postmaster@b.test".into())),
        ("requests@b.test", Ok("requests@b.test".into())),
    ] {
        assert_eq!(judge(sender, to_alice), want, "{sender}");
    }
    // What the header says.
    for (fields, want) in [
        ("Auto-Submitted: no\r\n", yes.clone()),
        ("Auto-Submitted: No (really)\r\n", yes.clone()),
        ("Auto-Submitted: auto-replied\r\n", Err(Silence::Automatic)),
        ("auto-submitted: auto-generated; x=y\r\n", Err(Silence::Automatic)),
        ("Auto-Submitted: whatever\r\n", Err(Silence::Automatic)),
        ("List-Id: <x.b.test>\r\n", Err(Silence::List)),
        ("List-Help: <mailto:x@b.test>\r\n", Err(Silence::List)),
        ("List-Subscribe: <mailto:x@b.test>\r\n", Err(Silence::List)),
        ("LIST-UNSUBSCRIBE: <mailto:x@b.test>\r\n", Err(Silence::List)),
        ("List-Post: NO\r\n", Err(Silence::List)),
        ("List-Owner: <mailto:x@b.test>\r\n", Err(Silence::List)),
        ("List-Archive: <https://b.test/>\r\n", Err(Silence::List)),
        ("Listing: x\r\n", yes.clone()),
        ("Precedence: bulk\r\n", Err(Silence::Bulk)),
        ("Precedence: JUNK\r\n", Err(Silence::Bulk)),
        ("Precedence: list\r\n", Err(Silence::Bulk)),
        ("Precedence: first-class\r\n", yes.clone()),
        ("X-Auto-Response-Suppress: DR, OOF\r\n", Err(Silence::Unwanted)),
        ("X-Auto-Response-Suppress: All\r\n", Err(Silence::Unwanted)),
        ("X-Auto-Response-Suppress: DR, NDR\r\n", yes.clone()),
    ] {
        assert_eq!(
            judge("bob@b.test", &format!("{fields}{to_alice}")),
            want,
            "{fields}"
        );
    }
    // To whom it is.
    for (fields, addressed) in [
        ("To: alice@a.test\r\n", true),
        ("Cc: bob@b.test, \"A\" <alice@a.test>\r\n", true),
        ("Bcc: alice@a.test\r\n", true),
        ("Resent-To: alice@a.test\r\n", true),
        ("Resent-Cc: alice@a.test\r\n", true),
        ("Resent-Bcc: alice@a.test\r\n", true),
        ("To: friends: bob@b.test, alice@a.test;\r\n", true),
        ("To: bob@b.test\r\nTo: alice@a.test\r\n", true),
        ("To: undisclosed-recipients:;\r\n", false),
        ("To: bob@b.test\r\n", false),
        ("Reply-To: alice@a.test\r\nSubject: alice@a.test\r\n", false),
        ("X-To: alice@a.test\r\n", false),
        ("", false),
    ] {
        let want = if addressed {
            yes.clone()
        } else {
            Err(Silence::NotAddressed)
        };
        assert_eq!(judge("bob@b.test", fields), want, "{fields}");
    }
}

fn written(vacation: &Vacation, header: &str) -> String {
    let date = DateTime::new(1_795_464_000, 0);
    let (from, to) = (address("alice@a.test"), address("bob@b.test"));
    let message = reply(vacation, &from, &to, header.as_bytes(), date, [7; 32]);
    String::from_utf8(message.unwrap()).unwrap()
}

#[test]
fn the_reply_is_what_the_rules_want() {
    let mut vacation = Vacation::new("Bin weg: Grüße!\n");
    let message = written(
        &vacation,
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <3@b.test>\r\nReferences: <1@b.test> <2@b.test>\r\n",
    );
    assert_eq!(field(&message, "From"), "alice@a.test");
    assert_eq!(field(&message, "To"), "bob@b.test");
    assert_eq!(field(&message, "Subject"), "Auto: =?utf-8?B?R3LDvMOfZQ==?=");
    assert_eq!(field(&message, "Auto-Submitted"), "auto-replied");
    assert_eq!(field(&message, "In-Reply-To"), "<3@b.test>");
    assert_eq!(field(&message, "References"), "<1@b.test> <2@b.test> <3@b.test>");
    assert_eq!(field(&message, "Date"), "Mon, 23 Nov 2026 20:00:00 +0000");
    assert!(message.is_ascii(), "{message}");

    let message = written(&vacation, "In-Reply-To: <2@b.test>\r\nMessage-ID: <3@b.test>\r\n");
    assert_eq!(field(&message, "Subject"), "Automated reply");
    assert_eq!(field(&message, "References"), "<2@b.test> <3@b.test>");

    vacation.subject = Some("Away".into());
    let message = written(&vacation, "Subject: x\r\n\r\n");
    assert_eq!(field(&message, "Subject"), "Away");
    assert!(
        !message.contains("In-Reply-To") && !message.contains("References"),
        "{message}"
    );

    // Nothing of theirs gets a line of its own, or makes it long.
    let many: String = (0..5000).map(|n| format!("\r\n <{n}@b.test>")).collect();
    let message = written(
        &Vacation::new("x"),
        &format!(
            "Subject: a=?utf-8?q?=0D=0ABcc:_x@b.test?={}\r\nMessage-ID: <z@b.test>\r\nReferences:{many}\r\n",
            "y".repeat(5000)
        ),
    );
    assert!(message.len() < 2000 && !message.contains("\r\nBcc"), "{message}");
    assert!(
        message.contains("<0@b.test>") && message.contains("<4999@b.test>"),
        "{message}"
    );
}

#[test]
fn the_first_and_the_last_day_count() {
    let mut vacation = Vacation::new("x");
    assert!(vacation.is_on(0));
    vacation.start = Some(Vacation::day("2026-12-21").unwrap());
    vacation.end = Some(Vacation::day("2026-12-23").unwrap());
    let first = vacation.start.unwrap();
    for (second, on) in [
        (first - 1, false),
        (first, true),
        (first + 3 * DAY - 1, true),
        (first + 3 * DAY, false),
    ] {
        assert_eq!(vacation.is_on(second), on, "{second}");
    }
    assert_eq!(Vacation::day_text(first), "2026-12-21");
    assert!(Vacation::day("2026-13-01").is_err());
}

#[test]
fn the_memory_has_its_bounds() {
    let mut vacation = Vacation::new("x");
    vacation.days = 2;
    let (bob, bob_again) = (address("bob@b.test"), address("Bob@B.test"));
    let mut memory = Memory::read("", &vacation, 1000);
    assert!(memory.is_due(&bob, &vacation, 0));
    memory.told(&bob, &vacation, 0);
    assert!(!memory.is_due(&bob_again, &vacation, 2 * DAY - 1));
    assert!(memory.is_due(&bob, &vacation, 2 * DAY));
    // It survives being written down, damage, and not a change of what is said.
    let text = memory.print();
    assert_eq!(Memory::read(&text, &vacation, 1000), memory);
    assert!(!Memory::read(&format!("{text}nonsense\nx y\n"), &vacation, 1000).is_due(&bob, &vacation, 5));
    assert!(Memory::read("\u{e9}\n1 2\n", &vacation, 1000).is_due(&bob, &vacation, 5));
    let other = Vacation::new("y");
    assert!(Memory::read(&text, &other, 1000).is_due(&bob, &other, 5));
    let (one, two) = (Vacation::new("ab"), Vacation::new("b"));
    let mut moved = two.clone();
    moved.subject = Some("a".into());
    assert_ne!(
        Memory::read("", &one, 9).print(),
        Memory::read("", &moved, 9).print()
    );
    // The oldest go first, and those whose time is over before them.
    for n in 0..3000_u64 {
        memory.told(&address(&format!("u{n}@b.test")), &vacation, 10 + n);
    }
    assert!(memory.is_due(&bob, &vacation, 3000));
    assert!(memory.is_due(&address("u1999@b.test"), &vacation, 3010));
    assert!(!memory.is_due(&address("u2000@b.test"), &vacation, 3010));
    let text = memory.print();
    assert_eq!(text.lines().count(), 1001);
    assert!(text.len() < 64 * 1024);
    memory.told(&bob, &vacation, 100 * DAY);
    assert_eq!(memory.print().lines().count(), 2);
}
