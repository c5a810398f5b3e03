//! The way back from a batch that is refused half-way

use bytes::Bytes;

use super::{AccountHead, Counters, Mailbox, Model, history, threads};
use crate::{
    Account, BlobHash, EntryName, Identifier, MailboxId, MailboxName, Message, Rights, Snapshot, SpoolEntry,
    SpoolKey, ThreadId, ThreadKey, Uid,
};

/// One step back: what was there before.
#[derive(Debug)]
pub(super) enum Undo {
    Message {
        mailbox: MailboxId,
        uid: Uid,
        before: Option<Box<Message>>,
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
    Annotation {
        account: Account,
        mailbox: Option<MailboxId>,
        name: EntryName,
        before: Option<Bytes>,
    },
    Rights {
        mailbox: MailboxId,
        identifier: Identifier,
        before: Rights,
    },
    Thread {
        account: Account,
        thread: ThreadId,
        before: Option<threads::Thread>,
    },
    ThreadKey {
        account: Account,
        key: ThreadKey,
        before: Option<ThreadId>,
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
                        Some(message) => mailbox.messages.insert(uid, *message),
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
            Undo::Annotation {
                account,
                mailbox,
                name,
                before,
            } => drop(self.put_annotation((account, mailbox), name, before)),
            Undo::Rights {
                mailbox,
                identifier,
                before,
            } => drop(self.put_rights(mailbox, identifier, before)),
            Undo::Thread {
                account,
                thread,
                before,
            } => drop(self.threads.entry(account).or_default().put(thread, before)),
            Undo::ThreadKey { account, key, before } => {
                self.threads.entry(account).or_default().put_key(key, before);
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
