//! The envelope of a message that comes in.

use crate::delivery::Targets;
use crate::random::entropy;
use mailwright_smtp::{Mail, Rcpt};

/// Sender and accepted recipients of a transaction.
#[derive(Debug)]
pub(super) struct Envelope {
    /// What logs, trace headers and reports call the message.
    pub(super) id: String,
    pub(super) mail: Mail,
    pub(super) recipients: Vec<Accepted>,
}

/// A recipient that was accepted, and whom it stands for.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) rcpt: Rcpt,
    pub(super) targets: Targets,
}

impl Envelope {
    pub(super) fn new(mail: Mail) -> Self {
        Self {
            id: format!("{:016x}", u64::from_be_bytes(entropy())),
            mail,
            recipients: Vec::new(),
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
