//! Tasks, counted by what they do while they live
//!
//! They are counted for the whole process, as its memory is: a task that was forgotten is one of the process.

use super::cells::{Gauge, Label, label};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::JoinHandle;

label! {
    /// What a task does.
    Task as "kind" {
        /// Serves a client.
        Connection = "connection",
        /// Runs for as long as the server does: a listener, the queue worker.
        Part = "part",
        /// Answers at the control socket.
        Control = "control",
        /// Carries a message of the queue to one destination.
        Attempt = "attempt",
        /// Makes what the queue decides durable.
        Commit = "commit",
        /// Reads the queue.
        Spool = "spool",
        /// Keeps a connection to another server for the next message, or closes one.
        Idle = "idle",
        /// Checks where a message comes from.
        Check = "check",
        /// Asks the DNS.
        Lookup = "lookup",
    }
}

const KINDS: usize = Task::ALL.len();
static LIVE: [Gauge; KINDS] = [const { Gauge::new() }; KINDS];

/// Runs a future as a task of its own, which is counted.
pub(crate) fn spawn<F>(kind: Task, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(counted(kind, future))
}

/// Counts a future from here to its end or until it is dropped: for tasks that are spawned into a set.
pub(crate) fn counted<F: Future>(kind: Task, future: F) -> Counted<F> {
    LIVE[kind.place()].up();
    Counted {
        future: Box::pin(future),
        kind,
    }
}

/// How many live.
pub(crate) fn live(kind: Task) -> i64 {
    LIVE[kind.place()].value()
}

/// A future that is counted.
#[derive(Debug)]
pub(crate) struct Counted<F> {
    // Boxed: a wrapper by `async` would keep room for the future twice.
    future: Pin<Box<F>>,
    kind: Task,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl<F> Drop for Counted<F> {
    fn drop(&mut self) {
        LIVE[self.kind.place()].down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_are_counted_while_they_live_however_they_end() {
        // No other test of this binary has tasks of this kind.
        let kind = Task::Control;
        let (first, second) = (
            spawn(kind, async { 1 }),
            spawn(kind, std::future::pending::<()>()),
        );
        assert_eq!(live(kind), 2);
        assert_eq!(first.await.ok(), Some(1));
        second.abort();
        assert!(second.await.is_err());
        drop(counted(kind, async {}));
        assert_eq!(live(kind), 0);
    }
}
