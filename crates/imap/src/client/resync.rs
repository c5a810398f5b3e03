//! Bringing a cache up to date (RFC 7162 §3.2.5, RFC 4549)
//!
//! ```text
//!  ENABLE QRESYNC ─▶ SELECT (QRESYNC ...) ─────────────────────────┐
//!        │ not enabled                                             ▼
//!        ├─▶ SELECT (CONDSTORE) ─▶ FETCH (CHANGEDSINCE) ─▶ does the count fit? ─▶ Resynced
//!        │                    no MODSEQs │                    │ no         ▲
//!        └─▶ SELECT ─────────────────────┴─▶ FETCH FLAGS      └─▶ SEARCH ──┘
//! ```

use super::cache::{Cached, Method, Resynced};
use super::command::{Command, Kind, Messages};
use super::data::{Data, Selected};
use super::event::Event;
use super::handle::Handle;
use super::options::{Fetch, Select};
use super::reply::{Reply, ReplyKind};
use super::{Client, Mailbox, Open};
use crate::data::FetchItem;
use crate::{SequenceSet, UidSet};

/// A resynchronisation on its way.
#[derive(Debug)]
pub(super) struct Resync {
    handle: Handle,
    mailbox: Mailbox,
    cached: Cached,
    part: Part,
    method: Method,
    /// UIDs of the rows that came.
    rows: Vec<u32>,
    vanished: UidSet,
    all: Option<UidSet>,
    selected: Selected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Enable,
    Select,
    Fetch,
    Search,
}

impl Client {
    /// Selects a mailbox and finds out what became of it since it was cached: one call, whatever the server can
    /// do.
    ///
    /// Flags come as rows with this handle: those that changed, or all of them where the server cannot tell.
    /// Then [`Event::Resynced`] says what to drop and what to fetch, and the mailbox is selected;
    /// [`Event::Refused`] if that fails. Commands that are queued behind wait until then.
    pub fn resync(&mut self, mailbox: impl Into<Mailbox>, cached: Cached) -> Handle {
        self.command(Command::resync(mailbox.into(), cached))
    }

    pub(super) fn start_resync(&mut self, handle: Handle, mailbox: Mailbox, cached: Cached) {
        let mut resync = Resync {
            handle,
            mailbox,
            cached,
            part: Part::Enable,
            method: Method::Qresync,
            rows: Vec::new(),
            vanished: UidSet::new(),
            all: None,
            selected: Selected::default(),
        };
        let can = |name| self.capabilities.as_ref().is_some_and(|c| c.has(name));
        let enable = resync.cached.highest_mod_seq.is_some()
            && can("QRESYNC")
            && (can("ENABLE") || can("IMAP4rev2"))
            && !self.is_enabled("QRESYNC");
        let command = match enable {
            true => Command::enable(&["QRESYNC"]),
            false => self.resync_select(&mut resync),
        };
        self.send_part(resync, command);
    }

    fn send_part(&mut self, resync: Resync, command: Command) {
        let handle = Some(resync.handle);
        self.resync = Some(Box::new(resync));
        self.queue.push_front(Open {
            handle,
            tag: 0,
            is_part: true,
            command,
        });
    }

    fn resync_select(&self, resync: &mut Resync) -> Command {
        resync.part = Part::Select;
        let can = |name| self.capabilities.as_ref().is_some_and(|c| c.has(name));
        let select = Select::new(resync.mailbox.clone());
        match resync.cached.highest_mod_seq {
            // A server that offers QRESYNC and does not say that it is enabled does not do it.
            Some(modseq) if self.is_enabled("QRESYNC") => select
                .qresync(resync.cached.uid_validity, modseq, &UidSet::new())
                .into(),
            _ if can("CONDSTORE") || can("QRESYNC") => {
                resync.method = Method::Condstore;
                select.condstore().into()
            }
            _ => {
                resync.method = Method::Comparison;
                select.into()
            }
        }
    }

    /// Takes what data tells the resynchronisation that is on its way; says whether the caller is to see it.
    pub(super) fn note_for_resync(&mut self, owner: Option<Handle>, data: &Data) -> bool {
        let Some(resync) = self.resync.as_mut().filter(|r| Some(r.handle) == owner) else {
            return true;
        };
        match data {
            Data::Row(row) => resync.rows.extend(row.uid),
            Data::Vanished { uids, .. } => {
                resync.vanished = resync.vanished.union(uids);
                return false;
            }
            Data::Search(result) => {
                resync.all = Some(result.all.clone());
                return false;
            }
            Data::Selected(selected) => resync.selected = (**selected).clone(),
            _ => {}
        }
        true
    }

    /// A part of the resynchronisation is done.
    pub(super) fn part_done(&mut self, reply: Reply) {
        let Some(mut resync) = self.resync.take().map(|resync| *resync) else {
            return;
        };
        let ok = reply.kind == ReplyKind::Ok;
        let next = match (resync.part, ok) {
            (Part::Enable, _) => Some(self.resync_select(&mut resync)),
            (Part::Select, true) => resync.look(),
            (Part::Fetch, true) => resync.check(),
            // A server that cannot do what it offers.
            (Part::Fetch, false) if resync.method == Method::Condstore => Some(resync.compare()),
            (Part::Search, true) => None,
            (_, false) => return self.events.push_back(Event::Refused(resync.handle, reply)),
        };
        match next {
            Some(command) => self.send_part(resync, command),
            None => self
                .events
                .push_back(Event::Resynced(resync.handle, Box::new(resync.finish()))),
        }
    }
}

impl Resync {
    /// The mailbox is selected: what is to be asked next?
    fn look(&mut self) -> Option<Command> {
        let selected = &self.selected;
        if selected.uid_validity != Some(self.cached.uid_validity) || selected.uid_not_sticky {
            self.method = Method::Invalid;
            return Some(self.search());
        }
        match (self.method, self.cached.highest_mod_seq, selected.highest_mod_seq) {
            (Method::Qresync, ..) => self.check(),
            // All that changed is known, unless something is gone.
            (Method::Condstore, Some(known), Some(highest)) if known == highest => self.check(),
            (Method::Condstore, Some(known), Some(highest)) if known < highest => {
                self.part = Part::Fetch;
                Some(
                    Fetch::new(everything(), &[FetchItem::Flags])
                        .changed_since(known)
                        .into(),
                )
            }
            // No MODSEQs, or they went back: they say nothing.
            _ => Some(self.compare()),
        }
    }

    fn compare(&mut self) -> Command {
        self.method = Method::Comparison;
        self.part = Part::Fetch;
        self.rows.clear();
        Fetch::new(everything(), &[FetchItem::Flags]).into()
    }

    fn search(&mut self) -> Command {
        self.part = Part::Search;
        Command::search(Vec::new())
    }

    /// Compares the number of messages: if it does not fit, all UIDs are asked for.
    fn check(&mut self) -> Option<Command> {
        let rows = self.row_set();
        let there = match self.method {
            Method::Comparison => rows,
            _ => self.cached.uids.difference(&self.vanished).union(&rows),
        };
        let fits = there.len() == u64::from(self.selected.exists);
        (!fits).then(|| self.search())
    }

    fn row_set(&self) -> UidSet {
        UidSet::from_ranges(self.rows.iter().map(|&uid| uid..=uid))
    }

    fn finish(self) -> Resynced {
        let cached = &self.cached.uids;
        let rows = self.row_set();
        let (drop, fetch) = match (&self.all, self.method) {
            (all, Method::Invalid) => (cached.clone(), all.clone().unwrap_or_default()),
            (Some(all), _) => (cached.difference(all), all.difference(cached)),
            (None, Method::Comparison) => (cached.difference(&rows), rows.difference(cached)),
            (None, _) => (
                cached.intersection(&self.vanished).difference(&rows),
                rows.difference(cached),
            ),
        };
        Resynced {
            method: self.method,
            drop,
            fetch,
            uid_validity: self.selected.uid_validity,
            highest_mod_seq: self.selected.highest_mod_seq,
        }
    }
}

fn everything() -> Messages {
    Messages::Uids(SequenceSet::parse(b"1:*").expect("it is a set"))
}

impl Command {
    fn resync(mailbox: Mailbox, cached: Cached) -> Self {
        Self::of_kind(Kind::Resync(mailbox, Box::new(cached)))
    }
}
