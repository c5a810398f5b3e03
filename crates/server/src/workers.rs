//! Threads for work that takes long, a few at a time

use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};

/// Bounds how many threads search, sort and thread mail at once. Clones share one bound; who finds no free thread waits.
///
/// No connection waits for this work but the one that asked for it: it is done in pieces of some hundred messages, apart
/// from the threads that serve connections.
#[derive(Debug, Clone)]
pub struct Workers(Arc<Semaphore>);

impl Workers {
    /// Permits so many threads; at least one.
    pub fn new(threads: usize) -> Self {
        Self(Arc::new(Semaphore::new(threads.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Starts a piece of work as soon as a thread is free. It goes on when the handle is dropped.
    pub(crate) async fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let place = Arc::clone(&self.0).acquire_owned().await;
        spawn_blocking(move || {
            let _place = place;
            work()
        })
    }
}

impl Default for Workers {
    /// As many threads as there are cores.
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, usize::from))
    }
}
