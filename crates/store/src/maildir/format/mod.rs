//! What is written in a Maildir: names of folders and files, and the lists that Dovecot keeps beside them
//!
//! ```text
//!  ROOT/{cur,new,tmp}              INBOX
//!       .Archive.2026/{cur,...}    Archive/2026
//!       subscriptions              subscribed names, one a line
//!       */dovecot-uidlist          UIDs of the files of a folder, its UIDVALIDITY and next UID
//!       */dovecot-keywords         which keyword each of the letters a to z means in a folder
//!       */cur/BASE:2,FS            a message, flagged and seen
//!       */new/BASE                 a message without flags
//! ```

mod file_name;
mod folder_name;
mod keywords;
mod line_ends;
mod subscriptions;
mod uid_list;

pub use file_name::FileName;
pub use folder_name::{directory_of, mailbox_of};
pub use keywords::Keywords;
pub use line_ends::ToWire;
pub use subscriptions::{parse_subscriptions, write_subscriptions};
pub use uid_list::UidList;
