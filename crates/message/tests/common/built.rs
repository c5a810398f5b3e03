//! Messages as a builder makes them, and what is read of them.

use super::exercise;
use mailwright_message::build::{Message, MessageBuilder, Step};
use mailwright_message::date::DateTime;
use mailwright_message::header;
use mailwright_message::index::Index;

pub(crate) const DATE: DateTime = DateTime::new(880_106_106, -360);
pub(crate) const RANDOM: [u8; 32] = *b"0123456789abcdef0123456789ABCDEF";

pub(crate) fn builder() -> MessageBuilder<'static> {
    Message::builder().from("alice@a.test")
}

pub(crate) fn build(builder: MessageBuilder<'_>) -> Vec<u8> {
    let message = builder.build(DATE, RANDOM).expect("it can be built");
    let octets = message.octets();
    let written = written(message.clone());
    let vec = message.to_vec().expect("no streams");
    assert_eq!(octets, Some(vec.len() as u64));
    assert!(written == vec, "the writer and to_vec differ");
    check_clean(&vec);
    exercise(&Index::of(&vec), &vec);
    vec
}

pub(crate) fn written(message: Message<'_>) -> Vec<u8> {
    let mut writer = message.writer();
    let mut out = Vec::new();
    loop {
        match writer.poll().expect("all of it is there") {
            Step::Chunk(chunk) => {
                assert!(!chunk.is_empty());
                out.extend_from_slice(&chunk);
            }
            Step::Done => return out,
            step => panic!("{step:?}"),
        }
    }
}

/// CRLF line ends, no line over 998, no controls, CRLF at the end.
pub(crate) fn check_clean(message: &[u8]) {
    let mut lines: Vec<&[u8]> = message.split(|b| *b == b'\n').collect();
    assert_eq!(lines.pop(), Some(&b""[..]), "the last line is complete");
    for line in lines {
        let line = line.strip_suffix(b"\r").expect("every LF has its CR");
        assert!(line.len() <= 998, "{}", line.escape_ascii());
        assert!(
            !line.contains(&b'\r') && !line.contains(&0),
            "{}",
            line.escape_ascii()
        );
    }
}

pub(crate) fn head(message: &[u8]) -> &[u8] {
    let range = Index::of(message).root().header();
    &message[..range.end as usize]
}

pub(crate) fn value<'a>(message: &'a [u8], name: &str) -> &'a [u8] {
    header::find(message, name).expect("the field is there").value
}

pub(crate) fn text(message: &[u8], number: &[u32]) -> String {
    let index = Index::of(message);
    let part = index.part(number).expect("the part is there");
    let body = part.body();
    part.decode_text(&message[body.start as usize..body.end as usize])
}

pub(crate) fn octets(message: &[u8], number: &[u32]) -> Vec<u8> {
    let index = Index::of(message);
    let part = index.part(number).expect("the part is there");
    let body = part.body();
    part.decode(&message[body.start as usize..body.end as usize])
        .into_owned()
}

pub(crate) fn types(message: &[u8]) -> Vec<String> {
    let index = Index::of(message);
    let name = |part: mailwright_message::index::Part<'_>| {
        let structure = part.body_structure();
        let (media, sub) = (structure.media_type(), structure.subtype());
        format!(
            "{}{}/{}",
            " ".repeat(part.depth().into()),
            media.escape_ascii(),
            sub.escape_ascii()
        )
    };
    index.parts().map(name).collect()
}
