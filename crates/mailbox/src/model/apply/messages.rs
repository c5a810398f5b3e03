//! Messages

use super::{Count, Transaction};
use crate::{
    Account, BlobRef, CommitError, Flags, MailboxId, Message, MessageMeta, ModSeq, SystemFlags, ThreadId,
    ThreadKey, Threading, UidSet,
    model::{history::Gone, undo::Undo},
    rules::{MessageSteps, Place},
};

impl MessageSteps for Transaction<'_> {
    type Message = Message;

    fn select(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Message>, CommitError> {
        let messages = &self.mailbox(mailbox)?.messages;
        Ok(uids
            .ranges()
            .flat_map(|range| messages.range(range))
            .map(|(_, message)| message.clone())
            .collect())
    }

    fn threads_with(&mut self, account: &Account, keys: &[ThreadKey]) -> Result<Vec<ThreadId>, CommitError> {
        let Some(threads) = self.model.threads.get(account) else {
            return Ok(Vec::new());
        };
        Ok(keys.iter().filter_map(|key| threads.with_key(*key)).collect())
    }

    fn extend_thread(
        &mut self,
        account: &Account,
        thread: Option<ThreadId>,
        keys: &[ThreadKey],
    ) -> Result<ThreadId, CommitError> {
        let id = thread.unwrap_or_else(|| {
            self.model.counters.last_thread += 1;
            ThreadId::new(self.model.counters.last_thread)
        });
        let threads = self.model.threads.entry(account.clone()).or_default();
        let mut thread = threads.thread(id);
        for &key in keys {
            if threads.with_key(key).is_none() {
                thread.keys.push(key);
                let before = threads.put_key(key, Some(id));
                let account = account.clone();
                self.undo.push(Undo::ThreadKey { account, key, before });
            }
        }
        let before = threads.put(id, Some(thread));
        self.undo.push(Undo::Thread {
            account: account.clone(),
            thread: id,
            before,
        });
        Ok(id)
    }

    fn threading(&mut self, message: &Message) -> Result<Threading, CommitError> {
        Ok(message.threading.clone())
    }

    fn add_message(
        &mut self,
        place: Place,
        blob: &BlobRef,
        message: &MessageMeta,
        flags: &Flags,
        internal_date: i64,
    ) -> Result<(), CommitError> {
        let mut added = Message::new(place.uid, place.mod_seq);
        added.flags = flags.clone();
        added.internal_date = internal_date;
        added.blob = Some(blob.unpinned());
        added.index = message.index.clone();
        added.sort_keys = message.sort_keys.clone();
        added.sketch = message.sketch.clone();
        added.text = message.text.clone();
        added.threading = message.threading.clone();
        self.add_copy(place, added)
    }

    fn add_copy(&mut self, place: Place, mut message: Message) -> Result<(), CommitError> {
        message.uid = place.uid;
        message.mod_seq = place.mod_seq;
        message.thread = place.thread;
        message.save_date = self.now;
        message.blob.iter().for_each(|blob| self.refer(blob));
        self.change_head(place.mailbox, |head| head.uid_next = place.uid.next())?;
        self.count(place.mailbox, &message, Count::In)?;
        let account = self.mailbox(place.mailbox)?.head.account.clone();
        self.count_in_thread(&account, place.thread, Count::In);
        self.set_message(place.mailbox, place.uid, Some(message))
    }

    fn set_flags(
        &mut self,
        mailbox: MailboxId,
        message: Message,
        flags: Flags,
        mod_seq: ModSeq,
    ) -> Result<(), CommitError> {
        self.count(mailbox, &message, Count::Out)?;
        let mut after = message;
        after.flags = flags;
        after.mod_seq = mod_seq;
        self.count(mailbox, &after, Count::In)?;
        self.set_message(mailbox, after.uid, Some(after))
    }

    fn remove(
        &mut self,
        mailbox: MailboxId,
        gone: &[Message],
        uids: &UidSet,
        mod_seq: ModSeq,
    ) -> Result<(), CommitError> {
        let account = self.mailbox(mailbox)?.head.account.clone();
        for message in gone {
            self.count(mailbox, message, Count::Out)?;
            self.count_in_thread(&account, message.thread, Count::Out);
            self.set_message(mailbox, message.uid, None)?;
            message.blob.iter().for_each(|blob| self.release(blob));
        }
        let (limits, at) = (self.model.limits, self.now);
        let entry = Gone {
            mod_seq,
            at,
            uids: uids.clone(),
        };
        let pushed = self.mailbox(mailbox)?.history.push(entry, &limits);
        self.undo.push(Undo::History { mailbox, pushed });
        Ok(())
    }
}

impl Transaction<'_> {
    /// Counts a message in or out of a thread, which forgets its keys with its last message.
    pub(super) fn count_in_thread(&mut self, account: &Account, id: ThreadId, way: Count) {
        let threads = self.model.threads.entry(account.clone()).or_default();
        let mut thread = threads.thread(id);
        thread.messages = if way == Count::In {
            thread.messages + 1
        } else {
            thread.messages - 1
        };
        let mut gone = Vec::new();
        let thread = if thread.messages == 0 {
            gone = thread.keys;
            None
        } else {
            Some(thread)
        };
        for key in gone {
            let before = threads.put_key(key, None);
            let account = account.clone();
            self.undo.push(Undo::ThreadKey { account, key, before });
        }
        let before = threads.put(id, thread);
        self.undo.push(Undo::Thread {
            account: account.clone(),
            thread: id,
            before,
        });
    }

    /// Counts a message in or out of the numbers of its mailbox and account.
    fn count(&mut self, mailbox: MailboxId, message: &Message, way: Count) -> Result<(), CommitError> {
        let step = |n: u64, by: u64| if way == Count::In { n + by } else { n - by };
        let step_32 = |n: u32, by: bool| {
            if way == Count::In {
                n + u32::from(by)
            } else {
                n - u32::from(by)
            }
        };
        let size = message.size();
        let account = self.mailbox(mailbox)?.head.account.clone();
        self.change_head(mailbox, |head| {
            head.exists = step_32(head.exists, true);
            head.unseen = step_32(head.unseen, !message.flags.contains(SystemFlags::SEEN));
            head.deleted = step_32(head.deleted, message.flags.contains(SystemFlags::DELETED));
            head.size = step(head.size, size);
            if message.flags.contains(SystemFlags::DELETED) {
                head.deleted_size = step(head.deleted_size, size);
            }
        })?;
        self.change_account(&account, |head| {
            head.usage.octets = step(head.usage.octets, size);
            head.usage.messages = step(head.usage.messages, 1);
        });
        Ok(())
    }
}
