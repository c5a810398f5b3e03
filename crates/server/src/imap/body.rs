//! Reading the octets of messages by range, and their structure.

use super::backend::{Failure, Mailboxes};
use bytes::{Bytes, BytesMut};
use mailwright_mailbox::{Fields, MailboxId, Message, Scan, Uid};
use mailwright_message::index::{self, Index};
use std::ops::Range;

/// How much is read at a time of a message whose index has to be made.
const PIECE: u64 = 64 * 1024;

/// Reads a whole range into memory: for headers and text parts, not for whole messages.
pub(super) async fn read_all<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    message: &Message,
    range: Range<u64>,
) -> Result<Bytes, Failure> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let first = mail.read(mailbox, message, range.clone()).await?;
    let mut at = range.start + first.len() as u64;
    if at >= range.end || first.is_empty() {
        return Ok(first);
    }
    let mut all = BytesMut::from(&first[..]);
    while at < range.end {
        let piece = mail.read(mailbox, message, at..range.end).await?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// The structure of a message: as it was kept, or found again where it was not, or by another version of this
/// program.
pub(super) async fn index_of<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    message: &Message,
) -> Result<Index, Failure> {
    if !message.index.is_empty()
        && let Ok(index) = Index::from_bytes(message.index.clone())
    {
        return Ok(index);
    }
    let whole;
    let message = match message.size() {
        0 => {
            let scan = Scan::new(message.uid.into(), Fields::BLOB);
            whole = mail
                .scan(mailbox, scan)
                .await?
                .messages
                .pop()
                .ok_or(Failure::Gone)?;
            &whole
        }
        _ => message,
    };
    let mut builder = Index::builder(index::Options::default());
    let mut at = 0;
    while at < message.size() {
        let end = message.size().min(at + PIECE);
        let piece = mail.read(mailbox, message, at..end).await?;
        if piece.is_empty() {
            return Err(Failure::Damaged("a message is shorter than it should be".into()));
        }
        at += piece.len() as u64;
        builder.push(&piece);
    }
    Ok(builder.finish())
}

/// Whether a message whose octets are not there was expunged meanwhile, rather than damaged.
pub(super) async fn is_gone<M: Mailboxes>(mail: &M, mailbox: MailboxId, uid: Uid) -> Result<bool, Failure> {
    let page = mail.scan(mailbox, Scan::new(uid.into(), Fields::NONE)).await?;
    Ok(page.messages.is_empty())
}
