//! The mail that was caught: a filter that looks at all, keeps a copy for HTTP, and misbehaves on request.

use crate::magic::Magic;
use bytes::Bytes;
use mailwright_address::EmailAddress;
use mailwright_examples::letter::Envelope;
use mailwright_server::judge::{Client, Filter, Judging, Message, Ruling, Transaction};
use mailwright_smtp::{EnhancedCode, Mail, Rcpt, Rejection};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// One message, as it came over SMTP.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) envelope: Envelope,
    pub(crate) octets: Bytes,
}

/// All messages.
#[derive(Debug)]
pub(crate) struct Catch {
    mails: Mutex<Mails>,
    /// How many octets are kept.
    room: u64,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Mails {
    /// Those that can be read over IMAP as well, in the order of arrival.
    here: Vec<Arc<Caught>>,
    /// Those that are not in their mailboxes yet, by the names that logs have for them.
    coming: HashMap<String, Caught>,
    octets: u64,
}

impl Catch {
    /// Keeps so many octets.
    pub(crate) fn new(room: u64) -> Self {
        Self {
            mails: Mutex::default(),
            room,
            changed: watch::Sender::new(()),
        }
    }

    /// The messages, of one recipient or of all.
    pub(crate) fn list(&self, recipient: Option<&str>) -> Vec<Arc<Caught>> {
        let is_for = |mail: &&Arc<Caught>| {
            let recipients = &mail.envelope.to;
            recipient.is_none_or(|one| recipients.iter().any(|to| to.eq_ignore_ascii_case(one)))
        };
        self.mails().here.iter().filter(is_for).cloned().collect()
    }

    /// Tells of each change from here on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Forgets all messages; whom they were for.
    pub(crate) fn clear(&self) -> Vec<String> {
        let mut mails = self.mails();
        let here = std::mem::take(&mut mails.here);
        let gone: u64 = here.iter().map(|mail| mail.octets.len() as u64).sum();
        mails.octets -= gone;
        here.iter().flat_map(|mail| mail.envelope.to.clone()).collect()
    }

    fn mails(&self) -> MutexGuard<'_, Mails> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what an address asks for at the command that names it.
    async fn obey(address: Option<&EmailAddress>) -> Ruling {
        match magic(address) {
            Some(Magic::Refuse(rejection)) => Ruling::refuse(rejection),
            Some(Magic::Slow(wait)) => {
                tokio::time::sleep(wait).await;
                Ruling::accept()
            }
            Some(Magic::RefuseMessage(_)) | None => Ruling::accept(),
        }
    }

    async fn catch(&self, transaction: &Transaction, message: &Message<'_>) -> Ruling {
        let addresses = transaction.recipients.iter().map(|rcpt| rcpt.path.address());
        for address in addresses.chain([transaction.mail.path.address()]) {
            if let Some(Magic::RefuseMessage(rejection)) = magic(address) {
                return Ruling::refuse(rejection);
            }
        }
        let len = message.len();
        if self.mails().octets + len > self.room {
            let full = "The sink is full: DELETE /messages makes room";
            return match Rejection::new(452, EnhancedCode::new(4, 3, 1), full) {
                Ok(rejection) => Ruling::refuse(rejection),
                Err(_) => Ruling::refuse(Rejection::NO_STORAGE),
            };
        }
        let Ok(octets) = message.read(0..len).await else {
            return Ruling::refuse(Rejection::TRY_AGAIN);
        };
        let mut envelope = Envelope::new(transaction.client.address);
        envelope.id.clone_from(&transaction.id);
        envelope.received = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        envelope.helo = transaction.client.hello.clone().unwrap_or_default();
        envelope.begin(&transaction.mail.path);
        envelope.to = transaction
            .recipients
            .iter()
            .map(|rcpt| rcpt.path.to_string().trim_matches(['<', '>']).to_owned())
            .collect();
        let mut mails = self.mails();
        mails.octets += len;
        mails
            .coming
            .insert(transaction.id.clone(), Caught { envelope, octets });
        Ruling::accept()
    }
}

fn magic(address: Option<&EmailAddress>) -> Option<Magic> {
    Magic::of(&address?.unquoted_local_part())
}

impl Filter for Catch {
    fn name(&self) -> &str {
        "sink"
    }

    fn sender<'a>(&'a self, _: &'a Client, mail: &'a Mail) -> Judging<'a> {
        Box::pin(Self::obey(mail.path.address()))
    }

    fn recipient<'a>(&'a self, _: &'a Client, _: &'a Mail, rcpt: &'a Rcpt) -> Judging<'a> {
        Box::pin(Self::obey(rcpt.path.address()))
    }

    fn message<'a>(&'a self, transaction: &'a Transaction, message: &'a Message<'a>) -> Judging<'a> {
        Box::pin(self.catch(transaction, message))
    }

    fn taken(&self, id: &str) {
        let mut mails = self.mails();
        if let Some(mail) = mails.coming.remove(id) {
            mails.here.push(Arc::new(mail));
            drop(mails);
            self.changed.send_replace(());
        }
    }
}
