//! What happens to messages, as it stands on a line

use serde::{Deserialize, Serialize};

/// Something that happened to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The name of the message in logs and in the queue.
    pub id: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// A client brought it, and what it said at the end.
    Came {
        /// The name of the connection in logs.
        connection: String,
        /// The address of the client.
        peer: String,
        /// What it spoke.
        protocol: String,
        /// The account that was logged in.
        account: Option<String>,
        /// The sender; `<>` for none.
        from: String,
        /// The recipients that were accepted.
        to: Vec<String>,
        /// Its Message-ID, without the brackets.
        message_id: Option<String>,
    },
    /// A client was turned away in place of its greeting; the event has the name of the connection.
    TurnedAway {
        /// The address of the client.
        peer: String,
        /// What it came to speak.
        protocol: String,
        /// What it was told.
        reply: String,
    },
    /// A sender was refused, before there was a message; the event has the name of the connection.
    SenderRefused {
        /// The address of the client.
        peer: String,
        /// What it spoke.
        protocol: String,
        /// The account that was logged in.
        account: Option<String>,
        /// The sender; `<>` for none.
        from: String,
        /// What the client was told.
        reply: String,
    },
    /// A recipient was refused, before there was a message.
    RecipientRefused {
        /// The name of the connection in logs.
        connection: String,
        /// The address of the client.
        peer: String,
        /// The sender; `<>` for none.
        from: String,
        /// The recipient.
        to: String,
        /// What the client was told.
        reply: String,
    },
    /// It was found out where it comes from.
    Checked {
        /// What SPF says.
        spf: Option<String>,
        /// What DMARC says.
        dmarc: Option<String>,
        /// What of the policy of its domain was applied.
        applied: String,
    },
    /// A filter wanted something.
    Filtered {
        /// What.
        action: String,
        /// Why.
        why: String,
    },
    /// It was taken: it is durable.
    Taken {
        /// Octets.
        size: u64,
        /// The accounts whose INBOX has it.
        inbox: Vec<String>,
        /// The accounts whose Junk has it.
        junk: Vec<String>,
        /// The recipients for whom it is in the queue.
        queued: Vec<String>,
    },
    /// It was refused.
    Refused {
        /// What the client was told.
        reply: String,
    },
    /// The client was told that it was taken, and it was thrown away.
    Discarded {
        /// Why.
        why: String,
    },
    /// It was tried to deliver it.
    Tried {
        /// The host, or `here`.
        via: String,
        /// What came of each recipient.
        recipients: Vec<Tried>,
        /// How long it took, in milliseconds.
        ms: u64,
    },
    /// Its sender is told what became of it.
    Told {
        /// The message that tells it.
        notice: String,
        /// Who is told.
        to: String,
        /// Of which recipients, and what.
        recipients: Vec<String>,
    },
    /// It tells what became of another message.
    Notice {
        /// That message.
        of: String,
        /// Who is told.
        to: String,
        /// The accounts whose INBOX has it.
        inbox: Vec<String>,
        /// The recipients for whom it is in the queue.
        queued: Vec<String>,
    },
    /// It was given up, and nobody is to be told.
    GivenUp {
        /// For which recipient.
        to: String,
        /// Why.
        why: String,
    },
    /// It has left the queue: all its recipients are settled.
    Done,
    /// Somebody removed it from the queue by hand.
    Dropped,
}

/// What came of a recipient in an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tried {
    /// The recipient.
    pub to: String,
    /// What came of it.
    pub fate: Fate,
    /// What the host said, or what is the matter.
    pub why: Option<String>,
}

/// What came of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fate {
    /// The next host, or the mailbox, has it.
    Delivered,
    /// It is tried again.
    Deferred,
    /// It is given up.
    Failed,
    /// The attempt was broken off, and does not count.
    Undecided,
}

impl Event {
    /// The addresses and accounts that it names.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let (one, two): (Option<&str>, Option<&str>) = match &self.what {
            What::Came { from, account, .. } | What::SenderRefused { from, account, .. } => {
                (Some(from), account.as_deref())
            }
            What::RecipientRefused { from, to, .. } => (Some(from), Some(to)),
            What::Told { to, .. } | What::Notice { to, .. } | What::GivenUp { to, .. } => (Some(to), None),
            _ => (None, None),
        };
        let lists: [&[String]; 3] = match &self.what {
            What::Came { to, .. } => [to, &[], &[]],
            What::Taken {
                inbox, junk, queued, ..
            } => [inbox, junk, queued],
            What::Notice { inbox, queued, .. } => [inbox, queued, &[]],
            _ => [&[], &[], &[]],
        };
        let tried: &[Tried] = match &self.what {
            What::Tried { recipients, .. } => recipients,
            _ => &[],
        };
        let listed = lists.into_iter().flatten().map(String::as_str);
        let tried = tried.iter().map(|tried| tried.to.as_str());
        one.into_iter().chain(two).chain(listed).chain(tried)
    }

    /// The address of the client, if it tells one.
    pub fn peer(&self) -> Option<&str> {
        match &self.what {
            What::Came { peer, .. }
            | What::TurnedAway { peer, .. }
            | What::SenderRefused { peer, .. }
            | What::RecipientRefused { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// Its Message-ID, if it tells one.
    pub fn message_id(&self) -> Option<&str> {
        match &self.what {
            What::Came { message_id, .. } => message_id.as_deref(),
            _ => None,
        }
    }

    /// The other message that it is about as well.
    pub fn other(&self) -> Option<&str> {
        match &self.what {
            What::Told { notice, .. } => Some(notice),
            What::Notice { of, .. } => Some(of),
            _ => None,
        }
    }
}
