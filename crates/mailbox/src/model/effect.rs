//! What a batch did to a model, in a form that can be written down and done again

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{AccountHead, Applied, Counters, Mailbox, Model, Undo, history::Gone, threads};
use crate::{
    Account, BlobRef, EntryName, Flags, Identifier, MailboxId, MailboxName, Message, ModSeq, Rights,
    Snapshot, SpecialUse, SpoolEntry, SpoolKey, ThreadId, ThreadKey, Uid, UidSet, UidValidity, Usage,
};

/// One thing that a batch left different, as it is after the batch.
///
/// A store that keeps its state as a journal writes these down and does them again with [`Model::redo`], in their
/// order, when it is opened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// The last numbers that were given out.
    Counters {
        /// Of mailboxes.
        mailbox: u64,
        /// Of spool entries.
        spool: u64,
        /// Of threads.
        thread: u64,
    },
    /// An account began to exist, or its numbers changed.
    Account {
        /// The account.
        account: Account,
        /// The highest UIDVALIDITY it ever gave.
        last_uid_validity: Option<UidValidity>,
        /// How much it keeps.
        usage: Usage,
    },
    /// A subscription began or ended.
    Subscription {
        /// The account.
        account: Account,
        /// The name.
        name: MailboxName,
        /// Whether it is subscribed to.
        on: bool,
    },
    /// A mailbox was created, or is described by other words or numbers; its messages are effects of their own.
    Mailbox {
        /// The mailbox.
        mailbox: MailboxId,
        /// What describes it.
        head: Snapshot,
        /// What it is for.
        special_use: Option<SpecialUse>,
    },
    /// A mailbox was deleted, with its messages.
    MailboxGone {
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// A message was added.
    Message {
        /// The mailbox.
        mailbox: MailboxId,
        /// The message.
        message: Box<Message>,
    },
    /// A message has other flags.
    Flags {
        /// The mailbox.
        mailbox: MailboxId,
        /// The message.
        uid: Uid,
        /// Its mod-sequence.
        mod_seq: ModSeq,
        /// Its flags.
        flags: Flags,
    },
    /// A message was removed.
    MessageGone {
        /// The mailbox.
        mailbox: MailboxId,
        /// The message.
        uid: Uid,
    },
    /// The expunge history of a mailbox has grown, or has lost its oldest part.
    History {
        /// The mailbox.
        mailbox: MailboxId,
        /// What was added: mod-sequence, wall clock, UIDs.
        added: Vec<(ModSeq, i64, UidSet)>,
        /// The mod-sequence of the latest expunge that is not remembered.
        forgotten: ModSeq,
    },
    /// An annotation was set or removed.
    Annotation {
        /// Whose it is.
        account: Account,
        /// On what; `None` is the account itself.
        mailbox: Option<MailboxId>,
        /// Its name.
        name: EntryName,
        /// Its value; `None` if it is gone.
        value: Option<Bytes>,
    },
    /// Somebody has other rights on a mailbox.
    Rights {
        /// The mailbox.
        mailbox: MailboxId,
        /// Who.
        identifier: Identifier,
        /// The rights; none if the list does not name them any more.
        rights: Rights,
    },
    /// A thread has other keys, or another number of messages.
    Thread {
        /// The account.
        account: Account,
        /// The thread.
        thread: ThreadId,
        /// How many messages it has; with none, it is gone.
        messages: u64,
        /// The keys that belong to it.
        keys: Vec<ThreadKey>,
    },
    /// A record was put, or removed.
    Spool {
        /// Its key.
        key: SpoolKey,
        /// The record; `None` if it is gone.
        entry: Option<SpoolEntry>,
    },
}

impl Model {
    /// Lists what a batch left different, right after it was applied.
    pub fn effects(&self, applied: &Applied) -> Vec<Effect> {
        let mut touched = Touched::default();
        applied.undo.iter().for_each(|undo| touched.note(undo));
        touched.effects(self)
    }

    /// Takes a batch back, right after it was applied, or after all that were applied behind it were taken back.
    pub fn revert(&mut self, applied: Applied) {
        applied.undo.into_iter().rev().for_each(|step| self.undo(step));
    }

    /// Lists effects that make this model of an empty one.
    pub fn dump(&self) -> impl Iterator<Item = Effect> + '_ {
        let counters = core::iter::once(self.counters.effect());
        let accounts = self.accounts.iter().flat_map(|(account, state)| {
            let names = state.subscriptions.iter().cloned();
            let subscriptions = names.map(|name| Effect::Subscription {
                account: account.clone(),
                name,
                on: true,
            });
            core::iter::once(state.head.effect(account)).chain(subscriptions)
        });
        let mailboxes = self.mailboxes.iter().flat_map(|(id, it)| {
            let messages = it.messages.values().map(|message| Effect::Message {
                mailbox: *id,
                message: Box::new(message.clone()),
            });
            let history = it.history.effect(*id, usize::MAX);
            [it.effect(*id), history].into_iter().chain(messages)
        });
        let annotations = self.annotations.iter().flat_map(|((account, mailbox), kept)| {
            kept.iter().map(|(name, value)| Effect::Annotation {
                account: account.clone(),
                mailbox: *mailbox,
                name: name.clone(),
                value: Some(value.clone()),
            })
        });
        let rights = self.acls.iter().flat_map(|(mailbox, list)| {
            list.iter().map(|(identifier, rights)| Effect::Rights {
                mailbox: *mailbox,
                identifier: identifier.clone(),
                rights: *rights,
            })
        });
        let threads = self
            .threads
            .iter()
            .flat_map(|(account, threads)| threads.all().map(|(id, thread)| thread.effect(account, id)));
        let spool = self.spool.iter().map(|(key, entry)| Effect::Spool {
            key: *key,
            entry: Some(entry.clone()),
        });
        counters
            .chain(accounts)
            .chain(mailboxes)
            .chain(annotations)
            .chain(rights)
            .chain(threads)
            .chain(spool)
    }

    /// Does again what an effect tells.
    pub fn redo(&mut self, effect: Effect) {
        match effect {
            Effect::Counters {
                mailbox,
                spool,
                thread,
            } => {
                self.counters = Counters {
                    last_mailbox: mailbox,
                    last_spool: spool,
                    last_thread: thread,
                };
            }
            Effect::Account {
                account,
                last_uid_validity,
                usage,
            } => {
                self.accounts.entry(account).or_default().head = AccountHead {
                    usage,
                    last_uid_validity,
                };
            }
            Effect::Subscription { account, name, on } => {
                let subscriptions = &mut self.accounts.entry(account).or_default().subscriptions;
                match on {
                    true => subscriptions.insert(name),
                    false => subscriptions.remove(&name),
                };
            }
            Effect::Mailbox {
                mailbox,
                head,
                special_use,
            } => self.redo_mailbox(mailbox, head, special_use),
            Effect::MailboxGone { mailbox } => {
                if let Some(gone) = self.mailboxes.remove(&mailbox) {
                    self.forget_name(&gone.head, mailbox);
                    for message in gone.messages.values() {
                        message.blob.iter().for_each(|blob| self.refer(blob, false));
                    }
                    self.acls.remove(&mailbox);
                }
            }
            Effect::Message { mailbox, message } => {
                let Some(it) = self.mailboxes.get_mut(&mailbox) else {
                    return;
                };
                let blob = message.blob.clone();
                let before = it.messages.insert(message.uid, *message);
                blob.iter().for_each(|blob| self.refer(blob, true));
                let before = before.and_then(|it| it.blob);
                before.iter().for_each(|blob| self.refer(blob, false));
            }
            Effect::Flags {
                mailbox,
                uid,
                mod_seq,
                flags,
            } => {
                let it = self.mailboxes.get_mut(&mailbox);
                if let Some(message) = it.and_then(|it| it.messages.get_mut(&uid)) {
                    (message.flags, message.mod_seq) = (flags, mod_seq);
                }
            }
            Effect::MessageGone { mailbox, uid } => {
                let it = self.mailboxes.get_mut(&mailbox);
                let gone = it.and_then(|it| it.messages.remove(&uid));
                let blob = gone.and_then(|it| it.blob);
                blob.iter().for_each(|blob| self.refer(blob, false));
            }
            Effect::History {
                mailbox,
                added,
                forgotten,
            } => {
                if let Some(it) = self.mailboxes.get_mut(&mailbox) {
                    let added = added
                        .into_iter()
                        .map(|(mod_seq, at, uids)| Gone { mod_seq, at, uids });
                    it.history.redo(added, forgotten);
                }
            }
            Effect::Annotation {
                account,
                mailbox,
                name,
                value,
            } => drop(self.put_annotation((account, mailbox), name, value)),
            Effect::Rights {
                mailbox,
                identifier,
                rights,
            } => drop(self.put_rights(mailbox, identifier, rights)),
            Effect::Thread {
                account,
                thread,
                messages,
                keys,
            } => self
                .threads
                .entry(account)
                .or_default()
                .redo(thread, threads::Thread { messages, keys }),
            Effect::Spool { key, entry } => {
                let blob = entry.as_ref().and_then(|it| it.blob.clone());
                let before = match entry {
                    Some(entry) => self.spool.insert(key, entry),
                    None => self.spool.remove(&key),
                };
                blob.iter().for_each(|blob| self.refer(blob, true));
                let before = before.and_then(|it| it.blob);
                before.iter().for_each(|blob| self.refer(blob, false));
            }
        }
    }

    fn redo_mailbox(&mut self, mailbox: MailboxId, head: Snapshot, special_use: Option<SpecialUse>) {
        let before = self.mailboxes.get(&mailbox).map(|it| it.head.clone());
        if let Some(before) = before.filter(|before| before.name != head.name) {
            self.forget_name(&before, mailbox);
        }
        let names = &mut self.accounts.entry(head.account.clone()).or_default().names;
        names.insert(head.name.clone(), mailbox);
        match self.mailboxes.get_mut(&mailbox) {
            Some(it) => (it.head, it.special_use) = (head, special_use),
            None => {
                let fresh = Mailbox {
                    head,
                    special_use,
                    messages: BTreeMap::new(),
                    history: super::History::default(),
                };
                self.mailboxes.insert(mailbox, fresh);
            }
        }
    }

    /// A name that another mailbox has by then stays with that.
    fn forget_name(&mut self, head: &Snapshot, mailbox: MailboxId) {
        if let Some(state) = self.accounts.get_mut(&head.account)
            && state.names.get(&head.name) == Some(&mailbox)
        {
            state.names.remove(&head.name);
        }
    }

    fn refer(&mut self, blob: &BlobRef, comes: bool) {
        let references = self.references.entry(*blob.hash()).or_default();
        match comes {
            true => *references += 1,
            false => *references = references.saturating_sub(1),
        }
        if *references == 0 {
            self.references.remove(blob.hash());
        }
    }
}

/// What a batch touched, each once.
#[derive(Default)]
struct Touched {
    accounts: BTreeSet<Account>,
    subscriptions: BTreeSet<(Account, MailboxName)>,
    mailboxes: BTreeSet<MailboxId>,
    /// Whether it was there before.
    messages: BTreeMap<(MailboxId, Uid), bool>,
    /// How many times.
    histories: BTreeMap<MailboxId, usize>,
    annotations: BTreeSet<(Account, Option<MailboxId>, EntryName)>,
    rights: BTreeSet<(MailboxId, Identifier)>,
    threads: BTreeSet<(Account, ThreadId)>,
    spool: BTreeSet<SpoolKey>,
}

impl Touched {
    fn note(&mut self, undo: &Undo) {
        match undo {
            Undo::Message { mailbox, uid, before } => {
                self.messages.entry((*mailbox, *uid)).or_insert(before.is_some());
            }
            Undo::Head { mailbox, .. } | Undo::Mailbox { mailbox, .. } => {
                self.mailboxes.insert(*mailbox);
            }
            Undo::History { mailbox, .. } => *self.histories.entry(*mailbox).or_default() += 1,
            Undo::Account { account, .. } => {
                self.accounts.insert(account.clone());
            }
            Undo::Subscription { account, name, .. } => {
                self.subscriptions.insert((account.clone(), name.clone()));
            }
            Undo::Annotation {
                account,
                mailbox,
                name,
                ..
            } => {
                self.annotations.insert((account.clone(), *mailbox, name.clone()));
            }
            Undo::Rights {
                mailbox, identifier, ..
            } => {
                self.rights.insert((*mailbox, identifier.clone()));
            }
            Undo::Thread { account, thread, .. } => {
                self.threads.insert((account.clone(), *thread));
            }
            Undo::Spool { key, .. } => {
                self.spool.insert(*key);
            }
            // They follow from the others.
            Undo::Name { .. } | Undo::References { .. } | Undo::ThreadKey { .. } | Undo::Counters(_) => {}
        }
    }

    fn effects(self, model: &Model) -> Vec<Effect> {
        let mut effects = vec![model.counters.effect()];
        for account in self.accounts {
            if let Some(state) = model.accounts.get(&account) {
                effects.push(state.head.effect(&account));
            }
        }
        for (account, name) in self.subscriptions {
            let state = model.accounts.get(&account);
            let on = state.is_some_and(|it| it.subscriptions.contains(&name));
            effects.push(Effect::Subscription { account, name, on });
        }
        for mailbox in self.mailboxes {
            effects.push(match model.mailboxes.get(&mailbox) {
                Some(it) => it.effect(mailbox),
                None => Effect::MailboxGone { mailbox },
            });
        }
        for ((mailbox, uid), was_there) in self.messages {
            // With its mailbox, it went already.
            let Some(it) = model.mailboxes.get(&mailbox) else {
                continue;
            };
            match it.messages.get(&uid) {
                Some(message) if was_there => effects.push(Effect::Flags {
                    mailbox,
                    uid,
                    mod_seq: message.mod_seq,
                    flags: message.flags.clone(),
                }),
                Some(message) => effects.push(Effect::Message {
                    mailbox,
                    message: Box::new(message.clone()),
                }),
                None if was_there => effects.push(Effect::MessageGone { mailbox, uid }),
                None => {}
            }
        }
        for (mailbox, times) in self.histories {
            if let Some(it) = model.mailboxes.get(&mailbox) {
                effects.push(it.history.effect(mailbox, times));
            }
        }
        for (account, mailbox, name) in self.annotations {
            let kept = model.annotations.get(&(account.clone(), mailbox));
            let value = kept.and_then(|it| it.get(&name)).cloned();
            effects.push(Effect::Annotation {
                account,
                mailbox,
                name,
                value,
            });
        }
        for (mailbox, identifier) in self.rights {
            let list = model.acls.get(&mailbox);
            let rights = list
                .and_then(|it| it.get(&identifier))
                .copied()
                .unwrap_or_default();
            effects.push(Effect::Rights {
                mailbox,
                identifier,
                rights,
            });
        }
        for (account, id) in self.threads {
            let thread = model.threads.get(&account).map(|it| it.thread(id));
            effects.push(thread.unwrap_or_default().effect(&account, id));
        }
        for key in self.spool {
            let entry = model.spool.get(&key).cloned();
            effects.push(Effect::Spool { key, entry });
        }
        effects
    }
}

impl Counters {
    const fn effect(self) -> Effect {
        Effect::Counters {
            mailbox: self.last_mailbox,
            spool: self.last_spool,
            thread: self.last_thread,
        }
    }
}

impl AccountHead {
    fn effect(self, account: &Account) -> Effect {
        Effect::Account {
            account: account.clone(),
            last_uid_validity: self.last_uid_validity,
            usage: self.usage,
        }
    }
}

impl Mailbox {
    fn effect(&self, mailbox: MailboxId) -> Effect {
        Effect::Mailbox {
            mailbox,
            head: self.head.clone(),
            special_use: self.special_use,
        }
    }
}

impl threads::Thread {
    fn effect(self, account: &Account, thread: ThreadId) -> Effect {
        Effect::Thread {
            account: account.clone(),
            thread,
            messages: self.messages,
            keys: self.keys,
        }
    }
}

impl super::History {
    /// The last of it, so many operations, as far as they are remembered.
    fn effect(&self, mailbox: MailboxId, times: usize) -> Effect {
        let last = self.entries().rev().take(times);
        let mut added: Vec<_> = last.map(|it| (it.mod_seq, it.at, it.uids.clone())).collect();
        added.reverse();
        Effect::History {
            mailbox,
            added,
            forgotten: self.forgotten(),
        }
    }
}
