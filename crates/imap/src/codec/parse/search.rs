//! SEARCH (RFC 3501 §6.4.4, RFC 4731)

use super::words;
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, ReturnOptions, SearchKey};
use crate::{Date, Flag, Keyword};
use bytes::Bytes;

pub(super) fn search(c: &mut Cursor<'_>, uid: bool, max_depth: usize) -> Result<Body> {
    c.sp()?;
    let mut returns = None;
    if c.eat_word("RETURN") {
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        let chosen = returns.get_or_insert_with(ReturnOptions::default);
        words(c, |c| {
            match () {
                () if c.eat_word("MIN") => chosen.min = true,
                () if c.eat_word("MAX") => chosen.max = true,
                () if c.eat_word("ALL") => chosen.all = true,
                () if c.eat_word("COUNT") => chosen.count = true,
                () => return c.fail("an option is not known"),
            }
            Ok(())
        })?;
        c.sp()?;
    }
    let mut charset = None;
    if c.eat_word("CHARSET") {
        c.sp()?;
        charset = Some(c.astring()?);
        c.sp()?;
    }
    let mut keys = vec![search_key(c, max_depth)?];
    while c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        keys.push(search_key(c, max_depth)?);
    }
    Ok(Body::Search {
        uid,
        returns,
        charset,
        keys,
    })
}

fn search_key(c: &mut Cursor<'_>, depth: usize) -> Result<SearchKey> {
    let Some(depth) = depth.checked_sub(1) else {
        return c.fail("search keys are nested too deep");
    };
    if c.eat(b'(') {
        let mut keys = Vec::new();
        words(c, |c| {
            keys.push(search_key(c, depth)?);
            Ok(())
        })?;
        return if keys.is_empty() {
            c.fail("a search key is missing")
        } else {
            Ok(SearchKey::And(keys))
        };
    }
    if c.peek().is_some_and(|b| b.is_ascii_digit() || b == b'*') {
        return c.sequence_set().map(SearchKey::Sequence);
    }
    let name = c.atom()?;
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    let header = |c: &mut Cursor<'_>, field: &'static str| {
        let name = Bytes::from_static(field.as_bytes());
        Ok(SearchKey::Header(name, argument(c)?))
    };
    use SearchKey as K;
    Ok(match () {
        () if is("ALL") => K::All,
        () if is("NEW") => K::New,
        () if is("OLD") => K::Old,
        () if is("RECENT") => K::Recent,
        () if is("ANSWERED") => K::Has(Flag::Answered),
        () if is("DELETED") => K::Has(Flag::Deleted),
        () if is("DRAFT") => K::Has(Flag::Draft),
        () if is("FLAGGED") => K::Has(Flag::Flagged),
        () if is("SEEN") => K::Has(Flag::Seen),
        () if is("KEYWORD") => K::Has(keyword(c)?),
        () if is("UNANSWERED") => K::Lacks(Flag::Answered),
        () if is("UNDELETED") => K::Lacks(Flag::Deleted),
        () if is("UNDRAFT") => K::Lacks(Flag::Draft),
        () if is("UNFLAGGED") => K::Lacks(Flag::Flagged),
        () if is("UNSEEN") => K::Lacks(Flag::Seen),
        () if is("UNKEYWORD") => K::Lacks(keyword(c)?),
        () if is("BEFORE") => K::Before(date(c)?),
        () if is("ON") => K::On(date(c)?),
        () if is("SINCE") => K::Since(date(c)?),
        () if is("SENTBEFORE") => K::SentBefore(date(c)?),
        () if is("SENTON") => K::SentOn(date(c)?),
        () if is("SENTSINCE") => K::SentSince(date(c)?),
        () if is("LARGER") => K::Larger(size(c)?),
        () if is("SMALLER") => K::Smaller(size(c)?),
        () if is("BCC") => header(c, "Bcc")?,
        () if is("CC") => header(c, "Cc")?,
        () if is("FROM") => header(c, "From")?,
        () if is("SUBJECT") => header(c, "Subject")?,
        () if is("TO") => header(c, "To")?,
        () if is("HEADER") => {
            let field = argument(c)?;
            K::Header(field, argument(c)?)
        }
        () if is("BODY") => K::Body(argument(c)?),
        () if is("TEXT") => K::Text(argument(c)?),
        () if is("UID") => {
            c.sp()?;
            K::Uid(c.sequence_set()?)
        }
        () if is("NOT") => {
            c.sp()?;
            K::Not(Box::new(search_key(c, depth)?))
        }
        () if is("OR") => {
            c.sp()?;
            let left = search_key(c, depth)?;
            c.sp()?;
            K::Or(Box::new(left), Box::new(search_key(c, depth)?))
        }
        () => return c.fail("a search key is not known"),
    })
}

fn argument(c: &mut Cursor<'_>) -> Result<Bytes> {
    c.sp()?;
    c.astring()
}

fn size(c: &mut Cursor<'_>) -> Result<u64> {
    c.sp()?;
    c.number64()
}

fn keyword(c: &mut Cursor<'_>) -> Result<Flag> {
    c.sp()?;
    match Keyword::new(c.atom()?) {
        Some(keyword) => Ok(Flag::Keyword(keyword)),
        None => c.fail("a keyword is malformed"),
    }
}

fn date(c: &mut Cursor<'_>) -> Result<Date> {
    match Date::parse(&argument(c)?) {
        Some(date) => Ok(date),
        None => c.fail("a date is malformed"),
    }
}
