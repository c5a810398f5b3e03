//! FETCH: rows from what the store keeps with each message, bodies by range (RFC 3501 §6.4.5).

use super::convert::{flags_to_imap, uids_from_imap};
use super::{Session, Stop, body};
use crate::conn::{ConnError, Turn};
use bytes::Bytes;
use mailwright_imap::{self as imap, BodyItem, DateTime, FetchItem, FetchRequest, Rejection, SectionText};
use mailwright_mailbox::{
    BlobRef, Fields, FlagChange, Flags, MailboxId, Message, Op, Outcome, Scan, Store, StoreError,
    SystemFlags, UidSet,
};
use mailwright_message::Index;
use std::ops::Range;

/// How many octets of a message's sections are read before its row is begun; what is beyond comes piece by
/// piece, so that a command that asks for thousands of sections does not hold them all.
const AT_ONCE: u64 = 64 * 1024;

/// A header longer than this is not searched for single fields.
const LONGEST_HEADER: u64 = 16 << 20;

impl<S: Store> Session<S> {
    pub(super) async fn fetch(&mut self, request: &FetchRequest) -> Result<(), Stop> {
        let mailbox = self.selected_mailbox()?;
        let uids = uids_from_imap(&request.uids);
        let seen = match request.mark_seen {
            true => self.mark_seen(mailbox, uids.clone()).await?,
            false => UidSet::new(),
        };
        // A body makes a row long; rows of flags come by the thousand.
        let wants_bodies = request
            .items
            .iter()
            .any(|item| matches!(item, FetchItem::Section(_)));
        let limit = if wants_bodies { 50 } else { 1000 };
        let mut fields = fields(&request.items);
        if !seen.is_empty() {
            fields = fields | Fields::FLAGS;
        }
        let mut next = Some(Scan::new(uids, fields).limit(limit));
        while let Some(scan) = next {
            let page = self.shared.store.scan(mailbox, scan.clone()).await?;
            for message in &page.messages {
                let row = self
                    .row(&request.items, message, seen.contains(message.uid))
                    .await;
                if !self.left_out(mailbox, message, &row).await? {
                    row?;
                }
                self.make_room().await?;
            }
            next = scan.after(&page);
        }
        self.yes()
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
            && body::is_gone(&self.shared.store, mailbox, message.uid).await?;
        if out {
            // The engine says NO in the end if the client asked by numbers.
            self.sync_or_end().await;
        }
        Ok(out)
    }

    /// Sets `\Seen`; returns the messages that did not have it.
    async fn mark_seen(&mut self, mailbox: MailboxId, uids: UidSet) -> Result<UidSet, Stop> {
        let mut flags = Flags::new();
        flags.insert(SystemFlags::SEEN);
        let change = FlagChange::Add(flags);
        let op = Op::StoreFlags {
            mailbox,
            uids,
            change,
            unchanged_since: None,
        };
        let outcome = match self.change(op).await {
            Ok(outcome) => outcome,
            // A disk that is full must not keep people from reading their mail.
            Err(Stop::No(_)) => {
                tracing::warn!(peer = %self.peer, "imap: messages are read and cannot be marked as seen");
                return Ok(UidSet::new());
            }
            Err(stop) => return Err(stop),
        };
        self.sync_or_end().await;
        Ok(match outcome {
            Outcome::Stored { changed, .. } => changed,
            _ => UidSet::new(),
        })
    }

    async fn row(&mut self, items: &[FetchItem], message: &Message, seen: bool) -> Result<(), Stop> {
        let uid = message.uid.value();
        let index = match message.index.is_empty() {
            true => None,
            false => Some(
                Index::from_bytes(message.index.clone())
                    .map_err(|_| StoreError::Corrupt("a part index".into()))?,
            ),
        };
        // Whatever has to be read is read before the row is begun: until then the answer can still be NO.
        let mut sections = vec![];
        let mut room = AT_ONCE;
        for item in items {
            if let (FetchItem::Section(item), Some(index), Some(blob)) = (item, &index, &message.blob) {
                sections.push((item, self.section(item, index, blob, &mut room).await?));
            }
        }
        let Some(mut row) = self.conn.machine().fetch(uid) else {
            return Ok(());
        };
        let mut flags_told = false;
        for item in items {
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
                    if let Some(index) = &index {
                        row.envelope_of(index);
                    }
                }
                FetchItem::Body => {
                    if let Some(index) = &index {
                        row.body_of(index);
                    }
                }
                FetchItem::BodyStructure => {
                    if let Some(index) = &index {
                        row.body_structure_of(index);
                    }
                }
                // Sections follow below.
                _ => {}
            }
        }
        if seen && !flags_told {
            row.flags(&flags_to_imap(&message.flags));
        }
        for (item, section) in sections {
            self.give(item, section, message).await?;
        }
        Ok(())
    }

    /// Adds a section to the row that is open.
    async fn give(&mut self, item: &BodyItem, section: Found, message: &Message) -> Result<(), Stop> {
        self.make_room().await?;
        let blob = message.blob.as_ref().ok_or(Stop::Cut)?;
        let header = match &section {
            Found::Fields(range) => {
                let read = body::read_all(&self.shared.store, blob, range.clone()).await;
                Some(read.map_err(|error| self.cut(&error))?)
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
                self.stream(blob, from..to).await?;
            }
        }
        Ok(())
    }

    /// Finds a section, and reads it if there is room for it.
    async fn section(
        &mut self,
        item: &BodyItem,
        index: &Index,
        blob: &BlobRef,
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
            self.shared.store.read_blob(blob, first).await?;
            return Ok(if fields {
                Found::Fields(range)
            } else {
                Found::Range(range)
            });
        }
        *room -= len;
        let bytes = body::read_all(&self.shared.store, blob, range).await?;
        Ok(Found::Whole(if fields {
            item.section.text.pick(&bytes)
        } else {
            bytes
        }))
    }

    /// Gives the octets of a literal that was announced.
    async fn stream(&mut self, blob: &BlobRef, range: Range<u64>) -> Result<(), Stop> {
        let mut at = range.start;
        while at < range.end {
            self.make_room().await?;
            let piece = match self.shared.store.read_blob(blob, at..range.end).await {
                Ok(piece) if !piece.is_empty() => piece,
                Ok(_) => return Err(Stop::Cut),
                Err(error) => return Err(self.cut(&error)),
            };
            at += piece.len() as u64;
            self.conn.machine().fetch_piece(piece);
        }
        Ok(())
    }

    /// A message cannot be read in the middle of its row.
    fn cut(&self, error: &StoreError) -> Stop {
        tracing::error!(peer = %self.peer, "imap: message cannot be read: {error}");
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

/// A section of a message.
enum Found {
    Missing,
    Whole(Bytes),
    /// Not read yet: where it is in the message.
    Range(Range<u64>),
    /// Some fields of a header that is not read yet: where the header is in the message.
    Fields(Range<u64>),
}

/// What the store has to tell for these items.
fn fields(items: &[FetchItem]) -> Fields {
    items.iter().fold(Fields::NONE, |fields, item| {
        fields
            | match item {
                FetchItem::Flags => Fields::FLAGS,
                FetchItem::InternalDate => Fields::DATES,
                FetchItem::Size => Fields::BLOB,
                FetchItem::Section(_) => Fields::BLOB | Fields::INDEX,
                _ => Fields::INDEX,
            }
    })
}
