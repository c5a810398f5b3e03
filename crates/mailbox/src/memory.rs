//! A store in memory: the model, the bodies, and a feed

use core::{future::ready, ops::Range};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};

use crate::{
    Account, AclEntry, Annotation, Batch, BlobHash, BlobHasher, BlobRef, BlobWriter, ChangeHub, CommitError,
    Committed, Feed, Identifier, Limits, MailboxId, MailboxInfo, MailboxName, ModSeq, Model, Op, Page, Scan,
    SharedMailbox, Snapshot, SpoolEntry, SpoolKey, Store, StoreError, Usage, Vanished,
};

/// A [`Store`] that keeps everything in memory, for tests and for mail that need not last.
///
/// Its futures never wait. Bodies are kept once for all who refer to them and dropped with the last of them.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    hub: ChangeHub,
}

#[derive(Debug, Default)]
struct State {
    model: Model,
    bodies: HashMap<BlobHash, Bytes>,
}

impl MemoryStore {
    /// The most octets that one read returns.
    const READ_OCTETS: u64 = 256 * 1024;

    /// Makes an empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::new(State {
                model: Model::new(limits),
                bodies: HashMap::new(),
            }),
            hub: ChangeHub::new(),
        }
    }

    /// Counts the bodies that messages and spool entries refer to, and their octets.
    pub fn bodies(&self) -> Usage {
        let state = self.state();
        let octets = state.bodies.values().map(|body| body.len() as u64).sum();
        Usage::new(octets, state.bodies.len() as u64)
    }

    fn apply(&self, batch: &Batch) -> Result<Committed, CommitError> {
        let mut guard = self.state();
        let state = &mut *guard;
        let applied = state.model.apply(batch, |blob| blob.pin::<Body>().is_some())?;
        for blob in batch.ops.iter().filter_map(blob_of) {
            if let Some(body) = blob.pin::<Body>().filter(|_| state.model.refers_to(blob)) {
                state.bodies.insert(*blob.hash(), body.0.clone());
            }
        }
        applied
            .released
            .iter()
            .for_each(|blob| drop(state.bodies.remove(blob.hash())));
        // Notices leave in the order of the commits, so the lock is held while they do.
        applied
            .changes
            .into_iter()
            .for_each(|(account, change)| self.hub.publish(&account, [change]));
        Ok(applied.committed)
    }

    fn read(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        let pinned = blob.pin::<Body>().map(|body| body.0.clone());
        let body = pinned
            .or_else(|| self.state().bodies.get(blob.hash()).cloned())
            .ok_or(StoreError::NoSuchBlob)?;
        let end = range
            .end
            .min(body.len() as u64)
            .min(range.start.saturating_add(Self::READ_OCTETS));
        // Both ends are within the body, whose length is a usize.
        Ok(if range.start < end {
            body.slice(range.start as usize..end as usize)
        } else {
            Bytes::new()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held would be a defect of the model; the data is as sound as it was before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn blob_of(op: &Op) -> Option<&BlobRef> {
    match op {
        Op::Append { blob, .. } => Some(blob),
        Op::SpoolPut { blob, .. } => blob.as_ref(),
        _ => None,
    }
}

impl Store for MemoryStore {
    type BlobWriter = MemoryBlobWriter;

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.apply(&batch)
    }

    fn accounts(
        &self,
        after: Option<Account>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Account>, StoreError>> + Send {
        ready(Ok(self.state().model.accounts(after.as_ref(), limit)))
    }

    fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> impl Future<Output = Result<Vec<Annotation>, StoreError>> + Send {
        ready(self.state().model.annotations(account, mailbox))
    }

    fn acl(&self, mailbox: MailboxId) -> impl Future<Output = Result<Vec<AclEntry>, StoreError>> + Send {
        ready(self.state().model.acl(mailbox))
    }

    fn shared_with(
        &self,
        identifiers: &[Identifier],
    ) -> impl Future<Output = Result<Vec<SharedMailbox>, StoreError>> + Send {
        ready(Ok(self.state().model.shared_with(identifiers)))
    }

    fn mailboxes(
        &self,
        account: &Account,
    ) -> impl Future<Output = Result<Vec<MailboxInfo>, StoreError>> + Send {
        ready(Ok(self.state().model.mailboxes(account)))
    }

    fn subscriptions(
        &self,
        account: &Account,
    ) -> impl Future<Output = Result<Vec<MailboxName>, StoreError>> + Send {
        ready(Ok(self.state().model.subscriptions(account)))
    }

    fn usage(&self, account: &Account) -> impl Future<Output = Result<Usage, StoreError>> + Send {
        ready(Ok(self.state().model.usage(account)))
    }

    fn snapshot(&self, mailbox: MailboxId) -> impl Future<Output = Result<Snapshot, StoreError>> + Send {
        ready(self.state().model.snapshot(mailbox))
    }

    fn scan(&self, mailbox: MailboxId, scan: Scan) -> impl Future<Output = Result<Page, StoreError>> + Send {
        ready(self.state().model.scan(mailbox, &scan))
    }

    fn vanished(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> impl Future<Output = Result<Vanished, StoreError>> + Send {
        ready(self.state().model.vanished(mailbox, since))
    }

    fn new_blob(&self) -> MemoryBlobWriter {
        MemoryBlobWriter {
            body: BytesMut::new(),
            hasher: BlobHasher::new(),
        }
    }

    fn read_blob(
        &self,
        blob: &BlobRef,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Bytes, StoreError>> + Send {
        ready(self.read(blob, range))
    }

    fn spool(
        &self,
        after: Option<SpoolKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SpoolEntry>, StoreError>> + Send {
        ready(Ok(self.state().model.spool(after, limit)))
    }

    fn subscribe(&self, account: &Account) -> Feed {
        self.hub.subscribe(account)
    }
}

/// Takes the bytes of a message for a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryBlobWriter {
    body: BytesMut,
    hasher: BlobHasher,
}

impl BlobWriter for MemoryBlobWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.hasher.update(&chunk);
        self.body.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(self) -> Result<BlobRef, StoreError> {
        let size = self.body.len() as u64;
        let pin = Arc::new(Body(self.body.freeze()));
        Ok(BlobRef::new(self.hasher.finish(), size).with_pin(pin))
    }
}

/// The bytes of a message, held by those who hold its reference.
struct Body(Bytes);
