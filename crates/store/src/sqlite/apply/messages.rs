//! Messages

use std::collections::BTreeSet;

use mailwright_mailbox::{
    Account, BlobRef, Flags, MailboxId, MessageMeta, ModSeq, SystemFlags, ThreadId, ThreadKey, Threading,
    Uid, UidSet,
    rules::{MessageSteps, Place, StoredMessage},
};
use rusqlite::OptionalExtension;

use super::{Failure, Transaction};
use crate::sqlite::rows::{self, Stored};

impl MessageSteps for Transaction<'_> {
    type Message = Stored;

    fn select(&mut self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Stored>, Failure> {
        self.write_flags()?;
        Ok(rows::select(self.conn, mailbox, uids)?)
    }

    fn threads_with(&mut self, account: &Account, keys: &[ThreadKey]) -> Result<Vec<ThreadId>, Failure> {
        let Some(row) = self.row(account)? else {
            return Ok(Vec::new());
        };
        let sql = "SELECT thread FROM thread_key WHERE account = ?1 AND key = ?2";
        let mut threads = Vec::new();
        for key in keys {
            threads.extend(self.one::<i64>(sql, (row, key.value() as i64))?);
        }
        Ok(threads.into_iter().map(|it| ThreadId::new(it as u64)).collect())
    }

    fn extend_thread(
        &mut self,
        account: &Account,
        thread: Option<ThreadId>,
        keys: &[ThreadKey],
    ) -> Result<ThreadId, Failure> {
        let thread = thread.unwrap_or_else(|| {
            self.counters.thread += 1;
            ThreadId::new(self.counters.thread)
        });
        let row = self.account_or_new(account)?.row;
        let sql = "INSERT INTO thread_key VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        let mut insert = self.conn.prepare_cached(sql)?;
        for key in keys {
            insert.execute((row, key.value() as i64, thread.value() as i64))?;
        }
        Ok(thread)
    }

    fn threading(&mut self, message: &Stored) -> Result<Threading, Failure> {
        if let Some(threading) = self.links.threading(message.blob) {
            return Ok(threading);
        }
        let sql = "SELECT threading FROM blob WHERE id = ?1";
        let bytes = self.one::<Vec<u8>>(sql, [message.blob])?;
        Ok(Threading::from_bytes(&bytes.unwrap_or_default()))
    }

    fn add_message(
        &mut self,
        place: Place,
        blob: &BlobRef,
        message: &MessageMeta,
        flags: &Flags,
        internal_date: i64,
    ) -> Result<(), Failure> {
        self.links.link_new(blob, Some(message));
        let stored = Stored {
            uid: place.uid,
            after: None,
            mod_seq: place.mod_seq,
            flags: flags.clone(),
            internal_date,
            octets: blob.size(),
            blob: blob.locator() as i64,
            thread: place.thread,
        };
        self.insert(place, &stored)
    }

    fn add_copy(&mut self, place: Place, message: Stored) -> Result<(), Failure> {
        self.links.link(message.blob);
        self.insert(place, &message)
    }

    fn set_flags(
        &mut self,
        mailbox: MailboxId,
        message: Stored,
        flags: Flags,
        mod_seq: ModSeq,
    ) -> Result<(), Failure> {
        let (old, new) = (message.flags.system().bits(), flags.system().bits());
        let change = FlagRun {
            mailbox,
            first: message.uid,
            last: message.uid,
            mod_seq,
            set: new & !old,
            clear: old & !new,
            keywords: (flags.keywords() != message.flags.keywords()).then(|| rows::join_keywords(&flags)),
        };
        match &mut self.flags {
            Some(run) if run.goes_on_with(&change, message.after) => run.last = message.uid,
            _ => {
                self.write_flags()?;
                self.flags = Some(change);
            }
        }
        let is = |flags: &Flags, flag| i64::from(flags.contains(flag));
        let more = |flag| is(&flags, flag) - is(&message.flags, flag);
        let head = self.mailbox(mailbox)?;
        let octets = more(SystemFlags::DELETED) * message.octets as i64;
        head.deleted_octets = head.deleted_octets.saturating_add_signed(octets);
        head.unseen = head.unseen.saturating_add_signed(-more(SystemFlags::SEEN));
        head.deleted = head.deleted.saturating_add_signed(more(SystemFlags::DELETED));
        Ok(())
    }

    fn remove(
        &mut self,
        mailbox: MailboxId,
        gone: &[Stored],
        uids: &UidSet,
        mod_seq: ModSeq,
    ) -> Result<(), Failure> {
        self.write_flags()?;
        for stored in gone {
            self.count(mailbox, stored, false)?;
            self.links.unlink(stored.blob);
        }
        let id = mailbox.value() as i64;
        // The ranges hold only UIDs that go, so whole ranges are deleted.
        let mut delete = self
            .conn
            .prepare_cached("DELETE FROM message WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3")?;
        let mut remember = self
            .conn
            .prepare_cached("INSERT INTO expunged VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for range in uids.ranges() {
            let (first, last) = (range.start().value(), range.end().value());
            delete.execute((id, first, last))?;
            remember.execute((id, mod_seq.value() as i64, first, last, self.now))?;
        }
        drop((delete, remember));
        let account = self.mailbox(mailbox)?.account.clone();
        self.forget_threads(&account, gone)?;
        self.mailbox(mailbox)?.history += uids.len();
        self.forget(mailbox)
    }
}

/// Messages without another between them whose flags change in the same way: one statement changes them all.
#[derive(Debug)]
pub(super) struct FlagRun {
    mailbox: MailboxId,
    first: Uid,
    last: Uid,
    mod_seq: ModSeq,
    set: u8,
    clear: u8,
    // The keywords that all of them have afterwards; `None` where each keeps its own.
    keywords: Option<Option<String>>,
}

impl FlagRun {
    fn goes_on_with(&self, next: &Self, after: Option<Uid>) -> bool {
        let change = |it: &Self| (it.mailbox, it.mod_seq, it.set, it.clear);
        after == Some(self.last) && change(self) == change(next) && self.keywords == next.keywords
    }
}

impl StoredMessage for Stored {
    fn uid(&self) -> Uid {
        self.uid
    }

    fn mod_seq(&self) -> ModSeq {
        self.mod_seq
    }

    fn flags(&self) -> &Flags {
        &self.flags
    }

    fn thread(&self) -> ThreadId {
        self.thread
    }
}

impl Transaction<'_> {
    /// Writes the flags that were changed and not yet written.
    pub(super) fn write_flags(&mut self) -> Result<(), Failure> {
        let Some(run) = self.flags.take() else {
            return Ok(());
        };
        let sql = match &run.keywords {
            None => {
                "UPDATE message SET mod_seq = ?4, flags = (flags | ?5) & ~?6
                 WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND ?7 IS NULL"
            }
            Some(_) => {
                "UPDATE message SET mod_seq = ?4, flags = (flags | ?5) & ~?6, keywords = ?7
                 WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3"
            }
        };
        self.conn.prepare_cached(sql)?.execute((
            run.mailbox.value() as i64,
            run.first.value(),
            run.last.value(),
            run.mod_seq.value() as i64,
            run.set,
            run.clear,
            run.keywords.flatten(),
        ))?;
        Ok(())
    }

    fn insert(&mut self, place: Place, stored: &Stored) -> Result<(), Failure> {
        self.mailbox(place.mailbox)?.uid_next += 1;
        self.count(place.mailbox, stored, true)?;
        let sql = "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.conn.prepare_cached(sql)?.execute((
            place.mailbox.value() as i64,
            place.uid.value(),
            place.mod_seq.value() as i64,
            stored.flags.system().bits(),
            rows::join_keywords(&stored.flags),
            stored.internal_date,
            self.now,
            stored.octets as i64,
            stored.blob,
            place.thread.value() as i64,
        ))?;
        Ok(())
    }

    /// Forgets the keys of threads that have lost their last message; the rows of those that are gone are deleted.
    pub(super) fn forget_threads(&mut self, account: &Account, gone: &[Stored]) -> Result<(), Failure> {
        let threads: BTreeSet<_> = gone.iter().map(|stored| stored.thread.value() as i64).collect();
        let row = self.account_or_new(account)?.row;
        // Threads of other accounts have other numbers, but for messages of before there were threads, which have no
        // keys.
        let sql = "DELETE FROM thread_key WHERE thread = ?1 AND account = ?2
                   AND NOT EXISTS (SELECT 1 FROM message WHERE thread = ?1)";
        let mut delete = self.conn.prepare_cached(sql)?;
        for thread in threads {
            delete.execute((thread, row))?;
        }
        Ok(())
    }

    /// Forgets what of the expunge history is beyond the limits, the oldest first.
    fn forget(&mut self, mailbox: MailboxId) -> Result<(), Failure> {
        let oldest = self.now.saturating_sub(self.limits.history_seconds.into());
        let most = u64::from(self.limits.history_uids);
        let id = mailbox.value() as i64;
        loop {
            let sql = "SELECT mod_seq, at, sum(last - first + 1) FROM expunged WHERE mailbox = ?1
                       GROUP BY mod_seq ORDER BY mod_seq LIMIT 1";
            let front = self.conn.prepare_cached(sql)?.query_row([id], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            });
            let Some((mod_seq, at, count)) = front.optional()? else {
                return Ok(());
            };
            let conn = self.conn;
            let head = self.mailbox(mailbox)?;
            if at >= oldest && head.history <= most {
                return Ok(());
            }
            head.history -= count as u64;
            head.forgotten = ModSeq::new(mod_seq as u64);
            let sql = "DELETE FROM expunged WHERE mailbox = ?1 AND mod_seq = ?2";
            conn.prepare_cached(sql)?.execute((id, mod_seq))?;
        }
    }

    /// Counts a message in or out of the numbers of its mailbox and account.
    fn count(&mut self, mailbox: MailboxId, stored: &Stored, comes: bool) -> Result<(), Failure> {
        let step = |n: &mut u64, by: u64| *n = if comes { *n + by } else { n.saturating_sub(by) };
        let head = self.mailbox(mailbox)?;
        step(&mut head.messages, 1);
        step(
            &mut head.unseen,
            u64::from(!stored.flags.contains(SystemFlags::SEEN)),
        );
        step(
            &mut head.deleted,
            u64::from(stored.flags.contains(SystemFlags::DELETED)),
        );
        step(&mut head.octets, stored.octets);
        if stored.flags.contains(SystemFlags::DELETED) {
            step(&mut head.deleted_octets, stored.octets);
        }
        let account = head.account.clone();
        let account = self.account_or_new(&account)?;
        step(&mut account.messages, 1);
        step(&mut account.octets, stored.octets);
        Ok(())
    }
}
