//! A store as a [`Backend`]: every account's own mailboxes, and those that others share with it (RFC 4314)
//!
//! Mailboxes of others are seen below `Shared/`, under the name of their account. What may be done with them follows
//! from their access control lists, is looked up for each command, and is decided here: whatever a session asks for.

use super::account::{StoreMailboxes, permit, untold};
use super::backend::{
    Abilities, Admission, Appended, Backend, Copied, Failure, Incoming, Listed, Mailboxes, NewMessage,
    Stored, read_delta,
};
use super::sharing::{SHARED, is_shared};
use crate::accounts::{NotSet, Visit};
use crate::clock::unix_now;
use crate::config::{Quota, Service};
use crate::delivery::{self, MessageWriter, WrittenMessage};
use crate::deltas::Delta;
use crate::quotas::Room;
use crate::shared::Shared;
use bytes::Bytes;
use mailwright_imap::{
    self as imap, Capability, Code, Namespace, Namespaces, QuotaResource, QuotaUsage, Rejection,
};
use mailwright_mailbox::{
    Account, AclEntry, Annotation, Batch, CommitError, Contents, EntryName, Feed, FlagChange, Flags,
    Identifier, MailboxId, MailboxName, Message, ModSeq, Op, Outcome, Page, Rights, Scan, Snapshot,
    SpecialUse, Store, SystemFlags, Uid, UidSet, Vanished,
};
use mailwright_sasl::{Answer, Identity, Question};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use tokio::task::spawn_blocking;

impl<S: Store> Backend for Shared<S> {
    type Mailboxes = StoreMailboxes<S>;

    async fn authenticate(&self, question: Question, client: SocketAddr) -> Answer {
        let visit = Visit::new(client.ip(), Service::Imap);
        self.accounts.answer(question, visit).await
    }

    fn of_certificate(&self, certificate: &[u8], authzid: Option<&str>) -> Option<String> {
        self.accounts.of_certificate(certificate, authzid)
    }

    async fn open(self: &Arc<Self>, user: &Identity, client: SocketAddr) -> Result<Self::Mailboxes, Failure> {
        // It may have been removed between the check of the password and here.
        let account = self
            .accounts
            .account(user)
            .ok_or_else(|| Rejection::new(Some(Code::AuthorizationFailed), "The account is gone"))?;
        // An account that came after the start has no folders yet.
        delivery::inbox(&self.store, &account, &self.accounts.folders()).await?;
        let grant = self.accounts.grant(user, Visit::new(client.ip(), Service::Imap));
        let place = self
            .sessions
            .enter(&account)
            .ok_or_else(|| Rejection::new(Some(Code::Limit), "Too many sessions of this account"))?;
        Ok(StoreMailboxes {
            shared: self.clone(),
            account,
            grant,
            of_others: Mutex::default(),
            place,
        })
    }

    fn offers(&self, user: &str, capability: Capability) -> bool {
        !self.accounts.is_masked(user, capability.as_str())
    }
}

impl<S: Store> StoreMailboxes<S> {
    /// A batch that leaves the account of a mailbox within its quota.
    fn within_quota(&self, mailbox: MailboxId) -> Batch {
        let account = self.owner(mailbox).unwrap_or_else(|| self.account.clone());
        self.shared
            .within_quota(Batch::new(unix_now()), &account, Room::ForAll)
    }

    /// A quota root: what an account may keep, and what it does.
    async fn quota_root_of(&self, account: &Account) -> Result<Option<imap::Quota>, Failure> {
        let bounds = self.shared.quota(account);
        let usage = self.store().usage(account).await?;
        let of = |resource, used, limit: Option<u64>| {
            limit.map(|limit| QuotaUsage {
                resource,
                used,
                limit,
            })
        };
        // Space is told in units of 1024 octets, rounded so that "full" is never shown too early.
        let usage: Vec<_> = [
            of(
                QuotaResource::Storage,
                usage.octets.div_ceil(1024),
                bounds.storage.map(|octets| octets.div_ceil(1024)),
            ),
            of(QuotaResource::Message, usage.messages, bounds.messages),
        ]
        .into_iter()
        .flatten()
        .collect();
        let root = account.as_str().to_owned();
        Ok((!usage.is_empty()).then_some(imap::Quota { root, usage }))
    }

    async fn own_mailboxes(&self) -> Result<Vec<Listed>, Failure> {
        let own = self.store().mailboxes(&self.account).await?;
        let listed = own.into_iter().map(|info| {
            let mut listed = Listed::new(info.id, info.name);
            listed.special_use = info.special_use;
            listed.subscribed = info.subscribed;
            listed
        });
        Ok(listed.collect())
    }

    /// Of the flags of a message that is to come, those that the user may set (RFC 4314 §4).
    fn settable(rights: Rights, flags: &Flags) -> Flags {
        let mut settable = Flags::new();
        for (flag, right) in [
            (SystemFlags::SEEN, Rights::SEEN),
            (SystemFlags::DELETED, Rights::DELETE_MESSAGES),
            (SystemFlags::ANSWERED, Rights::WRITE),
            (SystemFlags::FLAGGED, Rights::WRITE),
            (SystemFlags::DRAFT, Rights::WRITE),
        ] {
            if flags.contains(flag) && rights.contains(right) {
                settable.insert(flag);
            }
        }
        if rights.contains(Rights::WRITE) {
            let keywords = flags.keywords().iter().cloned();
            keywords.for_each(|keyword| settable.insert_keyword(keyword));
        }
        settable
    }
}

impl<S: Store> Mailboxes for StoreMailboxes<S> {
    const ABILITIES: Abilities = Abilities::ALL;

    type Incoming = IncomingMessage<S>;

    async fn admit(&self) -> Admission {
        self.place
            .command()
            .await
            .map_or_else(Admission::default, Admission::from)
    }

    async fn revoked(&self) {
        self.shared.accounts.revoked(self.grant.as_ref()).await;
    }

    async fn list(&self) -> Result<Vec<Listed>, Failure> {
        let mut all = self.own_mailboxes().await?;
        let of_others = self.shared_mailboxes().await?;
        let mut of_others: Vec<_> = of_others.into_iter().map(|it| it.listed).collect();
        of_others.retain(|listed| listed.rights.contains(Rights::LOOKUP));
        if !of_others.is_empty() {
            let subscribed = self.store().subscriptions(&self.account).await?;
            for listed in &mut of_others {
                listed.subscribed = subscribed.contains(&listed.name);
            }
        }
        all.append(&mut of_others);
        Ok(all)
    }

    async fn find(&self, name: &MailboxName) -> Result<Listed, Failure> {
        let own = self.own_mailboxes().await?;
        if let Some(listed) = own.into_iter().find(|listed| listed.name == *name) {
            return Ok(listed);
        }
        if !is_shared(name) {
            return Err(Failure::NoSuchMailbox);
        }
        Ok(self.find_shared(name).await?.listed)
    }

    async fn snapshot(&self, mailbox: MailboxId) -> Result<Snapshot, Failure> {
        self.need(mailbox, Rights::READ).await?;
        Ok(self.store().snapshot(mailbox).await?)
    }

    async fn contents(&self, mailbox: MailboxId) -> Result<Contents, Failure> {
        self.need(mailbox, Rights::READ).await?;
        Ok(self.store().contents(mailbox).await?)
    }

    async fn scan(&self, mailbox: MailboxId, scan: Scan) -> Result<Page, Failure> {
        self.need(mailbox, Rights::READ).await?;
        Ok(self.store().scan(mailbox, scan).await?)
    }

    async fn read(&self, _: MailboxId, message: &Message, range: Range<u64>) -> Result<Bytes, Failure> {
        let blob = message.blob.as_ref().ok_or(Failure::Gone)?;
        Ok(self.store().read_blob(blob, range).await?)
    }

    async fn read_many(
        &self,
        _: MailboxId,
        wanted: &[(&Message, Range<u64>)],
    ) -> Vec<Result<Bytes, Failure>> {
        let blobs: Option<Vec<_>> = wanted
            .iter()
            .map(|(message, range)| Some((message.blob.clone()?, range.clone())))
            .collect();
        match blobs {
            Some(blobs) => {
                let octets = self.store().read_blobs(&blobs).await;
                octets.into_iter().map(|octets| Ok(octets?)).collect()
            }
            None => wanted.iter().map(|_| Err(Failure::Gone)).collect(),
        }
    }

    async fn subscriptions(&self) -> Result<Vec<MailboxName>, Failure> {
        Ok(self.store().subscriptions(&self.account).await?)
    }

    fn namespaces(&self) -> Namespaces {
        let mut namespaces = Namespaces::default();
        namespaces.others.push(Namespace {
            prefix: SHARED.to_owned(),
        });
        namespaces
    }

    fn receives(&self, mailbox: &Listed) -> bool {
        mailbox.owner.is_none() && mailbox.name.is_inbox()
    }

    fn feed(&self, owner: Option<&Account>) -> Option<Feed> {
        Some(self.store().subscribe(owner.unwrap_or(&self.account)))
    }

    async fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, Failure> {
        Ok(self.store().vanished(mailbox, since).await?)
    }

    async fn delta(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        until: Option<ModSeq>,
    ) -> Result<Arc<Delta>, Failure> {
        let Some(until) = until else {
            return Ok(Arc::new(read_delta(self, mailbox, since).await?));
        };
        // Whoever reads it for all: everybody needs the right.
        self.need(mailbox, Rights::READ).await?;
        let read = || read_delta(self, mailbox, since);
        self.shared.deltas.get(mailbox, (since, until), read).await
    }

    async fn incoming(&self, mailbox: &Listed, octets: u64) -> Result<Self::Incoming, Failure> {
        permit(mailbox.rights, Rights::INSERT)?;
        // Said before the octets come, and decided when they are committed.
        let account = mailbox.owner.as_ref().unwrap_or(&self.account);
        if self.shared.is_full(std::slice::from_ref(account), octets).await? {
            return Err(Rejection::OVER_QUOTA.into());
        }
        let writer = MessageWriter::new(self.store());
        Ok(IncomingMessage(Progress::Coming(
            Box::new(writer),
            Arc::clone(&self.shared),
        )))
    }

    async fn append(
        &self,
        mailbox: MailboxId,
        messages: Vec<NewMessage<Self::Incoming>>,
        replaced: Option<(MailboxId, Uid)>,
    ) -> Result<Appended, Failure> {
        let rights = self.rights(mailbox).await?;
        permit(rights, Rights::INSERT)?;
        let mut batch = self.within_quota(mailbox);
        for message in messages {
            let Progress::Whole(written) = message.octets.0 else {
                return Err(Failure::Broken("a message was appended before its end".into()));
            };
            let date = message.internal_date.unwrap_or(batch.now);
            batch.push(written.append(mailbox, Self::settable(rights, &message.flags), date));
        }
        if let Some((mailbox, uid)) = replaced {
            self.need(mailbox, Rights::DELETE_MESSAGES | Rights::EXPUNGE)
                .await?;
            batch.push(Op::Expunge {
                mailbox,
                uids: uid.into(),
                deleted_only: false,
            });
        }
        let mut appended = None;
        for outcome in self.commit(batch).await? {
            if let Outcome::Appended {
                uid_validity, uid, ..
            } = outcome
            {
                let appended = appended.get_or_insert_with(|| Appended::new(uid_validity, UidSet::new()));
                appended.uids.insert(uid);
            }
        }
        appended.ok_or_else(untold)
    }

    async fn store(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Stored, Failure> {
        let rights = self.rights(mailbox).await?;
        let change = match change {
            change if rights.contains(Rights::SEEN | Rights::WRITE | Rights::DELETE_MESSAGES) => change,
            // What has no right is left as it is (RFC 4314 §4); a replacement would not leave it.
            FlagChange::Replace(_) => return Err(Rejection::NO_PERMISSION.into()),
            FlagChange::Add(flags) => FlagChange::Add(Self::settable(rights, &flags)),
            FlagChange::Remove(flags) => FlagChange::Remove(Self::settable(rights, &flags)),
        };
        if change.flags().is_empty() && !matches!(change, FlagChange::Replace(_)) {
            return match rights.contains(Rights::WRITE) {
                true => Ok(Stored::default()),
                false => Err(Rejection::NO_PERMISSION.into()),
            };
        }
        let op = Op::StoreFlags {
            mailbox,
            uids,
            change,
            unchanged_since,
        };
        match self.change(op).await? {
            Outcome::Stored {
                changed,
                failed,
                mod_seq,
            } => Ok(Stored::new(changed, failed).at(mod_seq)),
            _ => Err(untold()),
        }
    }

    async fn copy(
        &self,
        from: MailboxId,
        uids: UidSet,
        to: MailboxId,
        moving: bool,
    ) -> Result<Copied, Failure> {
        self.need(from, Rights::READ).await?;
        let there = self.rights(to).await?;
        permit(there, Rights::INSERT)?;
        let op = if moving {
            self.need(from, Rights::DELETE_MESSAGES | Rights::EXPUNGE).await?;
            Op::Move { from, uids, to }
        } else {
            Op::Copy { from, uids, to }
        };
        // A copy has the flags of the message: of rights on some of them alone, a store knows nothing.
        permit(there, Rights::SEEN | Rights::WRITE)?;
        let mut outcomes = self.commit(self.within_quota(to).with(op)).await?;
        match outcomes.pop() {
            Some(Outcome::Copied {
                uid_validity,
                from,
                to,
                ..
            }) => Ok(Copied::new(uid_validity, from, to)),
            _ => Err(untold()),
        }
    }

    async fn expunge(&self, mailbox: MailboxId, uids: UidSet) -> Result<(), Failure> {
        self.need(mailbox, Rights::EXPUNGE).await?;
        let op = Op::Expunge {
            mailbox,
            uids,
            deleted_only: true,
        };
        self.change(op).await.map(drop)
    }

    async fn quotas(&self, mailbox: Option<&MailboxName>) -> Result<Vec<imap::Quota>, Failure> {
        let owner = match mailbox.filter(|name| is_shared(name)) {
            Some(name) => self.find(name).await?.owner,
            None => None,
        };
        let account = owner.unwrap_or_else(|| self.account.clone());
        Ok(self.quota_root_of(&account).await?.into_iter().collect())
    }

    async fn quota(&self, root: &str) -> Result<Option<imap::Quota>, Failure> {
        match self
            .shared
            .accounts
            .find(root)
            .filter(|found| found.as_str() == root)
        {
            Some(account) if account == self.account || self.shared.accounts.is_admin(&self.account) => {
                self.quota_root_of(&account).await
            }
            _ => Ok(None),
        }
    }

    async fn set_quota(&self, root: &str, limits: &[(QuotaResource, u64)]) -> Result<imap::Quota, Failure> {
        if !self.shared.accounts.is_admin(&self.account) {
            return Err(Rejection::NO_PERMISSION.into());
        }
        let found = self
            .shared
            .accounts
            .find(root)
            .filter(|found| found.as_str() == root);
        let account = found.ok_or_else(no_such_root)?;
        let mut quota = Quota::default();
        for (resource, limit) in limits {
            match resource {
                QuotaResource::Storage => quota.storage = Some(limit.saturating_mul(1024)),
                QuotaResource::Message => quota.messages = Some(*limit),
                _ => return Err(Rejection::CANNOT.into()),
            }
        }
        let (shared, of) = (Arc::clone(&self.shared), account.clone());
        let set = spawn_blocking(move || shared.accounts.set_quota(&of, quota)).await;
        match set.map_err(|error| Failure::Broken(error.to_string()))? {
            Ok(()) => {}
            Err(NotSet::NoSuchAccount) => return Err(no_such_root().into()),
            Err(NotSet::Failed(why)) => return Err(Failure::Broken(why)),
            Err(error) => return Err(Rejection::new(Some(Code::Cannot), error.to_string()).into()),
        }
        tracing::info!(user = %self.account, "{account} may keep {quota:?}");
        let told = self.quota_root_of(&account).await?;
        let root = root.to_owned();
        Ok(told.unwrap_or(imap::Quota {
            root,
            usage: Vec::new(),
        }))
    }

    async fn acl(&self, mailbox: MailboxId) -> Result<Vec<AclEntry>, Failure> {
        self.need(mailbox, Rights::ADMINISTER).await?;
        let owner = self.owner(mailbox).unwrap_or_else(|| self.account.clone());
        let mut entries = vec![AclEntry::new(Identifier::from(owner.as_str()), Rights::ALL)];
        entries.append(&mut self.store().acl(mailbox).await?);
        Ok(entries)
    }

    async fn set_rights(
        &self,
        mailbox: MailboxId,
        identifier: &Identifier,
        rights: Rights,
    ) -> Result<(), Failure> {
        self.need(mailbox, Rights::ADMINISTER).await?;
        let name = identifier.as_str();
        let (minus, name) = match name.strip_prefix('-') {
            Some(name) => ("-", name),
            None => ("", name),
        };
        let name = match self.shared.accounts.find(name) {
            _ if name == "anyone" => name.to_owned(),
            Some(account) if account != self.owner(mailbox).unwrap_or_else(|| self.account.clone()) => {
                account.as_str().to_owned()
            }
            Some(_) => {
                let why = "Whom the mailbox belongs to has all rights, always";
                return Err(Rejection::new(Some(Code::Cannot), why).into());
            }
            // What was given to an account that is gone can be taken away.
            None if rights == Rights::NONE => name.to_owned(),
            None => return Err(Rejection::new(Some(Code::Cannot), "Nobody has this name").into()),
        };
        let op = Op::SetRights {
            mailbox,
            identifier: Identifier::new(format!("{minus}{name}")),
            rights,
        };
        self.change(op).await.map(drop)
    }

    fn required_rights(&self, mailbox: &Listed, identifier: &str) -> Rights {
        let owner = mailbox.owner.as_ref().unwrap_or(&self.account);
        match self.shared.accounts.find(identifier) {
            Some(account) if account == *owner => Rights::ALL,
            _ => Rights::NONE,
        }
    }

    async fn annotations(&self, mailbox: Option<MailboxId>) -> Result<Vec<Annotation>, Failure> {
        let owner = match mailbox {
            Some(mailbox) => {
                self.need(mailbox, Rights::READ).await?;
                self.owner(mailbox)
            }
            None => None,
        };
        let mut all = self.store().annotations(&self.account, mailbox).await?;
        all.retain(|annotation| mailbox.is_some() || !delivery::is_own_annotation(&annotation.name));
        if let Some(owner) = owner {
            all.retain(|annotation| annotation.name.is_private());
            let of_owner = self.store().annotations(&owner, mailbox).await?;
            all.extend(
                of_owner
                    .into_iter()
                    .filter(|annotation| !annotation.name.is_private()),
            );
        }
        Ok(all)
    }

    async fn annotate(
        &self,
        mailbox: Option<MailboxId>,
        entries: Vec<(EntryName, Option<Bytes>)>,
    ) -> Result<(), Failure> {
        let rights = match mailbox {
            Some(mailbox) => self.rights(mailbox).await?,
            // What the server says to all is not for one of them to write.
            None => Rights::READ,
        };
        let mut batch = Batch::new(unix_now());
        if mailbox.is_none() && entries.iter().any(|(name, _)| delivery::is_own_annotation(name)) {
            return Err(Rejection::NO_PERMISSION.into());
        }
        for (name, value) in entries {
            let needed = match name.is_private() {
                true => Rights::READ,
                false => Rights::WRITE,
            };
            permit(rights, needed)?;
            let owner = mailbox
                .filter(|_| !name.is_private())
                .and_then(|mailbox| self.owner(mailbox));
            batch.push(Op::Annotate {
                account: owner.unwrap_or_else(|| self.account.clone()),
                mailbox,
                name,
                value,
            });
        }
        match self.shared.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Limit { limit, .. }) if limit.contains("octets") => {
                // The limits that the server gives its stores.
                let most = mailwright_mailbox::Limits::default().annotation_octets;
                Err(Failure::AnnotationTooLarge(most))
            }
            Err(CommitError::Limit { .. }) => Err(Failure::TooManyAnnotations),
            Err(error) => Err(error.into()),
        }
    }

    async fn create(
        &self,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, Failure> {
        if is_shared(name) {
            return self.create_shared(name, special_use).await;
        }
        let op = Op::CreateMailbox {
            account: self.account.clone(),
            name: name.clone(),
            special_use,
        };
        match self.change(op).await? {
            Outcome::Created { mailbox, .. } => Ok(mailbox),
            _ => Err(untold()),
        }
    }

    async fn delete(&self, name: &MailboxName) -> Result<MailboxId, Failure> {
        let (account, name) = match is_shared(name) {
            true => self.to_delete_shared(name).await?,
            false => (self.account.clone(), name.clone()),
        };
        match self.change(Op::DeleteMailbox { account, name }).await? {
            Outcome::Deleted { mailbox } => Ok(mailbox),
            _ => Err(untold()),
        }
    }

    async fn rename(&self, from: &MailboxName, to: &MailboxName) -> Result<(), Failure> {
        let (account, from, to) = match (is_shared(from), is_shared(to)) {
            (false, false) => (self.account.clone(), from.clone(), to.clone()),
            (true, true) => self.to_rename_shared(from, to).await?,
            // What is one's own does not become another's, nor the other way round.
            _ => return Err(Rejection::NO_PERMISSION.into()),
        };
        self.change(Op::RenameMailbox { account, from, to })
            .await
            .map(drop)
    }

    async fn subscribe(&self, name: &MailboxName, on: bool) -> Result<(), Failure> {
        let (account, name) = (self.account.clone(), name.clone());
        self.change(Op::Subscribe { account, name, on }).await.map(drop)
    }
}

/// A message on its way into a store.
pub struct IncomingMessage<S: Store>(Progress<S>);

enum Progress<S: Store> {
    /// Its octets come.
    Coming(Box<MessageWriter<S>>, Arc<Shared<S>>),
    /// The store has them all.
    Whole(Box<WrittenMessage>),
    /// Something went wrong.
    Lost,
}

impl<S: Store> std::fmt::Debug for IncomingMessage<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingMessage").finish_non_exhaustive()
    }
}

impl<S: Store> Incoming for IncomingMessage<S> {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Failure> {
        match &mut self.0 {
            Progress::Coming(writer, _) => Ok(writer.write(chunk).await?),
            _ => Err(Failure::Broken("octets came behind the end of a message".into())),
        }
    }

    async fn end(&mut self) -> Result<(), Failure> {
        if let Progress::Coming(writer, shared) = std::mem::replace(&mut self.0, Progress::Lost) {
            self.0 = Progress::Whole(Box::new(writer.finish(&shared.store).await?));
        }
        Ok(())
    }
}

fn no_such_root() -> Rejection {
    Rejection::new(Some(Code::NonExistent), "There is no such quota root")
}
