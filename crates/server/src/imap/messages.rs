//! Commands about messages but FETCH: APPEND, STORE, SEARCH, COPY, MOVE, EXPUNGE, CLOSE (RFC 9051 §6.4, RFC 6851).

use super::backend::{Backend, Failure, Incoming, Mailboxes, NewMessage};
use super::convert::{flags_from_imap, flags_to_imap, uids_from_imap, uids_to_imap};
use super::session::{Append, Session, Stop};
use bytes::Bytes;
use mailwright_imap::{
    self as imap, AppendRequest, CopyUid, Criterion, Rejection, StoreAction, StoreRequest,
};
use mailwright_mailbox::{Fields, FlagChange, MailboxId, Scan, Uid, UidSet};
use std::num::NonZeroU32;

impl<B: Backend> Session<B> {
    pub(super) async fn append_start(&mut self, request: AppendRequest) -> Result<(), Stop> {
        let mailbox = self.find(&request.mailbox).await?;
        let octets = request.size.unwrap_or(0);
        let octets = self.mail()?.incoming(&mailbox, octets).await?;
        let date = request.internal_date.map(imap::DateTime::unix);
        self.append = Some(Box::new(Append {
            mailbox: request.mailbox,
            whole: Vec::new(),
            coming: NewMessage::new(octets, flags_from_imap(&request.flags), date),
            failed: None,
        }));
        self.yes()
    }

    pub(super) async fn append_data(&mut self, data: Bytes) {
        if let Some(append) = &mut self.append
            && append.failed.is_none()
        {
            append.failed = append.coming.octets.write(data).await.err();
        }
    }

    pub(super) async fn append_end(&mut self) -> Result<(), Stop> {
        let mut append = *self.append.take().ok_or(Rejection::UNAVAILABLE)?;
        if let Some(failure) = append.failed {
            return Err(failure.into());
        }
        append.coming.octets.end().await?;
        append.whole.push(append.coming);
        // Another mailbox may have got the name meanwhile.
        let mailbox = self.find(&append.mailbox).await?;
        let appended = self.mail()?.append(mailbox.id, append.whole).await?;
        self.sync_or_end().await;
        let validity = NonZeroU32::new(appended.uid_validity.value());
        let uid = appended.uids.first().and_then(|uid| NonZeroU32::new(uid.value()));
        match validity.zip(uid) {
            Some((validity, uid)) => self.conn.machine().appended(validity, uid),
            None => self.conn.machine().accept(),
        }
        Ok(())
    }

    pub(super) fn selected_mailbox(&self) -> Result<MailboxId, Stop> {
        let selected = self.selected.as_ref().ok_or(Rejection::UNAVAILABLE)?;
        Ok(selected.mailbox)
    }

    pub(super) async fn search(&mut self, wanted: &Criterion) -> Result<(), Stop> {
        let mailbox = self.selected_mailbox()?;
        let found = self.mail()?.search(mailbox, wanted).await?;
        let found: Vec<u32> = found.into_iter().map(Uid::value).collect();
        self.conn.machine().search(&found);
        self.yes()
    }

    pub(super) async fn store(&mut self, request: &StoreRequest) -> Result<(), Stop> {
        let (mail, mailbox) = (self.mail()?, self.selected_mailbox()?);
        let uids = uids_from_imap(&request.uids);
        let flags = flags_from_imap(&request.flags);
        let change = match request.action {
            StoreAction::Replace => FlagChange::Replace(flags),
            StoreAction::Add => FlagChange::Add(flags),
            StoreAction::Remove => FlagChange::Remove(flags),
        };
        mail.store(mailbox, uids.clone(), change, None).await?;
        self.sync_or_end().await;
        let mut next = Some(Scan::new(uids, Fields::FLAGS));
        while let Some(scan) = next {
            let page = mail.scan(mailbox, scan.clone()).await?;
            for message in &page.messages {
                let (uid, mod_seq) = (message.uid.value(), message.mod_seq.value());
                self.conn
                    .machine()
                    .stored(uid, &flags_to_imap(&message.flags), Some(mod_seq));
            }
            next = scan.after(&page);
            self.make_room().await?;
        }
        self.yes()
    }

    pub(super) async fn copy(&mut self, uids: &imap::UidSet, to: &str, moving: bool) -> Result<(), Stop> {
        let from = self.selected_mailbox()?;
        let (uids, to) = (uids_from_imap(uids), self.find(to).await?);
        let copied = self.mail()?.copy(from, uids, to.id, moving).await?;
        self.sync_or_end().await;
        let validity = NonZeroU32::new(copied.uid_validity.value());
        let told = validity.and_then(|validity| {
            CopyUid::new(validity, uids_to_imap(&copied.from), uids_to_imap(&copied.to))
        });
        match told {
            Some(told) => self.conn.machine().copied(&told),
            None => self.conn.machine().accept(),
        }
        Ok(())
    }

    pub(super) async fn expunge(&mut self, uids: Option<&imap::UidSet>) -> Result<(), Stop> {
        let mailbox = self.selected_mailbox()?;
        let uids = uids.map_or_else(UidSet::all, uids_from_imap);
        self.mail()?.expunge(mailbox, uids).await?;
        self.sync_or_end().await;
        self.yes()
    }

    pub(super) async fn close(&mut self, expunge: bool) -> Result<(), Stop> {
        if expunge && let Some(selected) = &self.selected {
            match self.mail()?.expunge(selected.mailbox, UidSet::all()).await {
                // Whoever may not expunge closes all the same (RFC 4314 §4).
                Ok(()) | Err(Failure::NoSuchMailbox | Failure::Refused(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        self.selected = None;
        self.yes()
    }
}
