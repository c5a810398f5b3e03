//! BODY and BODYSTRUCTURE (RFC 3501 §7.4.2)

use crate::data::Envelope;
use bytes::Bytes;

/// The MIME structure of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // the grammar's `body` has these two forms
pub enum BodyStructure {
    /// A leaf, or a message within the message.
    Part(Box<Part>),
    /// A multipart.
    Multipart(Multipart),
}

/// Parameters of a content type or disposition, in order.
pub type Params = Vec<(Bytes, Bytes)>;

/// A content disposition with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the grammar's two fields
pub struct Disposition {
    /// `attachment`, `inline`, ...
    pub kind: Bytes,
    /// Its parameters.
    pub params: Params,
}

/// A multipart. One without parts is printed with an empty text part, for the grammar demands one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the grammar's fields
pub struct Multipart {
    /// The parts.
    pub parts: Vec<BodyStructure>,
    /// `mixed`, `alternative`, ...
    pub subtype: Bytes,
    /// Parameters of the content type.
    pub params: Params,
    /// Content-Disposition, -Language and -Location.
    pub fields: Fields,
}

/// A part that is not a multipart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the grammar's fields
pub struct Part {
    /// `text`, `image`, ...
    pub media_type: Bytes,
    /// `plain`, `png`, ...
    pub subtype: Bytes,
    /// Parameters of the content type.
    pub params: Params,
    /// Content-ID.
    pub id: Option<Bytes>,
    /// Content-Description.
    pub description: Option<Bytes>,
    /// Content-Transfer-Encoding; empty is printed as `7bit`.
    pub encoding: Bytes,
    /// The size of the body in octets, as transferred.
    pub octets: u64,
    /// What depends on the type.
    pub kind: PartKind,
    /// Content-MD5.
    pub md5: Option<Bytes>,
    /// Content-Disposition, -Language and -Location.
    pub fields: Fields,
}

/// What BODYSTRUCTURE tells about a part besides the fields that all have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // the grammar's three kinds
pub enum PartKind {
    /// Nothing.
    Basic,
    /// A text part and its lines.
    Text {
        /// How many lines the body has.
        lines: u64,
    },
    /// A message/rfc822 part.
    Message {
        /// The envelope of the message within.
        envelope: Box<Envelope>,
        /// Its structure.
        body: BodyStructure,
        /// How many lines the message within has.
        lines: u64,
    },
}

/// The extension fields every part can have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the grammar's three fields
pub struct Fields {
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language.
    pub language: Vec<Bytes>,
    /// Content-Location.
    pub location: Option<Bytes>,
}
