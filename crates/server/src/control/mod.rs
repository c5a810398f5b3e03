//! The control socket: how commands reach a running server.
//!
//! ```text
//!  mailwright queue hold ... ─▶ Client ─▶ DATA/control.sock ─▶ serve ─▶ handlers ─▶ queue worker, store
//!  mailwright import, export, backup, fsck ───▶ │
//!                                             │ no server there
//!                                             ▼
//!                               the data folder itself, under its lock
//! ```
//!
//! It is a Unix socket in the data folder that only its owner may open; who connects must be the same user as the
//! server, or root. Each request is one line of JSON, and each is answered by one line, in order:
//!
//! ```text
//!  > {"v":1,"queue":{"list":{"limit":100}}}
//!  < {"v":1,"ok":{"messages":[...],"next":117}}
//!  > {"v":1,"queue":{"change":{"keys":[118],"hold":{}}}}
//!  < {"v":1,"ok":{"done":[[118,"done"]]}}
//!  > {"v":1,"fly":{}}
//!  < {"v":1,"error":"..."}
//! ```
//!
//! `v` is the version of the protocol; a server answers only [`VERSION`]. Keys that a program does not know are
//! to be passed over. A request has at most [`MAX_REQUEST`] octets, a reply at most [`MAX_REPLY`].
//!
//! A message that a program hands in follows its request at once, and has as many octets as that says.
//!
//! Imports, exports, backups and checks are begun by one request and watched by others; they end with the connection.
//! A command of another kind is a variant of [`Request`], and a line in `handle` of `serve.rs`.

pub mod account;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod desk;
#[cfg(unix)]
pub mod local;
pub mod queue;
#[cfg(unix)]
mod serve;
pub mod submit;
pub mod work;

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[cfg(unix)]
pub use client::{CallError, Client};
#[cfg(unix)]
pub(crate) use serve::{open, serve};

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// The most octets of a request.
pub const MAX_REQUEST: usize = 64 * 1024;
/// The most octets of a reply.
pub const MAX_REPLY: usize = 16 * 1024 * 1024;

/// What may be asked of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Request {
    /// Whether it is there; answered by a [`Pong`].
    Ping {},
    /// Something of the queue.
    Queue(queue::Request),
    /// Something of the accounts.
    Account(account::Request),
    /// A message is handed in, which follows the line; answered by a [`submit::Taken`].
    Submit(submit::Request),
    /// The configuration is read again; answered by a [`Reloaded`](crate::Reloaded).
    Reload {},
    /// Work on the mail; answered by a [`work::State`].
    Work(work::Request),
}

/// That a server is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pong {
    /// Its process.
    pub pid: u32,
    /// What it calls itself.
    pub hostname: String,
    /// The version of the program.
    pub version: String,
}

/// Where the control socket of a data folder is.
pub fn socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// A request with its version, as it stands on a line.
#[derive(Serialize, Deserialize)]
struct Line<T> {
    v: u32,
    #[serde(flatten)]
    request: T,
}

/// A reply with its version, as it stands on a line.
#[derive(Serialize, Deserialize)]
struct Answer<E> {
    v: u32,
    #[serde(flatten)]
    result: Outcome<E>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome<E> {
    Ok(serde_json::Value),
    Error(E),
}
