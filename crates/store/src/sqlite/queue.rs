//! The queue of the writer, which is woken once for all that it waits for

use core::fmt;
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Makes both ends.
pub(super) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Queue {
        state: Mutex::new(State {
            jobs: VecDeque::new(),
            wanted: 0,
            senders: 1,
            is_open: true,
        }),
        woken: Condvar::new(),
    });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

/// Where jobs are put in. Clones put them into the same queue.
pub(super) struct Sender<T>(Arc<Queue<T>>);

/// Where jobs are taken out, in the order in which they came. With it goes what is still queued.
pub(super) struct Receiver<T>(Arc<Queue<T>>);

struct Queue<T> {
    state: Mutex<State<T>>,
    woken: Condvar,
}

struct State<T> {
    jobs: VecDeque<T>,
    // How many jobs the receiver sleeps for; 0 when it does not sleep.
    wanted: usize,
    senders: usize,
    is_open: bool,
}

impl<T> Queue<T> {
    /// No job runs under this lock, so a poisoned one guards sound data.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// Puts a job in; whether there is somebody who will take it. Otherwise it is dropped.
    pub(super) fn send(&self, job: T) -> bool {
        let mut state = self.0.lock();
        if !state.is_open {
            return false;
        }
        state.jobs.push_back(job);
        let is_due = (1..=state.jobs.len()).contains(&state.wanted);
        if is_due {
            state.wanted = 0;
        }
        drop(state);
        if is_due {
            self.0.woken.notify_one();
        }
        true
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        let is_last = state.senders == 0;
        drop(state);
        if is_last {
            self.0.woken.notify_one();
        }
    }
}

impl<T> Receiver<T> {
    /// Takes the next job, and waits for one as long as somebody may send it.
    pub(super) fn recv(&self) -> Option<T> {
        let mut state = self.0.lock();
        while state.jobs.is_empty() && state.senders > 0 {
            state.wanted = 1;
            state = self.0.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.wanted = 0;
        state.jobs.pop_front()
    }

    /// Takes the next job if there is one.
    pub(super) fn try_recv(&self) -> Option<T> {
        self.0.lock().jobs.pop_front()
    }

    /// Waits until so many jobs are queued, but no longer than `patience`.
    pub(super) fn wait_for(&self, jobs: usize, patience: Duration) {
        let end = Instant::now() + patience;
        let mut state = self.0.lock();
        while state.jobs.len() < jobs && state.senders > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.wanted = jobs;
            let waited = self.0.woken.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = 0;
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_open = false;
        let left = core::mem::take(&mut state.jobs);
        drop(state);
        // Whoever waits for one of them is told by this, and may look at the queue.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn jobs_come_in_order_and_end_with_the_last_sender() {
        let (sender, receiver) = channel();
        let again = sender.clone();
        for n in 0..100 {
            assert!(if n % 2 == 0 { &sender } else { &again }.send(n));
        }
        drop(sender);
        assert_eq!(receiver.try_recv(), Some(0));
        let thread = thread::spawn(move || std::iter::from_fn(|| receiver.recv()).collect::<Vec<_>>());
        drop(again);
        assert_eq!(thread.join().unwrap(), (1..100).collect::<Vec<_>>());
    }

    #[test]
    fn who_waits_for_several_sleeps_until_all_are_there() {
        let (sender, receiver) = channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            receiver.wait_for(3, Duration::from_secs(3600));
            tell.send(std::iter::from_fn(|| receiver.try_recv()).collect::<Vec<_>>())
                .unwrap();
            receiver.wait_for(3, Duration::from_secs(3600));
            receiver.wait_for(3, Duration::ZERO);
            receiver.recv()
        });
        assert!(sender.send(1) && sender.send(2));
        assert!(
            told.recv_timeout(Duration::from_millis(50)).is_err(),
            "two are not three"
        );
        assert!(sender.send(3));
        assert_eq!(told.recv(), Ok(vec![1, 2, 3]));
        // Nobody is left who could send more, so there is nothing to wait for.
        drop(sender);
        assert_eq!(thread.join().unwrap(), None);
    }

    #[test]
    fn what_nobody_takes_is_dropped() {
        let (sender, receiver) = channel();
        let job = Arc::new(());
        assert!(sender.send(Arc::clone(&job)));
        drop(receiver);
        assert_eq!(Arc::strong_count(&job), 1);
        assert!(!sender.send(Arc::clone(&job)));
        assert_eq!(Arc::strong_count(&job), 1);
    }
}
