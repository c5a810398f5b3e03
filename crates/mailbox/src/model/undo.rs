//! The way back from a batch that is refused half-way

use super::{AccountHead, Counters, Mailbox, Model, history};
use crate::{Account, BlobHash, MailboxId, MailboxName, Message, Snapshot, SpoolEntry, SpoolKey, Uid};

/// One step back: what was there before.
#[derive(Debug)]
pub(super) enum Undo {
    Message {
        mailbox: MailboxId,
        uid: Uid,
        before: Option<Message>,
    },
    Head {
        mailbox: MailboxId,
        before: Snapshot,
    },
    History {
        mailbox: MailboxId,
        pushed: history::Pushed,
    },
    Mailbox {
        mailbox: MailboxId,
        before: Option<Box<Mailbox>>,
    },
    Name {
        account: Account,
        name: MailboxName,
        before: Option<MailboxId>,
    },
    Account {
        account: Account,
        before: AccountHead,
    },
    Subscription {
        account: Account,
        name: MailboxName,
        was: bool,
    },
    References {
        hash: BlobHash,
        before: u64,
    },
    Spool {
        key: SpoolKey,
        before: Option<SpoolEntry>,
    },
    Counters(Counters),
}

impl Model {
    /// Takes one step back; steps are taken last first, so all that a step needs is there again.
    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Message { mailbox, uid, before } => {
                if let Some(mailbox) = self.mailboxes.get_mut(&mailbox) {
                    match before {
                        Some(message) => mailbox.messages.insert(uid, message),
                        None => mailbox.messages.remove(&uid),
                    };
                }
            }
            Undo::Head { mailbox, before } => {
                if let Some(mailbox) = self.mailboxes.get_mut(&mailbox) {
                    mailbox.head = before;
                }
            }
            Undo::History { mailbox, pushed } => {
                if let Some(mailbox) = self.mailboxes.get_mut(&mailbox) {
                    mailbox.history.undo(pushed);
                }
            }
            Undo::Mailbox { mailbox, before } => {
                match before {
                    Some(before) => self.mailboxes.insert(mailbox, *before),
                    None => self.mailboxes.remove(&mailbox),
                };
            }
            Undo::Name {
                account,
                name,
                before,
            } => {
                let names = &mut self.accounts.entry(account).or_default().names;
                match before {
                    Some(id) => names.insert(name, id),
                    None => names.remove(&name),
                };
            }
            Undo::Account { account, before } => self.accounts.entry(account).or_default().head = before,
            Undo::Subscription { account, name, was } => {
                let subscriptions = &mut self.accounts.entry(account).or_default().subscriptions;
                match was {
                    true => subscriptions.insert(name),
                    false => subscriptions.remove(&name),
                };
            }
            Undo::References { hash, before } => {
                match before {
                    0 => self.references.remove(&hash),
                    _ => self.references.insert(hash, before),
                };
            }
            Undo::Spool { key, before } => {
                match before {
                    Some(entry) => self.spool.insert(key, entry),
                    None => self.spool.remove(&key),
                };
            }
            Undo::Counters(before) => self.counters = before,
        }
    }
}
