//! ENVELOPE and BODYSTRUCTURE as servers send them (RFC 3501 §7.4.2)

use super::cursor::Cursor;
use crate::data::{Address, BodyStructure, Disposition, Envelope, Fields, Multipart, Params, Part, PartKind};
use bytes::Bytes;

/// How deep a body structure may be.
const DEEPEST: u32 = 100;

pub(super) fn envelope(c: &mut Cursor<'_>) -> Option<Envelope> {
    c.spaces();
    if !c.eat(b'(') {
        return None;
    }
    let envelope = Envelope {
        date: field(c)?,
        subject: field(c)?,
        from: addresses(c)?,
        sender: addresses(c)?,
        reply_to: addresses(c)?,
        to: addresses(c)?,
        cc: addresses(c)?,
        bcc: addresses(c)?,
        in_reply_to: field(c)?,
        message_id: field(c)?,
    };
    close(c)?;
    Some(envelope)
}

/// A string of a list that may end before it.
#[allow(clippy::option_option)] // outside: whether it can be read; inside: whether it is NIL
fn field(c: &mut Cursor<'_>) -> Option<Option<Bytes>> {
    match c.spaces().peek()? {
        b')' => Some(None),
        _ => c.nstring(),
    }
}

/// Skips what is left of a list, and its end.
fn close(c: &mut Cursor<'_>) -> Option<()> {
    loop {
        c.spaces();
        if c.eat(b')') {
            return Some(());
        }
        c.skip_value()?;
    }
}

fn addresses(c: &mut Cursor<'_>) -> Option<Vec<Address>> {
    let mut list = Vec::new();
    match c.spaces().peek()? {
        b')' => {}
        b'(' => c.list(|c| {
            if c.eat_nil() {
                return Some(());
            }
            if !c.eat(b'(') {
                return None;
            }
            let name = field(c)?;
            let _route = field(c)?;
            let (mailbox, host) = (field(c)?, field(c)?);
            list.push(Address { name, mailbox, host });
            close(c)
        })?,
        // NIL, or an empty string for it.
        _ => {
            c.nstring()?;
        }
    }
    Some(list)
}

pub(super) fn body_structure(c: &mut Cursor<'_>) -> Option<BodyStructure> {
    body(c, 0)
}

fn body(c: &mut Cursor<'_>, depth: u32) -> Option<BodyStructure> {
    c.spaces();
    if depth > DEEPEST || !c.eat(b'(') {
        return None;
    }
    match c.spaces().peek()? {
        b'(' => multipart(c, depth),
        _ => part(c, depth),
    }
}

fn multipart(c: &mut Cursor<'_>, depth: u32) -> Option<BodyStructure> {
    let mut parts = Vec::new();
    while c.spaces().peek()? == b'(' {
        parts.push(body(c, depth + 1)?);
    }
    let subtype = field(c)?.unwrap_or_default();
    let params = params(c)?;
    let fields = fields(c)?;
    close(c)?;
    Some(BodyStructure::Multipart(Multipart {
        parts,
        subtype,
        params,
        fields,
    }))
}

fn part(c: &mut Cursor<'_>, depth: u32) -> Option<BodyStructure> {
    let (media_type, subtype) = (c.string()?, field(c)?.unwrap_or_default());
    let params = params(c)?;
    let (id, description) = (field(c)?, field(c)?);
    let encoding = field(c)?.unwrap_or_default();
    let octets = number(c)?;
    let kind = kind(c, &media_type, &subtype, depth)?;
    let md5 = field(c)?;
    let fields = fields(c)?;
    close(c)?;
    Some(BodyStructure::Part(Box::new(Part {
        media_type,
        subtype,
        params,
        id,
        description,
        encoding,
        octets,
        kind,
        md5,
        fields,
    })))
}

fn kind(c: &mut Cursor<'_>, media_type: &[u8], subtype: &[u8], depth: u32) -> Option<PartKind> {
    if media_type.eq_ignore_ascii_case(b"text") {
        // Left out by some; then the next field is no number.
        let mut ahead = *c;
        return Some(match ahead.number() {
            Some(lines) => {
                *c = ahead;
                PartKind::Text { lines }
            }
            None => PartKind::Text { lines: 0 },
        });
    }
    // Servers that do not look into a message within (a bounce, an encrypted one) describe it as any part.
    let is_message = media_type.eq_ignore_ascii_case(b"message")
        && (subtype.eq_ignore_ascii_case(b"rfc822") || subtype.eq_ignore_ascii_case(b"global"));
    if !is_message || c.spaces().peek()? != b'(' {
        return Some(PartKind::Basic);
    }
    let envelope = Box::new(envelope(c)?);
    let body = body(c, depth + 1)?;
    let lines = number(c)?;
    Some(PartKind::Message {
        envelope,
        body,
        lines,
    })
}

/// A number of a list that may end before it.
fn number(c: &mut Cursor<'_>) -> Option<u64> {
    match c.spaces().peek()? {
        b')' => Some(0),
        _ => c.number(),
    }
}

/// Parameters; one without a value has an empty one.
fn params(c: &mut Cursor<'_>) -> Option<Params> {
    let mut params = Params::new();
    if c.spaces().peek()? != b'(' {
        field(c)?;
        return Some(params);
    }
    c.list(|c| {
        let name = c.string()?;
        let value = field(c)?.unwrap_or_default();
        params.push((name, value));
        Some(())
    })?;
    Some(params)
}

/// Disposition, language and location; each may be missing with all behind it.
fn fields(c: &mut Cursor<'_>) -> Option<Fields> {
    let disposition = match c.spaces().peek()? {
        b'(' => {
            c.eat(b'(');
            let kind = field(c)?.unwrap_or_default();
            let params = params(c)?;
            close(c)?;
            Some(Disposition { kind, params })
        }
        _ => field(c)?.map(|kind| Disposition {
            kind,
            params: Params::new(),
        }),
    };
    let mut language = Vec::new();
    match c.spaces().peek()? {
        b'(' => c.list(|c| {
            language.extend(c.nstring()?);
            Some(())
        })?,
        _ => language.extend(field(c)?),
    }
    let location = field(c)?;
    Some(Fields {
        disposition,
        language,
        location,
    })
}
