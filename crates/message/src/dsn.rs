#![allow(missing_docs, unused_variables)]
use crate::date::DateTime;
use bytes::Bytes;

/// What a delivery status notification says (RFC 3464).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    pub original_envelope_id: Option<String>,
    pub reporting_mta: Typed,
    pub received_from_mta: Option<Typed>,
    pub arrival_date: Option<DateTime>,
    pub recipients: Vec<Recipient>,
}
/// `type; value`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Typed {
    pub kind: String,
    pub value: String,
}
impl Typed {
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        unimplemented!()
    }
    /// `dns; mx.example`
    pub fn dns(host: impl Into<String>) -> Self {
        unimplemented!()
    }
    /// `smtp; 550 5.1.1 no such user`
    pub fn smtp(reply: impl Into<String>) -> Self {
        unimplemented!()
    }
    /// `rfc822; a@b`, or `utf-8; …` (RFC 6533) when it is not ASCII
    pub fn address(address: impl Into<String>) -> Self {
        unimplemented!()
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Action {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
}
/// An enhanced status code (RFC 3463): `FromStr`, `Display`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Status {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}
impl Status {
    pub fn new(class: u8, subject: u16, detail: u16) -> Option<Self> {
        unimplemented!()
    }
}
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    pub original_recipient: Option<Typed>,
    pub final_recipient: Typed,
    pub action: Action,
    pub status: Status,
    pub remote_mta: Option<Typed>,
    pub diagnostic: Option<Typed>,
    pub last_attempt: Option<DateTime>,
    pub final_log_id: Option<String>,
    pub will_retry_until: Option<DateTime>,
}
impl Recipient {
    pub fn new(final_recipient: Typed, action: Action, status: Status) -> Self {
        unimplemented!()
    }
}
impl Report {
    pub fn new(reporting_mta: Typed) -> Self {
        unimplemented!()
    }
    /// Reads a multipart/report (or any message that holds a message/delivery-status part).
    pub fn parse(index: &crate::Index, message: &[u8]) -> Option<Self> {
        unimplemented!()
    }
}
/// What comes back to the sender of the original message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Returned {
    Nothing,
    /// Its header as text/rfc822-headers.
    Header(Bytes),
    /// All of it as message/rfc822, by reference; its header alone when it is not 7-bit clean.
    Message(Vec<Bytes>),
}
/// The message that carries a report.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Notification {
    pub report: Report,
    /// Header From: such as `MAILER-DAEMON@mx.example`.
    pub from: String,
    /// The original's reverse-path; send the notification itself with `MAIL FROM:<>`.
    pub to: String,
    pub date: DateTime,
    pub returned: Returned,
}
impl Notification {
    pub fn new(report: Report, from: impl Into<String>, to: impl Into<String>, date: DateTime) -> Self {
        unimplemented!()
    }
    /// The whole message, CRLF line ends, 7-bit, no line over 998 octets. `random`: fresh randomness for
    /// Message-ID and boundary.
    pub fn build(&self, random: [u8; 16]) -> Vec<Bytes> {
        unimplemented!()
    }
}
