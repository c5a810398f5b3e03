//! The part index: structure, sections, envelope and body structure, and the same for every cut of the message.

mod common;

use bytes::Bytes;
use common::{crlf, exercise, index_in_chunks, render_envelope, render_structure, section};
use mailwright_message::index::{Index, Kind, Section};
use mailwright_message::{DefectKind, Error};
use proptest::prelude::*;

const SAMPLES: &[(&str, &str)] = &[
    ("parts", include_str!("data/parts.eml")),
    ("digest", include_str!("data/digest.eml")),
    ("broken", include_str!("data/broken.eml")),
    ("report", include_str!("data/report.eml")),
    ("headers", include_str!("data/headers.eml")),
];

fn sample(name: &str) -> Vec<u8> {
    let (_, text) = SAMPLES
        .iter()
        .find(|(known, _)| *known == name)
        .expect("the sample is there");
    crlf(text)
}

fn defects(index: &Index) -> Vec<DefectKind> {
    index.defects().map(|defect| defect.kind).collect()
}

/// The tree of RFC 9051 §6.4.5, with the words of each part for its content.
#[test]
fn part_numbers_of_rfc_9051() {
    let message = sample("parts");
    let index = Index::of(&message);
    exercise(&index, &message);
    assert_eq!(defects(&index), []);
    for (number, media_type, text) in [
        (&[1][..], "TEXT/PLAIN", "one\r\n"),
        (&[2], "APPLICATION/OCTET-STREAM", "dHdv\r\n"),
        (&[3, 1], "TEXT/PLAIN", "three one"),
        (&[3, 2], "APPLICATION/OCTET-STREAM", "dGhyZWUgdHdv"),
        (&[4, 1], "IMAGE/GIF", "Zm91ciBvbmU="),
        (&[4, 2, 1], "TEXT/PLAIN", "four two one"),
        (&[4, 2, 2, 1], "TEXT/PLAIN", "four two two one"),
        (&[4, 2, 2, 2], "TEXT/RICHTEXT", "four two two two"),
    ] {
        let part = index.part(number).unwrap();
        let body = part.body_structure();
        let seen = [body.media_type(), b"/", body.subtype()].concat();
        assert_eq!(String::from_utf8_lossy(&seen), media_type, "{number:?}");
        assert_eq!(
            section(&index, &message, number, Section::Content).unwrap(),
            text,
            "{number:?}"
        );
        assert_eq!(part.kind(), Kind::Leaf);
        for what in [Section::Header, Section::Text] {
            assert_eq!(section(&index, &message, number, what), None, "{number:?}");
        }
    }
    let get = |number: &[u32], what| section(&index, &message, number, what).unwrap();
    assert_eq!(get(&[], Section::Content).as_bytes(), message);
    assert_eq!(
        get(&[], Section::Header) + &get(&[], Section::Text),
        get(&[], Section::Content)
    );
    assert_eq!(
        get(&[3], Section::Header) + &get(&[3], Section::Text),
        get(&[3], Section::Content)
    );
    assert!(get(&[3], Section::Header).ends_with("boundary=\"b3\"\r\n\r\n"));
    assert!(get(&[3], Section::Text).starts_with("--b3\r\n"));
    assert_eq!(get(&[3], Section::Mime), "Content-Type: MESSAGE/RFC822\r\n\r\n");
    assert_eq!(
        get(&[4, 1], Section::Mime),
        "Content-Type: IMAGE/GIF\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    );
    assert!(get(&[4, 2], Section::Header).starts_with("Subject: four two\r\n"));
    assert_eq!(index.part(&[4, 2]).unwrap().kind(), Kind::Message);
    assert_eq!(index.part(&[4, 2, 2]).unwrap().kind(), Kind::Multipart);
    assert_eq!(
        get(&[4, 2, 2], Section::Mime),
        "Content-Type: MULTIPART/ALTERNATIVE; boundary=b422\r\n\r\n"
    );
    for missing in [
        &[0][..],
        &[5],
        &[1, 1],
        &[3, 3],
        &[4, 2, 3],
        &[2, 1],
        &[4, 2, 2, 1, 1],
    ] {
        assert!(index.part(missing).is_none(), "{missing:?}");
    }
    assert_eq!(index.section(&[], Section::Mime), None);
    assert_eq!(index.part(&[1]).unwrap().decode_text(b"one"), "one");
    assert_eq!(&*index.part(&[2]).unwrap().decode(b"dHdv\r\n"), b"two");
}

#[test]
fn number_one_of_a_message_without_parts_is_its_body() {
    let message = b"Subject: x\r\n\r\nbody\r\n";
    let index = Index::of(message);
    let get = |number: &[u32], what| section(&index, message, number, what);
    assert_eq!(get(&[1], Section::Content).unwrap(), "body\r\n");
    assert_eq!(get(&[1], Section::Mime).unwrap(), "Subject: x\r\n\r\n");
    assert_eq!(get(&[1], Section::Text), None);
    assert_eq!(get(&[2], Section::Content), None);
    assert_eq!(get(&[1, 1], Section::Content), None);
}

/// A message/rfc822 as the whole of a message, a digest in it, and messages by default in that.
#[test]
fn messages_in_messages() {
    let message = sample("digest");
    let index = Index::of(&message);
    exercise(&index, &message);
    assert_eq!(defects(&index), []);
    let get = |number: &[u32], what| section(&index, &message, number, what).unwrap();
    assert_eq!(get(&[1], Section::Content), get(&[], Section::Text));
    assert!(get(&[1], Section::Header).starts_with("From: sub@domain.org\r\n"));
    assert!(get(&[1], Section::Text).starts_with("prologue\r\n"));
    assert_eq!(
        get(&[1, 1], Section::Content),
        "From: m1@example.com\r\nSubject: m1\r\n\r\nm1 body\r\n"
    );
    assert_eq!(get(&[1, 1], Section::Mime), "\r\n");
    assert_eq!(
        get(&[1, 1], Section::Header),
        "From: m1@example.com\r\nSubject: m1\r\n\r\n"
    );
    assert_eq!(get(&[1, 1], Section::Text), "m1 body\r\n");
    assert_eq!(get(&[1, 2], Section::Mime), "X-Mime: m2 header\r\n\r\n");
    assert_eq!(get(&[1, 2, 1], Section::Content), "m2 body\r\n");
    let nested = index.part(&[1]).unwrap().children().next().unwrap();
    assert_eq!(nested.envelope().unwrap().subject(), Some(&b"submsg"[..]));
    assert!(index.part(&[1, 1]).unwrap().envelope().is_none());
    assert_eq!(
        render_structure(&index.body_structure()),
        "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 298 \
         (\"Sun, 12 Aug 2012 12:34:56 +0300\" \"submsg\" ((NIL NIL \"sub\" \"domain.org\")) \
         ((NIL NIL \"sub\" \"domain.org\")) ((NIL NIL \"sub\" \"domain.org\")) NIL NIL NIL NIL NIL) \
         ((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 46 \
         (NIL \"m1\" ((NIL NIL \"m1\" \"example.com\")) ((NIL NIL \"m1\" \"example.com\")) \
         ((NIL NIL \"m1\" \"example.com\")) NIL NIL NIL NIL NIL) \
         (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 9 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)\
         (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 46 \
         (NIL \"m2\" ((NIL NIL \"m2\" \"example.com\")) ((NIL NIL \"m2\" \"example.com\")) \
         ((NIL NIL \"m2\" \"example.com\")) NIL NIL NIL NIL NIL) \
         (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 9 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL) \
         \"digest\" (\"boundary\" \"foo\") NIL NIL NIL) 26 NIL NIL NIL NIL)"
    );
}

/// The message of RFC 9051 §8, and what its session says about it.
#[test]
fn envelope_and_structure_of_rfc_9051_section_8() {
    let header = crlf(concat!(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\n",
        "From: Terry Gray <gray@cac.washington.edu>\n",
        "Subject: IMAP4rev2 WG mtg summary and minutes\n",
        "To: imap@cac.washington.edu\n",
        "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n",
        "Message-Id: <B27397-0100000@cac.washington.edu>\n",
        "MIME-Version: 1.0\n",
        "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n",
    ));
    let mut message = header.clone();
    for _ in 0..91 {
        message.extend_from_slice(b"minutes of the meeting\r\n");
    }
    message.resize(header.len() + 3026, b'x');
    message.extend_from_slice(b"\r\n");
    let index = Index::of(&message);
    assert_eq!(
        render_envelope(&index.envelope()),
        "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((NIL NIL \"imap\" \"cac.washington.edu\")) \
         ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) \
         NIL NIL \"<B27397-0100000@cac.washington.edu>\")"
    );
    let structure = render_structure(&index.body_structure());
    assert_eq!(
        structure.to_ascii_uppercase(),
        "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 3028 92 NIL NIL NIL NIL)"
    );
}

/// The second example of RFC 9051 §7.5.2, under BODYSTRUCTURE.
#[test]
fn structure_of_a_text_and_an_attachment() {
    let text = "a line of some words\n".repeat(22) + &"x".repeat(1152 - 22 * 22 - 2) + "\n";
    let attachment = format!("{}\n", "QUJD".repeat(15)).repeat(72) + &"x".repeat(4554 - 72 * 62 - 2) + "\n";
    let message = crlf(&format!(
        "Content-Type: multipart/MIXED; boundary=x\n\n--x\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n{text}\n--x\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\n\
         Content-ID: <960723163407.20117h@cac.washington.edu>\nContent-Description: Compiler diff\n\
         Content-Transfer-Encoding: BASE64\nContent-Disposition: attachment; filename*=utf-8''cc%E2%82%AC.diff\n\
         Content-Language: de, en (c)\nContent-Location: http://x/\n y\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n\n\
         {attachment}\n--x--\n"
    ));
    let index = Index::of(&message);
    exercise(&index, &message);
    assert_eq!(
        render_structure(&index.body_structure()),
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 1152 23 NIL NIL NIL NIL)\
             (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") \
             \"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4554 73 \
             \"Q2hlY2sgSW50ZWdyaXR5IQ==\" (\"attachment\" (\"filename*\" \"utf-8''cc%E2%82%AC.diff\")) \
             (\"de\" \"en\") \"http://x/ y\") \"MIXED\" (\"boundary\" \"x\") NIL NIL NIL)"
    );
}

/// The envelopes that imaptest asks servers for.
#[test]
fn envelopes_with_groups_routes_and_comments() {
    let envelope = |header: &str| render_envelope(&Index::of(&crlf(header)).envelope());
    assert_eq!(
        envelope("From: user@domain (Real Name)\nTo: group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;\n\n"),
        "(NIL NIL ((\"Real Name\" NIL \"user\" \"domain\")) ((\"Real Name\" NIL \"user\" \"domain\")) \
         ((\"Real Name\" NIL \"user\" \"domain\")) ((NIL NIL \"group\" NIL)(NIL NIL \"g1\" \"d1.org\")\
         (NIL NIL \"g2\" \"d2.org\")(NIL NIL NIL NIL)(NIL NIL \"group2\" NIL)(NIL NIL \"g3\" \"d3.org\")\
         (NIL NIL NIL NIL)) NIL NIL NIL NIL)"
    );
    assert_eq!(
        envelope("From: <@route:user@domain>\nSender:\nReply-To: \nSubject:\nDate:\n\n"),
        "(\"\" \"\" ((NIL \"@route\" \"user\" \"domain\")) ((NIL \"@route\" \"user\" \"domain\")) \
         ((NIL \"@route\" \"user\" \"domain\")) NIL NIL NIL NIL NIL)"
    );
    assert_eq!(
        envelope("Subject: =?utf-8?q?a?=\n =?utf-8?q?b?=\nBcc: root\nIn-Reply-To: <a@b>\n <c@d>\n\n"),
        "(NIL \"=?utf-8?q?a?= =?utf-8?q?b?=\" NIL NIL NIL NIL NIL ((NIL NIL \"root\" \"\")) \"<a@b> <c@d>\" NIL)"
    );
    assert_eq!(envelope(""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    let index = Index::of(b"Subject: caf\xe9\0\r\n\r\n");
    assert_eq!(index.envelope().subject(), Some(&b"caf\xe9"[..]));
    let index = Index::of(b"References: <a@b>\r\n\t<c@d>\r\n\r\n");
    assert_eq!(index.envelope().references(), Some(&b"<a@b>\t<c@d>"[..]));
}

/// What the structure of odd messages is, and what is said about them.
#[test]
fn odd_structures() {
    use DefectKind::*;
    let mixed = "Content-Type: multipart/mixed; boundary=b\n\n";
    for (message, numbers, want) in [
        // Missing, unclosed, prefix-sharing and quoted boundaries.
        (format!("{mixed}--b\n\none\n--b\n\ntwo"), vec!["one", "two"], vec![UnclosedMultipart]),
        (format!("{mixed}text without any delimiter\n"), vec!["text without any delimiter\r\n"], vec![NoParts]),
        (format!("{mixed}--b--\n"), vec!["--b--\r\n"], vec![NoParts]),
        ("Content-Type: multipart/mixed\n\ntext".to_owned(), vec!["text"], vec![MissingBoundary]),
        (format!("{mixed}--bb\n--b\n\none\n--bb\n-- b\n--b--\n"), vec!["one\r\n--bb\r\n-- b"], vec![]),
        (format!("{mixed}--b \t\n\none\n--b-- \nepilogue"), vec!["one"], vec![]),
        (format!("{mixed}--b\n\none\n--b--trail\n--b\n"), vec!["one"], vec![DelimiterTrail]),
        (
            "Content-Type: multipart/mixed; boundary=\"a b'()+_,-./:=?\"\n\n--a b'()+_,-./:=?\n\none\n--a b'()+_,-./:=?--"
                .to_owned(),
            vec!["one"],
            vec![],
        ),
        // Parts without header, without an empty line, and without anything.
        (format!("{mixed}--b\ntext without header\n\nmore\n--b--\n"), vec!["text without header\r\n\r\nmore"], vec![MissingHeader]),
        (format!("{mixed}--b\nA: b\n--b--\n"), vec![""], vec![UnendedHeader]),
        (format!("{mixed}--b\n--b\n\n--b--\n"), vec!["", ""], vec![UnendedHeader]),
        (format!("{mixed}--b"), vec![""], vec![UnendedHeader, UnclosedMultipart]),
        // Single fields twice, wrong types, wrong encodings.
        ("Subject: a\nSubject: b\nContent-Type: text/html\nContent-Type: multipart/mixed; boundary=b\n\n--b".to_owned(), vec!["--b"], vec![DuplicateField, DuplicateField]),
        ("Content-Type: nonsense\n\nx".to_owned(), vec!["x"], vec![InvalidContentType]),
        ("Content-Type:\n\nx".to_owned(), vec!["x"], vec![]),
        (format!("Content-Transfer-Encoding: base64\n{mixed}--b\n\none\n--b--"), vec!["one"], vec![EncodedComposite]),
        // Header lines that are none.
        ("From x@y Mon\nA: b\n\nx".to_owned(), vec!["x"], vec![MboxLine]),
        ("A: b\n>From x\nno field\nC: d\n\nx".to_owned(), vec!["x"], vec![MboxLine, InvalidHeaderLine]),
        ("no header at all\nA: b\n".to_owned(), vec!["no header at all\r\nA: b\r\n"], vec![MissingHeader]),
        (" folded\n\nx".to_owned(), vec![" folded\r\n\r\nx"], vec![MissingHeader]),
        ("A: b".to_owned(), vec![""], vec![UnendedHeader]),
        (String::new(), vec![""], vec![UnendedHeader]),
        ("\nbody".to_owned(), vec!["body"], vec![]),
    ] {
        let octets = crlf(&message);
        let index = Index::of(&octets);
        exercise(&index, &octets);
        let texts: Vec<String> = (1..).map_while(|n| section(&index, &octets, &[n], Section::Content)).collect();
        assert_eq!(texts, numbers, "{message}");
        assert_eq!(defects(&index), want, "{message}");
    }
}

#[test]
fn inner_and_outer_boundaries() {
    let of = |inner: &str, body: &str| {
        crlf(&format!(
            "Content-Type: multipart/mixed; boundary=foo\n\n--foo\nContent-Type: multipart/mixed; boundary={inner}\n\n{body}"
        ))
    };
    // An outer delimiter ends what is inside of it, closed or not.
    let message = of("bar", "--bar\n\ninner\n--foo\n\nouter\n--foo--\n");
    let index = Index::of(&message);
    assert_eq!(
        section(&index, &message, &[1, 1], Section::Content).unwrap(),
        "inner"
    );
    assert_eq!(
        section(&index, &message, &[2], Section::Content).unwrap(),
        "outer"
    );
    assert_eq!(defects(&index), [DefectKind::UnclosedMultipart]);
    // One boundary starts with the other; the exact one counts, whichever is inside.
    let message = of(
        "foobar",
        "--foobar\n\ninner\n--foobar--\n--foo\n\nouter\n--foo--\n",
    );
    let index = Index::of(&message);
    assert_eq!(
        section(&index, &message, &[1, 1], Section::Content).unwrap(),
        "inner"
    );
    assert_eq!(
        section(&index, &message, &[2], Section::Content).unwrap(),
        "outer"
    );
    assert_eq!(defects(&index), []);
    // The last delimiter of the outer is the first of the inner.
    let message = of("foo--", "--foo--\n\ninner\n--foo----\n--foo--\n");
    let index = Index::of(&message);
    assert_eq!(
        section(&index, &message, &[1, 1], Section::Content).unwrap(),
        "inner"
    );
    assert_eq!(defects(&index), []);
    // The same boundary twice: the innermost.
    let message = of("foo", "--foo\n\ninner\n--foo--\n--foo--\n");
    let index = Index::of(&message);
    assert_eq!(
        section(&index, &message, &[1, 1], Section::Content).unwrap(),
        "inner"
    );
    assert_eq!(defects(&index), []);
}

#[test]
fn line_ends_of_all_kinds() {
    let text = SAMPLES[0].1;
    let lf = text.replace("\r\n", "\n").into_bytes();
    let index = Index::of(&lf);
    exercise(&index, &lf);
    assert_eq!(defects(&index), []);
    assert_eq!(
        section(&index, &lf, &[3, 1], Section::Content).unwrap(),
        "three one"
    );
    assert_eq!(section(&index, &lf, &[1], Section::Content).unwrap(), "one\n");
    let mixed =
        b"A: b\nContent-Type: multipart/mixed; boundary=x\r\n\n--x\r\n\r\none\r\n--x\n\ntwo\n\r\n--x--";
    let index = Index::of(mixed);
    exercise(&index, mixed);
    assert_eq!(section(&index, mixed, &[1], Section::Content).unwrap(), "one");
    assert_eq!(section(&index, mixed, &[2], Section::Content).unwrap(), "two\n");
    let bare_cr = b"A: b\rC: d\r\r\n\r\r\nbody\r";
    let index = Index::of(bare_cr);
    exercise(&index, bare_cr);
    assert_eq!(index.header_fields().count(), 1);
    assert_eq!(
        section(&index, bare_cr, &[1], Section::Content).unwrap(),
        "body\r"
    );
}

#[test]
fn texts_are_decoded() {
    let message = sample("broken");
    let index = Index::of(&message);
    exercise(&index, &message);
    let text = |number: &[u32]| {
        let part = index.part(number).unwrap();
        assert!(part.is_text());
        let body = part.body();
        part.decode_text(&message[body.start as usize..body.end as usize])
    };
    assert_eq!(text(&[1]), "Grüße aus Köln\r\n");
    assert_eq!(text(&[2]), "Привет\r\n");
    assert_eq!(text(&[3]), "naïve in a charset that nobody knows");
}

#[test]
fn stored_octets_are_checked() {
    let message = sample("parts");
    let index = Index::of(&message);
    let stored = index.to_bytes();
    assert_eq!(Index::from_bytes(stored.clone()).unwrap(), index);
    assert!(stored.len() < 48 * 17 + 12 * 40 + 1500, "{} octets", stored.len());
    for len in 0..stored.len().min(28 + 48) {
        assert_eq!(Index::from_bytes(stored.slice(..len)), Err(Error::NotAnIndex));
    }
    let mut other_version = stored.to_vec();
    other_version[3] += 1;
    assert_eq!(Index::from_bytes(other_version.into()), Err(Error::NotAnIndex));
}

/// Reads everything a damaged index tells; it may be nonsense, but no panic.
fn read_all(index: &Index) {
    for part in index.parts() {
        let _ = (part.fields().count(), part.children().count(), part.encoding());
        let _ = part.decode_text(b"=41");
        if let Some(envelope) = part.envelope() {
            let _ = [envelope.from(), envelope.sender(), envelope.to()].map(Iterator::count);
        }
        let body = part.body_structure();
        let _ = (body.parameters().count(), body.languages().count(), body.octets());
    }
    let _ = (index.defects().count(), index.received_count());
    let _ = index.part(&[4, 2, 2, 1]);
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<prop::sample::Index>(),
        prop_oneof![
            Just(b'\n'),
            Just(b'\r'),
            Just(b'-'),
            Just(b':'),
            Just(b' '),
            Just(b'"'),
            Just(b'('),
            any::<u8>()
        ],
        0usize..3,
    );
    (
        0..SAMPLES.len(),
        any::<bool>(),
        prop::collection::vec(edit, 0..12),
    )
        .prop_map(|(at, lf, edits)| {
            let mut message = if lf {
                SAMPLES[at].1.replace("\r\n", "\n").into_bytes()
            } else {
                crlf(SAMPLES[at].1)
            };
            for (place, byte, how) in edits {
                let place = place.index(message.len());
                match how {
                    0 => message[place] = byte,
                    1 => message.insert(place, byte),
                    _ => drop(
                        message
                            .drain(place..(place + 30).min(message.len()).max(place + 1).min(message.len())),
                    ),
                }
                if message.is_empty() {
                    message.push(byte);
                }
            }
            message
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_cut_gives_the_same_index(message in mutated(), sizes in prop::collection::vec(1usize..40, 1..6)) {
        let whole = Index::of(&message);
        exercise(&whole, &message);
        prop_assert_eq!(&index_in_chunks(&message, &sizes).to_bytes(), &whole.to_bytes());
        prop_assert_eq!(&index_in_chunks(&message, &[1]).to_bytes(), &whole.to_bytes());
        prop_assert_eq!(Index::from_bytes(whole.to_bytes()).unwrap(), whole);
    }

    #[test]
    fn damaged_indexes_are_refused_or_read(at in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut stored = Index::of(&crlf(at.get(SAMPLES).1)).to_bytes().to_vec();
        for (place, byte) in edits {
            let place = place.index(stored.len());
            stored[place] = byte;
        }
        if let Ok(index) = Index::from_bytes(Bytes::from(stored)) {
            read_all(&index);
        }
    }
}

#[test]
fn fields_by_name_from_both_ends() {
    let message =
        b"Received: by c\r\nX: 1\r\nreceived:by b\r\n\tfolded\r\nRECEIVED : by a\r\nReceiver: x\r\n\r\n";
    for index in [
        Index::of(message),
        Index::from_bytes(Index::of(message).to_bytes()).unwrap(),
    ] {
        let root = index.root();
        let values = |fields: Vec<mailwright_message::header::Field<'_>>| {
            fields
                .iter()
                .map(|field| String::from_utf8_lossy(field.value).into_owned())
                .collect::<Vec<_>>()
        };
        let named = |name| root.fields_named(message, name);
        assert_eq!(
            values(named("Received").collect()),
            [" by c", "by b\r\n\tfolded", " by a"]
        );
        assert_eq!(
            values(named("received").rev().collect()),
            [" by a", "by b\r\n\tfolded", " by c"]
        );
        assert_eq!(named("receive").count(), 0);
        assert_eq!(root.field(message, "x").unwrap().raw, b"X: 1\r\n");
        assert_eq!(root.fields_in(message).count(), 5);
        // A header that is too short has what it has.
        assert_eq!(root.fields_in(&message[..30]).count(), 2);
        let signed = index.signed_fields(
            message,
            ["Received", "x", "received", "x", "Received", "received"],
        );
        let signed: Vec<_> = signed
            .iter()
            .map(|field| field.map(|field| field.value))
            .collect();
        let want: [Option<&[u8]>; 6] = [
            Some(b" by a"),
            Some(b" 1"),
            Some(b"by b\r\n\tfolded"),
            None,
            Some(b" by c"),
            None,
        ];
        assert_eq!(signed, want);
    }
}

/// RFC 3156 §5 and §4: what is signed reaches up to the line end before the delimiter.
#[test]
fn spans_of_signed_and_encrypted_parts() {
    use mailwright_message::index::Protocol;
    let message = crlf(concat!(
        "Content-Type: multipart/signed; micalg=pgp-sha256;\n protocol=\"application/pgp-signature\"; boundary=bar\n\n",
        "--bar\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n",
        "=A1Hola!\n\n--bar\nContent-Type: application/pgp-signature\n\nsignature\n--bar--\n"
    ));
    let index = Index::of(&message);
    let signed = index.root().signed().unwrap();
    assert_eq!(signed.protocol, Protocol::OpenPgp);
    let octets = &message[signed.octets.start as usize..signed.octets.end as usize];
    assert!(octets.starts_with(b"Content-Type: text/plain") && octets.ends_with(b"=A1Hola!\r\n"));
    assert_eq!(signed.signature.place(), 2);
    assert!(index.root().encrypted().is_none() && signed.content.signed().is_none());
    let message = crlf(concat!(
        "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=foo\n\n--foo\n",
        "Content-Type: application/pgp-encrypted\n\nVersion: 1\n\n--foo\nContent-Type: application/octet-stream\n\n",
        "-----BEGIN PGP MESSAGE-----\n\n--foo--\n"
    ));
    let index = Index::of(&message);
    let encrypted = index.root().encrypted().unwrap();
    assert_eq!(
        (
            encrypted.protocol,
            encrypted.control.place(),
            encrypted.data.place()
        ),
        (Protocol::OpenPgp, 1, 2)
    );
    let smime = "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\n\nx\n--b\n\ny\n";
    let message = crlf(smime);
    assert_eq!(
        Index::of(&message).root().signed().unwrap().protocol,
        Protocol::Smime
    );
    // Three parts are no pair.
    let message = crlf(&format!("{smime}--b\n\nz\n--b--\n"));
    assert!(Index::of(&message).root().signed().is_none());
}

/// Whatever is damaged in the tree, a reader that walks it sees each part once.
#[test]
fn no_damage_of_the_tree_is_read() {
    let stored = Index::of(&sample("parts")).to_bytes();
    let count = Index::from_bytes(stored.clone()).unwrap().parts().count();
    fn walk(part: mailwright_message::index::Part<'_>) -> usize {
        1 + part.children().map(walk).sum::<usize>()
    }
    // The head has 28 octets, an entry 48; depth, kind and the place behind are among them.
    for at in 28..28 + 48 * count {
        for bit in 0..8 {
            let mut damaged = stored.to_vec();
            damaged[at] ^= 1 << bit;
            if let Ok(index) = Index::from_bytes(damaged.into()) {
                assert_eq!(walk(index.root()), count, "{at} {bit}");
            }
        }
    }
}
