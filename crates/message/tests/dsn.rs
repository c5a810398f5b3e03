//! Notifications: written, read back, and clean for every transport.

mod common;

use bytes::Bytes;
use common::{crlf, exercise, section};
use mailwright_message::date::{self, DateTime};
use mailwright_message::dsn::{Action, Notification, Recipient, Report, Returned, Status, Typed};
use mailwright_message::index::{Index, Section};
use mailwright_message::{encoded_word, header};
use proptest::prelude::*;

fn report() -> Report {
    let mut report = Report::new(Typed::dns("mx.b.test"));
    report.original_envelope_id = Some("QQ314159".to_owned());
    report.received_from_mta = Some(Typed::dns("a.test"));
    report.arrival_date = Some(DateTime::new(880_106_106, -360));
    let mut failed = Recipient::new(
        Typed::address("nobody@b.test"),
        Action::Failed,
        Status::NO_SUCH_MAILBOX,
    );
    failed.original_recipient = Some(Typed::address("somebody@a.test"));
    failed.remote_mta = Some(Typed::dns("mail.b.test"));
    failed.diagnostic = Some(Typed::smtp(
        "550 5.1.1 <nobody@b.test>: no such user here; see https://b.test/help",
    ));
    failed.last_attempt = Some(DateTime::new(880_109_706, 0));
    failed.final_log_id = Some("q7XsH2".to_owned());
    let mut delayed = Recipient::new(
        Typed::address("jürgen+x@bücher.test"),
        Action::Delayed,
        Status::EXPIRED,
    );
    delayed.will_retry_until = Some(DateTime::new(880_538_106, 60));
    report.recipients = vec![failed, delayed];
    report
}

fn notification(returned: Returned) -> Notification {
    let date = DateTime::new(880_109_706, 0);
    let mut notification = Notification::new(report(), "mailer-daemon@mx.b.test", "alice@a.test", date);
    notification.returned = returned;
    notification
}

fn check_clean(message: &[u8]) {
    assert!(message.is_ascii() && !message.contains(&0));
    let mut lines: Vec<&[u8]> = message.split(|b| *b == b'\n').collect();
    assert_eq!(lines.pop(), Some(&b""[..]), "the last line is complete");
    for line in lines {
        let line = line.strip_suffix(b"\r").expect("every LF has its CR");
        assert!(
            line.len() <= 998 && !line.contains(&b'\r'),
            "{}",
            line.escape_ascii()
        );
    }
}

#[test]
fn a_whole_notification() {
    let original = Bytes::from(crlf(
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nDate: today\nMessage-ID: <1@a.test>\n\nHello\n",
    ));
    let pieces = vec![original.slice(..20), Bytes::new(), original.slice(20..)];
    let chunks = notification(Returned::Message(pieces.clone())).build([0x5a; 16]);
    assert!(
        chunks.iter().any(|chunk| chunk.as_ptr() == pieces[2].as_ptr()),
        "no copy of the message"
    );
    let message = chunks.concat();
    check_clean(&message);
    let index = Index::of(&message);
    exercise(&index, &message);
    assert_eq!(index.defects().count(), 0);
    assert_eq!(Report::parse(&index, &message), Some(report()));

    let structure = index.body_structure();
    assert!(structure.subtype().eq_ignore_ascii_case(b"report"));
    let parameters: Vec<_> = structure.parameters().collect();
    assert_eq!(parameters[0], (&b"report-type"[..], &b"delivery-status"[..]));
    assert_eq!(
        section(&index, &message, &[3], Section::Content)
            .unwrap()
            .as_bytes(),
        original
    );
    let of = |name| header::decode(header::find(&message, name).unwrap().value);
    assert_eq!(of("From"), "Mail Delivery System <mailer-daemon@mx.b.test>");
    assert_eq!(of("To"), "<alice@a.test>");
    assert_eq!(of("Subject"), "Your message could not be delivered");
    assert_eq!(of("Auto-Submitted"), "auto-replied");
    assert_eq!(of("References"), "<1@a.test>");
    assert_eq!(header::message_ids(&message, "Message-ID").len(), 1);

    let part = index.part(&[1]).unwrap();
    let body = part.body();
    let text = part.decode_text(&message[body.start as usize..body.end as usize]);
    for words in [
        "This is the mail system at mx.b.test.",
        "with the subject \"Grüße\"",
        "<nobody@b.test>",
        "There is no mailbox with this address. (status 5.1.1)",
        "check the address for typing mistakes",
        "mail.b.test said:",
        "<jürgen+x@bücher.test>",
        "will be tried until",
    ] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{words} in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 78));
}

#[test]
fn the_report_of_rfc_3464_appendix() {
    let message = crlf(include_str!("data/report.eml"));
    let index = Index::of(&message);
    let report = Report::parse(&index, &message).unwrap();
    assert_eq!(report.reporting_mta, Typed::dns("cs.utk.edu"));
    assert_eq!(
        report.arrival_date,
        date::parse(b"Fri, 8 Jul 1994 09:21:00 -0400")
    );
    let [first, second] = &report.recipients[..] else {
        panic!("two recipients")
    };
    assert_eq!(
        first.final_recipient,
        Typed::new("rfc822", "arathib@vnet.ibm.com")
    );
    assert_eq!((first.action, first.status), (Action::Failed, Status::FAILED));
    assert_eq!(
        first.diagnostic,
        Some(Typed::smtp(
            "550 'arathib@vnet.IBM.COM' is not a   registered gateway user"
        ))
    );
    assert_eq!((second.action, second.status), (Action::Delayed, Status::DELAYED));
    assert_eq!(
        second.will_retry_until,
        date::parse(b"Tue, 12 Jul 1994 09:21:00 -0400")
    );
}

#[test]
fn what_cannot_go_as_it_is_comes_back_as_a_header() {
    for (original, returned) in [
        ("Subject: caf\u{e9}\r\n\r\nbody\r\n", "Subject: caf\u{e9}\r\n"),
        (
            "Subject: x\r\nTo: a\r\n\r\n8-bit \u{e9}\r\n",
            "Subject: x\r\nTo: a\r\n",
        ),
        ("Subject: bare\n\nbody\n", "Subject: bare\r\n"),
        ("Subject: x\r\n\r\nbare \r cr\r\n", "Subject: x\r\n"),
        ("Subject: x\r\n\r\nnul \0\r\n", "Subject: x\r\n"),
    ] {
        let message = notification(Returned::Message(vec![original.into()]))
            .build([1; 16])
            .concat();
        check_clean(&message);
        let index = Index::of(&message);
        let part = index.part(&[3]).unwrap();
        assert_eq!(part.body_structure().subtype(), b"rfc822-headers");
        let body = part.body();
        let decoded = part.decode(&message[body.start as usize..body.end as usize]);
        assert_eq!(String::from_utf8_lossy(&decoded), returned, "{original:?}");
        assert_eq!(Report::parse(&index, &message), Some(report()));
    }
    let long = format!("Subject: x\r\n\r\n{}\r\n", "y".repeat(999));
    let message = notification(Returned::Message(vec![long.into()]))
        .build([1; 16])
        .concat();
    check_clean(&message);
    let huge = "A: b\r\n".repeat(50_000);
    let message = notification(Returned::Header(huge.into()))
        .build([1; 16])
        .concat();
    check_clean(&message);
    assert!(message.len() < 70_000);
    let message = notification(Returned::Nothing).build([1; 16]).concat();
    assert_eq!(Index::of(&message).body_structure().part().children().count(), 2);
}

#[test]
fn addresses_that_are_not_ascii() {
    let mut notification = notification(Returned::Nothing);
    notification.to = "jürgen@bücher.test".to_owned();
    notification.from = "mailer\r\nBcc: x@y".to_owned();
    let message = notification.build([2; 16]).concat();
    check_clean(&message);
    let index = Index::of(&message);
    let to: Vec<_> = index.envelope().to().collect();
    assert_eq!(to.len(), 2, "an empty group");
    assert_eq!(encoded_word::decode(to[0].mailbox.unwrap()), "jürgen@bücher.test");
    assert!(index.envelope().bcc().is_empty());
}

#[test]
fn status_codes() {
    assert_eq!("5.7.26".parse::<Status>().unwrap().to_string(), "5.7.26");
    assert_eq!(
        Status::find("4.2.2 (mailbox full)").unwrap(),
        Status::new(4, 2, 2).unwrap()
    );
    assert_eq!(Status::find(" 5.1.1. x").unwrap(), Status::NO_SUCH_MAILBOX);
    for wrong in [
        "", "5", "5.1", "5.1.1.1", "3.1.1", "5.1000.1", "5..1", "+5.1.1", "55.1.1", "5.1.+1",
    ] {
        assert!(wrong.parse::<Status>().is_err(), "{wrong}");
    }
    assert_eq!(Status::new(5, 1000, 0), None);
}

#[test]
fn what_is_no_report() {
    for message in [
        "",
        "Subject: x\n\nbody",
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n",
        "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; x\n",
        "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; x\nAction: dance\n",
    ] {
        let message = crlf(message);
        assert_eq!(Report::parse(&Index::of(&message), &message), None);
    }
    let message = b"Content-Type: message/delivery-status\n\nFinal-Recipient: x@y\nAction: FAILED (c)\n";
    let report = Report::parse(&Index::of(message), message).unwrap();
    assert_eq!(report.recipients[0].final_recipient, Typed::new("", "x@y"));
    assert_eq!(report.recipients[0].status, Status::FAILED);
    assert_eq!(Report::parse(&Index::of(message), b"another message"), None);
}

fn arbitrary_text() -> impl Strategy<Value = String> {
    "[ -~]{1,200}|[ -~é\r\n\0\t]{1,60}|x{1100}"
}

proptest! {
    #[test]
    fn any_report_round_trips(
        host in "[a-z.]{1,40}", text in "[!-~][ -~]{0,200}[!-~]", envelope_id in "[!-~]{1,60}",
        address in "[a-z]{1,9}@[a-zé-ü]{1,20}", unix in 0i64..4_000_000_000, class in 0usize..3, numbers in (0u16..=999, 0u16..=999)
    ) {
        // Several spaces are kept, but an encoded word would be decoded.
        prop_assume!(!text.contains("=?") && !envelope_id.contains("=?"));
        let mut report = Report::new(Typed::dns(host));
        report.original_envelope_id = Some(envelope_id);
        let status = Status::new([2, 4, 5][class], numbers.0, numbers.1).unwrap();
        let action = [Action::Delivered, Action::Delayed, Action::Failed][class];
        let mut recipient = Recipient::new(Typed::address(address), action, status);
        recipient.diagnostic = Some(Typed::smtp(text));
        recipient.last_attempt = Some(DateTime::new(unix, 0));
        report.recipients.push(recipient);
        let message = Notification::new(report.clone(), "m@x", "a@b", DateTime::new(unix, 0)).build([3; 16]).concat();
        check_clean(&message);
        prop_assert_eq!(Report::parse(&Index::of(&message), &message), Some(report));
    }

    #[test]
    fn any_text_goes_clean(a in arbitrary_text(), b in arbitrary_text(), c in arbitrary_text()) {
        let mut report = Report::new(Typed::new(a.clone(), b.clone()));
        let mut recipient = Recipient::new(Typed::address(a.clone()), Action::Failed, Status::FAILED);
        recipient.diagnostic = Some(Typed::smtp(c.clone()));
        recipient.remote_mta = Some(Typed::dns(b.clone()));
        report.original_envelope_id = Some(c.clone());
        report.recipients.push(recipient);
        let mut notification = Notification::new(report, a, b, DateTime::new(0, 0));
        notification.returned = Returned::Header(c.into());
        let message = notification.build([4; 16]).concat();
        check_clean(&message);
        let index = Index::of(&message);
        prop_assert_eq!(index.body_structure().part().children().count(), 3);
        prop_assert!(Report::parse(&index, &message).is_some());
    }
}
