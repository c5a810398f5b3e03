//! STORE (RFC 3501 §6.4.6), also on condition (RFC 7162 §3.1.3)

use super::replies::when;
use super::{Phase, Reply, Server, State, Task};
use crate::{Code, Event, Flags, SequenceSet, StoreAction, StoreRequest, UidSet, View};

/// A STORE that is being answered.
#[derive(Debug)]
pub(super) struct Storing {
    pub(super) uid: bool,
    silent: bool,
    uids: UidSet,
    /// Messages that were changed by others in between.
    modified: UidSet,
    /// Messages with flags by others that the client has not heard of.
    untold: UidSet,
}

impl Server {
    pub(super) fn store_command(
        &mut self,
        uid: bool,
        set: &SequenceSet,
        silent: bool,
        (action, flags): (StoreAction, Flags),
        unchanged_since: Option<u64>,
    ) {
        if !self.may_number(uid) || (unchanged_since.is_some() && !self.may_use_mod_seqs()) {
            return;
        }
        let Some(uids) = self.resolve(set, uid) else {
            return;
        };
        if self.is_read_only() {
            return self.no(Some(Code::NoPerm), "The mailbox is read-only");
        }
        if uids.is_empty() {
            return self.complete(Reply::ok("Store completed"), when(uid));
        }
        let task = Storing {
            uid,
            silent,
            uids: uids.clone(),
            modified: UidSet::new(),
            untold: self.view().map_or_else(UidSet::new, View::flagged),
        };
        let request = StoreRequest {
            uids,
            action,
            flags,
            unchanged_since,
        };
        self.ask(Event::Store(request), Task::Store(Box::new(task)));
    }

    /// Tells the flags a message of [`Event::Store`](crate::Event::Store) has afterwards, and its mod-sequence if
    /// there are any. What the client does not want to hear is not said.
    ///
    /// Call it after you [`notify`](Server::notify) of all changes up to and with this one: it drops the notice
    /// of what the client asked for itself. A message the session does not know is left out.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn stored(&mut self, uid: u32, flags: &Flags, mod_seq: Option<u64>) {
        let Phase::Asked(Task::Store(storing)) = &self.phase else {
            panic!("no flags were to be stored")
        };
        // Of a silent change on top of one that it has not heard of, a client would make the wrong flags.
        let silent = storing.silent && !storing.untold.contains(uid);
        let with_uid = storing.uid;
        let mod_seq = mod_seq.filter(|_| self.enabled.condstore);
        let State::Selected(selection) = &mut self.state else {
            return;
        };
        match mod_seq {
            Some(mod_seq) => selection.view.known_at(uid, mod_seq),
            None => selection.view.known(uid, flags),
        }
        // RFC 7162 §3.1.3: a client that follows mod-sequences hears the new one even of `.SILENT`.
        let Some(seq) = selection.view.seq(uid).filter(|_| !silent || mod_seq.is_some()) else {
            return;
        };
        if !silent {
            self.announce_keywords(flags);
        }
        let with_uid = with_uid || self.enabled.condstore;
        self.put_changed(seq, uid, with_uid, (!silent).then_some(flags), mod_seq);
    }

    /// Says that others may have changed messages of [`Event::Store`](crate::Event::Store) since the last
    /// [`notify`](Server::notify) before the question. The client is told their flags, even if it asked for
    /// `.SILENT`: it could not know them. Call it before [`stored`](Server::stored).
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn overtaken(&mut self, uids: &UidSet) {
        let Phase::Asked(Task::Store(storing)) = &mut self.phase else {
            panic!("no flags were to be stored")
        };
        storing.untold = storing.untold.union(uids);
    }

    /// Tells messages of [`Event::Store`](crate::Event::Store) whose flags were left alone, because they have
    /// been changed since [`StoreRequest::unchanged_since`].
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn not_stored(&mut self, uids: &UidSet) {
        let Phase::Asked(Task::Store(storing)) = &mut self.phase else {
            panic!("no flags were to be stored")
        };
        storing.modified = storing.modified.union(uids);
    }

    pub(super) fn finish_store(&mut self, storing: &Storing) {
        let text = "Store completed";
        let mut reply = self.issued(storing.uid, &storing.uids, text);
        let mut modified = self.view().map(|view| view.told(&storing.modified));
        if !storing.uid {
            modified = modified.zip(self.view()).map(|(uids, view)| view.seqs(&uids));
        }
        if let Some(modified) = modified.filter(|set| !set.is_empty()) {
            reply = reply.with_code(format!("MODIFIED {modified}"));
        }
        self.complete(reply, when(storing.uid));
    }

    /// One line of what a message has become.
    pub(super) fn put_changed(
        &mut self,
        seq: u32,
        uid: u32,
        with_uid: bool,
        flags: Option<&Flags>,
        mod_seq: Option<u64>,
    ) {
        self.said(mod_seq);
        let recent = !self.enabled.rev2 && self.view().is_some_and(|view| view.is_recent(uid));
        let uid_only = self.enabled.uid_only;
        let mut out = self.out();
        let mut gap = "";
        match uid_only {
            true => _ = out.raw("* ").number(u64::from(uid)).raw(" UIDFETCH ("),
            false => _ = out.raw("* ").number(u64::from(seq)).raw(" FETCH ("),
        }
        if with_uid && !uid_only {
            out.raw("UID ").number(u64::from(uid));
            gap = " ";
        }
        if let Some(flags) = flags {
            out.raw(gap).raw("FLAGS ").flags(flags, recent);
            gap = " ";
        }
        if let Some(mod_seq) = mod_seq {
            out.raw(gap).raw("MODSEQ (").number(mod_seq).raw(")");
        }
        out.raw(")\r\n");
    }
}
