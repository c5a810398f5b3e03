//! POP3 engines for both ends, without I/O: RFC 1939 whole, with CAPA, STLS, AUTH, UTF8 and LANG.
//!
//! An engine takes octets and the time, and says with a [`Step`](mailwright_wire::Step) what it needs next. It
//! opens no socket, does no TLS, reads no message from anywhere, and does not know who may log in: the
//! embedder does, and answers the [`Event`](server::Event)s that are questions.
//!
//! ```text
//!               lines                      Event::Auth, Open ──▶ accounts, locks
//!  transport ─────────▶ server::Server ──▶ Event::Retrieve   ──▶ store ─┐
//!  transport ◀─────────    ▲               Event::Update     ──▶ store  │ Bytes
//!             dot-stuffed  └──────────────── message_chunk ◀────────────┘
//! ```
//!
//! Sizes and unique ids are given once, at login, as a [`Maildrop`]; STAT, LIST, UIDL, DELE and RSET work on
//! that snapshot without the embedder. Messages are to be removed at QUIT and at no other time, and all at
//! once: [`Event::Update`](server::Event::Update).
//!
//! # Example
//!
//! Serves one message to whoever logs in, over anything that reads and writes:
//!
//! ```
//! use bytes::Bytes;
//! use mailwright_pop3::{Maildrop, Server, server::Event};
//! use mailwright_sasl::Answer;
//! use mailwright_wire::{Machine, Step};
//! use std::io::{self, Read, Write};
//!
//! fn serve(server: &mut Server, mut io: impl Read + Write, now: fn() -> std::time::Instant) -> io::Result<()> {
//!     let message = Bytes::from_static(b"Subject: hello\r\n\r\n.world\r\n");
//!     loop {
//!         match server.poll(now()).map_err(io::Error::other)? {
//!             Step::Read => {
//!                 let n = io.read(server.recv_buf())?;
//!                 server.received(n);
//!             }
//!             Step::Write => {
//!                 let n = io.write(server.send_buf())?;
//!                 server.sent(n);
//!             }
//!             Step::Event(Event::Auth(_)) => server.answer_auth(Answer::Accept),
//!             Step::Event(Event::Open(_)) => {
//!                 let mut maildrop = Maildrop::new();
//!                 maildrop.push(message.len() as u64, "only").map_err(io::Error::other)?;
//!                 server.open(maildrop);
//!             }
//!             Step::Event(Event::Retrieve { .. }) => {
//!                 let _ = server.message_chunk(message.clone());
//!                 server.message_end();
//!             }
//!             Step::Event(Event::Update { .. }) => server.accept(),
//!             Step::Close => return Ok(()),
//!             _ => {}
//!         }
//!     }
//! }
//! # struct Script(&'static [u8], Vec<u8>);
//! # impl Read for Script { fn read(&mut self, b: &mut [u8]) -> io::Result<usize> { self.0.read(b) } }
//! # impl Write for Script {
//! #     fn write(&mut self, b: &[u8]) -> io::Result<usize> { self.1.write(b) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # use std::time::Instant as Clock;
//! # let mut config = mailwright_pop3::server::Config::default();
//! # config.allow_plaintext = true;
//! # let mut server = Server::new(config, [0; 32], Clock::now());
//! # let mut io = Script(b"USER bob\r\nPASS x\r\nRETR 1\r\nQUIT\r\n", vec![]);
//! # struct By<'a>(&'a mut Script);
//! # impl Read for By<'_> { fn read(&mut self, b: &mut [u8]) -> io::Result<usize> { self.0.read(b) } }
//! # impl Write for By<'_> {
//! #     fn write(&mut self, b: &[u8]) -> io::Result<usize> { self.0.write(b) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # serve(&mut server, By(&mut io), Clock::now)?;
//! # assert!(String::from_utf8_lossy(&io.1).contains("\r\n..world\r\n.\r\n+OK bye\r\n"));
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # Modules
//!
//! | module | RFC |
//! |---|---|
//! | [`server`] | RFC 1939, RFC 2449 (CAPA), RFC 2595 §4 (STLS), RFC 5034 (AUTH), RFC 6856 (UTF8, LANG) |
//! | [`client`] | the same, from the other end |
//! | [`Maildrop`], [`Expire`] | RFC 1939 §4, and §7 for unique ids; RFC 2449 §6.5, §6.7 |
//! | [`WireSize`] | RFC 1939 §11: the size of a message that is kept with other line ends |
//! | [`Rejection`], [`Reply`], [`ResponseCode`] | RFC 1939 §3, RFC 2449 §8, RFC 3206, RFC 6856 §5 |
//! | [`Language`], [`Text`] | RFC 6856 §3: what a server says to people, in English, German, and languages of your own |
//! | [`Ledger`], [`Keep`] | RFC 1939 §7, §8: what a client left on the server, and when to delete it |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `apop` | APOP (RFC 1939 §7) at both ends, with MD5 from `md-5`. Off: TLS and SCRAM do better |
//!
//! # Limits
//!
//! All are fields of [`server::Config`] and [`client::Config`]. A session holds one line, a bounded amount of
//! output, a chunk of a message, and the [`Maildrop`]; a listing of any length and a message of any size go
//! through that: 1 GiB from one engine to the other takes less than 100 KiB in both together.
//!
//! The server refuses lines that do not end in CRLF, so that nobody can hide a command from what stands between;
//! the client accepts them, and other habits of old servers: no CAPA or another one after STLS, listings with
//! odd rows ([`client::Event::OddRow`]), sizes that are wrong, a farewell without its line end.
//!
//! # What is incomplete
//!
//! Nothing of the RFCs above. Who may log in, locks, LOGIN-DELAY, EXPIRE, and other messages for clients without
//! UTF-8 mode (RFC 6857, RFC 6858) are the embedder's: the engine asks, tells or announces. SASLprep is a feature
//! of `mailwright-sasl`.
//!
//! Minimum Rust version: 1.89.

#[cfg(feature = "apop")]
mod apop;
pub mod client;
mod command;
mod error;
mod language;
mod ledger;
mod maildrop;
mod reply;
pub mod server;
mod text;
mod top;
mod wire_size;

pub use client::Client;
pub use error::{Error, Phase};
pub use language::Language;
pub use ledger::{Keep, Ledger, LedgerError, Plan};
pub use maildrop::{Expire, Maildrop, MaildropError};
pub use reply::{Rejection, Reply, ResponseCode};
pub use server::Server;
pub use text::Text;
pub use wire_size::WireSize;
