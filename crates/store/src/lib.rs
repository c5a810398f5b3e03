//! Mailbox stores on disk.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // This crate is where the files are.

mod error;
#[cfg(feature = "sqlite")]
mod folder;
#[cfg(feature = "sqlite")]
mod oneshot;
#[cfg(feature = "sqlite")]
mod pack;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use error::Error;
#[cfg(feature = "sqlite")]
pub use sqlite::{Config, Durability, SqliteStore};
