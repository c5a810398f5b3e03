//! IMAP4rev1 and IMAP4rev2 sessions as a state machine: commands in, typed questions out, typed answers back.
//!
//! The engine owns the protocol: states, literals, tags and order, sequence numbers, when EXPUNGE may be told,
//! IDLE, timers, and the shape of every response. It opens no sockets, does no TLS, stores no mail, and knows no
//! clock: the embedder drives it through [`mailwright_wire::Machine`], answers its questions at leisure, and
//! tells it what changed. The client's end is [`client::Client`], on the same terms.
//!
//! ```text
//!   bytes in ─→ frame ──→ Command ──→ Event ─────────────→ embedder ──→ mail store
//!             lines and    parsed     names in UTF-8,         │             │
//!             literals,               numbers resolved        │             │
//!             bounded                 to UIDs                 │             │
//!                                        ↑                    │             │
//!   bytes out ←─ SendBuf ←─ typed answers│ ←──────────────────┘             │
//!                    ↑        (rows, sections, statuses)                    │
//!                    └──── View ←── notify(Change) ←────────────────────────┘
//!                          what may be told when
//! ```
//!
//! # Example
//!
//! A mailbox with one message, read over a session that exists only in memory:
//!
//! ```
//! use mailwright_imap::{Config, Event, FetchItem, Flags, Selected, Server, Transport, UidSet};
//! use mailwright_wire::{Machine, Step};
//! use std::{num::NonZeroU32, sync::Arc};
//! # use std::time::Instant as Clock;
//!
//! # fn main() -> Result<(), mailwright_imap::Error> {
//! # let now = Clock::now();
//! let mut server = Server::preauthenticated(Arc::new(Config::default()), Transport::Tls, [7; 32], now);
//! let input = b"a SELECT INBOX\r\nb UID FETCH 1:* FLAGS\r\nc LOGOUT\r\n";
//! server.recv_buf()[..input.len()].copy_from_slice(input);
//! server.received(input.len());
//!
//! let (mut output, mut question) = (Vec::new(), None);
//! loop {
//!     match server.poll(now)? {
//!         Step::Event(event) => question = Some(event),
//!         Step::Write => {
//!             output.extend_from_slice(server.send_buf());
//!             server.sent(server.send_buf().len());
//!         }
//!         // An embedder answers when it can: here at once.
//!         Step::Answer => match question.take() {
//!             Some(Event::Select { .. }) => {
//!                 let (validity, next) = (NonZeroU32::new(17).unwrap(), NonZeroU32::new(42).unwrap());
//!                 server.selected(Selected::new(UidSet::from(41..=41), validity, next));
//!             }
//!             Some(Event::Fetch(request)) => {
//!                 assert_eq!((request.uids, request.items), (UidSet::from(41..=41), vec![FetchItem::Flags]));
//!                 server.fetch(41).expect("the session knows it").flags(&Flags::new());
//!                 server.accept();
//!             }
//!             other => panic!("{other:?}"),
//!         },
//!         _ => break,
//!     }
//! }
//! let text = String::from_utf8_lossy(&output);
//! assert!(text.contains("* 1 EXISTS\r\n") && text.contains("* 1 FETCH (UID 41 FLAGS ())\r\nb OK "));
//! # Ok(())
//! # }
//! ```
//!
//! `tests/support/mod.rs` is a whole backend in memory: login, mailboxes, APPEND, FETCH with streamed sections,
//! STORE, EXPUNGE, SEARCH, COPY, MOVE.
//!
//! # How to answer
//!
//! - An [`Event`] says in its docs whether it is a question, and by which method it is answered. One question is
//!   open at a time; what the client pipelines waits in the receive buffer.
//! - Long answers are given row by row, while [`Server::has_room`]. Then poll: [`Step::Answer`] comes again
//!   when what was given is sent. A body section is announced with its exact length and follows in pieces.
//! - Whatever happens to the selected mailbox, by this session or another, goes in by [`Server::notify`], before
//!   the answer to the command that caused it. The engine tells it when it may: at once to a client that idles,
//!   else at the end of a command; EXPUNGE never with FETCH, STORE or SEARCH by sequence number
//!   (RFC 3501 §7.4.1). A message that is gone but not told keeps its number; asked for by it, the command ends
//!   in `NO [EXPUNGEISSUED]` (RFC 2180 §4).
//! - Where messages have mod-sequences (RFC 7162), end each batch of notices by [`Change::UpTo`]: what a client
//!   hears as HIGHESTMODSEQ never runs ahead of what it was told. A client that comes back with a cache is brought
//!   up to date by an [`Event::Fetch`] behind the [`Event::Select`].
//! - `\Recent` is a UID: from [`Selected::first_recent`] on, messages are recent in this session. Whoever
//!   gives `None` has none, which IMAP4rev2 made the rule.
//!
//! # What goes wrong, and what the client hears
//!
//! | what | answer | the session |
//! |---|---|---|
//! | malformed, unknown, or not valid in this state | `BAD` | goes on; ends after [`Config::max_bad_commands`] in a row |
//! | the embedder refuses ([`Server::reject`]) | `NO` with its code | goes on |
//! | command longer than the limit | `* BAD`, dropped | goes on |
//! | literal larger than its limit | `NO [TOOBIG]`; a non-synchronising one is read and dropped | goes on |
//! | literal too large to be dropped | `NO [TOOBIG]`, `BYE` | [`Error::LiteralTooLarge`] |
//! | wrong credentials | `NO [AUTHENTICATIONFAILED]` | ends after [`Config::max_auth_failures`] |
//! | too slow | `BYE` | [`Error::LoginTimeout`], [`Error::IdleTimeout`] |
//! | connection lost | | [`Error::Closed`]; what was appended in part is to be dropped |
//! | an announced section is not given in full | | [`Error::CutShort`]: a literal cannot be taken back |
//!
//! # Modules
//!
//! Everything of the server is at the top; [`client`] is the other end. [`codec`] has commands as they are
//! written, for those who need no engine.
//!
//! | RFC | what | file |
//! |---|---|---|
//! | 3501 | session, states, timers | `server/mod.rs`, `server/clock.rs` |
//! | 3501 §6 | commands to questions | `server/commands.rs`, `event.rs` |
//! | 3501 §9 | grammar | `codec/` |
//! | 3501 §5.1.3 | modified UTF-7, patterns | `name.rs` |
//! | 3501 §7.4.2 | FETCH answers | `server/fetch.rs`, `data/`, `message.rs` |
//! | 3501 §6.3.1, 7162 §3.2.5 | SELECT, resynchronisation | `server/select.rs` |
//! | 3501 §6.3.11, 7889 | APPEND, APPENDLIMIT | `server/append.rs` |
//! | 3502, 4469, 8508 | MULTIAPPEND, CATENATE, REPLACE | `server/append.rs`, `codec/parse/append.rs` |
//! | 3501 §6.4.6, 7162 §3.1.3 | STORE, UNCHANGEDSINCE | `server/store.rs` |
//! | 3501 §6.4.4, 4731, 5182, 5032 | SEARCH, ESEARCH, SEARCHRES, WITHIN | `server/search.rs`, `search.rs` |
//! | 3501 §7.4.1, 2180, 9051 §7.5.1 | EXPUNGE timing | `view.rs` |
//! | 2177 | IDLE | `server/idle.rs` |
//! | 2342 | NAMESPACE | `data/list.rs`, `server/answers.rs` |
//! | 2971 | ID | `server/commands.rs` |
//! | 3348, 6154, 8457, 5258, 5819 | CHILDREN, SPECIAL-USE, `\Important`, LIST-EXTENDED, LIST-STATUS | `server/list.rs`, `data/list.rs` |
//! | 3691 | UNSELECT | `server/commands.rs` |
//! | 4314 | ACL | `server/acl.rs`, `data/acl.rs` |
//! | 3516, 8514, 8970 | BINARY, SAVEDATE, PREVIEW | `server/fetch.rs`, `data/section.rs` |
//! | 4315, 6851 | UIDPLUS, MOVE | `server/answers.rs` |
//! | 4959 | SASL-IR | `server/auth.rs` |
//! | 4978 | COMPRESS=DEFLATE | `server/compress.rs`, `client/compress.rs`, `compression.rs` |
//! | 5161, 9051, 7162, 6855, 9586 | ENABLE: IMAP4rev2, CONDSTORE, QRESYNC, UTF8=ACCEPT, UIDONLY | `server/enable.rs` |
//! | 5256, 5267, 5957 | SORT, ESORT, SORT=DISPLAY | `server/sort.rs`, `data/sort.rs` |
//! | 5256 | THREAD | `server/thread.rs`, `data/sort.rs` |
//! | 5464 | METADATA | `server/metadata.rs`, `data/metadata.rs` |
//! | 5465 | NOTIFY | `server/notify.rs`, `data/notify.rs` |
//! | 5530 | response codes | `code.rs` |
//! | 7162 | CONDSTORE, QRESYNC | `server/select.rs`, `server/fetch.rs`, `view.rs` |
//! | 7888 | LITERAL+, LITERAL- | `codec/frame.rs`, `server/literal.rs` |
//! | 7377 | MULTISEARCH | `server/multisearch.rs` |
//! | 8437 | UNAUTHENTICATE | `server/unauthenticate.rs` |
//! | 8438 | STATUS=SIZE | `data/status.rs` |
//! | 8474 | OBJECTID | `data/object_id.rs` |
//! | 9394 | PARTIAL | `data/page.rs` |
//! | 8440, 9590 | LIST-MYRIGHTS, LIST-METADATA | `server/list_returns.rs` |
//! | 9208 | QUOTA | `server/quota.rs`, `data/quota.rs` |
//! | 9585 | INPROGRESS | `server/inprogress.rs` |
//! | | XAPPLEPUSHSERVICE | `server/apple_push.rs` |
//! | 3501, 9051 §5.5 | the client: commands, pipelining, streams | `client/` |
//! | 3501 §7 | what servers send, read with tolerance | `client/response/` |
//!
//! # Features
//!
//! Both are on by default.
//!
//! - `message` prints ENVELOPE, BODYSTRUCTURE and finds sections straight from a part index of `mailwright-message`;
//!   without it there are plain types for them.
//! - `compress` adds COMPRESS=DEFLATE at both ends, with the two crates that it takes; without it the server does not offer
//!   it, whatever [`Config::capabilities`] says, and the client has no command for it.
//!
//! # Limits
//!
//! Every limit is a field of [`Config`], but for some that no client of good will meets: 500 flags, FETCH items,
//! header field names or search keys in a command, and 50 LIST patterns of 1,000 octets.
//!
//! An idle session holds its view, 8 octets for each run of consecutive
//! UIDs, and no buffers. Changes that wait to be told are kept until they may be: flags at most once for each
//! message.
//!
//! # What is incomplete
//!
//! - The CONTEXT of RFC 5267 is not there, nor is SEARCH=FUZZY.
//! - After NOTIFY without SELECTED the client hears nothing of the selected mailbox between commands and while
//!   it idles; the end of a command tells what has changed, as ever.
//! - NOTIFY tells what was asked for of every message that comes, those included that the session itself brought.
//! - Identifiers of ACL are taken as they come; whoever keeps them prepares them (RFC 4314 §3).
//! - PARTIAL with CHANGEDSINCE takes the page first, and from it what has changed.
//! - The client has no names of its own for MULTISEARCH, CATENATE, REPLACE and
//!   URLAUTH: [`client::Command::raw`] sends them, and their data comes raw.
//! - A mailbox that is deleted or renamed while it is selected is the embedder's to notice:
//!   [`Server::shutdown`] says BYE.
//!
//! Minimum Rust version: 1.89.
//!
//! [`Step::Answer`]: mailwright_wire::Step::Answer

mod capability;
pub mod client;
mod code;
pub mod codec;
#[cfg_attr(not(feature = "compress"), path = "uncompressed.rs")]
mod compression;
mod config;
mod data;
mod date;
mod error;
mod event;
mod flag;
#[cfg(feature = "message")]
mod message;
mod name;
mod search;
mod server;
mod set;
mod view;

pub use capability::{Capabilities, Capability};
pub use code::{Code, Rejection};
pub use config::Config;
pub use data::{
    AclRequest, Address, ApplePushRequest, BinaryItem, BodyItem, BodyStructure, Depth, Disposition,
    EntryName, Envelope, FetchItem, Fields, ListRow, MailboxFilter, MetadataRefusal, MetadataRequest,
    Multipart, Namespace, Namespaces, Notice, NotifyRequest, ObjectId, Page, Params, Part, PartKind, Partial,
    Quota, QuotaRequest, QuotaResource, QuotaUsage, Rights, RightsChange, Section, SectionText, SortBy,
    SortKey, SortRequest, SpecialUse, Status, StatusItem, ThreadAlgorithm, ThreadRequest, Watch, Watched,
};
pub use date::{Date, DateTime};
pub use error::Error;
pub use event::{
    AppendRequest, CopyUid, Event, FetchRequest, ListRequest, SearchInRequest, SearchRequest, Selected,
    StoreAction, StoreRequest,
};
pub use flag::{Flag, Flags, Keyword};
pub use name::{decode_name, encode_name, matches_pattern};
pub use search::Criterion;
pub use server::{FetchRow, Server, Transport};
pub use set::{SeqNumber, SequenceSet, UidSet};
pub use view::{Change, NoSuchMessage, Update, Updates, View, When};
