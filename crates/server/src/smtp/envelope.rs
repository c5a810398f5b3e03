//! The envelope of a message that comes in.

use crate::delivery::{Destination, Targets};
use crate::judge::{Action, Transaction, is_same};
use crate::random::entropy;
use crate::shared::Shared;
use mailwright_address::EmailAddress;
use mailwright_smtp::{Mail, Rcpt};

/// Sender and accepted recipients of a transaction.
#[derive(Debug)]
pub(super) struct Envelope {
    /// What logs, trace headers and reports call the message.
    pub(super) id: String,
    pub(super) mail: Mail,
    pub(super) recipients: Vec<Accepted>,
    /// What is to be done with the message as far as its envelope says.
    pub(super) action: Action,
}

/// A recipient that was accepted, and whom it stands for.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) rcpt: Rcpt,
    pub(super) targets: Targets,
    /// Whether the message goes into Junk.
    pub(super) quarantined: bool,
    /// Whether a filter added it: then no client waits for an answer about it.
    pub(super) added: bool,
}

impl Envelope {
    pub(super) fn new(mail: Mail, action: Action) -> Self {
        Self {
            id: format!("{:016x}", u64::from_be_bytes(entropy())),
            mail,
            recipients: Vec::new(),
            action,
        }
    }

    /// Whether the message goes into mailboxes here, or to lists.
    pub(super) fn is_local(&self) -> bool {
        let is_here = |targets: &Targets| !targets.accounts.is_empty() || !targets.lists.is_empty();
        self.recipients.iter().any(|r| is_here(&r.targets))
    }

    /// Takes over what filters made of the envelope; whether anybody is left who gets the message. Recipients that the
    /// client named stay in their places, as it may wait for an answer about each.
    pub(super) fn take_over<S>(&mut self, transaction: Transaction, shared: &Shared<S>) -> bool {
        self.mail.path = transaction.mail.path;
        for accepted in &mut self.recipients {
            let is_left = |rcpt: &Rcpt| is_same(&rcpt.path, &accepted.rcpt.path);
            if !transaction.recipients.iter().any(is_left) {
                accepted.targets = Targets::default();
            }
        }
        let quarantined = self.recipients.iter().all(|it| it.quarantined);
        for rcpt in transaction.recipients {
            if self
                .recipients
                .iter()
                .any(|it| is_same(&it.rcpt.path, &rcpt.path))
            {
                continue;
            }
            let targets = targets_of(&rcpt, shared);
            if targets == Targets::default() {
                tracing::warn!(id = %self.id, recipient = %rcpt.path, "a filter adds a recipient that there is none of");
                continue;
            }
            self.recipients.push(Accepted {
                rcpt,
                targets,
                quarantined,
                added: true,
            });
        }
        self.is_local() || self.is_remote()
    }

    /// Whether the message leaves for other servers.
    pub(super) fn is_remote(&self) -> bool {
        self.recipients.iter().any(|r| !r.targets.elsewhere.is_empty())
    }
}

impl Accepted {
    /// Takes a list out of what goes into Junk, and puts its owner there: members are not sent what is thought to be
    /// unwanted.
    pub(super) fn spare_lists<S>(&mut self, shared: &Shared<S>) {
        for list in std::mem::take(&mut self.targets.lists) {
            let owner = list.owner();
            match shared.destination(owner) {
                // An owner that is a list again is for the queue.
                Destination::Here(targets) if !targets.accounts.is_empty() && targets.lists.is_empty() => {
                    self.add(targets, shared);
                }
                _ => self.add_elsewhere(owner.clone()),
            }
        }
    }

    /// Adds whom an address here stands for: those elsewhere as well, if mail leaves.
    fn add<S>(&mut self, targets: Targets, shared: &Shared<S>) {
        for account in targets.accounts {
            if !self.targets.accounts.contains(&account) {
                self.targets.accounts.push(account);
            }
        }
        for list in targets.lists {
            if !self.targets.lists.contains(&list) {
                self.targets.lists.push(list);
            }
        }
        let leaves = shared.config.outbound.enabled;
        for address in targets.elsewhere.into_iter().filter(|_| leaves) {
            self.add_elsewhere(address);
        }
    }

    fn add_elsewhere(&mut self, address: EmailAddress) {
        if !self.targets.elsewhere.contains(&address) {
            self.targets.elsewhere.push(address);
        }
    }

    /// Puts what goes into Junk there directly: the queue, which takes it for those who want to hear of its delivery,
    /// knows no Junk. Senders of such mail hear nothing.
    pub(super) fn pass_by_the_queue<S>(&mut self, shared: &Shared<S>) {
        for address in std::mem::take(&mut self.targets.elsewhere) {
            match shared.destination(&address) {
                Destination::Here(targets) if !targets.accounts.is_empty() || !targets.lists.is_empty() => {
                    self.add(targets, shared);
                }
                _ => self.add_elsewhere(address),
            }
        }
    }
}

/// Where the mail of a recipient goes that the server itself names: nowhere if there is none.
fn targets_of<S>(rcpt: &Rcpt, shared: &Shared<S>) -> Targets {
    let mut targets = Targets::default();
    let Some(address) = rcpt.path.address().cloned().or_else(|| shared.postmaster()) else {
        return targets;
    };
    match shared.destination(&address) {
        Destination::Here(found) => targets = found,
        Destination::Elsewhere => targets.elsewhere.push(address),
        Destination::Disabled | Destination::Nobody => {}
    }
    if !shared.config.outbound.enabled {
        targets.elsewhere.clear();
    }
    targets
}
