//! The journal: what became of every message, from its acceptance to its delivery or its bounce
//!
//! ```text
//!  smtp ─┐                     ┌─ DATA/trace/000123.jsonl ─┐
//!  queue ┼─▶ Journal ─▶ thread ┼─ DATA/trace/000124.jsonl ─┼─▶ find ─▶ mailwright trace
//!  queue ┘   (channel)         └─ DATA/trace/000125.jsonl ─┘
//! ```
//!
//! It holds envelopes, Message-IDs and replies, and nothing else that stands in messages. Each event is a line of
//! JSON, written within some milliseconds and synced every few seconds: the store is what keeps mail, the journal only
//! tells of it. So it never holds mail up: what finds the channel full is counted as lost.

mod event;
mod find;
mod write;

use crate::config::Config;
use crate::metrics::Metrics;
use mailwright_filter::client_network;
use mailwright_filter::rate::{Limiter, Rate};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
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
    /// How many refusals there are of each client.
    refusals: Mutex<Limiter<IpAddr>>,
}

/// What the thread that writes is told.
enum Entry {
    Line(Vec<u8>),
    /// Tell when all before it is on the disk.
    Sync(oneshot::Sender<()>),
}

/// How many events wait for the disk.
const WAITING: usize = 4096;
/// How many refusals of one client are put down: whoever is refused again and again shall not have all else forgotten.
const REFUSALS: u32 = 30;
/// Within which time.
const WHILE: Duration = Duration::from_secs(60);
/// Of how many clients they are counted.
const CLIENTS: usize = 10_000;

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
                refusals: Mutex::new(Limiter::new(Rate::new(REFUSALS, WHILE), CLIENTS)),
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

    /// Puts down that a client was refused before there was a message. Of one client there are 30 such events a minute at
    /// most; metrics count all of them.
    pub(crate) fn tell_refusal(&self, client: IpAddr, id: &str, what: impl FnOnce() -> What) {
        let Some(open) = &self.0 else { return };
        let client = client_network(client, 32, 64);
        let mut refusals = open.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = refusals.take(client, 1, Instant::now()).is_ok();
        drop(refusals);
        if has_room {
            self.tell(id, what);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_refused_again_and_again_does_not_fill_the_journal() {
        let data = tempfile::tempdir().expect("a folder");
        let config = Config::new("mail.a.test".parse().expect("a name"), data.path());
        let journal = Journal::open(&config, &Arc::default());
        let refuse = |client: [u8; 4], times: usize| {
            for n in 0..times {
                let id = format!("{}-{n}", client[3]);
                let reply = "550 no".to_owned();
                let (peer, protocol) = (IpAddr::from(client).to_string(), "smtp".to_owned());
                journal.tell_refusal(client.into(), &id, || What::TurnedAway {
                    peer,
                    protocol,
                    reply,
                });
            }
        };
        refuse([192, 0, 2, 1], 1000);
        refuse([192, 0, 2, 2], 1);
        journal.tell("7", || What::Done);
        journal.sync().await;
        let of = |what: &str| {
            let stories = find(&folder(data.path()), &Query::parse(what), 10_000);
            stories.expect("it is read").len()
        };
        // The machine may be so slow that a minute passes.
        assert!((30..200).contains(&of("192.0.2.1")), "{}", of("192.0.2.1"));
        assert_eq!((of("192.0.2.2"), of("::ffff:192.0.2.2"), of("7")), (1, 1, 1));
    }
}
