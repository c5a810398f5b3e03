//! BINARY: parts without their transfer encoding (RFC 3516)

use super::backend::{Backend, Mailboxes};
use super::body;
use super::session::{Session, Stop};
use bytes::Bytes;
use mailwright_imap::{BinaryItem, Code, Rejection};
use mailwright_mailbox::{MailboxId, Message};
use mailwright_message::index::{Index, Kind};
use mailwright_message::transfer::Encoding;
use std::num::NonZeroU32;
use std::ops::Range;

/// How much of an encoded part is read at a time.
const PIECE: u64 = 64 * 1024;

/// A part as it is to be told.
pub(super) enum Decoded {
    Missing,
    Whole(Bytes),
    /// Too large to be held: where it is in the message, and how long it is when it is decoded.
    Range(Range<u64>, Encoding, u64),
}

impl<B: Backend> Session<B> {
    /// Finds a part, and decodes it if there is room for it.
    pub(super) async fn decoded(
        &mut self,
        part: &[NonZeroU32],
        index: &Index,
        (mailbox, message): (MailboxId, &Message),
        room: &mut u64,
    ) -> Result<Decoded, Stop> {
        let Some((range, encoding)) = locate(part, index)? else {
            return Ok(Decoded::Missing);
        };
        let len = range.end.saturating_sub(range.start);
        if len > *room {
            let decoded = self
                .decoded_len(part, index, (mailbox, message))
                .await?
                .unwrap_or(0);
            return Ok(Decoded::Range(range, encoding, decoded));
        }
        *room -= len;
        let octets = body::read_all(&*self.mail()?, mailbox, message, range).await?;
        Ok(Decoded::Whole(match encoding {
            Encoding::Identity => octets,
            encoding => encoding.decode(&octets).into_owned().into(),
        }))
    }

    /// How long a part is when it is decoded; `None` if there is none.
    pub(super) async fn decoded_len(
        &mut self,
        part: &[NonZeroU32],
        index: &Index,
        (mailbox, message): (MailboxId, &Message),
    ) -> Result<Option<u64>, Stop> {
        let Some((range, encoding)) = locate(part, index)? else {
            return Ok(None);
        };
        if encoding == Encoding::Identity {
            return Ok(Some(range.end.saturating_sub(range.start)));
        }
        let (mail, mut decoder) = (self.mail()?, encoding.decoder());
        let (mut at, mut len, mut out) = (range.start, 0, Vec::new());
        while at < range.end {
            let end = range.end.min(at + PIECE);
            let piece = mail.read(mailbox, message, at..end).await?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            decoder.push(&piece, &mut out);
            len += out.len() as u64;
            out.clear();
        }
        decoder.finish(&mut out);
        Ok(Some(len + out.len() as u64))
    }

    /// Adds a decoded part to the row that is open.
    pub(super) async fn give_decoded(
        &mut self,
        item: &BinaryItem,
        decoded: Decoded,
        (mailbox, message): (MailboxId, &Message),
    ) -> Result<(), Stop> {
        self.make_room().await?;
        let Some(mut row) = self.conn.machine().fetch_row() else {
            return Ok(());
        };
        let (range, encoding, len) = match decoded {
            Decoded::Missing => {
                row.binary_missing(item);
                return Ok(());
            }
            Decoded::Whole(bytes) => {
                row.binary(item, &bytes);
                return Ok(());
            }
            Decoded::Range(range, encoding, len) => (range, encoding, len),
        };
        let mut wanted = row.binary_stream(item, len);
        let (mail, mut decoder) = (self.mail()?, encoding.decoder());
        let (mut at, mut passed) = (range.start, 0);
        while !wanted.is_empty() {
            self.make_room().await?;
            let mut out = Vec::new();
            if at < range.end {
                let end = range.end.min(at + PIECE);
                let piece = match mail.read(mailbox, message, at..end).await {
                    Ok(piece) if !piece.is_empty() => piece,
                    Ok(_) => return Err(Stop::Cut),
                    Err(failure) => return Err(self.cut(&failure)),
                };
                at += piece.len() as u64;
                decoder.push(&piece, &mut out);
            } else {
                decoder.finish(&mut out);
                if out.is_empty() {
                    return Err(Stop::Cut);
                }
            }
            // What was wanted of this piece: both ends lie within it.
            let here = passed..passed + out.len() as u64;
            passed = here.end;
            let (from, to) = (wanted.start.max(here.start), wanted.end.min(here.end));
            if from < to {
                let piece = Bytes::from(out);
                let place = |at: u64| (at - here.start) as usize;
                self.conn
                    .machine()
                    .fetch_piece(piece.slice(place(from)..place(to)));
                wanted.start = to;
            }
        }
        Ok(())
    }
}

/// Where the octets of a part are, and how they are encoded.
fn locate(part: &[NonZeroU32], index: &Index) -> Result<Option<(Range<u64>, Encoding)>, Rejection> {
    if part.is_empty() {
        return Ok(Some((0..index.octets(), Encoding::Identity)));
    }
    let number: Vec<u32> = part.iter().map(|n| n.get()).collect();
    let Some(part) = index.part(&number) else {
        return Ok(None);
    };
    let encoding = match (part.kind(), part.encoding()) {
        (Kind::Leaf, Encoding::Unknown) => {
            return Err(Rejection::new(
                Some(Code::UnknownCte),
                "The part cannot be decoded",
            ));
        }
        (Kind::Leaf, encoding) => encoding,
        _ => Encoding::Identity,
    };
    Ok(Some((part.body(), encoding)))
}
