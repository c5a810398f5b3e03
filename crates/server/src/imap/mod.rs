//! IMAP over mail that is kept anywhere: sessions of the IMAP engine over a [`Backend`] (RFC 9051, RFC 3501)
//!
//! ```text
//!             ┌───────────── Session ──────────────┐
//!  Conn ─────▶│ Event ─▶ handler ─▶ Mailboxes      │
//!   (engine)  │   ▲                    │           │
//!   ◀─────────│ answer ◀───────────────┘           │
//!             │ notify ◀─ sync ◀─ Feed             │ what other sessions and deliveries change
//!             └────────────────────────────────────┘
//! ```
//!
//! The engine owns the protocol and the session's view; a handler answers one question from the mailboxes. Bodies are
//! read by range and go out in pieces, so a session's memory does not depend on the size of messages.
//!
//! Whoever has mail, or what can be shown as mail, implements [`Backend`] and [`Mailboxes`] and calls [`serve`]
//! for each connection: `examples/imap_facade` shows a folder of files. The reference server is one implementation
//! among others: [`Shared`], over whatever `Store` it has.
//!
//! # Example
//!
//! ```
//! use mailwright_imap::Capability;
//! use mailwright_mailbox::{
//!     Account, MailboxId, MailboxName, Message, ModSeq, Page, Scan, Snapshot, Uid, UidValidity,
//! };
//! use mailwright_sasl::{Answer, Identity, Question};
//! use mailwright_server::imap::{self, Backend, Failure, Listed, Mailboxes, Options, ReadOnly};
//! use std::{net::SocketAddr, ops::Range, sync::Arc};
//!
//! /// One mailbox with one message, for everybody who says `secret`.
//! struct Motto;
//!
//! const MESSAGE: &[u8] = b"Subject: Motto\r\n\r\nKeep it simple.\r\n";
//!
//! impl Backend for Motto {
//!     type Mailboxes = Self;
//!
//!     async fn authenticate(&self, question: Question, _: SocketAddr) -> Answer {
//!         match question {
//!             Question::Password { password, .. } if password.constant_time_eq(b"secret") => Answer::Accept,
//!             _ => Answer::Deny,
//!         }
//!     }
//!
//!     async fn open(self: &Arc<Self>, _: &Identity, _: SocketAddr) -> Result<Self, Failure> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Mailboxes for Motto {
//!     type Incoming = ReadOnly;
//!
//!     async fn list(&self) -> Result<Vec<Listed>, Failure> {
//!         Ok(vec![Listed::new(MailboxId::new(1), MailboxName::inbox())])
//!     }
//!
//!     async fn snapshot(&self, _: MailboxId) -> Result<Snapshot, Failure> {
//!         let validity = UidValidity::new(1).expect("one is not zero");
//!         let mut snapshot = Snapshot::new(Account::new("all"), MailboxName::inbox(), validity);
//!         (snapshot.exists, snapshot.unseen) = (1, 1);
//!         snapshot.uid_next = Uid::new(2);
//!         Ok(snapshot)
//!     }
//!
//!     async fn scan(&self, _: MailboxId, scan: Scan) -> Result<Page, Failure> {
//!         let message = Message::new(Uid::MIN, ModSeq::ONE).with_size(MESSAGE.len() as u64);
//!         Ok(imap::page(&scan, [message], ModSeq::ONE))
//!     }
//!
//!     async fn read(&self, _: MailboxId, _: &Message, range: Range<u64>) -> Result<bytes::Bytes, Failure> {
//!         let end = range.end.min(MESSAGE.len() as u64);
//!         Ok(MESSAGE[range.start.min(end) as usize..end as usize].into())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let client = tokio::spawn(async move {
//! #     let mut client = tokio::net::TcpStream::connect(address).await?;
//! #     client.write_all(b"a LOGIN me secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY[TEXT]\r\nd LOGOUT\r\n").await?;
//! #     let mut said = String::new();
//! #     client.read_to_string(&mut said).await?;
//! #     std::io::Result::Ok(said)
//! # });
//! let mut options = Options::default();
//! options.engine.plaintext_login = true; // on loopback
//! let (stream, peer) = listener.accept().await?;
//! imap::serve(Arc::new(Motto), stream, peer, options).await;
//! # let said = client.await.expect("it ends")?;
//! # assert!(said.contains("Keep it simple.") && said.contains("[READ-ONLY]"), "{said}");
//! # assert!(!said.contains(Capability::Move.as_str()), "{said}");
//! # Ok(())
//! # }
//! ```

mod account;
mod acl;
mod ahead;
mod backend;
mod binary;
mod body;
pub(crate) mod convert;
mod fetch;
mod folders;
mod messages;
mod metadata;
mod multisearch;
mod notify;
mod quota;
mod search;
mod selected;
mod session;
mod sharing;
mod sort;
mod store;
mod url;
mod watching;
mod work;

use crate::config::{ListenerConfig, TlsMode};
use crate::shared::Shared;
use mailwright_mailbox::Store;
use std::net::SocketAddr;

pub use crate::deltas::Delta;
pub use crate::workers::Workers;
pub use account::StoreMailboxes;
pub use backend::{
    Abilities, Admission, Appended, Backend, Copied, Failure, Incoming, Listed, Mailboxes, NewMessage,
    ReadOnly, Stored, page,
};
pub use session::{Options, serve};
pub use store::IncomingMessage;

/// How a connection to a listener of the reference server is served.
pub(crate) fn options<S: Store>(shared: &Shared<S>, listener: &ListenerConfig, peer: SocketAddr) -> Options {
    let config = &shared.config;
    let mut options = Options::default();
    let engine = &mut options.engine;
    engine.greeting = format!("{} IMAP ready", config.hostname);
    engine.mechanisms = shared.accounts.mechanisms();
    engine.plaintext_login = config.plaintext_login.allows(peer.ip());
    engine.max_append = config.limits.message_size;
    engine.login_timeout = config.limits.login_timeout;
    engine.idle_timeout = config.limits.imap_timeout;
    options.tls = (listener.tls == TlsMode::Starttls).then(|| shared.tls.of_listener(listener));
    options.write_timeout = config.limits.write_timeout;
    options.write_least_rate = config.limits.write_least_rate;
    options.workers = shared.workers.clone();
    options.max_watched = config.limits.watched_mailboxes;
    options.progress_interval = config.limits.imap_progress_interval;
    options.shutdown = shared.shutdown.clone();
    options.metrics = Some(shared.metrics.clone());
    options
}
