//! The journal: what became of every message, from its acceptance to its delivery or its bounce
//!
//! ```text
//!  smtp ─┐                     ┌─ DATA/trace/000123.jsonl ─┐
//!  queue ┼─▶ Journal ─▶ thread ┼─ DATA/trace/000124.jsonl ─┼─▶ find ─▶ mailwright trace
//!  queue ┘   (channel)         └─ DATA/trace/000125.jsonl ─┘
//! ```
//!
//! It holds envelopes, Message-IDs and replies, and nothing else that stands in messages. Each event is a line of
//! JSON, written when it happens and synced every few seconds: the store is what keeps mail, the journal only tells of
//! it. So it never holds mail up: what finds the channel full is counted as lost.

mod event;
mod find;
mod write;

use crate::config::Config;
use crate::metrics::Metrics;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use write::Writer;

pub use event::{Event, Fate, Tried, What};
pub use find::{Query, Story, find};

/// Where events are put down. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    lines: SyncSender<Entry>,
    metrics: Arc<Metrics>,
}

/// What the thread that writes is told.
enum Entry {
    Line(Vec<u8>),
    /// Tell when all before it is on the disk.
    Sync(oneshot::Sender<()>),
}

/// How many events wait for the disk.
const WAITING: usize = 4096;

/// The folder of the journal in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("trace")
}

impl Journal {
    /// The journal of a server, if it keeps one. The folder is made with the first event.
    pub(crate) fn open(config: &Config, metrics: &Arc<Metrics>) -> Self {
        let settings = &config.observing.trace;
        if !settings.enabled {
            return Self::default();
        }
        let (lines, waiting) = sync_channel(WAITING);
        let writer = Writer::new(folder(&config.data), settings.clone(), metrics.clone());
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&waiting));
        match thread {
            Ok(_) => Self(Some(Arc::new(Open {
                lines,
                metrics: metrics.clone(),
            }))),
            Err(error) => {
                tracing::error!("there is no journal of messages: cannot start its thread: {error}");
                Self::default()
            }
        }
    }

    /// Puts down what happens to a message at this moment.
    pub(crate) fn tell(&self, id: &str, what: impl FnOnce() -> What) {
        let Some(open) = &self.0 else { return };
        let event = Event {
            at: now(),
            id: id.to_owned(),
            what: what(),
        };
        let Ok(mut line) = serde_json::to_vec(&event) else {
            return open.metrics.untold.count();
        };
        line.push(b'\n');
        if open.lines.try_send(Entry::Line(line)).is_err() {
            open.metrics.untold.count();
        }
    }

    /// Waits until all that was put down is on the disk.
    pub(crate) async fn sync(&self) {
        let Some(open) = self.0.clone() else { return };
        let (sender, synced) = oneshot::channel();
        let sent = tokio::task::spawn_blocking(move || open.lines.send(Entry::Sync(sender)).is_ok());
        if sent.await.unwrap_or(false) {
            // Who does not answer has ended.
            let _ = synced.await;
        }
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
