//! The operations of a batch, in SQL
//!
//! What they must do is what `mailwright_mailbox::Model` does; the conformance suite holds the two together.

use std::collections::{BTreeMap, HashMap};

use mailwright_mailbox::{
    Account, Batch, BlobRef, Change, CommitError, FlagChange, Flags, Limits, MailboxId, MailboxName,
    MessageMeta, ModSeq, Op, Outcome, Precondition, SpecialUse, SpoolKey, SystemFlags, Uid, UidSet,
    UidValidity,
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    cache::{self, AccountState, Cache, Counters, Mailbox},
    links::{Done, Links},
    rows::{self, Stored},
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
        for (account, limits, before) in quotas {
            let after = self.usage(account)?;
            let over = |i: usize| limits[i].is_some_and(|limit| after[i] > limit && after[i] > before[i]);
            if over(0) || over(1) {
                return Err(CommitError::OverQuota {
                    account: account.clone(),
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
    #[allow(clippy::type_complexity)] // Two numbers, twice: a struct would be longer than its use.
    fn check<'b>(
        &mut self,
        preconditions: &'b [Precondition],
    ) -> Result<Vec<(&'b Account, [Option<u64>; 2], [u64; 2])>, Failure> {
        let mut quotas = Vec::new();
        for precondition in preconditions {
            match precondition {
                Precondition::Quota {
                    account,
                    octets,
                    messages,
                } => {
                    quotas.push((account, [*octets, *messages], self.usage(account)?));
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

    fn create(
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

    fn rename_inbox(&mut self, account: &Account, to: &MailboxName) -> Result<Outcome, Failure> {
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

    fn rename(
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

    fn delete(&mut self, account: &Account, name: &MailboxName) -> Result<Outcome, Failure> {
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

    fn subscribe(&mut self, account: &Account, name: &MailboxName, on: bool) -> Result<Outcome, Failure> {
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

    fn append(
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

    fn store_flags(
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

    fn copy(&mut self, from: MailboxId, uids: &UidSet, to: MailboxId) -> Result<Outcome, Failure> {
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

    fn expunge(
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

    /// Gives a message the next UID of a mailbox.
    fn insert(&mut self, mailbox: MailboxId, stored: Stored, mod_seq: ModSeq) -> Result<Uid, Failure> {
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
        let account = head.account.clone();
        let account = self.account_or_new(&account)?;
        step(&mut account.messages, 1);
        step(&mut account.octets, stored.octets);
        Ok(())
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

    fn usage(&mut self, account: &Account) -> Result<[u64; 2], Failure> {
        Ok(self
            .account(account)?
            .map_or([0, 0], |it| [it.octets, it.messages]))
    }

    fn find(&self, account: i64, name: &MailboxName) -> Result<Option<MailboxId>, Failure> {
        let sql = "SELECT id FROM mailbox WHERE account = ?1 AND name = ?2";
        let id = self.one::<i64>(sql, (account, name.as_str()))?;
        Ok(id.map(|id| MailboxId::new(id as u64)))
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

/// The trait crate may learn operations before this store does.
fn unknown() -> Failure {
    CommitError::Io("this store does not know the operation".into()).into()
}
