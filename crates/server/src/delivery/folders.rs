//! The mailboxes of accounts: those that each begins with, and which one a message goes into (RFC 6154)

use crate::clock::unix_now;
use crate::config::NewFolder;
use crate::rules::Place;
use mailwright_mailbox::{
    Account, Batch, CommitError, MailboxId, MailboxInfo, MailboxName, Op, Store, StoreError,
};

/// The INBOX of an account; with these folders, all subscribed, it is made if the account has none.
///
/// # Errors
///
/// When the store fails.
pub async fn inbox<S: Store>(
    store: &S,
    account: &Account,
    folders: &[NewFolder],
) -> Result<MailboxId, CommitError> {
    let mailboxes = mailboxes(store, account, folders).await?;
    inbox_of(&mailboxes, account)
}

/// All mailboxes of an account, INBOX among them; if it has none, they are made.
pub(crate) async fn mailboxes<S: Store>(
    store: &S,
    account: &Account,
    folders: &[NewFolder],
) -> Result<Vec<MailboxInfo>, CommitError> {
    let failed = |error: StoreError| CommitError::Io(error.to_string());
    let has_inbox = |mailboxes: &[MailboxInfo]| mailboxes.iter().any(|mailbox| mailbox.name.is_inbox());
    let mailboxes = store.mailboxes(account).await.map_err(failed)?;
    if has_inbox(&mailboxes) {
        return Ok(mailboxes);
    }
    match make(store, account, folders).await {
        // Somebody else has made them at the same moment.
        Ok(()) | Err(CommitError::AlreadyExists { .. }) => {}
        Err(error) => return Err(error),
    }
    let mailboxes = store.mailboxes(account).await.map_err(failed)?;
    if !has_inbox(&mailboxes) {
        // Of the others one was there, and kept INBOX from being made with them.
        make(store, account, &[]).await?;
        return store.mailboxes(account).await.map_err(failed);
    }
    Ok(mailboxes)
}

/// The mailbox for a place; INBOX if it is not there.
pub(crate) fn find(
    mailboxes: &[MailboxInfo],
    account: &Account,
    place: &Place,
) -> Result<MailboxId, CommitError> {
    let found = match place {
        Place::Inbox => None,
        Place::Folder(name) => mailboxes.iter().find(|mailbox| mailbox.name == *name),
        Place::Use(special_use) => {
            let by_use = |mailbox: &&MailboxInfo| mailbox.special_use == Some(*special_use);
            let by_name = |mailbox: &&MailboxInfo| mailbox.name.as_str() == special_use.name();
            let found = mailboxes.iter().find(by_use);
            found.or_else(|| mailboxes.iter().find(by_name))
        }
    };
    match found {
        Some(mailbox) => Ok(mailbox.id),
        None => inbox_of(mailboxes, account),
    }
}

fn inbox_of(mailboxes: &[MailboxInfo], account: &Account) -> Result<MailboxId, CommitError> {
    let inbox = mailboxes.iter().find(|mailbox| mailbox.name.is_inbox());
    let inbox = inbox.map(|inbox| inbox.id);
    inbox.ok_or_else(|| CommitError::Io(format!("{account} has no INBOX")))
}

/// Makes INBOX and the others at once: either all of them are there, or none.
async fn make<S: Store>(store: &S, account: &Account, folders: &[NewFolder]) -> Result<(), CommitError> {
    let mut batch = Batch::new(unix_now());
    let inbox = NewFolder::new(MailboxName::inbox(), None);
    for folder in std::iter::once(&inbox).chain(folders) {
        batch.push(Op::CreateMailbox {
            account: account.clone(),
            name: folder.name.clone(),
            special_use: folder.special_use,
        });
        batch.push(Op::Subscribe {
            account: account.clone(),
            name: folder.name.clone(),
            on: true,
        });
    }
    store.commit(batch).await.map(drop)
}
