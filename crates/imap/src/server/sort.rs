//! SORT, SORT=DISPLAY, ESORT (RFC 5256, RFC 5957, RFC 5267)

use super::{Phase, Reply, Server, State, Task};
use crate::codec::{Out, ReturnOptions, SortCommand};
use crate::{Capability, Event, SortRequest, When};

/// A SORT that is being answered.
#[derive(Debug)]
pub(super) struct Sorting {
    uid: bool,
    returns: Option<ReturnOptions>,
    /// The line of a plain SORT has been begun.
    pub(super) is_open: bool,
    /// ESORT: the numbers found, in order.
    found: Vec<u32>,
    when: When,
}

impl Server {
    pub(super) fn sort_command(&mut self, command: SortCommand) {
        let SortCommand {
            uid,
            returns,
            order,
            charset,
            keys,
        } = command;
        if !self.offers(Capability::Sort) {
            return self.bad("the command is not known");
        }
        if order.iter().any(|by| by.key.is_display()) && !self.offers(Capability::SortDisplay) {
            return self.bad("a sort key is not known");
        }
        // RFC 5267 §3.1 has the four options of RFC 4731.
        let is_known = |options: &ReturnOptions| {
            self.offers(Capability::Esort) && !options.save && options.partial.is_none()
        };
        if returns.as_ref().is_some_and(|options| !is_known(options)) {
            return self.bad("an option is not known");
        }
        if !self.may_number(uid) {
            return;
        }
        let Some(found) = self.criterion(Some(&charset), &keys, None) else {
            return;
        };
        let task = Sorting {
            uid,
            returns,
            is_open: false,
            found: Vec::new(),
            when: found.when(uid),
        };
        let criterion = found.criterion;
        let request = SortRequest { criterion, order };
        self.ask(Event::Sort(request), Task::Sort(Box::new(task)));
    }

    /// Gives UIDs of messages that match, in the order that was asked for, in answer to [`Event::Sort`] and in any
    /// number of pieces; then [`accept`](Server::accept). Messages the session does not know are left out.
    ///
    /// # Panics
    ///
    /// Panics if nothing was to be sorted.
    pub fn sorted(&mut self, uids: &[u32]) {
        let Phase::Asked(Task::Sort(sorting)) = &mut self.phase else {
            panic!("nothing was to be sorted")
        };
        let State::Selected(selection) = &self.state else {
            return;
        };
        let mut out = Out::new(&mut self.tx);
        for &uid in uids {
            let Some(seq) = selection.view.seq(uid) else {
                continue;
            };
            let number = if sorting.uid { uid } else { seq };
            if sorting.returns.is_some() {
                sorting.found.push(number);
                continue;
            }
            if !std::mem::replace(&mut sorting.is_open, true) {
                out.raw("* SORT");
            }
            out.raw(" ").number(u64::from(number));
        }
    }

    pub(super) fn finish_sort(&mut self, sorting: &Sorting) {
        match sorting.returns {
            Some(returns) => self.put_esort(sorting, returns),
            None if sorting.is_open => self.close_sort(sorting),
            None => _ = self.out().raw("* SORT\r\n"),
        }
        self.complete(Reply::ok("Sort completed"), sorting.when);
    }

    pub(super) fn refuse_sort(&mut self, sorting: &Sorting, reply: Reply) {
        self.close_sort(sorting);
        self.complete(reply, sorting.when);
    }

    fn close_sort(&mut self, sorting: &Sorting) {
        if sorting.is_open {
            self.out().raw("\r\n");
        }
    }

    fn put_esort(&mut self, sorting: &Sorting, mut returns: ReturnOptions) {
        // RFC 4731 §3.1: no option at all means ALL.
        returns.all |= returns == ReturnOptions::default();
        let tag = self.tag.clone();
        let mut out = self.out();
        out.raw("* ESEARCH (TAG ").string(&tag).raw(")");
        if sorting.uid {
            out.raw(" UID");
        }
        let found = &sorting.found;
        if let (Some(min), Some(max)) = (found.first(), found.last()) {
            if returns.min {
                out.raw(" MIN ").number(u64::from(*min));
            }
            if returns.max {
                out.raw(" MAX ").number(u64::from(*max));
            }
            if returns.all {
                out.raw(" ALL ").in_order(found);
            }
        }
        if returns.count {
            out.raw(" COUNT ").number(found.len() as u64);
        }
        out.raw("\r\n");
    }
}

impl Out<'_> {
    /// A `sequence-set` that keeps its order: only what ascends is a range (RFC 5267 §3.2).
    fn in_order(&mut self, numbers: &[u32]) -> &mut Self {
        let runs = numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b));
        for (i, run) in runs.enumerate() {
            if i > 0 {
                self.raw(",");
            }
            if let [first, .., last] = run {
                self.number(u64::from(*first)).raw(":").number(u64::from(*last));
            } else {
                self.number(u64::from(run[0]));
            }
        }
        self
    }
}
