//! CREATE, LIST, LSUB, STATUS (RFC 3501 §6.3, RFC 5258, RFC 5819, RFC 6154)

use super::{mailbox, words};
use crate::codec::cursor::{Cursor, Result, is_list_char};
use crate::codec::{Body, ListOptions};
use crate::data::StatusItem;
use bytes::Bytes;

/// Each is looked up in a short list.
const MOST_USES: usize = 100;

pub(super) fn create(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    let mut special_use = Vec::new();
    if c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        if !c.eat_word("USE") {
            return c.fail("a parameter is not known");
        }
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        while !c.eat(b')') {
            if !special_use.is_empty() {
                c.sp()?;
            }
            let start = c.rest();
            c.expect(b'\\', "a special use is missing")?;
            let len = c.atom()?.len() + 1;
            match special_use.len() {
                0..MOST_USES => special_use.push(c.slice(&start[..len])),
                _ => return c.fail("there are too many special uses"),
            }
        }
        c.expect(b')', "a list is not closed")?;
    }
    Ok(Body::Create { mailbox, special_use })
}

fn pattern(c: &mut Cursor<'_>) -> Result<Bytes> {
    if matches!(c.peek(), Some(b'"' | b'{')) {
        return c.string();
    }
    let text = c.take_while(is_list_char);
    if text.is_empty() {
        return c.fail("a pattern is missing");
    }
    Ok(c.slice(text))
}

pub(super) fn lsub(c: &mut Cursor<'_>) -> Result<Body> {
    let reference = mailbox(c)?;
    c.sp()?;
    let pattern = pattern(c)?;
    Ok(Body::Lsub { reference, pattern })
}

pub(super) fn list(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let mut options = None;
    if c.eat(b'(') {
        let chosen = options.get_or_insert_with(ListOptions::default);
        words(c, |c| {
            match () {
                () if c.eat_word("SUBSCRIBED") => chosen.subscribed = true,
                () if c.eat_word("RECURSIVEMATCH") => chosen.recursive = true,
                () if c.eat_word("SPECIAL-USE") => chosen.special_use = true,
                // There are no remote mailboxes here: asking for them as well changes nothing.
                () if c.eat_word("REMOTE") => {}
                () => return c.fail("an option is not known"),
            }
            Ok(())
        })?;
        // RFC 5258 §3.1: RECURSIVEMATCH needs something to match on.
        if chosen.recursive && !chosen.subscribed && !chosen.special_use {
            return c.fail("RECURSIVEMATCH needs another option");
        }
        c.sp()?;
    }
    let reference = c.astring()?;
    c.sp()?;
    let mut patterns = Vec::new();
    if c.eat(b'(') {
        options.get_or_insert_with(ListOptions::default);
        words(c, |c| {
            patterns.push(pattern(c)?);
            Ok(())
        })?;
        if patterns.is_empty() {
            return c.fail("a pattern is missing");
        }
    } else {
        patterns.push(pattern(c)?);
    }
    if c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        if !c.eat_word("RETURN") {
            return c.fail("RETURN is missing");
        }
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        let chosen = options.get_or_insert_with(ListOptions::default);
        words(c, |c| {
            match () {
                () if c.eat_word("SUBSCRIBED") => chosen.return_subscribed = true,
                () if c.eat_word("CHILDREN") => chosen.return_children = true,
                () if c.eat_word("SPECIAL-USE") => chosen.return_special_use = true,
                () if c.eat_word("MYRIGHTS") => chosen.return_my_rights = true,
                () if c.eat_word("METADATA") => {
                    c.sp()?;
                    chosen.return_metadata = super::metadata::entries(c)?;
                }
                () if c.eat_word("STATUS") => {
                    c.sp()?;
                    chosen.return_status = status_items(c)?;
                }
                () => return c.fail("an option is not known"),
            }
            Ok(())
        })?;
    }
    Ok(Body::List {
        reference,
        patterns,
        options,
    })
}

pub(super) fn status(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    c.sp()?;
    let items = status_items(c)?;
    Ok(Body::Status { mailbox, items })
}

fn status_items(c: &mut Cursor<'_>) -> Result<Vec<StatusItem>> {
    let mut items = Vec::new();
    c.expect(b'(', "a list is missing")?;
    words(c, |c| match StatusItem::parse(c.atom()?.as_bytes()) {
        Some(item) if items.contains(&item) => Ok(()),
        Some(item) => {
            items.push(item);
            Ok(())
        }
        None => c.fail("a status item is not known"),
    })?;
    if items.is_empty() {
        return c.fail("a status item is missing");
    }
    Ok(items)
}
