//! SEARCH and ESEARCH (RFC 3501 §6.4.4, RFC 4731)

use super::replies::when;
use super::{Phase, Reply, Server, Task};
use crate::codec::{ReturnOptions, SearchKey};
use crate::{Capability, Code, Criterion, Event, Flag, UidSet, View};
use bytes::Bytes;

/// A SEARCH that is being answered.
#[derive(Debug)]
pub(super) struct Searching {
    pub(super) uid: bool,
    returns: Option<ReturnOptions>,
    /// The line of a plain SEARCH has been begun.
    pub(super) is_open: bool,
    /// ESEARCH: the numbers found.
    found: UidSet,
}

/// Why a key cannot be searched for.
enum Unsearchable {
    NoSuchMessage,
    NotText,
}

impl Server {
    pub(super) fn search_command(
        &mut self,
        uid: bool,
        returns: Option<ReturnOptions>,
        charset: Option<Bytes>,
        keys: &[SearchKey],
    ) {
        if returns.is_some() && !self.offers(Capability::Esearch) {
            return self.bad("a search key is not known");
        }
        let known = |name: &Bytes| {
            let all: [&[u8]; 2] = [b"UTF-8", b"US-ASCII"];
            all.iter().any(|c| name.eq_ignore_ascii_case(c))
        };
        if charset.as_ref().is_some_and(|name| !known(name)) {
            let tag = self.tag.clone();
            self.tx.put(&tag);
            self.out()
                .raw(" NO [BADCHARSET (US-ASCII UTF-8)] The charset is not supported\r\n");
            return;
        }
        let Some(view) = self.view() else { return };
        let criteria: Result<Vec<_>, _> = keys.iter().map(|key| lower(key, view)).collect();
        match criteria {
            Err(Unsearchable::NoSuchMessage) => self.bad("There is no message with that number"),
            Err(Unsearchable::NotText) => self.no(Some(Code::Cannot), "A search string is not valid UTF-8"),
            Ok(mut criteria) => {
                let criterion = match criteria.len() {
                    1 => criteria.remove(0),
                    _ => Criterion::And(criteria),
                };
                let task = Searching {
                    uid,
                    returns,
                    is_open: false,
                    found: UidSet::new(),
                };
                self.search_task(Event::Search(criterion), task);
            }
        }
    }

    /// Gives UIDs of messages that match, in answer to [`Event::Search`], in any order and in any number of
    /// pieces. Messages the session does not know are left out.
    ///
    /// # Panics
    ///
    /// Panics if no search was asked for.
    pub fn search(&mut self, uids: &[u32]) {
        let Phase::Asked(Task::Search(searching)) = &mut self.phase else {
            panic!("no search was asked for")
        };
        let super::State::Selected(selection) = &self.state else {
            return;
        };
        let mut out = crate::codec::Out(&mut self.tx);
        for &uid in uids {
            let Some(seq) = selection.view.seq(uid) else {
                continue;
            };
            let number = if searching.uid { uid } else { seq };
            if searching.returns.is_some() {
                searching.found.insert(number);
                continue;
            }
            if !std::mem::replace(&mut searching.is_open, true) {
                out.raw("* SEARCH");
            }
            out.raw(" ").number(u64::from(number));
        }
    }

    pub(super) fn finish_search(&mut self, searching: Searching) {
        match searching.returns {
            Some(returns) => self.put_esearch(&searching, returns),
            None if searching.is_open => self.close_search(&searching),
            None => {
                self.out().raw("* SEARCH\r\n");
            }
        }
        self.complete(Reply::ok("Search completed"), when(searching.uid));
    }

    /// Ends the line that was begun.
    pub(super) fn close_search(&mut self, searching: &Searching) {
        if searching.is_open {
            self.out().raw("\r\n");
        }
    }

    fn put_esearch(&mut self, searching: &Searching, mut returns: ReturnOptions) {
        // RFC 4731 §3.1: no option at all means ALL.
        returns.all |= returns == ReturnOptions::default();
        let tag = self.tag.clone();
        let mut out = self.out();
        out.raw("* ESEARCH (TAG ").string(&tag).raw(")");
        if searching.uid {
            out.raw(" UID");
        }
        let found = &searching.found;
        if let (Some(min), Some(max)) = (found.first(), found.last()) {
            if returns.min {
                out.raw(" MIN ").number(u64::from(min));
            }
            if returns.max {
                out.raw(" MAX ").number(u64::from(max));
            }
            if returns.all {
                out.raw(" ALL ").uid_set(found);
            }
        }
        if returns.count {
            out.raw(" COUNT ").number(found.len());
        }
        out.raw("\r\n");
    }
}

/// Brings a key down to a criterion. The parser has bounded how deep keys nest.
fn lower(key: &SearchKey, view: &View) -> Result<Criterion, Unsearchable> {
    use Criterion as C;
    let text = |bytes: &Bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Unsearchable::NotText),
    };
    let not = |criterion| C::Not(Box::new(criterion));
    let recent = || C::Uids(view.span_recent());
    Ok(match key {
        SearchKey::All => C::All,
        SearchKey::New => C::And(vec![recent(), not(C::Flag(Flag::Seen))]),
        SearchKey::Old => not(recent()),
        SearchKey::Recent => recent(),
        SearchKey::Has(flag) => C::Flag(flag.clone()),
        SearchKey::Lacks(flag) => not(C::Flag(flag.clone())),
        SearchKey::Before(date) => C::Before(*date),
        SearchKey::On(date) => C::On(*date),
        SearchKey::Since(date) => C::Since(*date),
        SearchKey::SentBefore(date) => C::SentBefore(*date),
        SearchKey::SentOn(date) => C::SentOn(*date),
        SearchKey::SentSince(date) => C::SentSince(*date),
        SearchKey::Larger(octets) => C::Larger(*octets),
        SearchKey::Smaller(octets) => C::Smaller(*octets),
        SearchKey::Header(name, value) => C::Header {
            name: text(name)?,
            value: text(value)?,
        },
        SearchKey::Body(value) => C::Body(text(value)?),
        SearchKey::Text(value) => C::Text(text(value)?),
        SearchKey::Sequence(set) => C::Uids(view.span(set).map_err(|_| Unsearchable::NoSuchMessage)?),
        SearchKey::Uid(set) => C::Uids(view.span_uids(set)),
        SearchKey::Not(key) => not(lower(key, view)?),
        SearchKey::Or(left, right) => C::Or(Box::new(lower(left, view)?), Box::new(lower(right, view)?)),
        SearchKey::And(keys) => C::And(
            keys.iter()
                .map(|key| lower(key, view))
                .collect::<Result<_, _>>()?,
        ),
    })
}
