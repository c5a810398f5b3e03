//! HTTP/1.1 as far as mail needs it ([RFC 9110], [RFC 9112]): a client that asks once, a server of small replies, both with limits
//!
//! [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112

mod client;
mod feed;
pub(crate) mod server;

pub use client::{Client, HttpError, Limits, Request, Response, send_over};
pub use feed::{Feed, Pieces};
