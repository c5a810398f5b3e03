//! Who judges

use super::{Change, Message, Ruling};
use crate::config::Protocol;
use mailwright_address::{EmailAddress, ForwardPath};
use mailwright_auth::Checked;
use mailwright_mailbox::Account;
use mailwright_smtp::{Mail, Rcpt};
use std::fmt::Debug;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// A judgement under way.
pub type Judging<'a> = Pin<Box<dyn Future<Output = Ruling> + Send + 'a>>;

/// Judges mail, at some or all of the moments of a transaction.
///
/// It sees all SMTP, submission and LMTP listeners, and accepts at once what it has nothing to say about. It keeps its
/// own time limits, and decides itself what it rules when it cannot tell: nobody else gives it up.
pub trait Filter: Debug + Send + Sync {
    /// What logs call it.
    fn name(&self) -> &str;

    /// Whether it judges messages of this client: those that nobody judges need not be held until their end.
    fn reads(&self, client: &Client) -> bool {
        let _ = client;
        true
    }

    /// A client has connected; it was not greeted yet.
    fn connection<'a>(&'a self, client: &'a Client) -> Judging<'a> {
        let _ = client;
        accepted()
    }

    /// A transaction begins; the sender may send from this address as far as this server knows.
    fn sender<'a>(&'a self, client: &'a Client, mail: &'a Mail) -> Judging<'a> {
        let _ = (client, mail);
        accepted()
    }

    /// A recipient was named, which this server would take.
    fn recipient<'a>(&'a self, client: &'a Client, mail: &'a Mail, rcpt: &'a Rcpt) -> Judging<'a> {
        let _ = (client, mail, rcpt);
        accepted()
    }

    /// The message is there, and was not answered yet.
    fn message<'a>(&'a self, transaction: &'a Transaction, message: &'a Message<'a>) -> Judging<'a> {
        let _ = (transaction, message);
        accepted()
    }

    /// The message of [`Transaction::id`] is durable, and its client about to be told so. For an LMTP client it may be
    /// said more than once. Waits for nothing.
    fn taken(&self, id: &str) {
        let _ = id;
    }
}

fn accepted<'a>() -> Judging<'a> {
    Box::pin(ready(Ruling::accept()))
}

/// Who connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// Its address, which a proxy may have told.
    pub address: SocketAddr,
    /// Whether it belongs to the networks whose mail is not checked (`[auth] trusted`).
    pub trusted: bool,
    /// What it called itself in HELO, EHLO or LHLO.
    pub hello: Option<String>,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// Who logged in.
    pub account: Option<Account>,
    /// What is spoken.
    pub protocol: Protocol,
    /// The name of the listener.
    pub listener: String,
}

impl Client {
    /// A client that nothing else is known of.
    pub fn new(address: SocketAddr, protocol: Protocol) -> Self {
        Self {
            address,
            trusted: false,
            hello: None,
            tls: None,
            account: None,
            protocol,
            listener: protocol.to_string(),
        }
    }

    /// Whether its mail comes from strangers: by SMTP, without a login, from a network that is not trusted.
    pub fn is_stranger(&self) -> bool {
        self.protocol == Protocol::Smtp && self.account.is_none() && !self.trusted
    }
}

/// The envelope of a message that is there, as the filters before have changed it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transaction {
    /// What logs call the message.
    pub id: String,
    /// Who sends it.
    pub client: Client,
    /// The sender.
    pub mail: Mail,
    /// The recipients that were accepted.
    pub recipients: Vec<Rcpt>,
    /// What SPF, DKIM, DMARC and ARC came to, if they were checked.
    pub checked: Option<Arc<Checked>>,
}

impl Transaction {
    /// An envelope, with what logs call its message.
    pub fn new(id: impl Into<String>, client: Client, mail: Mail, recipients: Vec<Rcpt>) -> Self {
        Self {
            id: id.into(),
            client,
            mail,
            recipients,
            checked: None,
        }
    }

    /// Makes a change of the envelope; gives it back if it is one of the message.
    pub(crate) fn apply(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::Sender(path) => self.mail.path = path,
            Change::AddRecipient(rcpt) => {
                if !self.recipients.iter().any(|it| is_same(&it.path, &rcpt.path)) {
                    self.recipients.push(rcpt);
                }
            }
            Change::RemoveRecipient(path) => self.recipients.retain(|it| !is_same(&it.path, &path)),
            other => return Some(other),
        }
        None
    }
}

/// Whether two paths lead to the same place, as far as they tell.
pub(crate) fn is_same(a: &ForwardPath, b: &ForwardPath) -> bool {
    a.address().map(EmailAddress::lookup_key) == b.address().map(EmailAddress::lookup_key)
}
