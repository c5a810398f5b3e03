//! The Mailwright reference server: a library and the mailwright binary
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // this crate does the I/O for all the others

pub mod accounts;
pub mod config;
pub mod conn;
pub mod delivery;
pub mod dns;
mod listen;
mod server;
pub mod shared;
pub mod shutdown;
mod smtp;
mod stream;
pub mod tls;

pub use config::Config;
pub use server::{Builder, Running, Server, StartError};
pub use shared::{Shared, unix_now};
pub use stream::Stream;
