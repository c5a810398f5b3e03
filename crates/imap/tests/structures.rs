//! ENVELOPE, BODY and BODYSTRUCTURE as they are printed: from plain types, and from a part index.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by panicking, and winds its own clock

use bytes::Bytes;
use mailwright_imap::{
    Address, BodyStructure, Config, Disposition, Envelope, FetchRow, Fields, Multipart, Part, PartKind,
    Selected, Server, Transport, UidSet,
};
use mailwright_wire::{Machine, Step};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

/// What is told in the row of the only message there is.
fn told(tell: impl FnOnce(&mut FetchRow<'_>)) -> String {
    let now = Instant::now();
    let mut server = Server::preauthenticated(Arc::new(Config::default()), Transport::Tls, [0; 32], now);
    let input = b"a SELECT INBOX\r\nb FETCH 1 FULL\r\n";
    server.recv_buf()[..input.len()].copy_from_slice(input);
    server.received(input.len());
    let (mut output, mut tell) = (Vec::new(), Some(tell));
    loop {
        match server.poll(now).unwrap() {
            Step::Event(_) => {}
            Step::Write => {
                output.extend_from_slice(server.send_buf());
                server.sent(server.send_buf().len());
            }
            Step::Answer if server.view().is_none() => {
                let one = NonZeroU32::MIN;
                server.selected(Selected::new(UidSet::from(1..=1), one, one));
            }
            Step::Answer => {
                tell.take().unwrap()(&mut server.fetch(1).unwrap());
                server.accept();
            }
            _ => break,
        }
    }
    let output = String::from_utf8(output).unwrap();
    let (_, row) = output.split_once("* 1 FETCH (").unwrap();
    row.strip_suffix(")\r\nb OK Fetch completed\r\n")
        .unwrap()
        .to_owned()
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn text_part(octets: u64, lines: u64) -> Part {
    Part {
        media_type: bytes("TEXT"),
        subtype: bytes("PLAIN"),
        params: vec![(bytes("CHARSET"), bytes("US-ASCII"))],
        id: None,
        description: None,
        encoding: bytes("7BIT"),
        octets,
        kind: PartKind::Text { lines },
        md5: None,
        fields: Fields::default(),
    }
}

/// The two examples of RFC 3501 §7.4.2.
#[test]
fn bodies_of_the_rfc() {
    let single = BodyStructure::Part(Box::new(text_part(2279, 48)));
    assert_eq!(
        told(|row| _ = row.body(&single)),
        r#"BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)"#
    );
    let mut diff = text_part(4554, 73);
    diff.params.push((bytes("NAME"), bytes("cc.diff")));
    diff.id = Some(bytes("<960723163407.20117h@cac.washington.edu>"));
    diff.description = Some(bytes("Compiler diff"));
    diff.encoding = bytes("BASE64");
    let mixed = BodyStructure::Multipart(Multipart {
        parts: vec![
            BodyStructure::Part(Box::new(text_part(1152, 23))),
            BodyStructure::Part(Box::new(diff)),
        ],
        subtype: bytes("MIXED"),
        ..Multipart::default()
    });
    let first = r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23"#;
    let second = concat!(
        r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "#,
        r#""<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73"#
    );
    assert_eq!(
        told(|row| _ = row.body(&mixed)),
        format!(r#"BODY ({first}){second}) "MIXED")"#)
    );
    let nil = " NIL NIL NIL NIL";
    assert_eq!(
        told(|row| _ = row.body_structure(&mixed)),
        format!(r#"BODYSTRUCTURE ({first}{nil}){second}{nil}) "MIXED" NIL NIL NIL NIL)"#)
    );
}

#[test]
fn messages_within_and_extension_data() {
    let mut image = text_part(10, 0);
    (image.media_type, image.subtype) = (bytes("image"), bytes("png"));
    (image.params, image.encoding, image.kind) = (vec![], bytes(""), PartKind::Basic);
    image.md5 = Some(bytes("Q2hlY2s="));
    image.fields = Fields {
        disposition: Some(Disposition {
            kind: bytes("attachment"),
            params: vec![(bytes("filename"), bytes("a \"b\".png"))],
        }),
        language: vec![bytes("en"), bytes("de")],
        location: Some(bytes("http://a.example/")),
    };
    let mut message = text_part(500, 0);
    (message.media_type, message.subtype, message.params) = (bytes("message"), bytes("rfc822"), vec![]);
    message.kind = PartKind::Message {
        envelope: Box::new(Envelope::default()),
        body: BodyStructure::Part(Box::new(image)),
        lines: 20,
    };
    let inner = r#"("image" "png" NIL NIL NIL "7bit" 10 "Q2hlY2s=" ("attachment" ("filename" "a \"b\".png")) ("en" "de") "http://a.example/")"#;
    let envelope = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
    assert_eq!(
        told(|row| _ = row.body_structure(&BodyStructure::Part(Box::new(message)))),
        format!(
            r#"BODYSTRUCTURE ("message" "rfc822" NIL NIL NIL "7BIT" 500 {envelope} {inner} 20 NIL NIL NIL NIL)"#
        )
    );
    assert_eq!(
        told(|row| _ = row.body(&BodyStructure::Multipart(Multipart::default()))),
        r#"BODY (("text" "plain" NIL NIL NIL "7bit" 0 0) "")"#
    );
}

#[test]
fn envelopes_with_groups_literals_and_fallbacks() {
    let address = |name, mailbox, host| Address {
        name,
        mailbox: Some(bytes(mailbox)),
        host: Some(bytes(host)),
    };
    let envelope = Envelope {
        date: Some(bytes("Thu, 1 Jan 1970 00:00:00 +0000")),
        subject: Some(bytes("gr\u{fc}n")),
        from: vec![address(Some(bytes("A \\ B")), "a", "a.example")],
        to: vec![
            Address::group_start(bytes("friends")),
            address(None, "b", "b.example"),
            Address::group_end(),
        ],
        message_id: Some(bytes("<1@a.example>")),
        ..Envelope::default()
    };
    let from = r#"(("A \\ B" NIL "a" "a.example"))"#;
    assert_eq!(
        told(|row| _ = row.envelope(&envelope)),
        format!(
            "ENVELOPE (\"Thu, 1 Jan 1970 00:00:00 +0000\" {{5}}\r\ngr\u{fc}n {from} {from} {from} \
             ((NIL NIL \"friends\" NIL)(NIL NIL \"b\" \"b.example\")(NIL NIL NIL NIL)) NIL NIL NIL \"<1@a.example>\")"
        )
    );
}

#[cfg(feature = "message")]
#[test]
fn an_indexed_message_is_told_as_it_is() {
    let message = b"From: A <a@a.example>\r\nTo: team: b@b.example;\r\nSubject: =?utf-8?q?gr=C3=BCn?=\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Language: de, en\r\n\r\none\r\ntwo\r\n\r\n\
        --x\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=m.eml\r\n\r\n\
        Subject: inner\r\n\r\nbody\r\n\r\n\
        --x--\r\n";
    let index = mailwright_message::Index::of(message);
    let from = r#"(("A" NIL "a" "a.example"))"#;
    let row = told(|row| {
        row.envelope_of(&index).body_of(&index).body_structure_of(&index);
    });
    let envelope = format!(
        r#"(NIL "=?utf-8?q?gr=C3=BCn?=" {from} {from} {from} ((NIL NIL "team" NIL)(NIL NIL "b" "b.example")(NIL NIL NIL NIL)) NIL NIL NIL NIL)"#
    );
    let inner_envelope = r#"(NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL)"#;
    let body = |one: &str, inner: &str, within: &str, mixed: &str| {
        format!(
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2{one})\
             (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 24 {inner_envelope} \
             (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1{inner}) 3{within}) \"mixed\"{mixed})"
        )
    };
    let short = body("", "", "", "");
    let long = body(
        " NIL NIL (\"de\" \"en\") NIL",
        " NIL NIL NIL NIL",
        " NIL (\"attachment\" (\"filename\" \"m.eml\")) NIL NIL",
        " (\"boundary\" \"x\") NIL NIL NIL",
    );
    assert_eq!(
        row,
        format!("ENVELOPE {envelope} BODY {short} BODYSTRUCTURE {long}")
    );
}
