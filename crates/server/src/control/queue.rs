//! The queue at the control socket, and in a data folder where no server runs.

use crate::metrics::{Task, counted};
use crate::outbound::{self, Executed, Order, OrderError, Orders};
use crate::shared::Shared;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_mailbox::{Batch, CommitError, Op, SpoolEntry, SpoolKey, Store, StoreError};
use mailwright_queue::{Edit, Edited, Key, Record, State, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;
use tokio::task::JoinSet;

/// What may be asked of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Request {
    /// Messages in the order of their keys; answered by a [`Messages`].
    List(List),
    /// All that is known of one message; answered by a [`Message`].
    Show {
        /// Its key in the queue.
        key: u64,
    },
    /// Changes messages; answered by a [`Changes`].
    Change {
        /// Which, at most [`Request::MAX_KEYS`].
        keys: Vec<u64>,
        /// How.
        #[serde(flatten)]
        change: Change,
    },
}

impl Request {
    /// The most messages that one request changes.
    pub const MAX_KEYS: usize = 500;
}

/// A stretch of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct List {
    /// Those behind this key; from the beginning if there is none.
    pub after: Option<u64>,
    /// How many at most, up to 500.
    pub limit: usize,
    /// Which of them.
    #[serde(flatten)]
    pub filter: Filter,
}

/// Which messages are meant: those that have all that is set here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Filter {
    /// The name in logs.
    pub id: Option<String>,
    /// The sender's address, or `<>`.
    pub from: Option<String>,
    /// A recipient's address, or `@domain`; of those still to be delivered.
    pub to: Option<String>,
    /// What it is doing.
    pub state: Option<Doing>,
    /// It came before this moment, in seconds since 1970.
    pub before: Option<u64>,
}

/// What a message in the queue is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Doing {
    /// It waits for its first attempt.
    Queued,
    /// It waits for another attempt.
    Deferred,
    /// It rests until it is released.
    Held,
    /// An attempt is running.
    Active,
}

/// How a message is changed by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// It rests until it is released. It expires all the same.
    Hold {},
    /// It goes on.
    Release {},
    /// It is tried at once.
    Retry {},
    /// It is given up at once, and its sender is told.
    Bounce {},
    /// It is removed, and nobody is told.
    Drop {},
    /// It goes to somebody else.
    Redirect {
        /// In place of this recipient; in place of all if there is none.
        from: Option<String>,
        /// To whom.
        to: String,
    },
}

/// A page of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Messages {
    /// The messages, with their first [`Message::SHOWN`] recipients and without history.
    pub messages: Vec<Message>,
    /// Where to go on, as the next `after`; `None` at the end.
    pub next: Option<u64>,
}

/// A message in the queue. Moments are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Its key in the queue.
    pub key: u64,
    /// Its name in logs.
    pub id: String,
    /// The sender; `<>` for none.
    pub from: String,
    /// The account that submitted it.
    pub origin: Option<String>,
    /// Its octets.
    pub size: u64,
    /// When it came.
    pub arrival: u64,
    /// When it is given up.
    pub expires: u64,
    /// When the next attempt may be.
    pub due: Option<u64>,
    /// What it is doing.
    pub doing: Doing,
    /// How many recipients it has.
    pub recipients: usize,
    /// The recipients, those still to be delivered first.
    pub to: Vec<Recipient>,
    /// What happened, oldest first.
    pub history: Vec<(u64, String)>,
}

impl Message {
    /// How many recipients a list shows.
    pub const SHOWN: usize = 5;
    /// How many recipients are shown of one message.
    pub const SHOWN_ALONE: usize = 5000;
}

/// A recipient of a message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// What the sender called it, if it is another one.
    pub original: Option<String>,
    /// `queued`, `delivered` or `failed`.
    pub state: String,
    /// How many attempts have failed, while it is queued.
    pub attempts: u32,
    /// The next attempt, while it is queued.
    pub due: Option<u64>,
    /// Why the last attempt failed.
    pub why: Option<String>,
}

/// What became of a [`Change`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Changes {
    /// By key.
    pub done: Vec<(u64, Changed)>,
}

/// What became of the change of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Changed {
    /// It is so.
    Done,
    /// Recipients that are being delivered at this moment stay as they are.
    Partly,
    /// It was so before.
    Unchanged,
    /// There is no such message.
    NoSuchMessage,
    /// It was not possible, for this reason.
    Failed(String),
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// The store failed.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// The store could not write.
    #[error("the store: {0}")]
    Commit(#[from] CommitError),
    /// The message is not there.
    #[error("there is no message {0} in the queue")]
    NoSuchMessage(u64),
    /// Its record is damaged.
    #[error("the record of message {0} cannot be read: {1}")]
    Unreadable(u64, mailwright_queue::Error),
    /// More messages than one request may change.
    #[error("more than {} messages in one request", Request::MAX_KEYS)]
    TooMany,
    /// An address is none.
    #[error("{0}: {1}")]
    Address(String, mailwright_address::ParseError),
    /// The reply cannot be written.
    #[error("{0}")]
    Reply(#[from] serde_json::Error),
}

/// Where the queue is looked after: that of a running server, or that in a store nobody else has open.
#[derive(Debug)]
pub struct Desk<'a, S> {
    store: &'a S,
    orders: Option<&'a Orders>,
}

/// How many records one request looks at.
const LOOKED_AT: usize = 20_000;
/// How many are read at once.
const PAGE: usize = 500;

impl<'a, S: Store> Desk<'a, S> {
    /// The queue of a running server.
    pub fn of_server(shared: &'a Shared<S>) -> Self {
        Self {
            store: &shared.store,
            orders: Some(&shared.orders),
        }
    }

    /// The queue in a store; no server must have it open.
    pub fn of_store(store: &'a S) -> Self {
        Self { store, orders: None }
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// When the store fails, or what is asked for is not there.
    pub async fn answer(&self, request: Request) -> Result<Value, DeskError> {
        Ok(match request {
            Request::List(list) => serde_json::to_value(self.list(list).await?)?,
            Request::Show { key } => serde_json::to_value(self.show(key).await?)?,
            Request::Change { keys, change } => serde_json::to_value(self.change(keys, change).await?)?,
        })
    }

    async fn list(&self, list: List) -> Result<Messages, DeskError> {
        let limit = list.limit.clamp(1, PAGE);
        let mut page = Messages {
            messages: Vec::new(),
            next: list.after,
        };
        let mut looked_at = 0;
        while page.messages.len() < limit && looked_at < LOOKED_AT {
            let entries = self.store.spool(page.next.map(SpoolKey::new), PAGE).await?;
            let running = self.running(&entries).await;
            let is_end = entries.len() < PAGE;
            looked_at += entries.len();
            for entry in &entries {
                if page.messages.len() >= limit {
                    return Ok(page);
                }
                let key = entry.key.value();
                page.next = Some(key);
                // The log has told of records that cannot be read.
                let Ok(record) = Record::decode(&entry.record) else {
                    continue;
                };
                let doing = doing(&record, running.contains(&Key::new(key)));
                if list.filter.takes(&record, doing) {
                    page.messages.push(message(key, &record, doing, Message::SHOWN));
                }
            }
            if is_end {
                page.next = None;
                break;
            }
        }
        Ok(page)
    }

    async fn show(&self, key: u64) -> Result<Message, DeskError> {
        let entry = outbound::entry(self.store, Key::new(key)).await?;
        let entry = entry.ok_or(DeskError::NoSuchMessage(key))?;
        let record = Record::decode(&entry.record).map_err(|error| DeskError::Unreadable(key, error))?;
        let running = self.running(std::slice::from_ref(&entry)).await;
        let doing = doing(&record, !running.is_empty());
        let mut message = message(key, &record, doing, Message::SHOWN_ALONE);
        let entry =
            |entry: &mailwright_queue::HistoryEntry| (entry.at.unix_seconds(), entry.text.to_string());
        message.history = record.history.iter().map(entry).collect();
        Ok(message)
    }

    async fn change(&self, keys: Vec<u64>, change: Change) -> Result<Changes, DeskError> {
        if keys.len() > Request::MAX_KEYS {
            return Err(DeskError::TooMany);
        }
        let order = change.order()?;
        let mut done = match self.orders {
            Some(orders) => ordered(orders, keys, &order).await,
            None => self.execute(keys, &order).await?,
        };
        done.sort_by_key(|(key, _)| *key);
        Ok(Changes { done })
    }

    /// Those of some messages that are being delivered at this moment.
    async fn running(&self, entries: &[SpoolEntry]) -> HashSet<Key> {
        let Some(orders) = self.orders else {
            return HashSet::new();
        };
        let keys = entries.iter().map(|entry| Key::new(entry.key.value())).collect();
        // A queue that is not worked off has nothing running.
        orders
            .running(keys)
            .await
            .unwrap_or_default()
            .into_iter()
            .collect()
    }

    /// Carries out an order where nobody else does, in one commit.
    async fn execute(&self, keys: Vec<u64>, order: &Order) -> Result<Vec<(u64, Changed)>, DeskError> {
        let mut batch = Batch::new(crate::unix_now());
        let mut done = Vec::with_capacity(keys.len());
        for key in keys {
            let entry = outbound::entry(self.store, Key::new(key)).await?;
            let changed = match (entry, order) {
                (None, _) => Changed::NoSuchMessage,
                (Some(entry), Order::Drop) => {
                    batch.push(Op::SpoolRemove { key: entry.key });
                    Changed::Done
                }
                (Some(entry), Order::Edit(edit)) => match Record::decode(&entry.record) {
                    Ok(mut record) => {
                        let edited = record.edit(crate::clock::timestamp(), edit);
                        batch.push(Op::SpoolPut {
                            key: Some(entry.key),
                            record: record.encode(),
                            blob: entry.blob,
                        });
                        edited.into()
                    }
                    Err(error) => Changed::Failed(OrderError::Unreadable(error).to_string()),
                },
            };
            done.push((key, changed));
        }
        self.store.commit(batch).await?;
        Ok(done)
    }
}

/// Has the worker of a running server carry out an order. All wait together: they share their commits.
async fn ordered(orders: &Orders, keys: Vec<u64>, order: &Order) -> Vec<(u64, Changed)> {
    let mut running = JoinSet::new();
    for key in keys {
        let (orders, order) = (orders.clone(), order.clone());
        running.spawn(counted(Task::Control, async move {
            let changed = match orders.execute(Key::new(key), order).await {
                Ok(Executed::Edited(edited)) => edited.into(),
                Ok(Executed::Dropped) => Changed::Done,
                Ok(Executed::NoSuchMessage) => Changed::NoSuchMessage,
                Err(error) => Changed::Failed(error.to_string()),
            };
            (key, changed)
        }));
    }
    running.join_all().await
}

impl From<Edited> for Changed {
    fn from(edited: Edited) -> Self {
        match edited {
            Edited::Done => Self::Done,
            Edited::Partly => Self::Partly,
            Edited::Unchanged => Self::Unchanged,
        }
    }
}

impl Change {
    fn order(self) -> Result<Order, DeskError> {
        let address =
            |text: String| EmailAddress::parse(&text).map_err(|error| DeskError::Address(text, error));
        Ok(Order::Edit(match self {
            Self::Hold {} => Edit::Hold,
            Self::Release {} => Edit::Release,
            Self::Retry {} => Edit::Retry,
            Self::Bounce {} => Edit::GiveUp,
            Self::Drop {} => return Ok(Order::Drop),
            Self::Redirect { from, to } => Edit::Redirect {
                from: from.map(address).transpose()?,
                to: address(to)?,
            },
        }))
    }
}

impl Filter {
    /// Whether a message is meant.
    fn takes(&self, record: &Record, doing: Doing) -> bool {
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        let from = match &record.reverse_path {
            ReversePath::Address(address) => address.as_str(),
            ReversePath::Null => "<>",
        };
        let is_to = |to: &String| {
            record
                .recipients
                .iter()
                .filter(|r| r.is_queued())
                .any(|recipient| match to.strip_prefix('@') {
                    Some(domain) => same(&recipient.destination().to_string(), domain),
                    None => same(recipient.address.as_str(), to),
                })
        };
        self.id.as_ref().is_none_or(|id| **id == *record.id)
            && self.from.as_ref().is_none_or(|wanted| same(from, wanted))
            && self.to.as_ref().is_none_or(is_to)
            && self.state.is_none_or(|state| state == doing)
            && self
                .before
                .is_none_or(|before| record.arrival.unix_seconds() < before)
    }
}

fn doing(record: &Record, is_running: bool) -> Doing {
    let tried = |recipient: &mailwright_queue::Recipient| {
        matches!(recipient.state, State::Queued { attempts: 1.., .. })
    };
    match () {
        () if is_running => Doing::Active,
        () if record.held => Doing::Held,
        () if record.recipients.iter().any(tried) => Doing::Deferred,
        () => Doing::Queued,
    }
}

fn message(key: u64, record: &Record, doing: Doing, shown: usize) -> Message {
    let seconds = Timestamp::unix_seconds;
    let due = record
        .recipients
        .iter()
        .filter_map(mailwright_queue::Recipient::due)
        .min();
    let (queued, others): (Vec<_>, Vec<_>) = record.recipients.iter().partition(|r| r.is_queued());
    Message {
        key,
        id: record.id.to_string(),
        from: match &record.reverse_path {
            ReversePath::Address(address) => address.to_string(),
            ReversePath::Null => "<>".into(),
        },
        origin: record.origin.as_deref().map(Into::into),
        size: record.size,
        arrival: seconds(record.arrival),
        expires: seconds(record.expires),
        due: due.filter(|_| !record.held).map(seconds),
        doing,
        recipients: record.recipients.len(),
        to: queued
            .into_iter()
            .chain(others)
            .take(shown)
            .map(recipient)
            .collect(),
        history: Vec::new(),
    }
}

fn recipient(recipient: &mailwright_queue::Recipient) -> Recipient {
    let (state, attempts, why) = match &recipient.state {
        State::Queued { attempts, last, .. } => ("queued", *attempts, last.as_ref()),
        State::Delivered { .. } => ("delivered", 0, None),
        State::Failed { why, .. } => ("failed", 0, Some(why)),
    };
    let original = recipient.original.as_ref().map(|original| &*original.address);
    Recipient {
        address: recipient.address.to_string(),
        original: original
            .filter(|o| *o != recipient.address.as_str())
            .map(Into::into),
        state: state.into(),
        attempts,
        due: recipient.due().map(Timestamp::unix_seconds),
        why: why.map(ToString::to_string),
    }
}
