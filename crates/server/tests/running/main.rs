//! A server as a program of the system: the configuration that is read again, the service manager, users.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "../tls/hand.rs"]
#[allow(dead_code)] // made for more than what is needed here
mod hand;
mod inside;
mod manager;
mod program;
mod reload;
mod root;
#[path = "../support/mod.rs"]
mod support;
