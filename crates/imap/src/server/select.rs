//! SELECT and EXAMINE (RFC 3501 §6.3.1, RFC 9051 §6.3.2), and resynchronisation (RFC 7162 §3.2.5)

use super::{Reply, Selection, Server, State, Task, fetch};
use crate::codec::Resync;
use crate::{Capability, Change, Event, FetchItem, FetchRequest, Selected, UidSet, View, When};

/// A mailbox that is being selected.
#[derive(Debug)]
pub(super) struct Selecting {
    mailbox: String,
    read_only: bool,
    resync: Option<Resync>,
}

impl Server {
    pub(super) fn select(&mut self, name: &[u8], read_only: bool, condstore: bool, resync: Option<Resync>) {
        if condstore && !self.offers_mod_seqs() {
            return self.bad("a parameter is not known");
        }
        if resync.is_some() && !self.enabled.qresync {
            return self.bad("QRESYNC is not enabled");
        }
        // RFC 3501 §6.3.1: whatever becomes of it, the mailbox that was selected no longer is.
        let selected = std::mem::replace(&mut self.state, State::Authenticated);
        if matches!(selected, State::Selected(_))
            && (self.offers_mod_seqs() || self.offers(Capability::Imap4Rev2))
        {
            // RFC 7162 §3.2.11: what comes behind this is of the next mailbox.
            self.out().raw("* OK [CLOSED] The mailbox is closed\r\n");
        }
        drop(selected);
        if condstore {
            self.enable_mod_seqs();
        }
        let Some(mailbox) = self.mailbox_name(name) else {
            return;
        };
        let task = Selecting {
            mailbox: mailbox.clone(),
            read_only,
            resync,
        };
        self.ask(Event::Select { mailbox, read_only }, Task::Select(Box::new(task)));
    }

    /// Answers [`Event::Select`](crate::Event::Select): the mailbox is open, and this is what it holds.
    ///
    /// If the client has a cache to bring up to date (RFC 7162 §3.2.5), [`Event::Fetch`](crate::Event::Fetch)
    /// follows before the command is complete.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn selected(&mut self, selected: Selected) {
        let Task::Select(task) = self.take_task() else {
            panic!("no mailbox was to be selected")
        };
        let mut view = View::new(
            selected.uids,
            selected.first_recent.filter(|_| !self.enabled.rev2),
        );
        if let Some(highest) = selected.highest_mod_seq {
            view.change(Change::UpTo(highest));
        }
        let unseen = selected.first_unseen.and_then(|uid| view.seq(uid));
        let (exists, recent) = (view.exists(), view.recent());
        let read_only = task.read_only || selected.read_only;
        self.state = State::Selected(Box::new(Selection {
            view,
            read_only,
            keywords: selected.keywords,
            new_keywords: selected.new_keywords,
            uid_next: selected.uid_next.get(),
            has_mod_seqs: selected.highest_mod_seq.is_some(),
            saved: UidSet::new(),
            said: 0,
            held_back: false,
        }));
        self.choose_report();
        self.watch_selected();
        self.put_flags();
        self.tell_number(exists, "EXISTS");
        if !self.enabled.rev2 {
            self.tell_number(recent, "RECENT");
        }
        // IMAP4rev2 has no such code, and a session without message numbers no use for it.
        if let Some(seq) = unseen.filter(|_| !self.enabled.rev2 && !self.enabled.uid_only) {
            self.out()
                .raw("* OK [UNSEEN ")
                .number(u64::from(seq))
                .raw("] First unseen\r\n");
        }
        let (validity, next) = (selected.uid_validity.get(), selected.uid_next.get());
        let mut out = self.out();
        out.raw("* OK [UIDVALIDITY ")
            .number(u64::from(validity))
            .raw("] UIDs are valid\r\n");
        out.raw("* OK [UIDNEXT ")
            .number(u64::from(next))
            .raw("] Next UID\r\n");
        if self.offers_mod_seqs() {
            match selected.highest_mod_seq {
                Some(highest) => self.put_highest(highest),
                None => _ = self.out().raw("* OK [NOMODSEQ] There are no mod-sequences\r\n"),
            }
        }
        if let Some(id) = selected.mailbox_id.filter(|_| self.offers(Capability::ObjectId)) {
            self.out()
                .raw("* OK [MAILBOXID (")
                .raw(id.as_str())
                .raw(")] Mailbox identifier\r\n");
        }
        if self.enabled.rev2 {
            let delimiter = self.config.delimiter;
            let mut out = self.out();
            out.raw("* LIST () ").delimiter(delimiter);
            out.raw(" ").mailbox(&task.mailbox).raw("\r\n");
        }
        let code = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        let reply = Reply::ok_with(code, "Mailbox selected");
        match (task.resync, selected.highest_mod_seq) {
            (Some(resync), Some(highest)) if resync.uid_validity.get() == validity => {
                self.resync(resync, highest, next, reply);
            }
            _ => self.complete(reply, When::Anything),
        }
    }

    /// Tells a client with a cache what has changed: what a UID FETCH (FLAGS) (CHANGEDSINCE VANISHED) would.
    fn resync(&mut self, resync: Resync, highest: u64, next: u32, reply: Reply) {
        let Some(view) = self.view() else { return };
        let below = UidSet::from(1..=next.max(view.uids().last().unwrap_or(0).saturating_add(1)) - 1);
        let known = match &resync.known {
            Some(known) => known.intersection(&below),
            None => below,
        };
        // A mod-sequence that was never given out says nothing: the client has to be told everything.
        let since = if resync.mod_seq > highest {
            0
        } else {
            resync.mod_seq
        };
        let mut gone = known.clone();
        if let Some((numbers, uids)) = &resync.sample {
            gone = gone.difference(&UidSet::from(1..=last_match(view, numbers, uids)));
        }
        let request = FetchRequest {
            uids: view.told(&known),
            items: vec![FetchItem::Flags, FetchItem::ModSeq],
            mark_seen: false,
            changed_since: Some(since),
            vanished: Some(gone.clone()),
        };
        if since == highest || (request.uids.is_empty() && gone.is_empty()) {
            return self.complete(reply, When::Anything);
        }
        let task = fetch::Fetching::resync(request.uids.clone(), gone, reply);
        self.ask(Event::Fetch(request), Task::Fetch(Box::new(task)));
    }
}

/// The UID of the last message of which the client knows number and UID: it has heard of every expunge below.
fn last_match(view: &View, numbers: &UidSet, uids: &UidSet) -> u32 {
    // The pairs are walked by runs, so that `1:4294967295` costs nothing.
    let (mut numbers, mut uids) = (numbers.ranges(), uids.ranges());
    let (mut number, mut uid) = (numbers.next(), uids.next());
    let mut matched = 0;
    while let (Some(n), Some(u)) = (&number, &uid) {
        let len = (n.end() - n.start()).min(u.end() - u.start());
        let (n0, u0) = (*n.start(), *u.start());
        // Within a run both sides go up by one; where the view agrees at its last place it agrees on all of it
        // that matters, and where it does not, at the last place that a run of the view reaches.
        matched = matched.max(last_in_run(view, n0, u0, len));
        number = rest(n, len).or_else(|| numbers.next());
        uid = rest(u, len).or_else(|| uids.next());
    }
    matched
}

/// The highest UID among `uid`, `uid + 1`, ... `uid + len` that has the number `number`, `number + 1`, ...
fn last_in_run(view: &View, number: u32, uid: u32, len: u32) -> u32 {
    if number > view.exists() {
        return 0;
    }
    // The difference between UID and number never falls towards the end of a mailbox, so the places where it is
    // what the client says are next to each other: the last of them is found by halving.
    let ahead = |step: u32| {
        view.uid(number + step)
            .is_none_or(|told| u64::from(told) > u64::from(uid) + u64::from(step))
    };
    let (mut low, mut high) = (0, len.min(view.exists() - number) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if ahead(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    match low.checked_sub(1) {
        Some(step) if view.uid(number + step) == Some(uid + step) => uid + step,
        _ => 0,
    }
}

/// What is left of a range behind its first `len + 1` members.
fn rest(range: &std::ops::RangeInclusive<u32>, len: u32) -> Option<std::ops::RangeInclusive<u32>> {
    let start = range.start().checked_add(len)?.checked_add(1)?;
    (start <= *range.end()).then(|| start..=*range.end())
}
