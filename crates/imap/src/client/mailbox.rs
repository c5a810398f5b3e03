//! Mailbox names as a client has them (RFC 3501 §5.1.3, RFC 6855)

use crate::{decode_name, encode_name};
use bytes::Bytes;
use std::fmt;

/// The name of a mailbox.
///
/// Outside of the protocol it is UTF-8. A server's name that cannot be decoded is kept as it came, so that the
/// mailbox can be opened all the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    name: String,
    /// As on the wire, where that does not follow from the name.
    wire: Option<Bytes>,
}

impl Mailbox {
    /// Makes a name from UTF-8.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            wire: None,
        }
    }

    /// The inbox, whose name has no case.
    pub fn inbox() -> Self {
        Self::new("INBOX")
    }

    pub(super) fn from_wire(wire: &Bytes, utf8: bool) -> Self {
        let decoded = match utf8 {
            true => std::str::from_utf8(wire).ok().map(str::to_owned),
            false => decode_name(wire),
        };
        match decoded {
            Some(name) if name.eq_ignore_ascii_case("INBOX") => Self::inbox(),
            Some(name) => {
                // Not all servers encode as the RFC wants; what they say must find its mailbox again.
                let same = utf8 || encode_name(&name).as_bytes() == &wire[..];
                Self {
                    name,
                    wire: (!same).then(|| wire.clone()),
                }
            }
            None => Self {
                name: String::from_utf8_lossy(wire).into_owned(),
                wire: Some(wire.clone()),
            },
        }
    }

    /// The name in UTF-8.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn to_wire(&self, utf8: bool) -> Vec<u8> {
        match &self.wire {
            Some(wire) => wire.to_vec(),
            None if utf8 => self.name.clone().into_bytes(),
            None => encode_name(&self.name).into_owned().into_bytes(),
        }
    }
}

impl From<&str> for Mailbox {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Mailbox {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
