//! Work that takes long: apart from the threads that serve connections, a few at a time, and with word of how it goes
//! (RFC 9585)

use super::backend::{Backend, Failure};
use super::session::{Session, Stop};
use crate::workers::Workers;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// What became of a piece of work.
pub(super) async fn joined<T>(work: JoinHandle<T>) -> Result<T, Failure> {
    work.await.map_err(|error| Failure::Broken(error.to_string()))
}

/// A command at work.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) workers: Workers,
    done: AtomicU32,
    total: Option<u32>,
}

impl Work {
    /// Begins something that has `total` steps, if that is known.
    pub(super) fn new(workers: &Workers, total: Option<u32>) -> Self {
        Self {
            workers: workers.clone(),
            done: AtomicU32::new(0),
            total,
        }
    }

    /// A step that has steps of its own, which are not told.
    pub(super) fn part(&self) -> Self {
        Self::new(&self.workers, None)
    }

    /// Notes steps that are done.
    pub(super) fn advance(&self, steps: usize) {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let done = self.done.load(Relaxed).saturating_add(steps);
        self.done.store(done.min(self.total.unwrap_or(u32::MAX)), Relaxed);
    }

    /// Notes that all steps up to this one are done.
    pub(super) fn reach(&self, step: u32) {
        self.done.fetch_max(step, Relaxed);
    }
}

impl<B: Backend> Session<B> {
    /// A command with so many steps, if that is known.
    pub(super) fn work(&self, total: Option<u32>) -> Work {
        Work::new(&self.workers, total)
    }

    /// The number of messages that the client knows.
    pub(super) fn exists(&mut self) -> u32 {
        self.conn
            .machine()
            .view()
            .map_or(0, mailwright_imap::View::exists)
    }

    /// Waits for what takes long, and tells the client every while that it goes on.
    pub(super) async fn wait_for<T>(
        &mut self,
        work: &Work,
        doing: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Stop> {
        let mut doing = pin!(doing);
        let every = self.progress_interval;
        let mut tick = interval_at(Instant::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut telling = false;
        loop {
            tokio::select! {
                biased;
                done = &mut doing => return Ok(done?),
                // With the question open, this comes back when all was sent.
                turn = self.conn.next(), if telling => {
                    turn?;
                    telling = false;
                }
                _ = tick.tick() => {
                    let done = work.total.map(|_| work.done.load(Relaxed));
                    self.conn.machine().in_progress(done, work.total);
                    telling = true;
                }
            }
        }
    }
}
