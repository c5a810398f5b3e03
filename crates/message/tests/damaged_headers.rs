//! Headers that end in no empty line, or start with a space: no text gets lost in them, and no part.

mod common;

use common::{exercise, index_in_chunks};
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
