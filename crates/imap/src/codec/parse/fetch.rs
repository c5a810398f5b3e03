//! FETCH and what it asks for (RFC 3501 §6.4.5, RFC 3516, RFC 7162, RFC 8474, RFC 8514, RFC 8970, RFC 9394)

use super::{Word, known, word, words};
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, FetchModifiers};
use crate::data::{Alias, BinaryItem, BodyItem, FetchItem, Partial, Section, SectionText};
use bytes::Bytes;
use std::num::NonZeroU32;

pub(super) fn fetch(c: &mut Cursor<'_>, uid: bool) -> Result<Body> {
    c.sp()?;
    let set = c.sequence_set()?;
    c.sp()?;
    let (mut items, mut with_uid) = (Vec::with_capacity(USUAL), uid);
    let mut add = |item: Option<FetchItem>| match item {
        None => with_uid = true,
        Some(item) if items.contains(&item) => {}
        Some(item) => items.push(item),
    };
    if c.eat(b'(') {
        let mut asked = 0;
        words(c, |c| {
            let item = fetch_item(c)?;
            asked += 1;
            if asked > MOST_ITEMS {
                return c.fail("too much is asked for at once");
            }
            add(item);
            Ok(())
        })?;
        if items.is_empty() && !with_uid {
            return c.fail("a data item is missing");
        }
    } else {
        use FetchItem as F;
        let fast = [F::Flags, F::InternalDate, F::Size];
        match () {
            () if c.eat_word("FAST") => fast.map(Some).into_iter().for_each(add),
            () if c.eat_word("ALL") => fast.into_iter().chain([F::Envelope]).map(Some).for_each(add),
            () if c.eat_word("FULL") => {
                fast.into_iter()
                    .chain([F::Envelope, F::Body])
                    .map(Some)
                    .for_each(add);
            }
            () => add(fetch_item(c)?),
        }
    }
    let mut modifiers = FetchModifiers::default();
    if c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        modifiers = fetch_modifiers(c, uid)?;
    }
    Ok(Body::Fetch {
        uid,
        set,
        items,
        with_uid,
        modifiers,
    })
}

fn fetch_modifiers(c: &mut Cursor<'_>, uid: bool) -> Result<FetchModifiers> {
    let mut modifiers = FetchModifiers::default();
    c.expect(b'(', "a list is missing")?;
    words(c, |c| {
        match () {
            () if c.eat_word("CHANGEDSINCE") => {
                c.sp()?;
                modifiers.changed_since = Some(c.mod_seq()?);
            }
            () if uid && c.eat_word("VANISHED") => modifiers.vanished = true,
            () if uid && c.eat_word("PARTIAL") => {
                c.sp()?;
                modifiers.partial = Some(c.page()?);
            }
            () => return c.fail("a modifier is not known"),
        }
        Ok(())
    })?;
    if modifiers.vanished && modifiers.changed_since.is_none() {
        return c.fail("VANISHED needs CHANGEDSINCE");
    }
    Ok(modifiers)
}

const BODY_PEEK: Word = known("BODY.PEEK");
const BODY: Word = known("BODY");
const RFC822: Word = known("RFC822");
const RFC822_HEADER: Word = known("RFC822.HEADER");
const RFC822_TEXT: Word = known("RFC822.TEXT");
const BINARY_PEEK: Word = known("BINARY.PEEK");
const BINARY: Word = known("BINARY");
const BINARY_SIZE: Word = known("BINARY.SIZE");
const MODSEQ: Word = known("MODSEQ");
const EMAILID: Word = known("EMAILID");
const THREADID: Word = known("THREADID");
const SAVEDATE: Word = known("SAVEDATE");
const PREVIEW: Word = known("PREVIEW");
const UID: Word = known("UID");
const FLAGS: Word = known("FLAGS");
const INTERNALDATE: Word = known("INTERNALDATE");
const RFC822_SIZE: Word = known("RFC822.SIZE");
const ENVELOPE: Word = known("ENVELOPE");
const BODYSTRUCTURE: Word = known("BODYSTRUCTURE");

/// One item; `None` for UID.
pub(super) fn fetch_item(c: &mut Cursor<'_>) -> Result<Option<FetchItem>> {
    let alias = |section: SectionText, peek, alias| {
        let section = Section {
            part: Vec::new(),
            text: section,
        };
        let mut item = BodyItem::new(section, None, peek);
        item.alias = Some(alias);
        Ok(Some(FetchItem::Section(item)))
    };
    let name = c.take_while(|b| b.is_ascii_alphanumeric() || b == b'.');
    let Some(word) = word(name) else {
        return c.fail("a data item is not known");
    };
    let item = match word {
        BODY_PEEK => return body_item(c, true).map(Some),
        BODY if c.peek() == Some(b'[') => return body_item(c, false).map(Some),
        RFC822 => return alias(SectionText::All, false, Alias::Rfc822),
        RFC822_HEADER => return alias(SectionText::Header, true, Alias::Rfc822Header),
        RFC822_TEXT => return alias(SectionText::Text, false, Alias::Rfc822Text),
        BINARY_PEEK => return binary_item(c, true).map(Some),
        BINARY => return binary_item(c, false).map(Some),
        BINARY_SIZE => FetchItem::BinarySize(binary_part(c)?),
        MODSEQ => FetchItem::ModSeq,
        EMAILID => FetchItem::EmailId,
        THREADID => FetchItem::ThreadId,
        SAVEDATE => FetchItem::SaveDate,
        PREVIEW => FetchItem::Preview { lazy: lazy(c)? },
        UID => return Ok(None),
        FLAGS => FetchItem::Flags,
        INTERNALDATE => FetchItem::InternalDate,
        RFC822_SIZE => FetchItem::Size,
        ENVELOPE => FetchItem::Envelope,
        BODY => FetchItem::Body,
        BODYSTRUCTURE => FetchItem::BodyStructure,
        _ => return c.fail("a data item is not known"),
    };
    Ok(Some(item))
}

fn body_item(c: &mut Cursor<'_>, peek: bool) -> Result<FetchItem> {
    c.expect(b'[', "a section is missing")?;
    let mut section = Section::default();
    while c.peek().is_some_and(|b| b.is_ascii_digit()) {
        section.part.push(c.nz_number()?);
        if c.peek() == Some(b']') {
            break;
        }
        c.expect(b'.', "a section is malformed")?;
    }
    if c.peek() != Some(b']') {
        let name = c.take_while(|b| b.is_ascii_alphabetic() || b == b'.');
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        section.text = match () {
            () if is("HEADER") => SectionText::Header,
            () if is("HEADER.FIELDS") => SectionText::HeaderFields(header_list(c)?),
            () if is("HEADER.FIELDS.NOT") => SectionText::HeaderFieldsNot(header_list(c)?),
            () if is("TEXT") => SectionText::Text,
            () if is("MIME") && !section.part.is_empty() => SectionText::Mime,
            () => return c.fail("a section is not known"),
        };
    }
    c.expect(b']', "a section is not closed")?;
    let partial = partial(c)?;
    Ok(FetchItem::Section(BodyItem::new(section, partial, peek)))
}

fn partial(c: &mut Cursor<'_>) -> Result<Option<Partial>> {
    if !c.eat(b'<') {
        return Ok(None);
    }
    let start = c.number()?;
    c.expect(b'.', "a partial range is malformed")?;
    let len = c.nz_number()?;
    c.expect(b'>', "a partial range is malformed")?;
    Ok(Some(Partial { start, len }))
}

fn binary_item(c: &mut Cursor<'_>, peek: bool) -> Result<FetchItem> {
    let part = binary_part(c)?;
    let partial = partial(c)?;
    Ok(FetchItem::Binary(BinaryItem::new(part, partial, peek)))
}

fn binary_part(c: &mut Cursor<'_>) -> Result<Vec<NonZeroU32>> {
    let mut part = Vec::new();
    c.expect(b'[', "a section is missing")?;
    while !c.eat(b']') {
        if !part.is_empty() {
            c.expect(b'.', "a section is malformed")?;
        }
        part.push(c.nz_number()?);
    }
    Ok(part)
}

/// The modifiers of PREVIEW (RFC 8970 §3.2).
fn lazy(c: &mut Cursor<'_>) -> Result<bool> {
    let mut ahead = c.clone();
    if !ahead.eat(b' ') || !ahead.eat(b'(') {
        return Ok(false);
    }
    if !ahead.eat_word("LAZY") || !ahead.eat(b')') {
        return ahead.fail("a modifier is not known");
    }
    *c = ahead;
    Ok(true)
}

fn header_list(c: &mut Cursor<'_>) -> Result<Vec<Bytes>> {
    let mut names = Vec::with_capacity(USUAL);
    c.sp()?;
    c.expect(b'(', "a list is missing")?;
    words(c, |c| {
        if names.len() == MOST_ITEMS {
            return c.fail("too much is asked for at once");
        }
        names.push(c.astring()?);
        Ok(())
    })?;
    if names.is_empty() {
        return c.fail("a header field is missing");
    }
    Ok(names)
}

/// Each item is compared with each other, and each header field name with each header field of a message.
const MOST_ITEMS: usize = 500;

/// Most clients ask for no more than this: room is made for it at once.
const USUAL: usize = 8;
