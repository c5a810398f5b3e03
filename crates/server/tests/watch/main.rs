//! What a server tells over HTTP, counts of itself, and remembers of messages: mail programs, monitors and operators.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, unreachable_pub)] // tests over real sockets

#[path = "../support/mod.rs"]
mod support;

mod documents;
mod exposition;
mod hostile;
mod http;
mod metrics;
mod secrets;
mod trace;
mod xml;
