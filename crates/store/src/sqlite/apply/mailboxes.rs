//! Creating, renaming, deleting, subscribing

use mailwright_mailbox::{
    Account, CommitError, MailboxId, MailboxName, ModSeq, Outcome, SpecialUse, UidSet, UidValidity,
};

use super::{Failure, Transaction};
use crate::sqlite::{cache::Mailbox, rows};

impl Transaction<'_> {
    pub(super) fn create(
        &mut self,
        account: &Account,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<(MailboxId, UidValidity), Failure> {
        let row = self.account_or_new(account)?.row;
        if self.find(row, name)?.is_some() {
            return Err(CommitError::AlreadyExists { op: self.op }.into());
        }
        let count = self.one::<i64>("SELECT count(*) FROM mailbox WHERE account = ?1", [row])?;
        if count.unwrap_or(0) >= i64::from(self.limits.mailboxes_per_account) {
            return Err(self.limit("mailboxes of an account"));
        }
        let now = self.now;
        let last = self.account_or_new(account)?.last_uid_validity;
        let Some(uid_validity) = UidValidity::after(last, now) else {
            return Err(self.limit("UIDVALIDITY of an account"));
        };
        self.account_or_new(account)?.last_uid_validity = Some(uid_validity);
        self.counters.mailbox += 1;
        let id = MailboxId::new(self.counters.mailbox);
        let mailbox = Mailbox {
            account: account.clone(),
            uid_validity,
            uid_next: 1,
            mod_seq: ModSeq::ONE,
            messages: 0,
            unseen: 0,
            deleted: 0,
            octets: 0,
            history: 0,
            forgotten: ModSeq::ZERO,
        };
        // The numbers are those of an empty mailbox; the cache writes them where they change.
        let sql = "INSERT INTO mailbox VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, 0, 0, 0, 0, 0, 0)";
        let special_use = special_use.map(SpecialUse::name);
        let values = (
            id.value() as i64,
            row,
            name.as_str(),
            special_use,
            uid_validity.value(),
        );
        self.conn.prepare_cached(sql)?.execute(values)?;
        self.mailboxes.insert(id, Some(mailbox));
        self.changes.insert(id, (account.clone(), ModSeq::ONE));
        Ok((id, uid_validity))
    }

    pub(super) fn rename_inbox(&mut self, account: &Account, to: &MailboxName) -> Result<Outcome, Failure> {
        let missing = CommitError::NoSuchMailbox { op: self.op };
        let Some(row) = self.account(account)?.map(|it| it.row) else {
            return Err(missing.into());
        };
        let inbox = self.find(row, &MailboxName::inbox())?.ok_or(missing)?;
        let (mailbox, _) = self.create(account, to, None)?;
        self.copy(inbox, &UidSet::all(), mailbox)?;
        self.expunge(inbox, &UidSet::all(), false)?;
        Ok(Outcome::Renamed {
            mailbox: Some(mailbox),
        })
    }

    pub(super) fn rename(
        &mut self,
        account: &Account,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Outcome, Failure> {
        let missing = CommitError::NoSuchMailbox { op: self.op };
        let Some(row) = self.account(account)?.map(|it| it.row) else {
            return Err(missing.into());
        };
        let moved = rows::subtree(self.conn, row, from)?;
        if moved.is_empty() {
            return Err(missing.into());
        }
        if to.is_below(from) {
            return Err(CommitError::InvalidName { op: self.op }.into());
        }
        let in_the_way =
            |(_, name): &(MailboxId, MailboxName)| name == to || !(name == from || name.is_below(from));
        if to.is_inbox() || rows::subtree(self.conn, row, to)?.iter().any(in_the_way) {
            return Err(CommitError::AlreadyExists { op: self.op }.into());
        }
        // Source and target may overlap: all names are given up before the first is taken. No name begins with a
        // control character, so these collide with none.
        let mut update = self
            .conn
            .prepare_cached("UPDATE mailbox SET name = ?2 WHERE id = ?1")?;
        for (id, _) in &moved {
            update.execute((id.value() as i64, format!("\u{1}{}", id.value())))?;
        }
        let mut itself = None;
        for (id, name) in &moved {
            let renamed = name
                .rebased(from, to)
                .ok_or(CommitError::InvalidName { op: self.op })?;
            update.execute((id.value() as i64, renamed.as_str()))?;
            if name == from {
                itself = Some(*id);
            }
            let mod_seq = self.mailbox(*id)?.mod_seq;
            self.changes.insert(*id, (account.clone(), mod_seq));
        }
        Ok(Outcome::Renamed { mailbox: itself })
    }

    pub(super) fn delete(&mut self, account: &Account, name: &MailboxName) -> Result<Outcome, Failure> {
        if name.is_inbox() {
            return Err(CommitError::InvalidName { op: self.op }.into());
        }
        let missing = CommitError::NoSuchMailbox { op: self.op };
        let Some(row) = self.account(account)?.map(|it| it.row) else {
            return Err(missing.into());
        };
        let Some(id) = self.find(row, name)? else {
            let children = !rows::subtree(self.conn, row, name)?.is_empty();
            return Err(if children {
                CommitError::HasChildren { op: self.op }
            } else {
                missing
            }
            .into());
        };
        let gone = self.mailbox(id)?.clone();
        for stored in rows::select(self.conn, id, &UidSet::all())? {
            self.links.unlink(stored.blob);
        }
        for table in ["message", "expunged"] {
            let sql = format!("DELETE FROM {table} WHERE mailbox = ?1");
            self.conn.prepare_cached(&sql)?.execute([id.value() as i64])?;
        }
        self.conn
            .prepare_cached("DELETE FROM mailbox WHERE id = ?1")?
            .execute([id.value() as i64])?;
        self.mailboxes.insert(id, None);
        let state = self.account_or_new(account)?;
        state.octets -= gone.octets;
        state.messages -= gone.messages;
        self.changes.insert(id, (account.clone(), gone.mod_seq.next()));
        Ok(Outcome::Deleted { mailbox: id })
    }

    pub(super) fn subscribe(
        &mut self,
        account: &Account,
        name: &MailboxName,
        on: bool,
    ) -> Result<Outcome, Failure> {
        let row = self.account_or_new(account)?.row;
        let values = (row, name.as_str());
        if !on {
            self.conn
                .prepare_cached("DELETE FROM subscription WHERE account = ?1 AND name = ?2")?
                .execute(values)?;
            return Ok(Outcome::Subscribed);
        }
        let sql = "INSERT INTO subscription VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        let added = self.conn.prepare_cached(sql)?.execute(values)? > 0;
        let count = self.one::<i64>("SELECT count(*) FROM subscription WHERE account = ?1", [row])?;
        if added && count.unwrap_or(0) > i64::from(self.limits.subscriptions_per_account) {
            return Err(self.limit("subscriptions of an account"));
        }
        Ok(Outcome::Subscribed)
    }

    pub(super) fn find(&self, account: i64, name: &MailboxName) -> Result<Option<MailboxId>, Failure> {
        let sql = "SELECT id FROM mailbox WHERE account = ?1 AND name = ?2";
        let id = self.one::<i64>(sql, (account, name.as_str()))?;
        Ok(id.map(|id| MailboxId::new(id as u64)))
    }
}
