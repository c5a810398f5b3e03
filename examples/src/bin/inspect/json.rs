//! A message as one line of JSON.

use mailwright_message::DefectKind;
use mailwright_message::index::Part;
use ring::digest::{Context, SHA256};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::Fallible;
use crate::headers::Headers;
use crate::parts::{self, Facts};
use crate::source::Source;

/// Writes the line. Parts are read, written and forgotten one by one.
pub(crate) fn line(source: &Source, out: &mut impl Write) -> Fallible {
    let index_defects = source.index.defects().map(|defect| (defect.kind, defect.offset));
    let defects = RefCell::new(index_defects.collect());
    let message = Message {
        parts: Parts {
            source,
            defects: &defects,
        },
        headers: Headers::read(&source.header(source.index.root())?),
        preview: parts::preview(source)?,
        defects: Defects(&defects),
    };
    serde_json::to_writer(&mut *out, &message)?;
    writeln!(out)?;
    Ok(())
}

#[derive(Serialize)]
struct Message<'a> {
    parts: Parts<'a>,
    headers: Headers,
    preview: String,
    defects: Defects<'a>,
}

type Found = RefCell<Vec<(DefectKind, u64)>>;

struct Parts<'a> {
    source: &'a Source,
    /// Takes what is odd about the encoding of a body, which shows when it is read.
    defects: &'a Found,
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for (number, part) in self.source.index.numbered() {
            let Some(number) = number else { continue };
            let part = self.entry(parts::path(&number), part);
            list.serialize_element(&part.map_err(S::Error::custom)?)?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Entry {
    path: String,
    header: [u64; 2],
    body: [u64; 2],
    content_type: String,
    charset: Option<String>,
    encoding: String,
    lines: u64,
    octets: u64,
    decoded_sha256: String,
    text: Option<String>,
    filename: Option<String>,
}

impl Parts<'_> {
    fn entry(&self, path: String, part: Part<'_>) -> io::Result<Entry> {
        let source = self.source;
        let block = source.header(part)?;
        let facts = Facts::read(part, &block);
        let odd = parts::header_defects(part, &block);
        self.defects.borrow_mut().extend(odd);
        let (header, body) = (part.header(), part.body());
        let mut sha256 = Context::new(&SHA256);
        let found = parts::each_decoded(source, part, |chunk| {
            sha256.update(chunk);
            Ok(())
        })?;
        self.defects.borrow_mut().extend(found);
        let text = match part.is_text() {
            true => Some(part.decode_text(&source.read(body.clone())?)),
            false => None,
        };
        Ok(Entry {
            path,
            header: [header.start, header.end],
            body: [body.start, body.end],
            content_type: facts.content_type,
            charset: facts.charset,
            encoding: facts.encoding,
            lines: part.lines().unwrap_or(0),
            octets: body.end - body.start,
            decoded_sha256: hex(sha256.finish().as_ref()),
            text,
            filename: facts.filename,
        })
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}

/// Comes behind the parts, so that all are known.
struct Defects<'a>(&'a Found);

impl Serialize for Defects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut found = self.0.borrow_mut();
        found.sort_by_key(|(kind, offset)| (*offset, *kind as u8));
        found.dedup();
        serializer.collect_seq(found.iter().map(|(kind, offset)| Defect {
            kind: format!("{kind:?}"),
            offset: *offset,
        }))
    }
}

#[derive(Serialize)]
struct Defect {
    kind: String,
    offset: u64,
}
