//! Mailboxes of others, and what may be done with them (RFC 4314)
//!
//! They are seen below `Shared/`, under the name of their account. What their access control lists say is looked up for
//! each command.

use super::account::{StoreMailboxes, permit, untold};
use super::backend::{Failure, Listed};
use crate::clock::unix_now;
use mailwright_imap::{Code, Rejection};
use mailwright_mailbox::{
    Account, AclEntry, Batch, Identifier, MailboxId, MailboxName, Op, Outcome, Rights, SharedMailbox,
    SpecialUse, Store,
};
use std::sync::PoisonError;

/// What the names of others' mailboxes begin with.
pub(super) const SHARED: &str = "Shared/";

/// A mailbox of somebody else, as this user sees it.
pub(super) struct SharedListed {
    pub(super) listed: Listed,
    /// What its owner calls it.
    pub(super) name: MailboxName,
}

impl<S: Store> StoreMailboxes<S> {
    /// Whose mailbox it is, if it is not the user's own.
    pub(super) fn owner(&self, mailbox: MailboxId) -> Option<Account> {
        let of_others = self.of_others.lock().unwrap_or_else(PoisonError::into_inner);
        of_others.get(&mailbox).cloned()
    }

    /// What the user may do with a mailbox.
    pub(super) async fn rights(&self, mailbox: MailboxId) -> Result<Rights, Failure> {
        match self.owner(mailbox) {
            None => Ok(Rights::ALL),
            Some(_) => Ok(self.granted(&self.store().acl(mailbox).await?)),
        }
    }

    /// Fails unless the user has these rights on a mailbox.
    pub(super) async fn need(&self, mailbox: MailboxId, needed: Rights) -> Result<(), Failure> {
        permit(self.rights(mailbox).await?, needed)
    }

    /// What an access control list gives to this user (RFC 4314 §2).
    fn granted(&self, acl: &[AclEntry]) -> Rights {
        let of = |name: &str| {
            let entry = acl.iter().find(|entry| entry.identifier.as_str() == name);
            entry.map_or(Rights::NONE, |entry| entry.rights)
        };
        let user = self.account.as_str();
        let given = of("anyone") | of(user);
        let taken = of("-anyone") | of(&format!("-{user}"));
        given & !taken
    }

    /// The mailboxes that others share with this user, as far as it may see them.
    pub(super) async fn shared_mailboxes(&self) -> Result<Vec<SharedListed>, Failure> {
        let user = self.account.as_str();
        let identifiers = [user, "anyone"].map(Identifier::from);
        let mut found = Vec::new();
        for mailbox in self.store().shared_with(&identifiers).await? {
            if mailbox.account == self.account {
                continue;
            }
            let Some(name) = name_of_shared(&mailbox) else {
                continue;
            };
            let rights = self.granted(&self.store().acl(mailbox.mailbox).await?);
            let mut listed = Listed::new(mailbox.mailbox, name);
            listed.rights = rights;
            listed.owner = Some(mailbox.account.clone());
            found.push(SharedListed {
                listed,
                name: mailbox.name.clone(),
            });
            let mut of_others = self.of_others.lock().unwrap_or_else(PoisonError::into_inner);
            of_others.insert(mailbox.mailbox, mailbox.account);
        }
        Ok(found)
    }

    /// Finds a mailbox of somebody else. Whoever has no right on it is not told that it is there (RFC 4314 §6).
    pub(super) async fn find_shared(&self, name: &MailboxName) -> Result<SharedListed, Failure> {
        let mut of_others = self.shared_mailboxes().await?.into_iter();
        let found = of_others.find(|it| it.listed.name == *name && it.listed.rights != Rights::NONE);
        found.ok_or(Failure::NoSuchMailbox)
    }

    /// Creates a mailbox below one of somebody else, where the user may (RFC 4314 §4). It is shared with those with
    /// whom the one above it is, or whoever made it could not even see it.
    pub(super) async fn create_shared(
        &self,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, Failure> {
        if special_use.is_some() {
            let why = "What a mailbox is for, its owner says";
            return Err(Rejection::new(Some(Code::UseAttr), why).into());
        }
        let (above, own_name) = self.above_shared(name).await?;
        let account = owner_of(&above.listed)?;
        let op = Op::CreateMailbox {
            account: account.clone(),
            name: own_name,
            special_use,
        };
        let Outcome::Created { mailbox, .. } = self.change(op).await? else {
            return Err(untold());
        };
        let mut sharing = Batch::new(unix_now());
        for AclEntry {
            identifier, rights, ..
        } in self.store().acl(above.listed.id).await?
        {
            sharing.push(Op::SetRights {
                mailbox,
                identifier,
                rights,
            });
        }
        self.commit(sharing).await?;
        let mut of_others = self.of_others.lock().unwrap_or_else(PoisonError::into_inner);
        of_others.insert(mailbox, account);
        Ok(mailbox)
    }

    /// Whose mailbox is to be deleted, and what that one calls it.
    pub(super) async fn to_delete_shared(
        &self,
        name: &MailboxName,
    ) -> Result<(Account, MailboxName), Failure> {
        let found = self.find_shared(name).await?;
        permit(found.listed.rights, Rights::DELETE_MAILBOX)?;
        Ok((owner_of(&found.listed)?, found.name))
    }

    /// Whose mailbox is to be renamed, and what that one calls it before and after.
    pub(super) async fn to_rename_shared(
        &self,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(Account, MailboxName, MailboxName), Failure> {
        let found = self.find_shared(from).await?;
        // Of INBOX only the messages would move, for which other rights are.
        if found.name.is_inbox() {
            return Err(Rejection::NO_PERMISSION.into());
        }
        permit(found.listed.rights, Rights::DELETE_MAILBOX)?;
        let (above, own_name) = self.above_shared(to).await?;
        if above.listed.owner != found.listed.owner {
            return Err(Rejection::NO_PERMISSION.into());
        }
        Ok((owner_of(&found.listed)?, found.name, own_name))
    }

    /// The nearest mailbox above a name that is to be made, which permits it, and what its owner will call it.
    async fn above_shared(&self, name: &MailboxName) -> Result<(SharedListed, MailboxName), Failure> {
        let mut of_others = self.shared_mailboxes().await?;
        let mut above = name.parent();
        while let Some(parent) = above {
            if let Some(at) = of_others.iter().position(|it| it.listed.name == parent) {
                let found = of_others.swap_remove(at);
                permit(found.listed.rights, Rights::CREATE)?;
                let own_name = name.rebased(&parent, &found.name).ok_or(Rejection::CANNOT)?;
                return Ok((found, own_name));
            }
            above = parent.parent();
        }
        Err(Rejection::NO_PERMISSION.into())
    }
}

fn owner_of(listed: &Listed) -> Result<Account, Failure> {
    let nobody = || Failure::Broken("a shared mailbox belongs to nobody".into());
    listed.owner.clone().ok_or_else(nobody)
}

/// The name by which others know a shared mailbox; none where it cannot be written.
fn name_of_shared(mailbox: &SharedMailbox) -> Option<MailboxName> {
    // The delimiter may stand in the name of an account, and not within one level of a name.
    let owner = mailbox.account.as_str().replace(MailboxName::SEPARATOR, "|");
    MailboxName::parse(&format!("{SHARED}{owner}/{}", mailbox.name.as_str())).ok()
}

/// Whether a name is that of the others' mailboxes, or below.
pub(super) fn is_shared(name: &MailboxName) -> bool {
    let name = name.as_str();
    name.starts_with(SHARED) || name == SHARED.trim_end_matches(MailboxName::SEPARATOR)
}
