//! How much is in the queue

use mailwright_mailbox::{SpoolKey, Store, StoreError};
use mailwright_queue::{Record, State, Timestamp};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Counts the queue when it is asked, and not more often than is good for the store.
#[derive(Debug, Default)]
pub(crate) struct QueueCensus(Mutex<Option<(Instant, QueueState)>>);

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct QueueState {
    /// Messages.
    pub(crate) messages: u64,
    /// Recipients that they are still to be delivered to.
    pub(crate) recipients: u64,
    /// The age of the oldest one, in seconds; zero if there is none.
    pub(crate) oldest: u64,
}

/// How long a count is used.
const FRESH: Duration = Duration::from_secs(10);
/// How many records are read at a time.
const PAGE: usize = 500;

impl QueueCensus {
    /// What is in the queue at this moment, or was a moment ago.
    pub(crate) async fn state<S: Store>(&self, store: &S, now: Timestamp) -> Result<QueueState, StoreError> {
        let mut known = self.0.lock().await;
        if let Some((at, state)) = *known
            && at.elapsed() < FRESH
        {
            return Ok(state);
        }
        let state = count(store, now).await?;
        *known = Some((Instant::now(), state));
        Ok(state)
    }
}

async fn count<S: Store>(store: &S, now: Timestamp) -> Result<QueueState, StoreError> {
    let mut state = QueueState::default();
    let mut after: Option<SpoolKey> = None;
    loop {
        let entries = store.spool(after, PAGE).await?;
        let Some(last) = entries.last() else {
            return Ok(state);
        };
        after = Some(last.key);
        for entry in &entries {
            state.messages += 1;
            // One that cannot be read is counted all the same: somebody has to look after it.
            let Ok(record) = Record::decode(&entry.record) else {
                continue;
            };
            let open = record
                .recipients
                .iter()
                .filter(|it| matches!(it.state, State::Queued { .. }));
            state.recipients += open.count() as u64;
            let age = now.unix_seconds().saturating_sub(record.arrival.unix_seconds());
            state.oldest = state.oldest.max(age);
        }
    }
}
