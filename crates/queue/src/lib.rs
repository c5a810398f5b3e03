//! The outbound mail queue as a pure scheduler over durable records.
//!
//! It decides which message is tried when and towards which destination, and what each outcome means: another
//! attempt later, a delivery, or a notice to the sender. It opens no connection, reads no clock, resolves no
//! name, keeps no file and speaks no SMTP. The spool, where the records live, belongs to the caller; so do
//! the attempts.
//!
//! ```text
//!             SpoolPut with the body, before the sender hears 250
//!                              │
//!   spool ◀────────────────────┴────────────── commit: Update { change, dsn } ◀─┐
//!     │                                                                          │
//!     └─ Page ─▶ Queue ─▶ due(now) ─▶ Attempt { message, domain, recipients } ─▶ driver ─▶ next hop
//!                  ▲                                                             │
//!                  └───────────────── finished(now, attempt, Report) ◀───────────┘
//! ```
//!
//! - **One copy per recipient domain**: an [`Attempt`] carries one message to all its due recipients of one
//!   domain, and never two at the same time for the same message and domain.
//! - **Nothing is forgotten**: every recipient is in exactly one [`State`]; a recipient is delivered, reported as
//!   failed, or queued. An attempt that a crash cut short is simply due again: a duplicate is preferred to a loss.
//! - **Nothing stays for ever**: [`Record::expires`] ends every state, held ones too. Only an attempt that is
//!   running at that moment may still end well.
//! - **Outcome and notice are one commit**: an [`Update`] holds both.
//! - **A null reverse-path is never told anything** (RFC 5321 §6.1); such failures come back in
//!   [`Update::unreported`] for the log.
//! - **Memory is bounded** by [`Config::memory_recipients`]: the messages due soonest are in memory, the others
//!   are read again when their time comes.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use mailwright_address::{EmailAddress, ReversePath};
//! use mailwright_queue::*;
//!
//! let now = Timestamp::from_unix_seconds(1_800_000_000);
//! let config = Config::default();
//! let alice = EmailAddress::parse("alice@a.test").unwrap();
//! let mut record = Record::new("4a1b", ReversePath::Address(alice), now, config.expires(now));
//! record.add_recipient(EmailAddress::parse("bob@b.test").unwrap());
//! record.add_recipient(EmailAddress::parse("carol@b.test").unwrap());
//! let spool = vec![(Key::new(1), record.encode())];
//!
//! let mut queue = Queue::new(config, 42);
//! let page = queue.next_page(now).unwrap();
//! assert!(queue.loaded(now, page, spool).is_empty());
//!
//! let attempt = queue.due(now).unwrap();
//! assert_eq!(attempt.destination().to_string(), "b.test");
//! assert_eq!(attempt.recipients().len(), 2);
//! let no_such_user = Diagnosis::remote(Status::new(5, 1, 1).unwrap(), "mx.b.test", "550 5.1.1 no such user");
//! let outcomes = vec![Outcome::Delivered(Handover::Relay), Outcome::Permanent(no_such_user)];
//! queue.finished(now, attempt, Report::new(outcomes, Health::Good));
//!
//! let update = queue.poll_update(now).unwrap();
//! assert_eq!(update.change, Change::Remove);
//! let dsn = update.dsn.unwrap();
//! assert_eq!(dsn.to.to_string(), "alice@a.test");
//! assert_eq!(dsn.recipients[0].address.to_string(), "carol@b.test");
//! queue.committed(now, Key::new(1));
//! assert!(queue.is_empty());
//! ```
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`Queue`], [`Config`] | the scheduler and its settings |
//! | [`Record`], [`Recipient`], [`State`] | the durable envelope, and its octets |
//! | [`Attempt`], [`Report`], [`Outcome`], [`Health`] | what is to be tried and how it went |
//! | [`Update`], [`DsnRequest`] | what is to be committed and told |
//! | [`Edit`], [`Fetch`] | what an operator does by hand |
//!
//! # Limits
//!
//! A destination is the recipient's domain or address literal: several domains behind one host are paced
//! apart. What was learnt of a destination is forgotten ten minutes after the last message for it, and with the
//! process. Records of format 1 are read, and written as format 2.
//!
//! | RFC | what |
//! |---|---|
//! | 5321 §4.5.4 | retry and expiry |
//! | 5321 §6.1 | null reverse-path |
//! | 2852 | DELIVERBY: [`DeliverBy`], [`Record::ends`], `entry.rs` |
//! | 3461 | NOTIFY, RET, ENVID and ORCPT are kept and honoured |
//! | 3464 | what a [`DsnRequest`] holds, and [`DsnRequest::report`] |
//! | 4865 | FUTURERELEASE: [`Record::postpone`] |
//! | 6710 | MT-PRIORITY: [`Record::priority`], `destination.rs` |
//!
//! Minimum Rust version: 1.89.

mod codec;
mod config;
mod destination;
mod edit;
mod entry;
mod error;
mod pace;
mod queue;
mod record;
mod report;
mod time;

pub use config::{Config, Pacing};
pub use edit::{Edit, Edited};
pub use error::Error;
pub use mailwright_message::dsn::{Action, Status};
pub use queue::{Fetch, Key, Page, Queue};
pub use record::{
    Body, ByMode, DeliverBy, Diagnosis, HistoryEntry, Notify, OriginalRecipient, Postponed, Recipient,
    Record, Ret, State,
};
pub use report::{Attempt, Change, DsnRecipient, DsnRequest, Handover, Health, Outcome, Report, Update};
pub use time::Timestamp;
