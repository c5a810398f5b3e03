//! Threads that check passwords, and do nothing else.
//!
//! A memory-hard hash takes a core and 19 MiB for a while. A few threads with memory of their own bound both,
//! however many clients log in at once; the others wait their turn and cost nothing.

use super::password;
use mailwright_sasl::Secret;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a thread keeps its memory when nobody logs in.
const KEEP_MEMORY: Duration = Duration::from_secs(10);

/// Checks passwords, a few at a time. Its threads end when it is dropped.
#[derive(Debug)]
pub(super) struct Checker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    password: Secret,
    hash: Arc<str>,
    answer: oneshot::Sender<bool>,
}

impl Checker {
    /// Starts so many threads.
    pub(super) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        for _ in 0..threads.max(1) {
            let shared = shared.clone();
            let name = "passwords".to_owned();
            if let Err(error) = std::thread::Builder::new()
                .name(name)
                .spawn(move || shared.work())
            {
                tracing::error!("cannot start a thread for passwords: {error}");
            }
        }
        Self { shared }
    }

    /// Whether `password` is the one of `hash`. Gives up its turn when the future is dropped.
    pub(super) async fn check(&self, password: Secret, hash: Arc<str>) -> bool {
        let (answer, answered) = oneshot::channel();
        self.shared.lock().jobs.push_back(Job {
            password,
            hash,
            answer,
        });
        self.shared.filled.notify_one();
        answered.await.unwrap_or(false)
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut memory = Vec::new();
        while let Some(job) = self.next(&mut memory) {
            if !job.answer.is_closed() {
                // Nobody minds if the client went meanwhile.
                let _ = job
                    .answer
                    .send(password::matches(&job.password, &job.hash, &mut memory));
            }
        }
    }

    /// Waits for a job; `None` at the end. Gives the memory back when it takes long.
    fn next(&self, memory: &mut password::Memory) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            if memory.is_empty() {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self
                .filled
                .wait_timeout(queue, KEEP_MEMORY)
                .unwrap_or_else(PoisonError::into_inner);
            queue = waited.0;
            if waited.1.timed_out() {
                *memory = Vec::new();
            }
        }
    }

    /// A panic of another thread leaves the queue as good as it was.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
