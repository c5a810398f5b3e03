//! Parts: their numbers, what their headers say of them, and their octets.

use mailwright_message::header::Headers;
use mailwright_message::index::{Index, Kind, Part, Section};
use mailwright_message::parameters::{ContentType, Disposition};
use mailwright_message::text::Reader;
use mailwright_message::transfer::Encoding;
use mailwright_message::{DefectKind, charset, header, html, preview};
use std::io::{self, Write};
use std::ops::Range;
use std::str::FromStr;

use crate::Fallible;
use crate::source::Source;

/// A number as it is written: `2.1`.
pub(crate) fn path(number: &[u32]) -> String {
    let digits: Vec<String> = number.iter().map(u32::to_string).collect();
    digits.join(".")
}

/// What the header of a part says about its body.
pub(crate) struct Facts {
    pub(crate) content_type: String,
    pub(crate) charset: Option<String>,
    pub(crate) encoding: String,
    pub(crate) filename: Option<String>,
}

impl Facts {
    pub(crate) fn read(part: Part<'_>, header: &[u8]) -> Self {
        let value = |name| header::find(header, name).map(|field| field.value);
        let content_type = value("Content-Type").and_then(ContentType::parse);
        let disposition = value("Content-Disposition").and_then(Disposition::parse);
        let structure = part.body_structure();
        let lower = |octets: &[u8]| charset::guess(octets).to_lowercase();
        let parameter = |name: &str| {
            let value = content_type.as_ref()?.parameter(name)?.into_owned();
            (!value.is_empty()).then_some(value)
        };
        let filename = disposition.and_then(|d| d.parameter("filename").map(std::borrow::Cow::into_owned));
        Self {
            content_type: format!("{}/{}", lower(structure.media_type()), lower(structure.subtype())),
            charset: parameter("charset").map(|label| label.to_lowercase()),
            encoding: lower(structure.encoding()),
            filename: filename
                .filter(|name| !name.is_empty())
                .or_else(|| parameter("name")),
        }
    }
}

/// Hands out the octets of a body in pieces, its transfer encoding removed; gives what was odd about them, with
/// offsets in the message.
pub(crate) fn each_decoded(
    source: &Source,
    part: Part<'_>,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Vec<(DefectKind, u64)>> {
    let body = part.body();
    let encoding = match part.kind() {
        Kind::Leaf => part.encoding(),
        // No encoding may stand around parts (RFC 2045 §6.4); the index has a defect for it.
        Kind::Multipart | Kind::Message => Encoding::Identity,
    };
    let mut decoder = encoding.decoder();
    let mut decoded = Vec::new();
    source.each_chunk_of(body.clone(), |chunk| {
        decoded.clear();
        decoder.push(chunk, &mut decoded);
        sink(&decoded)
    })?;
    decoded.clear();
    decoder.finish(&mut decoded);
    sink(&decoded)?;
    let found = decoder.defects().iter();
    Ok(found
        .map(|defect| (defect.kind, body.start + defect.offset))
        .collect())
}

/// What is odd about the values of a header, with offsets in the message.
pub(crate) fn header_defects(part: Part<'_>, header: &[u8]) -> Vec<(DefectKind, u64)> {
    let found = Headers::new(header).defects(&header::Limits::default());
    let start = part.header().start;
    found
        .iter()
        .map(|defect| (defect.kind, start + defect.offset))
        .collect()
}

/// The preview (RFC 8970), read from the file as far as it needs.
pub(crate) fn preview(source: &Source) -> io::Result<String> {
    const MAX_OCTETS: u64 = 256 << 10;
    let bodies = source.index.bodies();
    for part in bodies.text.iter().chain(&bodies.html) {
        let Some(mut reader) = Reader::with(part, html::Options::WORDS) else {
            continue;
        };
        let body = part.body();
        let mut text = String::new();
        source.each_chunk_of(body.start..body.end.min(body.start + MAX_OCTETS), |chunk| {
            reader.push(chunk, &mut text);
            Ok(())
        })?;
        reader.finish(&mut text);
        let preview = preview::from_text(&text);
        if !preview.is_empty() {
            return Ok(preview);
        }
    }
    Ok(String::new())
}

/// The argument of `--part`.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    number: Vec<u32>,
    section: Section,
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut section = Section::Content;
        let (head, last) = text.rsplit_once('.').unwrap_or(("", text));
        let mut digits = head;
        match last.to_ascii_uppercase().as_str() {
            "HEADER" => section = Section::Header,
            "TEXT" => section = Section::Text,
            "MIME" if !head.is_empty() => section = Section::Mime,
            _ => digits = text,
        }
        let number = match digits {
            "" if text.starts_with('.') => Err(()),
            "" => Ok(vec![]),
            digits => digits
                .split('.')
                .map(|n| n.parse().ok().filter(|n| *n > 0).ok_or(()))
                .collect(),
        };
        match number {
            Ok(number) => Ok(Self { number, section }),
            Err(()) => Err("a part number is like 2 or 2.1 or 2.MIME".to_owned()),
        }
    }
}

impl Selector {
    /// The range to copy, and the part whose transfer encoding is to be removed from it.
    fn find<'a>(&self, index: &'a Index) -> Option<(Range<u64>, Option<Part<'a>>)> {
        let part = index.part(&self.number)?;
        match self.section {
            Section::Content => Some((part.body(), Some(part))),
            Section::Text => {
                let root = match (&self.number[..], part.kind()) {
                    ([], _) => part,
                    (_, Kind::Message) => part.children().next()?,
                    _ => return None,
                };
                Some((root.body(), Some(root)))
            }
            section => Some((index.section(&self.number, section)?, None)),
        }
    }
}

/// Writes the octets that `--part` asks for.
pub(crate) fn write(source: &Source, selector: &Selector, raw: bool, out: &mut impl Write) -> Fallible {
    let Some((range, part)) = selector.find(&source.index) else {
        let known: Vec<String> = source
            .index
            .numbered()
            .filter_map(|(number, _)| number)
            .filter(|number| !number.is_empty())
            .take(20)
            .map(|number| path(&number))
            .collect();
        return Err(match known.is_empty() {
            true => "there is no such part; the message is no multipart, its body is part 1".into(),
            false => format!("there is no such part; there are {}", known.join(", ")).into(),
        });
    };
    match part {
        Some(part) if !raw => {
            each_decoded(source, part, |chunk| out.write_all(chunk))?;
        }
        _ => source.each_chunk_of(range, |chunk| out.write_all(chunk))?,
    }
    Ok(())
}
