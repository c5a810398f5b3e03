//! The multiparts that RFC 2046 and RFC 2049 give as examples, octet by octet

#![allow(clippy::unwrap_used)]

use mailwright_message::Index;
use mailwright_message::index::Kind;

/// Number, kind, whether it is text, and body of each part that has a number.
fn parts(message: &str) -> Vec<(String, Kind, bool, &str)> {
    let index = Index::of(message.as_bytes());
    assert_eq!(
        index.defects().count(),
        0,
        "{:?}",
        index.defects().collect::<Vec<_>>()
    );
    index
        .numbered()
        .skip(1)
        .filter_map(|(number, part)| {
            let number: Vec<_> = number?.iter().map(u32::to_string).collect();
            let body = part.body();
            let body = &message[body.start as usize..body.end as usize];
            Some((number.join("."), part.kind(), part.is_text(), body))
        })
        .collect()
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// RFC 2046 §5.1.1: the line end before a delimiter belongs to it.
#[test]
fn the_simple_multipart() {
    let message = crlf(
        "From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary=\"simple boundary\"

This is the preamble.  It is to be ignored, though it
is a handy place for composition agents to include an
explanatory note to non-MIME conformant readers.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
",
    );
    let first = crlf("This is implicitly typed plain US-ASCII text.\nIt does NOT end with a linebreak.");
    let second = crlf("This is explicitly typed plain US-ASCII text.\nIt DOES end with a linebreak.\n");
    let leaf = |number: &str| (number.to_owned(), Kind::Leaf, true);
    let found: Vec<_> = parts(&message)
        .into_iter()
        .map(|(n, k, t, b)| ((n, k, t), b))
        .collect();
    assert_eq!(found, [(leaf("1"), &*first), (leaf("2"), &*second)]);
}

/// RFC 2046 §5.1.5: parts of a digest are messages unless they say otherwise, and one boundary is no prefix of the other.
#[test]
fn the_digest() {
    let message = crlf(
        "From: Moderator-Address
To: Recipient-List
Date: Mon, 22 Mar 1994 13:34:51 +0000
Subject: Internet Digest, volume 42
MIME-Version: 1.0
Content-Type: multipart/mixed;
              boundary=\"---- main boundary ----\"

------ main boundary ----

  ...Introductory text or table of contents...

------ main boundary ----
Content-Type: multipart/digest;
              boundary=\"---- next message ----\"

------ next message ----

From: someone-else
Date: Fri, 26 Mar 1993 11:13:32 +0200
Subject: my opinion

  ...body goes here ...

------ next message ----

From: someone-else-again
Date: Fri, 26 Mar 1993 10:07:13 -0500
Subject: my different opinion

  ... another body goes here ...

------ next message ------

------ main boundary ------
",
    );
    let found = parts(&message);
    let shape: Vec<_> = found
        .iter()
        .map(|(number, kind, _, _)| (&**number, *kind))
        .collect();
    assert_eq!(
        shape,
        [
            ("1", Kind::Leaf),
            ("2", Kind::Multipart),
            ("2.1", Kind::Message),
            ("2.1.1", Kind::Leaf),
            ("2.2", Kind::Message),
            ("2.2.1", Kind::Leaf),
        ]
    );
    assert_eq!(found[0].3, "  ...Introductory text or table of contents...\r\n");
    assert_eq!(found[3].3, "  ...body goes here ...\r\n");
    assert!(found[4].3.starts_with("From: someone-else-again\r\n"));
    assert_eq!(found[5].3, "  ... another body goes here ...\r\n");
}

/// RFC 2049 appendix A: what is nested ends with what is around it.
#[test]
fn the_complex_multipart() {
    let message = crlf(
        "MIME-Version: 1.0
From: Nathaniel Borenstein <nsb@nsb.fv.com>
To: Ned Freed <ned@innosoft.com>
Date: Fri, 07 Oct 1994 16:15:05 -0700 (PDT)
Subject: A multipart example
Content-Type: multipart/mixed;
              boundary=unique-boundary-1

This is the preamble area of a multipart message.

--unique-boundary-1

  ... Some text appears here ...

--unique-boundary-1
Content-type: text/plain; charset=US-ASCII

This could have been part of the previous part, but
illustrates explicit versus implicit typing of body
parts.

--unique-boundary-1
Content-Type: multipart/parallel; boundary=unique-boundary-2

--unique-boundary-2
Content-Type: audio/basic
Content-Transfer-Encoding: base64

AAAA

--unique-boundary-2
Content-Type: image/jpeg
Content-Transfer-Encoding: base64

BBBB

--unique-boundary-2--

--unique-boundary-1
Content-type: text/enriched

This is <bold><italic>enriched.</italic></bold>

--unique-boundary-1
Content-Type: message/rfc822

From: (mailbox in US-ASCII)
To: (address in US-ASCII)
Subject: (subject in US-ASCII)
Content-Type: Text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: Quoted-printable

  ... Additional text in ISO-8859-1 goes here ...

--unique-boundary-1--
",
    );
    let found = parts(&message);
    let shape: Vec<_> = found
        .iter()
        .map(|(number, kind, is_text, body)| (&**number, *kind, *is_text, body.lines().count()))
        .collect();
    assert_eq!(
        shape,
        [
            ("1", Kind::Leaf, true, 1),
            ("2", Kind::Leaf, true, 3),
            ("3", Kind::Multipart, false, 13),
            ("3.1", Kind::Leaf, false, 1),
            ("3.2", Kind::Leaf, false, 1),
            ("4", Kind::Leaf, true, 1),
            ("5", Kind::Message, false, 7),
            ("5.1", Kind::Leaf, true, 1),
        ]
    );
    let index = Index::of(message.as_bytes());
    let image = index.part(&[3, 2]).unwrap();
    let body = image.body();
    let octets = image.decode(&message.as_bytes()[body.start as usize..body.end as usize]);
    assert_eq!(&octets[..], [4, 16, 65]);
}
