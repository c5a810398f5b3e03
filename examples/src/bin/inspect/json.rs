//! A message as one line of JSON.

use mailwright_message::index::Part;
use ring::digest::{Context, SHA256};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::Fallible;
use crate::headers::Headers;
use crate::parts::{self, Facts};
use crate::source::Source;

/// Writes the line. Parts are read, written and forgotten one by one.
pub(crate) fn line(source: &Source, out: &mut impl Write) -> Fallible {
    let message = Message {
        parts: Parts(source),
        headers: Headers::read(&source.header(source.index.root())?),
        preview: parts::preview(source)?,
        defects: Defects(source),
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

struct Parts<'a>(&'a Source);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for entry in parts::numbered(&self.0.index) {
            let Some(number) = entry.number else { continue };
            let part = Entry::read(self.0, parts::path(&number), entry.part).map_err(S::Error::custom)?;
            list.serialize_element(&part)?;
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

impl Entry {
    fn read(source: &Source, path: String, part: Part<'_>) -> io::Result<Self> {
        let facts = Facts::read(part, &source.header(part)?);
        let (header, body) = (part.header(), part.body());
        let mut sha256 = Context::new(&SHA256);
        parts::each_decoded(source, part, |chunk| {
            sha256.update(chunk);
            Ok(())
        })?;
        let text = match part.is_text() {
            true => Some(part.decode_text(&source.read(body.clone())?)),
            false => None,
        };
        Ok(Self {
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

struct Defects<'a>(&'a Source);

impl Serialize for Defects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.index.defects().map(|defect| Defect {
            kind: format!("{:?}", defect.kind),
            offset: defect.offset,
        }))
    }
}

#[derive(Serialize)]
struct Defect {
    kind: String,
    offset: u64,
}
