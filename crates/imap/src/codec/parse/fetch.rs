//! FETCH and what it asks for (RFC 3501 §6.4.5)

use super::{LONGEST_NAME, upper_case, words};
use crate::codec::Body;
use crate::codec::cursor::{Cursor, Result};
use crate::data::{Alias, BodyItem, FetchItem, Partial, Section, SectionText};
use bytes::Bytes;

pub(super) fn fetch(c: &mut Cursor<'_>, uid: bool) -> Result<Body> {
    c.sp()?;
    let set = c.sequence_set()?;
    c.sp()?;
    let (mut items, mut with_uid) = (Vec::new(), uid);
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
    Ok(Body::Fetch {
        uid,
        set,
        items,
        with_uid,
    })
}

/// One item; `None` for UID.
fn fetch_item(c: &mut Cursor<'_>) -> Result<Option<FetchItem>> {
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
    let mut upper = [0; LONGEST_NAME];
    let item = match upper_case(name, &mut upper).unwrap_or_default() {
        b"BODY.PEEK" => return body_item(c, true).map(Some),
        b"BODY" if c.peek() == Some(b'[') => return body_item(c, false).map(Some),
        b"RFC822" => return alias(SectionText::All, false, Alias::Rfc822),
        b"RFC822.HEADER" => return alias(SectionText::Header, true, Alias::Rfc822Header),
        b"RFC822.TEXT" => return alias(SectionText::Text, false, Alias::Rfc822Text),
        b"UID" => return Ok(None),
        b"FLAGS" => FetchItem::Flags,
        b"INTERNALDATE" => FetchItem::InternalDate,
        b"RFC822.SIZE" => FetchItem::Size,
        b"ENVELOPE" => FetchItem::Envelope,
        b"BODY" => FetchItem::Body,
        b"BODYSTRUCTURE" => FetchItem::BodyStructure,
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
    let mut partial = None;
    if c.eat(b'<') {
        let start = c.number()?;
        c.expect(b'.', "a partial range is malformed")?;
        let len = c.nz_number()?;
        c.expect(b'>', "a partial range is malformed")?;
        partial = Some(Partial { start, len });
    }
    Ok(FetchItem::Section(BodyItem::new(section, partial, peek)))
}

fn header_list(c: &mut Cursor<'_>) -> Result<Vec<Bytes>> {
    let mut names = Vec::new();
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
