//! FETCH and its answers, message by message (RFC 3501 §7.4.2, RFC 3516, RFC 7162, RFC 8474, RFC 8514, RFC 8970,
//! RFC 9394, RFC 9586)

use super::replies::when;
use super::{Phase, Reply, Server, State, Task};
use crate::codec::{FetchModifiers, Out};
use crate::{
    BinaryItem, BodyItem, BodyStructure, Capability, DateTime, Envelope, Error, Event, FetchItem,
    FetchRequest, Flags, ObjectId, SequenceSet, UidSet,
};
use bytes::Bytes;
use std::num::NonZeroU32;
use std::ops::Range;

/// A FETCH that is being answered.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) uid: bool,
    with_uid: bool,
    asked: UidSet,
    row: Option<Row>,
    /// MODSEQ was asked for, or goes with flags that change on the way.
    mod_seq: bool,
    /// Of these, those that are gone are to be told before the first row.
    vanished: Option<UidSet>,
    /// The command is a SELECT, which this completes.
    select: Option<Reply>,
}

/// A row that is not closed yet.
#[derive(Debug, Clone, Copy)]
struct Row {
    seq: u32,
    uid: u32,
    with_uid: bool,
    /// Nothing was told yet, so that FLAGS can still come before the row.
    is_empty: bool,
    /// How much of a literal is still to come.
    literal: u64,
    /// Without numbers (RFC 9586).
    uid_only: bool,
    mod_seq: bool,
    /// FLAGS was told, and MODSEQ was.
    told_flags: bool,
    told_mod_seq: Option<u64>,
}

impl Row {
    fn begin(&self, out: &mut Out<'_>) {
        if self.uid_only {
            out.raw("* ").number(u64::from(self.uid)).raw(" UIDFETCH (");
            return;
        }
        out.raw("* ").number(u64::from(self.seq)).raw(" FETCH (");
        if self.with_uid {
            out.raw("UID ").number(u64::from(self.uid));
        }
    }
}

impl Fetching {
    pub(super) fn has_open_row(&self) -> bool {
        self.row.is_some()
    }

    fn new(uid: bool, with_uid: bool, request: &FetchRequest) -> Self {
        Self {
            uid,
            with_uid,
            asked: request.uids.clone(),
            row: None,
            mod_seq: request.items.contains(&FetchItem::ModSeq),
            vanished: request.vanished.clone(),
            select: None,
        }
    }

    /// What a SELECT with QRESYNC has to tell, and how it ends.
    pub(super) fn resync(asked: UidSet, vanished: UidSet, reply: Reply) -> Self {
        Self {
            uid: true,
            with_uid: true,
            asked,
            row: None,
            mod_seq: true,
            vanished: Some(vanished),
            select: Some(reply),
        }
    }
}

/// The row of one message. It is closed when the next one is begun, or by [`Server::accept`].
///
/// Tell the items that were asked for, in any order; UID is told already.
#[derive(Debug)]
pub struct FetchRow<'a> {
    server: &'a mut Server,
}

impl Server {
    pub(super) fn fetch_command(
        &mut self,
        uid: bool,
        set: &SequenceSet,
        mut items: Vec<FetchItem>,
        mut with_uid: bool,
        modifiers: &FetchModifiers,
    ) {
        if !self.may_number(uid) {
            return;
        }
        if !items.iter().all(|item| self.knows_item(item)) {
            return self.bad("a data item is not known");
        }
        if modifiers.partial.is_some() && !self.offers(Capability::Partial) {
            return self.bad("a modifier is not known");
        }
        if modifiers.vanished && !self.enabled.qresync {
            return self.bad("QRESYNC is not enabled");
        }
        let wants_mod_seqs = modifiers.changed_since.is_some() || items.contains(&FetchItem::ModSeq);
        if wants_mod_seqs && !self.may_use_mod_seqs() {
            return;
        }
        let Some(mut uids) = self.resolve(set, uid) else {
            return;
        };
        if let Some(page) = modifiers.partial {
            uids = page.of(&uids);
        }
        if modifiers.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        // A message that is gone may have had a higher UID than any that is left.
        let asked = || UidSet::from_ranges(set.bounded(u32::MAX).map(|(from, to)| from..=to));
        let vanished = modifiers.vanished.then(asked);
        if uids.is_empty() && vanished.as_ref().is_none_or(UidSet::is_empty) {
            return self.complete(Reply::ok("Fetch completed"), when(uid));
        }
        let sets_seen = |item: &FetchItem| match item {
            FetchItem::Section(section) => !section.peek,
            FetchItem::Binary(part) => !part.peek,
            _ => false,
        };
        let mark_seen = !self.is_read_only() && items.iter().any(sets_seen);
        // RFC 7162 §3.2.4: flags that change on the way come with UID and mod-sequence.
        with_uid |= mark_seen && self.enabled.condstore;
        let request = FetchRequest {
            uids,
            items,
            mark_seen,
            changed_since: modifiers.changed_since,
            vanished,
        };
        let mut task = Fetching::new(uid, with_uid, &request);
        task.mod_seq |= mark_seen && self.enabled.condstore;
        self.ask(Event::Fetch(request), Task::Fetch(Box::new(task)));
    }

    /// Asks for what NOTIFY tells of messages that came (RFC 5465 §5.2).
    pub(super) fn ask_fetch_unasked(&mut self, uids: UidSet, items: Vec<FetchItem>) {
        let request = FetchRequest {
            uids,
            items,
            mark_seen: false,
            changed_since: None,
            vanished: None,
        };
        let task = Fetching::new(true, true, &request);
        self.ask(Event::Fetch(request), Task::Fetch(Box::new(task)));
    }

    /// Whether an item is offered.
    pub(super) fn knows_item(&self, item: &FetchItem) -> bool {
        match item {
            FetchItem::ModSeq => self.offers_mod_seqs(),
            FetchItem::Binary(_) | FetchItem::BinarySize(_) => {
                self.offers(Capability::Binary) || self.enabled.rev2
            }
            FetchItem::EmailId | FetchItem::ThreadId => self.offers(Capability::ObjectId),
            FetchItem::SaveDate => self.offers(Capability::SaveDate),
            FetchItem::Preview { .. } => self.offers(Capability::Preview),
            _ => true,
        }
    }

    /// Tells, in answer to [`Event::Fetch`](crate::Event::Fetch), which messages are gone since
    /// [`FetchRequest::changed_since`]. Give all you know of: what was not asked for, or is in the mailbox, is
    /// left out. To be called before the first row, and only if nothing was forgotten; without it everything
    /// that was asked for and is not in the mailbox is told.
    ///
    /// # Panics
    ///
    /// Panics if messages were not asked for.
    pub fn vanished(&mut self, uids: &UidSet) {
        let Phase::Asked(Task::Fetch(fetching)) = &mut self.phase else {
            panic!("no messages were asked for")
        };
        if let Some(asked) = fetching.vanished.take() {
            self.put_earlier(&asked.intersection(uids));
        }
    }

    /// All of these that were ever in use and are not there.
    fn put_all_earlier(&mut self, asked: &UidSet) {
        if let State::Selected(selection) = &self.state {
            let highest = selection.view.highest().max(selection.uid_next - 1);
            let asked = asked.intersection(&UidSet::from(1..=highest));
            self.put_earlier(&asked);
        }
    }

    fn put_earlier(&mut self, uids: &UidSet) {
        let Some(gone) = self.view().map(|view| uids.difference(&view.uids())) else {
            return;
        };
        self.put_vanished("* VANISHED (EARLIER) ", &gone);
    }

    /// Before the first row: what was not said by [`vanished`](Server::vanished).
    fn tell_vanished(&mut self) {
        if let Phase::Asked(Task::Fetch(fetching)) = &mut self.phase
            && let Some(asked) = fetching.vanished.take()
        {
            self.put_all_earlier(&asked);
        }
    }

    /// Begins the row of a message in answer to [`Event::Fetch`](crate::Event::Fetch). `None` if the session
    /// does not know the message: go on with the next.
    ///
    /// # Panics
    ///
    /// Panics if messages were not asked for.
    pub fn fetch(&mut self, uid: u32) -> Option<FetchRow<'_>> {
        let Phase::Asked(Task::Fetch(fetching)) = &mut self.phase else {
            panic!("no messages were asked for")
        };
        let mut previous = fetching.row.take();
        let with_uid = fetching.with_uid;
        let mod_seq = fetching.mod_seq;
        self.tell_vanished();
        if !self.close(&mut previous) {
            return None;
        }
        let seq = self.view()?.seq(uid)?;
        let uid_only = self.enabled.uid_only;
        if let Phase::Asked(Task::Fetch(fetching)) = &mut self.phase {
            fetching.row = Some(Row {
                seq,
                uid,
                with_uid,
                is_empty: true,
                literal: 0,
                uid_only,
                mod_seq,
                told_flags: false,
                told_mod_seq: None,
            });
        }
        Some(FetchRow { server: self })
    }

    /// The row that is open, to go on with it after [`fetch_piece`](Server::fetch_piece). `None` if none is, or
    /// if pieces are still to come.
    pub fn fetch_row(&mut self) -> Option<FetchRow<'_>> {
        match &mut self.phase {
            Phase::Asked(Task::Fetch(fetching)) => {
                fetching.row.as_ref().filter(|row| row.literal == 0)?;
                Some(FetchRow { server: self })
            }
            _ => None,
        }
    }

    /// The next piece of the section announced by [`FetchRow::section_stream`] or [`FetchRow::binary_stream`]. Returns how many octets are
    /// still to come. What is more than was announced is left out.
    ///
    /// Give pieces while [`has_room`](Server::has_room); a large one goes out by reference.
    ///
    /// # Panics
    ///
    /// Panics if no section was announced.
    pub fn fetch_piece(&mut self, mut data: Bytes) -> u64 {
        let Phase::Asked(Task::Fetch(fetching)) = &mut self.phase else {
            panic!("no messages were asked for")
        };
        let row = fetching.row.as_mut().expect("no section was announced");
        data.truncate(usize::try_from(row.literal).unwrap_or(usize::MAX));
        row.literal -= data.len() as u64;
        let left = row.literal;
        self.tx.put_bytes(data);
        left
    }

    pub(super) fn finish_fetch(&mut self, mut fetching: Fetching) {
        if let Some(asked) = fetching.vanished.take() {
            self.put_all_earlier(&asked);
        }
        if self.close_row(&mut fetching) {
            let reply = match fetching.select {
                Some(reply) => reply,
                None => self.issued(fetching.uid, &fetching.asked, "Fetch completed"),
            };
            self.complete(reply, when(fetching.uid));
        }
    }

    pub(super) fn refuse_fetch(&mut self, mut fetching: Fetching, reply: Reply) {
        if !self.close_row(&mut fetching) {
            return;
        }
        if fetching.select.is_some() {
            self.state = State::Authenticated;
        }
        self.complete(reply, when(fetching.uid));
    }

    /// Closes the open row; false, and the session has failed, if octets are missing.
    pub(super) fn close_row(&mut self, fetching: &mut Fetching) -> bool {
        let mut row = fetching.row.take();
        self.close(&mut row)
    }

    fn close(&mut self, row: &mut Option<Row>) -> bool {
        match row.take() {
            Some(row) if row.literal > 0 => {
                // A literal cannot be taken back, and its rest must not be made up.
                self.failed.get_or_insert(Error::CutShort);
                false
            }
            // A row without items would be against the grammar: it is not told at all.
            Some(row) if row.is_empty && !row.with_uid => true,
            Some(row) => {
                if row.is_empty {
                    row.begin(&mut self.out());
                    if row.uid_only {
                        self.out().raw("UID ").number(u64::from(row.uid));
                    }
                }
                self.learnt(&row);
                self.out().raw(")\r\n");
                true
            }
            None => true,
        }
    }

    /// What a row has told of flags and mod-sequence need not be told again.
    fn learnt(&mut self, row: &Row) {
        self.said(row.told_mod_seq);
        if let (State::Selected(selection), true, Some(mod_seq)) =
            (&mut self.state, row.told_flags, row.told_mod_seq)
        {
            selection.view.known_at(row.uid, mod_seq);
        }
    }
}

impl FetchRow<'_> {
    /// FLAGS
    pub fn flags(&mut self, flags: &Flags) -> &mut Self {
        let uid = self.row().uid;
        if self.row().is_empty {
            self.server.announce_keywords(flags);
        }
        let (mut recent, enabled) = (false, self.server.enabled);
        if let State::Selected(selection) = &mut self.server.state {
            if !enabled.condstore {
                selection.view.known(uid, flags);
            }
            recent = selection.view.is_recent(uid) && !enabled.rev2;
        }
        self.row().told_flags = true;
        self.item("FLAGS ").flags(flags, recent);
        self
    }

    /// MODSEQ (RFC 7162): the mod-sequence, 1 to 2^63 - 1. Left out where the client neither asked for it nor
    /// follows mod-sequences.
    pub fn mod_seq(&mut self, mod_seq: u64) -> &mut Self {
        let row = self.row();
        if row.mod_seq && row.told_mod_seq.is_none() {
            row.told_mod_seq = Some(mod_seq);
            self.item("MODSEQ (").number(mod_seq).raw(")");
        }
        self
    }

    /// EMAILID (RFC 8474)
    pub fn email_id(&mut self, id: &ObjectId) -> &mut Self {
        self.item("EMAILID (").raw(id.as_str()).raw(")");
        self
    }

    /// THREADID (RFC 8474); `None` if threads are not kept.
    pub fn thread_id(&mut self, id: Option<&ObjectId>) -> &mut Self {
        match id {
            Some(id) => _ = self.item("THREADID (").raw(id.as_str()).raw(")"),
            None => _ = self.item("THREADID NIL"),
        }
        self
    }

    /// SAVEDATE (RFC 8514); `None` if it is not known.
    pub fn save_date(&mut self, date: Option<DateTime>) -> &mut Self {
        match date {
            Some(date) => _ = self.item("SAVEDATE ").date_time(date),
            None => _ = self.item("SAVEDATE NIL"),
        }
        self
    }

    /// PREVIEW (RFC 8970): up to 200 characters; more are cut off, and control characters become spaces. `None`
    /// if it cannot be made, or not cheaply enough for what was asked.
    pub fn preview(&mut self, text: Option<&str>) -> &mut Self {
        let Some(text) = text else {
            self.item("PREVIEW NIL");
            return self;
        };
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = text.chars().take(LONGEST_PREVIEW).map(clean).collect();
        self.item("PREVIEW ").string(text.as_bytes());
        self
    }

    /// BINARY of a part, given decoded and as a whole: the partial range that was asked for is cut out of it.
    pub fn binary(&mut self, item: &BinaryItem, decoded: &Bytes) -> &mut Self {
        let range = item.range(decoded.len() as u64);
        let octets = decoded.slice(range.start as usize..range.end as usize);
        let has_nul = memchr::memchr(0, &octets).is_some();
        self.announce_binary(item, range, has_nul);
        self.row().literal = 0;
        self.server.tx.put_bytes(octets);
        self
    }

    /// BINARY of a part that does not exist: NIL.
    pub fn binary_missing(&mut self, item: &BinaryItem) -> &mut Self {
        self.item("BINARY[").part(&item.part).raw("] NIL");
        self
    }

    /// Announces a decoded part of `len` octets, as [`section_stream`](Self::section_stream) does a section.
    #[must_use = "the announced octets are owed"]
    pub fn binary_stream(self, item: &BinaryItem, len: u64) -> Range<u64> {
        let mut row = self;
        let range = item.range(len);
        row.announce_binary(item, range.clone(), true);
        range
    }

    fn announce_binary(&mut self, item: &BinaryItem, range: Range<u64>, may_hold_nul: bool) {
        let len = range.end - range.start;
        let mut out = self.item("BINARY[");
        out.part(&item.part).raw("]");
        if let Some(partial) = item.partial {
            out.raw("<").number(u64::from(partial.start)).raw(">");
        }
        out.raw(if may_hold_nul { " ~{" } else { " {" })
            .number(len)
            .raw("}\r\n");
        self.row().literal = len;
    }

    /// BINARY.SIZE of a part: its length in octets when it is decoded.
    pub fn binary_size(&mut self, part: &[NonZeroU32], len: u64) -> &mut Self {
        self.item("BINARY.SIZE[").part(part).raw("] ").number(len);
        self
    }

    /// INTERNALDATE
    pub fn internal_date(&mut self, date: DateTime) -> &mut Self {
        self.item("INTERNALDATE ").date_time(date);
        self
    }

    /// RFC822.SIZE
    pub fn size(&mut self, octets: u64) -> &mut Self {
        self.item("RFC822.SIZE ").number(octets);
        self
    }

    /// ENVELOPE
    pub fn envelope(&mut self, envelope: &Envelope) -> &mut Self {
        self.item("ENVELOPE ").envelope(envelope);
        self
    }

    /// BODY, the structure without extension data.
    pub fn body(&mut self, body: &BodyStructure) -> &mut Self {
        self.item("BODY ").body_structure(body, false);
        self
    }

    /// BODYSTRUCTURE
    pub fn body_structure(&mut self, body: &BodyStructure) -> &mut Self {
        self.item("BODYSTRUCTURE ").body_structure(body, true);
        self
    }

    /// A body section, given as a whole: the partial range that was asked for is cut out of it.
    pub fn section(&mut self, item: &BodyItem, section: &Bytes) -> &mut Self {
        let range = item.range(section.len() as u64);
        let (from, to) = (range.start as usize, range.end as usize);
        self.announce(item, range);
        self.row().literal = 0;
        self.server.tx.put_bytes(section.slice(from..to));
        self
    }

    /// A body section that does not exist: NIL.
    pub fn section_missing(&mut self, item: &BodyItem) -> &mut Self {
        self.item("").body_item(item).raw(" NIL");
        self
    }

    /// Announces a body section of `len` octets, of which the returned range is to be given, exactly, in pieces
    /// by [`Server::fetch_piece`]. The row goes on with [`Server::fetch_row`] after that.
    ///
    /// If it turns out that it cannot be given, [`Server::abort`] is the only way out.
    #[must_use = "the announced octets are owed"]
    pub fn section_stream(self, item: &BodyItem, len: u64) -> Range<u64> {
        let mut row = self;
        let range = item.range(len);
        row.announce(item, range.clone());
        range
    }

    fn announce(&mut self, item: &BodyItem, range: Range<u64>) {
        let len = range.end - range.start;
        self.item("").body_item(item).raw(" {").number(len).raw("}\r\n");
        self.row().literal = len;
    }

    pub(crate) fn item(&mut self, name: &str) -> Out<'_> {
        let row = self.row();
        let begun = !std::mem::take(&mut row.is_empty);
        let row = *row;
        let mut out = self.server.out();
        if !begun {
            row.begin(&mut out);
        }
        let gap = begun || (row.with_uid && !row.uid_only);
        out.raw(if gap { " " } else { "" }).raw(name);
        out
    }

    fn row(&mut self) -> &mut Row {
        match &mut self.server.phase {
            Phase::Asked(Task::Fetch(fetching)) => fetching.row.as_mut(),
            _ => None,
        }
        .expect("a FetchRow exists only while its row is open")
    }
}

/// How many characters a preview has at most (RFC 8970 §3.1).
const LONGEST_PREVIEW: usize = 200;
