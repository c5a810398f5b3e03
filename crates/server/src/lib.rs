//! The Mailwright reference server: SMTP, submission, LMTP, IMAP and POP3 over one store, on tokio.
//!
//! It is thin. Protocols are the engines of their own crates, mail is kept behind the `Store` trait of
//! `mailwright-mailbox`; here are sockets, TLS, configuration, accounts, and the translation between them.
//! Whatever needs no I/O does not belong here.
//!
//! ```text
//!   TCP ─▶ listen ─ TLS ─▶ Conn<machine> ─▶ service ──┬─▶ accounts          (who is it?)
//!          (limits)        (conn.rs)        smtp      ├─▶ delivery          (address ─▶ mailboxes)
//!                                           imap      ├─▶ Store::commit     (mail, flags, spool: one batch)
//!                                           pop3      └─▶ Store::subscribe  (what others changed)
//!                                                              │ spool
//!                                           outbound ◀─────────┘
//!                                             └─ dns, mx, Conn<smtp::Client> ─▶ other servers
//! ```
//!
//! # Example
//!
//! A server inside a program or a test, on a free port:
//!
//! ```
//! use mailwright_mailbox::MemoryStore;
//! use mailwright_server::config::{AccountEntry, ListenerConfig, Protocol};
//! use mailwright_server::{Config, Server, accounts::set_password};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let mut config = Config::new("mail.a.test".parse()?, folder.path());
//! config.domains.push("a.test".parse()?);
//! let mut alice = AccountEntry::new("alice@a.test".parse()?);
//! set_password(&mut alice, &"secret".into());
//! config.accounts.push(alice);
//! config.listeners.push(ListenerConfig::new(Protocol::Smtp, "127.0.0.1:0".parse()?));
//!
//! let running = Server::builder(config).store(MemoryStore::default()).start().await?;
//! let address = running.address("smtp").expect("it listens");
//! let stream = tokio::net::TcpStream::connect(address).await?;
//! # drop(stream);
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the configuration file and its checks |
//! | [`accounts`] | passwords, the accounts file |
//! | [`aliases`], [`domains`] | those of the configuration, and of files that commands edit |
//! | [`conn`] | the driver of every connection |
//! | [`control`], [`upkeep`] | the socket for commands to a running server, and what they may ask of its store |
//! | [`tls`] | certificates and trust |
//! | [`keys`] | files of private keys |
//! | [`delivery`] | from an address to mailboxes: sub-addresses, forwarding, lists, replies of who is away, and the place for rules |
//! | [`judge`] | what is done with mail that comes in: checks of its origin, filters |
//! | [`filter`] | programs that are asked about messages, lists in the DNS, greylisting, rate limits |
//! | [`imap`] | IMAP sessions over any mail: a trait, and the store as one implementation |
//! | [`pop3`] | POP3 sessions in the same way |
//! | [`metrics`], [`journal`] | what is counted; what became of every message |
//! | [`shared`], [`shutdown`] | what connections share, what a reload replaces of it, and how they end |
//! | [`dns`] | the sockets of the stub resolver |
//! | [`transfer`] | mail from elsewhere and to elsewhere: Maildir, mbox, IMAP accounts |
//! | [`route`], [`policies`] | where mail goes; the MTA-STS policies of other domains |
//! | [`publish`] | what to publish in the DNS, and whether it is there |
//! | [`http`] | a client that asks once, and a server, with limits |
//! | [`outbound`] | the worker of the queue: mail to other servers, notices to senders |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `program` | the `mailwright` binary, and all that it needs beyond the library. On: who embeds a server turns it off |
//! | `sqlite` | [`upkeep`] of the SQLite store; by `program` |
//!
//! # What is incomplete
//!
//! Notices to senders are not held to the quota of whom they tell.
//!
//! Minimum Rust version: 1.89.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // this crate does the I/O for all the others

pub mod accounts;
mod acme;
mod alarms;
pub mod aliases;
mod clock;
pub mod config;
pub mod conn;
pub mod control;
pub mod delivery;
mod deltas;
mod dmarc_reports;
pub mod dns;
pub mod domains;
mod files;
pub mod filter;
mod gate;
mod growing;
pub mod http;
pub mod imap;
mod inboxes;
pub mod journal;
pub mod judge;
pub mod keys;
mod listen;
mod lists;
mod maildrops;
pub mod metrics;
mod names;
mod offer;
mod orders;
pub mod outbound;
mod parts;
pub mod policies;
pub mod pop3;
pub mod publish;
mod quota_watch;
mod quotas;
mod random;
mod reload;
mod reloads;
mod rewriting;
pub mod route;
mod rules;
mod server;
mod sessions;
pub mod shared;
pub mod shutdown;
mod smtp;
mod sockets;
mod stream;
pub mod tls;
pub mod transfer;
mod turns;
pub mod upkeep;
mod watched;
mod web;
mod workers;

pub use clock::unix_now;
pub use config::Config;
pub use metrics::Metrics;
pub use reloads::{ReloadAsked, ReloadRequests, Reloaded, Reloads};
pub use server::{Builder, PartEnded, Running, Server, StartError};
pub use shared::Shared;
pub use sockets::{Sockets, listen as listen_at};
pub use stream::Stream;
