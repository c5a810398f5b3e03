//! Appending, flagging, copying, moving, expunging

use super::{Count, Transaction};
use crate::{
    BlobRef, CommitError, FlagChange, Flags, MailboxId, Message, MessageMeta, ModSeq, Outcome, SystemFlags,
    Uid, UidSet,
    model::{history::Gone, undo::Undo},
};

impl Transaction<'_> {
    pub(super) fn append(
        &mut self,
        mailbox: MailboxId,
        blob: &BlobRef,
        message: &MessageMeta,
        flags: &Flags,
        internal_date: i64,
    ) -> Result<Outcome, CommitError> {
        self.check_blob(blob)?;
        self.check_flags(flags)?;
        let head = self.head(mailbox)?;
        let (uid_validity, mod_seq) = (head.uid_validity, head.highest_mod_seq.next());
        let mut appended = Message::new(Uid::MIN, mod_seq);
        appended.flags = flags.clone();
        appended.internal_date = internal_date;
        appended.blob = Some(blob.unpinned());
        appended.index = message.index.clone();
        let uid = self.insert(mailbox, appended, mod_seq)?;
        self.touch(mailbox, mod_seq)?;
        Ok(Outcome::Appended {
            uid_validity,
            uid,
            mod_seq,
        })
    }

    pub(super) fn store_flags(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Outcome, CommitError> {
        let highest = self.head(mailbox)?.highest_mod_seq;
        let (mut changed, mut failed) = (UidSet::new(), UidSet::new());
        for message in self.select(mailbox, uids)? {
            if unchanged_since.is_some_and(|since| message.mod_seq > since) {
                failed.insert(message.uid);
                continue;
            }
            let flags = message.flags.changed(change);
            if flags == message.flags {
                continue;
            }
            self.check_flags(&flags)?;
            changed.insert(message.uid);
            let (uid, mut after) = (message.uid, message.clone());
            after.flags = flags;
            after.mod_seq = highest.next();
            self.count(mailbox, &message, Count::Out)?;
            self.count(mailbox, &after, Count::In)?;
            self.set_message(mailbox, uid, Some(after))?;
        }
        let mod_seq = if changed.is_empty() {
            highest
        } else {
            highest.next()
        };
        if !changed.is_empty() {
            self.touch(mailbox, mod_seq)?;
        }
        Ok(Outcome::Stored {
            changed,
            failed,
            mod_seq,
        })
    }

    pub(super) fn copy(
        &mut self,
        from: MailboxId,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Outcome, CommitError> {
        let (uid_validity, highest) = self
            .head(to)
            .map(|head| (head.uid_validity, head.highest_mod_seq))?;
        let (mut source, mut target) = (UidSet::new(), UidSet::new());
        for message in self.select(from, uids)? {
            source.insert(message.uid);
            target.insert(self.insert(to, message, highest.next())?);
        }
        let mod_seq = if source.is_empty() {
            highest
        } else {
            highest.next()
        };
        if !source.is_empty() {
            self.touch(to, mod_seq)?;
        }
        Ok(Outcome::Copied {
            uid_validity,
            from: source,
            to: target,
            mod_seq,
        })
    }

    pub(super) fn expunge(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        deleted_only: bool,
    ) -> Result<(UidSet, ModSeq), CommitError> {
        let highest = self.head(mailbox)?.highest_mod_seq;
        let mut gone = self.select(mailbox, uids)?;
        gone.retain(|message| !deleted_only || message.flags.contains(SystemFlags::DELETED));
        if gone.is_empty() {
            return Ok((UidSet::new(), highest));
        }
        for message in &gone {
            self.count(mailbox, message, Count::Out)?;
            self.set_message(mailbox, message.uid, None)?;
            message.blob.iter().for_each(|blob| self.release(blob));
        }
        let uids: UidSet = gone.iter().map(|message| message.uid).collect();
        let (mod_seq, limits, at) = (highest.next(), self.model.limits, self.now);
        let entry = Gone {
            mod_seq,
            at,
            uids: uids.clone(),
        };
        let pushed = self.mailbox(mailbox)?.history.push(entry, &limits);
        self.undo.push(Undo::History { mailbox, pushed });
        self.touch(mailbox, mod_seq)?;
        Ok((uids, mod_seq))
    }

    /// Gives a message the next UID of a mailbox.
    pub(super) fn insert(
        &mut self,
        mailbox: MailboxId,
        mut message: Message,
        mod_seq: ModSeq,
    ) -> Result<Uid, CommitError> {
        let uid = self
            .head(mailbox)?
            .uid_next
            .ok_or_else(|| self.limit("UIDs of a mailbox"))?;
        message.uid = uid;
        message.mod_seq = mod_seq;
        message.save_date = self.now;
        message.blob.iter().for_each(|blob| self.refer(blob));
        self.change_head(mailbox, |head| head.uid_next = uid.next())?;
        self.count(mailbox, &message, Count::In)?;
        self.set_message(mailbox, uid, Some(message))?;
        Ok(uid)
    }

    pub(super) fn select(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Message>, CommitError> {
        let messages = &self.mailbox(mailbox)?.messages;
        Ok(uids
            .ranges()
            .flat_map(|range| messages.range(range))
            .map(|(_, message)| message.clone())
            .collect())
    }

    /// Counts a message in or out of the numbers of its mailbox and account.
    pub(super) fn count(
        &mut self,
        mailbox: MailboxId,
        message: &Message,
        way: Count,
    ) -> Result<(), CommitError> {
        let step = |n: u64, by: u64| if way == Count::In { n + by } else { n - by };
        let step_32 = |n: u32, by: bool| {
            if way == Count::In {
                n + u32::from(by)
            } else {
                n - u32::from(by)
            }
        };
        let size = message.size();
        let account = self.head(mailbox)?.account.clone();
        self.change_head(mailbox, |head| {
            head.exists = step_32(head.exists, true);
            head.unseen = step_32(head.unseen, !message.flags.contains(SystemFlags::SEEN));
            head.deleted = step_32(head.deleted, message.flags.contains(SystemFlags::DELETED));
            head.size = step(head.size, size);
        })?;
        self.change_account(&account, |head| {
            head.usage.octets = step(head.usage.octets, size);
            head.usage.messages = step(head.usage.messages, 1);
        });
        Ok(())
    }
}
