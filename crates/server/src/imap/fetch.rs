//! FETCH: rows from what the store keeps with each message, bodies by range (RFC 3501 §6.4.5).

use super::ahead::{self, AT_ONCE, Ahead};
use super::backend::{Abilities, Backend, Failure, Mailboxes};
use super::body;
use super::convert::{email_id, flags_to_imap, thread_id, uids_from_imap, uids_to_imap};
use super::selected::has_mod_seqs;
use super::session::{Session, Stop};
use crate::conn::{ConnError, Turn};
use bytes::Bytes;
use mailwright_imap::{self as imap, BodyItem, DateTime, FetchItem, FetchRequest, Rejection, SectionText};
use mailwright_mailbox::{
    Fields, FlagChange, Flags, MailboxId, Message, ModSeq, Page, Scan, SystemFlags, UidSet,
};
use mailwright_message::{Index, preview};
use std::ops::Range;

/// How much is read at a time of what is longer.
const PIECE: u64 = 16 * 1024;

/// How many messages are read before anything is told; then more at a time.
const FIRST_PAGE: usize = 50;

/// Of messages up to this size a preview costs next to nothing.
const CHEAP: u64 = 16 * 1024;

/// How much of a message is read for its preview.
const LONGEST_PREVIEWED: u64 = 256 * 1024;

/// A header longer than this is not searched for single fields.
const LONGEST_HEADER: u64 = 16 << 20;

impl<B: Backend> Session<B> {
    pub(super) async fn fetch(&mut self, request: &FetchRequest) -> Result<(), Stop> {
        let (mail, mailbox) = (self.mail()?, self.selected_mailbox()?);
        let uids = uids_from_imap(&request.uids);
        let seen = match request.mark_seen {
            true => self.mark_seen(mailbox, uids.clone()).await?,
            false => UidSet::new(),
        };
        let wanted = Wanted {
            items: &request.items,
            mailbox,
            needs_index: request.items.iter().any(needs_index),
            seen,
        };
        let mut fields = fields(&request.items);
        if !wanted.seen.is_empty() {
            fields = fields | Fields::FLAGS;
        }
        let since = request.changed_since.map(ModSeq::new);
        if let Some(since) = since.filter(|_| request.vanished.is_some()) {
            let vanished = mail.vanished(mailbox, since).await?;
            if vanished.complete {
                self.conn.machine().vanished(&uids_to_imap(&vanished.uids));
            }
        }
        let mut scan = Scan::new(uids, fields).limit(FIRST_PAGE);
        scan.since = since;
        let mut page = mail.scan(mailbox, scan.clone()).await?;
        while let Some(next) = scan.after(&page) {
            let limit = wanted.limit().min(next.limit * 4);
            scan = next.limit(limit);
            // The next page is read while this one is told. To be polled first is to begin first.
            let ahead = mail.scan(mailbox, scan.clone());
            let (ahead, told) = tokio::join!(biased; ahead, self.tell_rows(&wanted, &page));
            told?;
            page = ahead?;
        }
        self.tell_rows(&wanted, &page).await?;
        self.yes()
    }

    async fn tell_rows(&mut self, wanted: &Wanted<'_>, page: &Page) -> Result<(), Stop> {
        let mut ahead = Vec::new().into_iter();
        for (at, message) in page.messages.iter().enumerate() {
            if wanted.needs_index {
                if ahead.len() == 0 {
                    let (mail, messages) = (self.mail()?, &page.messages[at..]);
                    ahead = ahead::read(&*mail, wanted.mailbox, wanted.items, messages)
                        .await
                        .into_iter();
                }
                let known = ahead.next().unwrap_or_default();
                let row = self.row(wanted, message, &known).await;
                if !self.left_out(wanted.mailbox, message, &row).await? {
                    row?;
                }
            } else {
                self.begin_row(wanted, message, None, None);
            }
            if !self.conn.machine().has_room() {
                self.make_room().await?;
            }
        }
        Ok(())
    }

    /// Whether a row was not begun because its message was expunged since the page was read: the others are told
    /// all the same (RFC 2180 §4.1.3).
    async fn left_out(
        &mut self,
        mailbox: MailboxId,
        message: &Message,
        row: &Result<(), Stop>,
    ) -> Result<bool, Stop> {
        let out = matches!(row, Err(Stop::No(why)) if *why == Rejection::EXPUNGE_ISSUED)
            && body::is_gone(&*self.mail()?, mailbox, message.uid).await?;
        if out {
            // The engine says NO in the end if the client asked by numbers.
            self.sync_or_end(None).await;
        }
        Ok(out)
    }

    /// Sets `\Seen`; returns the messages that did not have it.
    async fn mark_seen(&mut self, mailbox: MailboxId, uids: UidSet) -> Result<UidSet, Stop> {
        let mut flags = Flags::new();
        flags.insert(SystemFlags::SEEN);
        match self
            .mail()?
            .store(mailbox, uids, FlagChange::Add(flags), None)
            .await
        {
            Ok(stored) => {
                self.sync_or_end(None).await;
                Ok(stored.changed)
            }
            // A disk that is full, or the lack of a right, must not keep people from reading their mail.
            Err(failure) => {
                tracing::debug!(peer = %self.peer, "imap: messages are read and not marked as seen: {failure}");
                Ok(UidSet::new())
            }
        }
    }

    /// The row of a message whose structure or octets have to be looked at.
    async fn row(&mut self, wanted: &Wanted<'_>, message: &Message, known: &Ahead) -> Result<(), Stop> {
        let (items, mailbox) = (wanted.items, wanted.mailbox);
        let made;
        let index = match &known.index {
            Some(index) => index,
            None => {
                made = body::index_of(&*self.mail()?, mailbox, message).await?;
                &made
            }
        };
        // Whatever has to be read is read before the row is begun: until then the answer can still be NO.
        let mut sections = vec![];
        let mut parts = vec![];
        let mut sizes = vec![];
        let mut preview = None;
        let mut room = AT_ONCE;
        let of = (mailbox, message);
        for item in items {
            match item {
                FetchItem::Section(item) => {
                    let found = self.section(item, index, of, known, &mut room).await?;
                    sections.push((item, found));
                }
                FetchItem::Binary(item) => {
                    let found = self.decoded(&item.part, index, of, &mut room).await?;
                    parts.push((item, found));
                }
                FetchItem::BinarySize(part) => {
                    let len = self.decoded_len(part, index, of).await?;
                    let missing = || Rejection::new(Some(imap::Code::NonExistent), "There is no such part");
                    sizes.push((part, len.ok_or_else(missing)?));
                }
                FetchItem::Preview { lazy } if !lazy || message.size() <= CHEAP => {
                    preview = Some(self.preview(index, mailbox, message).await?);
                }
                _ => {}
            }
        }
        if !self.begin_row(wanted, message, Some(index), preview.as_deref()) {
            return Ok(());
        }
        let mut row = self.conn.machine().fetch_row().expect("the row was begun");
        for (part, len) in sizes {
            row.binary_size(part, len);
        }
        for (item, section) in sections {
            self.give(item, section, mailbox, message).await?;
        }
        for (item, part) in parts {
            self.give_decoded(item, part, of).await?;
        }
        Ok(())
    }

    /// Begins the row of a message with all but sections and parts; false if the session does not know the message.
    fn begin_row(
        &mut self,
        wanted: &Wanted<'_>,
        message: &Message,
        index: Option<&Index>,
        preview: Option<&str>,
    ) -> bool {
        let Some(mut row) = self.conn.machine().fetch(message.uid.value()) else {
            return false;
        };
        let seen = wanted.seen.contains(message.uid);
        let mut flags_told = false;
        for item in wanted.items {
            match item {
                FetchItem::Flags => {
                    row.flags(&flags_to_imap(&message.flags));
                    flags_told = true;
                }
                FetchItem::InternalDate => {
                    row.internal_date(DateTime::new(message.internal_date, 0));
                }
                FetchItem::Size => {
                    row.size(message.size());
                }
                FetchItem::Envelope => {
                    if let Some(index) = index {
                        row.envelope_of(index);
                    }
                }
                FetchItem::Body => {
                    if let Some(index) = index {
                        row.body_of(index);
                    }
                }
                FetchItem::BodyStructure => {
                    if let Some(index) = index {
                        row.body_structure_of(index);
                    }
                }
                FetchItem::EmailId => {
                    if let Some(blob) = &message.blob {
                        row.email_id(&email_id(blob));
                    }
                }
                FetchItem::ThreadId => {
                    row.thread_id(Some(&thread_id(message.thread)));
                }
                FetchItem::SaveDate => {
                    let dated = B::Mailboxes::ABILITIES.contains(Abilities::SAVE_DATES);
                    row.save_date(dated.then(|| DateTime::new(message.save_date, 0)));
                }
                FetchItem::Preview { .. } => {
                    row.preview(preview);
                }
                // The mod-sequence, sections and parts follow below.
                _ => {}
            }
        }
        if seen && !flags_told {
            row.flags(&flags_to_imap(&message.flags));
        }
        let asked = flags_told || seen || wanted.items.contains(&FetchItem::ModSeq);
        if asked && has_mod_seqs::<B::Mailboxes>() {
            row.mod_seq(message.mod_seq.value());
        }
        true
    }

    /// The first words of a message (RFC 8970), as far as they are found near its beginning.
    async fn preview(
        &mut self,
        index: &Index,
        mailbox: MailboxId,
        message: &Message,
    ) -> Result<String, Stop> {
        let bodies = index.bodies();
        let ends = bodies.text.iter().chain(&bodies.html).map(|part| part.body().end);
        let end = ends.max().unwrap_or(0).min(LONGEST_PREVIEWED);
        let octets = body::read_all(&*self.mail()?, mailbox, message, 0..end).await?;
        Ok(preview::of(index, &octets))
    }

    /// Adds a section to the row that is open.
    async fn give(
        &mut self,
        item: &BodyItem,
        section: Found,
        mailbox: MailboxId,
        message: &Message,
    ) -> Result<(), Stop> {
        self.make_room().await?;
        let header = match &section {
            Found::Fields(range) => {
                let read = body::read_all(&*self.mail()?, mailbox, message, range.clone()).await;
                Some(read.map_err(|failure| self.cut(&failure))?)
            }
            _ => None,
        };
        let Some(mut row) = self.conn.machine().fetch_row() else {
            return Ok(());
        };
        match section {
            Found::Missing => {
                row.section_missing(item);
            }
            Found::Whole(bytes) => {
                row.section(item, &bytes);
            }
            Found::Fields(_) => {
                row.section(item, &item.section.text.pick(&header.unwrap_or_default()));
            }
            Found::Range(range) => {
                let wanted = row.section_stream(item, range.end - range.start);
                let (from, to) = (range.start + wanted.start, range.start + wanted.end);
                self.stream(mailbox, message, from..to).await?;
            }
        }
        Ok(())
    }

    /// Finds a section, and reads it if there is room for it.
    async fn section(
        &mut self,
        item: &BodyItem,
        index: &Index,
        (mailbox, message): (MailboxId, &Message),
        known: &Ahead,
        room: &mut u64,
    ) -> Result<Found, Stop> {
        let Some(range) = item.section.locate(index) else {
            return Ok(Found::Missing);
        };
        let len = range.end.saturating_sub(range.start);
        let fields = matches!(
            item.section.text,
            SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)
        );
        if fields && len > LONGEST_HEADER {
            return Err(Rejection::new(Some(imap::Code::Limit), "The header is too long").into());
        }
        if len > *room {
            // If the octets are not there, this is the last moment at which that can be said.
            let first = range.start..range.start + 1;
            self.mail()?.read(mailbox, message, first).await?;
            return Ok(if fields {
                Found::Fields(range)
            } else {
                Found::Range(range)
            });
        }
        *room -= len;
        let bytes = match known.octets(&range) {
            Some(octets) => octets,
            None => body::read_all(&*self.mail()?, mailbox, message, range).await?,
        };
        Ok(Found::Whole(if fields {
            item.section.text.pick(&bytes)
        } else {
            bytes
        }))
    }

    /// Gives the octets of a literal that was announced.
    async fn stream(&mut self, mailbox: MailboxId, message: &Message, range: Range<u64>) -> Result<(), Stop> {
        let mail = self.mail()?;
        let mut at = range.start;
        while at < range.end {
            self.make_room().await?;
            let end = range.end.min(at + PIECE);
            let piece = match mail.read(mailbox, message, at..end).await {
                Ok(piece) if !piece.is_empty() => piece,
                Ok(_) => return Err(Stop::Cut),
                Err(failure) => return Err(self.cut(&failure)),
            };
            at += piece.len() as u64;
            self.conn.machine().fetch_piece(piece);
        }
        Ok(())
    }

    /// A message cannot be read in the middle of its row.
    pub(super) fn cut(&self, failure: &Failure) -> Stop {
        tracing::error!(peer = %self.peer, "imap: message cannot be read: {failure}");
        Stop::Cut
    }

    /// Waits until the engine has room for more of an answer.
    pub(super) async fn make_room(&mut self) -> Result<(), ConnError<imap::Error>> {
        while !self.conn.machine().has_room() {
            match self.conn.next().await? {
                Turn::Answer => return Ok(()),
                // Nothing else comes before the answer is complete.
                Turn::Event(_) | Turn::StartTls | Turn::Close => {}
            }
        }
        Ok(())
    }
}

/// What a FETCH asks for.
struct Wanted<'a> {
    items: &'a [FetchItem],
    mailbox: MailboxId,
    /// The structure of each message has to be known.
    needs_index: bool,
    /// The messages that this FETCH has marked as read.
    seen: UidSet,
}

impl Wanted<'_> {
    /// How many messages are read at a time: a body makes a row long; rows of flags come by the thousand.
    fn limit(&self) -> usize {
        let is_long = |item: &FetchItem| {
            matches!(
                item,
                FetchItem::Section(_) | FetchItem::Binary(_) | FetchItem::Preview { .. }
            )
        };
        if self.items.iter().any(is_long) { 50 } else { 1000 }
    }
}

/// A section of a message.
enum Found {
    Missing,
    Whole(Bytes),
    /// Not read yet: where it is in the message.
    Range(Range<u64>),
    /// Some fields of a header that is not read yet: where the header is in the message.
    Fields(Range<u64>),
}

/// Whether the structure of a message has to be known for an item.
fn needs_index(item: &FetchItem) -> bool {
    fields(std::slice::from_ref(item)).contains(Fields::INDEX)
}

/// What the mailboxes have to tell for these items.
fn fields(items: &[FetchItem]) -> Fields {
    items.iter().fold(Fields::NONE, |fields, item| {
        fields
            | match item {
                FetchItem::Flags => Fields::FLAGS,
                FetchItem::InternalDate => Fields::DATES,
                FetchItem::Size => Fields::SIZE,
                FetchItem::Section(_) => Fields::BLOB | Fields::INDEX,
                FetchItem::Binary(_) | FetchItem::BinarySize(_) => Fields::BLOB | Fields::INDEX,
                FetchItem::Preview { .. } => Fields::BLOB | Fields::INDEX,
                FetchItem::ModSeq => Fields::NONE,
                FetchItem::EmailId => Fields::BLOB,
                FetchItem::ThreadId => Fields::THREAD,
                FetchItem::SaveDate => Fields::DATES,
                _ => Fields::INDEX,
            }
    })
}
