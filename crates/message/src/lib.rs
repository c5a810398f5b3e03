//! RFC 5322 and MIME messages: scan, index, typed headers, decode, build.

pub mod address_list;
pub mod body_structure;
pub mod charset;
pub mod date;
mod defect;
pub mod dsn;
pub mod encoded_word;
pub mod envelope;
mod error;
pub mod header;
pub mod index;
mod lex;
pub mod message_id;
pub mod parameters;
pub mod scan;
pub mod trace;
pub mod transfer;

pub use defect::{Defect, DefectKind};
pub use error::Error;
pub use index::Index;
