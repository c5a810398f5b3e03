//! Header fix-ups, however the message is cut (RFC 6409 §8).

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use mailwright_smtp::futurerelease::DateTime;
use mailwright_smtp::submission::{Additions, FixUp, Found};

fn additions(sender: Option<&str>) -> Additions {
    let date = DateTime::from_unix(1_795_429_800).unwrap();
    let mut additions = Additions::new(date, [0xab; 16], "[192.0.2.1]".parse().unwrap());
    additions.sender = sender.map(|sender| sender.parse().unwrap());
    additions
}

/// What comes out, for every size of pieces; it must always be the same.
fn fix(message: &str, sender: Option<&str>, limit: usize) -> (String, Found) {
    let run = |cut: usize| {
        let mut fix_up = FixUp::new(additions(sender)).with_limit(limit);
        let mut out = Vec::new();
        for piece in message.as_bytes().chunks(cut) {
            fix_up.push(piece.to_vec().into(), &mut out);
        }
        let found = fix_up.finish(&mut out);
        (String::from_utf8(out.concat()).unwrap(), found)
    };
    let whole = run(message.len().max(1));
    for cut in 1..message.len() {
        assert_eq!(run(cut), whole, "cut every {cut}");
    }
    whole
}

const ID: &str = "Message-ID: <abababababababababababababababab@[192.0.2.1]>\r\n";
const DATE: &str = "Date: Mon, 23 Nov 2026 10:30:00 +0000\r\n";

#[test]
fn what_is_missing_is_put_in_front() {
    for (message, added) in [
        (
            "From: a@b.test\r\n\r\nDate: in the body\r\n",
            format!("{ID}{DATE}"),
        ),
        ("DATE : x\r\n\r\n", ID.into()),
        ("X: y\r\n Date: folded\r\nmessage-id: <x@y>\r\n\r\n", DATE.into()),
        ("Date: x\r\nMessage-ID: <x@y>\r\n\r\n.\r\n", String::new()),
        ("Date: x\r\nMessage-ID: <x@y>\r\n", String::new()),
        ("\r\nOnly a body\r\n", format!("{ID}{DATE}")),
        // Text without a header must not become one.
        ("Just text: no field\r\n", format!("{ID}{DATE}\r\n")),
        ("", format!("{ID}{DATE}\r\n")),
    ] {
        let (out, found) = fix(message, None, FixUp::LIMIT);
        assert_eq!(out, added + message);
        assert!(found.complete);
    }
}

#[test]
fn a_sender_that_from_does_not_name_is_told() {
    let rest = "Date: x\r\nMessage-ID: <x@y>\r\n\r\n";
    for (from, told) in [
        ("From: Alice <ALICE@a.test>\r\n", false),
        ("From: b@b.test,\r\n alice@a.test\r\n", false),
        ("From: b@b.test\r\nSender: c@c.test\r\n", false),
        ("From: b@b.test\r\n", true),
        ("From: malice@a.test\r\n", true),
        ("From: alice@a.test.example\r\n", true),
        ("To: alice@a.test\r\n", true),
    ] {
        let (out, found) = fix(&format!("{from}{rest}"), Some("alice@a.test"), FixUp::LIMIT);
        assert_eq!(out.starts_with("Sender: alice@a.test\r\n"), told, "{from}");
        assert_eq!(
            (found.from, found.sender),
            (from.contains("From"), from.contains("Sender"))
        );
    }
}

#[test]
fn a_header_above_the_limit_goes_on_as_it_is() {
    let long = format!("Received: x\r\nReceived: y\r\nX: {}\r\n\r\n", "y".repeat(100));
    let mut fix_up = FixUp::new(additions(None)).with_limit(50);
    let mut out = Vec::new();
    fix_up.push(long.clone().into(), &mut out);
    let found = fix_up.finish(&mut out);
    // All of it came at once, and its end is in there.
    assert!(found.complete && found.received == 2);
    let mut fix_up = FixUp::new(additions(None)).with_limit(50);
    let mut out = Vec::new();
    for piece in long.as_bytes().chunks(60) {
        fix_up.push(piece.to_vec().into(), &mut out);
    }
    let found = fix_up.finish(&mut out);
    assert!(!found.complete && !found.date);
    assert_eq!(out.concat(), long.as_bytes());
}

#[test]
fn trace_fields_go_in_front_of_everything() {
    const TRACE: &str = "Received: from a\r\n by b\r\n";
    for (message, then) in [
        ("Received: x\r\nreceived: y\r\n\r\nbody", ""),
        ("\r\nOnly a body", ""),
        ("Just text: no field\r\n", "\r\n"),
        ("", "\r\n"),
        // Longer than what is held.
        (
            "Subject: x\r\nX-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n",
            "",
        ),
    ] {
        for cut in 1..=message.len().max(1) {
            let mut fix_up = FixUp::nothing().with_trace(TRACE).with_limit(40);
            let mut out = Vec::new();
            for piece in message.as_bytes().chunks(cut) {
                fix_up.push(piece.to_vec().into(), &mut out);
            }
            let found = fix_up.finish(&mut out);
            let out = String::from_utf8(out.concat()).unwrap();
            assert_eq!(out, format!("{TRACE}{then}{message}"));
            assert_eq!(
                found.received,
                if message.starts_with("Received") { 2 } else { 0 }
            );
        }
    }
}

#[test]
fn tls_that_is_not_required_is_found() {
    for (header, optional) in [
        ("TLS-Required: No\r\n", true),
        ("X: y\r\ntls-required:no \r\n", true),
        ("TLS-Required:\r\n No\r\n", true),
        ("TLS-Required: Yes\r\n", false),
        ("TLS-Required: No, really\r\n", false),
        ("X-TLS-Required: No\r\n", false),
        ("Subject: x\r\n No\r\n", false),
        ("\r\nTLS-Required: No\r\n", false),
    ] {
        let mut out = Vec::new();
        let mut fix_up = FixUp::nothing();
        fix_up.push(format!("{header}\r\n").into(), &mut out);
        assert_eq!(fix_up.finish(&mut out).tls_optional, optional, "{header}");
    }
}
