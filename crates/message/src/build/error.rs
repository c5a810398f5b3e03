//! What a message cannot be built from

use super::content::Encoding;

/// Why a message, a part or a field cannot be written.
///
/// Texts of the caller are named in the `Display` form with their controls escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A field that every message has is missing: From, or Sender with more than one author (RFC 5322 §3.6.2).
    Missing(&'static str),
    /// The name is none for a field: printable ASCII without a colon, 1 to 70 octets.
    FieldName(String),
    /// The builder writes this field itself; there is a method for it.
    ReservedField(String),
    /// The value of this field or parameter holds CR, LF, NUL or another control.
    Control(String),
    /// The value of this field is not ASCII, has no encoded form, and raw UTF-8 was not asked for.
    NotAscii(String),
    /// The value of this field is not what the field takes: an identifier, a URL, one whole field.
    Value(String),
    /// The value of this field has a word that fits on no line of 998 octets.
    TooLong(String),
    /// This is no address that mail can be sent to (RFC 5321 §4.1.2).
    Address(String),
    /// This address is not ASCII; it needs raw UTF-8 headers and a transport with SMTPUTF8 (RFC 6531).
    NonAsciiAddress(String),
    /// A group of addresses has no name.
    GroupName,
    /// This is no media type.
    MediaType(String),
    /// The body cannot have this encoding: its octets or the transport forbid it, or RFC 2045 §6.4 does.
    Encoding(Encoding),
    /// A message or a ready-made entity must go as it is (RFC 2046 §5.2.1), and the transport cannot take it:
    /// it has 8-bit octets, NUL, bare CR or LF, or lines of more than 998 octets.
    NotTransportable,
    /// A multipart has no parts, or too few for its kind.
    NoParts,
    /// Parts are nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// A body holds the boundary of the message. Fresh randomness makes another one.
    Boundary,
    /// The message has a body that comes from a stream: it cannot be had in one piece, use
    /// [`Message::writer`](super::Message::writer).
    Stream,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "the message has no {field}"),
            Self::FieldName(name) => write!(f, "no name for a header field: {}", name.escape_debug()),
            Self::ReservedField(name) => {
                write!(f, "the builder writes the field {} itself", name.escape_debug())
            }
            Self::Control(field) => write!(f, "the value of {} holds a control", field.escape_debug()),
            Self::NotAscii(field) => write!(f, "the value of {} is not ASCII", field.escape_debug()),
            Self::Value(field) => write!(f, "the value of {} has the wrong form", field.escape_debug()),
            Self::TooLong(field) => {
                write!(
                    f,
                    "the value of {} has a word that fits on no line",
                    field.escape_debug()
                )
            }
            Self::Address(address) => write!(f, "no mail address: {}", address.escape_debug()),
            Self::NonAsciiAddress(address) => {
                write!(f, "the address {} needs SMTPUTF8", address.escape_debug())
            }
            Self::GroupName => f.write_str("a group of addresses has no name"),
            Self::MediaType(media_type) => write!(f, "no media type: {}", media_type.escape_debug()),
            Self::Encoding(encoding) => write!(f, "the body cannot be sent as {}", encoding.as_str()),
            Self::NotTransportable => {
                f.write_str("an attached message must go as it is, and the transport cannot take it")
            }
            Self::NoParts => f.write_str("a multipart has too few parts"),
            Self::TooDeep => f.write_str("parts are nested too deep"),
            Self::Boundary => f.write_str("a body holds the boundary of the message"),
            Self::Stream => f.write_str("a body comes from a stream"),
        }
    }
}

impl std::error::Error for Error {}
