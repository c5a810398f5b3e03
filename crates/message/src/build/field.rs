//! Header fields to write (RFC 5322 §3.6)

use std::borrow::Cow;

use mailwright_address::EmailAddress;

use super::fold::Folder;
use super::{Addresses, Error};
use crate::date::{self, DateTime};
use crate::header;

/// The longest name of a field; no registered one has more than 40 octets.
const MAX_NAME: usize = 70;

/// A header field to write, with a value of the kind its name calls for.
///
/// ```
/// use mailwright_message::build::Field;
/// let field = Field::text("Subject", "Grüße");
/// assert_eq!(field.to_bytes().unwrap(), b"Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n");
/// assert!(Field::text("Subject", "x\r\nBcc: eve@e.test").to_bytes().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    name: Cow<'a, str>,
    value: Value<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Text(Cow<'a, str>),
    Structured(Cow<'a, str>),
    Addresses(Addresses<'a>),
    Ids(Vec<Cow<'a, str>>),
    Urls(Vec<Cow<'a, str>>),
    Date(DateTime),
    Verbatim(Cow<'a, [u8]>),
}

impl<'a> Field<'a> {
    /// Text for people, such as Subject, Comments or most fields of one's own: encoded words where it needs them.
    pub fn text(name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(name, Value::Text(text.into()))
    }

    /// A value of tokens for programs, such as Auto-Submitted or Precedence: it stands as it is, folded at its
    /// white space, and never gets encoded words.
    pub fn structured(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self::new(name, Value::Structured(value.into()))
    }

    /// A list of addresses.
    pub fn addresses(name: impl Into<Cow<'a, str>>, addresses: impl Into<Addresses<'a>>) -> Self {
        Self::new(name, Value::Addresses(addresses.into()))
    }

    /// Message identifiers, with or without their angle brackets.
    pub fn ids<I: Into<Cow<'a, str>>>(
        name: impl Into<Cow<'a, str>>,
        ids: impl IntoIterator<Item = I>,
    ) -> Self {
        Self::new(name, Value::Ids(ids.into_iter().map(Into::into).collect()))
    }

    /// URLs in angle brackets, as List-Unsubscribe and its kin have them (RFC 2369 §2).
    pub fn urls<I: Into<Cow<'a, str>>>(
        name: impl Into<Cow<'a, str>>,
        urls: impl IntoIterator<Item = I>,
    ) -> Self {
        Self::new(name, Value::Urls(urls.into_iter().map(Into::into).collect()))
    }

    /// A date.
    pub fn date(name: impl Into<Cow<'a, str>>, date: DateTime) -> Self {
        Self::new(name, Value::Date(date))
    }

    /// A whole field that is ready, folds and last line end included: a signature, or a field of another message.
    ///
    /// It must be one field with a CRLF or LF at its end. Only its line ends are changed, to CRLF.
    pub fn verbatim(field: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::new("", Value::Verbatim(field.into()))
    }

    /// The field in its 7-bit form, folded, with the CRLF at its end.
    ///
    /// # Errors
    ///
    /// As [`MessageBuilder::build`](super::MessageBuilder::build) for fields.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.write(&mut out, false)?;
        Ok(out)
    }

    /// As [`Field::to_bytes`], with raw UTF-8 where it is not ASCII (RFC 6532).
    ///
    /// # Errors
    ///
    /// As [`Field::to_bytes`].
    pub fn to_utf8_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.write(&mut out, true)?;
        Ok(out)
    }

    fn new(name: impl Into<Cow<'a, str>>, value: Value<'a>) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }

    /// The name; of a verbatim field what stands before the colon.
    pub fn name(&self) -> &str {
        match &self.value {
            Value::Verbatim(field) => header::fields(field)
                .next()
                .and_then(|field| std::str::from_utf8(field.name).ok())
                .unwrap_or_default(),
            _ => &self.name,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, utf8: bool) -> Result<(), Error> {
        if let Value::Verbatim(field) = &self.value {
            return write_verbatim(field, out, utf8);
        }
        let name = &*self.name;
        let valid = |b: u8| b.is_ascii_graphic() && b != b':';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(valid) {
            return Err(Error::FieldName(name.to_owned()));
        }
        match &self.value {
            Value::Text(text) => write_text(out, name, text, utf8),
            Value::Structured(value) => write_structured(out, name, value, utf8),
            Value::Addresses(addresses) => write_addresses(out, name, addresses, utf8).map(drop),
            Value::Ids(ids) => write_ids(out, name, ids, utf8),
            Value::Urls(urls) => write_urls(out, name, urls),
            Value::Date(date) => write_structured(out, name, &date::format(*date), utf8),
            Value::Verbatim(_) => Ok(()),
        }
    }
}

/// Fails on CR, LF, NUL and all other controls but the tab.
pub(super) fn check(name: &str, text: &str) -> Result<(), Error> {
    let control = |b: u8| b < b' ' && b != b'\t' || b == 0x7f;
    // Without an early exit the loop is done many octets at a time.
    match text.bytes().fold(false, |found, b| found | control(b)) {
        true => Err(Error::Control(name.to_owned())),
        false => Ok(()),
    }
}

/// Text of a received message for a message to send: controls become spaces.
pub(super) fn without_controls(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

pub(super) fn write_text(out: &mut Vec<u8>, name: &str, text: &str, utf8: bool) -> Result<(), Error> {
    check(name, text)?;
    let mut folder = Folder::new(out, name, utf8);
    folder.text(text)?;
    folder.end();
    Ok(())
}

pub(super) fn write_structured(out: &mut Vec<u8>, name: &str, value: &str, utf8: bool) -> Result<(), Error> {
    check(name, value)?;
    if !utf8 && !value.is_ascii() {
        return Err(Error::NotAscii(name.to_owned()));
    }
    let mut folder = Folder::new(out, name, utf8);
    let value = value.trim_ascii();
    let mut gap = " ";
    let mut at = 0;
    while at < value.len() {
        let len = value[at..].find([' ', '\t']).unwrap_or(value.len() - at);
        folder.word(gap.as_bytes(), &value.as_bytes()[at..at + len])?;
        at += len;
        let rest = value[at..].trim_start_matches([' ', '\t']);
        gap = &value[at..value.len() - rest.len()];
        at += gap.len();
    }
    folder.end();
    Ok(())
}

/// Writes a list, and gives the addresses in it.
pub(super) fn write_addresses(
    out: &mut Vec<u8>,
    name: &str,
    addresses: &Addresses<'_>,
    utf8: bool,
) -> Result<Vec<EmailAddress>, Error> {
    let mut written = Vec::with_capacity(addresses.mailbox_count());
    let mut folder = Folder::new(out, name, utf8);
    addresses.write(&mut folder, name, utf8, &mut written)?;
    folder.end();
    Ok(written)
}

pub(super) fn write_ids(
    out: &mut Vec<u8>,
    name: &str,
    ids: &[Cow<'_, str>],
    utf8: bool,
) -> Result<(), Error> {
    let mut folder = Folder::new(out, name, utf8);
    for id in ids {
        let id = bare_id(id);
        if !is_id(id) {
            return Err(Error::Value(name.to_owned()));
        }
        check_bracketed(name, id, utf8)?;
        folder.joined(b" ", &[b"<", id.as_bytes(), b">"])?;
    }
    folder.end();
    Ok(())
}

fn write_urls(out: &mut Vec<u8>, name: &str, urls: &[Cow<'_, str>]) -> Result<(), Error> {
    let mut folder = Folder::new(out, name, false);
    for (i, url) in urls.iter().enumerate() {
        if i > 0 {
            folder.mark(b',');
        }
        let url = bare_id(url);
        check_bracketed(name, url, false)?;
        folder.joined(b" ", &[b"<", url.as_bytes(), b">"])?;
    }
    folder.end();
    Ok(())
}

/// An identifier without its angle brackets.
pub(super) fn bare_id(id: &str) -> &str {
    let id = id.trim_ascii();
    id.strip_prefix('<')
        .and_then(|id| id.strip_suffix('>'))
        .unwrap_or(id)
}

/// Whether readers find this identifier again: quotes and comments mean something in one (RFC 5322 §4.5.4).
pub(super) fn is_id(id: &str) -> bool {
    let special = |b: u8| matches!(b, b'<' | b'>' | b'(' | b')' | b'"' | b'\\' | b' ');
    !id.is_empty() && !id.bytes().any(special)
}

/// Whether a text can stand between angle brackets.
fn check_bracketed(name: &str, text: &str, utf8: bool) -> Result<(), Error> {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'<' && b != b'>';
    if !text.is_empty() && text.bytes().all(plain) {
        return Ok(());
    }
    let valid = |c: char| match c {
        '<' | '>' => false,
        _ if c.is_ascii() => c.is_ascii_graphic(),
        _ => utf8 && !c.is_control() && !c.is_whitespace(),
    };
    match !text.is_empty() && text.chars().all(valid) {
        true => Ok(()),
        false => Err(Error::Value(name.to_owned())),
    }
}

fn write_verbatim(field: &[u8], out: &mut Vec<u8>, utf8: bool) -> Result<(), Error> {
    let mut fields = header::fields(field);
    let first = fields.next().filter(|first| first.raw.len() == field.len());
    let Some(first) = first.filter(|_| field.ends_with(b"\n")) else {
        return Err(Error::Value(
            String::from_utf8_lossy(field).chars().take(MAX_NAME).collect(),
        ));
    };
    let name = || String::from_utf8_lossy(first.name).into_owned();
    if !utf8 && !field.is_ascii() {
        return Err(Error::NotAscii(name()));
    }
    let start = out.len();
    for line in field.split_inclusive(|b| *b == b'\n') {
        let content = match line {
            [content @ .., b'\r', b'\n'] | [content @ .., b'\n'] => content,
            _ => line,
        };
        let control = content.iter().any(|b| *b < b' ' && *b != b'\t' || *b == 0x7f);
        let error = match content {
            _ if control => Error::Control(name()),
            _ if content.len() > 998 => Error::TooLong(name()),
            _ if content.trim_ascii().is_empty() => Error::Value(name()),
            _ => {
                out.extend_from_slice(content);
                out.extend_from_slice(b"\r\n");
                continue;
            }
        };
        out.truncate(start);
        return Err(error);
    }
    Ok(())
}
