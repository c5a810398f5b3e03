//! The replies of those who are away: sent once a message is durable, and remembered in the same commit

use super::post::{Absence, Rest, failed};
use super::vacation::{self, Memory};
use super::{Destination, now};
use crate::clock::unix_now;
use crate::config::Vacation;
use crate::metrics::Folder;
use crate::random::entropy;
use crate::shared::Shared;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_mailbox::{Account, Batch, BlobWriter, CommitError, EntryName, Op, Store};
use mailwright_message::date::DateTime;
use mailwright_queue::{Notify, Record, Timestamp};

/// The annotation of an account that remembers who was told.
fn memory_name() -> EntryName {
    EntryName::parse("/private/vendor/vendor.mailwright/vacation").expect("the name is one")
}

/// Whether an annotation of an account is kept by the server itself: clients neither see nor change it.
pub(crate) fn is_own(name: &EntryName) -> bool {
    name.as_str().starts_with("/private/vendor/vendor.mailwright/")
}

impl<S: Store> Shared<S> {
    /// Does what remains when a message is durable. What fails here changes nothing about that, and is logged.
    pub(crate) async fn delivered(&self, rest: Rest) {
        for (account, is_junk) in &rest.growing {
            let folder = if *is_junk { Folder::Junk } else { Folder::Inbox };
            self.metrics.delivered.of(folder).add(1);
            self.quota_watch.has_grown(account);
        }
        for absence in &rest.absences {
            let account = &absence.account;
            if let Err(error) = self.tell(absence, &rest.sender, &rest.header).await {
                tracing::warn!(%account, %error, "a sender cannot be told that the owner is away");
            }
        }
    }

    async fn tell(&self, absence: &Absence, sender: &ReversePath, header: &[u8]) -> Result<(), CommitError> {
        let Absence {
            account,
            name,
            vacation,
        } = absence;
        let is_own = |address: &EmailAddress| {
            self.is_here(address)
                && matches!(self.destination(address), Destination::Here(targets)
                    if targets.accounts == [account.clone()]
                        && targets.elsewhere.is_empty()
                        && targets.lists.is_empty())
        };
        let to = match vacation::recipient(sender, header, is_own) {
            Ok(to) => to,
            Err(silence) => {
                tracing::debug!(%account, "no word of absence: {silence}");
                return Ok(());
            }
        };
        if !self.is_here(&to) && !self.config.outbound.enabled {
            return Ok(());
        }
        let _turn = self.tellers.turn(account).await;
        let mut memory = self.memory(account, vacation).await?;
        if !memory.is_due(&to, vacation, now()) {
            return Ok(());
        }
        let date = DateTime::new(unix_now(), 0);
        let message = match vacation::reply(vacation, name, &to, header, date, entropy()) {
            Ok(message) => message,
            Err(error) => {
                tracing::info!(%account, %to, %error, "the reply of who is away cannot be written");
                return Ok(());
            }
        };
        let signature = name
            .domain()
            .map_or_else(String::new, |domain| self.judge.sign(&domain, &message));
        let mut writer = self.store.new_blob();
        writer
            .write([signature.as_bytes(), &message].concat().into())
            .await
            .map_err(failed)?;
        let blob = writer.finish().await.map_err(failed)?;
        let arrival = Timestamp::from_unix_seconds(now());
        let id = format!("{:016x}", u64::from_be_bytes(entropy()));
        let mut record = Record::new(
            id.as_str(),
            ReversePath::Null,
            arrival,
            arrival + self.config.queue.expire,
        );
        record.size = blob.size();
        // RFC 5230 §5.1.
        record.add_recipient(to.clone()).notify = Some(Notify::default());
        memory.told(&to, vacation, now());
        let batch = Batch::new(unix_now())
            .with(Op::SpoolPut {
                key: None,
                record: record.encode(),
                blob: Some(blob),
            })
            .with(Op::Annotate {
                account: account.clone(),
                mailbox: None,
                name: memory_name(),
                value: Some(memory.print().into()),
            });
        self.commit(batch).await?;
        self.spooled.notify_one();
        tracing::info!(%id, %account, %to, "told that the owner is away");
        Ok(())
    }

    async fn memory(&self, account: &Account, vacation: &Vacation) -> Result<Memory, CommitError> {
        let known = self.store.annotations(account, None).await.map_err(failed)?;
        let text = known
            .into_iter()
            .find(|it| it.name == memory_name())
            .map(|it| it.value);
        let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
        Ok(Memory::read(
            &text,
            vacation,
            self.config.delivery.vacation_senders,
        ))
    }
}
