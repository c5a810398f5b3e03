//! Annotations and access control lists

use bytes::Bytes;
use mailwright_mailbox::{Account, EntryName, Identifier, MailboxId, Rights, rules::AnnotationSteps};

use super::{Failure, Transaction};
use crate::sqlite::rows;

impl AnnotationSteps for Transaction<'_> {
    fn annotation_count(&mut self, account: &Account, mailbox: Option<MailboxId>) -> Result<u64, Failure> {
        let Some(row) = self.row(account)? else {
            return Ok(0);
        };
        let sql = "SELECT count(*) FROM annotation WHERE account = ?1 AND mailbox = ?2";
        let count = self.one::<i64>(sql, (row, rows::on(mailbox)))?;
        Ok(count.map_or(0, i64::unsigned_abs))
    }

    fn has_annotation(
        &mut self,
        account: &Account,
        mailbox: Option<MailboxId>,
        name: &EntryName,
    ) -> Result<bool, Failure> {
        let Some(row) = self.row(account)? else {
            return Ok(false);
        };
        let sql = "SELECT 1 FROM annotation WHERE account = ?1 AND mailbox = ?2 AND name = ?3";
        let values = (row, rows::on(mailbox), name.as_str());
        Ok(self.one::<i64>(sql, values)?.is_some())
    }

    fn set_annotation(
        &mut self,
        account: &Account,
        mailbox: Option<MailboxId>,
        name: &EntryName,
        value: Option<&Bytes>,
    ) -> Result<(), Failure> {
        let row = self.account_or_new(account)?.row;
        let key = (row, rows::on(mailbox), name.as_str());
        match value {
            Some(value) => {
                let sql = "INSERT INTO annotation VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT DO UPDATE SET value = excluded.value";
                self.conn
                    .prepare_cached(sql)?
                    .execute((key.0, key.1, key.2, &value[..]))?;
            }
            None => {
                let sql = "DELETE FROM annotation WHERE account = ?1 AND mailbox = ?2 AND name = ?3";
                self.conn.prepare_cached(sql)?.execute(key)?;
            }
        }
        Ok(())
    }

    fn clear_annotations(&mut self, account: &Account) -> Result<(), Failure> {
        let Some(row) = self.row(account)? else {
            return Ok(());
        };
        self.conn
            .prepare_cached("DELETE FROM annotation WHERE account = ?1")?
            .execute([row])?;
        Ok(())
    }

    fn rights(&mut self, mailbox: MailboxId, identifier: &Identifier) -> Result<Rights, Failure> {
        let sql = "SELECT rights FROM acl WHERE mailbox = ?1 AND identifier = ?2";
        let bits = self.one::<u16>(sql, (mailbox.value() as i64, identifier.as_str()))?;
        Ok(Rights::from_bits(bits.unwrap_or(0)))
    }

    fn identifier_count(&mut self, mailbox: MailboxId) -> Result<u64, Failure> {
        let sql = "SELECT count(*) FROM acl WHERE mailbox = ?1";
        let count = self.one::<i64>(sql, [mailbox.value() as i64])?;
        Ok(count.map_or(0, i64::unsigned_abs))
    }

    fn set_rights(
        &mut self,
        mailbox: MailboxId,
        identifier: &Identifier,
        rights: Rights,
    ) -> Result<(), Failure> {
        let key = (mailbox.value() as i64, identifier.as_str());
        if rights.is_empty() {
            let sql = "DELETE FROM acl WHERE mailbox = ?1 AND identifier = ?2";
            self.conn.prepare_cached(sql)?.execute(key)?;
        } else {
            let sql =
                "INSERT INTO acl VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET rights = excluded.rights";
            self.conn
                .prepare_cached(sql)?
                .execute((key.0, key.1, rights.bits()))?;
        }
        Ok(())
    }
}
