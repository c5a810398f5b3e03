//! Maildir: what is written in one

pub mod format;
