//! Where mail that comes in is judged: before it is taken, by who sends it and by what it holds
//!
//! ```text
//!  connection ─▶ sender ─▶ recipient ─▶ message ─────────┬─▶ Ruling ─▶ reply
//!      │           │           │          │ while it      │              mailbox: INBOX, Junk
//!      └───────────┴───────────┴──────────┤ streams in    │              fields on top and in the header
//!                   every Filter          ▼               │
//!                                    SPF, DKIM, DMARC ────┘
//! ```
//!
//! A [`Filter`] sees a transaction at four moments, and gives a [`Ruling`] each time. The gravest [`Action`] of all
//! rulings is what happens; what they change is changed in the order of the filters.
//!
//! A message that is judged is held until its end: up to 256 KiB in memory, what is more in the store, as a blob that
//! nothing refers to. Then the fields that were found out go on top, and it is delivered.

mod draft;
mod filter;
mod message;
mod origin;
mod policy;
mod reports;
mod ruling;
mod sign;

pub use filter::{Client, Filter, Judging, Transaction};
pub use message::{Message, Octets, Reading};
pub use ruling::{Action, Change, HeaderField, Ruling};

pub(crate) use draft::Draft;
pub(crate) use filter::is_same;
pub(crate) use origin::Trial;
pub(crate) use policy::{Decision, decide};
pub(crate) use reports::{Due as DueReport, Reports};
pub(crate) use sign::finish as finish_signing;

use crate::config::{Auth, AuthMode, Config};
use crate::dns::Dns;
use crate::keys::UnusableKey;
use bytes::Bytes;
use mailwright_address::{Domain, ForwardPath};
use mailwright_auth::Checked;
use mailwright_auth::Envelope;
use mailwright_auth::dkim::Signer;
use mailwright_smtp::{Mail, Rcpt};
use origin::Origins;
use sign::Keys;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What a server judges mail with, and signs it with.
#[derive(Debug)]
pub struct Judge {
    auth: Auth,
    origins: Origins,
    keys: Keys,
    /// What came of DMARC, if it is reported.
    pub(crate) reports: Option<Arc<Reports>>,
    filters: Vec<Arc<dyn Filter>>,
}

impl Judge {
    /// Judges with these filters, in this order, after the checks of where mail comes from.
    ///
    /// # Errors
    ///
    /// With the file of a key to sign with that cannot be used.
    pub fn new(
        config: &Config,
        dns: Dns,
        filters: Vec<Arc<dyn Filter>>,
    ) -> Result<Self, (PathBuf, UnusableKey)> {
        Ok(Self {
            auth: config.auth.clone(),
            origins: Origins::new(config, dns),
            keys: Keys::load(config)?,
            reports: Reports::open(config).map(Arc::new),
            filters,
        })
    }

    /// The same for another configuration. What is counted for reports goes on being counted.
    pub(crate) fn reloaded(
        &self,
        config: &Config,
        dns: Dns,
        filters: Vec<Arc<dyn Filter>>,
    ) -> Result<Self, (PathBuf, UnusableKey)> {
        Ok(Self {
            auth: config.auth.clone(),
            origins: Origins::new(config, dns),
            keys: Keys::load(config)?,
            reports: self.reports.clone(),
            filters,
        })
    }

    /// Whether the mail of a client is not checked.
    pub(crate) fn trusts(&self, client: IpAddr) -> bool {
        self.auth.trusted.iter().any(|network| network.contains(client))
    }

    /// Counts what came of a message, for the reports about it.
    pub(crate) fn count(&self, client: IpAddr, checked: &Checked, decision: &Decision) {
        if let Some(reports) = &self.reports {
            reports.count(client, checked, decision);
        }
    }

    /// Whether messages of a client have to be held for filters.
    pub(crate) fn holds(&self, client: &Client) -> bool {
        self.filters.iter().any(|filter| filter.reads(client))
    }

    /// Whether any domain has a key to sign with.
    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Begins to find out where a message comes from, if its client is a stranger, and a recipient wants to know.
    pub(crate) fn begin<'a>(
        &self,
        client: &Client,
        mail: &Mail,
        mut recipients: impl Iterator<Item = &'a Rcpt>,
    ) -> Option<Trial> {
        let wanted = recipients.any(|rcpt| self.auth.mode_for(domain_of(rcpt).as_ref()) != AuthMode::Off);
        if !client.is_stranger() || !wanted {
            return None;
        }
        let hello = client.hello.as_deref().unwrap_or_default();
        let sender = mail.path.address().map_or("", |address| address.as_str());
        Some(
            self.origins
                .begin(&Envelope::new(client.address.ip(), hello, sender)),
        )
    }

    /// Begins to sign a message for a domain, if it or one above it has a key.
    pub(crate) fn signer(&self, domain: &Domain) -> Option<Signer> {
        self.keys.signer(domain)
    }

    /// The fields that sign a whole message for a domain; none if neither it nor one above it has a key.
    pub(crate) fn sign(&self, domain: &Domain, message: &[u8]) -> String {
        self.keys.sign(domain, message)
    }

    /// Judges a client, before it is greeted.
    pub(crate) async fn connection(&self, client: &Client) -> Ruling {
        let mut ruling = Ruling::accept();
        for filter in &self.filters {
            if ruling.absorb(filter.name(), filter.connection(client).await) {
                break;
            }
        }
        ruling
    }

    /// Judges a sender.
    pub(crate) async fn sender(&self, client: &Client, mail: &Mail) -> Ruling {
        let mut ruling = Ruling::accept();
        for filter in &self.filters {
            if ruling.absorb(filter.name(), filter.sender(client, mail).await) {
                break;
            }
        }
        ruling
    }

    /// Judges a recipient.
    pub(crate) async fn recipient(&self, client: &Client, mail: &Mail, rcpt: &Rcpt) -> Ruling {
        let mut ruling = Ruling::accept();
        for filter in &self.filters {
            if ruling.absorb(filter.name(), filter.recipient(client, mail, rcpt).await) {
                break;
            }
        }
        ruling
    }

    /// Judges a whole message that is in memory, with `on_top` for the fields that go on top of it; what is to be done,
    /// and the message with its changes and with those fields. The changes of the envelope are made in `transaction`. For
    /// programs that take mail by other ways than this server.
    pub async fn whole(
        &self,
        transaction: &mut Transaction,
        on_top: &[u8],
        message: Bytes,
    ) -> (Ruling, Bytes) {
        let end = match message.starts_with(b"\r\n") {
            true => 0,
            false => memchr::memmem::find(&message, b"\r\n\r\n").map_or(message.len(), |at| at + 2),
        };
        let mut draft = Draft::new(&message.slice(..end));
        draft.prepend(on_top);
        let rest = message.slice(end..);
        let ruling = self
            .message(transaction, &rest, &mut draft, Ruling::accept())
            .await;
        let octets = draft.rest(&rest);
        // What is in memory can be read.
        let rest = octets.read(0..octets.len()).await.unwrap_or_default();
        (ruling, [&*draft.head(), &*rest].concat().into())
    }

    /// Judges a message, and makes the changes that the filters want in `draft` and `transaction`.
    pub(crate) async fn message(
        &self,
        transaction: &mut Transaction,
        octets: &dyn Octets,
        draft: &mut Draft,
        mut ruling: Ruling,
    ) -> Ruling {
        for filter in &self.filters {
            let header = draft.header();
            let message = Message::new(&header, draft.top(), draft.rest(octets));
            let mut found = filter.message(transaction, &message).await;
            let changes = std::mem::take(&mut found.changes);
            if ruling.absorb(filter.name(), found) {
                break;
            }
            for change in changes {
                if let Some(change) = transaction.apply(change) {
                    draft.apply(change);
                }
            }
        }
        ruling
    }

    /// Tells that a message is durable.
    pub(crate) fn taken(&self, id: &str) {
        self.filters.iter().for_each(|filter| filter.taken(id));
    }
}

/// The domain of a recipient; `None` for `<postmaster>`.
pub(crate) fn domain_of(rcpt: &Rcpt) -> Option<Domain> {
    match &rcpt.path {
        ForwardPath::Address(address) => address.domain(),
        ForwardPath::Postmaster => None,
    }
}
