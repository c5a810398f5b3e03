//! SEARCH and ESEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5, RFC 9394)

use super::{Phase, Reply, Selection, Server, State, Task};
use crate::codec::{Out, ReturnOptions, SearchKey};
use crate::{Capability, Code, Criterion, Event, Flag, ObjectId, Page, SearchRequest, UidSet, When};
use bytes::Bytes;
#[cfg(feature = "message")]
use mailwright_message::charset;

/// A SEARCH that is being answered.
#[derive(Debug)]
pub(super) struct Searching {
    pub(super) uid: bool,
    returns: Option<ReturnOptions>,
    /// The line of a plain SEARCH has been begun.
    pub(super) is_open: bool,
    /// ESEARCH: the UIDs found.
    found: UidSet,
    mod_seqs: ModSeqs,
    when: When,
}

/// The mod-sequences of what was found.
#[derive(Debug, Default)]
struct ModSeqs {
    highest: u64,
    /// UID and mod-sequence of the first message and the last.
    min: Option<(u32, u64)>,
    max: Option<(u32, u64)>,
}

impl ModSeqs {
    fn add(&mut self, uid: u32, mod_seq: u64) {
        self.highest = self.highest.max(mod_seq);
        if self.min.is_none_or(|(first, _)| uid < first) {
            self.min = Some((uid, mod_seq));
        }
        if self.max.is_none_or(|(last, _)| uid > last) {
            self.max = Some((uid, mod_seq));
        }
    }

    /// What an ESEARCH with these options tells (RFC 7162 §3.1.10); 0 for nothing.
    fn of(&self, returns: ReturnOptions) -> u64 {
        if returns.all || returns.count || returns.partial.is_some() {
            return self.highest;
        }
        let pick = |wanted: bool, found: Option<(u32, u64)>| found.filter(|_| wanted).map_or(0, |(_, m)| m);
        pick(returns.min, self.min).max(pick(returns.max, self.max))
    }
}

/// Keys brought down to a criterion.
pub(super) struct Lowered {
    pub(super) criterion: Criterion,
    /// They ask for mod-sequences.
    mod_seqs: bool,
    /// They hold message numbers, which must not move.
    has_numbers: bool,
}

/// Why a key cannot be searched for.
enum Unsearchable {
    NoSuchMessage,
    NotText,
    NotOffered,
    NoModSeqs,
    NoNumbers,
}

impl Server {
    pub(super) fn search_command(
        &mut self,
        uid: bool,
        mut returns: Option<ReturnOptions>,
        charset: Option<Bytes>,
        keys: &[SearchKey],
    ) {
        if !self.may_number(uid) {
            return;
        }
        if let Some(options) = &returns
            && !self.may_return(options)
        {
            return;
        }
        if !self.may_name(charset.as_ref()) {
            return self.forget_saved(returns);
        }
        if self.enabled.rev2 {
            // RFC 9051 §6.4.4: there is no other answer.
            returns.get_or_insert_default();
        }
        let Some(found) = self.criterion(charset.as_ref(), keys, returns) else {
            return;
        };
        let task = Searching {
            uid,
            returns,
            is_open: false,
            found: UidSet::new(),
            mod_seqs: ModSeqs::default(),
            when: found.when(uid),
        };
        let request = SearchRequest {
            criterion: found.criterion,
            mod_seqs: found.mod_seqs,
        };
        self.search_task(Event::Search(request), task);
    }

    /// Brings keys down to one criterion over the selected mailbox; `None` if they were refused.
    pub(super) fn criterion(
        &mut self,
        charset: Option<&Bytes>,
        keys: &[SearchKey],
        returns: Option<ReturnOptions>,
    ) -> Option<Lowered> {
        let Some(written) = self.written(charset) else {
            self.forget_saved(returns);
            return None;
        };
        let State::Selected(selection) = &self.state else {
            self.bad("Select a mailbox first");
            return None;
        };
        let lowered = keys.iter();
        let lowered = lowered
            .map(|key| self.lower(key, Some(selection), written))
            .collect();
        if matches!(lowered, Err(Unsearchable::NotText)) {
            self.forget_saved(returns);
        }
        self.lowered(lowered, keys)
    }

    /// The same over mailboxes that need not be selected.
    pub(super) fn criterion_anywhere(
        &mut self,
        charset: Option<&Bytes>,
        keys: &[SearchKey],
    ) -> Option<Lowered> {
        let written = self.written(charset)?;
        let lowered = keys.iter().map(|key| self.lower(key, None, written)).collect();
        self.lowered(lowered, keys)
    }

    fn lowered(
        &mut self,
        criteria: Result<Vec<Criterion>, Unsearchable>,
        keys: &[SearchKey],
    ) -> Option<Lowered> {
        let mut criteria = match criteria {
            Ok(criteria) => criteria,
            Err(why) => {
                self.refuse_keys(why);
                return None;
            }
        };
        let mod_seqs = keys.iter().any(|key| holds(key, &is_mod_seq));
        if mod_seqs {
            self.enable_mod_seqs();
        }
        Some(Lowered {
            criterion: match criteria.len() {
                1 => criteria.remove(0),
                _ => Criterion::And(criteria),
            },
            mod_seqs,
            has_numbers: keys.iter().any(|key| holds(key, &is_number)),
        })
    }

    fn refuse_keys(&mut self, why: Unsearchable) {
        match why {
            Unsearchable::NoSuchMessage => self.bad("There is no message with that number"),
            Unsearchable::NotText => {
                self.no(Some(Code::Cannot), "A search string is not valid in its charset");
            }
            Unsearchable::NotOffered => self.bad("a search key is not known"),
            Unsearchable::NoModSeqs => self.bad("The mailbox has no mod-sequences"),
            Unsearchable::NoNumbers => self.bad_with("UIDREQUIRED", "Message numbers are not in use"),
        }
    }

    /// How strings are written in a charset; `None` if it is not known, which the client has been told.
    fn written(&mut self, charset: Option<&Bytes>) -> Option<Written> {
        let written = charset.map_or(Some(Written::Utf8), |name| Written::find(name));
        if written.is_none() {
            let tag = self.tag.clone();
            self.tx.put(&tag);
            self.out()
                .raw(" NO [BADCHARSET (US-ASCII UTF-8)] The charset is not supported\r\n");
        }
        written
    }

    /// Whether the strings of a search may be said to be in a charset; if not the client has been told. Where it has
    /// enabled UTF-8 they are in that (RFC 6855 §3).
    pub(super) fn may_name(&mut self, charset: Option<&Bytes>) -> bool {
        let conflict = self.enabled.utf8 && charset.is_some();
        if conflict {
            self.bad("With UTF8=ACCEPT there is no CHARSET");
        }
        !conflict
    }

    /// Whether these options are offered; if not the client has been told.
    fn may_return(&mut self, options: &ReturnOptions) -> bool {
        let offered = (self.offers(Capability::Esearch) || self.enabled.rev2)
            && (!options.save || self.offers(Capability::SearchRes) || self.enabled.rev2)
            && (options.partial.is_none() || self.offers(Capability::Partial));
        if !offered {
            self.bad("an option is not known");
        } else if options.all && options.partial.is_some() {
            // RFC 9394 §3.1.
            self.bad("ALL and PARTIAL exclude each other");
            return false;
        }
        offered
    }

    /// RFC 5182 §2.1: a search that fails leaves nothing in `$`.
    fn forget_saved(&mut self, returns: Option<ReturnOptions>) {
        if let State::Selected(selection) = &mut self.state
            && returns.is_some_and(|returns| returns.save)
        {
            selection.saved = UidSet::new();
        }
    }

    /// Gives UIDs of messages that match, in answer to [`Event::Search`], in any order and in any number of
    /// pieces. Messages the session does not know are left out.
    ///
    /// # Panics
    ///
    /// Panics if no search was asked for.
    pub fn search(&mut self, uids: &[u32]) {
        for &uid in uids {
            self.found(uid, None);
        }
    }

    /// The same for messages that are given as a set, which is cheap for any number of them. UIDs that no message has
    /// may be among them.
    ///
    /// # Panics
    ///
    /// Panics if no search was asked for.
    pub fn search_set(&mut self, uids: &UidSet) {
        let Phase::Asked(Task::Search(searching)) = &mut self.phase else {
            panic!("no search was asked for")
        };
        let State::Selected(selection) = &self.state else {
            return;
        };
        let view = &selection.view;
        let found = view.told(uids).difference(view.expunged());
        if searching.returns.is_some() {
            searching.found = searching.found.union(&found);
            return;
        }
        let numbers = if searching.uid { found } else { view.seqs(&found) };
        let mut out = Out::new(&mut self.tx);
        for number in numbers.iter() {
            if !std::mem::replace(&mut searching.is_open, true) {
                out.raw("* SEARCH");
            }
            out.raw(" ").number(u64::from(number));
        }
    }

    /// The same with the mod-sequence of each message, where [`SearchRequest::mod_seqs`] says so.
    ///
    /// # Panics
    ///
    /// Panics if no search was asked for.
    pub fn search_mod_seqs(&mut self, found: &[(u32, u64)]) {
        for &(uid, mod_seq) in found {
            self.found(uid, Some(mod_seq));
        }
    }

    fn found(&mut self, uid: u32, mod_seq: Option<u64>) {
        let Phase::Asked(Task::Search(searching)) = &mut self.phase else {
            panic!("no search was asked for")
        };
        let State::Selected(selection) = &self.state else {
            return;
        };
        let Some(seq) = selection.view.seq(uid) else {
            return;
        };
        if let Some(mod_seq) = mod_seq {
            searching.mod_seqs.add(uid, mod_seq);
        }
        if searching.returns.is_some() {
            return searching.found.insert(uid);
        }
        let mut out = Out::new(&mut self.tx);
        if !std::mem::replace(&mut searching.is_open, true) {
            out.raw("* SEARCH");
        }
        let number = if searching.uid { uid } else { seq };
        out.raw(" ").number(u64::from(number));
    }

    pub(super) fn finish_search(&mut self, searching: Searching) {
        match searching.returns {
            Some(returns) => {
                if returns.save {
                    self.save(&searching.found, returns);
                }
                self.put_esearch(&searching, returns);
            }
            None if searching.is_open => self.close_search(&searching),
            None => {
                self.out().raw("* SEARCH\r\n");
            }
        }
        self.complete(Reply::ok("Search completed"), searching.when);
    }

    pub(super) fn refuse_search(&mut self, searching: &Searching, reply: Reply) {
        self.close_search(searching);
        self.forget_saved(searching.returns);
        self.complete(reply, searching.when);
    }

    /// Ends the line that was begun.
    fn close_search(&mut self, searching: &Searching) {
        if !searching.is_open {
            return;
        }
        let highest = searching.mod_seqs.highest;
        if highest > 0 {
            self.out().raw(" (MODSEQ ").number(highest).raw(")");
        }
        self.out().raw("\r\n");
    }

    /// Keeps the result as `$` (RFC 5182 §2.4, RFC 9394 §3.2).
    pub(super) fn save(&mut self, found: &UidSet, returns: ReturnOptions) {
        let State::Selected(selection) = &mut self.state else {
            return;
        };
        let some = returns.min || returns.max || returns.partial.is_some();
        if returns.all || returns.count || !some {
            selection.saved = found.clone();
            return;
        }
        let mut saved = returns.partial.map_or_else(UidSet::new, |page| page.of(found));
        saved.extend(found.first().filter(|_| returns.min));
        saved.extend(found.last().filter(|_| returns.max));
        selection.saved = saved;
    }

    fn put_esearch(&mut self, searching: &Searching, mut returns: ReturnOptions) {
        let asked = ReturnOptions {
            save: false,
            ..returns
        };
        if asked == ReturnOptions::default() {
            if returns.save {
                // RFC 5182 §2.1: the client wants to hear nothing.
                return;
            }
            // RFC 4731 §3.1: no option at all means ALL.
            returns.all = true;
        }
        let found = match (searching.uid, self.view()) {
            (false, Some(view)) => view.seqs(&searching.found),
            _ => searching.found.clone(),
        };
        let tag = self.tag.clone();
        let mut out = self.out();
        out.raw("* ESEARCH (TAG ").string(&tag).raw(")");
        if searching.uid {
            out.raw(" UID");
        }
        if let (Some(min), Some(max)) = (found.first(), found.last()) {
            if returns.min {
                out.raw(" MIN ").number(u64::from(min));
            }
            if returns.max {
                out.raw(" MAX ").number(u64::from(max));
            }
            if returns.all {
                out.raw(" ALL ").uid_set(&found);
            }
        }
        if let Some(page) = returns.partial {
            put_page(&mut out, page, &found);
        }
        if returns.count {
            out.raw(" COUNT ").number(found.len());
        }
        let mod_seq = searching.mod_seqs.of(returns);
        if mod_seq > 0 {
            out.raw(" MODSEQ ").number(mod_seq);
        }
        out.raw("\r\n");
    }

    /// Brings a key down to a criterion. The parser has bounded how deep keys nest.
    /// Outside of the selected mailbox numbers mean nothing, and nothing is recent.
    fn lower(
        &self,
        key: &SearchKey,
        here: Option<&Selection>,
        written: Written,
    ) -> Result<Criterion, Unsearchable> {
        use Criterion as C;
        let selected = || here.ok_or(Unsearchable::NoSuchMessage);
        let not = |criterion| C::Not(Box::new(criterion));
        let recent = || C::Uids(here.map_or_else(UidSet::new, |here| here.view.span_recent()));
        let offered = |capability, criterion| match self.offers(capability) {
            true => Ok(criterion),
            false => Err(Unsearchable::NotOffered),
        };
        // An identifier of another form belongs to nothing.
        let id = |id: &Bytes, make: fn(ObjectId) -> C| {
            let id = std::str::from_utf8(id).ok().and_then(ObjectId::new);
            id.map_or_else(|| not(C::All), make)
        };
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
                name: Written::Utf8.text(name)?,
                value: written.text(value)?,
            },
            SearchKey::Body(value) => C::Body(written.text(value)?),
            SearchKey::Text(value) => C::Text(written.text(value)?),
            SearchKey::Younger(seconds) => offered(Capability::Within, C::Younger(*seconds))?,
            SearchKey::Older(seconds) => offered(Capability::Within, C::Older(*seconds))?,
            SearchKey::ModSeq(_) if !self.offers_mod_seqs() => return Err(Unsearchable::NotOffered),
            SearchKey::ModSeq(_) if here.is_some_and(|here| !here.has_mod_seqs) => {
                return Err(Unsearchable::NoModSeqs);
            }
            SearchKey::ModSeq(mod_seq) => C::ModSeq(*mod_seq),
            SearchKey::EmailId(email) => offered(Capability::ObjectId, id(email, C::EmailId))?,
            SearchKey::ThreadId(thread) => offered(Capability::ObjectId, id(thread, C::ThreadId))?,
            SearchKey::SavedBefore(date) => offered(Capability::SaveDate, C::SavedBefore(*date))?,
            SearchKey::SavedOn(date) => offered(Capability::SaveDate, C::SavedOn(*date))?,
            SearchKey::SavedSince(date) => offered(Capability::SaveDate, C::SavedSince(*date))?,
            SearchKey::SaveDateSupported => offered(Capability::SaveDate, C::SaveDateSupported)?,
            SearchKey::Sequence(set) | SearchKey::Uid(set) if set.is_saved() => {
                let here = selected()?;
                C::Uids(here.view.told(&here.saved))
            }
            SearchKey::Sequence(_) if self.enabled.uid_only => return Err(Unsearchable::NoNumbers),
            SearchKey::Sequence(set) => {
                let span = selected()?.view.span(set);
                C::Uids(span.map_err(|_| Unsearchable::NoSuchMessage)?)
            }
            SearchKey::Uid(set) => C::Uids(match here {
                Some(here) => here.view.span_uids(set),
                None => UidSet::from_ranges(set.bounded(u32::MAX).map(|(from, to)| from..=to)),
            }),
            SearchKey::Not(key) => not(self.lower(key, here, written)?),
            SearchKey::Or(left, right) => C::Or(
                Box::new(self.lower(left, here, written)?),
                Box::new(self.lower(right, here, written)?),
            ),
            SearchKey::And(keys) => C::And(
                keys.iter()
                    .map(|key| self.lower(key, here, written))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl Lowered {
    /// What may be told at the end: numbers must not move under a command that uses them, be it by a key
    /// (RFC 7162 §3.2.10.2).
    pub(super) fn when(&self, uid: bool) -> When {
        match uid && !self.has_numbers {
            true => When::Anything,
            false => When::DuringFetch,
        }
    }
}

/// How the strings of a search are written. Field names are in ASCII whatever the charset.
#[derive(Clone, Copy)]
enum Written {
    /// In UTF-8, or in ASCII, which is a part of it.
    Utf8,
    #[cfg(feature = "message")]
    In(charset::Charset),
}

impl Written {
    fn find(charset: &[u8]) -> Option<Self> {
        if [&b"UTF-8"[..], b"US-ASCII"]
            .iter()
            .any(|name| charset.eq_ignore_ascii_case(name))
        {
            return Some(Self::Utf8);
        }
        #[cfg(feature = "message")]
        return charset::Charset::find(charset).map(Self::In);
        #[cfg(not(feature = "message"))]
        None
    }

    fn text(self, octets: &Bytes) -> Result<String, Unsearchable> {
        match self {
            Self::Utf8 => match std::str::from_utf8(octets) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err(Unsearchable::NotText),
            },
            #[cfg(feature = "message")]
            Self::In(charset) => {
                let mut text = String::with_capacity(octets.len());
                let mut decoder = charset.decoder();
                decoder.push(octets, &mut text);
                decoder.finish(&mut text);
                match decoder.had_errors() {
                    true => Err(Unsearchable::NotText),
                    false => Ok(text),
                }
            }
        }
    }
}

pub(super) fn put_page(out: &mut Out<'_>, page: Page, found: &UidSet) {
    let on_page = page.of(found);
    out.raw(" PARTIAL (").display(page).raw(" ");
    match on_page.is_empty() {
        true => out.raw("NIL)"),
        false => out.uid_set(&on_page).raw(")"),
    };
}

/// Whether a key, or one within it, is of a kind.
fn holds(key: &SearchKey, kind: &impl Fn(&SearchKey) -> bool) -> bool {
    match key {
        SearchKey::Not(key) => holds(key, kind),
        SearchKey::Or(left, right) => holds(left, kind) || holds(right, kind),
        SearchKey::And(keys) => keys.iter().any(|key| holds(key, kind)),
        key => kind(key),
    }
}

fn is_mod_seq(key: &SearchKey) -> bool {
    matches!(key, SearchKey::ModSeq(_))
}

fn is_number(key: &SearchKey) -> bool {
    matches!(key, SearchKey::Sequence(set) if !set.is_saved())
}
