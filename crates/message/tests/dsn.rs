//! Notifications: written, read back, and clean for every transport.

mod common;

use bytes::Bytes;
use common::{crlf, exercise, section};
use mailwright_message::date::{self, DateTime};
use mailwright_message::dsn::{Action, Extension, Notification, Recipient, Report, Returned, Status, Typed};
use mailwright_message::index::{Index, Section};
use mailwright_message::{encoded_word, header, transfer};
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
    assert_eq!(of("To"), "alice@a.test");
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

/// The other examples of RFC 3464 appendix E.
#[test]
fn reports_of_rfc_3464_appendix_e() {
    let parse = |fields: &str| {
        let message = crlf(&format!("Content-Type: message/delivery-status\n\n{fields}"));
        Report::parse(&Index::of(&message), &message).unwrap()
    };
    let simple = parse(
        "Reporting-MTA: dns; cs.utk.edu\n\nOriginal-Recipient: rfc822;louisl@larry.slip.umd.edu\n\
         Final-Recipient: rfc822;louisl@larry.slip.umd.edu\nAction: failed\nStatus: 4.0.0\n\
         Diagnostic-Code: smtp; 426 connection timed out\nLast-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400\n",
    );
    let mut want = Report::new(Typed::dns("cs.utk.edu"));
    let louis = Typed::address("louisl@larry.slip.umd.edu");
    let mut recipient = Recipient::new(louis.clone(), Action::Failed, Status::DELAYED);
    recipient.original_recipient = Some(louis);
    recipient.diagnostic = Some(Typed::smtp("426 connection timed out"));
    recipient.last_attempt = date::parse(b"Thu, 7 Jul 1994 17:15:49 -0400");
    want.recipients.push(recipient);
    assert_eq!(simple, want);

    let gatewayed = parse(
        "Reporting-MTA: mailbus; SYS30\n\nFinal-Recipient: unknown; nair_s\n\
         Status: 5.0.0 (unknown permanent failure)\nAction: failed\n",
    );
    let mut want = Report::new(Typed::new("mailbus", "SYS30"));
    let nair = Recipient::new(Typed::new("unknown", "nair_s"), Action::Failed, Status::FAILED);
    want.recipients.push(nair);
    assert_eq!(gatewayed, want);

    let delayed = parse(
        "Reporting-MTA: dns; sun2.nsfnet-relay.ac.uk\n\nFinal-Recipient: rfc822;thomas@de-montfort.ac.uk\n\
         Status: 4.0.0 (unknown temporary failure)\nAction: delayed\n",
    );
    let mut want = Report::new(Typed::dns("sun2.nsfnet-relay.ac.uk"));
    let thomas = Typed::address("thomas@de-montfort.ac.uk");
    want.recipients
        .push(Recipient::new(thomas, Action::Delayed, Status::DELAYED));
    assert_eq!(delayed, want);
}

fn extension(name: &str, value: &str) -> Extension {
    Extension::new(name, value).expect("the name of a field")
}

fn full_report() -> Report {
    let mut report = report();
    report.gateway = Some(Typed::new("x400", "/C=DE/A=b"));
    report.extensions = vec![extension("X-Queue", "caf\u{e9} 7")];
    let failed = &mut report.recipients[0];
    failed.diagnostic = Some(Typed::smtp("550 5.1.1 kein Postfach f\u{fc}r =?x?q?nobody?="));
    failed.extensions = vec![extension("X-Trace", "a"), extension("X-Trace", "")];
    report
}

#[test]
fn every_field_in_both_forms() {
    let mut notification = notification(Returned::Nothing);
    notification.report = full_report();
    notification.to = "j\u{fc}rgen@b\u{fc}cher.test".to_owned();
    let message = notification.build([5; 16]).concat();
    check_clean(&message);
    assert_eq!(Report::parse(&Index::of(&message), &message), Some(full_report()));
    let ascii = String::from_utf8_lossy(&message);
    assert!(ascii.contains("Content-Type: message/delivery-status\r\n"));
    assert!(ascii.contains("Final-Recipient: utf-8; j\\x{FC}rgen\\x{2B}x@b\\x{FC}cher.test\r\n"));

    // RFC 6533 §4.1: the address as it is, and the diagnostic in other languages.
    let french = Typed::new("fr", "Bo\u{ee}te inconnue");
    notification.report.recipients[0].localized_diagnostics = vec![french];
    notification.utf8 = true;
    let message = notification.build([5; 16]).concat();
    assert_eq!(
        Report::parse(&Index::of(&message), &message),
        Some(notification.report.clone())
    );
    let text = String::from_utf8(message).expect("raw UTF-8");
    for line in [
        "To: j\u{fc}rgen@b\u{fc}cher.test",
        "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit",
        "Final-Recipient: utf-8; j\u{fc}rgen+x@b\u{fc}cher.test",
        "Localized-Diagnostic: fr; Bo\u{ee}te inconnue",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit",
    ] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
    }

    // RFC 6533 §4.4: what is ASCII keeps the traditional form.
    let mut plain = Notification::new(
        Report::new(Typed::dns("mx")),
        "m@mx.test",
        "a@b.test",
        DateTime::new(0, 0),
    );
    let alice = Recipient::new(Typed::address("a@b.test"), Action::Relayed, Status::DELIVERED);
    plain.report.recipients.push(alice);
    plain.utf8 = true;
    check_clean(&plain.build([5; 16]).concat());
}

/// RFC 6533 §4.2 to §4.5.
#[test]
fn messages_with_utf8_headers_come_back() {
    let original = "Subject: caf\u{e9}\r\nMessage-ID: <1@b>\r\n\r\n\u{e9}\r\n";
    let third = |notification: &Notification| {
        let message = notification.build([1; 16]).concat();
        let index = Index::of(&message);
        let part = index.part(&[3]).unwrap();
        let structure = part.body_structure();
        let encoding = String::from_utf8_lossy(structure.encoding()).into_owned();
        let body = part.body();
        let body = &message[body.start as usize..body.end as usize];
        // What a message/global holds is found where it stands: encoded, it is for the reader to decode.
        let body = match &*encoding {
            "base64" => transfer::Encoding::Base64.decode(body),
            _ => part.decode(body),
        };
        let subtype = String::from_utf8_lossy(structure.subtype()).into_owned();
        (subtype, encoding, body.into_owned(), message.is_ascii())
    };
    let mut notification = notification(Returned::Message(vec![original.into()]));
    let (subtype, encoding, body, ascii) = third(&notification);
    assert_eq!((&*subtype, &*encoding, ascii), ("global", "base64", true));
    assert_eq!(body, original.as_bytes());
    notification.utf8 = true;
    let (subtype, encoding, body, _) = third(&notification);
    assert_eq!((&*subtype, &*encoding), ("global", "8bit"));
    assert_eq!(body, original.as_bytes());

    let header = "Subject: caf\u{e9}\r\nMessage-ID: <1@b>\r\n";
    notification.returned = Returned::Header(original.into());
    let (subtype, encoding, body, _) = third(&notification);
    assert_eq!((&*subtype, &*encoding), ("global-headers", "8bit"));
    assert_eq!(body, header.as_bytes());
    notification.utf8 = false;
    let (subtype, encoding, body, ascii) = third(&notification);
    assert_eq!(
        (&*subtype, &*encoding, ascii),
        ("global-headers", "quoted-printable", true)
    );
    assert_eq!(body, header.as_bytes());

    // An 8-bit body needs a transport for it, a header in Latin-1 is no UTF-8.
    notification.returned = Returned::Message(vec!["A: b\r\n\r\n\u{e9}\r\n".into()]);
    assert_eq!(third(&notification).0, "rfc822-headers");
    notification.utf8 = true;
    assert_eq!(third(&notification).1, "8bit");
    notification.returned = Returned::Header(b"Subject: caf\xe9\r\n\r\n"[..].into());
    assert_eq!(third(&notification).0, "rfc822-headers");
}

#[test]
fn names_of_extension_fields() {
    assert!(Extension::new("X-\u{e9}", "").is_none());
    for name in ["", "a b", "a:", "ACTION", "Final-Recipient", &"x".repeat(71)] {
        assert!(Extension::new(name, "").is_none(), "{name}");
    }
    let extension = Extension::new("X-Trace", "1\r\nAction: delivered").unwrap();
    assert_eq!(
        (extension.name(), extension.value()),
        ("X-Trace", "1\r\nAction: delivered")
    );
    let mut notification = notification(Returned::Nothing);
    notification.report.extensions = vec![extension];
    let message = notification.build([5; 16]).concat();
    let parsed = Report::parse(&Index::of(&message), &message).unwrap();
    assert_eq!(parsed.extensions[0].value(), "1  Action: delivered");
    assert_eq!(parsed.recipients, report().recipients);
}

/// Text that begins and ends with something visible: white space around a value has no meaning.
fn value() -> impl Strategy<Value = String> {
    "[!-~]([ -~]{0,200}[!-~])?|[a-z]([ -~\u{e9}-\u{fc}\u{3042}\u{1f600}]{0,90}=\\?)?"
}

fn arbitrary_text() -> impl Strategy<Value = String> {
    "[ -~]{1,200}|[ -~é\r\n\0\t]{1,60}|x{1100}"
}

proptest! {
    #[test]
    fn any_report_round_trips(
        utf8 in any::<bool>(), host in "[a-z.]{1,40}", text in value(), name in "[Xx]-[A-Za-z0-9-]{1,30}",
        texts in proptest::collection::vec(value(), 8), address in "[a-z]{1,9}@[a-z\u{e9}-\u{fc}\u{3042}]{1,20}",
        unix in 0i64..4_000_000_000, class in 0usize..5, numbers in (0u16..=999, 0u16..=999)
    ) {
        let date = |hours: i64| Some(DateTime::new(unix + hours * 3600, 60));
        let extension = |value: &String| Extension::new(name.clone(), value.clone()).unwrap();
        let mut report = Report::new(Typed::dns(host.clone()));
        report.original_envelope_id = Some(text.clone());
        report.gateway = Some(Typed::new("x400", texts[0].clone()));
        report.received_from_mta = Some(Typed::dns(texts[1].clone()));
        report.arrival_date = date(0);
        report.extensions = texts[2..4].iter().map(extension).collect();
        let action = [Action::Delivered, Action::Delayed, Action::Failed, Action::Relayed, Action::Expanded][class];
        let status = Status::new([2, 4, 5, 2, 2][class], numbers.0, numbers.1).unwrap();
        let mut recipient = Recipient::new(Typed::address(address.clone()), action, status);
        recipient.original_recipient = Some(Typed::address(format!("x{address}")));
        recipient.remote_mta = Some(Typed::dns(texts[4].clone()));
        recipient.diagnostic = Some(Typed::smtp(text));
        recipient.localized_diagnostics = texts[5..6].iter().filter(|_| utf8).map(|t| Typed::new("de", t)).collect();
        recipient.last_attempt = date(1);
        recipient.final_log_id = Some(texts[6].clone());
        recipient.will_retry_until = date(9).filter(|_| action == Action::Delayed);
        recipient.extensions = texts[7..].iter().map(extension).collect();
        report.recipients = vec![recipient.clone(), recipient];
        let mut notification = Notification::new(report.clone(), "m@x.test", "a@b.test", DateTime::new(unix, 0));
        notification.utf8 = utf8;
        let message = notification.build([3; 16]).concat();
        if !utf8 {
            check_clean(&message);
        }
        prop_assert!(message.split(|b| *b == b'\n').all(|line| line.len() <= 999));
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
