//! What the integration tests share.
#![allow(dead_code)] // each test uses a part of it

pub mod lines;
pub mod process;
pub mod site;
