//! Stopping in order: first everyone is told, then those who do not end are ended.

use std::sync::Arc;
use tokio::sync::watch;

/// The signal that a server stops; cheap to clone, and every clone sees it.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: Arc<watch::Sender<Phase>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Stopping,
    Over,
}

impl Shutdown {
    /// A signal that has not been given.
    pub fn new() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Running)),
        }
    }

    /// Tells everyone to come to an end.
    pub fn begin(&self) {
        self.advance(Phase::Stopping);
    }

    /// Whether everyone was told to come to an end.
    pub fn has_begun(&self) -> bool {
        *self.phase.borrow() >= Phase::Stopping
    }

    /// Waits until everyone is told to come to an end. Cancel-safe.
    pub async fn begun(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Ends those who have not come to an end.
    pub(crate) fn end(&self) {
        self.advance(Phase::Over);
    }

    /// Waits until time is over.
    pub(crate) async fn over(&self) {
        self.reached(Phase::Over).await;
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = *phase < to;
            *phase = to.max(*phase);
            forward
        });
    }

    async fn reached(&self, wanted: Phase) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.phase.subscribe().wait_for(|phase| *phase >= wanted).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
