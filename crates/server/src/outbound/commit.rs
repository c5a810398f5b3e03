//! What the queue decides becomes durable: the record, and the notice to the sender, in one commit (RFC 3464)

use super::{Executed, OrderError};
use crate::clock::unix_now;
use crate::delivery::{Destination, MessageWriter, Targets};
use crate::journal::What;
use crate::random::entropy;
use crate::shared::Shared;
use bytes::Bytes;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_mailbox::{Batch, BlobRef, BlobWriter, CommitError, Op, SpoolKey, Store, StoreError};
use mailwright_message::date::DateTime;
use mailwright_message::dsn::{Notification, Returned};
use mailwright_message::trace;
use mailwright_queue::{Action, Body, Change, DsnRequest, Key, Record, Ret, Update};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the spool.
    Done,
    /// Its message was removed by somebody else.
    Gone,
}

/// The largest message that comes back whole with a notice when the sender did not say what it wants.
const RETURN_WHOLE: u64 = 64 * 1024;
/// The largest message that comes back whole when the sender asked for it (RFC 3461 §4.3 lets a size be set).
const RETURN_WHOLE_ASKED: u64 = 1024 * 1024;
/// How much of a message is looked through for the end of its header.
const MAX_HEADER: u64 = 64 * 1024;

/// Commits an update, however long it takes. Until then the message is not touched otherwise.
///
/// `id` is the name of its message, and `body` where its octets are, if that is known.
pub(super) async fn persist<S: Store>(
    shared: Arc<Shared<S>>,
    id: Box<str>,
    update: Update,
    body: Option<BlobRef>,
) -> Fate {
    for failure in &update.unreported {
        let why = failure.why.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(key = %update.key, to = %failure.address, why, "given up, and nobody is to be told");
        shared.journal.tell(&id, || What::GivenUp {
            to: failure.address.to_string(),
            why,
        });
    }
    let mut wait = Duration::from_secs(1);
    let mut into_mailbox = true;
    loop {
        let error = match apply(&shared, &update, body.as_ref(), into_mailbox).await {
            Ok(()) => {
                if update.change == Change::Remove {
                    shared.journal.tell(&id, || What::Done);
                }
                return Fate::Done;
            }
            Err(CommitError::NoSuchSpoolEntry { .. }) => return Fate::Gone,
            Err(error) => error,
        };
        tracing::error!(key = %update.key, %error, "an outcome of the queue cannot be committed; trying again");
        // A full or vanished mailbox must not hold up the rest: the notice goes through the queue then.
        into_mailbox &= error.is_temporary();
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(60));
    }
}

/// Removes a record, whatever it holds.
pub(super) async fn remove<S: Store>(shared: &Shared<S>, key: Key) -> Result<Executed, OrderError> {
    let op = Op::SpoolRemove {
        key: SpoolKey::new(key.get()),
    };
    match shared.store.commit(Batch::new(unix_now()).with(op)).await {
        Ok(_) => Ok(Executed::Dropped),
        Err(CommitError::NoSuchSpoolEntry { .. }) => Ok(Executed::NoSuchMessage),
        Err(error) => Err(StoreError::Io(error.to_string()).into()),
    }
}

async fn apply<S: Store>(
    shared: &Shared<S>,
    update: &Update,
    body: Option<&BlobRef>,
    into_mailbox: bool,
) -> Result<(), CommitError> {
    let needs_body = update.change != Change::Remove || update.dsn.is_some();
    let body = match body {
        None if needs_body => {
            let entry = super::entry(&shared.store, update.key).await.map_err(failed)?;
            let Some(entry) = entry else {
                return Err(CommitError::NoSuchSpoolEntry { op: 0 });
            };
            entry.blob
        }
        known => known.cloned(),
    };
    let key = SpoolKey::new(update.key.get());
    let mut batch = Batch::new(unix_now());
    batch.push(match &update.change {
        Change::Replace(record) => Op::SpoolPut {
            key: Some(key),
            record: record.clone(),
            blob: body.clone(),
        },
        Change::Remove => Op::SpoolRemove { key },
    });
    let mut notice_told = None;
    if let Some(request) = &update.dsn {
        let (ops, told) = notice(shared, request, body.as_ref(), into_mailbox).await?;
        batch.ops.extend(ops);
        notice_told = told;
    }
    let spools = batch
        .ops
        .iter()
        .any(|op| matches!(op, Op::SpoolPut { key: None, .. }));
    shared.commit(batch).await?;
    if let (Some(request), Some(told)) = (&update.dsn, notice_told) {
        shared.metrics.notices.count();
        told.tell(shared, request);
    }
    if spools {
        shared.spooled.notify_one();
    }
    Ok(())
}

/// A notice that was made, and who gets it.
struct Told {
    notice: String,
    inbox: Vec<String>,
    queued: Vec<String>,
}

impl Told {
    /// Puts it into the journal, under the message that it is about and under its own name.
    fn tell<S>(self, shared: &Shared<S>, request: &DsnRequest) {
        let recipients = request.recipients.iter().map(|recipient| {
            let why = recipient
                .why
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            format!("{} {}{why}", recipient.address, recipient.action.as_str())
        });
        let to = request.to.to_string();
        shared.journal.tell(&request.id, || What::Told {
            notice: self.notice.clone(),
            to: to.clone(),
            recipients: recipients.collect(),
        });
        shared.journal.tell(&self.notice, || What::Notice {
            of: request.id.to_string(),
            to: to.clone(),
            inbox: self.inbox,
            queued: self.queued,
        });
    }
}

/// The operations that bring a notice on its way.
async fn notice<S: Store>(
    shared: &Shared<S>,
    request: &DsnRequest,
    blob: Option<&BlobRef>,
    into_mailbox: bool,
) -> Result<(Vec<Op>, Option<Told>), CommitError> {
    let targets = match shared.destination(&request.to) {
        // A list has an owner, who is told by the queue.
        Destination::Here(targets) if into_mailbox && targets.lists.is_empty() => targets,
        Destination::Elsewhere if !shared.config.outbound.enabled => {
            tracing::warn!(id = %request.id, to = %request.to, "the sender is not told: mail does not leave this server");
            return Ok((Vec::new(), None));
        }
        Destination::Here(_) | Destination::Elsewhere => Targets {
            elsewhere: vec![request.to.clone()],
            ..Targets::default()
        },
        Destination::Disabled | Destination::Nobody => {
            tracing::warn!(id = %request.id, to = %request.to, "the sender to be told does not exist here, or takes no mail");
            return Ok((Vec::new(), None));
        }
    };
    let hostname = shared.config.hostname.as_str();
    let mut notification = Notification::new(
        request.report(hostname),
        format!("mailer-daemon@{hostname}"),
        request.to.as_str(),
        DateTime::new(unix_now(), 0),
    );
    // RFC 6533 §4.5: only a host with SMTPUTF8 has such an address.
    notification.utf8 = request.smtputf8 && !request.to.is_ascii();
    if let Some(blob) = blob {
        notification.returned = returned(shared, request, blob).await;
    }
    let message = notification.build(entropy());
    let id = format!("{:016x}", u64::from_be_bytes(entropy()));
    tracing::info!(id = %request.id, notice = id, to = %request.to, recipients = request.recipients.len(), "telling the sender");

    let told = Told {
        notice: id.clone(),
        inbox: targets.accounts.iter().map(ToString::to_string).collect(),
        queued: targets.elsewhere.iter().map(ToString::to_string).collect(),
    };
    let mut ops = Vec::new();
    if !targets.accounts.is_empty() {
        let mut writer = MessageWriter::new(&shared.store);
        writer
            .write(trace::return_path("").into())
            .await
            .map_err(failed)?;
        for chunk in &message {
            writer.write(chunk.clone()).await.map_err(failed)?;
        }
        let written = writer.finish(&shared.store).await.map_err(failed)?;
        ops.extend(
            written
                .deliver_to(&shared.store, &targets.accounts, &shared.accounts.folders())
                .await?,
        );
    }
    if !targets.elsewhere.is_empty() {
        ops.push(
            spool(shared, id, targets.elsewhere, message, request.require_tls)
                .await
                .map_err(failed)?,
        );
    }
    Ok((ops, Some(told)))
}

/// Puts a notice into the queue itself, with the null reverse-path (RFC 3464 §2).
async fn spool<S: Store>(
    shared: &Shared<S>,
    id: String,
    to: Vec<EmailAddress>,
    mut message: Vec<Bytes>,
    require_tls: bool,
) -> Result<Op, StoreError> {
    let signature = shared.judge.sign(&shared.config.hostname, &message.concat());
    message.insert(0, signature.into());
    let now = crate::clock::timestamp();
    let mut record = Record::new(id, ReversePath::Null, now, now + shared.config.queue.expire);
    record.require_tls = require_tls;
    let mut writer = shared.store.new_blob();
    let is_ascii = message.iter().all(|chunk| chunk.is_ascii());
    if !is_ascii {
        record.body = Body::EightBit;
        record.smtputf8 = true;
    }
    for chunk in message {
        record.size += chunk.len() as u64;
        writer.write(chunk).await?;
    }
    for address in to {
        record.add_recipient(address);
    }
    Ok(Op::SpoolPut {
        key: None,
        record: record.encode(),
        blob: Some(writer.finish().await?),
    })
}

/// What comes back of the message (RFC 3461 §4.3); its header at least, if it can be read.
async fn returned<S: Store>(shared: &Shared<S>, request: &DsnRequest, blob: &BlobRef) -> Returned {
    // RET is about failures only.
    let failed = request.recipients.iter().any(|r| r.action == Action::Failed);
    let whole = match request.ret {
        _ if !failed => 0,
        // RFC 8689 §5 wants it treated as RET=HDRS.
        _ if request.require_tls => 0,
        Some(Ret::Headers) => 0,
        Some(Ret::Full) => RETURN_WHOLE_ASKED,
        None => RETURN_WHOLE,
    };
    let whole = blob.size() <= whole;
    let limit = if whole {
        blob.size()
    } else {
        blob.size().min(MAX_HEADER)
    };
    let mut chunks = Vec::new();
    let mut offset = 0;
    while offset < limit {
        match shared.store.read_blob(blob, offset..limit).await {
            Ok(chunk) if !chunk.is_empty() => {
                offset += chunk.len() as u64;
                chunks.push(chunk);
            }
            // A notice without the message is better than none.
            Ok(_) | Err(_) => return Returned::Nothing,
        }
    }
    match whole {
        true => Returned::Message(chunks),
        false => Returned::Header(chunks.concat().into()),
    }
}

fn failed(error: StoreError) -> CommitError {
    match error {
        StoreError::Full => CommitError::Full,
        StoreError::Closed => CommitError::Closed,
        error => CommitError::Io(error.to_string()),
    }
}
