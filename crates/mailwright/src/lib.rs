//! Mailwright's crates under one name: mail protocols without I/O, and a server made of them.
//!
//! This crate holds no code. Each feature re-exports one crate as a module of its name; whoever needs one protocol
//! alone can just as well depend on its crate directly. A feature brings those of the crates whose types stand in the
//! interface of its own.
//!
//! ```text
//!                   server (tokio, rustls: the only part that opens sockets)
//!    ┌──────┬──────┬──────┬──┴───┬──────┬──────┬──────┐
//!   smtp   imap   pop3  filter   mx    auth  queue  store (files, SQLite)
//!    │      │      │      │      │      │      │      │
//!    │      │      │      │      └─ dns ┤      │   mailbox
//!    └──────┼──────┘      │             │      │      │
//!         sasl            │             └─ message ───┘
//!           └──── wire ───┘                   │
//!                                          address
//! ```
//!
//! | feature | crate | what it is | default |
//! |---|---|---|---|
//! | `smtp` | `mailwright-smtp` | SMTP, submission and LMTP engines for both ends | yes |
//! | `imap` | `mailwright-imap` | IMAP engines for both ends, the codec, and the view of a session | yes |
//! | `pop3` | `mailwright-pop3` | POP3 engines for both ends | yes |
//! | `message` | `mailwright-message` | RFC 5322 and MIME: scan, index, read, decode, edit, build, reports | yes |
//! | `address` | `mailwright-address` | mail addresses, kept as they were written | by `smtp` |
//! | `sasl` | `mailwright-sasl` | login mechanisms for both ends | by `smtp` |
//! | `wire` | `mailwright-wire` | what all engines share: `Machine`, `Step`, buffers, framing | by `smtp` |
//! | `dns` | `mailwright-dns` | a stub resolver | |
//! | `mx` | `mailwright-mx` | from a domain to the addresses to try, with DANE and MTA-STS | |
//! | `auth` | `mailwright-auth` | SPF, DKIM, DMARC, Authentication-Results | |
//! | `arc` | `mailwright-auth` | ARC besides | |
//! | `filter` | `mailwright-filter` | clients of milters, clamd, spamd and rspamd; DNS lists, greylisting, rate limits | |
//! | `queue` | `mailwright-queue` | the outbound queue as a pure scheduler | |
//! | `mailbox` | `mailwright-mailbox` | the model of mailboxes, the `Store` trait, a store in memory | |
//! | `store` | `mailwright-store` | the store on disk | |
//! | `maildir` | `mailwright-store` | Maildir++ folders as a store | |
//! | `server` | `mailwright-server` | the reference server as a library: the whole, and its sessions over data of your own | |
//!
//! The module `guide` (with the features `auth`, `queue`, `server` and `store`) shows how to begin: receive mail, send it,
//! serve IMAP over data of one's own, test mail code, build a server, drive a machine.
//!
//! All but `store` and `server` do without sockets, files, threads and clocks: octets and the time are arguments.
//!
//! An SMTP server that takes the first bytes of a session, with the default features:
//!
//! ```
//! # #[cfg(feature = "smtp")] {
//! use mailwright::address::Host;
//! use mailwright::smtp::server::{Config, Event, Server};
//! use mailwright::smtp::Protocol;
//! use mailwright::wire::{Machine, Step};
//!
//! let config = Config::new(Protocol::Smtp, Host::parse("mx.example").unwrap());
//! let now = std::time::Instant::now();
//! let mut server = Server::new(config, [7; 32], now);
//! assert!(matches!(server.poll(now), Ok(Step::Event(Event::Connect))));
//! server.accept();
//! assert!(matches!(server.poll(now), Ok(Step::Write)));
//! assert!(server.send_buf().starts_with(b"220 mx.example "));
//! # }
//! ```
//!
//! Minimum Rust version: 1.89.

#[cfg(feature = "address")]
pub use mailwright_address as address;
#[cfg(feature = "auth")]
pub use mailwright_auth as auth;
#[cfg(feature = "dns")]
pub use mailwright_dns as dns;
#[cfg(feature = "filter")]
pub use mailwright_filter as filter;
#[cfg(feature = "imap")]
pub use mailwright_imap as imap;
#[cfg(feature = "mailbox")]
pub use mailwright_mailbox as mailbox;
#[cfg(feature = "message")]
pub use mailwright_message as message;
#[cfg(feature = "mx")]
pub use mailwright_mx as mx;
#[cfg(feature = "pop3")]
pub use mailwright_pop3 as pop3;
#[cfg(feature = "queue")]
pub use mailwright_queue as queue;
#[cfg(feature = "sasl")]
pub use mailwright_sasl as sasl;
#[cfg(feature = "server")]
pub use mailwright_server as server;
#[cfg(feature = "smtp")]
pub use mailwright_smtp as smtp;
#[cfg(feature = "store")]
pub use mailwright_store as store;
#[cfg(feature = "wire")]
pub use mailwright_wire as wire;

#[cfg(all(feature = "server", feature = "store", feature = "auth", feature = "queue"))]
pub mod guide;

/// The README's code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
