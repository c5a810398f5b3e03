//! GETMETADATA, SETMETADATA (RFC 5464 §5)

use super::words;
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, MetadataCommand};
use crate::{Depth, EntryName};

pub(super) fn get(c: &mut Cursor<'_>) -> Result<Body> {
    let (mut max_size, mut depth) = (None, Depth::default());
    c.sp()?;
    if c.peek() == Some(b'(') {
        options(c, &mut max_size, &mut depth)?;
        c.sp()?;
    }
    let mailbox = c.astring()?;
    c.sp()?;
    // The examples of RFC 5464 have the options here, where its grammar has none.
    if is_options(c) {
        options(c, &mut max_size, &mut depth)?;
        c.sp()?;
    }
    let mut entries = Vec::new();
    if c.eat(b'(') {
        words(c, |c| {
            entries.push(entry(c, true)?);
            if entries.len() > MOST_ENTRIES {
                return c.fail("there are too many entries");
            }
            Ok(())
        })?;
    } else {
        entries.push(entry(c, true)?);
        while c.peek() == Some(b' ') && c.rest().len() > 1 && entries.len() < MOST_ENTRIES {
            c.sp()?;
            entries.push(entry(c, true)?);
        }
    }
    if entries.is_empty() {
        return c.fail("an entry is missing");
    }
    Ok(Body::Metadata(MetadataCommand::Get {
        mailbox,
        max_size,
        depth,
        entries,
    }))
}

pub(super) fn set(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let mailbox = c.astring()?;
    c.sp()?;
    c.expect(b'(', "a list is missing")?;
    let mut entries = Vec::new();
    words(c, |c| {
        let name = entry(c, false)?;
        c.sp()?;
        entries.push((name, c.nstring8()?));
        if entries.len() > MOST_ENTRIES {
            return c.fail("there are too many entries");
        }
        Ok(())
    })?;
    if entries.is_empty() {
        return c.fail("an entry is missing");
    }
    Ok(Body::Metadata(MetadataCommand::Set { mailbox, entries }))
}

/// The entries of `METADATA` in the RETURN of LIST (RFC 9590 §4).
pub(super) fn entries(c: &mut Cursor<'_>) -> Result<Vec<EntryName>> {
    let mut entries = Vec::new();
    c.expect(b'(', "a list is missing")?;
    words(c, |c| {
        entries.push(entry(c, false)?);
        if entries.len() > MOST_ENTRIES {
            return c.fail("there are too many entries");
        }
        Ok(())
    })?;
    if entries.is_empty() {
        return c.fail("an entry is missing");
    }
    Ok(entries)
}

fn is_options(c: &Cursor<'_>) -> bool {
    let mut ahead = c.clone();
    ahead.eat(b'(') && (ahead.eat_word("MAXSIZE") || ahead.eat_word("DEPTH"))
}

fn options(c: &mut Cursor<'_>, max_size: &mut Option<u32>, depth: &mut Depth) -> Result<()> {
    c.expect(b'(', "a list is missing")?;
    words(c, |c| {
        match () {
            () if c.eat_word("MAXSIZE") => {
                c.sp()?;
                *max_size = Some(c.number()?);
            }
            () if c.eat_word("DEPTH") => {
                c.sp()?;
                *depth = match () {
                    () if c.eat_word("0") => Depth::Zero,
                    () if c.eat_word("1") => Depth::One,
                    () if c.eat_word("infinity") => Depth::Infinity,
                    () => return c.fail("a depth is not known"),
                };
            }
            () => return c.fail("an option is not known"),
        }
        Ok(())
    })
}

fn entry(c: &mut Cursor<'_>, root: bool) -> Result<EntryName> {
    let name = c.astring()?;
    let parsed = match root {
        true => EntryName::parse_root(&name),
        false => EntryName::parse(&name),
    };
    match parsed {
        Some(name) => Ok(name),
        None => c.fail("the name of an entry is malformed"),
    }
}

/// Each entry that is asked for is compared with each annotation of the mailbox.
const MOST_ENTRIES: usize = 100;
