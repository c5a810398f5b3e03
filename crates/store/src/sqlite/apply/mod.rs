//! The steps of a batch, in SQL
//!
//! What the steps make up is said by `mailwright_mailbox::rules`; the conformance suite holds them to what
//! `mailwright_mailbox::Model` does.

mod annotations;
mod mailboxes;
mod messages;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, Change, CommitError, Limits, MailboxId, Outcome, SpoolKey, Uid, Usage,
    rules::{self, Head, SpoolSteps, Steps},
};
use rusqlite::{Connection, OptionalExtension};

use self::messages::FlagRun;
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
    flags: Option<FlagRun>,
    counters: Counters,
    changes: BTreeMap<MailboxId, (Account, Change)>,
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
            flags: None,
            counters,
            changes: BTreeMap::new(),
        }
    }

    /// Applies a batch; on failure the caller rolls the database back.
    pub(super) fn run(mut self, batch: &Batch) -> Result<Applied, Failure> {
        let outcomes = rules::apply(&mut self, batch)?;
        self.write_flags()?;
        let packs = self.links.write()?;
        self.cache.merge(self.mailboxes, self.accounts, self.counters);
        Ok(Applied {
            outcomes,
            changes: self.changes.into_values().collect(),
            packs,
        })
    }

    /// Notes what the sessions of an account are to be told.
    fn tell(&mut self, account: Account, change: Change) {
        let told = self.changes.entry(change.mailbox).or_insert((account, change));
        told.1 = told.1.and(change);
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
}

impl Steps for Transaction<'_> {
    type Error = Failure;

    fn enter(&mut self, position: usize) {
        self.op = position;
    }

    fn position(&self) -> usize {
        self.op
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn limits(&self) -> &Limits {
        self.limits
    }

    fn usage(&mut self, account: &Account) -> Result<Usage, Failure> {
        Ok(self
            .account(account)?
            .map_or_else(Usage::default, |it| Usage::new(it.octets, it.messages)))
    }

    fn head(&mut self, mailbox: MailboxId) -> Result<Option<Head>, Failure> {
        match self.mailbox(mailbox) {
            Ok(it) => {
                let uid_next = u32::try_from(it.uid_next).ok().and_then(Uid::new);
                let account = it.account.clone();
                Ok(Some(Head::new(account, it.uid_validity, uid_next, it.mod_seq)))
            }
            Err(Failure::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn has_blob(&mut self, blob: &BlobRef) -> Result<bool, Failure> {
        Ok(self.links.is_there(blob)?)
    }

    fn touch(&mut self, change: Change) -> Result<(), Failure> {
        let head = self.mailbox(change.mailbox)?;
        head.mod_seq = change.mod_seq;
        let account = head.account.clone();
        self.tell(account, change);
        Ok(())
    }
}

impl SpoolSteps for Transaction<'_> {
    fn spool_put(
        &mut self,
        key: Option<SpoolKey>,
        record: &Bytes,
        blob: Option<&BlobRef>,
    ) -> Result<Option<SpoolKey>, Failure> {
        let key = match key {
            Some(key) => {
                let sql = "SELECT blob FROM spool WHERE key = ?1";
                let Some(before) = self.one::<Option<i64>>(sql, [key.value() as i64])? else {
                    return Ok(None);
                };
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
            .execute((key.value() as i64, &record[..], locator))?;
        Ok(Some(key))
    }

    fn spool_remove(&mut self, key: SpoolKey) -> Result<bool, Failure> {
        let sql = "DELETE FROM spool WHERE key = ?1 RETURNING blob";
        let Some(blob) = self.one::<Option<i64>>(sql, [key.value() as i64])? else {
            return Ok(false);
        };
        blob.into_iter().for_each(|blob| self.links.unlink(blob));
        Ok(true)
    }
}
