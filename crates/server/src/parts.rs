//! The parts of a server that run for as long as it does: when one of them ends early, the server is told.

use crate::metrics::{Task, counted};
use std::collections::HashMap;
use std::future::{Future, pending};
use tokio::task::{Id, JoinError, JoinSet};

/// Tasks with names.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    tasks: JoinSet<()>,
    names: HashMap<Id, String>,
}

/// A part of a server ended, which only a defect can make it do: the server must not go on without it.
#[derive(Debug, thiserror::Error)]
#[error("{part} has ended: {why}")]
#[non_exhaustive]
pub struct PartEnded {
    /// The part.
    pub part: String,
    /// The words of its panic, if it had one.
    pub why: String,
}

impl Parts {
    /// Runs a part.
    pub(crate) fn spawn(
        &mut self,
        name: impl Into<String>,
        part: impl Future<Output = ()> + Send + 'static,
    ) -> Id {
        let id = self.tasks.spawn(counted(Task::Part, part)).id();
        self.names.insert(id, name.into());
        id
    }

    /// Lets a part end: it is no defect when it does.
    pub(crate) fn release(&mut self, id: Id) {
        self.names.remove(&id);
    }

    /// Waits until one of them ends; for ever where there are none. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> PartEnded {
        loop {
            let (id, why) = match self.tasks.join_next_with_id().await {
                None => pending().await,
                Some(Ok((id, ()))) => (id, "it came to its end by itself".to_owned()),
                Some(Err(error)) => (error.id(), words(error)),
            };
            if let Some(part) = self.names.remove(&id) {
                return PartEnded { part, why };
            }
        }
    }

    /// Waits until all have ended.
    pub(crate) async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

fn words(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "it was ended".to_owned();
    };
    let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
    words.unwrap_or_else(|| "it panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_or_ends_is_named() {
        let mut parts = Parts::default();
        parts.spawn("the one that stays", pending());
        parts.spawn("the one that breaks", async {
            panic!("{} is wrong", "something")
        });
        let ended = parts.ended().await;
        assert_eq!(
            ended.to_string(),
            "the one that breaks has ended: something is wrong"
        );
        let id = parts.spawn("the one that may leave", async {});
        parts.release(id);
        parts.spawn("the one that leaves", async {});
        assert_eq!(parts.ended().await.part, "the one that leaves");
    }

    #[tokio::test]
    async fn no_parts_never_end() {
        let mut parts = Parts::default();
        parts.all_ended().await;
        let soon = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, parts.ended()).await.is_err());
    }
}
