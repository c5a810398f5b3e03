//! The scanner: its events, and the same events for every cut of the message.

mod common;

use common::crlf;
use mailwright_message::Defect;
use mailwright_message::index::{Index, Kind, Options};
use mailwright_message::scan::{Field, Limits, Nature, Scanner, Visitor};
use proptest::prelude::*;

/// What was seen, one event a line; content in one piece however it came.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    content: Vec<u8>,
}

impl Log {
    fn line(&mut self, line: String) {
        if !self.content.is_empty() {
            let content = std::mem::take(&mut self.content);
            self.lines.push(format!("content {}", content.escape_ascii()));
        }
        self.lines.push(line);
    }
}

impl Visitor for Log {
    fn part(&mut self, at: u64) {
        self.line(format!("{at} part"));
    }

    fn field(&mut self, field: &Field<'_>) {
        let (name, value) = (field.name.escape_ascii(), field.value.escape_ascii());
        self.line(format!(
            "{} field {name}:{value} +{} -{}",
            field.at, field.len, field.line_end
        ));
    }

    fn body(&mut self, at: u64, nature: Nature) {
        let nature = match nature {
            Nature::Leaf { is_text: true, .. } => "text",
            Nature::Leaf { .. } => "leaf",
            Nature::Multipart => "multipart",
            Nature::Message => "message",
            _ => "opaque",
        };
        self.line(format!("{at} {nature}"));
    }

    fn wants_content(&self) -> bool {
        true
    }

    fn content(&mut self, octets: &[u8]) {
        assert!(!octets.is_empty());
        self.content.extend_from_slice(octets);
    }

    fn end(&mut self, at: u64, lines: Option<u64>) {
        match lines {
            Some(lines) => self.line(format!("{at} end, {lines} lines")),
            None => self.line(format!("{at} end")),
        }
    }

    fn defect(&mut self, defect: Defect) {
        self.line(format!("{} {:?}", defect.offset, defect.kind));
    }
}

/// The events of a message that comes in pieces of these sizes, used in turn.
fn events(message: &[u8], sizes: &[usize]) -> Vec<String> {
    let (mut scanner, mut log) = (Scanner::new(Limits::default()), Log::default());
    let (mut rest, mut sizes) = (message, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = (*sizes.next().expect("there are sizes")).clamp(1, rest.len());
        scanner.push(&rest[..size], &mut log);
        rest = &rest[size..];
    }
    assert_eq!(scanner.offset(), message.len() as u64);
    scanner.finish(&mut log);
    log.lines
}

#[test]
fn events_of_a_message() {
    let message = crlf(concat!(
        "Subject: x\n y\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\none\n\n--b\n",
        "Content-Type: a/b\n\n--two\n--b--\nepilogue"
    ));
    assert_eq!(
        events(&message, &[usize::MAX]),
        [
            "0 part",
            "0 field Subject: x\\r\\n y +16 -2",
            "16 field Content-Type: multipart/mixed; boundary=b +43 -2",
            "61 multipart",
            "76 part",
            "78 text",
            "content one\\r\\n",
            "83 end, 1 lines",
            "90 part",
            "90 field Content-Type: a/b +19 -2",
            "111 leaf",
            "content --two",
            "116 end",
            "133 end",
        ]
    );
}

/// Every cut in two, and every even cut, of messages with all that is odd.
#[test]
fn every_cut_of_the_samples() {
    for text in [
        include_str!("data/parts.eml"),
        include_str!("data/digest.eml"),
        include_str!("data/broken.eml"),
        include_str!("data/headers.eml"),
    ] {
        for message in [crlf(text), text.replace("\r\n", "\n").into_bytes()] {
            let whole = events(&message, &[usize::MAX]);
            for at in 1..message.len() {
                assert_eq!(events(&message, &[at, usize::MAX]), whole, "cut at {at}");
            }
            for size in 1..40 {
                assert_eq!(events(&message, &[size]), whole, "pieces of {size}");
            }
        }
    }
}

/// Pieces that messages go wrong with.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: multipart/mixed; boundary=\"b c\"\n",
        "Content-Type: multipart/digest;\r\n boundary=bb\r\n",
        "Content-Type: message/rfc822\r\n",
        "Content-Type: text/html\n",
        "Content-Type: application/pdf\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "--b\r\n",
        "--b",
        "--bb\n",
        "--bb--\r\n",
        "--b--\r\n",
        "--b c \r\n",
        "--b--x\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "-",
        "A: b\r\n",
        " folded\r\n",
        "From x\n",
        "no field\r\n",
        "QUJD\r\n",
        "=41=\r\n",
        "\u{e9}:",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_cut_gives_the_same_events(message in message(), sizes in prop::collection::vec(1usize..30, 1..6)) {
        let whole = events(&message, &[usize::MAX]);
        prop_assert_eq!(&events(&message, &sizes), &whole);
        prop_assert_eq!(&events(&message, &[1]), &whole);
    }

    /// Lines and decoded sizes are those that a look at the octets gives.
    #[test]
    fn sizes_are_those_of_the_octets(message in message(), size in 1usize..50) {
        let mut options = Options::default();
        options.all_lines = true;
        options.decoded_sizes = true;
        let mut builder = Index::builder(options);
        message.chunks(size).for_each(|chunk| builder.push(chunk));
        let index = builder.finish();
        let default = Index::of(&message);
        for (part, other) in index.parts().zip(default.parts()) {
            let body = &message[part.body().start as usize..part.body().end as usize];
            let ended = body.is_empty() || body.ends_with(b"\n");
            let lines = body.iter().filter(|b| **b == b'\n').count() as u64 + u64::from(!ended);
            prop_assert_eq!(part.lines(), Some(lines), "{:?}", part);
            prop_assert!(other.lines().is_none_or(|told| told == lines));
            prop_assert!(other.lines().is_some() || !(other.is_text() || other.kind() == Kind::Message));
            if let Some(len) = part.decoded_len() {
                let decoded = match part.kind() {
                    Kind::Leaf => part.decode(body).len(),
                    _ => body.len(),
                };
                prop_assert_eq!(len, decoded as u64, "{:?}", part);
            }
            prop_assert_eq!((part.header(), part.body(), part.is_text()), (other.header(), other.body(), other.is_text()));
        }
        prop_assert_eq!(index.parts().count(), default.parts().count());
        let stored = Index::from_bytes(index.to_bytes());
        prop_assert_eq!(stored, Ok(index));
    }
}

#[test]
fn decoded_sizes_and_defects_of_encodings() {
    let message = crlf(concat!(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\nQUJD!\nREVG\n\n",
        "--b\nContent-Transfer-Encoding: quoted-printable\n\na=3Db=\nc\n--b\n\n8bit\n--b--\n"
    ));
    let mut options = Options::default();
    options.decoded_sizes = true;
    let mut builder = Index::builder(options);
    builder.push(&message);
    let index = builder.finish();
    let sizes: Vec<_> = index.root().children().map(|part| part.decoded_len()).collect();
    assert_eq!(sizes, [Some(6), Some(4), Some(4)]);
    let defects: Vec<Defect> = index.defects().collect();
    assert_eq!(defects.len(), 1, "{defects:?}");
    assert_eq!(message[defects[0].offset as usize], b'!');
    let unknown = Index::of(&message);
    assert_eq!(unknown.part(&[1]).unwrap().decoded_len(), None);
    assert_eq!(unknown.part(&[3]).unwrap().decoded_len(), Some(4));
}
