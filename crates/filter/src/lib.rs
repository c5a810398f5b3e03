//! What keeps viruses and unwanted mail out, without I/O: the protocols of content filters, lists in the DNS, greylisting
//! and rate limits.
//!
//! Nothing here opens a socket, reads a clock or asks a resolver. The clients of filters are machines like the engines of
//! the mail protocols; the others are tables and rules that take the time and the answers as arguments:
//!
//! ```text
//!  message ─▶ milter::Client, clamd::Client, spamd::Client ─▶ send_buf ─▶ socket ─▶ filter
//!  verdict ◀─ Event ◀───────────────────────────────────────── recv_buf ◀─ socket ◀─┘
//!
//!  rspamd:   Request::headers ─▶ your HTTP client ─▶ Answer::parse
//!  dns_list: List::name(address) ─▶ your resolver ─▶ Lists::weigh(answers)
//!  greylist: Greylist::check(network, sender, recipient, now) ─▶ Later or Pass
//!  rate:     Limiter::take(key, now) ─▶ Ok or how long to wait
//! ```
//!
//! # Example
//!
//! A virus scanner is asked whether it is there:
//!
//! ```
//! use mailwright_filter::clamd::{Answer, Client, Command, Config, Event};
//! use mailwright_wire::{Machine, Step};
//!
//! # let now = std::time::Instant::now();
//! let mut client = Client::new(Command::Ping, Config::default(), now);
//! assert_eq!(client.poll(now), Ok(Step::Write));
//! assert_eq!(client.send_buf(), b"zPING\0");
//! client.sent(6);
//! assert_eq!(client.poll(now), Ok(Step::Read));
//! client.recv_buf()[..5].copy_from_slice(b"PONG\0");
//! client.received(5);
//! assert_eq!(client.poll(now), Ok(Step::Event(Event::Answered(Answer::Pong))));
//! assert_eq!(client.poll(now), Ok(Step::Close));
//! ```
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`milter`] | the mail server's side of the milter protocol, version 6 |
//! | [`clamd`] | the client of ClamAV's daemon: INSTREAM, PING, VERSION |
//! | [`spamd`] | the client of SpamAssassin's daemon (SPAMC): CHECK, SYMBOLS, REPORT, HEADERS, PROCESS, PING |
//! | [`rspamd`] | what to send to rspamd's `/checkv2`, and what its answer means |
//! | [`dns_list`] | names and answers of block and allow lists (RFC 5782) |
//! | [`greylist`] | who was seen before (RFC 6647) |
//! | [`rate`] | token buckets by key |
//!
//! # Limits
//!
//! Every machine bounds what the other side may send ([`milter::Config::max_packet`], [`milter::Config::max_edits`],
//! [`clamd::Config::max_reply`], [`spamd::Config::max_line`], [`spamd::Config::max_headers`]) and how long it may take.
//! Answers of rspamd are bounded by whoever fetches them; [`rspamd::Answer::parse`] takes time linear in their length, and
//! nesting is bounded. The tables of [`greylist`] and [`rate`] hold as many entries as they are told.
//!
//! # What is incomplete
//!
//! Milters of versions before 6 are spoken to as far as they negotiate. The filter's side of the protocols is not here.
//!
//! Minimum Rust version: 1.89.

pub mod clamd;
pub mod dns_list;
mod error;
pub mod greylist;
pub mod milter;
mod network;
pub mod rate;
pub mod rspamd;
pub mod spamd;

pub use error::{Error, Phase};
pub use network::client_network;
