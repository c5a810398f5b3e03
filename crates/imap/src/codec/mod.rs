//! Commands and responses on the wire (RFC 3501 §9)
//!
//! A command is framed first, its literals included ([`Framer`]), and parsed when it is complete
//! ([`Command::parse`]). Strings are slices of the frame: reference-counted, not copied, so that what is parsed
//! can outlive the receive buffer.

mod command;
mod cursor;
mod encode;
mod encode_extensions;
mod extensions;
mod frame;
mod out;
mod parse;

pub use command::{Body, Command, FetchModifiers, ListOptions, Resync, ReturnOptions, SearchKey};
pub use cursor::ParseError;
pub use extensions::{
    AclCommand, ApplePushCommand, MetadataCommand, NotifyCommand, QuotaCommand, SearchInCommand, SortCommand,
    ThreadCommand,
};
pub use frame::{Frame, Framer, Literal, TooLong};

pub(crate) use cursor::is_atom_char;
pub(crate) use encode::{put_fetch_items, put_search_keys};
pub(crate) use out::Out;
pub(crate) use parse::{AppendHead, AppendParser, AppendToken, Form, tag_of};
