//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 7162, RFC 8474, RFC 8514, RFC 9394)

use super::{LONGEST_NAME, upper_case, words};
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, ReturnOptions, SearchKey};
use crate::{Date, Flag, Keyword};
use bytes::Bytes;
use std::num::NonZeroU32;

pub(super) fn search(c: &mut Cursor<'_>, uid: bool, max_depth: usize) -> Result<Body> {
    c.sp()?;
    let returns = returns(c)?;
    let mut charset = None;
    if c.eat_word("CHARSET") {
        c.sp()?;
        charset = Some(c.astring()?);
        c.sp()?;
    }
    let keys = keys(c, max_depth)?;
    Ok(Body::Search {
        uid,
        returns,
        charset,
        keys,
    })
}

/// What to return, with the space behind it.
pub(super) fn returns(c: &mut Cursor<'_>) -> Result<Option<ReturnOptions>> {
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
                () if c.eat_word("SAVE") => chosen.save = true,
                () if c.eat_word("PARTIAL") => {
                    c.sp()?;
                    chosen.partial = Some(c.page()?);
                }
                () => return c.fail("an option is not known"),
            }
            Ok(())
        })?;
        c.sp()?;
    }
    Ok(returns)
}

/// The keys, up to the end of the command.
pub(super) fn keys(c: &mut Cursor<'_>, max_depth: usize) -> Result<Vec<SearchKey>> {
    let mut keys = vec![search_key(c, max_depth)?];
    while c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        keys.push(search_key(c, max_depth)?);
    }
    if keys.iter().map(count).sum::<usize>() > MOST_KEYS {
        return c.fail("there are too many search keys");
    }
    Ok(keys)
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
    if c.peek()
        .is_some_and(|b| b.is_ascii_digit() || b == b'*' || b == b'$')
    {
        return c.sequence_set().map(SearchKey::Sequence);
    }
    let name = c.atom()?;
    let header = |c: &mut Cursor<'_>, field: &'static str| {
        let name = Bytes::from_static(field.as_bytes());
        Ok(SearchKey::Header(name, argument(c)?))
    };
    use SearchKey as K;
    let mut upper = [0; LONGEST_NAME];
    Ok(
        match upper_case(name.as_bytes(), &mut upper).unwrap_or_default() {
            b"ALL" => K::All,
            b"NEW" => K::New,
            b"OLD" => K::Old,
            b"RECENT" => K::Recent,
            b"ANSWERED" => K::Has(Flag::Answered),
            b"DELETED" => K::Has(Flag::Deleted),
            b"DRAFT" => K::Has(Flag::Draft),
            b"FLAGGED" => K::Has(Flag::Flagged),
            b"SEEN" => K::Has(Flag::Seen),
            b"KEYWORD" => K::Has(keyword(c)?),
            b"UNANSWERED" => K::Lacks(Flag::Answered),
            b"UNDELETED" => K::Lacks(Flag::Deleted),
            b"UNDRAFT" => K::Lacks(Flag::Draft),
            b"UNFLAGGED" => K::Lacks(Flag::Flagged),
            b"UNSEEN" => K::Lacks(Flag::Seen),
            b"UNKEYWORD" => K::Lacks(keyword(c)?),
            b"BEFORE" => K::Before(date(c)?),
            b"ON" => K::On(date(c)?),
            b"SINCE" => K::Since(date(c)?),
            b"SENTBEFORE" => K::SentBefore(date(c)?),
            b"SENTON" => K::SentOn(date(c)?),
            b"SENTSINCE" => K::SentSince(date(c)?),
            b"LARGER" => K::Larger(size(c)?),
            b"SMALLER" => K::Smaller(size(c)?),
            b"BCC" => header(c, "Bcc")?,
            b"CC" => header(c, "Cc")?,
            b"FROM" => header(c, "From")?,
            b"SUBJECT" => header(c, "Subject")?,
            b"TO" => header(c, "To")?,
            b"HEADER" => {
                let field = argument(c)?;
                K::Header(field, argument(c)?)
            }
            b"BODY" => K::Body(argument(c)?),
            b"TEXT" => K::Text(argument(c)?),
            b"YOUNGER" => K::Younger(interval(c)?),
            b"OLDER" => K::Older(interval(c)?),
            b"MODSEQ" => K::ModSeq(mod_seq(c)?),
            b"EMAILID" => K::EmailId(argument(c)?),
            b"THREADID" => K::ThreadId(argument(c)?),
            b"SAVEDBEFORE" => K::SavedBefore(date(c)?),
            b"SAVEDON" => K::SavedOn(date(c)?),
            b"SAVEDSINCE" => K::SavedSince(date(c)?),
            b"SAVEDATESUPPORTED" => K::SaveDateSupported,
            b"UID" => {
                c.sp()?;
                K::Uid(c.sequence_set()?)
            }
            b"NOT" => {
                c.sp()?;
                K::Not(Box::new(search_key(c, depth)?))
            }
            b"OR" => {
                c.sp()?;
                let left = search_key(c, depth)?;
                c.sp()?;
                K::Or(Box::new(left), Box::new(search_key(c, depth)?))
            }
            _ => return c.fail("a search key is not known"),
        },
    )
}

/// How many keys a key is made of; the parser has bounded how deep they nest.
fn count(key: &SearchKey) -> usize {
    1 + match key {
        SearchKey::Not(key) => count(key),
        SearchKey::Or(left, right) => count(left) + count(right),
        SearchKey::And(keys) => keys.iter().map(count).sum(),
        _ => 0,
    }
}

/// Each key is judged for each message, and a string looked for in all of its text.
const MOST_KEYS: usize = 500;

fn argument(c: &mut Cursor<'_>) -> Result<Bytes> {
    c.sp()?;
    c.astring()
}

fn size(c: &mut Cursor<'_>) -> Result<u64> {
    c.sp()?;
    c.number64()
}

/// Seconds (RFC 5032).
fn interval(c: &mut Cursor<'_>) -> Result<u32> {
    c.sp()?;
    c.nz_number().map(NonZeroU32::get)
}

/// The argument of MODSEQ (RFC 7162 §3.1.5): all flags share one mod-sequence, so it does not matter for which
/// of them it is asked.
fn mod_seq(c: &mut Cursor<'_>) -> Result<u64> {
    c.sp()?;
    if c.peek() == Some(b'"') {
        c.string()?;
        c.sp()?;
        let scope = ["priv", "shared", "all"];
        if !scope.iter().any(|word| c.eat_word(word)) {
            return c.fail("a scope is missing");
        }
        c.sp()?;
    }
    c.mod_seq()
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
