//! What a session puts into the journal of messages

use super::Session;
use super::envelope::{Accepted, Envelope};
use super::intake::Received;
use crate::delivery::Rest;
use crate::journal::What;
use crate::judge::Action;
use mailwright_address::EmailAddress;
use mailwright_mailbox::{Account, Store};
use mailwright_smtp::{Mail, Rcpt, Rejection};

impl<S: Store> Session<'_, S> {
    pub(super) fn tell(&self, id: &str, what: impl FnOnce() -> What) {
        self.shared.journal.tell(id, what);
    }

    /// A message is there, with its envelope.
    pub(super) fn tell_came(&self, envelope: &Envelope, message_id: Option<String>) {
        self.tell(&envelope.id, || What::Came {
            connection: self.connection.clone(),
            peer: self.peer.ip().to_canonical().to_string(),
            protocol: self.listener.protocol.to_string(),
            account: self.account.as_ref().map(|account| account.as_str().to_owned()),
            from: sender(envelope),
            to: envelope.recipients.iter().map(|it| recipient(&it.rcpt)).collect(),
            message_id,
        });
    }

    /// A recipient of the message under way is not accepted.
    pub(super) fn tell_refused(&self, rcpt: &Rcpt, rejection: &Rejection) {
        let Some(envelope) = &self.envelope else { return };
        self.tell(&envelope.id, || What::RecipientRefused {
            connection: self.connection.clone(),
            peer: self.peer.ip().to_canonical().to_string(),
            from: sender(envelope),
            to: recipient(rcpt),
            reply: rejection.to_string(),
        });
    }

    /// A message is durable for some of its recipients.
    pub(super) fn tell_taken(
        &self,
        envelope: &Envelope,
        recipients: &[&Accepted],
        received: &Received,
        rest: &Rest,
    ) {
        let names = |junk| rest.keepers(junk).map(name).collect();
        self.tell(&envelope.id, || {
            let mut queued: Vec<&EmailAddress> = Vec::new();
            for address in recipients.iter().flat_map(|it| &it.targets.elsewhere) {
                if !queued.contains(&address) {
                    queued.push(address);
                }
            }
            What::Taken {
                size: received.size,
                inbox: names(false),
                junk: names(true),
                queued: queued.iter().map(ToString::to_string).collect(),
            }
        });
    }

    /// A sender is not accepted, so there is no message. It is told under the name of the connection.
    pub(super) fn tell_sender_refused(&self, mail: &Mail, rejection: &Rejection) {
        let journal = &self.shared.journal;
        journal.tell_refusal(self.peer.ip(), &self.connection, || What::SenderRefused {
            peer: self.peer.ip().to_canonical().to_string(),
            protocol: self.listener.protocol.to_string(),
            account: self.account.as_ref().map(name),
            from: path(mail),
            reply: rejection.to_string(),
        });
    }

    /// A client is turned away in place of its greeting. It is told under the name of the connection.
    pub(super) fn tell_turned_away(&self, rejection: &Rejection) {
        let journal = &self.shared.journal;
        journal.tell_refusal(self.peer.ip(), &self.connection, || What::TurnedAway {
            peer: self.peer.ip().to_canonical().to_string(),
            protocol: self.listener.protocol.to_string(),
            reply: rejection.to_string(),
        });
    }

    /// What filters want other than to accept a message.
    pub(super) fn tell_ruled(&self, id: &str, action: &Action, why: Option<&str>) {
        let action = match action {
            Action::Accept => return,
            Action::Quarantine => "quarantine",
            Action::Discard => "discard",
            Action::Defer(_) => "defer",
            Action::Reject(_) => "reject",
        };
        self.tell(id, || What::Filtered {
            action: action.to_owned(),
            why: why.unwrap_or_default().to_owned(),
        });
    }
}

fn name(account: &Account) -> String {
    account.as_str().to_owned()
}

/// The sender; `<>` if there is none.
fn sender(envelope: &Envelope) -> String {
    path(&envelope.mail)
}

fn path(mail: &Mail) -> String {
    let address = mail.path.address();
    address.map_or_else(|| "<>".to_owned(), ToString::to_string)
}

fn recipient(rcpt: &Rcpt) -> String {
    let path = rcpt.path.to_string();
    path.trim_matches(['<', '>']).to_owned()
}
