//! A stub resolver without I/O: questions in, datagrams and streams out, checked answers back.
//!
//! It opens no socket, reads no clock and draws no random number: the caller passes octets, the time and a source of
//! entropy. It does not resolve recursively and does not validate DNSSEC itself: it asks recursive servers, and
//! believes the AD bit of those that the operator declared trusted. Message parsing is hickory-proto's, which does not
//! show in the interface.
//!
//! ```text
//!              query ─▶ cache ─▶ lookup ─▶ poll_transmit ─▶ UDP, TCP ─▶ server
//!                         ▲        ▲                                       │
//!  poll_answer ◀── Answer ┘        └── id, address, question, case ◀───────┘
//!                                      checked by handle_datagram, handle_stream
//! ```
//!
//! ```
//! use mailwright_dns::{Answer, Config, Name, Question, Record, RecordType, Resolver, Server};
//! use std::io::{Error, Result};
//! use std::time::Instant as Clock;
//!
//! /// Resolves one question; `exchange` sends octets to a server and gives back what came.
//! fn resolve(
//!     resolver: &mut Resolver,
//!     question: Question,
//!     exchange: impl Fn(&mailwright_dns::Transmit) -> Result<Vec<u8>>,
//! ) -> Answer {
//!     resolver.query(Clock::now(), question);
//!     loop {
//!         if let Some((_, answer)) = resolver.poll_answer() {
//!             return answer;
//!         }
//!         match resolver.poll_transmit() {
//!             Some(transmit) => match exchange(&transmit) {
//!                 Ok(octets) => resolver.handle_datagram(Clock::now(), transmit.socket, transmit.server, &octets),
//!                 Err(_) => resolver.handle_failed(Clock::now(), transmit.socket),
//!             },
//!             None => resolver.handle_timeout(Clock::now()),
//!         }
//!     }
//! }
//!
//! let mut config = Config::new([Server::new(([192, 0, 2, 53], 53).into())]);
//! config.add_record(Name::parse("mx.example")?, Record::A([192, 0, 2, 25].into()));
//! let mut resolver = Resolver::new(config, |octets| octets.fill(7));
//! let question = Question::new(Name::parse("mx.example")?, RecordType::A);
//! let answer = resolve(&mut resolver, question, |_| Err(Error::other("no network here")));
//! assert_eq!(answer.records(), [Record::A([192, 0, 2, 25].into())]);
//! # Ok::<(), mailwright_dns::Error>(())
//! ```
//!
//! # What an answer has been through
//!
//! - Each query has its own socket, a random id, and letters of random case. Only a response from the server asked,
//!   with that id, question and case, is taken; others are ignored, counted in [`Stats`], and the wait goes on; after
//!   too many the question is put over TCP.
//! - EDNS is offered with 1,232 octets; a server that does not know it is asked without. A truncated answer is asked
//!   for again over TCP.
//! - A server that says SERVFAIL, REFUSED, or nonsense is not asked the same question again; one that is silent gets
//!   its turn in the next round, and is asked last for a growing while. When all failed, the answer is a [`Failure`],
//!   never "no such record"; or, if [`Config::serve_stale`] allows it, what was known before.
//! - CNAME records are followed within one response and with further questions.
//! - An empty answer without SOA but with NS records is a referral, and not taken for "no data" (RFC 2308 §2.2).
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`Resolver`], [`Transmit`], [`Stats`] | the machine |
//! | [`Config`], [`Server`] | settings, limits, static records, `hosts`, `resolv.conf` |
//! | [`SelfTest`], [`Verdict`], [`Health`] | whether the servers validate DNSSEC, and answer |
//! | [`Question`], [`Name`], [`RecordType`] | what is asked |
//! | [`Answer`], [`Records`], [`Negative`], [`Failure`], [`Security`] | what comes back |
//! | [`Record`], [`Mx`], [`Soa`], [`Tlsa`], [`Txt`] | data of records |
//!
//! # RFCs
//!
//! | RFC | what | where |
//! |---|---|---|
//! | 1035 | messages, names, UDP and TCP | `message.rs`, `name.rs`, `resolver.rs` |
//! | 2181 | sets of records, TTL, CNAME | `conclude.rs`, `message.rs` |
//! | 2308 | negative answers and their TTL | `conclude.rs`, `cache.rs` |
//! | 3596, 6698 | AAAA, TLSA | `record.rs` |
//! | 4035, 6840 | AD bit in query and answer | `answer.rs`, `message.rs`, `selftest.rs` |
//! | 5452 | resilience against forged answers | `resolver.rs`, `resolver/attempts.rs`, `message.rs` |
//! | 5891 | U-labels to A-labels | `name.rs` |
//! | 6761 | `localhost` | `config.rs` |
//! | 6891 | EDNS | `message.rs`, `resolver/attempts.rs` |
//! | 8767 | stale answers | `cache.rs`, `resolver.rs` |
//! | 8914 | extended errors; they tell bogus from failing | `message.rs`, `answer.rs` |
//! | 9520 | failures are remembered for a while | `cache.rs` |
//!
//! # Limits, and what is not here
//!
//! All limits are fields of [`Config`]. One TCP connection carries one query, and
//! neither DNS cookies (RFC 7873) nor DNS over TLS are spoken.
//!
//! hickory-proto brings about fifty crates, half of them for IDNA; none is a runtime or opens sockets
//! (`cargo tree -p mailwright-dns -e normal`).
//!
//! Minimum Rust version: 1.89.

mod answer;
mod cache;
mod conclude;
mod config;
mod error;
mod lookup;
mod message;
mod name;
mod record;
mod resolver;
mod selftest;
mod transmit;

pub use answer::{Answer, Failure, FailureKind, Negative, Records, Security};
pub use config::{Config, Server};
pub use error::Error;
pub use name::Name;
pub use record::{Mx, Question, Record, RecordType, Soa, Srv, Tlsa, Txt};
pub use resolver::Resolver;
pub use selftest::{SelfTest, Verdict};
pub use transmit::{Health, QueryId, SocketId, Stats, Transmit, Transport};
