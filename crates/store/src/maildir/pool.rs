//! Threads that read, so that a future never blocks

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use mailwright_mailbox::StoreError;

use crate::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs that threads work on.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// Starts the threads.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut started = Vec::new();
        for _ in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            let work = move || {
                loop {
                    // Waiting happens under the lock: one thread waits for a job, the others for their turn.
                    let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match job {
                        Ok(job) => job(),
                        Err(mpsc::RecvError) => return,
                    }
                }
            };
            started.push(thread::Builder::new().name("maildir-reader".into()).spawn(work)?);
        }
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            threads: Mutex::new(started),
        })
    }

    /// Runs a job on one of the threads and waits for what it returns.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move || sender.send(job()));
        let queued = match &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(jobs) => jobs.send(job).is_ok(),
            None => false,
        };
        if !queued {
            return Err(StoreError::Closed);
        }
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = core::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The last job may be what drops the store, on a thread of its own pool.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
