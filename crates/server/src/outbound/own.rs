//! Mail of the server itself: reports to other servers

use crate::clock::unix_now;
use crate::random::entropy;
use crate::shared::Shared;
use bytes::Bytes;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_mailbox::{Batch, BlobWriter, CommitError, Op, Store, StoreError};
use mailwright_queue::Record;

/// Puts a message from `author` into the queue, signed for its domain. Nobody is told if it cannot be delivered.
pub(crate) async fn send_own<S: Store>(
    shared: &Shared<S>,
    author: &EmailAddress,
    to: EmailAddress,
    message: Bytes,
    tls_optional: bool,
) -> Result<(), CommitError> {
    let failed = |error: StoreError| CommitError::Io(error.to_string());
    let domain = author.domain();
    let signature = domain.map_or_else(String::new, |domain| shared.judge.sign(&domain, &message));
    let message: Bytes = [signature.as_bytes(), &message].concat().into();
    let id = format!("{:016x}", u64::from_be_bytes(entropy()));
    let now = super::now();
    let mut record = Record::new(id, ReversePath::Null, now, now + shared.config.queue.expire);
    record.size = message.len() as u64;
    record.tls_optional = tls_optional;
    record.add_recipient(to);
    let mut writer = shared.store.new_blob();
    writer.write(message).await.map_err(failed)?;
    let put = Op::SpoolPut {
        key: None,
        record: record.encode(),
        blob: Some(writer.finish().await.map_err(failed)?),
    };
    shared.store.commit(Batch::new(unix_now()).with(put)).await?;
    shared.spooled.notify_one();
    Ok(())
}
