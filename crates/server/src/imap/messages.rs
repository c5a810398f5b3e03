//! Commands about messages but FETCH: APPEND, STORE, SEARCH, COPY, MOVE, EXPUNGE, CLOSE (RFC 3501 §6.4, RFC 6851).

use super::convert::{flags_from_imap, flags_to_imap, uids_from_imap, uids_to_imap};
use super::{Append, Session, Stop, search};
use crate::clock::unix_now;
use crate::delivery::MessageWriter;
use bytes::Bytes;
use mailwright_imap::{
    self as imap, AppendRequest, CopyUid, Criterion, Rejection, StoreAction, StoreRequest,
};
use mailwright_mailbox::{
    Batch, CommitError, Fields, FlagChange, MailboxId, Op, Outcome, Scan, Store, Uid, UidSet,
};
use std::num::NonZeroU32;

impl<S: Store> Session<S> {
    pub(super) async fn append_start(&mut self, request: AppendRequest) -> Result<(), Stop> {
        self.find(&request.mailbox).await?;
        let writer = MessageWriter::new(&self.shared.store);
        self.append = Some(Box::new(Append {
            request,
            writer,
            failed: None,
        }));
        self.yes()
    }

    pub(super) async fn append_data(&mut self, data: Bytes) {
        if let Some(append) = &mut self.append
            && append.failed.is_none()
        {
            append.failed = append.writer.write(data).await.err();
        }
    }

    pub(super) async fn append_end(&mut self) -> Result<(), Stop> {
        let append = *self.append.take().ok_or(Rejection::UNAVAILABLE)?;
        if let Some(error) = append.failed {
            return Err(error.into());
        }
        let mailbox = self.find(&append.request.mailbox).await?;
        let written = append.writer.finish().await?;
        let date = append
            .request
            .internal_date
            .map_or_else(unix_now, imap::DateTime::unix);
        let outcome = self
            .change(written.append(mailbox, flags_from_imap(&append.request.flags), date))
            .await?;
        self.sync_or_end().await;
        if let Outcome::Appended {
            uid_validity, uid, ..
        } = outcome
            && let Some((uid_validity, uid)) =
                NonZeroU32::new(uid_validity.value()).zip(NonZeroU32::new(uid.value()))
        {
            self.conn.machine().appended(uid_validity, uid);
            return Ok(());
        }
        self.yes()
    }

    pub(super) fn selected_mailbox(&self) -> Result<MailboxId, Stop> {
        Ok(self
            .selected
            .as_ref()
            .map(|selected| selected.mailbox)
            .ok_or(Rejection::UNAVAILABLE)?)
    }

    pub(super) async fn search(&mut self, wanted: &Criterion) -> Result<(), Stop> {
        let mailbox = self.selected_mailbox()?;
        let found = search::run(&self.shared, mailbox, wanted).await?;
        let found: Vec<u32> = found.into_iter().map(Uid::value).collect();
        self.conn.machine().search(&found);
        self.yes()
    }

    pub(super) async fn store(&mut self, request: &StoreRequest) -> Result<(), Stop> {
        let mailbox = self.selected_mailbox()?;
        let uids = uids_from_imap(&request.uids);
        let flags = flags_from_imap(&request.flags);
        let change = match request.action {
            StoreAction::Replace => FlagChange::Replace(flags),
            StoreAction::Add => FlagChange::Add(flags),
            StoreAction::Remove => FlagChange::Remove(flags),
        };
        self.change(Op::StoreFlags {
            mailbox,
            uids: uids.clone(),
            change,
            unchanged_since: None,
        })
        .await?;
        self.sync_or_end().await;
        let mut next = Some(Scan::new(uids, Fields::FLAGS));
        while let Some(scan) = next {
            let page = self.shared.store.scan(mailbox, scan.clone()).await?;
            for message in &page.messages {
                self.conn
                    .machine()
                    .stored(message.uid.value(), &flags_to_imap(&message.flags));
            }
            next = scan.after(&page);
            self.make_room().await?;
        }
        self.yes()
    }

    pub(super) async fn copy(&mut self, uids: &imap::UidSet, to: &str, moving: bool) -> Result<(), Stop> {
        let from = self.selected_mailbox()?;
        let (uids, to) = (uids_from_imap(uids), self.find(to).await?);
        let op = match moving {
            true => Op::Move { from, uids, to },
            false => Op::Copy { from, uids, to },
        };
        let outcome = self.change(op).await?;
        self.sync_or_end().await;
        if let Outcome::Copied {
            uid_validity,
            from,
            to,
            ..
        } = outcome
            && let Some(validity) = NonZeroU32::new(uid_validity.value())
            && let Some(copied) = CopyUid::new(validity, uids_to_imap(&from), uids_to_imap(&to))
        {
            self.conn.machine().copied(&copied);
            return Ok(());
        }
        self.yes()
    }

    pub(super) async fn expunge(&mut self, uids: Option<&imap::UidSet>) -> Result<(), Stop> {
        let mailbox = self.selected_mailbox()?;
        let uids = uids.map_or_else(UidSet::all, uids_from_imap);
        self.change(Op::Expunge {
            mailbox,
            uids,
            deleted_only: true,
        })
        .await?;
        self.sync_or_end().await;
        self.yes()
    }

    pub(super) async fn close(&mut self, expunge: bool) -> Result<(), Stop> {
        if expunge && let Some(selected) = &self.selected {
            let op = Op::Expunge {
                mailbox: selected.mailbox,
                uids: UidSet::all(),
                deleted_only: true,
            };
            match self.shared.store.commit(Batch::new(unix_now()).with(op)).await {
                Ok(_) | Err(CommitError::NoSuchMailbox { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.selected = None;
        self.yes()
    }
}
