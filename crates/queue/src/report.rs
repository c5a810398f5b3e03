//! What the queue hands out and takes back: attempts, outcomes, updates, and notices for the sender
//! (RFC 3464)

use crate::{Diagnosis, Key, OriginalRecipient, Recipient, Record, Ret, Timestamp};
use bytes::Bytes;
use mailwright_address::{EmailAddress, Host};
use mailwright_message::date::{DateTime, format as format_date};
use mailwright_message::dsn;
use std::sync::Arc;

/// One delivery to be tried: one message, one destination, all its recipients there that are due.
///
/// It is handed back to the queue exactly once, with [`Queue::finished`](crate::Queue::finished) or
/// [`Queue::abandoned`](crate::Queue::abandoned); until then the queue starts no other for the same message
/// and destination.
#[derive(Debug)]
#[must_use = "an attempt that is not handed back blocks its message and destination"]
pub struct Attempt {
    pub(crate) key: Key,
    pub(crate) destination: Host,
    pub(crate) recipients: Vec<usize>,
    pub(crate) record: Arc<Record>,
}

impl Attempt {
    /// The message's place in the spool.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The domain or address literal of all its recipients.
    pub fn destination(&self) -> &Host {
        &self.destination
    }

    /// The message's envelope as it was when the attempt began.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The recipients to be tried; outcomes are given in this order. Never empty.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &Recipient> {
        self.recipients
            .iter()
            .map(|index| &self.record.recipients[*index])
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// One outcome per recipient of the attempt, in its order. A recipient without one stays as it was, and
    /// is due as before.
    pub outcomes: Vec<Option<Outcome>>,
    /// How the destination did as a whole.
    pub health: Health,
    /// The last host that was asked, for the history.
    pub via: Option<Box<str>>,
}

impl Report {
    /// Joins outcomes, in the order of the attempt's recipients, and the state of the destination.
    pub fn new(outcomes: impl IntoIterator<Item = Outcome>, health: Health) -> Self {
        Self::partial(outcomes.into_iter().map(Some).collect(), health)
    }

    /// The same for an attempt that did not get to all its recipients.
    pub fn partial(outcomes: Vec<Option<Outcome>>, health: Health) -> Self {
        Self {
            outcomes,
            health,
            via: None,
        }
    }

    /// Says which host was asked last.
    #[must_use]
    pub fn with_via(self, host: impl Into<Box<str>>) -> Self {
        Self {
            via: Some(host.into()),
            ..self
        }
    }
}

/// What became of one recipient in one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was handed on.
    Delivered(Handover),
    /// Not this time.
    Temporary(Diagnosis),
    /// Never.
    Permanent(Diagnosis),
}

/// To whom a message was handed; decides what a sender is told who asked to hear of success (RFC 3461 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 3461 §5.2 has three for one recipient, RFC 2852 §4.1.4.2 adds one
pub enum Handover {
    /// Into the recipient's mailbox: `delivered`.
    Mailbox,
    /// To a server that does not report: `relayed`.
    Relay,
    /// To a server that took over the duty to report, as those with DSN do: nothing is told here.
    Reporter,
    /// To a server that does not know by when it should arrive, although the message says so (RFC 2852 §4.1.4.2):
    /// `relayed`, unless the sender wants to hear nothing.
    Untimed,
}

/// How a destination did in one attempt; sets how many attempts it gets at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It answered as a server should, whatever it said of the recipients. It may get more.
    Good,
    /// It answered, but asked for less: 421, 4xx to the connection. It gets half.
    Busy,
    /// It could not be reached, or broke off. It rests, then gets one attempt.
    Unreachable,
    /// The attempt says nothing of it: the fault was on this side.
    Unknown,
}

/// A change to be committed to the spool, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the outcome is lost unless it is committed"]
#[non_exhaustive]
pub struct Update {
    /// The message's place in the spool.
    pub key: Key,
    /// What to do with its record.
    pub change: Change,
    /// What its sender is to be told, in the same commit.
    pub dsn: Option<DsnRequest>,
    /// Failures nobody is told of, because the reverse-path is null or the sender wanted it so. They belong
    /// in the log.
    pub unreported: Vec<DsnRecipient>,
}

/// What to do with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // a record is kept or it is not
pub enum Change {
    /// Put these octets in its place; the body stays.
    Replace(Bytes),
    /// Remove it and let go of its body.
    Remove,
}

/// A delivery status notification that is owed to a sender (RFC 3464).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DsnRequest {
    /// Whom to tell.
    pub to: EmailAddress,
    /// The local account that submitted the message, if one did.
    pub origin: Option<Box<str>>,
    /// The name of the message.
    pub id: Box<str>,
    /// The sender's ENVID, for Original-Envelope-Id.
    pub envelope_id: Option<Box<str>>,
    /// When the message was accepted, for Arrival-Date.
    pub arrival: Timestamp,
    /// How much of the message the sender wants back; `None` if it did not say.
    pub ret: Option<Ret>,
    /// By when it should have arrived, for Deliver-By-Date.
    pub deliver_by: Option<Timestamp>,
    /// How the sender said that it be sent later, for Future-Release-Request.
    pub future_release: Option<Box<str>>,
    /// Whether the message was an SMTPUTF8 one, so that its notice may be (RFC 6533).
    pub smtputf8: bool,
    /// Whether the message was to travel under verified TLS alone, so that its notice must as well (RFC 8689 §5).
    pub require_tls: bool,
    /// The recipients it is about. Never empty.
    pub recipients: Vec<DsnRecipient>,
}

/// One recipient's part of a notice (RFC 3464 §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DsnRecipient {
    /// What the sender called it, if it said so by ORCPT.
    pub original: Option<OriginalRecipient>,
    /// The address the copy went to.
    pub address: EmailAddress,
    /// What happened.
    pub action: dsn::Action,
    /// Why; `None` for success.
    pub why: Option<Diagnosis>,
    /// When the attempt was that this is about; `None` for what the clock alone has brought about.
    pub attempted: Option<Timestamp>,
    /// For a delay: until when it will be tried.
    pub until: Option<Timestamp>,
}

impl DsnRequest {
    /// The report of the notice, ready to be put into a message. `reporting` is the name of this host.
    pub fn report(&self, reporting: impl Into<String>) -> dsn::Report {
        let mut report = dsn::Report::new(dsn::Typed::dns(reporting));
        report.original_envelope_id = self.envelope_id.as_deref().map(Into::into);
        report.arrival_date = Some(date(self.arrival));
        // RFC 2852 §5, RFC 4865 §5.1.
        let by = self
            .deliver_by
            .map(|by| ("Deliver-By-Date", format_date(date(by))));
        let release = self.future_release.as_deref();
        let release = release.map(|request| ("Future-Release-Request", request.to_owned()));
        let fields = [by, release].into_iter().flatten();
        report.extensions = fields
            .filter_map(|(name, value)| dsn::Extension::new(name, value))
            .collect();
        report.recipients = self.recipients.iter().map(DsnRecipient::report).collect();
        report
    }
}

impl DsnRecipient {
    fn report(&self) -> dsn::Recipient {
        let status = match (&self.why, self.action) {
            (Some(why), _) => why.status,
            (None, dsn::Action::Failed) => dsn::Status::FAILED,
            (None, dsn::Action::Delayed) => dsn::Status::DELAYED,
            (None, _) => dsn::Status::DELIVERED,
        };
        let address = dsn::Typed::address(self.address.as_str());
        let mut recipient = dsn::Recipient::new(address, self.action, status);
        recipient.original_recipient = self
            .original
            .as_ref()
            .map(|original| dsn::Typed::new(&*original.kind, &*original.address));
        if let Some(why) = &self.why {
            recipient.remote_mta = why.remote.as_deref().map(dsn::Typed::dns);
            recipient.diagnostic = Some(match why.remote {
                Some(_) => dsn::Typed::smtp(&*why.text),
                // RFC 3464 §2.1.1: kinds that are not registered begin with X-.
                None => dsn::Typed::new("x-mailwright", &*why.text),
            });
        }
        // RFC 3464 §2.3.7: left out where it is not known.
        recipient.last_attempt = self.attempted.map(date);
        recipient.will_retry_until = self.until.map(date);
        recipient
    }
}

fn date(at: Timestamp) -> DateTime {
    DateTime::new(i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX), 0)
}
