//! RFC 5322 and MIME messages: scan, index, typed headers, decode, build.
//!
//! Interface first: the bodies arrive module by module.
#![allow(unused_variables, missing_docs)]

pub mod date {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub struct DateTime {
        /// Seconds since 1970-01-01T00:00:00Z.
        pub unix: i64,
        /// Minutes east of UTC.
        pub offset: i16,
    }
    impl DateTime {
        pub fn new(unix: i64, offset: i16) -> Self {
            Self { unix, offset }
        }
    }
    pub fn parse(value: &[u8]) -> Option<DateTime> {
        unimplemented!()
    }
    /// `Fri, 21 Nov 1997 09:55:06 -0600`
    pub fn format(date: DateTime) -> String {
        unimplemented!()
    }
}

pub mod index {
    use bytes::Bytes;
    use std::ops::Range;

    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Options {
        pub max_depth: u16,
        pub max_parts: u32,
        pub max_fields: u32,
        pub max_field_octets: u32,
        pub max_addresses: u32,
        pub max_parameters: u32,
        pub max_text_octets: u32,
        pub max_defects: u32,
    }
    impl Default for Options {
        fn default() -> Self {
            unimplemented!()
        }
    }
    #[derive(Debug)]
    pub struct Builder(());
    impl Builder {
        pub fn push(&mut self, chunk: &[u8]) {
            unimplemented!()
        }
        pub fn finish(self) -> Index {
            unimplemented!()
        }
    }
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Index {
        bytes: Bytes,
    }
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Section {
        /// `BODY[1.2]`; with an empty number the whole message, `BODY[]`.
        Content,
        /// `BODY[1.HEADER]`, with the empty line; for `HEADER.FIELDS` filter `header::fields(bytes of this range)`.
        Header,
        /// `BODY[1.TEXT]`
        Text,
        /// `BODY[1.MIME]`
        Mime,
    }
    impl Index {
        pub fn builder(options: Options) -> Builder {
            unimplemented!()
        }
        pub fn of(message: &[u8]) -> Self {
            unimplemented!()
        }
        pub fn from_bytes(bytes: Bytes) -> Result<Self, crate::Error> {
            unimplemented!()
        }
        /// Cheap: a reference-counted clone.
        pub fn to_bytes(&self) -> Bytes {
            self.bytes.clone()
        }
        /// Size of the message in octets.
        pub fn octets(&self) -> u64 {
            unimplemented!()
        }
        pub fn root(&self) -> Part<'_> {
            unimplemented!()
        }
        /// The part with an IMAP part number, `[]` is the root.
        pub fn part(&self, number: &[u32]) -> Option<Part<'_>> {
            unimplemented!()
        }
        /// The octets of an IMAP section; `None` when there is no such part.
        pub fn section(&self, number: &[u32], section: Section) -> Option<Range<u64>> {
            unimplemented!()
        }
        pub fn parts(&self) -> Parts<'_> {
            unimplemented!()
        }
        pub fn envelope(&self) -> crate::envelope::Envelope<'_> {
            unimplemented!()
        }
        pub fn body_structure(&self) -> crate::body_structure::BodyStructure<'_> {
            unimplemented!()
        }
        /// The fields of the root's header.
        pub fn header_fields(&self) -> FieldSpans<'_> {
            unimplemented!()
        }
        /// How many Received fields the root's header has.
        pub fn received_count(&self) -> u32 {
            unimplemented!()
        }
    }
    /// A part of an indexed message.
    #[derive(Debug, Clone, Copy)]
    pub struct Part<'a> {
        index: &'a Index,
    }
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Kind {
        Leaf,
        Multipart,
        /// message/rfc822 or message/global: its one child is the root of the nested message.
        Message,
    }
    impl<'a> Part<'a> {
        pub fn kind(&self) -> Kind {
            unimplemented!()
        }
        /// With the empty line that ends it.
        pub fn header(&self) -> Range<u64> {
            unimplemented!()
        }
        pub fn body(&self) -> Range<u64> {
            unimplemented!()
        }
        /// Lines of the body.
        pub fn lines(&self) -> u64 {
            unimplemented!()
        }
        pub fn children(&self) -> Parts<'a> {
            unimplemented!()
        }
        pub fn fields(&self) -> FieldSpans<'a> {
            unimplemented!()
        }
        /// The nested message's envelope, or the root's.
        pub fn envelope(&self) -> Option<crate::envelope::Envelope<'a>> {
            unimplemented!()
        }
        pub fn body_structure(&self) -> crate::body_structure::BodyStructure<'a> {
            unimplemented!()
        }
        /// Whether it is a text/* leaf (for SEARCH BODY/TEXT).
        pub fn is_text(&self) -> bool {
            unimplemented!()
        }
        /// Takes the octets of [`Part::body`]; the transfer encoding removed.
        pub fn decode(&self, body: &[u8]) -> Vec<u8> {
            unimplemented!()
        }
        /// Takes the octets of [`Part::body`]; transfer encoding and charset removed.
        pub fn decode_text(&self, body: &[u8]) -> String {
            unimplemented!()
        }
    }
    #[derive(Debug, Clone)]
    pub struct Parts<'a>(&'a ());
    impl<'a> Iterator for Parts<'a> {
        type Item = Part<'a>;
        fn next(&mut self) -> Option<Part<'a>> {
            unimplemented!()
        }
    }
    #[derive(Debug, Clone)]
    pub struct FieldSpans<'a>(&'a ());
    /// Offsets in the message.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct FieldSpan {
        pub name: Range<u64>,
        /// What is behind the colon, without the last line end.
        pub value: Range<u64>,
        /// All of it, with its line end.
        pub field: Range<u64>,
    }
    impl<'a> Iterator for FieldSpans<'a> {
        type Item = FieldSpan;
        fn next(&mut self) -> Option<FieldSpan> {
            unimplemented!()
        }
    }
}
pub use index::Index;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Stored index bytes are not of this version, or damaged: build the index again.
    NotAnIndex,
}

pub mod envelope {
    #[derive(Debug, Clone, Copy)]
    pub struct Envelope<'a>(&'a ());
    impl<'a> Envelope<'a> {
        /// Raw, unfolded, not decoded; may hold 8-bit octets, never CR, LF or NUL.
        pub fn date(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
        pub fn subject(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
        pub fn from(&self) -> Addresses<'a> {
            unimplemented!()
        }
        /// Falls back to From, as RFC 9051 §7.5.2 says; so does `reply_to`.
        pub fn sender(&self) -> Addresses<'a> {
            unimplemented!()
        }
        pub fn reply_to(&self) -> Addresses<'a> {
            unimplemented!()
        }
        pub fn to(&self) -> Addresses<'a> {
            unimplemented!()
        }
        pub fn cc(&self) -> Addresses<'a> {
            unimplemented!()
        }
        pub fn bcc(&self) -> Addresses<'a> {
            unimplemented!()
        }
        pub fn in_reply_to(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
        pub fn message_id(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
        pub fn references(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
    }
    /// Empty when the field is not there or has no address: NIL in IMAP.
    #[derive(Debug, Clone)]
    pub struct Addresses<'a>(&'a ());
    impl<'a> Addresses<'a> {
        pub fn is_empty(&self) -> bool {
            unimplemented!()
        }
    }
    impl<'a> Iterator for Addresses<'a> {
        type Item = Address<'a>;
        fn next(&mut self) -> Option<Address<'a>> {
            unimplemented!()
        }
    }
    /// An address structure of RFC 9051 §7.5.2, group markers included (host `None`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Address<'a> {
        pub name: Option<&'a [u8]>,
        pub route: Option<&'a [u8]>,
        pub mailbox: Option<&'a [u8]>,
        pub host: Option<&'a [u8]>,
    }
}

pub mod body_structure {
    use crate::envelope::Envelope;
    #[derive(Debug, Clone, Copy)]
    pub struct BodyStructure<'a>(&'a ());
    /// What follows the basic fields.
    #[derive(Debug, Clone)]
    #[non_exhaustive]
    pub enum Content<'a> {
        Basic,
        Text,
        Message { envelope: Envelope<'a>, body: BodyStructure<'a> },
        /// Never empty.
        Multipart(Children<'a>),
    }
    impl<'a> BodyStructure<'a> {
        pub fn content(&self) -> Content<'a> {
            unimplemented!()
        }
        pub fn media_type(&self) -> &'a [u8] {
            unimplemented!()
        }
        pub fn subtype(&self) -> &'a [u8] {
            unimplemented!()
        }
        pub fn parameters(&self) -> Parameters<'a> {
            unimplemented!()
        }
        pub fn id(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
        pub fn description(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
        /// As written, `7bit` when absent.
        pub fn encoding(&self) -> &'a [u8] {
            unimplemented!()
        }
        pub fn octets(&self) -> u64 {
            unimplemented!()
        }
        pub fn lines(&self) -> u64 {
            unimplemented!()
        }
        pub fn md5(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
        pub fn disposition(&self) -> Option<(&'a [u8], Parameters<'a>)> {
            unimplemented!()
        }
        pub fn languages(&self) -> Strings<'a> {
            unimplemented!()
        }
        pub fn location(&self) -> Option<&'a [u8]> {
            unimplemented!()
        }
    }
    #[derive(Debug, Clone)]
    pub struct Children<'a>(&'a ());
    impl<'a> Iterator for Children<'a> {
        type Item = BodyStructure<'a>;
        fn next(&mut self) -> Option<BodyStructure<'a>> {
            unimplemented!()
        }
    }
    /// Name and value, RFC 2231 continuations joined. Empty: NIL.
    #[derive(Debug, Clone)]
    pub struct Parameters<'a>(&'a ());
    impl<'a> Parameters<'a> {
        pub fn is_empty(&self) -> bool {
            unimplemented!()
        }
    }
    impl<'a> Iterator for Parameters<'a> {
        type Item = (&'a [u8], &'a [u8]);
        fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
            unimplemented!()
        }
    }
    #[derive(Debug, Clone)]
    pub struct Strings<'a>(&'a ());
    impl<'a> Iterator for Strings<'a> {
        type Item = &'a [u8];
        fn next(&mut self) -> Option<&'a [u8]> {
            unimplemented!()
        }
    }
}

pub mod header {
    /// One field of a header block in memory.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Field<'a> {
        pub name: &'a [u8],
        /// What is behind the colon, without the last line end.
        pub value: &'a [u8],
        /// All of it, with its line end.
        pub raw: &'a [u8],
    }
    impl<'a> Field<'a> {
        pub fn is(&self, name: &str) -> bool {
            unimplemented!()
        }
    }
    #[derive(Debug, Clone)]
    pub struct Fields<'a>(&'a ());
    impl<'a> Iterator for Fields<'a> {
        type Item = Field<'a>;
        fn next(&mut self) -> Option<Field<'a>> {
            unimplemented!()
        }
    }
    /// Walks a header block (up to its empty line or the end).
    pub fn fields(header: &[u8]) -> Fields<'_> {
        unimplemented!()
    }
    /// The value without folding.
    pub fn unfold(value: &[u8]) -> std::borrow::Cow<'_, [u8]> {
        unimplemented!()
    }
    /// The value unfolded and its encoded words decoded, for people and for SEARCH.
    pub fn decode(value: &[u8]) -> String {
        unimplemented!()
    }
}

pub mod message_id {
    /// The ids of a Message-ID, In-Reply-To or References value, without angle brackets.
    pub fn parse_list(value: &[u8]) -> Vec<String> {
        unimplemented!()
    }
    /// `<…@host>` from at least 12 octets of fresh randomness.
    pub fn generate(random: &[u8], host: &str) -> String {
        unimplemented!()
    }
}

pub mod trace {
    use crate::date::DateTime;
    use core::net::IpAddr;
    use mailwright_address as _;
    /// A Received field (RFC 5321 §4.4).
    #[derive(Debug, Clone)]
    #[non_exhaustive]
    pub struct Received<'a> {
        /// What the client said in EHLO, HELO or LHLO.
        pub helo: Option<&'a str>,
        pub reverse_name: Option<&'a str>,
        pub ip: Option<IpAddr>,
        pub by: &'a str,
        /// `ESMTPSA` and so on (RFC 3848).
        pub with: &'a str,
        /// For a comment, `TLS1.3 TLS_AES_256_GCM_SHA384`.
        pub tls: Option<&'a str>,
        pub id: Option<&'a str>,
        /// The one recipient, without angle brackets; leave it out when there is more than one.
        pub recipient: Option<&'a str>,
        pub date: DateTime,
    }
    impl<'a> Received<'a> {
        /// Starts a field with what every one has; set the rest.
        pub fn new(by: &'a str, with: &'a str, date: DateTime) -> Self {
            unimplemented!()
        }
        /// The field, folded, with its last CRLF.
        pub fn to_field(&self) -> String {
            unimplemented!()
        }
    }
    /// `Return-Path: <a@b>` with its CRLF; an empty address is the null path.
    pub fn return_path(address: &str) -> String {
        unimplemented!()
    }
}

pub mod dsn {
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
}
