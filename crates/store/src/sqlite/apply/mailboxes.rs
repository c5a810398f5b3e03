//! Mailboxes and subscriptions

use mailwright_mailbox::{
    Account, Change, MailboxId, MailboxName, ModSeq, SpecialUse, Uid, UidSet, UidValidity,
    rules::{MailboxSteps, Renamed},
};

use super::{Failure, Transaction};
use crate::sqlite::{cache::Mailbox, rows};

impl MailboxSteps for Transaction<'_> {
    fn find(&mut self, account: &Account, name: &MailboxName) -> Result<Option<MailboxId>, Failure> {
        let Some(row) = self.row(account)? else {
            return Ok(None);
        };
        let sql = "SELECT id FROM mailbox WHERE account = ?1 AND name = ?2";
        let id = self.one::<i64>(sql, (row, name.as_str()))?;
        Ok(id.map(|id| MailboxId::new(id as u64)))
    }

    fn subtree(
        &mut self,
        account: &Account,
        name: &MailboxName,
    ) -> Result<Vec<(MailboxId, MailboxName)>, Failure> {
        match self.row(account)? {
            Some(row) => Ok(rows::subtree(self.conn, row, name)?),
            None => Ok(Vec::new()),
        }
    }

    fn all_mailboxes(&mut self, account: &Account) -> Result<Vec<(MailboxId, MailboxName)>, Failure> {
        match self.row(account)? {
            Some(row) => Ok(rows::mailboxes(self.conn, row)?),
            None => Ok(Vec::new()),
        }
    }

    fn mailbox_count(&mut self, account: &Account) -> Result<u64, Failure> {
        self.count_rows(account, "SELECT count(*) FROM mailbox WHERE account = ?1")
    }

    fn last_uid_validity(&mut self, account: &Account) -> Result<Option<UidValidity>, Failure> {
        Ok(self.account(account)?.and_then(|it| it.last_uid_validity))
    }

    fn add_mailbox(
        &mut self,
        account: &Account,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
        uid_validity: UidValidity,
    ) -> Result<MailboxId, Failure> {
        let state = self.account_or_new(account)?;
        state.last_uid_validity = Some(uid_validity);
        let row = state.row;
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
            deleted_octets: 0,
            history: 0,
            forgotten: ModSeq::ZERO,
        };
        // The numbers are those of an empty mailbox; the cache writes them where they change.
        let sql = "INSERT INTO mailbox VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, 0, 0, 0, 0, 0, 0, 0)";
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
        self.tell(account.clone(), Change::new(id, ModSeq::ONE));
        Ok(id)
    }

    fn set_uids(
        &mut self,
        mailbox: MailboxId,
        uid_validity: UidValidity,
        uid_next: Option<Uid>,
    ) -> Result<(), Failure> {
        let sql = "UPDATE mailbox SET uid_validity = ?2 WHERE id = ?1";
        self.conn
            .prepare_cached(sql)?
            .execute((mailbox.value() as i64, uid_validity.value()))?;
        self.conn
            .prepare_cached("DELETE FROM contents WHERE mailbox = ?1")?
            .execute([mailbox.value() as i64])?;
        let it = self.mailbox(mailbox)?;
        it.uid_validity = uid_validity;
        it.uid_next = uid_next.map_or(1 << 32, |uid| u64::from(uid.value()));
        let account = it.account.clone();
        let state = self.account_or_new(&account)?;
        state.last_uid_validity = state.last_uid_validity.max(Some(uid_validity));
        Ok(())
    }

    fn rename_mailboxes(&mut self, _: &Account, renamed: &[Renamed]) -> Result<(), Failure> {
        // Source and target may overlap: all names are given up before the first is taken. No name begins with a
        // control character, so these collide with none.
        let mut update = self
            .conn
            .prepare_cached("UPDATE mailbox SET name = ?2 WHERE id = ?1")?;
        for it in renamed {
            let id = it.mailbox.value();
            update.execute((id as i64, format!("\u{1}{id}")))?;
        }
        for it in renamed {
            update.execute((it.mailbox.value() as i64, it.to.as_str()))?;
        }
        Ok(())
    }

    fn remove_mailbox(
        &mut self,
        account: &Account,
        _: &MailboxName,
        mailbox: MailboxId,
    ) -> Result<(), Failure> {
        self.write_flags()?;
        let gone = self.mailbox(mailbox)?.clone();
        let messages = rows::select(self.conn, mailbox, &UidSet::all())?;
        for stored in &messages {
            self.links.unlink(stored.blob);
        }
        let id = mailbox.value() as i64;
        for table in ["message", "expunged", "annotation", "acl", "contents"] {
            let sql = format!("DELETE FROM {table} WHERE mailbox = ?1");
            self.conn.prepare_cached(&sql)?.execute([id])?;
        }
        self.conn
            .prepare_cached("DELETE FROM mailbox WHERE id = ?1")?
            .execute([id])?;
        self.forget_threads(account, &messages)?;
        self.mailboxes.insert(mailbox, None);
        let state = self.account_or_new(account)?;
        state.octets -= gone.octets;
        state.messages -= gone.messages;
        self.tell(account.clone(), Change::new(mailbox, gone.mod_seq.next()));
        Ok(())
    }

    fn is_subscribed(&mut self, account: &Account, name: &MailboxName) -> Result<bool, Failure> {
        let Some(row) = self.row(account)? else {
            return Ok(false);
        };
        let sql = "SELECT 1 FROM subscription WHERE account = ?1 AND name = ?2";
        Ok(self.one::<i64>(sql, (row, name.as_str()))?.is_some())
    }

    fn subscription_count(&mut self, account: &Account) -> Result<u64, Failure> {
        self.count_rows(account, "SELECT count(*) FROM subscription WHERE account = ?1")
    }

    fn all_subscriptions(&mut self, account: &Account) -> Result<Vec<MailboxName>, Failure> {
        match self.row(account)? {
            Some(row) => Ok(rows::subscriptions(self.conn, row)?),
            None => Ok(Vec::new()),
        }
    }

    fn set_subscribed(&mut self, account: &Account, name: &MailboxName, on: bool) -> Result<(), Failure> {
        let row = self.account_or_new(account)?.row;
        let sql = match on {
            true => "INSERT INTO subscription VALUES (?1, ?2)",
            false => "DELETE FROM subscription WHERE account = ?1 AND name = ?2",
        };
        self.conn.prepare_cached(sql)?.execute((row, name.as_str()))?;
        Ok(())
    }
}

impl Transaction<'_> {
    /// The key of an account's row, if it exists.
    pub(super) fn row(&mut self, account: &Account) -> Result<Option<i64>, Failure> {
        Ok(self.account(account)?.map(|it| it.row))
    }

    pub(super) fn count_rows(&mut self, account: &Account, sql: &str) -> Result<u64, Failure> {
        let Some(row) = self.row(account)? else {
            return Ok(0);
        };
        let count = self.one::<i64>(sql, [row])?;
        Ok(count.map_or(0, i64::unsigned_abs))
    }
}
