//! Which mailboxes mail for accounts goes into, as far as that is known from mail before

use mailwright_mailbox::{Account, MailboxId};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which mailbox is the INBOX of an account, for those that mail came for of late: it is not looked for each time.
///
/// What is remembered may be out of date, and nothing goes astray by that. An INBOX keeps its id whatever is renamed, as
/// long as its account is there ([`Op::RenameMailbox`]), and no id is given twice: a commit that names it reaches the INBOX
/// of this account, or is refused with [`CommitError::NoSuchMailbox`]. Then it is forgotten, and looked for again.
///
/// [`Op::RenameMailbox`]: mailwright_mailbox::Op::RenameMailbox
/// [`CommitError::NoSuchMailbox`]: mailwright_mailbox::CommitError::NoSuchMailbox
#[derive(Debug, Default)]
pub(crate) struct Inboxes(Mutex<HashMap<Account, MailboxId>>);

impl Inboxes {
    /// How many are remembered.
    const MOST: usize = 20_000;

    /// The INBOX of an account, as far as that is remembered.
    pub(crate) fn of(&self, account: &Account) -> Option<MailboxId> {
        self.lock().get(account).copied()
    }

    /// Remembers the INBOX of an account.
    pub(crate) fn remember(&self, account: &Account, inbox: MailboxId) {
        let mut known = self.lock();
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(account.clone(), inbox);
    }

    /// Forgets those of some accounts.
    pub(crate) fn forget(&self, accounts: &[Account]) {
        let mut known = self.lock();
        for account in accounts {
            known.remove(account);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Account, MailboxId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
