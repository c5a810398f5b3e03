//! What the integration tests share.
#![allow(dead_code, unreachable_pub)] // each test uses a part of it

pub mod dns;
pub mod imap;
pub mod lines;
pub mod process;
pub mod programs;
pub mod site;
pub mod terminal;
