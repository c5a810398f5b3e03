//! The expunge history of a mailbox (RFC 7162 §3.2)

use std::collections::VecDeque;

use crate::{Limits, ModSeq, UidSet, Vanished};

/// Which UIDs were expunged and when: the latest of them, within [`Limits`].
#[derive(Debug, Default)]
pub(super) struct History {
    gone: VecDeque<Gone>,
    count: u64,
    // The mod-sequence of the latest expunge that is not remembered.
    forgotten: ModSeq,
}

/// What one operation expunged.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) mod_seq: ModSeq,
    pub(super) at: i64,
    pub(super) uids: UidSet,
}

/// What [`History::push`] did, so that it can be undone.
#[derive(Debug)]
pub(super) struct Pushed {
    dropped: Vec<Gone>,
    forgotten: ModSeq,
}

impl History {
    /// Remembers an expunge and forgets what is beyond the limits.
    pub(super) fn push(&mut self, gone: Gone, limits: &Limits) -> Pushed {
        let mut undo = Pushed {
            dropped: Vec::new(),
            forgotten: self.forgotten,
        };
        let oldest = gone.at.saturating_sub(limits.history_seconds.into());
        self.count += gone.uids.len();
        self.gone.push_back(gone);
        while let Some(front) = self.gone.front()
            && (front.at < oldest || self.count > limits.history_uids.into())
        {
            self.count -= front.uids.len();
            self.forgotten = front.mod_seq;
            undo.dropped.extend(self.gone.pop_front());
        }
        undo
    }

    /// Undoes the latest push.
    pub(super) fn undo(&mut self, pushed: Pushed) {
        for gone in pushed.dropped.into_iter().rev() {
            self.count += gone.uids.len();
            self.gone.push_front(gone);
        }
        if let Some(gone) = self.gone.pop_back() {
            self.count -= gone.uids.len();
        }
        self.forgotten = pushed.forgotten;
    }

    /// Does pushes again that were written down.
    pub(super) fn redo(&mut self, added: impl IntoIterator<Item = Gone>, forgotten: ModSeq) {
        for gone in added {
            self.count += gone.uids.len();
            self.gone.push_back(gone);
        }
        self.forgotten = forgotten;
        while let Some(front) = self.gone.front()
            && front.mod_seq <= forgotten
        {
            self.count -= front.uids.len();
            self.gone.pop_front();
        }
    }

    /// What is remembered, the oldest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Gone> {
        self.gone.iter()
    }

    /// The mod-sequence of the latest expunge that is not remembered.
    pub(super) const fn forgotten(&self) -> ModSeq {
        self.forgotten
    }

    /// Tells what was expunged after a mod-sequence.
    pub(super) fn since(&self, since: ModSeq) -> Vanished {
        let mut uids = UidSet::new();
        for gone in self.gone.iter().rev().take_while(|gone| gone.mod_seq > since) {
            uids = uids.union(&gone.uids);
        }
        Vanished::new(uids, since >= self.forgotten)
    }
}
