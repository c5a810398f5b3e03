//! FETCH responses as servers send them (RFC 3501 §7.4.2)

use super::cursor::Cursor;
use super::frame::row_head;
use super::structure;
use crate::client::row::{RawItem, Row};
use crate::data::{Section, SectionText};
use crate::{DateTime, Flag, Flags};
use bytes::Bytes;

/// A row, and the sections that were in it as strings: name and octets.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) row: Row,
    pub(crate) sections: Vec<(Bytes, Option<Bytes>)>,
    /// What could not be followed to its end.
    torn: u32,
}

/// Reads a FETCH or UIDFETCH response; `None` if it is none.
pub(crate) fn row(frame: &Bytes) -> Option<Parsed> {
    let head = row_head(frame)?;
    let read = |mut cursor: Cursor<'_>| {
        let mut parsed = Parsed::default();
        match head.is_uidfetch {
            true => parsed.row.uid = Some(head.number).filter(|n| *n > 0),
            false => parsed.row.seq = head.number,
        }
        parsed.items(&mut cursor);
        parsed.torn += cursor.doubts();
        parsed
    };
    let cursor = Cursor::new(frame, head.at);
    let strict = read(cursor);
    if strict.torn == 0 {
        return Some(strict);
    }
    // Perhaps there are quotes inside of quotes.
    let loose = read(cursor.with_loose_quotes());
    Some(if loose.torn < strict.torn { loose } else { strict })
}

impl Parsed {
    fn items(&mut self, c: &mut Cursor<'_>) {
        c.spaces();
        c.eat(b'(');
        loop {
            c.spaces();
            // One parenthesis too many ends nothing.
            if c.eat(b')') {
                continue;
            }
            if c.is_end() {
                break;
            }
            let name = item_name(c);
            let start = *c.spaces();
            let mut after = start;
            if !name.is_empty() && self.item(&name, &mut after).is_some() {
                *c = after;
                continue;
            }
            let mut after = start;
            if after.skip_value().is_some() {
                let known = Self::known(&name);
                self.torn += u32::from(known);
                *c = after;
            } else if after.peek().is_none() || !matches!(start.peek(), Some(b')')) {
                // The end cannot be found: the rest of the row belongs to it.
                self.torn += 1;
                c.skip(usize::MAX);
                self.row.uid = self.row.uid.or_else(|| last_uid(start.rest()));
            }
            let octets = c.since(&start);
            self.row.raw.push(RawItem { name, octets });
            if c.peek() == Some(b'"') {
                // Nothing that has a name starts so.
                c.skip(1);
            }
        }
    }

    /// Whether the engine should have been able to read the item.
    fn known(name: &[u8]) -> bool {
        const KNOWN: [&str; 8] = [
            "UID",
            "FLAGS",
            "INTERNALDATE",
            "RFC822.SIZE",
            "ENVELOPE",
            "BODY",
            "BODYSTRUCTURE",
            "MODSEQ",
        ];
        let strays = !name.first().is_some_and(u8::is_ascii_alphabetic);
        strays || prefixed(name, b"BODY[") || KNOWN.iter().any(|k| name.eq_ignore_ascii_case(k.as_bytes()))
    }

    /// Reads the value of an item that the engine knows.
    fn item(&mut self, name: &Bytes, c: &mut Cursor<'_>) -> Option<()> {
        let row = &mut self.row;
        let mut upper = [0; 16];
        match upper_case(name, &mut upper) {
            b"UID" => row.uid = Some(u32::try_from(c.number()?).ok().filter(|n| *n > 0)?),
            b"FLAGS" => flags(c, row)?,
            b"INTERNALDATE" => row.internal_date = Some(DateTime::parse(&c.nstring()??)?),
            b"RFC822.SIZE" => row.size = Some(c.number()?),
            b"ENVELOPE" => row.envelope = Some(Box::new(structure::envelope(c)?)),
            b"BODY" | b"BODYSTRUCTURE" => row.body_structure = Some(structure::body_structure(c)?),
            b"MODSEQ" => row.mod_seq = Some(in_list(c, Cursor::number)?),
            b"SAVEDATE" => row.save_date = c.nstring()?.and_then(|date| DateTime::parse(&date)),
            b"EMAILID" => row.email_id = in_list(c, Cursor::nstring)?,
            b"THREADID" => row.thread_id = in_list(c, Cursor::nstring)?,
            b"PREVIEW" => row.preview = c.nstring()?,
            b"RFC822" | b"RFC822.TEXT" | b"RFC822.HEADER" => {
                let octets = c.nstring()?;
                self.section(name, octets);
            }
            _ if prefixed(name, b"BINARY.SIZE[") => {
                let size = c.number()?;
                row.binary_sizes.push((parts(between_brackets(name)?)?, size));
            }
            _ if prefixed(name, b"BODY[") || prefixed(name, b"BINARY[") => {
                let streamed = c.peek() == Some(0);
                let octets = c.nstring()?;
                if !streamed {
                    self.section(name, octets);
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn section(&mut self, name: &Bytes, octets: Option<Bytes>) {
        self.sections.push((name.clone(), octets));
    }
}

/// The name of an item: letters, and what stands in brackets behind them.
fn item_name(c: &mut Cursor<'_>) -> Bytes {
    let start = *c;
    let rest = c.rest();
    let plain = rest
        .iter()
        .position(|b| matches!(b, b' ' | b'(' | b')' | b'[' | b'"' | b'\r' | b'\n' | 0))
        .unwrap_or(rest.len());
    let mut end = plain;
    if rest.get(plain) == Some(&b'[') {
        let mut in_quotes = false;
        let closed = rest[plain..].iter().position(|b| {
            in_quotes ^= *b == b'"';
            *b == b']' && !in_quotes
        });
        end = closed.map_or(rest.len(), |at| plain + at + 1);
        if rest.get(end) == Some(&b'<') {
            end += rest[end..].iter().position(|b| *b == b'>').map_or(0, |at| at + 1);
        }
    }
    c.skip(end);
    c.since(&start)
}

fn upper_case<'a>(name: &[u8], room: &'a mut [u8; 16]) -> &'a [u8] {
    let Some(room) = room.get_mut(..name.len()) else {
        return b"";
    };
    room.copy_from_slice(name);
    room.make_ascii_uppercase();
    room
}

fn prefixed(name: &[u8], with: &[u8]) -> bool {
    name.get(..with.len())
        .is_some_and(|p| p.eq_ignore_ascii_case(with))
}

/// A value in parentheses, or without them.
fn in_list<'a, T>(c: &mut Cursor<'a>, read: impl FnOnce(&mut Cursor<'a>) -> Option<T>) -> Option<T> {
    let opened = c.eat(b'(');
    let value = read(c)?;
    if opened && !c.spaces().eat(b')') {
        return None;
    }
    Some(value)
}

/// The most keywords of one message that are kept as such.
const MOST_KEYWORDS: usize = 1000;

fn flags(c: &mut Cursor<'_>, row: &mut Row) -> Option<()> {
    let mut flags = Flags::new();
    let (mut recent, mut other, mut seen) = (false, Vec::new(), 0);
    if !c.eat_nil() {
        c.list(|c| {
            let start = *c;
            if c.word().is_empty() {
                c.nstring()?;
            }
            let text = c.since(&start);
            seen += 1;
            match std::str::from_utf8(&text).ok().and_then(Flag::parse) {
                _ if text.eq_ignore_ascii_case(b"\\Recent") => recent = true,
                Some(flag) if seen <= MOST_KEYWORDS => _ = flags.insert(flag),
                _ => other.push(text),
            }
            Some(())
        })?;
    }
    (row.flags, row.recent, row.odd_flags) = (Some(flags), recent, other);
    Some(())
}

/// The last thing that looks like a UID: for rows that are torn before it.
fn last_uid(rest: &[u8]) -> Option<u32> {
    let mut end = rest.len();
    while let Some(at) = memchr::memmem::rfind(&rest[..end], b"UID ") {
        let before = rest[..at].last();
        let digits = rest[at + 4..].iter().take_while(|b| b.is_ascii_digit()).count();
        let after = rest.get(at + 4 + digits);
        if matches!(before, None | Some(b' ' | b'(')) && matches!(after, None | Some(b' ' | b')')) {
            let text = std::str::from_utf8(&rest[at + 4..at + 4 + digits]).ok()?;
            return text.parse().ok().filter(|n| *n > 0);
        }
        end = at;
    }
    None
}

fn between_brackets(name: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'[', name)?;
    let close = memchr::memrchr(b']', name)?;
    name.get(open + 1..close)
}

fn parts(text: &[u8]) -> Option<Vec<std::num::NonZeroU32>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(|b| *b == b'.')
        .map(|n| std::str::from_utf8(n).ok()?.parse().ok())
        .collect()
}

/// What a section's name means: the section, where it starts if it is a piece, and whether it was decoded.
pub(crate) fn section_of(name: &[u8]) -> (Option<Section>, Option<u64>, bool) {
    let text = |text| {
        Some(Section {
            part: Vec::new(),
            text,
        })
    };
    let mut upper = [0; 16];
    match upper_case(name, &mut upper) {
        b"RFC822" => return (text(SectionText::All), None, false),
        b"RFC822.HEADER" => return (text(SectionText::Header), None, false),
        b"RFC822.TEXT" => return (text(SectionText::Text), None, false),
        _ => {}
    }
    let origin = name
        .strip_suffix(b">")
        .and_then(|n| n.rsplit(|b| *b == b'<').next())
        .and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
    let section = between_brackets(name).and_then(section);
    (section, origin, prefixed(name, b"BINARY"))
}

fn section(text: &[u8]) -> Option<Section> {
    let digits = text
        .iter()
        .position(|b| !(b.is_ascii_digit() || *b == b'.'))
        .unwrap_or(text.len());
    let (path, rest) = text.split_at(digits);
    let part = parts(path.strip_suffix(b".").unwrap_or(path))?;
    let word = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
    let mut upper = [0; 32];
    let word_text = rest.get(..word).filter(|w| w.len() <= upper.len())?;
    let upper = &mut upper[..word];
    upper.copy_from_slice(word_text);
    upper.make_ascii_uppercase();
    let names = || {
        let list = Bytes::copy_from_slice(&rest[word..]);
        let mut cursor = Cursor::new(&list, 0);
        let mut names = Vec::new();
        cursor.list(|c| {
            names.push(c.string()?);
            Some(())
        })?;
        Some(names)
    };
    let text = match &*upper {
        b"" => SectionText::All,
        b"HEADER" => SectionText::Header,
        b"TEXT" => SectionText::Text,
        b"MIME" => SectionText::Mime,
        b"HEADER.FIELDS" => SectionText::HeaderFields(names()?),
        b"HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(names()?),
        _ => return None,
    };
    Some(Section { part, text })
}
