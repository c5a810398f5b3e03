//! Local delivery: from an address to the mailboxes it stands for.

use crate::clock::unix_now;
use crate::config::Aliases;
use crate::names;
use crate::shared::Shared;
use bytes::Bytes;
use mailwright_address::{Domain, EmailAddress, Host};
use mailwright_mailbox::digest::text::Walk;
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, CommitError, Flags, MailboxId, MailboxInfo, MailboxName,
    MessageMeta, Op, Outcome, SpecialUse, Store, StoreError, digest,
};
use std::collections::HashSet;

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// To accounts here, and to addresses elsewhere that an alias leads to. At least one of the two.
    Here(Targets),
    /// To another server: the domain is not one of ours.
    Elsewhere,
    /// Nowhere: the domain is one of ours, and nobody has this address.
    Nobody,
}

/// Whom an address of ours stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Targets {
    /// Accounts, each once.
    pub accounts: Vec<Account>,
    /// Addresses in other domains, each once.
    pub elsewhere: Vec<EmailAddress>,
}

impl<S> Shared<S> {
    /// Finds out where mail for an address goes.
    ///
    /// Of aliases and accounts, in this order, the whole local part is tried first, then what is in front of
    /// its `+`; then comes the alias of the whole domain. Local parts are compared without regard to case.
    /// Postmaster is always there (RFC 5321 §4.5.1): without alias or account, the first account is.
    pub fn destination(&self, address: &EmailAddress) -> Destination {
        match address.domain() {
            Some(domain) if self.is_local(&domain) => {}
            _ => return Destination::Elsewhere,
        }
        let mut targets = Targets::default();
        self.follow(&self.aliases.all(), address, &mut targets, &mut HashSet::new());
        if targets == Targets::default() {
            return Destination::Nobody;
        }
        Destination::Here(targets)
    }

    /// Whether an account may send mail from an address: one that leads to it, or that it is granted.
    pub fn may_send_as(&self, account: &Account, address: &EmailAddress) -> bool {
        let leads_there = match self.destination(address) {
            Destination::Here(targets) => targets.accounts.contains(account),
            _ => false,
        };
        leads_there || self.accounts.is_granted(account, address)
    }

    /// Whether mail for a domain ends here, however it is written: case does not count, and A-labels are as good as
    /// U-labels.
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.config.anybody || self.domains.has(domain)
    }

    /// The address behind `<postmaster>`, which has no domain.
    pub fn postmaster(&self) -> Option<EmailAddress> {
        let domain = self.config.domains.first()?;
        EmailAddress::new("postmaster", Host::Domain(domain.clone())).ok()
    }

    fn follow(
        &self,
        aliases: &Aliases,
        address: &EmailAddress,
        targets: &mut Targets,
        seen: &mut HashSet<String>,
    ) {
        let Some(domain) = address.domain().filter(|domain| self.is_local(domain)) else {
            if !targets.elsewhere.contains(address) {
                targets.elsewhere.push(address.clone());
            }
            return;
        };
        let whole = address.unquoted_local_part().to_lowercase();
        let domain = names::domain_key(&domain);
        let base = whole
            .split_once('+')
            .map(|(base, _)| base)
            .filter(|base| !base.is_empty());
        for local in [Some(whole.as_str()), base].into_iter().flatten() {
            // An alias that leads back to its own name means the account of this name.
            let to = alias(aliases, local, &domain);
            let first = seen.insert(format!("{local}@{domain}"));
            if let Some(to) = to.filter(|_| first) {
                return to
                    .iter()
                    .for_each(|target| self.follow(aliases, target, targets, seen));
            }
            let name = EmailAddress::new(local, address.host().clone());
            if let Some(account) = name.ok().and_then(|name| self.accounts.at(&name)) {
                // Whose account is disabled keeps the address: it is nobody else's meanwhile.
                if self.accounts.takes_mail(&account) {
                    targets.add(account);
                }
                return;
            }
            // Another alias led here before: that is no reason to go on to the whole domain. Postmaster is always
            // there, even behind an alias that leads nowhere.
            if to.is_some() && local != "postmaster" {
                return;
            }
        }
        let everything = format!("@{domain}");
        if let Some(to) = aliases
            .get(&everything)
            .filter(|_| seen.insert(everything.clone()))
        {
            to.iter()
                .for_each(|target| self.follow(aliases, target, targets, seen));
        } else if base.unwrap_or(&whole) == "postmaster"
            && let Some(account) = self
                .accounts
                .all()
                .into_iter()
                .find(|account| self.accounts.takes_mail(account))
        {
            targets.add(account);
        }
    }
}

impl Targets {
    fn add(&mut self, account: Account) {
        if !self.accounts.contains(&account) {
            self.accounts.push(account);
        }
    }
}

fn alias<'a>(aliases: &'a Aliases, local: &str, domain: &str) -> Option<&'a Vec<EmailAddress>> {
    aliases
        .get(&format!("{local}@{domain}"))
        .or_else(|| aliases.get(local))
}

/// Takes the octets of a message into a store, and makes its digest on the way.
#[derive(Debug)]
pub struct MessageWriter<S: Store> {
    blob: S::BlobWriter,
    digest: digest::Builder,
}

impl<S: Store> MessageWriter<S> {
    /// A message that is no longer is read as a whole at its end, from where a store still has it at hand.
    const SHORT: u64 = 32 * 1024;
    /// How much is read at a time of the texts of a longer one.
    const PIECE: u64 = 8 * 1024;

    /// Begins a message.
    pub fn new(store: &S) -> Self {
        let mut options = digest::Options::default();
        // What the store holds of it is not held twice.
        options.buffer = 0;
        Self {
            blob: store.new_blob(),
            digest: digest::Builder::new(options),
        }
    }

    /// Takes the next octets.
    ///
    /// # Errors
    ///
    /// When the store cannot write them; the message is lost then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.digest.push(&chunk);
        self.blob.write(chunk).await
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// When the store cannot write it, or not read again what was not held in memory.
    pub async fn finish(self, store: &S) -> Result<WrittenMessage, StoreError> {
        let blob = self.blob.finish().await?;
        let mut digest = match blob.size() {
            1..=Self::SHORT => {
                let whole = store.read_blob(&blob, 0..blob.size()).await?;
                match whole.len() as u64 == blob.size() {
                    true => self.digest.finish_with(&whole),
                    // A store gives as much at a time as it sees fit.
                    false => self.digest.finish(),
                }
            }
            _ => self.digest.finish(),
        };
        if let Some(mut text) = digest.left.take() {
            let mut walk = Walk::new(&digest.index);
            while let Some(range) = walk.wanted(&mut text) {
                let end = range.end.min(range.start + Self::PIECE);
                let octets = store.read_blob(&blob, range.start..end).await?;
                walk.push(&octets, &mut text);
            }
            digest.keep(text);
        }
        Ok(WrittenMessage {
            blob,
            meta: digest.meta,
        })
    }
}

/// A message whose octets the store has, and that no mailbox holds yet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WrittenMessage {
    /// Its octets.
    pub blob: BlobRef,
    /// Its digest.
    pub meta: MessageMeta,
}

impl WrittenMessage {
    /// The operation that puts the message into a mailbox.
    pub fn append(&self, mailbox: MailboxId, flags: Flags, internal_date: i64) -> Op {
        Op::Append {
            mailbox,
            blob: self.blob.clone(),
            message: self.meta.clone(),
            flags,
            internal_date,
        }
    }

    /// The operations that put the message into the INBOX of each account. The octets are kept once.
    ///
    /// # Errors
    ///
    /// When the store cannot tell the mailboxes, or not make those that are missing.
    pub async fn deliver_to<S: Store>(
        &self,
        store: &S,
        accounts: &[Account],
    ) -> Result<Vec<Op>, CommitError> {
        let mut ops = Vec::with_capacity(accounts.len());
        for account in accounts {
            ops.push(self.append(inbox(store, account).await?, Flags::new(), unix_now()));
        }
        Ok(ops)
    }

    /// The operations that put the message into the Junk mailbox of each account, or into its INBOX if it has none. The
    /// octets are kept once.
    ///
    /// # Errors
    ///
    /// When the store cannot tell the mailboxes, or not make those that are missing.
    pub async fn deliver_to_junk<S: Store>(
        &self,
        store: &S,
        accounts: &[Account],
    ) -> Result<Vec<Op>, CommitError> {
        let mut ops = Vec::with_capacity(accounts.len());
        for account in accounts {
            ops.push(self.append(junk(store, account).await?, Flags::new(), unix_now()));
        }
        Ok(ops)
    }
}

/// Where mail of an account goes that is thought to be unwanted: its mailbox for Junk (RFC 6154 §2), else one called
/// so, else INBOX.
async fn junk<S: Store>(store: &S, account: &Account) -> Result<MailboxId, CommitError> {
    let inbox = inbox(store, account).await?;
    let mailboxes = store
        .mailboxes(account)
        .await
        .map_err(|error| CommitError::Io(error.to_string()))?;
    let by_use = |mailbox: &&MailboxInfo| mailbox.special_use == Some(SpecialUse::Junk);
    let by_name = |mailbox: &&MailboxInfo| mailbox.name.as_str() == "Junk";
    let found = mailboxes.iter().find(by_use);
    let found = found.or_else(|| mailboxes.iter().find(by_name));
    Ok(found.map_or(inbox, |mailbox| mailbox.id))
}

/// The mailboxes every account begins with.
const FOLDERS: [(&str, Option<SpecialUse>); 6] = [
    ("INBOX", None),
    ("Archive", Some(SpecialUse::Archive)),
    ("Drafts", Some(SpecialUse::Drafts)),
    ("Junk", Some(SpecialUse::Junk)),
    ("Sent", Some(SpecialUse::Sent)),
    ("Trash", Some(SpecialUse::Trash)),
];

/// The INBOX of an account; with the other folders it is made if the account has none.
///
/// # Errors
///
/// When the store fails.
pub async fn inbox<S: Store>(store: &S, account: &Account) -> Result<MailboxId, CommitError> {
    // Twice: somebody else may make the folders at the same moment.
    for _ in 0..2 {
        let mailboxes = store
            .mailboxes(account)
            .await
            .map_err(|error| CommitError::Io(error.to_string()))?;
        if let Some(inbox) = mailboxes.iter().find(|mailbox| mailbox.name.is_inbox()) {
            return Ok(inbox.id);
        }
        match make_folders(store, account).await {
            Ok(inbox) => return Ok(inbox),
            Err(CommitError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(CommitError::Io(format!("{account} has no INBOX")))
}

async fn make_folders<S: Store>(store: &S, account: &Account) -> Result<MailboxId, CommitError> {
    let mut batch = Batch::new(unix_now());
    for (name, special_use) in FOLDERS {
        let name = MailboxName::parse(name).expect("the names of the folders are valid");
        batch.push(Op::CreateMailbox {
            account: account.clone(),
            name: name.clone(),
            special_use,
        });
        batch.push(Op::Subscribe {
            account: account.clone(),
            name,
            on: true,
        });
    }
    let made = store.commit(batch).await?;
    match made.outcomes.first() {
        Some(Outcome::Created { mailbox, .. }) => Ok(*mailbox),
        _ => Err(CommitError::Io(
            "the store did not tell which mailbox it made".into(),
        )),
    }
}
