//! A message at its recipients here: their rules are asked, and what they say is made into one commit

use super::folders;
use super::list::{MailingList, was_delivered_to};
use super::{Destination, Targets, WrittenMessage, now};
use crate::clock::unix_now;
use crate::config::{AccountEntry, Vacation};
use crate::names;
use crate::quotas::Room;
use crate::rules::{Arrival, Place, Plan};
use crate::shared::Shared;
use bytes::Bytes;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, CommitError, MailboxId, MailboxInfo, Op, Store, StoreError,
};
use mailwright_message::header::Headers;
use mailwright_message::trace;
use mailwright_queue::{Notify, OriginalRecipient, Recipient, Record};
use std::collections::HashSet;
use std::sync::Arc;

/// A message that the store has.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    /// As mailboxes get it, with Return-Path in front.
    pub(crate) written: &'a WrittenMessage,
    /// What entries of the queue begin with that come of it: everything but recipients.
    pub(crate) template: &'a Record,
}

/// An account that gets a message, for one of its recipients.
#[derive(Debug, Clone)]
pub(crate) struct Landing {
    /// Which recipient.
    pub(crate) index: usize,
    pub(crate) recipient: EmailAddress,
    pub(crate) account: Account,
    pub(crate) detail: Option<String>,
    pub(crate) is_junk: bool,
    pub(crate) notify: Option<Notify>,
    pub(crate) original: Option<OriginalRecipient>,
}

/// Who gets a message without the lists that it goes to as well: members among them get no second copy.
#[derive(Debug, Default)]
pub(crate) struct Directly {
    accounts: HashSet<Account>,
    elsewhere: HashSet<String>,
}

/// What is to be committed, and what remains to be done then.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) batch: Batch,
    /// For whom nothing is in the batch.
    pub(crate) refused: Vec<Refused>,
    pub(crate) rest: Rest,
    /// Whose INBOX the batch names as it is remembered.
    remembered: Vec<Account>,
}

/// An account whose owner is away, and that a message has come for.
#[derive(Debug)]
pub(super) struct Absence {
    pub(super) account: Account,
    /// Its address.
    pub(super) name: EmailAddress,
    pub(super) vacation: Vacation,
}

/// What remains to be done when a message is durable.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(super) absences: Vec<Absence>,
    pub(super) header: Bytes,
    pub(super) sender: ReversePath,
    /// Whose mailboxes grow, and whether by junk.
    pub(super) growing: Vec<(Account, bool)>,
}

/// A recipient who does not get a message.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Which recipient.
    pub(crate) index: usize,
    pub(crate) why: Stop,
}

/// Why a message goes no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the message has been at this list before")]
    Loop,
    #[error("the sender may not send to this list")]
    NotAllowed,
    #[error("{0}")]
    Rule(String),
}

impl Prepared {
    /// A batch that is all there is.
    pub(crate) fn nothing(batch: Batch, template: &Record) -> Self {
        Self {
            batch,
            refused: Vec::new(),
            rest: Rest {
                absences: Vec::new(),
                header: Bytes::new(),
                sender: template.reverse_path.clone(),
                growing: Vec::new(),
            },
            remembered: Vec::new(),
        }
    }
}

impl Rest {
    /// The accounts that keep the message, as junk or not.
    pub(crate) fn keepers(&self, as_junk: bool) -> impl Iterator<Item = &Account> {
        let growing = self
            .growing
            .iter()
            .filter(move |(_, is_junk)| *is_junk == as_junk);
        growing.map(|(account, _)| account)
    }
}

impl Directly {
    /// Adds those whom a recipient stands for.
    pub(crate) fn add(&mut self, targets: &Targets) {
        self.accounts.extend(targets.accounts.iter().cloned());
        let keys = targets
            .elsewhere
            .iter()
            .map(|address| names::key(address.as_str()));
        self.elsewhere.extend(keys);
    }
}

/// The largest header that is looked at.
const MAX_HEADER: u64 = 1 << 20;
/// How much of a message is in memory while it is copied.
const COPIED_AT_ONCE: u64 = 256 << 10;

impl<S: Store> Shared<S> {
    /// Commits what was prepared, and says what remains to be done; `None` if it has to be prepared once more, because an
    /// INBOX is no longer the one that is remembered.
    ///
    /// # Errors
    ///
    /// When the store refuses it.
    pub(crate) async fn commit_prepared(&self, prepared: Prepared) -> Result<Option<Rest>, CommitError> {
        let Prepared {
            batch,
            rest,
            remembered,
            ..
        } = prepared;
        match self.commit(batch).await {
            Ok(_) => Ok(Some(rest)),
            Err(CommitError::NoSuchMailbox { .. }) if !remembered.is_empty() => {
                self.inboxes.forget(&remembered);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds to a batch what becomes of a message at accounts and lists, each of which is named once.
    ///
    /// # Errors
    ///
    /// When the store fails; nothing refers to what was written then.
    pub(crate) async fn prepare(
        &self,
        batch: Batch,
        post: &Post<'_>,
        landings: Vec<Landing>,
        lists: Vec<(usize, Arc<MailingList>)>,
        directly: &Directly,
        room: Room,
    ) -> Result<Prepared, CommitError> {
        let mut prepared = Prepared::nothing(batch, post.template);
        let settings: Vec<_> = landings
            .iter()
            .map(|it| self.accounts.settings(&it.account))
            .collect();
        let reads_header = |settings: &_| self.rules.iter().any(|rules| rules.reads_header(settings));
        if !lists.is_empty() || settings.iter().flatten().any(|settings| reads_header(settings)) {
            prepared.rest.header = self.header_of(post).await.map_err(failed)?;
        }
        for (landing, settings) in landings.into_iter().zip(settings) {
            // Whoever was removed since the address was accepted gets it all the same.
            let settings = settings.unwrap_or_else(|| Arc::new(AccountEntry::new(landing.recipient.clone())));
            let detail = landing.detail.as_deref();
            let read = self
                .rules
                .iter()
                .any(|rules| rules.reads_mailboxes(&settings, detail));
            let mailboxes = match read {
                true => Some(self.mailboxes_of(&landing.account).await?),
                false => None,
            };
            let mut plan = Plan::default();
            let arrival = Arrival {
                sender: &post.template.reverse_path,
                recipient: &landing.recipient,
                account: &landing.account,
                settings: &settings,
                detail,
                is_junk: landing.is_junk,
                header: &prepared.rest.header,
                size: post.written.blob.size(),
                mailboxes: mailboxes.as_deref().unwrap_or_default(),
                now: now(),
            };
            for rules in &self.rules {
                rules.apply(&arrival, &mut plan);
            }
            if let Some(text) = plan.reject {
                let (index, why) = (landing.index, Stop::Rule(text));
                prepared.refused.push(Refused { index, why });
                continue;
            }
            if !plan.forward.is_empty() {
                let forwarded = self.forward(&mut prepared, post, &landing, &plan.forward).await?;
                if !forwarded && plan.place.is_none() {
                    plan.place = Plan::default().place;
                }
            }
            if let Some(place) = &plan.place {
                let account = &landing.account;
                let mailbox = match (mailboxes, place) {
                    (Some(mailboxes), _) => folders::find(&mailboxes, account, place)?,
                    (None, Place::Inbox) => self.inbox(account, &mut prepared.remembered).await?,
                    (None, _) => folders::find(&self.mailboxes_of(account).await?, account, place)?,
                };
                prepared.batch = self.within_quota(prepared.batch, &landing.account, room);
                prepared
                    .batch
                    .push(post.written.append(mailbox, plan.flags, unix_now()));
                let grown = (landing.account.clone(), landing.is_junk);
                prepared.rest.growing.push(grown);
            }
            if let Some(vacation) = plan.vacation {
                prepared.rest.absences.push(Absence {
                    account: landing.account,
                    name: settings.name.clone(),
                    vacation,
                });
            }
        }
        for (index, list) in lists {
            if let Err(why) = self.send_to_list(&mut prepared, post, &list, directly).await? {
                tracing::info!(id = %post.template.id, list = %list.address(), "{why}");
                prepared.refused.push(Refused { index, why });
            }
        }
        Ok(prepared)
    }

    async fn mailboxes_of(&self, account: &Account) -> Result<Vec<MailboxInfo>, CommitError> {
        folders::mailboxes(&self.store, account, &self.config.delivery.folders).await
    }

    /// The INBOX of an account, which is added to those that are remembered if it was.
    async fn inbox(
        &self,
        account: &Account,
        remembered: &mut Vec<Account>,
    ) -> Result<MailboxId, CommitError> {
        if let Some(inbox) = self.inboxes.of(account) {
            remembered.push(account.clone());
            return Ok(inbox);
        }
        let inbox = folders::inbox(&self.store, account, &self.config.delivery.folders).await?;
        self.inboxes.remember(account, inbox);
        Ok(inbox)
    }

    /// Adds entries for those to whom an account forwards; whether there is any.
    async fn forward(
        &self,
        prepared: &mut Prepared,
        post: &Post<'_>,
        landing: &Landing,
        to: &[EmailAddress],
    ) -> Result<bool, CommitError> {
        let id = &post.template.id;
        let account = &landing.account;
        let own_header;
        // Rules may forward for accounts whose settings say nothing of it.
        let header = match prepared.rest.header.is_empty() {
            false => &prepared.rest.header,
            true => {
                own_header = self.header_of(post).await.map_err(failed)?;
                &own_header
            }
        };
        if was_delivered_to(&Headers::new(header), account.as_str()) {
            tracing::warn!(%id, %account, "the message was forwarded from here before: it is kept");
            return Ok(false);
        }
        let reaches = |address: &&EmailAddress| match self.destination(address) {
            Destination::Here(targets) => !targets.accounts.contains(account),
            Destination::Elsewhere => self.config.outbound.enabled,
            Destination::Disabled | Destination::Nobody => true,
        };
        let mut recipients: Vec<Recipient> = Vec::new();
        for address in to.iter().filter(reaches) {
            if recipients.iter().all(|known| known.address != *address) {
                let mut recipient = Recipient::new(address.clone(), post.template.arrival);
                // RFC 3461 §5.2.7.3: success is told where the address was that the sender wrote to.
                recipient.notify = landing.notify.map(|notify| Notify {
                    success: false,
                    ..notify
                });
                recipient.original.clone_from(&landing.original);
                recipients.push(recipient);
            }
        }
        if recipients.is_empty() {
            tracing::warn!(%id, %account, "there is nobody to forward to: the message is kept");
            return Ok(false);
        }
        let head = format!("Delivered-To: {account}\r\n");
        let blob = self.copy(head.into(), post, 0).await.map_err(failed)?;
        tracing::info!(%id, %account, recipients = recipients.len(), "forwarded");
        let sender = &post.template.reverse_path;
        // Where it leaves for a third domain, bounces come by way of this server, if that is wanted.
        let (abroad, here): (Vec<_>, Vec<_>) = match self.rewritten(sender) {
            Some(_) => recipients.into_iter().partition(|it| !self.is_here(&it.address)),
            None => (Vec::new(), recipients),
        };
        self.spool(&mut prepared.batch, post.template, sender, here, &blob);
        if let Some(rewritten) = self.rewritten(sender) {
            self.spool(&mut prepared.batch, post.template, &rewritten, abroad, &blob);
        }
        Ok(true)
    }

    /// Adds entries for the members of a list.
    async fn send_to_list(
        &self,
        prepared: &mut Prepared,
        post: &Post<'_>,
        list: &MailingList,
        directly: &Directly,
    ) -> Result<Result<(), Stop>, CommitError> {
        if !self.may_post(list, &post.template.reverse_path) {
            return Ok(Err(Stop::NotAllowed));
        }
        if list.has_sent(&prepared.rest.header) {
            return Ok(Err(Stop::Loop));
        }
        let has_it = |member: &EmailAddress| match self.destination(member) {
            Destination::Here(targets) => {
                targets.elsewhere.is_empty()
                    && targets.lists.is_empty()
                    && targets
                        .accounts
                        .iter()
                        .all(|account| directly.accounts.contains(account))
            }
            Destination::Elsewhere => {
                !self.config.outbound.enabled || directly.elsewhere.contains(&names::key(member.as_str()))
            }
            // Its owner is to hear of it.
            Destination::Disabled | Destination::Nobody => false,
        };
        let mut seen = HashSet::new();
        let members = list
            .members()
            .iter()
            .filter(|member| seen.insert(names::key(member.as_str())) && !has_it(member));
        let recipients: Vec<_> = members
            .map(|member| Recipient::new(member.clone(), post.template.arrival))
            .collect();
        tracing::info!(id = %post.template.id, list = %list.address(), members = recipients.len(), "sent to a list");
        if recipients.is_empty() {
            return Ok(Ok(()));
        }
        let head = list.header(&prepared.rest.header);
        let from = u64::try_from(prepared.rest.header.len()).unwrap_or(u64::MAX);
        let blob = self.copy(head.into(), post, from).await.map_err(failed)?;
        let mut template = post.template.clone();
        // RFC 3461 §5.2.7.2: what the author wanted to be told ends with the list.
        (template.envelope_id, template.ret) = (None, None);
        template.origin = None;
        template.deliver_by = None;
        self.spool(&mut prepared.batch, &template, &list.sender(), recipients, &blob);
        Ok(Ok(()))
    }

    /// Adds entries of the queue for recipients.
    fn spool(
        &self,
        batch: &mut Batch,
        template: &Record,
        sender: &ReversePath,
        recipients: Vec<Recipient>,
        blob: &BlobRef,
    ) {
        for recipients in recipients.chunks(self.config.delivery.recipients_at_once) {
            let mut record = template.clone();
            record.reverse_path = sender.clone();
            record.recipients = recipients.to_vec();
            record.size = blob.size();
            record.history.clear();
            batch.push(Op::SpoolPut {
                key: None,
                record: record.encode(),
                blob: Some(blob.clone()),
            });
        }
    }

    /// Adds an entry that takes a message to addresses of this server once more, by the queue, which tells the sender what
    /// comes of it.
    pub(crate) async fn to_the_queue(
        &self,
        batch: &mut Batch,
        post: &Post<'_>,
        recipients: Vec<Recipient>,
    ) -> Result<(), CommitError> {
        let blob = self.copy(Bytes::new(), post, 0).await.map_err(failed)?;
        self.spool(
            batch,
            post.template,
            &post.template.reverse_path,
            recipients,
            &blob,
        );
        Ok(())
    }

    /// The header of a message, without Return-Path, up to its empty line.
    async fn header_of(&self, post: &Post<'_>) -> Result<Bytes, StoreError> {
        let blob = &post.written.blob;
        let start = start_of(post);
        let end = blob.size().min(start + MAX_HEADER);
        let mut header: Vec<u8> = Vec::new();
        let mut at = start;
        while at < end {
            let octets = self.store.read_blob(blob, at..end.min(at + (32 << 10))).await?;
            if octets.is_empty() {
                break;
            }
            at += octets.len() as u64;
            // The empty line may have begun in what is there.
            let from = header.len().saturating_sub(3);
            header.extend_from_slice(&octets);
            let end = match header.starts_with(b"\r\n") {
                true => Some(0),
                false => memchr::memmem::find(&header[from..], b"\r\n\r\n").map(|at| from + at + 2),
            };
            if let Some(end) = end {
                header.truncate(end);
                break;
            }
        }
        Ok(header.into())
    }

    /// Writes a message once more, with `head` in place of its first octets, `from` of them, Return-Path not counted.
    async fn copy(&self, head: Bytes, post: &Post<'_>, from: u64) -> Result<BlobRef, StoreError> {
        let blob = &post.written.blob;
        let mut writer = self.store.new_blob();
        if !head.is_empty() {
            writer.write(head).await?;
        }
        let mut at = start_of(post) + from;
        while at < blob.size() {
            let end = blob.size().min(at + COPIED_AT_ONCE);
            let octets = self.store.read_blob(blob, at..end).await?;
            if octets.is_empty() {
                return Err(StoreError::Corrupt("a message has lost its end".into()));
            }
            at += octets.len() as u64;
            writer.write(octets).await?;
        }
        writer.finish().await
    }
}

/// How long Return-Path is, which stands in front of what mailboxes get.
fn start_of(post: &Post<'_>) -> u64 {
    let sender = post
        .template
        .reverse_path
        .address()
        .map_or("", |address| address.as_str());
    trace::return_path(sender).len() as u64
}

pub(super) fn failed(error: StoreError) -> CommitError {
    match error {
        StoreError::Full => CommitError::Full,
        StoreError::Closed => CommitError::Closed,
        error => CommitError::Io(error.to_string()),
    }
}
