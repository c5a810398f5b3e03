//! Delivery features: sub-addresses, folders, forwarding and SRS, lists, replies of who is away, warnings of quotas.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // real sockets, real time

#[path = "../support/lines.rs"]
#[allow(dead_code, unreachable_pub)]
mod lines;
#[path = "../support/sink.rs"]
#[allow(dead_code, unreachable_pub)]
mod sink;

mod away;
mod command;
mod config;
mod folders;
mod forwarding;
mod lists;
mod quotas;
mod rules;
mod site;
mod srs;
mod vacation;
