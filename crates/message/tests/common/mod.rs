//! What the tests share: line ends, and the index in the words of IMAP.
#![allow(dead_code)] // each test binary uses its own share of it

pub(crate) mod built;
pub(crate) mod generators;

use std::fmt::Write as _;

use mailwright_message::DefectKind;
use mailwright_message::body_structure::{BodyStructure, Content, Parameters};
use mailwright_message::envelope::{Addresses, Envelope};
use mailwright_message::index::{Index, Section};

/// A sample with CRLF line ends.
pub(crate) fn crlf(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

/// The octets of a section, as text.
pub(crate) fn section(index: &Index, message: &[u8], number: &[u32], section: Section) -> Option<String> {
    let range = index.section(number, section)?;
    let octets = &message[range.start as usize..range.end as usize];
    Some(String::from_utf8_lossy(octets).into_owned())
}

/// Builds an index from chunks of the given sizes, used in turn.
pub(crate) fn index_in_chunks(message: &[u8], sizes: &[usize]) -> Index {
    let mut builder = Index::builder(Default::default());
    let (mut rest, mut sizes) = (message, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = (*sizes.next().expect("there are sizes")).clamp(1, rest.len());
        builder.push(&rest[..size]);
        rest = &rest[size..];
    }
    builder.finish()
}

/// Reads all that an index tells, so that whatever panics does, and ranges are checked.
pub(crate) fn exercise(index: &Index, message: &[u8]) {
    let len = message.len() as u64;
    assert_eq!(index.octets(), len);
    for (number, part) in index.numbered().take(100) {
        assert_eq!(part.number(), number);
        if let Some(number) = number {
            assert_eq!(index.part(&number).map(|found| found.place()), Some(part.place()));
        }
    }
    for part in index.parts() {
        let (header, body) = (part.header(), part.body());
        assert!(
            header.start <= header.end
                && header.end == body.start
                && body.start <= body.end
                && body.end <= len
        );
        for field in part.fields() {
            assert!(header.start <= field.field.start && field.field.end <= header.end);
            assert!(field.field.start == field.name.start && field.name.end < field.value.start);
            assert!(field.value.start <= field.value.end && field.value.end <= field.field.end);
            assert_eq!(message[field.value.start as usize - 1], b':');
        }
        // Walking the octets of a header finds what the index has.
        let block = &message[header.start as usize..header.end as usize];
        let walked = mailwright_message::header::fields(block).map(|field| {
            let start = header.start + (field.raw.as_ptr() as usize - block.as_ptr() as usize) as u64;
            (start..start + field.raw.len() as u64, field.value.len() as u64)
        });
        let indexed = part
            .fields()
            .map(|span| (span.field, span.value.end - span.value.start));
        if !index
            .defects()
            .any(|defect| defect.kind == DefectKind::TooManyFields)
        {
            assert!(walked.eq(indexed), "{part:?}");
        }
        for child in part.children() {
            assert!(body.start <= child.header().start && child.body().end <= body.end);
            assert_eq!(child.depth(), part.depth() + 1);
        }
        let octets = &message[body.start as usize..body.end as usize];
        let ended = octets.is_empty() || octets.ends_with(b"\n");
        let lines = memchr::memchr_iter(b'\n', octets).count() as u64 + u64::from(!ended);
        assert_eq!(part.lines().unwrap_or(lines), lines, "{part:?}");
        let is_told = part.is_text() || part.kind() == mailwright_message::index::Kind::Message;
        assert!(part.lines().is_some() || !is_told);
    }
    let _ = render_envelope(&index.envelope());
    let _ = render_structure(&index.body_structure());
    assert!(index.defects().all(|defect| defect.offset <= len));
}

/// ENVELOPE as RFC 9051 §7.5.2 writes it.
pub(crate) fn render_envelope(envelope: &Envelope<'_>) -> String {
    let lists = [
        envelope.from(),
        envelope.sender(),
        envelope.reply_to(),
        envelope.to(),
        envelope.cc(),
        envelope.bcc(),
    ];
    format!(
        "({} {} {} {} {})",
        nstring(envelope.date()),
        nstring(envelope.subject()),
        lists.map(render_addresses).join(" "),
        nstring(envelope.in_reply_to()),
        nstring(envelope.message_id())
    )
}

fn render_addresses(addresses: Addresses<'_>) -> String {
    if addresses.is_empty() {
        return "NIL".to_owned();
    }
    let mut out = String::from("(");
    for a in addresses {
        let strings = [a.name, a.route, a.mailbox, a.host].map(nstring);
        let _ = write!(out, "({})", strings.join(" "));
    }
    out + ")"
}

/// BODYSTRUCTURE as RFC 9051 §7.5.2 writes it.
pub(crate) fn render_structure(body: &BodyStructure<'_>) -> String {
    let mut out = String::from("(");
    match body.content() {
        Content::Multipart(children) => {
            for child in children {
                out.push_str(&render_structure(&child));
            }
            let _ = write!(out, " {}", nstring(Some(body.subtype())));
            let _ = write!(out, " {}", render_parameters(body.parameters()));
        }
        content => {
            let _ = write!(
                out,
                "{} {} {} {} {} {} {}",
                nstring(Some(body.media_type())),
                nstring(Some(body.subtype())),
                render_parameters(body.parameters()),
                nstring(body.id()),
                nstring(body.description()),
                nstring(Some(body.encoding())),
                body.octets()
            );
            if let Content::Message {
                envelope,
                body: inner,
            } = &content
            {
                let _ = write!(out, " {} {}", render_envelope(envelope), render_structure(inner));
            }
            if !matches!(content, Content::Basic) {
                let _ = write!(out, " {}", body.lines());
            }
            let _ = write!(out, " {}", nstring(body.md5()));
        }
    }
    match body.disposition() {
        Some((kind, parameters)) => {
            let _ = write!(
                out,
                " ({} {})",
                nstring(Some(kind)),
                render_parameters(parameters)
            );
        }
        None => out.push_str(" NIL"),
    }
    let languages: Vec<String> = body.languages().map(|tag| nstring(Some(tag))).collect();
    let _ = match languages.is_empty() {
        true => write!(out, " NIL"),
        false => write!(out, " ({})", languages.join(" ")),
    };
    out + " " + &nstring(body.location()) + ")"
}

fn render_parameters(parameters: Parameters<'_>) -> String {
    if parameters.is_empty() {
        return "NIL".to_owned();
    }
    let pairs = parameters.map(|(name, value)| format!("{} {}", nstring(Some(name)), nstring(Some(value))));
    format!("({})", pairs.collect::<Vec<_>>().join(" "))
}

fn nstring(string: Option<&[u8]>) -> String {
    match string {
        Some(octets) => {
            assert!(
                !octets.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)),
                "{octets:?}"
            );
            let text = String::from_utf8_lossy(octets);
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        None => "NIL".to_owned(),
    }
}
