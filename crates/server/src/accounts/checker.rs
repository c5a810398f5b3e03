//! Threads that check passwords, and do nothing else.
//!
//! A memory-hard hash takes a core and 19 MiB for a while. A few threads with memory of their own bound both,
//! however many clients log in at once; the others wait their turn and cost nothing. Addresses take turns, so that one
//! that sends a thousand logins holds up its own, and whoever finds too many waiting is told to come back.

use super::password;
use crate::config::PasswordHashing;
use mailwright_sasl::Secret;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a thread keeps its memory when nobody logs in.
const KEEP_MEMORY: Duration = Duration::from_secs(10);

/// Checks passwords, a few at a time. Its threads end when it is dropped.
#[derive(Debug)]
pub(super) struct Checker {
    shared: Arc<Shared>,
    /// How many may wait, all together.
    most: usize,
    hashing: PasswordHashing,
}

/// What came of a check.
#[derive(Debug)]
pub(super) enum Checked {
    /// It is the password. If its hash is weaker than hashes are to be, there is another.
    Right {
        rehashed: Option<String>,
    },
    Wrong,
    /// Too many are waiting.
    Busy,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// KiB of memory times passes, of all hashes that were computed.
    work: AtomicU64,
}

/// Who waits, by address; the addresses take turns.
#[derive(Debug, Default)]
struct Queue {
    turns: VecDeque<IpAddr>,
    jobs: HashMap<IpAddr, VecDeque<Job>>,
    waiting: usize,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    password: Secret,
    hash: Arc<str>,
    wanted: PasswordHashing,
    answer: oneshot::Sender<Checked>,
}

impl Checker {
    /// Starts so many threads, for which so many checks may wait.
    pub(super) fn new(threads: usize, most: usize, hashing: PasswordHashing) -> Self {
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
        Self {
            shared,
            most,
            hashing,
        }
    }

    /// What hashes are to cost.
    pub(super) fn hashing(&self) -> PasswordHashing {
        self.hashing
    }

    /// KiB of memory times passes, of all hashes that were computed.
    pub(super) fn work(&self) -> u64 {
        self.shared.work.load(Ordering::Relaxed)
    }

    /// Whether `password`, which comes from an address, is the one of `hash`. Gives up its turn when the future is
    /// dropped.
    pub(super) async fn check(&self, from: IpAddr, password: Secret, hash: Arc<str>) -> Checked {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            password,
            hash,
            wanted: self.hashing,
            answer,
        };
        if !self.shared.lock().push(from, job, self.most) {
            return Checked::Busy;
        }
        self.shared.filled.notify_one();
        answered.await.unwrap_or(Checked::Busy)
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
    }
}

impl Queue {
    /// Lets a job wait, if not too many do.
    fn push(&mut self, from: IpAddr, job: Job, most: usize) -> bool {
        let own = self.jobs.get(&from).map_or(0, VecDeque::len);
        if self.waiting >= most || own >= (most / 10).max(1) {
            return false;
        }
        self.waiting += 1;
        let jobs = self.jobs.entry(from).or_default();
        if jobs.is_empty() {
            self.turns.push_back(from);
        }
        jobs.push_back(job);
        true
    }

    /// The first job of the address whose turn it is.
    fn pop(&mut self) -> Option<Job> {
        let from = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&from)?;
        let job = jobs.pop_front();
        match jobs.is_empty() {
            true => drop(self.jobs.remove(&from)),
            false => self.turns.push_back(from),
        }
        self.waiting -= 1;
        job
    }
}

impl Shared {
    fn work(&self) {
        let mut memory = Vec::new();
        while let Some(job) = self.next(&mut memory) {
            if job.answer.is_closed() {
                continue;
            }
            let checked = match password::matches(&job.password, &job.hash, &mut memory) {
                false => Checked::Wrong,
                true => Checked::Right {
                    rehashed: password::is_weaker(&job.hash, job.wanted)
                        .then(|| password::hash(&job.password, job.wanted)),
                },
            };
            let rehashed = match &checked {
                Checked::Right { rehashed } => rehashed.as_deref(),
                _ => None,
            };
            let work = password::work(&job.hash) + rehashed.map_or(0, password::work);
            self.work.fetch_add(work, Ordering::Relaxed);
            // Nobody minds if the client went meanwhile.
            let _ = job.answer.send(checked);
        }
    }

    /// Waits for a job; `None` at the end. Gives the memory back when it takes long.
    fn next(&self, memory: &mut password::Memory) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.pop() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str) -> (Job, oneshot::Receiver<Checked>) {
        let (answer, answered) = oneshot::channel();
        let (password, hash) = (Secret::from(name), "".into());
        let wanted = PasswordHashing::default();
        (
            Job {
                password,
                hash,
                wanted,
                answer,
            },
            answered,
        )
    }

    #[test]
    fn addresses_take_turns_and_have_a_share_each() {
        let mut queue = Queue::default();
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([192, 0, 2, n]));
        let mut push = |from, name| queue.push(from, job(name).0, 30);
        assert!(push(a, "a1") && push(a, "a2") && push(a, "a3"));
        assert!(!push(a, "a4"), "it has more than a tenth");
        assert!(push(b, "b1") && push(c, "c1") && push(b, "b2"));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|job| job.password.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
        assert!(queue.jobs.is_empty() && queue.turns.is_empty() && queue.waiting == 0);
        for n in 0..30 {
            assert!(queue.push(IpAddr::from([192, 0, 2, n]), job("x").0, 30));
        }
        assert!(!queue.push(c, job("x").0, 30), "too many are waiting");
    }
}
