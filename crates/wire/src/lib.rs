//! What every mail protocol engine shares: the [`Machine`] interface, buffers, and framing.
//!
//! Nothing here opens a socket, reads a clock or starts a thread. A machine takes octets and the time as
//! arguments and says, with a [`Step`], what it needs next:
//!
//! ```text
//!            recv_buf, received                    poll(now)
//!  transport ───────────────▶ RecvBuf ─▶ framing ─▶ state ─▶ Step::Event ─▶ caller
//!  transport ◀─────────────── SendBuf ◀──────────── state ◀─ accept, reject ◀─ caller
//!            send_buf, sent
//! ```
//!
//! A driver for blocking sockets is this short:
//!
//! ```
//! use mailwright_wire::{Machine, Step};
//! use std::io::{self, Read, Write};
//!
//! /// Runs the machine until it has an event; `None` when the conversation is over.
//! fn next_event<M: Machine>(
//!     machine: &mut M,
//!     transport: &mut (impl Read + Write),
//!     now: impl Fn() -> std::time::Instant,
//! ) -> io::Result<Option<M::Event>>
//! where
//!     M::Error: std::error::Error + Send + Sync + 'static,
//! {
//!     loop {
//!         match machine.poll(now()).map_err(io::Error::other)? {
//!             Step::Event(event) => return Ok(Some(event)),
//!             Step::Read => {
//!                 let n = transport.read(machine.recv_buf())?;
//!                 machine.received(n);
//!             }
//!             Step::Write => {
//!                 let n = transport.write(machine.send_buf())?;
//!                 machine.sent(n);
//!             }
//!             Step::Close => return Ok(None),
//!             Step::Answer | Step::StartTls => return Err(io::Error::other("not handled in this example")),
//!         }
//!     }
//! }
//! ```
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`Machine`], [`Step`] | the one interface of all engines |
//! | [`RecvBuf`], [`SendBuf`] | bounded input, queued output with a vectored view |
//! | [`LineFramer`] | command and reply lines with a length limit |
//! | [`DotDecoder`], [`DotEncoder`] | dot-stuffed bodies, RFC 5321 §4.5.2 and RFC 1939 §3 |
//! | [`Counted`] | IMAP literals and BDAT chunks |
//! | `testing` (feature `testing`) | transcripts, every fragmentation, joined machines |
//!
//! # Limits
//!
//! [`RecvBuf`] holds no more than the limit it is made with; [`LineFramer`] refuses a longer line and finds the end of it.
//! [`SendBuf`] grows with what is put into it: a machine asks how full it is before it puts in more. Bodies and literals
//! are handed on as they come, and are never held.
//!
//! Minimum Rust version: 1.89.

mod counted;
mod dot;
mod line;
mod machine;
mod recv;
mod send;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use counted::Counted;
pub use dot::{BareNewlines, DotDecoder, DotEncoder, DotPiece};
pub use line::{Line, LineFramer, LineTooLong};
pub use machine::{Machine, Step};
pub use recv::RecvBuf;
pub use send::SendBuf;
