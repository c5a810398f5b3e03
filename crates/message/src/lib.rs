//! RFC 5322 and MIME messages: scan, index, read headers, decode, and write notifications.
//!
//! Nothing here opens a file or a socket. Reading never fails: a message is octets, whatever is in them, and what
//! is odd about them is a list of [`Defect`]s. Nothing a message holds makes this crate panic, recurse, use
//! memory beyond documented limits, or work longer than linear in its length.
//!
//! ```text
//!                     ┌────────── events ──────────┐
//!  chunks of ─▶ scan::Scanner ─▶ index::Builder ─▶ Index ─▶ to_bytes ─▶ kept beside the message
//!  the message                                       │
//!                 ranges of parts and fields ◀───────┼──────▶ Envelope, BodyStructure
//!                             │
//!  octets of a range ─────────┼─▶ header, address_list, date, parameters, … ─▶ typed values
//!                             └─▶ Part::decode, Part::decode_text ─▶ octets, text
//! ```
//!
//! # Example
//!
//! ```
//! use mailwright_message::{Index, address_list, date, encoded_word};
//!
//! let message = b"From: =?iso-8859-1?q?J=FCrgen?= <juergen@a.test>\r\n\
//!     Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
//!     Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n\
//!     Content-Type: text/plain; charset=utf-8\r\n\
//!     Content-Transfer-Encoding: base64\r\n\r\n\
//!     SGFsbG8=\r\n";
//! let index = Index::of(message);
//!
//! let envelope = index.envelope();
//! assert_eq!(encoded_word::decode(envelope.subject().unwrap()), "Grüße");
//! assert_eq!(date::parse(envelope.date().unwrap()).unwrap().unix, 880_127_706);
//! assert_eq!(envelope.from().next().unwrap().host, Some(&b"a.test"[..]));
//!
//! let body = index.root().body();
//! let body = &message[body.start as usize..body.end as usize];
//! assert_eq!(index.root().decode_text(body), "Hallo");
//!
//! let to = address_list::parse(b"Friends: bob@b.test, \"Q. Public\" <q@b.test>;");
//! assert!(matches!(&to[..], [address_list::Address::Group(group)] if group.mailboxes.len() == 2));
//! ```
//!
//! # Modules
//!
//! | module | what it has | RFC |
//! |---|---|---|
//! | [`scan`] | the push scanner: fields, parts, content, lines | 5322 §2, 2046 §5.1 |
//! | [`index`] | the part index: built while streaming, stored, read without parsing; fields by name, and what is signed or encrypted | 9051 §6.4.5, 6376 §5.4, 1847 |
//! | [`envelope`], [`body_structure`] | ENVELOPE and BODYSTRUCTURE from the index | 9051 §7.5.2 |
//! | [`header`] | walk, unfold, decode, write fields; [`header::Headers`]: all typed values of one header | 5322 §2.2, §3.6 |
//! | [`address_list`] | mailboxes and groups, obsolete forms too | 5322 §3.4, 6854 |
//! | [`date`] | dates, read and written | 5322 §3.3 |
//! | [`message_id`] | identifiers, read and made | 5322 §3.6.4 |
//! | [`parameters`] | Content-Type, Content-Disposition | 2045 §5, 2183, 2231 |
//! | [`encoded_word`] | encoded words, read and written | 2047 |
//! | [`charset`] | charsets and their labels to UTF-8 | Encoding standard, 2152, 1557, 1843, 1922 |
//! | [`transfer`] | base64, quoted-printable, read and written; uuencode, yEnc, BinHex found | 2045 §6 |
//! | [`body`] | which parts are bodies, which attachments; safe names; calendars | 8621 §4.1.4, 6047 |
//! | [`text`], [`preview`] | the text of parts, for search; the first words | 8970 |
//! | [`html`], [`flowed`] | HTML to text; format=flowed, read and written | HTML standard, 3676 |
//! | [`tnef`] | winmail.dat | MS-OXTNEF |
//! | [`partial`] | message/partial joined, message/external-body | 2046 §5.2, 2017 |
//! | [`report`] | multipart/report: which, and read receipts and abuse reports, read | 6522, 8098, 5965, 6591 |
//! | [`build`] | messages to send: trees, attachments, answers, receipts | 5322 §3, 2045 to 2047, 2231, 6532, 8098 |
//! | [`edit`] | fields and parts added, changed, moved and removed; all else untouched | 5322 §2.2, 2046 §5.1 |
//! | [`trace`] | Received, written and read; Return-Path, written | 5321 §4.4 |
//! | [`thread`] | base subjects, the identifiers to thread by | 5256 §2.1, §3 |
//! | [`list`] | List-*, List-Id, one-click unsubscribe, Keywords | 2369, 2919, 8058 |
//! | [`authentication`] | Authentication-Results, read | 8601 §2.2, 8617 |
//! | [`tags`] | DKIM and ARC fields as tags | 6376 §3.2, 8617 |
//! | [`automatic`], [`priority`] | Auto-Submitted, Importance and its like | 3834, 2156, 4021 |
//! | [`differences`] | fields that are read otherwise than mail-parser reads them, with the reasons | |
//! | [`dsn`] | delivery status notifications, read and written | 3464, 6522, 6533 |
//!
//! # Limits, and what is not here
//!
//! Every limit is a field of [`scan::Limits`], [`index::Options`] or [`header::Limits`] with its default; what goes
//! beyond one is
//! left out, and a [`Defect`] says where. Decoders make at most a small factor of what they are given, but for
//! TNEF, which has [`tnef::Limits`]. Not here: EBCDIC, the CNS planes of ISO-2022-CN, and
//! charsets that an HTML page names only inside of itself. Where mime4j's expected bodies differ, and why, is in
//! `tests/decoded_bodies.rs`: a line that is no field ends no header but the first, text behind a delimiter makes
//! it none, and white space at the end of a boundary does not count.
//!
//! Minimum Rust version: 1.89.

pub mod address_list;
pub mod authentication;
pub mod automatic;
pub mod body;
pub mod body_structure;
pub mod build;
pub mod charset;
pub mod date;
mod defect;
#[doc = include_str!("differences.md")]
pub mod differences {}
pub mod dsn;
pub mod edit;
pub mod encoded_word;
pub mod envelope;
mod error;
mod field;
pub mod flowed;
pub mod header;
pub mod html;
pub mod index;
mod lex;
mod limits;
pub mod list;
pub mod message_id;
pub mod parameters;
pub mod partial;
pub mod preview;
pub mod priority;
pub mod report;
pub mod scan;
pub mod tags;
pub mod text;
pub mod thread;
pub mod tnef;
pub mod trace;
pub mod transfer;

pub use build::Message;
pub use defect::{Defect, DefectKind};
pub use error::Error;
pub use index::Index;
