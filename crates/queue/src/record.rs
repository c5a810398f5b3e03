//! One message's envelope and what became of each recipient (RFC 5321 §3.3, RFC 3461 §4)

use crate::Timestamp;
use mailwright_address::{EmailAddress, Host, ReversePath};
use mailwright_message::dsn::Status;
use std::fmt;

/// The durable record of one message in the queue: its envelope, and what became of each recipient.
///
/// The body is not in it; the store keeps that beside the record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The name of the message in logs, trace headers and delivery status notifications.
    pub id: Box<str>,
    /// Who is told of failures. A null reverse-path is never told anything.
    pub reverse_path: ReversePath,
    /// The local account that submitted the message, if one did.
    pub origin: Option<Box<str>>,
    /// When the message was accepted.
    pub arrival: Timestamp,
    /// When it is given up, whatever state it is in.
    pub expires: Timestamp,
    /// The size of the message in octets.
    pub size: u64,
    /// What the next hop must be able to carry.
    pub body: Body,
    /// Whether the next hop must speak SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The sender's ENVID (RFC 3461 §4.4), decoded.
    pub envelope_id: Option<Box<str>>,
    /// The sender's RET (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// Whether the message rests until it is released. It expires all the same.
    pub held: bool,
    /// How urgent it is: -9 to 9, 0 for ordinary messages (MT-PRIORITY, RFC 6710). Of messages that are due, the
    /// more urgent go first.
    pub priority: i8,
    /// Whether it must travel under verified TLS alone (REQUIRETLS, RFC 8689).
    pub require_tls: bool,
    /// Whether it goes even where what the destination asks of TLS cannot be met (`TLS-Required: No`, RFC 8689 §3).
    pub tls_optional: bool,
    /// The sender's wish that it be sent later (FUTURERELEASE, RFC 4865).
    pub postponed: Option<Postponed>,
    /// By when it should have arrived (DELIVERBY, RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// The recipients, in the order they were given.
    pub recipients: Vec<Recipient>,
    /// What happened, oldest first: at most [`Record::HISTORY`] entries, the middle thinned out.
    pub history: Vec<HistoryEntry>,
}

/// The encoding of a body (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Body {
    /// Lines of ASCII.
    #[default]
    SevenBit,
    /// Lines with octets above 127: needs 8BITMIME.
    EightBit,
    /// Any octets: needs BINARYMIME.
    Binary,
}

/// A message that is to be sent later (RFC 4865).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Postponed {
    /// When.
    pub until: Timestamp,
    /// How the sender said it, as reports repeat it: `for;3600` or `until;2027-01-01T00:00:00Z` (RFC 4865 §5.1).
    pub request: Box<str>,
}

/// By when a message should have arrived (RFC 2852).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // RFC 2852 §4 has these three
pub struct DeliverBy {
    /// By when.
    pub by: Timestamp,
    /// What happens when the time is over.
    pub mode: ByMode,
    /// Whether the sender wants to hear of each relay.
    pub trace: bool,
}

/// What happens to a message that did not arrive in time (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 2852 §4 has two
pub enum ByMode {
    /// Its sender is told, and delivery goes on.
    Notify,
    /// It is returned.
    Return,
}

/// How much of the message a failure notice returns (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // the RFC has these two
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// Where the copy goes.
    pub address: EmailAddress,
    /// What the sender called this recipient (ORCPT, RFC 3461 §4.2).
    pub original: Option<OriginalRecipient>,
    /// When the sender wants to hear (NOTIFY, RFC 3461 §4.1); `None` if it did not say.
    pub notify: Option<Notify>,
    /// Whether the sender was told of the delay.
    pub warned: bool,
    /// Whether the sender was told that the time is over by which it should have arrived (RFC 2852 §4.1.3).
    pub late: bool,
    /// What became of it.
    pub state: State,
}

/// An original recipient address with its type, decoded (RFC 3461 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OriginalRecipient {
    /// The address type: `rfc822` or `utf-8`, mostly.
    pub kind: Box<str>,
    /// The address.
    pub address: Box<str>,
}

impl OriginalRecipient {
    /// Joins a type and an address.
    pub fn new(kind: impl Into<Box<str>>, address: impl Into<Box<str>>) -> Self {
        Self {
            kind: kind.into(),
            address: address.into(),
        }
    }
}

/// When the sender wants to hear of a recipient (RFC 3461 §4.1). All `false` is NEVER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_structs)] // the RFC has these three
pub struct Notify {
    /// When the copy was delivered.
    pub success: bool,
    /// When it could not be delivered.
    pub failure: bool,
    /// When it takes unusually long.
    pub delay: bool,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // every recipient is in exactly one of these
pub enum State {
    /// Still to be delivered.
    Queued {
        /// How many attempts have failed.
        attempts: u32,
        /// When the next one may start.
        due: Timestamp,
        /// Why the last one failed.
        last: Option<Diagnosis>,
    },
    /// Handed on.
    Delivered {
        /// When that was.
        at: Timestamp,
    },
    /// Given up.
    Failed {
        /// When that was.
        at: Timestamp,
        /// Why.
        why: Diagnosis,
    },
}

/// Why a recipient could not be served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The enhanced status code (RFC 3463).
    pub status: Status,
    /// The host that said so; `None` if it was found out here.
    pub remote: Option<Box<str>>,
    /// The reply of that host, or what is the matter in words. One line.
    pub text: Box<str>,
}

impl Diagnosis {
    /// The longest text that is kept, in octets.
    pub const MAX_TEXT: usize = 512;

    /// Something found out here, without word from another host.
    pub fn local(status: Status, text: impl AsRef<str>) -> Self {
        Self {
            status,
            remote: None,
            text: one_line(text.as_ref()),
        }
    }

    /// What the host `remote` replied.
    pub fn remote(status: Status, remote: impl AsRef<str>, text: impl AsRef<str>) -> Self {
        Self {
            status,
            remote: Some(one_line(remote.as_ref())),
            text: one_line(text.as_ref()),
        }
    }
}

/// Prints `5.1.1 (mx.b.test) 550 5.1.1 no such user`.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{} ({remote}) {}", self.status, self.text),
            None => write!(f, "{} {}", self.status, self.text),
        }
    }
}

/// Cuts to [`Diagnosis::MAX_TEXT`] octets and makes controls spaces: such text goes into headers and logs.
fn one_line(text: &str) -> Box<str> {
    let mut line = String::with_capacity(text.len().min(Diagnosis::MAX_TEXT));
    for c in text.chars() {
        if line.len() + c.len_utf8() > Diagnosis::MAX_TEXT {
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line.truncate(line.trim_end().len());
    line.into_boxed_str()
}

/// One line of a message's history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, in words. One line.
    pub text: Box<str>,
}

impl Record {
    /// How many history entries are kept: the first few tell how it began, the last ones how it stands.
    pub const HISTORY: usize = 24;

    /// Starts the record of a message without recipients.
    pub fn new(
        id: impl Into<Box<str>>,
        reverse_path: ReversePath,
        arrival: Timestamp,
        expires: Timestamp,
    ) -> Self {
        Self {
            id: id.into(),
            reverse_path,
            origin: None,
            arrival,
            expires,
            size: 0,
            body: Body::SevenBit,
            smtputf8: false,
            envelope_id: None,
            ret: None,
            held: false,
            priority: 0,
            require_tls: false,
            tls_optional: false,
            postponed: None,
            deliver_by: None,
            recipients: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Sends the message at a later moment, at the sender's request (RFC 4865): all recipients are due then, and the
    /// time until the message is given up, and until its sender is told of a delay, begins there.
    pub fn postpone(&mut self, until: Timestamp, request: impl Into<Box<str>>) {
        let wait = until.after(self.starts());
        for recipient in &mut self.recipients {
            if let State::Queued { due, .. } = &mut recipient.state {
                *due = *due + wait;
            }
        }
        self.expires = self.expires + wait;
        self.postponed = Some(Postponed {
            until,
            request: request.into(),
        });
    }

    /// From when on it is to be delivered: its arrival, or the later moment its sender wants.
    pub fn starts(&self) -> Timestamp {
        let later = self.postponed.as_ref().map(|postponed| postponed.until);
        later.map_or(self.arrival, |later| later.max(self.arrival))
    }

    /// When delivery ends for good: at the expiry, or when the time is over by which it is to be returned (RFC 2852
    /// §4.1.3).
    pub fn ends(&self) -> Timestamp {
        match self.deliver_by {
            Some(by) if by.mode == ByMode::Return => by.by.min(self.expires),
            _ => self.expires,
        }
    }

    /// Adds a recipient that is due as soon as the message is.
    pub fn add_recipient(&mut self, address: EmailAddress) -> &mut Recipient {
        self.recipients.push(Recipient::new(address, self.starts()));
        self.recipients.last_mut().expect("one was pushed")
    }

    /// Whether every recipient was delivered or given up.
    pub fn is_finished(&self) -> bool {
        !self.recipients.iter().any(Recipient::is_queued)
    }

    /// Adds a line to the history, and drops one from its middle when it is full.
    pub fn note(&mut self, at: Timestamp, text: impl AsRef<str>) {
        if self.history.len() >= Self::HISTORY {
            self.history.remove(Self::HISTORY / 4);
        }
        self.history.push(HistoryEntry {
            at,
            text: one_line(text.as_ref()),
        });
    }
}

impl Recipient {
    /// A recipient that may be tried from `due` on.
    pub fn new(address: EmailAddress, due: Timestamp) -> Self {
        Self {
            address,
            original: None,
            notify: None,
            warned: false,
            late: false,
            state: State::Queued {
                attempts: 0,
                due,
                last: None,
            },
        }
    }

    /// The domain or address literal that decides where the copy goes.
    pub fn destination(&self) -> Host {
        self.address.host()
    }

    /// Whether it is still to be delivered.
    pub fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued { .. })
    }

    /// When the next attempt may start, if it is still to be delivered.
    pub fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::Queued { due, .. } => Some(due),
            _ => None,
        }
    }

    /// Whether the sender wants to hear of a failure: yes, unless it said otherwise.
    pub fn notify_failure(&self) -> bool {
        self.notify.is_none_or(|n| n.failure)
    }

    /// Whether the sender wants to hear of a delay: yes, unless it said otherwise.
    pub fn notify_delay(&self) -> bool {
        self.notify.is_none_or(|n| n.delay)
    }

    /// Whether the sender wants to hear nothing at all (NOTIFY=NEVER).
    pub fn notify_never(&self) -> bool {
        self.notify == Some(Notify::default())
    }

    /// Whether the sender asked to hear of success.
    pub fn notify_success(&self) -> bool {
        self.notify.is_some_and(|n| n.success)
    }
}
