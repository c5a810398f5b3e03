//! The envelope of a message that comes in.

use crate::delivery::{Destination, Targets};
use crate::judge::Action;
use crate::random::entropy;
use crate::shared::Shared;
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

    /// Whether the message goes into mailboxes here.
    pub(super) fn is_local(&self) -> bool {
        self.recipients.iter().any(|r| !r.targets.accounts.is_empty())
    }

    /// Whether the message leaves for other servers.
    pub(super) fn is_remote(&self) -> bool {
        self.recipients.iter().any(|r| !r.targets.elsewhere.is_empty())
    }
}

impl Accepted {
    /// Puts what goes into Junk there directly: the queue, which takes it for those who want to hear of its delivery,
    /// knows no Junk. Senders of such mail hear nothing.
    pub(super) fn pass_by_the_queue<S>(&mut self, shared: &Shared<S>) {
        let Targets { accounts, elsewhere } = &mut self.targets;
        elsewhere.retain(|address| match shared.destination(address) {
            Destination::Here(targets) if !targets.accounts.is_empty() => {
                accounts.extend(targets.accounts);
                false
            }
            _ => true,
        });
    }
}
