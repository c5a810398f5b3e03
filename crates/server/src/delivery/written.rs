//! A message on its way into mailboxes: its octets, and its digest

use super::inbox;
use crate::clock::unix_now;
use crate::config::NewFolder;
use bytes::Bytes;
use mailwright_mailbox::digest::text::Walk;
use mailwright_mailbox::{
    Account, BlobRef, BlobWriter, CommitError, Flags, MailboxId, MessageMeta, Op, Store, StoreError, digest,
};

/// Takes the octets of a message into a store, and makes its digest on the way.
#[derive(Debug)]
pub struct MessageWriter<S: Store> {
    blob: S::BlobWriter,
    digest: digest::Builder,
}

impl<S: Store> MessageWriter<S> {
    /// A message that is no longer is read as a whole at its end, from where a store still has it at hand.
    const SHORT: u64 = 32 * 1024;
    /// How much is read at a time of the texts of a longer one.
    const PIECE: u64 = 8 * 1024;

    /// Begins a message.
    pub fn new(store: &S) -> Self {
        let mut options = digest::Options::default();
        // What the store holds of it is not held twice.
        options.buffer = 0;
        Self {
            blob: store.new_blob(),
            digest: digest::Builder::new(options),
        }
    }

    /// Takes the next octets.
    ///
    /// # Errors
    ///
    /// When the store cannot write them; the message is lost then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.digest.push(&chunk);
        self.blob.write(chunk).await
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// When the store cannot write it, or not read again what was not held in memory.
    pub async fn finish(self, store: &S) -> Result<WrittenMessage, StoreError> {
        let blob = self.blob.finish().await?;
        let mut digest = match blob.size() {
            1..=Self::SHORT => {
                let whole = store.read_blob(&blob, 0..blob.size()).await?;
                match whole.len() as u64 == blob.size() {
                    true => self.digest.finish_with(&whole),
                    // A store gives as much at a time as it sees fit.
                    false => self.digest.finish(),
                }
            }
            _ => self.digest.finish(),
        };
        if let Some(mut text) = digest.left.take() {
            let mut walk = Walk::new(&digest.index);
            while let Some(range) = walk.wanted(&mut text) {
                let end = range.end.min(range.start + Self::PIECE);
                let octets = store.read_blob(&blob, range.start..end).await?;
                walk.push(&octets, &mut text);
            }
            digest.keep(text);
        }
        Ok(WrittenMessage {
            blob,
            meta: digest.meta,
        })
    }
}

/// A message whose octets the store has, and that no mailbox holds yet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WrittenMessage {
    /// Its octets.
    pub blob: BlobRef,
    /// Its digest.
    pub meta: MessageMeta,
}

impl WrittenMessage {
    /// The operation that puts the message into a mailbox.
    pub fn append(&self, mailbox: MailboxId, flags: Flags, internal_date: i64) -> Op {
        Op::Append {
            mailbox,
            blob: self.blob.clone(),
            message: self.meta.clone(),
            flags,
            internal_date,
        }
    }

    /// The operations that put the message into the INBOX of each account; one that has none gets it with these
    /// folders. The octets are kept once.
    ///
    /// # Errors
    ///
    /// When the store cannot tell the mailboxes, or not make those that are missing.
    pub async fn deliver_to<S: Store>(
        &self,
        store: &S,
        accounts: &[Account],
        folders: &[NewFolder],
    ) -> Result<Vec<Op>, CommitError> {
        let mut ops = Vec::with_capacity(accounts.len());
        for account in accounts {
            ops.push(self.append(inbox(store, account, folders).await?, Flags::new(), unix_now()));
        }
        Ok(ops)
    }
}
