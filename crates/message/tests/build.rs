//! Built messages: read back as they were meant, and clean for every transport.

mod common;

use bytes::Bytes;
use common::built::*;
use common::section;
use mailwright_message::build::{
    Address, Body, Encoding, Error, Field, MAX_DEPTH, Message, MessageBuilder, Part, Step, Transport,
};
use mailwright_message::header;
use mailwright_message::index::{Index, Section};
use mailwright_message::parameters::{ContentType, Disposition};

#[test]
fn a_small_message_is_exactly_this() {
    let message = build(
        builder()
            .to(("Bob", "bob@b.test"))
            .cc(["c@c.test", "d@d.test"])
            .subject("Hello")
            .text("Hi,\nBob\n")
            .field(Field::structured("Auto-Submitted", "no")),
    );
    assert_eq!(
        String::from_utf8(message).unwrap(),
        "Date: Fri, 21 Nov 1997 03:55:06 -0600\r\n\
        From: alice@a.test\r\n\
        To: Bob <bob@b.test>\r\n\
        Cc: c@c.test, d@d.test\r\n\
        Subject: Hello\r\n\
        Message-ID: <60rk4csm6mv3ee1sc5h66s35cr@a.test>\r\n\
        MIME-Version: 1.0\r\n\
        Auto-Submitted: no\r\n\
        Content-Type: text/plain; charset=us-ascii\r\n\
        \r\n\
        Hi,\r\nBob\r\n"
    );
}

#[test]
fn the_tree_of_a_message_with_everything() {
    let message = build(
        builder()
            .text("plain")
            .html("<img src=cid:x@y>")
            .alternative(Part::calendar("REQUEST", "BEGIN:VCALENDAR\nEND:VCALENDAR\n"))
            .inline(Part::new("image/png", b"\x89PNG").content_id("x@y"))
            .attach(Part::attachment(
                "a.bin",
                "application/octet-stream",
                vec![0; 100_000],
            ))
            .attach_message(&b"Subject: inner\n\nbare line ends\n"[..]),
    );
    assert_eq!(
        types(&message),
        [
            "multipart/mixed",
            " multipart/alternative",
            "  text/plain",
            "  multipart/related",
            "   text/html",
            "   image/png",
            "  text/calendar",
            " application/octet-stream",
            " message/rfc822",
            "  text/plain"
        ]
    );
    assert_eq!(octets(&message, &[1, 2, 2]), b"\x89PNG");
    assert_eq!(octets(&message, &[2]), vec![0; 100_000]);
    let index = Index::of(&message);
    assert_eq!(
        section(&index, &message, &[3], Section::Content).unwrap(),
        "Subject: inner\r\n\r\nbare line ends\r\n"
    );
    let mime = section(&index, &message, &[1, 2, 2], Section::Mime).unwrap();
    assert!(
        mime.contains("Content-ID: <x@y>\r\n") && mime.contains("Content-Disposition: inline\r\n"),
        "{mime}"
    );
    let calendar = section(&index, &message, &[1, 3], Section::Mime).unwrap();
    assert!(
        calendar.contains("text/calendar; charset=us-ascii; method=REQUEST\r\n"),
        "{calendar}"
    );
}

#[test]
fn trees_of_ones_own() {
    let signed = Part::signed(
        "application/pgp-signature",
        "pgp-sha256",
        Part::entity(&b"Content-Type: text/plain\r\n\r\nsigned  \r\n"[..]),
        Part::new("application/pgp-signature", &b"sig"[..]),
    );
    let message = build(builder().body(Part::mixed([
        Part::digest([
            Part::message(&b"Subject: 1\r\n\r\n"[..]),
            Part::message(&b"Subject: 2\r\n\r\n"[..]),
        ]),
        signed,
        Part::encrypted(
            "application/pgp-encrypted",
            Part::new("application/pgp-encrypted", &b"Version: 1\r\n"[..]),
            Part::new("application/octet-stream", &b"xyz"[..]),
        ),
    ])));
    assert_eq!(
        types(&message),
        [
            "multipart/mixed",
            " multipart/digest",
            "  message/rfc822",
            "   text/plain",
            "  message/rfc822",
            "   text/plain",
            " multipart/signed",
            "  text/plain",
            "  application/pgp-signature",
            " multipart/encrypted",
            "  application/pgp-encrypted",
            "  application/octet-stream"
        ]
    );
    // RFC 1847 §2.1: what is signed goes octet by octet.
    let index = Index::of(&message);
    let part = index.part(&[2, 1]).unwrap();
    let entity = &message[part.header().start as usize..part.body().end as usize];
    assert_eq!(entity, b"Content-Type: text/plain\r\n\r\nsigned  \r\n");
    let entity = Part::text("Gr\u{fc}\u{df}e \n").to_entity([1; 16]).unwrap();
    assert!(entity.is_ascii() && entity.ends_with(b"\r\n\r\nR3LDvMOfZSANCg=="));
    // A ready entity can be all of the message.
    let message = build(builder().body(Part::entity(&b"Content-Type: text/x-y\r\n\r\nbody"[..])));
    assert_eq!(types(&message), ["text/x-y"]);
}

#[test]
fn content_and_transport_choose_the_encoding() {
    use Transport::{Binary, EightBit, SevenBit};
    let long = "x".repeat(999);
    for (part, transport, want) in [
        (Part::text("plain"), SevenBit, "7bit"),
        (Part::text("caf\u{e9} au lait"), SevenBit, "quoted-printable"),
        (Part::text("caf\u{e9} au lait"), EightBit, "8bit"),
        (Part::text("日本語"), SevenBit, "base64"),
        (Part::text(long.as_str()), SevenBit, "quoted-printable"),
        (Part::text("blank at the end \nx"), EightBit, "quoted-printable"),
        (Part::text("x\nFrom here\n"), EightBit, "quoted-printable"),
        (Part::text("bell \x07"), SevenBit, "quoted-printable"),
        (Part::new("text/csv", &b"a,b\r\n"[..]), SevenBit, "7bit"),
        (Part::new("text/csv", &b"a,b\n"[..]), SevenBit, "base64"),
        (Part::new("text/csv", &b"a,b"[..]), SevenBit, "quoted-printable"),
        (Part::new("image/png", &b"abc"[..]), SevenBit, "base64"),
        (Part::new("image/png", &b"abc"[..]), EightBit, "base64"),
        (Part::new("image/png", &b"a\0c"[..]), Binary, "binary"),
        (Part::text("x").encoding(Encoding::Base64), SevenBit, "base64"),
        (
            Part::message(&b"Subject: x\r\n\r\n\xe9\r\n"[..]),
            EightBit,
            "8bit",
        ),
        (
            Part::mixed([Part::message(&b"A: x\r\n\r\n\xe9\r\n"[..])]),
            EightBit,
            "8bit",
        ),
    ] {
        let message = builder()
            .body(part)
            .transport(transport)
            .build(DATE, RANDOM)
            .unwrap();
        assert!(message.transport() <= transport);
        let message = message.to_vec().unwrap();
        let found = header::find(&message, "Content-Transfer-Encoding");
        let found = found.map_or("7bit".into(), |field| header::decode(field.value));
        assert_eq!(found, want, "{}", message.escape_ascii());
    }
    for (part, transport, error) in [
        (
            Part::text("é").encoding(Encoding::SevenBit),
            SevenBit,
            Error::Encoding(Encoding::SevenBit),
        ),
        (
            Part::text("é").encoding(Encoding::EightBit),
            SevenBit,
            Error::Encoding(Encoding::EightBit),
        ),
        (
            Part::message("A: é\r\n\r\n").encoding(Encoding::Base64),
            SevenBit,
            Error::Encoding(Encoding::Base64),
        ),
        (Part::message("A: é\r\n\r\n"), SevenBit, Error::NotTransportable),
        (Part::entity("A: b\n\nbare"), SevenBit, Error::NotTransportable),
        (
            Part::new("a/b", "\n").encoding(Encoding::QuotedPrintable),
            SevenBit,
            Error::Encoding(Encoding::QuotedPrintable),
        ),
        (
            Part::mixed([Part::text("x")]).encoding(Encoding::Base64),
            SevenBit,
            Error::Encoding(Encoding::Base64),
        ),
        (
            Part::text("--=_60rk4csm6mv3ee1s85146h258r"),
            SevenBit,
            Error::Boundary,
        ),
    ] {
        let built = builder()
            .body(part.clone())
            .transport(transport)
            .build(DATE, RANDOM);
        assert_eq!(built.unwrap_err(), error, "{part:?}");
    }
}

#[test]
fn what_cannot_be_built() {
    let eve = "x\r\nBcc: eve@e.test";
    for (builder, error) in [
        (Message::builder(), Error::Missing("From")),
        (Message::builder().from(["a@b", "c@d"]), Error::Missing("Sender")),
        (builder().subject(eve), Error::Control("Subject".into())),
        (builder().subject("nul \0"), Error::Control("Subject".into())),
        (builder().to((eve, "bob@b.test")), Error::Control("To".into())),
        (
            builder().to(Address::group(eve, ["bob@b.test"])),
            Error::Control("To".into()),
        ),
        (builder().to(Address::group("", ["bob@b.test"])), Error::GroupName),
        (
            builder().to("bob@b.test, eve@e.test"),
            Error::Address("bob@b.test, eve@e.test".into()),
        ),
        (builder().bcc("nobody"), Error::Address("nobody".into())),
        (
            builder().to("j\u{fc}rgen@b.test"),
            Error::NonAsciiAddress("j\u{fc}rgen@b.test".into()),
        ),
        (
            builder().field(Field::text("Bcc", "eve@e.test")),
            Error::ReservedField("Bcc".into()),
        ),
        (
            builder().field(Field::verbatim(&b"bcc: eve@e.test\r\n"[..])),
            Error::ReservedField("bcc".into()),
        ),
        (
            builder().field(Field::text("Content-Type", "x/y")),
            Error::ReservedField("Content-Type".into()),
        ),
        (
            builder().field(Field::text("X Y", "z")),
            Error::FieldName("X Y".into()),
        ),
        (
            builder().field(Field::structured("X", "\u{e9}")),
            Error::NotAscii("X".into()),
        ),
        (
            builder().field(Field::structured("X", "y".repeat(999))),
            Error::TooLong("X".into()),
        ),
        (
            builder().field(Field::verbatim(&b"A: b\r\nB: c\r\n"[..])),
            Error::Value("A: b\r\nB: c\r\n".into()),
        ),
        (
            builder().field(Field::verbatim(&b"A: b\rX: c\r\n"[..])),
            Error::Control("A".into()),
        ),
        (builder().message_id("a b"), Error::Value("Message-ID".into())),
        (
            builder().references(["a@b", "<c>d@e>"]),
            Error::Value("References".into()),
        ),
        (
            builder().body(Part::new("text", b"")),
            Error::MediaType("text".into()),
        ),
        (
            builder().body(Part::new("text/x\r\nA: b", b"")),
            Error::MediaType("text/x\r\nA: b".into()),
        ),
        (
            builder().body(Part::new("multipart/mixed", b"")),
            Error::MediaType("multipart/mixed".into()),
        ),
        (
            builder().body(Part::text("x").filename("a\nb")),
            Error::Control("filename".into()),
        ),
        (
            builder().body(Part::text("x").parameter("a", "\r\n")),
            Error::Control("a".into()),
        ),
        (
            builder().body(Part::text("x").parameter("a*", "b")),
            Error::Value("Content-Type".into()),
        ),
        (
            builder().body(Part::text("x").field(Field::text("Subject", "b"))),
            Error::ReservedField("Subject".into()),
        ),
        (builder().body(Part::mixed([])), Error::NoParts),
        (
            builder().body(Part::report("x", [Part::text("x")])),
            Error::NoParts,
        ),
        (
            builder().body((0..=MAX_DEPTH).fold(Part::text("x"), |part, _| Part::mixed([part]))),
            Error::TooDeep,
        ),
    ] {
        let found = builder.build(DATE, RANDOM).expect_err(&error.to_string());
        assert_eq!(found, error);
        assert!(!found.to_string().contains(['\r', '\n', '\0']), "{found}");
    }
    let stream = builder().body(Part::new("a/b", Body::stream(1)));
    let message = stream.build(DATE, RANDOM).unwrap();
    assert_eq!(message.octets(), None);
    assert_eq!(message.to_vec().unwrap_err(), Error::Stream);
}

#[test]
fn the_envelope_knows_what_the_header_hides() {
    let builder = builder()
        .to(["bob@b.test", "BOB@B.test", "bob@B.TEST"])
        .cc(Address::group("Friends", ["carol@c.test"]))
        .bcc("dave@d.test");
    let message = builder.clone().build(DATE, RANDOM).unwrap();
    let recipients: Vec<_> = message
        .recipients()
        .iter()
        .map(mailwright_address::EmailAddress::as_str)
        .collect();
    assert_eq!(
        recipients,
        ["bob@b.test", "BOB@B.test", "carol@c.test", "dave@d.test"]
    );
    assert_eq!(message.sender().as_str(), "alice@a.test");
    assert!(
        !String::from_utf8(message.to_vec().unwrap())
            .unwrap()
            .contains("dave")
    );
    let draft = build(builder.show_bcc());
    assert_eq!(value(&draft, "Bcc"), b" dave@d.test");
    assert_eq!(value(&draft, "Cc"), b" Friends: carol@c.test;");
    let message = Message::builder()
        .from(["a@b", "c@d"])
        .sender("e@f")
        .build(DATE, RANDOM);
    assert_eq!(message.unwrap().sender().as_str(), "e@f");
}

#[test]
fn raw_utf8_where_the_transport_has_it() {
    let utf8 = |b: MessageBuilder<'static>| b.utf8_headers().build(DATE, RANDOM).unwrap();
    let message = utf8(
        builder()
            .to(("J\u{fc}rgen", "j\u{fc}rgen@b\u{fc}cher.test"))
            .subject("Gr\u{fc}\u{df}e  \u{2028}")
            .body(Part::text("x").filename("\u{20ac}.txt")),
    );
    assert!(message.needs_smtputf8());
    let message = message.to_vec().unwrap();
    assert_eq!(
        value(&message, "To"),
        " J\u{fc}rgen <j\u{fc}rgen@b\u{fc}cher.test>".as_bytes()
    );
    assert!(value(&message, "Subject").starts_with(" Gr\u{fc}\u{df}e ".as_bytes()));
    assert_eq!(
        header::decode(value(&message, "Subject")),
        "Gr\u{fc}\u{df}e  \u{2028}"
    );
    let disposition = Disposition::parse(value(&message, "Content-Disposition")).unwrap();
    assert_eq!(disposition.parameter("filename").unwrap(), "\u{20ac}.txt");
    assert!(!utf8(builder().to("bob@b.test").subject("plain")).needs_smtputf8());
}

#[cfg(feature = "idna")]
#[test]
fn domains_have_an_ascii_form() {
    let message = builder().to("bob@b\u{fc}cher.test").build(DATE, RANDOM).unwrap();
    assert_eq!(message.recipients()[0].as_str(), "bob@xn--bcher-kva.test");
    assert_eq!(
        value(&message.to_vec().unwrap(), "To"),
        b" bob@xn--bcher-kva.test"
    );
}

#[test]
fn names_and_words_in_the_forms_that_their_places_allow() {
    for (name, want) in [
        ("Joe Public", " Joe Public <j@p.test>"),
        ("Joe Q. Public", " \"Joe Q. Public\" <j@p.test>"),
        ("Giant; \"Big\" Box", " \"Giant; \\\"Big\\\" Box\" <j@p.test>"),
        ("two  spaces", " \"two  spaces\" <j@p.test>"),
        // RFC 2047 §8, the writing way: what a phrase may hold is narrower.
        (
            "Keld J\u{f8}rn Simonsen",
            " =?utf-8?Q?Keld_J=C3=B8rn_Simonsen?= <j@p.test>",
        ),
        ("Andr\u{e9} Pirard", " =?utf-8?Q?Andr=C3=A9_Pirard?= <j@p.test>"),
        ("=?x", " =?utf-8?B?PT94?= <j@p.test>"),
        (" x ", " =?utf-8?Q?_x_?= <j@p.test>"),
        ("(a, b)", " \"(a, b)\" <j@p.test>"),
        ("", " j@p.test"),
    ] {
        let message = build(builder().to((name, "j@p.test")));
        assert_eq!(String::from_utf8_lossy(value(&message, "To")), want);
    }
    for (subject, want) in [
        ("", ""),
        ("plain (text), \"as is\"", " plain (text), \"as is\""),
        ("one caf\u{e9} two", " one =?utf-8?B?Y2Fmw6k=?= two"),
        ("\u{e9} \u{e8} x", " =?utf-8?B?w6kgw6g=?= x"),
        ("a =?utf-8?q?b?= c", " a =?utf-8?B?PT91dGYtOD9xP2I/PQ==?= c"),
        (" x", " =?utf-8?Q?_x?="),
        ("x ", " =?utf-8?Q?x_?="),
        ("a\tb  c", " a\tb  c"),
    ] {
        let message = build(builder().subject(subject));
        assert_eq!(String::from_utf8_lossy(value(&message, "Subject")), want);
    }
    for (filename, want) in [
        ("a.txt", "filename=a.txt"),
        ("a b.txt", "filename=\"a b.txt\""),
        ("a\"b\\c", "filename=\"a\\\"b\\\\c\""),
        ("", "filename=\"\""),
        // RFC 2231 §4.
        (
            "This is ***fun***\u{e9}",
            "filename*=utf-8''This%20is%20%2A%2A%2Afun%2A%2A%2A%C3%A9",
        ),
    ] {
        let message = build(builder().body(Part::text("x").filename(filename)));
        let found = header::unfold(value(&message, "Content-Disposition")).into_owned();
        assert_eq!(String::from_utf8_lossy(&found), format!("attachment; {want}"));
    }
    // RFC 2231 §3 and §4.1: sections.
    let long = "\u{20ac}".repeat(40);
    let message = build(builder().body(Part::text("x").filename(long.as_str())));
    let found = String::from_utf8_lossy(value(&message, "Content-Disposition")).into_owned();
    assert!(
        found.contains("\r\n filename*0*=utf-8''%E2") && found.contains(";\r\n filename*5*=%E2"),
        "{found}"
    );
    let disposition = Disposition::parse(found.as_bytes())
        .unwrap()
        .parameter("filename")
        .unwrap()
        .into_owned();
    assert_eq!(disposition, long);
}

#[test]
fn streams_of_any_chunks() {
    let data: Vec<u8> = (0..200_000u32).map(|i| ((i * 7919) >> 3) as u8).collect();
    let text = "A line of text.\r\nAnother one\r\n".repeat(5000);
    let message = |encoding: Option<Encoding>, transport| {
        let mut part = Part::attachment("x", "application/x", Body::stream(7));
        if let Some(encoding) = encoding {
            part = part.encoding(encoding);
        }
        let message = builder().text("x").attach(part).transport(transport);
        message.build(DATE, RANDOM).unwrap()
    };
    let send = |message: Message<'_>, data: &[u8], size: usize| -> Result<Vec<u8>, Error> {
        let mut chunks = data.chunks(size);
        let mut writer = message.writer();
        let mut out = Vec::new();
        loop {
            match writer.poll() {
                Ok(Step::Chunk(chunk)) => {
                    assert!(!chunk.is_empty() && chunk.len() < 200_000);
                    out.extend_from_slice(&chunk);
                }
                Ok(Step::Want(7)) => {
                    writer.supply(chunks.next().map_or(Bytes::new(), Bytes::copy_from_slice));
                }
                Ok(Step::Done) => return Ok(out),
                Ok(step) => panic!("{step:?}"),
                Err(error) => {
                    assert_eq!(writer.poll(), Ok(Step::Done), "nothing comes behind an error");
                    return Err(error);
                }
            }
        }
    };
    for size in [1, 3, 56, 57, 4096, 150_000] {
        let sent = send(message(None, Transport::SevenBit), &data, size).unwrap();
        check_clean(&sent);
        assert!(octets(&sent, &[2]) == data);
        let sent = send(message(Some(Encoding::Binary), Transport::Binary), &data, size).unwrap();
        assert!(octets(&sent, &[2]) == data);
        for encoding in [Encoding::SevenBit, Encoding::QuotedPrintable] {
            let sent = send(
                message(Some(encoding), Transport::SevenBit),
                text.as_bytes(),
                size,
            )
            .unwrap();
            check_clean(&sent);
            assert!(octets(&sent, &[2]) == text.as_bytes());
        }
        let boundary = b"a\r\n--=_60rk4csm6mv3ee1s85146h258r00000\r\n";
        for (wrong, error) in [
            (&b"\xe9"[..], Error::Encoding(Encoding::SevenBit)),
            (b"x\ny", Error::Encoding(Encoding::SevenBit)),
            (b"x\ry", Error::Encoding(Encoding::SevenBit)),
            (b"x\r", Error::Encoding(Encoding::SevenBit)),
            (b"x\0", Error::Encoding(Encoding::SevenBit)),
            (&[b'x'; 999], Error::Encoding(Encoding::SevenBit)),
            (boundary, Error::Boundary),
        ] {
            let sent = send(
                message(Some(Encoding::SevenBit), Transport::SevenBit),
                wrong,
                size,
            );
            assert_eq!(sent.unwrap_err(), error, "{} in {size}", wrong.escape_ascii());
        }
    }
}

#[test]
fn a_body_that_is_not_complete_is_completed_at_the_end_of_the_message_alone() {
    for text in ["x", "x\n", "", "x =", "\u{e9}", "日本語", "\n"] {
        let alone = build(builder().text(text));
        let canonical = text.replace('\n', "\r\n");
        let read = self::text(&alone, &[1]);
        assert!(
            read == canonical || read == format!("{canonical}\r\n"),
            "{text:?}: {read:?}"
        );
        let within = build(builder().body(Part::mixed([Part::text(text)])));
        assert_eq!(self::text(&within, &[1]), canonical);
    }
}

#[test]
fn large_bodies_are_exact() {
    for len in [0, 1, 56, 57, 58, 32_768, 32_769, 47_880, 47_881, 300_001] {
        let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let part = || Part::new("application/x", &data);
        assert!(octets(&build(builder().body(part())), &[1]) == data, "{len}");
        let message = build(builder().body(Part::mixed([part(), part()])));
        assert!(octets(&message, &[2]) == data, "{len}");
        let text = "Gr\u{fc}\u{df}e, mal wieder.\r\n".repeat(len / 20);
        let message = build(builder().body(Part::mixed([Part::text(text.as_str())])));
        assert!(self::text(&message, &[1]) == text);
    }
}

#[test]
fn text_that_flows() {
    let words = "word ".repeat(40);
    let message = build(builder().flowed(&format!("{}\n> quoted\nshort", words.trim_end())));
    let content_type = ContentType::parse(value(&message, "Content-Type")).unwrap();
    assert_eq!(content_type.parameter("format").unwrap(), "flowed");
    let read = mailwright_message::flowed::decode(&text(&message, &[1]), false);
    assert_eq!(read, format!("{}\n> quoted\nshort\n", words.trim_end()));
}
