//! What the stress of many sessions in one mailbox is made of.
#![allow(unreachable_pub)] // a module of a test

pub mod ledger;
pub mod picture;
pub mod session;
pub mod wire;
