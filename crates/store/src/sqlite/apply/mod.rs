//! The operations of a batch, in SQL
//!
//! What they must do is what `mailwright_mailbox::Model` does; the conformance suite holds the two together.

mod mailboxes;
mod messages;

use std::collections::{BTreeMap, HashMap};

use mailwright_mailbox::{
    Account, Batch, BlobRef, Change, CommitError, Flags, Limits, MailboxId, ModSeq, Op, Outcome,
    Precondition, SpoolKey, Usage,
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    cache::{self, AccountState, Cache, Counters, Mailbox},
    links::{Done, Links},
};

/// Why a batch did not go in.
#[derive(Debug)]
pub(super) enum Failure {
    /// The model refuses it; others of its group are not concerned.
    Refused(CommitError),
    /// The database failed; what was done since the last commit is in doubt.
    Engine(rusqlite::Error),
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

/// What a batch did.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) changes: Vec<(Account, Change)>,
    pub(super) packs: Done,
}

/// A batch that is being applied. What it makes of mailboxes and accounts is kept aside until all of it is done.
pub(super) struct Transaction<'w> {
    conn: &'w Connection,
    limits: &'w Limits,
    cache: &'w mut Cache,
    now: i64,
    // The position of the operation that is being applied.
    op: usize,
    mailboxes: HashMap<MailboxId, Option<Mailbox>>,
    accounts: HashMap<Account, AccountState>,
    links: Links<'w>,
    counters: Counters,
    changes: BTreeMap<MailboxId, (Account, ModSeq)>,
}

impl<'w> Transaction<'w> {
    pub(super) fn new(
        conn: &'w Connection,
        limits: &'w Limits,
        cache: &'w mut Cache,
        identity: &'w std::sync::Arc<()>,
        now: i64,
    ) -> Self {
        let (mailboxes, accounts) = (HashMap::new(), HashMap::new());
        let (links, counters) = (Links::new(conn, identity), cache.counters);
        Self {
            conn,
            limits,
            cache,
            now,
            op: 0,
            mailboxes,
            accounts,
            links,
            counters,
            changes: BTreeMap::new(),
        }
    }

    /// Applies a batch; on failure the caller rolls the database back.
    pub(super) fn run(mut self, batch: &Batch) -> Result<Applied, Failure> {
        let quotas = self.check(&batch.preconditions)?;
        let mut outcomes = Vec::with_capacity(batch.ops.len());
        for (op, it) in batch.ops.iter().enumerate() {
            self.op = op;
            outcomes.push(self.op(it)?);
        }
        for quota in quotas {
            if quota.is_exceeded(self.usage(quota.account)?) {
                return Err(CommitError::OverQuota {
                    account: quota.account.clone(),
                }
                .into());
            }
        }
        let packs = self.links.write()?;
        self.cache.merge(self.mailboxes, self.accounts, self.counters);
        let change = |(mailbox, (account, mod_seq))| (account, Change::new(mailbox, mod_seq));
        Ok(Applied {
            outcomes,
            changes: self.changes.into_iter().map(change).collect(),
            packs,
        })
    }

    /// Checks what can be checked before, and returns the quotas with what was used then.
    fn check<'b>(&mut self, preconditions: &'b [Precondition]) -> Result<Vec<Quota<'b>>, Failure> {
        let mut quotas = Vec::new();
        for precondition in preconditions {
            match precondition {
                Precondition::Quota {
                    account,
                    octets,
                    messages,
                } => {
                    let before = self.usage(account)?;
                    quotas.push(Quota {
                        account,
                        octets: *octets,
                        messages: *messages,
                        before,
                    });
                }
                Precondition::Unchanged { mailbox, since } => match self.mailbox(*mailbox) {
                    Ok(it) if it.mod_seq <= *since => {}
                    Err(Failure::Engine(error)) => return Err(Failure::Engine(error)),
                    _ => return Err(CommitError::Conflict { mailbox: *mailbox }.into()),
                },
                _ => return Err(unknown()),
            }
        }
        Ok(quotas)
    }

    fn op(&mut self, op: &Op) -> Result<Outcome, Failure> {
        match op {
            Op::CreateMailbox {
                account,
                name,
                special_use,
            } => {
                let (mailbox, uid_validity) = self.create(account, name, *special_use)?;
                Ok(Outcome::Created {
                    mailbox,
                    uid_validity,
                })
            }
            Op::RenameMailbox { account, from, to } if from.is_inbox() => self.rename_inbox(account, to),
            Op::RenameMailbox { account, from, to } => self.rename(account, from, to),
            Op::DeleteMailbox { account, name } => self.delete(account, name),
            Op::Subscribe { account, name, on } => self.subscribe(account, name, *on),
            Op::Append {
                mailbox,
                blob,
                message,
                flags,
                internal_date,
            } => self.append(*mailbox, blob, message, flags, *internal_date),
            Op::StoreFlags {
                mailbox,
                uids,
                change,
                unchanged_since,
            } => self.store_flags(*mailbox, uids, change, *unchanged_since),
            Op::Copy { from, uids, to } => self.copy(*from, uids, *to),
            Op::Move { from, uids, to } => {
                let outcome = self.copy(*from, uids, *to)?;
                if let Outcome::Copied { from: copied, .. } = &outcome {
                    self.expunge(*from, copied, false)?;
                }
                Ok(outcome)
            }
            Op::Expunge {
                mailbox,
                uids,
                deleted_only,
            } => {
                let (uids, mod_seq) = self.expunge(*mailbox, uids, *deleted_only)?;
                Ok(Outcome::Expunged { uids, mod_seq })
            }
            Op::SpoolPut { key, record, blob } => self.spool_put(*key, record, blob.as_ref()),
            Op::SpoolRemove { key } => {
                let sql = "DELETE FROM spool WHERE key = ?1 RETURNING blob";
                let blob = self.one::<Option<i64>>(sql, [key.value() as i64])?;
                let blob = blob.ok_or(CommitError::NoSuchSpoolEntry { op: self.op })?;
                blob.into_iter().for_each(|blob| self.links.unlink(blob));
                Ok(Outcome::SpoolRemoved)
            }
            _ => Err(unknown()),
        }
    }

    fn spool_put(
        &mut self,
        key: Option<SpoolKey>,
        record: &[u8],
        blob: Option<&BlobRef>,
    ) -> Result<Outcome, Failure> {
        if let Some(blob) = blob {
            self.check_blob(blob)?;
        }
        let key = match key {
            Some(key) => {
                let before = self
                    .one::<Option<i64>>("SELECT blob FROM spool WHERE key = ?1", [key.value() as i64])?
                    .ok_or(CommitError::NoSuchSpoolEntry { op: self.op })?;
                before.into_iter().for_each(|blob| self.links.unlink(blob));
                key
            }
            None => {
                self.counters.spool += 1;
                SpoolKey::new(self.counters.spool)
            }
        };
        if let Some(blob) = blob {
            self.links.link_new(blob, None);
        }
        let sql = "INSERT INTO spool VALUES (?1, ?2, ?3)
                   ON CONFLICT (key) DO UPDATE SET record = excluded.record, blob = excluded.blob";
        let locator = blob.map(|blob| blob.locator() as i64);
        self.conn
            .prepare_cached(sql)?
            .execute((key.value() as i64, record, locator))?;
        Ok(Outcome::SpoolPut { key })
    }

    /// Raises a mailbox to a mod-sequence and has its feeds told.
    fn touch(&mut self, mailbox: MailboxId, mod_seq: ModSeq) -> Result<(), Failure> {
        let head = self.mailbox(mailbox)?;
        head.mod_seq = mod_seq;
        let account = head.account.clone();
        self.changes.insert(mailbox, (account, mod_seq));
        Ok(())
    }

    fn mailbox(&mut self, id: MailboxId) -> Result<&mut Mailbox, Failure> {
        if !self.mailboxes.contains_key(&id) {
            let known = match self.cache.mailboxes.get(&id) {
                Some(mailbox) => Some(mailbox.clone()),
                None => cache::read_mailbox(self.conn, id)?,
            };
            let known = known.ok_or(CommitError::NoSuchMailbox { op: self.op })?;
            self.mailboxes.insert(id, Some(known));
        }
        let mailbox = self.mailboxes.get_mut(&id).and_then(Option::as_mut);
        mailbox.ok_or_else(|| CommitError::NoSuchMailbox { op: self.op }.into())
    }

    fn account(&mut self, name: &Account) -> Result<Option<&mut AccountState>, Failure> {
        if !self.accounts.contains_key(name) {
            let known = match self.cache.accounts.get(name) {
                Some(account) => Some(*account),
                None => cache::read_account(self.conn, name.as_str())?,
            };
            let Some(known) = known else { return Ok(None) };
            self.accounts.insert(name.clone(), known);
        }
        Ok(self.accounts.get_mut(name))
    }

    fn account_or_new(&mut self, name: &Account) -> Result<&mut AccountState, Failure> {
        if self.account(name)?.is_none() {
            let sql = "INSERT INTO account (name, last_uid_validity, octets, messages) VALUES (?1, 0, 0, 0)";
            let row = self.conn.prepare_cached(sql)?.insert([name.as_str()])?;
            let state = AccountState {
                row,
                last_uid_validity: None,
                octets: 0,
                messages: 0,
            };
            self.accounts.insert(name.clone(), state);
        }
        Ok(self.accounts.get_mut(name).expect("it was put there"))
    }

    fn usage(&mut self, account: &Account) -> Result<Usage, Failure> {
        Ok(self
            .account(account)?
            .map_or_else(Usage::default, |it| Usage::new(it.octets, it.messages)))
    }

    fn check_blob(&self, blob: &BlobRef) -> Result<(), Failure> {
        let there = self.links.is_there(blob)?;
        there
            .then_some(())
            .ok_or_else(|| CommitError::NoSuchBlob { op: self.op }.into())
    }

    fn check_flags(&self, flags: &Flags) -> Result<(), Failure> {
        let fits = flags.keywords().len() <= self.limits.keywords_per_message as usize;
        fits.then_some(())
            .ok_or_else(|| self.limit("keywords on a message"))
    }

    fn one<T: rusqlite::types::FromSql>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> rusqlite::Result<Option<T>> {
        self.conn
            .prepare_cached(sql)?
            .query_row(values, |row| row.get(0))
            .optional()
    }

    const fn limit(&self, limit: &'static str) -> Failure {
        Failure::Refused(CommitError::Limit { op: self.op, limit })
    }
}

/// A quota of a batch, and what was used before it.
struct Quota<'b> {
    account: &'b Account,
    octets: Option<u64>,
    messages: Option<u64>,
    before: Usage,
}

impl Quota<'_> {
    /// Who adds nothing may be above the limit.
    fn is_exceeded(&self, after: Usage) -> bool {
        let over = |limit: Option<u64>, before, after| limit.is_some_and(|it| after > it && after > before);
        over(self.octets, self.before.octets, after.octets)
            || over(self.messages, self.before.messages, after.messages)
    }
}

/// The trait crate may learn operations before this store does.
fn unknown() -> Failure {
    CommitError::Io("this store does not know the operation".into()).into()
}
