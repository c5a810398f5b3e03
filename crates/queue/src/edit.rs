//! What an operator does to a message by hand.

use crate::{Diagnosis, OriginalRecipient, Record, State, Status, Timestamp};
use mailwright_address::EmailAddress;

/// A change to a message by an operator's hand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// Lets it rest until it is released. It expires all the same.
    Hold,
    /// Lets it go on.
    Release,
    /// Makes all its recipients due at once, and ends the rest of their destinations.
    Retry,
    /// Gives it up at once: its sender is told, as at its expiry. Recipients that are on their way at this moment are
    /// given up if that fails.
    GiveUp,
    /// Sends it to somebody else.
    Redirect {
        /// In place of this recipient alone; in place of all that are queued if there is none.
        from: Option<EmailAddress>,
        /// To whom.
        to: EmailAddress,
    },
}

/// What came of an [`Edit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // all, some or nothing
pub enum Edited {
    /// It is as it was to be.
    Done,
    /// Some recipients are on their way at this moment, and stay as they are.
    Partly,
    /// It was so before, or there is nobody to change.
    Unchanged,
}

impl Record {
    /// Changes the record of a message that no [`Queue`](crate::Queue) has in memory.
    pub fn edit(&mut self, now: Timestamp, edit: &Edit) -> Edited {
        self.edit_but(now, edit, |_| false)
    }

    /// The same, but for recipients that are on their way.
    pub(crate) fn edit_but(
        &mut self,
        now: Timestamp,
        edit: &Edit,
        is_busy: impl Fn(usize) -> bool,
    ) -> Edited {
        match edit {
            Edit::Hold => self.set_held(now, true),
            Edit::Release => self.set_held(now, false),
            Edit::Retry => self.retry(now),
            Edit::GiveUp => self.give_up(now, is_busy),
            Edit::Redirect { from, to } => self.redirect(now, from.as_ref(), to, is_busy),
        }
    }

    fn set_held(&mut self, now: Timestamp, held: bool) -> Edited {
        if self.held == held {
            return Edited::Unchanged;
        }
        self.held = held;
        self.note(now, if held { "held" } else { "released" });
        Edited::Done
    }

    fn retry(&mut self, now: Timestamp) -> Edited {
        let mut edited = Edited::Unchanged;
        for recipient in &mut self.recipients {
            if let State::Queued { due, .. } = &mut recipient.state
                && *due > now
            {
                *due = now;
                edited = Edited::Done;
            }
        }
        if edited == Edited::Done {
            self.note(now, "to be tried at once");
        }
        edited
    }

    fn give_up(&mut self, now: Timestamp, is_busy: impl Fn(usize) -> bool) -> Edited {
        if self.is_finished() || self.ends() <= now {
            return Edited::Unchanged;
        }
        let mut busy = false;
        for (index, recipient) in self.recipients.iter_mut().enumerate() {
            if let State::Queued { last, .. } = &mut recipient.state {
                busy |= is_busy(index);
                // What has failed so far says more.
                last.get_or_insert_with(|| {
                    Diagnosis::local(Status::FAILED, "given up by the operator of this server")
                });
            }
        }
        self.expires = now;
        self.note(now, "given up by hand");
        match busy {
            true => Edited::Partly,
            false => Edited::Done,
        }
    }

    fn redirect(
        &mut self,
        now: Timestamp,
        from: Option<&EmailAddress>,
        to: &EmailAddress,
        is_busy: impl Fn(usize) -> bool,
    ) -> Edited {
        let (mut changed, mut busy) = (0, false);
        for (index, recipient) in self.recipients.iter_mut().enumerate() {
            let meant = from.is_none_or(|from| recipient.address == *from) && recipient.address != *to;
            if !meant || !recipient.is_queued() {
                continue;
            }
            if is_busy(index) {
                busy = true;
                continue;
            }
            // Reports name whom the sender wrote to.
            let was = std::mem::replace(&mut recipient.address, to.clone());
            let kind = if was.is_ascii() { "rfc822" } else { "utf-8" };
            recipient
                .original
                .get_or_insert_with(|| OriginalRecipient::new(kind, was.as_str()));
            recipient.state = State::Queued {
                attempts: 0,
                due: now,
                last: None,
            };
            changed += 1;
        }
        if changed > 0 {
            self.note(now, format!("{changed} redirected to {to}"));
        }
        match (changed, busy) {
            (_, true) => Edited::Partly,
            (0, false) => Edited::Unchanged,
            _ => Edited::Done,
        }
    }
}
