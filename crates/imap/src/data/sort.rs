//! SORT and THREAD: orders and algorithms (RFC 5256, RFC 5957)

use crate::Criterion;

/// What messages are sorted by (RFC 5256 §3, RFC 5957 §4). Equal ones keep the order of the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SortKey {
    /// INTERNALDATE, with its time.
    Arrival,
    /// The local part of the first Cc address.
    Cc,
    /// The Date field, or INTERNALDATE where there is none (RFC 5256 §2.2).
    Date,
    /// The local part of the first From address.
    From,
    /// RFC822.SIZE.
    Size,
    /// The base subject (RFC 5256 §2.1).
    Subject,
    /// The local part of the first To address.
    To,
    /// The name of the first From address as it is displayed, else the address.
    DisplayFrom,
    /// The name of the first To address as it is displayed, else the address.
    DisplayTo,
}

impl SortKey {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Arrival, "ARRIVAL"),
        (Self::Cc, "CC"),
        (Self::Date, "DATE"),
        (Self::From, "FROM"),
        (Self::Size, "SIZE"),
        (Self::Subject, "SUBJECT"),
        (Self::To, "TO"),
        (Self::DisplayFrom, "DISPLAYFROM"),
        (Self::DisplayTo, "DISPLAYTO"),
    ];

    /// The key on the wire.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(key, _)| *key == self);
        found.map_or("", |(_, name)| name)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        found.map(|(key, _)| *key)
    }

    pub(crate) fn is_display(self) -> bool {
        matches!(self, Self::DisplayFrom | Self::DisplayTo)
    }
}

/// One criterion of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // the grammar's two parts
pub struct SortBy {
    /// What is compared.
    pub key: SortKey,
    /// The largest first.
    pub reverse: bool,
}

/// A SORT or UID SORT.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SortRequest {
    /// Which messages.
    pub criterion: Criterion,
    /// Their order: by the first, among equals by the next, and so on. Never empty.
    pub order: Vec<SortBy>,
}

/// How messages are put into threads (RFC 5256 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThreadAlgorithm {
    /// By base subject, then date.
    OrderedSubject,
    /// By what they refer to, then base subject.
    References,
}

impl ThreadAlgorithm {
    /// The algorithm on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderedSubject => "ORDEREDSUBJECT",
            Self::References => "REFERENCES",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::OrderedSubject, Self::References]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }
}

/// A THREAD or UID THREAD.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadRequest {
    /// Which messages.
    pub criterion: Criterion,
    /// How they are put into threads.
    pub algorithm: ThreadAlgorithm,
}
