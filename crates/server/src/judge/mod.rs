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
mod ruling;

pub use filter::{Client, Filter, Judging, Transaction};
pub use message::{Message, Octets, Reading};
pub use ruling::{Action, Change, HeaderField, Ruling};

pub(crate) use draft::Draft;

use bytes::Bytes;
use mailwright_smtp::{Mail, Rcpt};
use std::sync::Arc;

/// What a server judges mail with.
#[derive(Debug, Default)]
pub struct Judge {
    filters: Vec<Arc<dyn Filter>>,
}

impl Judge {
    /// Judges with these filters, in this order.
    pub fn new(filters: Vec<Arc<dyn Filter>>) -> Self {
        Self { filters }
    }

    /// Whether messages of a client have to be held until they are judged.
    pub(crate) fn holds(&self, client: &Client) -> bool {
        self.filters.iter().any(|filter| filter.reads(client))
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
    /// and the message with its changes and with those fields. For programs that take mail by other ways than this
    /// server.
    pub async fn whole(&self, transaction: &Transaction, on_top: &[u8], message: Bytes) -> (Ruling, Bytes) {
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

    /// Judges a message, and makes the changes that the filters want in `draft`.
    pub(crate) async fn message(
        &self,
        transaction: &Transaction,
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
                draft.apply(change);
            }
        }
        ruling
    }

    /// Tells that a message is durable.
    pub(crate) fn taken(&self, id: &str) {
        self.filters.iter().for_each(|filter| filter.taken(id));
    }
}
