//! SORT with ESORT, THREAD (RFC 5256 §5, RFC 5267 §5), ESEARCH over mailboxes (RFC 7377 §4)

use super::notify::filter;
use super::search::{keys, returns};
use super::words;
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, SearchInCommand, SortCommand, ThreadCommand};
use crate::{MailboxFilter, SortBy, SortKey, ThreadAlgorithm};

pub(super) fn sort(c: &mut Cursor<'_>, uid: bool, max_depth: usize) -> Result<Body> {
    c.sp()?;
    let returns = returns(c)?;
    let mut order = Vec::new();
    c.expect(b'(', "a list is missing")?;
    words(c, |c| {
        let reverse = c.eat_word("REVERSE");
        if reverse {
            c.sp()?;
        }
        let Some(key) = SortKey::parse(c.atom()?) else {
            return c.fail("a sort key is not known");
        };
        order.push(SortBy { key, reverse });
        if order.len() > MOST_KEYS {
            return c.fail("there are too many sort keys");
        }
        Ok(())
    })?;
    if order.is_empty() {
        return c.fail("a sort key is missing");
    }
    c.sp()?;
    let charset = c.astring()?;
    c.sp()?;
    let keys = keys(c, max_depth)?;
    Ok(Body::Sort(SortCommand {
        uid,
        returns,
        order,
        charset,
        keys,
    }))
}

pub(super) fn thread(c: &mut Cursor<'_>, uid: bool, max_depth: usize) -> Result<Body> {
    c.sp()?;
    let Some(algorithm) = ThreadAlgorithm::parse(c.atom()?) else {
        return c.fail("the algorithm is not known");
    };
    c.sp()?;
    let charset = c.astring()?;
    c.sp()?;
    let keys = keys(c, max_depth)?;
    Ok(Body::Thread(ThreadCommand {
        uid,
        algorithm,
        charset,
        keys,
    }))
}

pub(super) fn esearch(c: &mut Cursor<'_>, max_depth: usize) -> Result<Body> {
    c.sp()?;
    let mut sources = Vec::new();
    if c.eat_word("IN") {
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        let mut names = 0;
        words(c, |c| {
            sources.push(filter(c, &mut names)?);
            if sources.len() > MOST_SOURCES {
                return c.fail("there are too many kinds of mailboxes");
            }
            Ok(())
        })?;
        if sources.is_empty() || sources.contains(&MailboxFilter::SelectedDelayed) {
            return c.fail("a kind of mailboxes is not known");
        }
        c.sp()?;
    }
    let returns = returns(c)?;
    let mut charset = None;
    if c.eat_word("CHARSET") {
        c.sp()?;
        charset = Some(c.astring()?);
        c.sp()?;
    }
    let keys = keys(c, max_depth)?;
    Ok(Body::SearchIn(SearchInCommand {
        sources,
        returns,
        charset,
        keys,
    }))
}

/// More keys than there are kinds of them say nothing.
const MOST_KEYS: usize = 20;
const MOST_SOURCES: usize = 50;
