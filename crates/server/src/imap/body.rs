//! Reading the octets of stored messages by range.

use bytes::{Bytes, BytesMut};
use mailwright_mailbox::{BlobRef, Fields, MailboxId, Scan, Store, StoreError, Uid};
use std::ops::Range;

/// Reads a whole range into memory: for headers and text parts, not for whole messages.
pub(super) async fn read_all<S: Store>(
    store: &S,
    blob: &BlobRef,
    range: Range<u64>,
) -> Result<Bytes, StoreError> {
    let first = store.read_blob(blob, range.clone()).await?;
    let mut at = range.start + first.len() as u64;
    if at >= range.end || first.is_empty() {
        return Ok(first);
    }
    let mut all = BytesMut::from(&first[..]);
    while at < range.end {
        let piece = store.read_blob(blob, at..range.end).await?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// Whether a message whose octets are not there was expunged meanwhile, rather than damaged.
pub(super) async fn is_gone<S: Store>(store: &S, mailbox: MailboxId, uid: Uid) -> Result<bool, StoreError> {
    let page = store.scan(mailbox, Scan::new(uid.into(), Fields::NONE)).await?;
    Ok(page.messages.is_empty())
}
