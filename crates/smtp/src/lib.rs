//! SMTP, submission and LMTP engines for both ends of a connection, without I/O.
//!
//! It opens no socket, does no TLS, asks no DNS, reads no clock and starts no thread; what a message says, who
//! exists and where mail goes are the caller's business. It keeps the protocol: order and syntax of commands,
//! replies, pipelining, limits, timeouts, the end of a message.
//!
//! ```text
//!             ┌──────────────────── Server ────────────────────┐
//!   peer ────▶│ RecvBuf ─▶ lines ─▶ Command ─▶ session,         │──▶ Event ──▶ caller
//!             │        └─▶ dots ──▶ body      transaction       │
//!   peer ◀────│ SendBuf ◀───────────────────── Reply ◀──────────│◀── accept, reject
//!             └─────────────────────────────────────────────────┘
//!             ┌──────────────────── Client ────────────────────┐
//!   peer ◀────│ SendBuf ◀─ commands, dots ◀─ flight, pipelined  │◀── send, body
//!   peer ────▶│ RecvBuf ─▶ Reply ─▶ outcome per recipient       │──▶ Event ──▶ caller
//!             └─────────────────────────────────────────────────┘
//! ```
//!
//! # Example
//!
//! Both engines in one thread, passing each other what they say:
//!
//! ```
//! use mailwright_smtp::client::{self, Transaction};
//! use mailwright_smtp::{Client, Mail, Protocol, Rcpt, Server, server};
//! use mailwright_wire::{Machine, Step};
//!
//! # use std::time::Instant as Clock;
//! let now = Clock::now();
//! let mut client = Client::new(client::Config::new(Protocol::Smtp, "a.test".parse()?), [1; 32]);
//! let mut server = Server::new(server::Config::new(Protocol::Smtp, "b.test".parse()?), [2; 32], now);
//! let mut inbox = Vec::new();
//! loop {
//!     match server.poll(now)? {
//!         Step::Event(server::Event::Body(data)) => inbox.extend_from_slice(&data),
//!         Step::Event(_) => server.accept(), // all other events of this session are questions
//!         Step::Write => carry(&mut server, &mut client),
//!         Step::Close => break,
//!         _ => {}
//!     }
//!     match client.poll(now)? {
//!         Step::Event(client::Event::Ready) => client.send(Transaction::new(
//!             Mail::new("<alice@a.test>".parse()?),
//!             vec![Rcpt::new("<bob@b.test>".parse()?)],
//!         )),
//!         Step::Event(client::Event::BodyWanted) => {
//!             client.body("Subject: hello\r\n\r\n.\r\n".into());
//!             client.body_end();
//!         }
//!         Step::Event(client::Event::Finished(outcome)) => {
//!             assert!(matches!(outcome.deliveries[..], [client::Delivery::Delivered(_)]));
//!             client.quit();
//!         }
//!         Step::Write => carry(&mut client, &mut server),
//!         _ => {}
//!     }
//! }
//! assert_eq!(inbox, b"Subject: hello\r\n\r\n.\r\n");
//!
//! fn carry(from: &mut impl Machine, to: &mut impl Machine) {
//!     let n = from.send_buf().len().min(to.recv_buf().len());
//!     to.recv_buf()[..n].copy_from_slice(&from.send_buf()[..n]);
//!     to.received(n);
//!     from.sent(n);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`server`] | the server engine, its events, configuration and limits |
//! | [`client`] | the client engine, its events, outcomes and configuration |
//! | [`Command`], [`Mail`], [`Rcpt`], [`Hello`] | commands, parsed and printed |
//! | [`dsn`], [`deliverby`], [`futurerelease`], [`mt_priority`] | the parameters of envelopes |
//! | [`ehlo`], [`limits`] | what a server offers, line by line |
//! | [`chunking`], [`etrn`], [`xclient`], [`xforward`] | the arguments of further commands |
//! | [`proxy`] | the header that a load balancer puts ahead of a connection |
//! | [`submission`] | header fields that a mail program may have left out |
//! | [`Reply`], [`Rejection`], [`EnhancedCode`] | replies; a rejection cannot say yes |
//! | [`Error`] | why a session ended, and whose fault it was |
//!
//! | RFC | where |
//! |---|---|
//! | 1870 SIZE | `envelope.rs`, `server/transaction.rs`, `client/transaction.rs` |
//! | 1985 ETRN | `etrn.rs`, `server/commands.rs`, `client/query.rs` |
//! | 2033 LMTP | `server/commands.rs`, `client/flight.rs` |
//! | 2034, 3463, 5248 ENHANCEDSTATUSCODES | `reply.rs` |
//! | 2852 DELIVERBY | `deliverby.rs`, `server/transaction.rs` |
//! | 2920 PIPELINING | `server/machine.rs`, `client/flight.rs` |
//! | 3030 CHUNKING, BINARYMIME | `chunking.rs`, `server/body.rs`, `client/body.rs` |
//! | 3207 STARTTLS, 8314 TLS from the start | `server/commands.rs`, `server/machine.rs`, `client/session.rs` |
//! | 3461, 6533 DSN | `dsn.rs` |
//! | 3848 transmission types | `server/session.rs` |
//! | 4865 FUTURERELEASE | `futurerelease.rs`, `server/transaction.rs` |
//! | 4954 AUTH | `server/auth.rs`, `client/auth.rs` |
//! | 5321 | all of it |
//! | 6152 8BITMIME, 6531 SMTPUTF8 | `envelope.rs`, `command.rs`, `client/transaction.rs` |
//! | 6409 submission | `submission.rs`, `server/session.rs` |
//! | 6710 MT-PRIORITY | `mt_priority.rs` |
//! | 8689 REQUIRETLS | `envelope.rs`, `server/session.rs` |
//! | 9422 LIMITS | `limits.rs`, `server/session.rs` |
//! | Postfix XCLIENT, XFORWARD | `xclient.rs`, `xforward.rs` |
//! | HAProxy PROXY protocol | `proxy.rs`, `client/proxy.rs` |
//!
//! # Promises
//!
//! - Only CRLF ends a command, and only CRLF.CRLF a message that comes by DATA; a line with a bare LF is refused
//!   whole, and what looks like a command in it is not run. The octets of a chunk of BDAT are never commands,
//!   whatever becomes of it.
//! - Whatever a peer sends, nothing panics, and memory stays below 64 KiB of unread input and some 100 KiB of
//!   replies, however long lines and messages are. A gigabyte goes through less than 64 KiB in all.
//! - A message that trickles in below [`server::Limits::body_rate`] is given up.
//! - How the input is cut changes nothing but how a message is cut into [`server::Event::Body`].
//! - A client sends neither bare CR nor bare LF, but in messages that are declared as binary, and nothing of an
//!   envelope can inject a command.
//!
//! # What is incomplete
//!
//! A client does not try a second mechanism when AUTH fails with the first. A server that sends one reply too many
//! is noticed where DATA gets no 354; with BDAT, only while the connection is [parked](client::Client::park).
//!
//! Minimum Rust version: 1.89.

pub mod chunking;
pub mod client;
mod command;
pub mod deliverby;
pub mod dsn;
pub mod ehlo;
mod envelope;
mod error;
pub mod etrn;
pub mod futurerelease;
pub mod limits;
mod line;
pub mod mt_priority;
mod number;
pub mod proxy;
mod reply;
pub mod server;
pub mod submission;
pub mod xclient;
pub mod xforward;

pub use client::Client;
pub use command::{Command, CommandError, Extensions, Hello, HelloVerb, Lookup};
pub use envelope::{BodyType, Mail, MailParams, Rcpt, RcptParams, Submitter};
pub use error::{Error, Limit, Stage, Violation};
pub use reply::{BadCode, EnhancedCode, Rejection, Reply};
pub use server::{Protocol, Server};
