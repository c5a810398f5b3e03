//! SMTP, submission and LMTP engines for both ends, without I/O.

pub mod client;
mod command;
pub mod dsn;
mod envelope;
mod error;
mod line;
mod reply;
pub mod server;

pub use client::Client;
pub use command::{Command, CommandError, Extensions, Hello, HelloVerb};
pub use envelope::{BodyType, Mail, MailParams, Rcpt, RcptParams, Submitter};
pub use error::{Error, Limit, Stage, Violation};
pub use reply::{BadCode, EnhancedCode, Rejection, Reply};
pub use server::{Protocol, Server};
