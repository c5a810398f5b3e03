//! Answers to FETCH, message by message (RFC 3501 §7.4.2)

use super::replies::when;
use super::{Phase, Server, State, Task};
use crate::codec::Out;
use crate::{BodyItem, BodyStructure, DateTime, Envelope, Error, Flags, UidSet};
use bytes::Bytes;
use std::ops::Range;

/// A FETCH that is being answered.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) uid: bool,
    with_uid: bool,
    asked: UidSet,
    row: Option<Row>,
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
}

impl Row {
    fn begin(&self, out: &mut Out<'_>) {
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

    pub(super) fn new(uid: bool, with_uid: bool, asked: UidSet) -> Self {
        Self {
            uid,
            with_uid,
            asked,
            row: None,
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
        if !self.close(&mut previous) {
            return None;
        }
        let seq = self.view()?.seq(uid)?;
        if let Phase::Asked(Task::Fetch(fetching)) = &mut self.phase {
            fetching.row = Some(Row {
                seq,
                uid,
                with_uid,
                is_empty: true,
                literal: 0,
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

    /// The next piece of the section announced by [`FetchRow::section_stream`]. Returns how many octets are
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
        if self.close_row(&mut fetching) {
            let reply = self.issued(fetching.uid, &fetching.asked, "Fetch completed");
            self.complete(reply, when(fetching.uid));
        }
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
                }
                self.out().raw(")\r\n");
                true
            }
            None => true,
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
        let mut recent = false;
        if let State::Selected(selection) = &mut self.server.state {
            selection.view.known(uid, flags);
            recent = selection.view.is_recent(uid);
        }
        self.item("FLAGS ").flags(flags, recent);
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
        out.raw(if begun || row.with_uid { " " } else { "" }).raw(name);
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
