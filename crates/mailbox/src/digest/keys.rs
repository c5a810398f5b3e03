//! The keys of a message: what SORT, THREAD and searches of common fields need (RFC 5256 §2.2, RFC 5957)

use std::borrow::Cow;

use bytes::Bytes;
use mailwright_message::{
    address_list::{self, Item, Mailbox},
    date::{self, DateTime},
    header::{Field, Headers, fields},
    thread::{Links, base_subject, is_reply_or_forward},
};

use crate::{ThreadKey, Threading, casemap};

/// What a message is sorted by, and the fields that are searched most, from its header alone.
///
/// All text is mapped by [`casemap`]. A key is cut after [`Keys::MOST`] octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    bytes: Bytes,
    threading: Threading,
}

/// The fields whose values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Subject,
    From,
    To,
    Cc,
    Bcc,
    MessageId,
}

impl Kept {
    const ALL: [(Self, &str); 6] = [
        (Self::Subject, "Subject"),
        (Self::From, "From"),
        (Self::To, "To"),
        (Self::Cc, "Cc"),
        (Self::Bcc, "Bcc"),
        (Self::MessageId, "Message-ID"),
    ];

    fn of(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.iter();
        let it = all.find(|(_, it)| it.as_bytes().eq_ignore_ascii_case(name));
        it.map(|(kept, _)| *kept)
    }
}

/// The texts in their order, then the values of the fields of [`Kept`].
const TEXTS: usize = 6;
const VERSION: u8 = 1;
const HEAD: usize = 16;
const HAS_DATE: u8 = 1;
const IS_REPLY: u8 = 2;
const IS_PLAIN: u8 = 4;
/// In place of the number of a field's values: they are too many to be kept.
const NOT_KEPT: u8 = 255;

impl Keys {
    /// The most octets of a key: what comes behind them does not count for the order.
    pub const MOST: usize = 1024;
    /// The most octets of the values of one field that are kept; longer ones are looked up in the message.
    pub const MOST_OF_FIELD: usize = 2048;

    /// Reads the keys from a header.
    pub fn of(header: &[u8]) -> Self {
        let mut date = None;
        let mut named: [Values; 6] = Default::default();
        let mut first: [Option<Field<'_>>; 6] = [None; 6];
        for field in fields(header) {
            if let Some(kept) = Kept::of(field.name) {
                first[kept as usize].get_or_insert(field);
                named[kept as usize].add(&field);
            } else if date.is_none() && field.is("Date") {
                date = Some(date::parse(field.value));
            }
        }
        let subject = first[Kept::Subject as usize].map_or(Cow::Borrowed(""), |field| field.text());
        let base = base_subject(&subject);
        let [from, to, cc] = [Kept::From, Kept::To, Kept::Cc].map(|it| Correspondent::of(first[it as usize]));
        let sent = date.flatten();
        let mut out = Vec::with_capacity(512);
        let is_reply = is_reply_or_forward(&subject);
        out.push(VERSION);
        out.push(if sent.is_some() { HAS_DATE } else { 0 } | if is_reply { IS_REPLY } else { 0 });
        out.extend_from_slice(&sent.map_or(0, |it| it.offset).to_le_bytes());
        out.extend_from_slice(&sent.map_or(0, |it| it.unix).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for text in [
            &base,
            &from.mailbox,
            &to.mailbox,
            &cc.mailbox,
            &from.shown,
            &to.shown,
        ] {
            put(&mut out, cut(&casemap::mapped(text), Self::MOST));
        }
        for values in &named {
            out.push(values.count);
            out.extend_from_slice(&values.bytes);
        }
        let links = Links::of(&Headers::new(header));
        let key = |id: &Cow<'_, str>| ThreadKey::of(id.as_bytes());
        Self {
            bytes: out.into(),
            threading: Threading::new(links.id.as_ref().map(key), links.ancestors.iter().map(key)),
        }
    }

    /// Takes them from [`MessageMeta::sort_keys`](crate::MessageMeta::sort_keys); `None` when the message was stored
    /// without. What threads it is kept apart.
    pub fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let keys = Self {
            bytes: bytes.clone(),
            threading: Threading::default(),
        };
        (bytes.len() >= HEAD && bytes[0] == VERSION && keys.named_at(Kept::ALL.len()).is_some())
            .then_some(keys)
    }

    /// Returns the bytes to be stored, and what threads the message.
    pub fn into_parts(self) -> (Bytes, Threading) {
        (self.bytes, self.threading)
    }

    /// What threads the message; nothing in keys from [`Keys::from_bytes`].
    pub const fn threading(&self) -> &Threading {
        &self.threading
    }

    /// When the message was sent; `None` where its header does not tell.
    pub fn sent(&self) -> Option<DateTime> {
        let offset = self.bytes.get(2..4)?.first_chunk().copied()?;
        let unix = self.bytes.get(4..12)?.first_chunk().copied()?;
        let moment = DateTime::new(i64::from_le_bytes(unix), i16::from_le_bytes(offset));
        self.has(HAS_DATE).then_some(moment)
    }

    /// Whether the subject is that of a reply or a forwarded message.
    pub fn is_reply(&self) -> bool {
        self.has(IS_REPLY)
    }

    /// The base subject (RFC 5256 §2.1).
    pub fn base_subject(&self) -> &str {
        self.text(0)
    }

    /// The mailbox of the first address in From: what stands before its `@`.
    pub fn from(&self) -> &str {
        self.text(1)
    }

    /// The mailbox of the first address in To.
    pub fn to(&self) -> &str {
        self.text(2)
    }

    /// The mailbox of the first address in Cc.
    pub fn cc(&self) -> &str {
        self.text(3)
    }

    /// The name in the first address of From, or the address where it has none (RFC 5957 §3).
    pub fn display_from(&self) -> &str {
        self.text(4)
    }

    /// As [`Keys::display_from`], of To.
    pub fn display_to(&self) -> &str {
        self.text(5)
    }

    /// The decoded values of the fields of a name, one by one; `None` where only the header knows them.
    pub fn named(&self, name: &str) -> Option<Named<'_>> {
        let kept = Kept::of(name.as_bytes())?;
        let rest = self.named_at(kept as usize)?;
        let (&count, rest) = rest.split_first()?;
        (count != NOT_KEPT).then_some(Named { count, rest })
    }

    /// Where the body begins of a message that is searched in its own octets.
    pub fn plain(&self) -> Option<u32> {
        let at = self.bytes.get(12..16)?.first_chunk().copied()?;
        self.has(IS_PLAIN).then_some(u32::from_le_bytes(at))
    }

    pub(super) fn set_plain(&mut self, body: u32) {
        let mut bytes = Vec::from(core::mem::take(&mut self.bytes));
        bytes[1] |= IS_PLAIN;
        bytes[12..16].copy_from_slice(&body.to_le_bytes());
        self.bytes = bytes.into();
    }

    fn has(&self, flag: u8) -> bool {
        self.bytes.get(1).is_some_and(|flags| flags & flag != 0)
    }

    fn text(&self, at: usize) -> &str {
        let mut rest = self.bytes.get(HEAD..).unwrap_or_default();
        let mut text = &[][..];
        for _ in 0..=at {
            text = take(&mut rest).unwrap_or_default();
        }
        str::from_utf8(text).unwrap_or_default()
    }

    /// The octets that begin with the values of a field; those behind the last one for the number of fields.
    fn named_at(&self, at: usize) -> Option<&[u8]> {
        let mut rest = self.bytes.get(HEAD..)?;
        for _ in 0..TEXTS {
            take(&mut rest)?;
        }
        for _ in 0..at {
            let (&count, behind) = rest.split_first()?;
            rest = behind;
            for _ in 0..if count == NOT_KEPT { 0 } else { count } {
                take(&mut rest)?;
            }
        }
        Some(rest)
    }
}

/// The values of the fields of one name, mapped by [`casemap`]; see [`Keys::named`].
#[derive(Clone, Debug)]
pub struct Named<'a> {
    count: u8,
    rest: &'a [u8],
}

impl<'a> Iterator for Named<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.count = self.count.checked_sub(1)?;
        take(&mut self.rest)
    }
}

/// The values of one field on their way into the keys.
#[derive(Default)]
struct Values {
    count: u8,
    bytes: Vec<u8>,
}

impl Values {
    fn add(&mut self, field: &Field<'_>) {
        if self.count == NOT_KEPT {
            return;
        }
        let value = casemap::mapped(&super::text::field_text(field));
        self.count += 1;
        if self.count == NOT_KEPT || self.bytes.len() + value.len() > Keys::MOST_OF_FIELD {
            (self.count, self.bytes) = (NOT_KEPT, Vec::new());
            return;
        }
        put(&mut self.bytes, &value);
    }
}

/// The first address of a field, as it is sorted by and shown.
#[derive(Default)]
struct Correspondent {
    mailbox: String,
    shown: String,
}

impl Correspondent {
    fn of(field: Option<Field<'_>>) -> Self {
        let first = field.and_then(|field| address_list::items(field.value).next());
        match first {
            Some(Item::Mailbox(it)) => {
                let mailbox = unquoted(&it);
                let shown = match it.name.filter(|name| !name.trim().is_empty()) {
                    Some(name) => name.into_owned(),
                    None => format!("{mailbox}@{}", it.domain),
                };
                Self { mailbox, shown }
            }
            // ENVELOPE tells a group's name where an address has its mailbox (RFC 9051 §7.5.2).
            Some(Item::GroupStart(name)) => Self {
                mailbox: name.clone().into_owned(),
                shown: name.into_owned(),
            },
            Some(Item::GroupEnd) | None => Self::default(),
        }
    }
}

fn unquoted(mailbox: &Mailbox<'_>) -> String {
    let local = &*mailbox.local_part;
    let inner = local.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let Some(inner) = inner else {
        return local.to_owned();
    };
    let (mut plain, mut chars) = (String::with_capacity(inner.len()), inner.chars());
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

/// The first octets of a mapped text, at most so many, and whole characters.
fn cut(text: &[u8], most: usize) -> &[u8] {
    let mut end = text.len().min(most);
    while end < text.len() && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// Appends a text of at most 65,535 octets.
fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, behind) = rest.split_first_chunk()?;
    let (text, behind) = behind.split_at_checked(u16::from_le_bytes(*len).into())?;
    *rest = behind;
    Some(text)
}
