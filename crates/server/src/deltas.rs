//! What has changed in a mailbox since a moment, read once for all who ask the same

use mailwright_mailbox::{Flags, MailboxId, ModSeq, Uid, Vanished};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OnceCell;

/// What has changed in a mailbox since a mod-sequence.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Delta {
    /// Messages that came or changed: their flags as they are, and the mod-sequence of the last change.
    pub messages: Vec<(Uid, Flags, ModSeq)>,
    /// Messages that were expunged.
    pub vanished: Vanished,
    /// Everything up to here is told.
    pub until: ModSeq,
}

/// A mailbox, where the session stands, and how far it wants to come at least.
type Question = (MailboxId, ModSeq, ModSeq);

type Cell = OnceCell<Arc<Delta>>;

/// Deltas that are being read, or were a moment ago.
///
/// A change of a mailbox wakes all sessions that have selected it, and nearly all of them stand at the same
/// mod-sequence: one reads, and the others take what it has read.
#[derive(Debug, Default)]
pub(crate) struct Deltas(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    cells: HashMap<Question, Weak<Cell>>,
    /// What nobody may be waiting for any more, the latest last.
    recent: VecDeque<Arc<Cell>>,
}

impl Deltas {
    /// How many deltas are kept for those who come a little later.
    const RECENT: usize = 16;

    /// Deltas with more messages are for those alone who wait for them.
    const MOST_MESSAGES: usize = 100;

    /// The delta from `since` on that reaches `until` at least: another's, or the one that `read` makes. One that
    /// fails is left to the next who asks.
    pub(crate) async fn get<E, F>(
        &self,
        mailbox: MailboxId,
        (since, until): (ModSeq, ModSeq),
        read: impl FnOnce() -> F,
    ) -> Result<Arc<Delta>, E>
    where
        F: Future<Output = Result<Delta, E>>,
    {
        let cell = self.cell((mailbox, since, until));
        let made = async || {
            let delta = read().await?;
            if delta.messages.len() <= Self::MOST_MESSAGES {
                self.keep(&cell);
            }
            Ok(Arc::new(delta))
        };
        cell.get_or_try_init(made).await.cloned()
    }

    fn cell(&self, question: Question) -> Arc<Cell> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = kept.cells.get(&question).and_then(Weak::upgrade) {
            return cell;
        }
        // Before it would grow, those go that nobody looks at.
        if kept.cells.len() == kept.cells.capacity() {
            kept.cells.retain(|_, cell| cell.strong_count() > 0);
        }
        let cell = Arc::new(Cell::new());
        kept.cells.insert(question, Arc::downgrade(&cell));
        cell
    }

    fn keep(&self, cell: &Arc<Cell>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.recent.len() == Self::RECENT {
            kept.recent.pop_front();
        }
        kept.recent.push_back(cell.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell as Counter;
    use std::convert::Infallible;

    fn at(value: u64) -> ModSeq {
        ModSeq::ZERO.max(ModSeq::new(value))
    }

    #[tokio::test]
    async fn the_same_question_is_read_once() {
        let (deltas, reads) = (Deltas::default(), Counter::new(0));
        let read = || async {
            tokio::task::yield_now().await;
            reads.set(reads.get() + 1);
            Ok::<_, Infallible>(Delta::default())
        };
        let mailbox = MailboxId::new(1);
        let ask = |since, until| deltas.get(mailbox, (at(since), at(until)), read);
        let (one, two) = tokio::join!(ask(1, 2), ask(1, 2));
        assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
        assert!(ask(1, 2).await.is_ok());
        assert_eq!(reads.get(), 1, "at once, and a little later");
        assert!(ask(1, 3).await.is_ok() && ask(2, 3).await.is_ok());
        assert_eq!(reads.get(), 3, "others are other questions");
    }

    #[tokio::test]
    async fn what_failed_is_read_again() {
        let deltas = Deltas::default();
        let question = (MailboxId::new(1), (at(1), at(2)));
        let failed = deltas.get(question.0, question.1, async || Err("broken")).await;
        assert_eq!(failed.unwrap_err(), "broken");
        let read = deltas
            .get(question.0, question.1, async || Ok::<_, &str>(Delta::default()))
            .await;
        assert!(read.is_ok());
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let deltas = Deltas::default();
        for n in 0..1000 {
            let read = async || Ok::<_, Infallible>(Delta::default());
            deltas
                .get(MailboxId::new(1), (at(n), at(n + 1)), read)
                .await
                .unwrap();
        }
        let kept = deltas.0.lock().unwrap();
        assert_eq!(kept.recent.len(), Deltas::RECENT);
        assert!(kept.cells.len() <= 64, "{}", kept.cells.len());
    }
}
