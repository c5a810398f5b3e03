//! ENVELOPE (RFC 9051 §7.5.2)

use crate::index::{Index, Part, Record};

/// The envelope of a message, read from its index.
///
/// All values are as they stand in the header: unfolded, but with their encoded words. They may hold 8-bit
/// octets, and never CR, LF or NUL. Where a field is there more than once, this is the first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Envelope<'a> {
    texts: [Option<&'a [u8]>; 5],
    lists: [Record<'a>; 6],
}

impl Index {
    /// The envelope of the message.
    pub fn envelope(&self) -> Envelope<'_> {
        self.root().envelope().unwrap_or_default()
    }
}

impl<'a> Part<'a> {
    /// The envelope, for the root of a message: the one with the index, or one inside of it.
    pub fn envelope(&self) -> Option<Envelope<'a>> {
        let mut record = self.record();
        record.block();
        self.is_message_root().then(|| Envelope::read(record))
    }
}

impl<'a> Envelope<'a> {
    pub(crate) fn read(mut record: Record<'a>) -> Self {
        Self {
            texts: std::array::from_fn(|_| record.string()),
            lists: std::array::from_fn(|_| record.block()),
        }
    }

    /// The Date field; empty where the field is there and empty.
    pub fn date(&self) -> Option<&'a [u8]> {
        self.texts[0]
    }

    /// The Subject field; decode it with [`encoded_word::decode`](crate::encoded_word::decode).
    pub fn subject(&self) -> Option<&'a [u8]> {
        self.texts[1]
    }

    /// The In-Reply-To field.
    pub fn in_reply_to(&self) -> Option<&'a [u8]> {
        self.texts[2]
    }

    /// The Message-ID field, with its angle brackets.
    pub fn message_id(&self) -> Option<&'a [u8]> {
        self.texts[3]
    }

    /// The References field. It is no part of ENVELOPE, but of threads.
    pub fn references(&self) -> Option<&'a [u8]> {
        self.texts[4]
    }

    /// The From field.
    pub fn from(&self) -> Addresses<'a> {
        self.list(0)
    }

    /// The Sender field, or [`Envelope::from`] where that is missing or empty, as RFC 9051 §7.5.2 has it.
    pub fn sender(&self) -> Addresses<'a> {
        self.list_or_from(1)
    }

    /// The Reply-To field, or [`Envelope::from`] where that is missing or empty, as RFC 9051 §7.5.2 has it.
    pub fn reply_to(&self) -> Addresses<'a> {
        self.list_or_from(2)
    }

    /// The To field.
    pub fn to(&self) -> Addresses<'a> {
        self.list(3)
    }

    /// The Cc field.
    pub fn cc(&self) -> Addresses<'a> {
        self.list(4)
    }

    /// The Bcc field.
    pub fn bcc(&self) -> Addresses<'a> {
        self.list(5)
    }

    fn list(&self, at: usize) -> Addresses<'a> {
        Addresses { rest: self.lists[at] }
    }

    fn list_or_from(&self, at: usize) -> Addresses<'a> {
        self.list(if self.lists[at].is_empty() { 0 } else { at })
    }
}

/// The members of an address list; empty where IMAP says NIL.
#[derive(Debug, Clone)]
pub struct Addresses<'a> {
    rest: Record<'a>,
}

impl Addresses<'_> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Addresses<'a> {
    type Item = Address<'a>;

    fn next(&mut self) -> Option<Address<'a>> {
        (!self.rest.is_empty()).then(|| Address {
            name: self.rest.string(),
            route: self.rest.string(),
            mailbox: self.rest.string(),
            host: self.rest.string(),
        })
    }
}

/// An address structure of RFC 9051 §7.5.2.
///
/// Without a host it is a mark of a group: its start, with the name of the group as `mailbox`, or its end. An
/// address whose header gave no domain has an empty host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Address<'a> {
    /// The display name, its quotes removed and its encoded words not decoded.
    pub name: Option<&'a [u8]>,
    /// The source route: `@a.example,@b.example`.
    pub route: Option<&'a [u8]>,
    /// The local part; one that was quoted still is.
    pub mailbox: Option<&'a [u8]>,
    /// The domain or address literal.
    pub host: Option<&'a [u8]>,
}
