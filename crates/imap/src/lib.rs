//! IMAP4rev1 and IMAP4rev2 session engines, without I/O

mod capability;
mod code;
pub mod codec;
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
    Address, BodyItem, BodyStructure, Disposition, Envelope, FetchItem, Fields, ListRow, Multipart,
    Namespace, Namespaces, Params, Part, PartKind, Partial, Section, SectionText, SpecialUse, Status,
    StatusItem,
};
pub use date::{Date, DateTime};
pub use error::Error;
pub use event::{
    AppendRequest, CopyUid, Event, FetchRequest, ListRequest, Selected, StoreAction, StoreRequest,
};
pub use flag::{Flag, Flags, Keyword};
pub use name::{decode_name, encode_name, matches_pattern};
pub use search::Criterion;
pub use server::{FetchRow, Server, Transport};
pub use set::{SeqNumber, SequenceSet, UidSet};
pub use view::{Change, NoSuchMessage, Update, Updates, View, When};
