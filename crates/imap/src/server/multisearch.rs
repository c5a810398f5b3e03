//! MULTISEARCH: ESEARCH over several mailboxes (RFC 7377)

use super::{Phase, Reply, Server, State, Task};
use crate::codec::{ReturnOptions, SearchInCommand};
use crate::{Capability, Event, MailboxFilter, SearchInRequest, UidSet, When};
use std::num::NonZeroU32;

/// An ESEARCH that is being answered.
#[derive(Debug)]
pub(super) struct SearchingIn {
    returns: ReturnOptions,
    /// What was found, where it is to be saved.
    found: UidSet,
}

impl Server {
    pub(super) fn search_in_command(&mut self, command: SearchInCommand) {
        if !self.offers(Capability::MultiSearch) {
            return self.bad("the command is not known");
        }
        let mut returns = command.returns.unwrap_or_default();
        let may_save = self.offers(Capability::SearchRes) || self.enabled.rev2;
        if (returns.save && !may_save) || (returns.partial.is_some() && !self.offers(Capability::Partial)) {
            return self.bad("an option is not known");
        }
        if returns.all && returns.partial.is_some() {
            return self.bad("ALL and PARTIAL exclude each other");
        }
        if !self.may_name(command.charset.as_ref()) {
            return;
        }
        // RFC 4731 §3.1: no option at all means ALL. SAVE alone wants to hear nothing (RFC 5182 §2.1).
        returns.all |= returns == ReturnOptions::default();
        let mut sources = Vec::with_capacity(command.sources.len());
        for source in command.sources {
            let Some(source) = self.mailbox_filter(source) else {
                return;
            };
            sources.push(source);
        }
        if sources.is_empty() {
            sources.push(MailboxFilter::Selected);
        }
        let is_selected = matches!(self.state, State::Selected(_));
        if sources.contains(&MailboxFilter::Selected) && !is_selected {
            return self.bad("Select a mailbox first");
        }
        let here = sources == [MailboxFilter::Selected];
        if returns.save && !here {
            // RFC 7377 §2.2.
            return self.bad("Only what is found in the selected mailbox can be saved");
        }
        let saving = here.then_some(returns);
        let found = match here {
            true => self.criterion(command.charset.as_ref(), &command.keys, saving),
            false => self.criterion_anywhere(command.charset.as_ref(), &command.keys),
        };
        let Some(found) = found else { return };
        let criterion = found.criterion;
        let request = SearchInRequest { sources, criterion };
        let found = UidSet::new();
        let task = Task::SearchIn(Box::new(SearchingIn { returns, found }));
        self.ask(Event::SearchIn(request), task);
    }

    /// Tells what was found in a mailbox, each once, in answer to [`Event::SearchIn`]; then
    /// [`accept`](Server::accept). A mailbox in which nothing was found is left out.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn found_in(&mut self, mailbox: &str, uid_validity: NonZeroU32, uids: &UidSet) {
        let Phase::Asked(Task::SearchIn(task)) = &mut self.phase else {
            panic!("no mailboxes were to be searched")
        };
        let returns = task.returns;
        if returns.save {
            task.found = uids.clone();
            let silent = ReturnOptions {
                save: true,
                ..ReturnOptions::default()
            };
            if returns == silent {
                return;
            }
        }
        let (Some(min), Some(max)) = (uids.first(), uids.last()) else {
            return;
        };
        let tag = self.tag.clone();
        let mut out = self.out();
        out.raw("* ESEARCH (TAG ")
            .string(&tag)
            .raw(" MAILBOX ")
            .mailbox(mailbox);
        out.raw(" UIDVALIDITY ")
            .number(u64::from(uid_validity.get()))
            .raw(") UID");
        if returns.min {
            out.raw(" MIN ").number(u64::from(min));
        }
        if returns.max {
            out.raw(" MAX ").number(u64::from(max));
        }
        if returns.all {
            out.raw(" ALL ").uid_set(uids);
        }
        if let Some(page) = returns.partial {
            super::search::put_page(&mut out, page, uids);
        }
        if returns.count {
            out.raw(" COUNT ").number(uids.len());
        }
        out.raw("\r\n");
    }

    pub(super) fn finish_search_in(&mut self, task: &SearchingIn) {
        if task.returns.save {
            self.save(&task.found, task.returns);
        }
        self.complete(Reply::ok("Search completed"), When::Anything);
    }
}
