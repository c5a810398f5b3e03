//! Headers that end in no empty line, or start with a space or a byte order mark: no text gets lost in them, no field
//! and no part. Addresses with spaces in them.

mod common;

use common::{exercise, index_in_chunks};
use mailwright_message::address_list::{self, Address};
use mailwright_message::header::{Headers, Limits};
use mailwright_message::index::Options;
use mailwright_message::{DefectKind, Index};

/// The bodies of all leaves, and the kinds of the defects.
fn leaves(message: &str) -> (Vec<String>, Vec<DefectKind>) {
    let message = message.as_bytes();
    let index = Index::of(message);
    exercise(&index, message);
    for sizes in [&[1][..], &[2, 3], &[7]] {
        assert!(index_in_chunks(message, sizes) == index, "{sizes:?}");
    }
    let text = |body: std::ops::Range<u64>| &message[body.start as usize..body.end as usize];
    let leaves = index.parts().filter(|part| part.children().next().is_none());
    (
        leaves
            .map(|part| String::from_utf8_lossy(text(part.body())).into_owned())
            .collect(),
        index.defects().map(|defect| defect.kind).collect(),
    )
}

#[test]
fn text_right_behind_the_fields_is_the_body() {
    use DefectKind::{InvalidHeaderLine, MboxLine, UnendedHeader};
    for (message, body, defects) in [
        (
            "A: 1\nno separator here\n",
            "no separator here\n",
            &[InvalidHeaderLine, UnendedHeader][..],
        ),
        ("A: 1\r\nno end", "no end", &[InvalidHeaderLine, UnendedHeader]),
        ("A: 1\nx\n y\nz\n", "x\n y\nz\n", &[InvalidHeaderLine; 3]),
        // A line that got lost between fields is not the body.
        (
            "A: 1\nlost\nB: 2\ntext",
            "text",
            &[InvalidHeaderLine, InvalidHeaderLine, UnendedHeader],
        ),
        ("A: 1\nlost\n\ntext", "text", &[InvalidHeaderLine]),
        ("A: 1\nlost\nB: 2\n", "", &[InvalidHeaderLine, UnendedHeader]),
        ("A: 1\nFrom me\n", "", &[MboxLine, UnendedHeader]),
    ] {
        let (leaves, found) = leaves(message);
        assert_eq!(leaves, [body], "{message:?}");
        assert_eq!(found[..defects.len()], *defects, "{message:?}");
    }
}

#[test]
fn text_right_behind_the_fields_of_a_part_is_its_body() {
    let (leaves, _) = leaves(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\nbar\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\nbaz\r\nend\r\n--b\r\nContent-Type: message/rfc822\r\nstray\r\n--b--\r\n",
    );
    // The empty line behind `bar` ends a header, so that `bar` is a line of it.
    assert_eq!(leaves, ["", "baz\r\nend", "stray"]);
}

#[test]
fn a_delimiter_right_behind_the_fields_starts_a_part() {
    for separator in [
        "",
        " \r\n",
        "This is a message in MIME format.\r\n",
        "\t\r\nHello\r\n",
    ] {
        let message = format!(
            "Content-Type: multipart/mixed;\r\n boundary=\"--b=:1\"\r\n{separator}----b=:1\r\nX: 1\r\n\r\none\r\n\
             ----b=:1\r\n\r\ntwo\r\n----b=:1--\r\n"
        );
        let (leaves, defects) = leaves(&message);
        assert_eq!(leaves, ["one", "two"], "{separator:?}");
        assert!(defects.contains(&DefectKind::UnendedHeader), "{defects:?}");
    }
    // What only looks like it is a lost line.
    let (leaves, _) = leaves("Content-Type: multipart/mixed; boundary=b\n--bc\nX: 1\n\n--b\n\none\n--b--\n");
    assert_eq!(leaves, ["one"]);
}

#[test]
fn a_space_before_the_first_field_hides_no_header() {
    let message = b" From: a@b\r\nSubject: x\r\n\r\nbody";
    let index = Index::of(message);
    assert_eq!(index.envelope().subject(), Some(&b"x"[..]));
    assert_eq!(index.root().body(), 26..30);
    assert_eq!(
        index.defects().map(|defect| defect.kind).collect::<Vec<_>>(),
        [DefectKind::InvalidHeaderLine]
    );
    // In a part, it is more likely text that has no header.
    let (leaves, _) = leaves("Content-Type: multipart/mixed; boundary=b\n\n--b\n see: this\n\nmore\n--b--\n");
    assert_eq!(leaves, [" see: this\n\nmore"]);
}

/// Two words do not become one: what they would be together may be the address of somebody else.
#[test]
fn words_in_an_address_are_not_joined() {
    for (value, local_part, domain) in [
        ("<aaa bbb>", "aaa bbb", ""),
        ("Ann <aaa bbb@a.test>", "aaa bbb", "a.test"),
        ("<aaa\r\n bbb@a.test>", "aaa bbb", "a.test"),
        ("<aaa(c)bbb@a.test>", "aaa bbb", "a.test"),
        ("<\"aaa\" bbb@a.test>", "\"aaa\" bbb", "a.test"),
        ("<aaa@a.test b.test>", "aaa", "a.test b.test"),
    ] {
        let mut defects = Vec::new();
        let list = address_list::parse_with(value.as_bytes(), &Limits::default(), &mut defects);
        let [Address::Mailbox(mailbox)] = &list[..] else {
            panic!("{list:?}")
        };
        assert_eq!(
            (&*mailbox.local_part, &*mailbox.domain),
            (local_part, domain),
            "{value}"
        );
        assert_eq!(mailbox.address(), None, "{value}");
        assert_eq!(defects[0].kind, DefectKind::InvalidAddress, "{value}");
    }
    let obsolete = address_list::parse(b"<joe . doe @ (c) a . test>");
    assert_eq!(
        obsolete[0].mailboxes()[0]
            .address()
            .expect("it is one")
            .to_string(),
        "joe.doe@a.test"
    );
}

#[test]
fn a_byte_order_mark_hides_no_header() {
    let message = b"\xef\xbb\xbfSubject: hi\r\nFrom: a@b\r\n\r\nbody";
    let index = Index::of(message);
    let headers = Headers::of(message, index.root());
    assert_eq!(headers.subject().as_deref(), Some("hi"));
    assert_eq!(Headers::new(message).subject().as_deref(), Some("hi"));
    assert_eq!(headers.raw("From"), Some(&b" a@b"[..]));
    assert_eq!(headers.fields().next().map(|field| field.offset), Some(3));
    assert_eq!(index.root().body(), 29..33);
    let defects: Vec<_> = index.defects().map(|d| (d.kind, d.offset)).collect();
    assert_eq!(defects, [(DefectKind::ByteOrderMark, 0)]);
    // A server may have put fields before it.
    let message = [b"Received: by b\r\n", &message[..]].concat();
    let index = Index::of(&message);
    assert_eq!(index.root().fields().count(), 3);
    assert_eq!(index.defects().next().map(|d| d.offset), Some(16));
    for size in 1..8 {
        let mut builder = Index::builder(Options::default());
        message.chunks(size).for_each(|chunk| builder.push(chunk));
        assert_eq!(builder.finish(), index);
    }
}
