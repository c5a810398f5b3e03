//! Outgoing mail: the worker of the queue.
//!
//! ```text
//!  SMTP, submission, LMTP          ┌──────────────── worker ────────────────┐
//!       │ SpoolPut, 250            │                                        │
//!       ▼            notify        │  pages ─▶ Queue ─▶ attempts            │ one task each
//!     spool ──────────────────────▶│             ▲          │               ├──▶ route ─▶ SMTP ─▶ next host
//!       ▲                          │             └─ reports ┘               └──▶ mailbox here
//!       └── one commit: ───────────┤  updates                               │
//!           record, notice         └────────────────────────────────────────┘
//! ```
//!
//! The spool is the truth: what is in memory can be lost at any moment. An attempt whose outcome did not get into
//! the spool is made again, so a crash may duplicate a message, and never lose one.
//!
//! # Messages with 8 bits
//!
//! A server without 8BITMIME gets them as quoted-printable and base64 (RFC 6152 §3). A DKIM signature over the body
//! does not survive that: RFC 6376 §6.1 counts such a message as unsigned, and that is better than one that does not
//! arrive. What multipart/signed or multipart/encrypted holds is not touched, nor is a header with raw UTF-8; such
//! messages, and those above 16 MiB, come back (status 5.6.3).

mod attempt;
mod carry;
mod commit;
mod convert;
mod outcome;
mod own;
mod pool;
mod reports;
mod trust;

use crate::clock::timestamp as now;
use crate::http::Client;
use crate::journal::What;
use crate::metrics::{Task, counted, spawn};
use crate::orders::{Note, Reply, Waiting};
use crate::policies::{Keep, Policies};
use crate::random::entropy;
use crate::route::{Router, mx_config};
use crate::shared::{Live, Shared};
use attempt::Job;
use carry::Carrier;
use commit::Fate;
use mailwright_mailbox::{BlobRef, SpoolEntry, SpoolKey, Store, StoreError};
use mailwright_queue::{Attempt, Config, Fetch, Health, Key, Outcome, Pacing, Page, Queue, Report};
use pool::Pool;
use reports::Reports;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument as _;

pub(crate) use own::send_own;

pub use crate::orders::{Executed, Inbox, Order, OrderError, Orders};

/// Works the queue off until the server stops.
///
/// When [`Shutdown`](crate::shutdown::Shutdown) begins, attempts are broken off where that is safe; those that
/// wait for the word of the next host on a whole message, and commits, get the
/// [grace](crate::config::Limits::shutdown_grace) to end.
pub async fn run<S: Store>(live: Live<S>, inbox: Inbox) {
    let shared = live.current();
    let router = router(&shared, None);
    let reports = Reports::open(&shared.config);
    let reporting = reports
        .clone()
        .map(|reports| spawn(Task::Part, reports.run(live.clone())));
    let worker = Worker::new(shared, router, reports.clone(), inbox);
    worker.run(live).await;
    if let Some(reporting) = reporting {
        // It ends with the server, and what came after that is kept below.
        let _ = reporting.await;
    }
    if let Some(reports) = reports {
        reports.keep().await;
    }
}

/// How many changes are committed at once. They share their syncs.
const MAX_COMMITS: usize = 256;
/// How long the spool is left alone after it could not be read.
const READ_AGAIN: Duration = Duration::from_secs(5);

struct Worker<S: Store> {
    shared: Arc<Shared<S>>,
    router: Router,
    pool: Pool,
    reports: Option<Arc<Reports>>,
    queue: Queue,
    /// The bodies of the messages in memory, and of some that were: read with their records, so that an attempt need
    /// not look for them.
    bodies: HashMap<Key, BlobRef>,
    attempts: JoinSet<Report>,
    running: HashMap<Id, Arc<Attempt>>,
    commits: JoinSet<(Key, Fate)>,
    /// The page that is being read, if one is.
    pages: JoinSet<(Page, Result<Vec<SpoolEntry>, StoreError>)>,
    inbox: Inbox,
    /// The records that are read for the sake of orders.
    fetches: JoinSet<Fetched>,
    waiting: Waiting,
}

/// A record that was read for an order.
type Fetched = (Fetch, Result<Option<SpoolEntry>, StoreError>, Order, Reply);

impl<S: Store> Worker<S> {
    fn new(shared: Arc<Shared<S>>, router: Router, reports: Option<Arc<Reports>>, inbox: Inbox) -> Self {
        let seed = u64::from_ne_bytes(entropy());
        let queue = Queue::new(queue_config(&shared.config.queue), seed);
        Self {
            shared,
            router,
            pool: Pool::default(),
            reports,
            queue,
            bodies: HashMap::new(),
            attempts: JoinSet::new(),
            running: HashMap::new(),
            commits: JoinSet::new(),
            pages: JoinSet::new(),
            inbox,
            fetches: JoinSet::new(),
            waiting: Waiting::default(),
        }
    }

    async fn run(mut self, live: Live<S>) {
        let shutdown = self.shared.shutdown.clone();
        let mut reloads = live.subscribe();
        let mut stop_at: Option<Instant> = None;
        loop {
            let stopping = stop_at.is_some();
            self.hand_out(stopping);
            if stopping && self.attempts.is_empty() && self.commits.is_empty() {
                break;
            }
            let wake_at = stop_at.or_else(|| self.wake_at());
            tokio::select! {
                biased;
                () = shutdown.begun(), if !stopping => {
                    stop_at = Some(Instant::now() + self.shared.config.limits.shutdown_grace);
                }
                () = shutdown.over(), if stopping => break,
                Ok(()) = reloads.changed(), if !stopping => {
                    let shared = reloads.borrow_and_update().clone();
                    self.reloaded(shared);
                }
                Some(ended) = self.commits.join_next() => self.committed(ended),
                Some(ended) = self.attempts.join_next_with_id() => self.attempted(ended),
                Some(read) = self.pages.join_next(), if !stopping => self.page_read(read),
                Some(fetched) = self.fetches.join_next() => self.fetched(fetched),
                Some(note) = self.inbox.receiver.recv(), if !stopping => self.note(note),
                () = self.shared.spooled.notified(), if !stopping => self.queue.arrived(),
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                    if stopping {
                        break;
                    }
                }
            }
        }
        self.pool.clear();
        let (attempts, commits) = (self.attempts.len(), self.commits.len());
        if attempts + commits > 0 {
            tracing::warn!(
                attempts,
                commits,
                "the queue was stopped in the middle; this is tried again"
            );
        }
    }

    /// Takes up another configuration; attempts under way go on as they began.
    fn reloaded(&mut self, shared: Arc<Shared<S>>) {
        self.router = router(&shared, Some((&self.shared, &self.router)));
        self.queue.configure(queue_config(&shared.config.queue));
        // What is open goes to where routes led before.
        self.pool.clear();
        self.shared = shared;
    }

    /// Starts all that the queue has to do at this moment.
    fn hand_out(&mut self, stopping: bool) {
        let now = now();
        if !stopping {
            if let Some(page) = self.queue.next_page(now) {
                self.pages
                    .spawn(counted(Task::Spool, read(self.shared.clone(), page)));
            }
            while let Some(attempt) = self.queue.due(now) {
                let attempt = Arc::new(attempt);
                let carrier = Carrier {
                    shared: self.shared.clone(),
                    pool: self.pool.clone(),
                };
                let job = Job::new(
                    carrier,
                    self.router.clone(),
                    self.reports.clone(),
                    attempt.clone(),
                    self.bodies.get(&attempt.key()).cloned(),
                );
                let span = tracing::info_span!("message", id = %attempt.record().id);
                let running = job.run().instrument(span);
                let task = self.attempts.spawn(counted(Task::Attempt, running));
                self.running.insert(task.id(), attempt);
            }
        }
        while self.commits.len() < MAX_COMMITS
            && let Some(update) = self.queue.poll_update(now)
        {
            let key = update.key;
            let body = self.bodies.get(&key).cloned();
            let id = self.queue.record(key).map(|record| record.id.clone());
            let id = id.unwrap_or_default();
            let span = tracing::info_span!("message", %id);
            let work = commit::persist(self.shared.clone(), id, update, body).instrument(span);
            self.commits
                .spawn(counted(Task::Commit, async move { (key, work.await) }));
        }
    }

    /// When the queue has something to do by the clock alone.
    fn wake_at(&self) -> Option<Instant> {
        let deadline = self.queue.deadline()?;
        let wait = deadline.after(now());
        // What could be done was done; what is left for this moment waits for room, and that wakes.
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        Some(Instant::now() + wait)
    }

    fn attempted(&mut self, ended: Result<(Id, Report), JoinError>) {
        let (id, report) = match ended {
            Ok((id, report)) => (id, Some(report)),
            Err(error) => {
                tracing::error!(%error, "an attempt broke down");
                (error.id(), None)
            }
        };
        let Some(attempt) = self.running.remove(&id).and_then(Arc::into_inner) else {
            return;
        };
        let report = report.unwrap_or_else(|| {
            let outcomes = attempt
                .recipients()
                .map(|_| Outcome::Temporary(outcome::internal("internal error")));
            Report::new(outcomes, Health::Unknown)
        });
        self.queue.finished(now(), attempt, report);
    }

    fn committed(&mut self, ended: Result<(Key, Fate), JoinError>) {
        match ended {
            Ok((key, fate)) => {
                if fate == Fate::Gone {
                    self.queue.discard(now(), key);
                }
                self.queue.committed(now(), key);
                if self.queue.record(key).is_none() {
                    self.bodies.remove(&key);
                }
                if self.queue.is_settled(key) {
                    self.waiting.settled(key);
                }
            }
            // Its message stays as it is in the spool, and is not touched again before the next start.
            Err(error) => tracing::error!(%error, "a commit of the queue broke down"),
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Running(mut keys, reply) => {
                keys.retain(|key| self.queue.is_running(*key));
                // Who asked may have gone.
                let _ = reply.send(keys);
            }
            Note::Execute(key, order, reply) => {
                if self.queue.record(key).is_some() {
                    return self.execute(key, &order, reply);
                }
                let (fetch, shared) = (self.queue.fetch(key), self.shared.clone());
                let fetched = async move { (fetch, entry(&shared.store, key).await, order, reply) };
                self.fetches.spawn(counted(Task::Spool, fetched));
            }
        }
    }

    fn fetched(&mut self, fetched: Result<Fetched, JoinError>) {
        let (fetch, read, order, reply) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => return tracing::error!(%error, "reading a record broke down"),
        };
        let key = fetch.key;
        let record = read.as_ref().ok().and_then(Option::as_ref);
        let known = self
            .queue
            .fetched(now(), fetch, record.map(|entry| &*entry.record));
        if let (Ok(true), Ok(Some(entry))) = (&known, &read) {
            self.remember(key, entry.blob.as_ref());
        }
        // Who asked may have gone.
        let _ = match (known, read) {
            (Ok(true), _) => return self.execute(key, &order, reply),
            // What cannot be read can still be removed.
            (Err(_), Ok(Some(_))) if order == Order::Drop => {
                let shared = self.shared.clone();
                spawn(Task::Commit, async move {
                    reply.send(commit::remove(&shared, key).await)
                });
                return;
            }
            (Err(error), _) => reply.send(Err(OrderError::Unreadable(error))),
            (Ok(false), Err(error)) => reply.send(Err(error.into())),
            (Ok(false), Ok(_)) => reply.send(Ok(Executed::NoSuchMessage)),
        };
    }

    /// Keeps where the body of a message is, if the message is in memory.
    fn remember(&mut self, key: Key, body: Option<&BlobRef>) {
        if let Some(body) = body.filter(|_| self.queue.record(key).is_some()) {
            self.bodies.insert(key, body.clone());
        }
    }

    /// Carries out an order on a message in memory.
    fn execute(&mut self, key: Key, order: &Order, reply: Reply) {
        let executed = match order {
            Order::Edit(edit) => self.queue.edit(now(), key, edit).map(Executed::Edited),
            Order::Drop => {
                if let Some(record) = self.queue.record(key) {
                    self.shared.journal.tell(&record.id, || What::Dropped);
                }
                self.queue.discard(now(), key).then_some(Executed::Dropped)
            }
        };
        self.waiting
            .add(key, executed.unwrap_or(Executed::NoSuchMessage), reply);
        if self.queue.is_settled(key) {
            self.waiting.settled(key);
        }
    }

    fn page_read(&mut self, read: Result<(Page, Result<Vec<SpoolEntry>, StoreError>), JoinError>) {
        match read {
            Ok((page, Ok(entries))) => {
                let (mut records, mut bodies) = (Vec::new(), Vec::new());
                for entry in entries {
                    let key = Key::new(entry.key.value());
                    records.push((key, entry.record));
                    bodies.push((key, entry.blob));
                }
                for (key, error) in self.queue.loaded(now(), page, records) {
                    tracing::error!(%key, %error, "a message in the queue cannot be read; it is kept");
                }
                for (key, body) in bodies {
                    self.remember(key, body.as_ref());
                }
                // Messages leave memory for the sake of others, and nobody says which.
                if self.bodies.len() > 2 * self.queue.len() + self.queue.config().page {
                    self.bodies.retain(|key, _| self.queue.record(*key).is_some());
                }
            }
            Ok((page, Err(error))) => {
                tracing::error!(%error, "the queue cannot be read");
                self.queue.not_loaded(page);
            }
            Err(error) => tracing::error!(%error, "reading the queue broke down"),
        }
    }
}

/// The router of a configuration. The policies of the one `before` are taken along if they are got in the same way.
fn router<S>(shared: &Shared<S>, before: Option<(&Shared<S>, &Router)>) -> Router {
    let dns = shared.dns.clone();
    let outbound = &shared.config.outbound;
    let same = before.filter(|(old, _)| {
        let ways = &old.config.outbound;
        (ways.https_port, &ways.ca) == (outbound.https_port, &outbound.ca) && dns.is_same(&old.dns)
    });
    let policies = same.and_then(|(_, router)| router.policies().cloned());
    let policies = policies.unwrap_or_else(|| {
        let client = Client::new(dns.clone(), shared.tls.verified());
        let keep = Keep::ReadAndWrite(shared.config.policies_file());
        Policies::new(client, outbound.https_port, keep)
    });
    Router::new(dns, mx_config(&shared.config)).with_policies(policies)
}

async fn read<S: Store>(shared: Arc<Shared<S>>, page: Page) -> (Page, Result<Vec<SpoolEntry>, StoreError>) {
    let after = page.after.map(|key| SpoolKey::new(key.get()));
    let entries = shared.store.spool(after, page.limit).await;
    if entries.is_err() {
        sleep(READ_AGAIN).await;
    }
    (page, entries)
}

/// The entry of one message, if it is still there.
pub(crate) async fn entry<S: Store>(store: &S, key: Key) -> Result<Option<SpoolEntry>, StoreError> {
    let before = key.get().checked_sub(1).map(SpoolKey::new);
    let entries = store.spool(before, 1).await?;
    Ok(entries.into_iter().find(|entry| entry.key.value() == key.get()))
}

fn queue_config(settings: &crate::config::QueueConfig) -> Config {
    let mut config = Config::default();
    config.retry = settings.retry.clone();
    config.expire_after = settings.expire;
    config.warn_after = settings.delay_notice;
    config.max_attempts = settings.connections;
    config.destination_max = settings.connections_per_destination;
    config.destination_start = config.destination_start.min(config.destination_max);
    config.destination_rate = settings.rate;
    config.destinations = settings
        .destinations
        .iter()
        .map(|(domain, limits)| {
            let max = limits.connections.unwrap_or(config.destination_max);
            let rate = limits.rate.or(config.destination_rate);
            let pacing = Pacing::new(config.destination_start.min(max), max, rate);
            (domain.to_string().to_lowercase(), pacing)
        })
        .collect();
    // A destination never rests longer than a message to it would have waited anyway.
    let first = config.backoff(1, 0.0);
    let last = config.backoff(u32::MAX, 0.0);
    config.pause_first = config.pause_first.min(first);
    config.pause_max = config.pause_max.min(last.max(first));
    config
}
