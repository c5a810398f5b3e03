//! Responses as servers send them, read with tolerance (RFC 3501 §7)
//!
//! What does not parse is handed over as it came. Only what makes it impossible to tell where the next response
//! begins is a [`Problem`].

mod code;
mod cursor;
mod fetch;
mod frame;
mod structure;
mod untagged;

pub(super) use fetch::{Parsed, section_of};
pub(super) use frame::{Framer, Piece, SectionStart};
pub(super) use untagged::Untagged;

use super::data::Data;
use super::reply::{Reply, ReplyKind};
use bytes::Bytes;
use cursor::Cursor;

/// What makes it impossible to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A literal was shorter or longer than announced.
    OutOfStep,
}

/// A response.
#[derive(Debug)]
pub(super) enum Response {
    /// `+`: what stands behind it.
    Continue(Bytes),
    /// The end of a command: its tag.
    Tagged(Bytes, Reply),
    /// An untagged status response.
    Status(Reply),
    /// Untagged data.
    Untagged(Untagged),
}

/// Reads a whole response. `utf8` says that mailbox names are UTF-8.
pub(super) fn read(frame: &Bytes, utf8: bool) -> Response {
    let mut c = Cursor::new(frame, 0);
    if c.eat(b'+') {
        c.eat(b' ');
        return Response::Continue(c.rest_bytes());
    }
    let start = c;
    if !c.eat(b'*') {
        c.word();
        let tag = c.since(&start);
        c.spaces();
        return match code::kind(c.word()) {
            Some(kind @ (ReplyKind::Ok | ReplyKind::No | ReplyKind::Bad)) if !tag.is_empty() => {
                Response::Tagged(tag, code::reply(kind, &mut c))
            }
            _ => raw(frame),
        };
    }
    c.spaces();
    if c.peek() == Some(b'[') {
        // A response code that lost its OK.
        return Response::Status(code::reply(ReplyKind::Ok, &mut c));
    }
    let mut after = c;
    match code::kind(after.word()) {
        Some(kind) => Response::Status(code::reply(kind, &mut after)),
        None => Response::Untagged(untagged::data(frame, c, utf8)),
    }
}

fn raw(frame: &Bytes) -> Response {
    Response::Untagged(Untagged::Data(Box::new(Data::Raw(frame.clone())), None))
}
