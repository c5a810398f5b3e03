//! Orders of the operator to the queue's worker.

use mailwright_mailbox::StoreError;
use mailwright_queue::{Edit, Edited, Key};
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};

/// To whom it is told what became of an order.
pub(crate) type Reply = oneshot::Sender<Result<Executed, OrderError>>;

/// What an operator may do to a message in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // changed or removed
pub enum Order {
    /// Change its record.
    Edit(Edit),
    /// Remove it, and tell nobody.
    Drop,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // it was carried out, or there was nothing to carry it out on
pub enum Executed {
    /// It was carried out, and the spool has it.
    Edited(Edited),
    /// The message was removed.
    Dropped,
    /// There is no such message.
    NoSuchMessage,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The queue's worker has ended.
    #[error("the queue is not worked off: the server is stopping")]
    Stopped,
    /// The record cannot be read.
    #[error("the record of the message cannot be read: {0}")]
    Unreadable(mailwright_queue::Error),
    /// The store failed.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

/// How orders reach the worker of a running server.
#[derive(Debug, Clone)]
pub struct Orders {
    sender: mpsc::Sender<Note>,
}

/// The worker's end of [`Orders`].
#[derive(Debug)]
pub struct Inbox {
    pub(crate) receiver: mpsc::Receiver<Note>,
}

/// One thing that is asked of the worker.
#[derive(Debug)]
pub(crate) enum Note {
    Execute(Key, Order, Reply),
    Running(Vec<Key>, oneshot::Sender<Vec<Key>>),
}

/// How many orders wait for the worker at most; who has more to say waits with it.
const WAITING: usize = 64;

impl Orders {
    /// Makes the way from operators to a worker.
    pub fn new() -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender }, Inbox { receiver })
    }

    /// Has an order carried out; returns when the spool has it.
    ///
    /// # Errors
    ///
    /// When the worker has ended, or the record cannot be read.
    pub async fn execute(&self, key: Key, order: Order) -> Result<Executed, OrderError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.sender.send(Note::Execute(key, order, reply)).await;
        sent.map_err(|_| OrderError::Stopped)?;
        answer.await.map_err(|_| OrderError::Stopped)?
    }

    /// Which of these messages are being delivered at this moment.
    ///
    /// # Errors
    ///
    /// When the worker has ended.
    pub async fn running(&self, keys: Vec<Key>) -> Result<Vec<Key>, OrderError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.sender.send(Note::Running(keys, reply)).await;
        sent.map_err(|_| OrderError::Stopped)?;
        answer.await.map_err(|_| OrderError::Stopped)
    }
}

/// Who waits for the spool to have what was ordered.
#[derive(Debug, Default)]
pub(crate) struct Waiting(HashMap<Key, Vec<(Executed, Reply)>>);

impl Waiting {
    pub(crate) fn add(&mut self, key: Key, executed: Executed, reply: Reply) {
        self.0.entry(key).or_default().push((executed, reply));
    }

    /// Tells those who wait for a message.
    pub(crate) fn settled(&mut self, key: Key) {
        for (executed, reply) in self.0.remove(&key).into_iter().flatten() {
            // Who asked may have gone.
            let _ = reply.send(Ok(executed));
        }
    }
}
