//! Commands about messages but FETCH: APPEND, STORE, SEARCH, COPY, MOVE, EXPUNGE, CLOSE (RFC 9051 §6.4, RFC 6851).

use super::backend::{Backend, Failure, Incoming, Mailboxes, NewMessage};
use super::convert::{flags_from_imap, flags_to_imap, uids_from_imap, uids_to_imap};
use super::selected::{Selected, has_mod_seqs};
use super::session::{Append, Session, Stop};
use super::url::Reference;
use super::{body, search};
use bytes::Bytes;
use mailwright_imap::{
    self as imap, AppendRequest, Code, CopyUid, Rejection, SearchRequest, StoreAction, StoreRequest,
};
use mailwright_mailbox::{Fields, FlagChange, MailboxId, ModSeq, Scan, Uid, UidSet};
use std::num::NonZeroU32;

/// What takes the octets of a message that is coming.
type Octets<B> = <<B as Backend>::Mailboxes as Mailboxes>::Incoming;

impl<B: Backend> Session<B> {
    pub(super) async fn append_start(&mut self, request: AppendRequest) -> Result<(), Stop> {
        let replaces = request.replaces;
        let mailbox = request.mailbox.clone();
        let coming = self.incoming(request).await?;
        self.append = Some(Box::new(Append {
            mailbox,
            octets: 0,
            replaces,
            whole: Vec::new(),
            coming,
            failed: None,
        }));
        self.yes()
    }

    /// Another message of the same command.
    pub(super) async fn append_next(&mut self, request: AppendRequest) -> Result<(), Stop> {
        let next = self.incoming(request).await;
        let Some(mut append) = self.append.take() else {
            return Err(Rejection::UNAVAILABLE.into());
        };
        let mut before = std::mem::replace(&mut append.coming, next?);
        append.octets = 0;
        if append.failed.is_none() {
            append.failed = before.octets.end().await.err();
        }
        append.whole.push(before);
        self.append = Some(append);
        self.yes()
    }

    async fn incoming(&mut self, request: AppendRequest) -> Result<NewMessage<Octets<B>>, Stop> {
        let mailbox = self.find(&request.mailbox).await?;
        let octets = self.mail()?.incoming(&mailbox, request.size.unwrap_or(0)).await?;
        let date = request.internal_date.map(imap::DateTime::unix);
        Ok(NewMessage::new(octets, flags_from_imap(&request.flags), date))
    }

    pub(super) async fn append_data(&mut self, data: Bytes) {
        let Some(append) = &mut self.append else { return };
        append.octets += data.len() as u64;
        if append.failed.is_none() {
            append.failed = append.coming.octets.write(data).await.err();
        }
    }

    /// Puts octets of another message behind what came (RFC 4469).
    pub(super) async fn append_url(&mut self, url: &str) -> Result<(), Stop> {
        let bad = || Rejection::new(Some(Code::BadUrl), "The URL refers to nothing here");
        let reference = Reference::parse(url).ok_or_else(bad)?;
        let mail = self.mail()?;
        let mailbox = match &reference.mailbox {
            Some(mailbox) => self.find(mailbox).await.map_err(|_| bad())?.id,
            None => self.selected_mailbox().map_err(|_| bad())?,
        };
        if let Some(validity) = reference.uid_validity
            && mail.snapshot(mailbox).await?.uid_validity.value() != validity
        {
            return Err(bad().into());
        }
        let scan = Scan::new(Uid::from(reference.uid).into(), Fields::BLOB | Fields::INDEX);
        let message = mail.scan(mailbox, scan).await?.messages.pop().ok_or_else(bad)?;
        let index = body::index_of(&*mail, mailbox, &message).await?;
        let section = reference.section.locate(&index).ok_or_else(bad)?;
        let range = reference.within(section);
        let Some(append) = &mut self.append else {
            return Err(Rejection::UNAVAILABLE.into());
        };
        append.octets += range.end.saturating_sub(range.start);
        if append.octets > self.max_append {
            return Err(Rejection::TOO_BIG.into());
        }
        let mut at = range.start;
        while at < range.end && append.failed.is_none() {
            let piece = mail.read(mailbox, &message, at..range.end).await?;
            if piece.is_empty() {
                return Err(bad().into());
            }
            at += piece.len() as u64;
            append.failed = append.coming.octets.write(piece).await.err();
        }
        self.yes()
    }

    pub(super) async fn append_end(&mut self) -> Result<(), Stop> {
        let mut append = *self.append.take().ok_or(Rejection::UNAVAILABLE)?;
        if let Some(failure) = append.failed {
            return Err(failure.into());
        }
        append.coming.octets.end().await?;
        append.whole.push(append.coming);
        let replaced = match append.replaces.and_then(Uid::new) {
            Some(uid) => Some((self.selected_mailbox()?, uid)),
            None => None,
        };
        // Another mailbox may have got the name meanwhile.
        let mailbox = self.find(&append.mailbox).await?;
        let appended = self.mail()?.append(mailbox.id, append.whole, replaced).await?;
        self.has_added(mailbox.id, &appended.uids).await;
        self.sync_or_end(None).await;
        match NonZeroU32::new(appended.uid_validity.value()) {
            Some(validity) if !appended.uids.is_empty() => {
                let uids = uids_to_imap(&appended.uids);
                self.conn.machine().appended(validity, uids);
            }
            _ => self.conn.machine().accept(),
        }
        Ok(())
    }

    pub(super) fn selected_mailbox(&self) -> Result<MailboxId, Stop> {
        let selected = self.selected.as_ref().ok_or(Rejection::UNAVAILABLE)?;
        Ok(selected.mailbox)
    }

    pub(super) async fn search(&mut self, request: &SearchRequest) -> Result<(), Stop> {
        let (mail, mailbox) = (self.mail()?, self.selected_mailbox()?);
        let exists = self.exists();
        let work = self.work(Some(exists));
        let searching = search::run(&*mail, mailbox, &request.criterion, &work);
        let uids = self.wait_for(&work, searching).await?;
        if !request.mod_seqs {
            self.conn.machine().search_set(&uids_to_imap(&uids));
            return self.yes();
        }
        let mut next = Some(Scan::new(uids, Fields::NONE).limit(10_000));
        while let Some(scan) = next {
            let page = mail.scan(mailbox, scan.clone()).await?;
            let found = page
                .messages
                .iter()
                .map(|it| (it.uid.value(), it.mod_seq.value()));
            let found: Vec<_> = found.collect();
            self.conn.machine().search_mod_seqs(&found);
            next = scan.after(&page);
        }
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
        let since = request.unchanged_since.map(ModSeq::new);
        let stored = mail.store(mailbox, uids.clone(), change, since).await?;
        let is_next = |selected: &Selected| selected.is_next::<B::Mailboxes>(&stored);
        if !self.selected.as_ref().is_some_and(is_next) {
            self.conn.machine().overtaken(&request.uids);
        }
        self.sync_or_end(None).await;
        if !stored.failed.is_empty() {
            self.conn.machine().not_stored(&uids_to_imap(&stored.failed));
        }
        // Those that were passed over are told as others have changed them.
        let told = uids.difference(&stored.failed);
        let mut next = Some(Scan::new(told, Fields::FLAGS));
        while let Some(scan) = next {
            let page = mail.scan(mailbox, scan.clone()).await?;
            for message in &page.messages {
                if stored.mod_seq.is_some_and(|ours| message.mod_seq > ours) {
                    let uid = message.uid.value();
                    self.conn.machine().overtaken(&imap::UidSet::from(uid..=uid));
                }
                let mod_seq = has_mod_seqs::<B::Mailboxes>().then(|| message.mod_seq.value());
                let flags = flags_to_imap(&message.flags);
                self.conn.machine().stored(message.uid.value(), &flags, mod_seq);
            }
            next = scan.after(&page);
            self.make_room().await?;
        }
        self.yes()
    }

    pub(super) async fn copy(&mut self, uids: &imap::UidSet, to: &str, moving: bool) -> Result<(), Stop> {
        let from = self.selected_mailbox()?;
        let (uids, to) = (uids_from_imap(uids), self.find(to).await?);
        let (mail, work) = (self.mail()?, self.work(None));
        let copying = mail.copy(from, uids, to.id, moving);
        let copied = self.wait_for(&work, copying).await?;
        self.has_added(to.id, &copied.to).await;
        self.sync_or_end(None).await;
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
        self.sync_or_end(None).await;
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
        self.leave().await;
        self.yes()
    }
}
