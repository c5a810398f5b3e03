//! The commit that a message ends in: into mailboxes here, and into the queue for other servers.

use super::envelope::{Accepted, Envelope};
use super::intake::Received;
use crate::clock::unix_now;
use crate::quotas::Room;
use crate::shared::Shared;
use mailwright_address::EmailAddress;
use mailwright_mailbox::{Account, Batch, CommitError, Op, Store};
use mailwright_queue::{self as queue, ByMode, Record, Timestamp};
use mailwright_smtp::dsn::{self, Ret};
use mailwright_smtp::futurerelease::Hold;
use mailwright_smtp::{BodyType, Rcpt, deliverby};
use std::time::Duration;

impl Envelope {
    /// All that happens to the message for some of its recipients.
    pub(super) async fn batch<S: Store>(
        &self,
        shared: &Shared<S>,
        recipients: &[&Accepted],
        received: &Received,
        origin: Option<&Account>,
        room: Room,
    ) -> Result<Batch, CommitError> {
        let mut batch = Batch::new(unix_now());
        if let Some(written) = &received.local {
            let inboxes = accounts_of(recipients, false);
            let mut junk = accounts_of(recipients, true);
            // Who gets it for another address too has seen it.
            junk.retain(|account| !inboxes.contains(account));
            for account in inboxes.iter().chain(&junk) {
                batch = shared.within_quota(batch, account, room);
            }
            let ops = written.deliver_to(&shared.store, &inboxes).await?;
            let to_junk = written.deliver_to_junk(&shared.store, &junk).await?;
            for op in ops.into_iter().chain(to_junk) {
                batch.push(op);
            }
        }
        if let Some(blob) = &received.remote {
            let record = self.record(shared, recipients, received, origin);
            if !record.recipients.is_empty() {
                batch.push(Op::SpoolPut {
                    key: None,
                    record: record.encode(),
                    blob: Some(blob.clone()),
                });
            }
        }
        Ok(batch)
    }

    /// The queue's record for the recipients on other servers.
    fn record<S>(
        &self,
        shared: &Shared<S>,
        recipients: &[&Accepted],
        received: &Received,
        origin: Option<&Account>,
    ) -> Record {
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
        let mut seen: Vec<&EmailAddress> = Vec::new();
        for accepted in recipients {
            for address in &accepted.targets.elsewhere {
                if !seen.contains(&address) {
                    seen.push(address);
                    add_recipient(&mut record, address, &accepted.rcpt);
                }
            }
        }
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
        let ascii_addresses = self.mail.path.is_ascii() && seen.iter().all(|a| a.is_ascii());
        record.smtputf8 = params.smtputf8 && !(received.is_ascii && ascii_addresses);
        record
    }
}

/// The accounts of the recipients who get the message into Junk, or of those who do not.
pub(super) fn accounts_of(recipients: &[&Accepted], quarantined: bool) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for accepted in recipients.iter().filter(|it| it.quarantined == quarantined) {
        for account in &accepted.targets.accounts {
            if !accounts.contains(account) {
                accounts.push(account.clone());
            }
        }
    }
    accounts
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
    recipient.notify = rcpt.params.notify.map(|notify| match notify {
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
    recipient.original = rcpt
        .params
        .orcpt
        .as_ref()
        .map(|original| queue::OriginalRecipient::new(original.address_type(), original.address()));
}
