//! Appending, flagging, copying, moving, expunging

use mailwright_mailbox::{
    BlobRef, FlagChange, Flags, MailboxId, MessageMeta, ModSeq, Outcome, SystemFlags, Uid, UidSet,
};
use rusqlite::OptionalExtension;

use super::{Failure, Transaction};
use crate::sqlite::rows::{self, Stored};

impl Transaction<'_> {
    pub(super) fn append(
        &mut self,
        mailbox: MailboxId,
        blob: &BlobRef,
        message: &MessageMeta,
        flags: &Flags,
        internal_date: i64,
    ) -> Result<Outcome, Failure> {
        self.check_blob(blob)?;
        self.check_flags(flags)?;
        let head = self.mailbox(mailbox)?;
        let (uid_validity, mod_seq) = (head.uid_validity, head.mod_seq.next());
        self.links.link_new(blob, Some(&message.index));
        let stored = Stored {
            uid: Uid::MIN,
            mod_seq,
            flags: flags.clone(),
            internal_date,
            octets: blob.size(),
            blob: blob.locator() as i64,
        };
        let uid = self.insert(mailbox, stored, mod_seq)?;
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
    ) -> Result<Outcome, Failure> {
        let highest = self.mailbox(mailbox)?.mod_seq;
        let (mut changed, mut failed) = (UidSet::new(), UidSet::new());
        let sql =
            "UPDATE message SET mod_seq = ?3, flags = ?4, keywords = ?5 WHERE mailbox = ?1 AND uid = ?2";
        let mut update = self.conn.prepare_cached(sql)?;
        let (mut unseen, mut deleted) = (0_i64, 0_i64);
        for stored in rows::select(self.conn, mailbox, uids)? {
            if unchanged_since.is_some_and(|since| stored.mod_seq > since) {
                failed.insert(stored.uid);
                continue;
            }
            let flags = stored.flags.changed(change);
            if flags == stored.flags {
                continue;
            }
            self.check_flags(&flags)?;
            changed.insert(stored.uid);
            let is = |flags: &Flags, flag| i64::from(flags.contains(flag));
            unseen += is(&stored.flags, SystemFlags::SEEN) - is(&flags, SystemFlags::SEEN);
            deleted += is(&flags, SystemFlags::DELETED) - is(&stored.flags, SystemFlags::DELETED);
            let key = (
                mailbox.value() as i64,
                stored.uid.value(),
                highest.next().value() as i64,
            );
            update.execute((
                key.0,
                key.1,
                key.2,
                flags.system().bits(),
                rows::join_keywords(&flags),
            ))?;
        }
        drop(update);
        let head = self.mailbox(mailbox)?;
        head.unseen = head.unseen.saturating_add_signed(unseen);
        head.deleted = head.deleted.saturating_add_signed(deleted);
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

    pub(super) fn copy(&mut self, from: MailboxId, uids: &UidSet, to: MailboxId) -> Result<Outcome, Failure> {
        let head = self.mailbox(to)?;
        let (uid_validity, highest) = (head.uid_validity, head.mod_seq);
        self.mailbox(from)?;
        let (mut source, mut target) = (UidSet::new(), UidSet::new());
        for stored in rows::select(self.conn, from, uids)? {
            source.insert(stored.uid);
            self.links.link(stored.blob);
            target.insert(self.insert(to, stored, highest.next())?);
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
    ) -> Result<(UidSet, ModSeq), Failure> {
        let mod_seq = self.mailbox(mailbox)?.mod_seq;
        let mut gone = rows::select(self.conn, mailbox, uids)?;
        gone.retain(|stored| !deleted_only || stored.flags.contains(SystemFlags::DELETED));
        if gone.is_empty() {
            return Ok((UidSet::new(), mod_seq));
        }
        for stored in &gone {
            self.count(mailbox, stored, false)?;
            self.links.unlink(stored.blob);
        }
        let (mod_seq, uids) = (
            mod_seq.next(),
            gone.iter().map(|stored| stored.uid).collect::<UidSet>(),
        );
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
        self.mailbox(mailbox)?.history += uids.len();
        self.forget(mailbox)?;
        self.touch(mailbox, mod_seq)?;
        Ok((uids, mod_seq))
    }

    /// Forgets what of the expunge history is beyond the limits, the oldest first.
    pub(super) fn forget(&mut self, mailbox: MailboxId) -> Result<(), Failure> {
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

    /// Gives a message the next UID of a mailbox.
    pub(super) fn insert(
        &mut self,
        mailbox: MailboxId,
        stored: Stored,
        mod_seq: ModSeq,
    ) -> Result<Uid, Failure> {
        let uid = u32::try_from(self.mailbox(mailbox)?.uid_next)
            .ok()
            .and_then(Uid::new);
        let uid = uid.ok_or_else(|| self.limit("UIDs of a mailbox"))?;
        self.mailbox(mailbox)?.uid_next += 1;
        self.count(mailbox, &stored, true)?;
        let sql = "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.conn.prepare_cached(sql)?.execute((
            mailbox.value() as i64,
            uid.value(),
            mod_seq.value() as i64,
            stored.flags.system().bits(),
            rows::join_keywords(&stored.flags),
            stored.internal_date,
            self.now,
            stored.octets as i64,
            stored.blob,
        ))?;
        Ok(uid)
    }

    /// Counts a message in or out of the numbers of its mailbox and account.
    pub(super) fn count(&mut self, mailbox: MailboxId, stored: &Stored, comes: bool) -> Result<(), Failure> {
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
        let account = head.account.clone();
        let account = self.account_or_new(&account)?;
        step(&mut account.messages, 1);
        step(&mut account.octets, stored.octets);
        Ok(())
    }
}
