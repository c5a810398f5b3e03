//! ENVELOPE (RFC 3501 §7.4.2)

use bytes::Bytes;

/// The envelope structure of a message: header fields as octets, `None` where the field is missing.
///
/// Sender and Reply-To fall back to From as RFC 3501 §7.4.2 demands when they are printed, if they are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the RFC's ten fields
pub struct Envelope {
    /// The Date field as written.
    pub date: Option<Bytes>,
    /// The Subject field, unfolded, encoded words left as they are.
    pub subject: Option<Bytes>,
    /// From.
    pub from: Vec<Address>,
    /// Sender.
    pub sender: Vec<Address>,
    /// Reply-To.
    pub reply_to: Vec<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc.
    pub bcc: Vec<Address>,
    /// In-Reply-To as written.
    pub in_reply_to: Option<Bytes>,
    /// Message-ID as written.
    pub message_id: Option<Bytes>,
}

/// One address of an envelope.
///
/// A group opens with an address that has no host and the group's name as mailbox, and closes with one that
/// has neither: [`Address::group_start`], [`Address::group_end`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the RFC's fields; the source route is obsolete and always NIL
pub struct Address {
    /// The display name.
    pub name: Option<Bytes>,
    /// The local part, or the name of a group.
    pub mailbox: Option<Bytes>,
    /// The domain.
    pub host: Option<Bytes>,
}

impl Address {
    /// Opens a group.
    pub fn group_start(name: Bytes) -> Self {
        Self {
            name: None,
            mailbox: Some(name),
            host: None,
        }
    }

    /// Closes a group.
    pub fn group_end() -> Self {
        Self::default()
    }
}
