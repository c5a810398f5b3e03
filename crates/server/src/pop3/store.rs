//! A store as a [`Backend`]: the INBOX of every account (RFC 1939)
//!
//! A message's unique id is `UIDVALIDITY.UID`: it stays the same over sessions, is that of IMAP, and is never
//! given to another message. What is deleted is expunged by one commit, which names those messages and no others.

use super::backend::{Backend, Messages};
use crate::accounts::{Grant, Visit};
use crate::clock::unix_now;
use crate::config::Service;
use crate::delivery;
use crate::maildrops::Lock;
use crate::shared::Shared;
use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, Fields, MailboxId, Op, Scan, Store, StoreError, Uid, UidSet, UidValidity,
};
use mailwright_pop3::{Maildrop, Rejection, ResponseCode};
use mailwright_sasl::{Answer, Identity, Question};
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

/// The INBOX of an account, which one session has open.
#[derive(Debug)]
pub struct StoreMessages<S: Store> {
    shared: Arc<Shared<S>>,
    peer: SocketAddr,
    account: Account,
    grant: Option<Grant>,
    inbox: MailboxId,
    /// The UIDs of the messages in the order of their numbers.
    uids: Vec<Uid>,
    /// The message that is being read.
    reading: Option<(u32, BlobRef)>,
    _lock: Lock,
}

impl<S: Store> Backend for Shared<S> {
    type Messages = StoreMessages<S>;

    async fn authenticate(&self, question: Question, client: SocketAddr) -> Answer {
        let visit = Visit::new(client.ip(), Service::Pop3);
        self.accounts.answer(question, visit).await
    }

    fn of_certificate(&self, certificate: &[u8], authzid: Option<&str>) -> Option<String> {
        self.accounts.of_certificate(certificate, authzid)
    }

    async fn open(
        self: &Arc<Self>,
        user: &Identity,
        client: SocketAddr,
    ) -> Result<StoreMessages<S>, Rejection> {
        let grant = self.accounts.grant(user, Visit::new(client.ip(), Service::Pop3));
        let Some(account) = self.accounts.account(user) else {
            // It was removed since its password was checked.
            return Err(Rejection::new(Some(ResponseCode::Auth), "no such account"));
        };
        let inbox = delivery::inbox(&self.store, &account, &self.accounts.folders())
            .await
            .map_err(|error| unavailable(client, &account, &error))?;
        if let Some(wait) = self
            .maildrops
            .wait_for_login(inbox, self.config.limits.pop3_login_delay)
        {
            tracing::info!(peer = %client, %account, "pop3: logins follow each other too fast");
            let text = format!("wait {} seconds before the next login", wait.as_secs() + 1);
            return Err(Rejection::new(Some(ResponseCode::LoginDelay), text));
        }
        let Some(lock) = self.maildrops.lock(inbox).await else {
            tracing::info!(peer = %client, %account, "pop3: another session has the maildrop");
            return Err(Rejection::IN_USE);
        };
        Ok(StoreMessages {
            shared: self.clone(),
            peer: client,
            account,
            grant,
            inbox,
            uids: Vec::new(),
            reading: None,
            _lock: lock,
        })
    }
}

impl<S: Store> Messages for StoreMessages<S> {
    async fn list(&mut self) -> Result<Maildrop, Rejection> {
        let (maildrop, uids) = snapshot(&self.shared.store, self.inbox)
            .await
            .map_err(|error| unavailable(self.peer, &self.account, &error))?;
        tracing::debug!(peer = %self.peer, account = %self.account, messages = uids.len(), "pop3: maildrop opened");
        let delay = self.shared.config.limits.pop3_login_delay;
        self.shared.maildrops.logged_in(self.inbox, delay);
        self.uids = uids;
        Ok(maildrop)
    }

    async fn read(&mut self, message: u32, range: Range<u64>) -> Result<Bytes, Rejection> {
        let blob = match &self.reading {
            Some((number, blob)) if *number == message => blob.clone(),
            _ => self.blob(message).await?,
        };
        self.reading = Some((message, blob.clone()));
        if range.start >= blob.size() {
            return Ok(Bytes::new());
        }
        let range = range.start..range.end.min(blob.size());
        match self.shared.store.read_blob(&blob, range).await {
            Ok(piece) if !piece.is_empty() => Ok(piece),
            Ok(_) => Err(self.unreadable(message, &"it is shorter than it should be")),
            Err(error) => Err(self.unreadable(message, &error)),
        }
    }

    async fn delete(&mut self, messages: &[u32]) -> Result<(), Rejection> {
        let uids: UidSet = messages.iter().filter_map(|n| self.uid(*n)).collect();
        let batch = Batch::new(unix_now()).with(Op::Expunge {
            mailbox: self.inbox,
            uids,
            deleted_only: false,
        });
        let (peer, account) = (self.peer, &self.account);
        match self.shared.commit(batch).await {
            Ok(_) => {
                tracing::info!(%peer, %account, messages = messages.len(), "pop3: messages deleted");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%peer, %account, "pop3: messages cannot be deleted: {error}");
                let text = "the deleted messages were not removed";
                Err(Rejection::new(Some(ResponseCode::SysTemp), text))
            }
        }
    }

    async fn revoked(&self) {
        self.shared.accounts.revoked(self.grant.as_ref()).await;
    }
}

impl<S: Store> StoreMessages<S> {
    /// The octets of a message.
    async fn blob(&self, message: u32) -> Result<BlobRef, Rejection> {
        let uid = self.uid(message).ok_or(Rejection::NO_SUCH_MESSAGE)?;
        let scan = Scan::new(uid.into(), Fields::BLOB);
        let page = self.shared.store.scan(self.inbox, scan).await;
        let page = page.map_err(|error| self.unreadable(message, &error))?;
        let blob = page.messages.into_iter().next().and_then(|found| found.blob);
        // An IMAP client may have expunged it since.
        blob.ok_or_else(|| Rejection::new(None, "the message was removed by another program"))
    }

    fn uid(&self, message: u32) -> Option<Uid> {
        self.uids.get((message as usize).checked_sub(1)?).copied()
    }

    fn unreadable(&self, message: u32, error: &dyn Display) -> Rejection {
        let uid = self.uid(message).map(Uid::value);
        tracing::error!(peer = %self.peer, account = %self.account, uid, "pop3: a message cannot be read: {error}");
        Rejection::UNAVAILABLE
    }
}

fn unavailable(peer: SocketAddr, account: &Account, error: &dyn Display) -> Rejection {
    tracing::error!(%peer, %account, "pop3: the maildrop cannot be opened: {error}");
    Rejection::UNAVAILABLE
}

/// The messages of a mailbox as they are at this moment, with their UIDs in the same order.
async fn snapshot<S: Store>(store: &S, mailbox: MailboxId) -> Result<(Maildrop, Vec<Uid>), StoreError> {
    let state = store.snapshot(mailbox).await?;
    let mut maildrop = Maildrop::with_capacity(state.exists as usize);
    let mut uids = Vec::with_capacity(state.exists as usize);
    let mut scan = Some(Scan::all(Fields::SIZE));
    while let Some(wanted) = scan {
        let page = store.scan(mailbox, wanted.clone()).await?;
        for message in &page.messages {
            maildrop
                .push(message.size(), &unique_id(state.uid_validity, message.uid))
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            uids.push(message.uid);
        }
        scan = wanted.after(&page);
    }
    Ok((maildrop, uids))
}

/// RFC 1939 §7: never given to another message, because a UID never is while UIDVALIDITY stays.
fn unique_id(validity: UidValidity, uid: Uid) -> String {
    format!("{validity}.{uid}")
}
