//! The socket for mail of the users of this machine: a message can be handed in over it, and nothing else
//!
//! ```text
//!  mailwright sendmail ─▶ Client ─▶ [sendmail] socket ─▶ who is it? may it send as that? ─▶ spool
//! ```
//!
//! Who connects is known by the credentials that the system tells of a connection (`SO_PEERCRED`); what a program says of
//! itself counts for nothing. Who may connect is said by the owner, group and mode (0660) of the socket. Requests and
//! replies are lines of JSON as at the [control socket](super):
//!
//! ```text
//!  > {"v":1,"who":{}}
//!  < {"v":1,"ok":{"user":"alice","sender":"alice@mail.example.org","domain":"mail.example.org"}}
//!  > {"v":1,"submit":{"from":"alice@mail.example.org","to":["bob@example.net"],"size":1234,"user":""}}
//!    (1234 octets)
//!  < {"v":1,"ok":{"id":"60b0d7a8c4f2e913"}}
//!  < {"v":1,"error":{"kind":"no-permission","text":"alice may not send as ceo@example.org"}}
//! ```
//!
//! What holds for accounts that submit mail holds for users: the limits of size and recipients, and the rates of
//! `rate_limits` for accounts, counted by user.

mod client;
mod serve;
mod throttle;

use serde::{Deserialize, Serialize};

pub use super::submit::Kind;
pub use client::{CallError, Client};
pub(crate) use serve::{open, serve};

/// Where the command looks for the socket if it may not read the configuration.
pub const SOCKET: &str = "/run/mailwright/sendmail";

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Request {
    /// Who the server takes the user for; answered by a [`Who`].
    Who {},
    /// A message is handed in, which follows the line; answered by a [`Taken`](super::submit::Taken). A sender without a
    /// domain gets that of users; who hands it in is known without being said.
    Submit(super::submit::Request),
}

/// Who a user is to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Who {
    /// The name.
    pub user: String,
    /// What the user sends as where nothing else is said.
    pub sender: String,
    /// The domain of addresses that are named without one.
    pub domain: String,
}

/// A refusal, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Refusal {
    kind: Kind,
    text: String,
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        let kind = Kind::Temporary;
        Self { kind, text }
    }
}
