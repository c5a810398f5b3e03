//! What the writer remembers of mailboxes and accounts, so that it need not read them for every batch
//!
//! The writer is the only one that changes them, so what it remembers is true. Changes are written once for all
//! batches of a group, just before it is committed.

use std::collections::{HashMap, HashSet};

use mailwright_mailbox::{Account, MailboxId, ModSeq, UidValidity};
use rusqlite::{Connection, OptionalExtension, Result, Row};

/// A mailbox, but for its name.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    pub(super) account: Account,
    pub(super) uid_validity: UidValidity,
    /// 1 to 2^32; the last means that none is left.
    pub(super) uid_next: u64,
    pub(super) mod_seq: ModSeq,
    pub(super) messages: u64,
    pub(super) unseen: u64,
    pub(super) deleted: u64,
    pub(super) octets: u64,
    pub(super) deleted_octets: u64,
    /// How many UIDs the expunge history holds.
    pub(super) history: u64,
    /// The mod-sequence of the latest expunge that is not in the history.
    pub(super) forgotten: ModSeq,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AccountState {
    pub(super) row: i64,
    pub(super) last_uid_validity: Option<UidValidity>,
    pub(super) octets: u64,
    pub(super) messages: u64,
}

/// The last ids that were given out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) mailbox: u64,
    pub(super) spool: u64,
    pub(super) thread: u64,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    pub(super) mailboxes: HashMap<MailboxId, Mailbox>,
    pub(super) accounts: HashMap<Account, AccountState>,
    pub(super) counters: Counters,
    // As the database has them.
    committed: Counters,
    changed_mailboxes: HashSet<MailboxId>,
    changed_accounts: HashSet<Account>,
}

impl Cache {
    /// How many mailboxes or accounts are remembered.
    const MOST: usize = 20_000;

    /// Begins with what the database says.
    pub(super) fn load(conn: &Connection) -> Result<Self> {
        let counter = |name: &str| {
            conn.query_row("SELECT value FROM counter WHERE name = ?1", [name], |row| {
                row.get::<_, i64>(0)
            })
        };
        let counters = Counters {
            mailbox: counter("mailbox")? as u64,
            spool: counter("spool")? as u64,
            thread: counter("thread")? as u64,
        };
        Ok(Self {
            counters,
            committed: counters,
            ..Self::default()
        })
    }

    /// Takes over what a batch made of mailboxes (`None`: deleted) and accounts.
    pub(super) fn merge(
        &mut self,
        mailboxes: HashMap<MailboxId, Option<Mailbox>>,
        accounts: HashMap<Account, AccountState>,
        counters: Counters,
    ) {
        for (id, mailbox) in mailboxes {
            match mailbox {
                Some(mailbox) => {
                    self.mailboxes.insert(id, mailbox);
                    self.changed_mailboxes.insert(id);
                }
                None => {
                    self.mailboxes.remove(&id);
                    self.changed_mailboxes.remove(&id);
                }
            }
        }
        for (name, account) in accounts {
            self.accounts.insert(name.clone(), account);
            self.changed_accounts.insert(name);
        }
        self.counters = counters;
    }

    /// Writes what has changed.
    pub(super) fn flush(&mut self, conn: &Connection) -> Result<()> {
        let mut update = conn.prepare_cached(
            "UPDATE mailbox SET uid_next = ?2, mod_seq = ?3, messages = ?4, unseen = ?5, deleted = ?6, octets = ?7,
             history = ?8, forgotten = ?9, deleted_octets = ?10 WHERE id = ?1",
        )?;
        for id in self.changed_mailboxes.drain() {
            let Some(it) = self.mailboxes.get(&id) else {
                continue;
            };
            update.execute((
                id.value() as i64,
                it.uid_next as i64,
                it.mod_seq.value() as i64,
                it.messages as i64,
                it.unseen as i64,
                it.deleted as i64,
                it.octets as i64,
                it.history as i64,
                it.forgotten.value() as i64,
                it.deleted_octets as i64,
            ))?;
        }
        let mut update = conn.prepare_cached(
            "UPDATE account SET last_uid_validity = ?2, octets = ?3, messages = ?4 WHERE id = ?1",
        )?;
        for name in self.changed_accounts.drain() {
            let Some(it) = self.accounts.get(&name) else {
                continue;
            };
            let last = it.last_uid_validity.map_or(0, UidValidity::value);
            update.execute((it.row, last, it.octets as i64, it.messages as i64))?;
        }
        if self.counters != self.committed {
            let mut update = conn.prepare_cached("UPDATE counter SET value = ?2 WHERE name = ?1")?;
            update.execute(("mailbox", self.counters.mailbox as i64))?;
            update.execute(("spool", self.counters.spool as i64))?;
            update.execute(("thread", self.counters.thread as i64))?;
        }
        Ok(())
    }

    /// Notes that all that was flushed is committed.
    pub(super) fn committed(&mut self) {
        self.committed = self.counters;
    }

    /// Forgets all that may be of a transaction that is gone.
    pub(super) fn roll_back(&mut self) {
        *self = Self {
            counters: self.committed,
            committed: self.committed,
            ..Self::default()
        };
    }

    /// Forgets what need not be remembered, once nothing is waiting to be written.
    pub(super) fn trim(&mut self) {
        if self.mailboxes.len() > Self::MOST {
            self.mailboxes.clear();
        }
        if self.accounts.len() > Self::MOST {
            self.accounts.clear();
        }
    }
}

/// Reads a mailbox.
pub(super) fn read_mailbox(conn: &Connection, id: MailboxId) -> Result<Option<Mailbox>> {
    let mut statement = conn.prepare_cached(
        "SELECT account.name, uid_validity, uid_next, mod_seq, mailbox.messages, unseen, deleted, mailbox.octets,
         history, forgotten, deleted_octets FROM mailbox JOIN account ON account.id = mailbox.account WHERE mailbox.id = ?1",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Mailbox {
            account: Account::new(row.get::<_, String>(0)?),
            uid_validity: UidValidity::new(row.get(1)?)
                .ok_or(rusqlite::Error::IntegralValueOutOfRange(1, 0))?,
            uid_next: row.get::<_, i64>(2)? as u64,
            mod_seq: ModSeq::new(row.get::<_, i64>(3)? as u64),
            messages: row.get::<_, i64>(4)? as u64,
            unseen: row.get::<_, i64>(5)? as u64,
            deleted: row.get::<_, i64>(6)? as u64,
            octets: row.get::<_, i64>(7)? as u64,
            history: row.get::<_, i64>(8)? as u64,
            forgotten: ModSeq::new(row.get::<_, i64>(9)? as u64),
            deleted_octets: row.get::<_, i64>(10)? as u64,
        })
    };
    statement.query_row([id.value() as i64], read).optional()
}

/// Reads an account.
pub(super) fn read_account(conn: &Connection, name: &str) -> Result<Option<AccountState>> {
    let sql = "SELECT id, last_uid_validity, octets, messages FROM account WHERE name = ?1";
    let read = |row: &Row<'_>| {
        Ok(AccountState {
            row: row.get(0)?,
            last_uid_validity: UidValidity::new(row.get(1)?),
            octets: row.get::<_, i64>(2)? as u64,
            messages: row.get::<_, i64>(3)? as u64,
        })
    };
    conn.prepare_cached(sql)?.query_row([name], read).optional()
}
