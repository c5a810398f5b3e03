//! Threads that read, so that a future never blocks and no read waits for the writer

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use mailwright_mailbox::StoreError;
use rusqlite::Connection;

use super::schema;
use crate::{Error, oneshot};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A queue of jobs that threads with a connection each work on.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// Starts the threads.
    pub(super) fn start(file: &Path, threads: usize) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let pool = Self {
            jobs: Mutex::new(Some(sender)),
            threads: Mutex::default(),
        };
        for _ in 0..threads.max(1) {
            let mut conn = schema::open_reader(file)?;
            let receiver = Arc::clone(&receiver);
            let work = move || {
                loop {
                    // Waiting happens under the lock: one thread waits for a job, the others for their turn.
                    let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match job {
                        // A fault in one job costs that job its answer, and no more.
                        Ok(job) => {
                            if catch_unwind(AssertUnwindSafe(|| job(&mut conn))).is_err()
                                && !conn.is_autocommit()
                            {
                                let _ = conn.execute_batch("ROLLBACK");
                            }
                        }
                        Err(mpsc::RecvError) => return,
                    }
                }
            };
            let thread = thread::Builder::new().name("mail-reader".into()).spawn(work);
            let thread = thread.map_err(|error: io::Error| Error::io(file, &error))?;
            pool.threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread);
        }
        Ok(pool)
    }

    /// Runs a job on one of the threads and waits for what it returns.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |conn| sender.send(job(conn)));
        let queued = match &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(jobs) => jobs.send(job).is_ok(),
            None => false,
        };
        if !queued {
            return Err(StoreError::Closed);
        }
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Ends the threads after the jobs that are queued.
    pub(super) fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = core::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        threads.into_iter().for_each(|thread| {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        });
    }
}
