//! The commit that a message ends in: into mailboxes here, and into the queue for other servers.

use super::envelope::{Accepted, Envelope};
use super::intake::Received;
use crate::clock::unix_now;
use crate::delivery::{Directly, Landing, MailingList, Post, Prepared, Stop};
use crate::quotas::Room;
use crate::shared::Shared;
use mailwright_address::{EmailAddress, ForwardPath};
use mailwright_mailbox::{Account, Batch, CommitError, Op, Store};
use mailwright_queue::{self as queue, ByMode, Record, Timestamp};
use mailwright_smtp::dsn::{self, Ret};
use mailwright_smtp::futurerelease::Hold;
use mailwright_smtp::{BodyType, Rcpt, deliverby};
use std::sync::Arc;
use std::time::Duration;

/// What a message comes to for some of its recipients.
pub(super) struct Outcome {
    pub(super) prepared: Prepared,
    /// Why nothing is done for anybody, if so.
    pub(super) refused: Option<Stop>,
}

impl Envelope {
    /// All that happens to the message for some of its recipients.
    pub(super) async fn batch<S: Store>(
        &self,
        shared: &Shared<S>,
        recipients: &[&Accepted],
        received: &Received,
        origin: Option<&Account>,
        room: Room,
    ) -> Result<Outcome, CommitError> {
        let mut batch = Batch::new(unix_now());
        let template = self.record(shared, received, origin);
        if let Some(blob) = &received.remote {
            for record in self.leaving(shared, recipients, received, &template) {
                batch.push(Op::SpoolPut {
                    key: None,
                    record: record.encode(),
                    blob: Some(blob.clone()),
                });
            }
        }
        let Some(written) = &received.local else {
            return Ok(Outcome {
                prepared: Prepared::nothing(batch, &template),
                refused: None,
            });
        };
        let mut directly = Directly::default();
        recipients
            .iter()
            .for_each(|accepted| directly.add(&accepted.targets));
        let mut lists: Vec<(usize, Arc<MailingList>)> = Vec::new();
        for (index, accepted) in recipients.iter().enumerate() {
            for list in &accepted.targets.lists {
                if lists.iter().all(|(_, known)| known != list) {
                    lists.push((index, list.clone()));
                }
            }
        }
        let post = Post {
            written,
            template: &template,
        };
        let landings = landings(shared, recipients);
        let parts = landings.len() + lists.len();
        let mut prepared = shared
            .prepare(batch, &post, landings, lists, &directly, room)
            .await?;
        let refused = std::mem::take(&mut prepared.refused);
        // What can be said to the client is said to it; what is about some recipients of several, the queue tells the
        // sender.
        if let Some(first) = refused.first()
            && refused.len() == parts
            && prepared.batch.ops.is_empty()
        {
            let refused = Some(first.why.clone());
            return Ok(Outcome { prepared, refused });
        }
        let mut again: Vec<queue::Recipient> = Vec::new();
        for index in refused.iter().map(|refused| refused.index) {
            let accepted = recipients[index];
            let address = match &accepted.rcpt.path {
                ForwardPath::Address(address) => Some(address.clone()),
                ForwardPath::Postmaster => shared.postmaster(),
            };
            if let Some(address) = address.filter(|it| again.iter().all(|known| known.address != *it)) {
                let mut recipient = queue::Recipient::new(address, template.arrival);
                (recipient.notify, recipient.original) = wishes(&accepted.rcpt);
                again.push(recipient);
            }
        }
        if !again.is_empty() {
            shared.to_the_queue(&mut prepared.batch, &post, again).await?;
        }
        Ok(Outcome {
            prepared,
            refused: None,
        })
    }

    /// The queue's records for the recipients on other servers.
    fn leaving<S>(
        &self,
        shared: &Shared<S>,
        recipients: &[&Accepted],
        received: &Received,
        template: &Record,
    ) -> Vec<Record> {
        // Mail of other domains that leaves for a third one does so in the name of this server, if that is wanted.
        let rewritten = shared.rewritten(&self.mail.path);
        let mut records = [template.clone(), template.clone()];
        if let Some(rewritten) = &rewritten {
            records[1].reverse_path = rewritten.clone();
        }
        let mut seen: Vec<&EmailAddress> = Vec::new();
        for accepted in recipients {
            for address in &accepted.targets.elsewhere {
                if !seen.contains(&address) {
                    seen.push(address);
                    let of = usize::from(rewritten.is_some() && !shared.is_here(address));
                    add_recipient(&mut records[of], address, &accepted.rcpt);
                }
            }
        }
        for record in &mut records {
            self.finish(record, received);
        }
        records
            .into_iter()
            .filter(|record| !record.recipients.is_empty())
            .collect()
    }

    /// What depends on the recipients of a record.
    fn finish(&self, record: &mut Record, received: &Received) {
        let now = record.arrival;
        let params = &self.mail.params;
        if let Some((until, request)) = params.hold.map(|hold| release(hold, now)) {
            record.postpone(until, request);
        }
        let is_late = record
            .deliver_by
            .is_some_and(|by| by.mode == ByMode::Notify && by.by <= now);
        for recipient in &mut record.recipients {
            // Who let the time pass has told of it (RFC 2852 §4.1.3).
            recipient.late = is_late;
        }
        let mut addresses = record.recipients.iter().map(|recipient| &recipient.address);
        let ascii_addresses = record.reverse_path.is_ascii() && addresses.all(EmailAddress::is_ascii);
        record.smtputf8 = params.smtputf8 && !(received.is_ascii && ascii_addresses);
    }

    /// What the queue's records of the message have in common.
    fn record<S>(&self, shared: &Shared<S>, received: &Received, origin: Option<&Account>) -> Record {
        let now = Timestamp::from_unix_seconds(u64::try_from(unix_now()).unwrap_or(0));
        let params = &self.mail.params;
        let mut record = Record::new(
            self.id.as_str(),
            self.mail.path.clone(),
            now,
            now + shared.config.queue.expire,
        );
        record.origin = origin.map(|account| account.as_str().into());
        record.size = received.size;
        // What was declared and turned out not to be needed must not keep the message from old servers.
        if params.body == Some(BodyType::EightBitMime) && !received.is_ascii {
            record.body = queue::Body::EightBit;
        }
        // Priorities are for those who are known (RFC 6710 §4.1).
        if origin.is_some()
            && let Some(priority) = params.priority
        {
            record.priority = priority.level();
        }
        record.require_tls = params.require_tls;
        // RFC 8689 §4.1: REQUIRETLS goes before the header.
        record.tls_optional = received.tls_optional && !params.require_tls;
        record.deliver_by = params.by.map(|by| deliver_by(by, now));
        record.envelope_id = params.envid.as_ref().map(|id| id.as_str().into());
        record.ret = params.ret.map(|ret| match ret {
            Ret::Full => queue::Ret::Full,
            Ret::Hdrs => queue::Ret::Headers,
        });
        // RFC 6531 §3.2: whoever gets a copy of it may have to be one of those who can read it.
        record.smtputf8 = params.smtputf8 && !received.is_ascii;
        record
    }
}

/// The accounts of recipients, each once. Who gets it for another address too than one that it goes into Junk for has
/// seen it.
fn landings<S>(shared: &Shared<S>, recipients: &[&Accepted]) -> Vec<Landing> {
    let mut landings: Vec<Landing> = Vec::new();
    for is_junk in [false, true] {
        let accepted = recipients.iter().enumerate();
        for (index, accepted) in accepted.filter(|(_, accepted)| accepted.quarantined == is_junk) {
            for account in &accepted.targets.accounts {
                let recipient = match &accepted.rcpt.path {
                    ForwardPath::Address(address) => Some(address.clone()),
                    ForwardPath::Postmaster => shared.postmaster(),
                };
                let is_known = landings.iter().any(|landing| landing.account == *account);
                let Some(recipient) = recipient.filter(|_| !is_known) else {
                    continue;
                };
                let (notify, original) = wishes(&accepted.rcpt);
                landings.push(Landing {
                    index,
                    recipient,
                    account: account.clone(),
                    detail: accepted.targets.detail(account).map(Into::into),
                    is_junk,
                    notify,
                    original,
                });
            }
        }
    }
    landings
}

/// By when a message should arrive, which says it from the moment of MAIL on (RFC 2852 §4).
fn deliver_by(by: deliverby::DeliverBy, now: Timestamp) -> queue::DeliverBy {
    let distance = Duration::from_secs(by.seconds().unsigned_abs().into());
    queue::DeliverBy {
        by: match by.seconds() {
            ..0 => Timestamp::from_unix_seconds(now.unix_seconds().saturating_sub(distance.as_secs())),
            _ => now + distance,
        },
        mode: match by.mode() {
            deliverby::Mode::Notify => ByMode::Notify,
            deliverby::Mode::Return => ByMode::Return,
        },
        trace: by.trace(),
    }
}

/// Until when a message is held, and how reports say it (RFC 4865 §5.1).
fn release(hold: Hold, now: Timestamp) -> (Timestamp, String) {
    match hold {
        Hold::For(interval) => {
            let wait = Duration::from_secs(interval.seconds().into());
            (now + wait, format!("for;{interval}"))
        }
        Hold::Until(moment) => (
            Timestamp::from_unix_seconds(moment.unix()),
            format!("until;{moment}"),
        ),
    }
}

/// Whether a batch puts something into the spool.
pub(super) fn spools(batch: &Batch) -> bool {
    batch.ops.iter().any(|op| matches!(op, Op::SpoolPut { .. }))
}

fn add_recipient(record: &mut Record, address: &EmailAddress, rcpt: &Rcpt) {
    let recipient = record.add_recipient(address.clone());
    (recipient.notify, recipient.original) = wishes(rcpt);
}

/// What the sender wants to be told of a recipient (RFC 3461 §4).
fn wishes(rcpt: &Rcpt) -> (Option<queue::Notify>, Option<queue::OriginalRecipient>) {
    let notify = rcpt.params.notify.map(|notify| match notify {
        dsn::Notify::Never => queue::Notify::default(),
        dsn::Notify::On {
            success,
            failure,
            delay,
        } => queue::Notify {
            success,
            failure,
            delay,
        },
    });
    let original = rcpt.params.orcpt.as_ref();
    let original =
        original.map(|original| queue::OriginalRecipient::new(original.address_type(), original.address()));
    (notify, original)
}
