//! What is no domain name ([RFC 1035] §2.3.4)
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035

/// Why a text is not a domain name. Carries no octet of that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is empty, or two dots follow each other.
    #[error("empty label in domain name")]
    EmptyLabel,
    /// A label is longer than 63 octets (RFC 1035 §2.3.4).
    #[error("label longer than 63 octets in domain name")]
    LabelTooLong,
    /// The name is longer than 255 octets on the wire (RFC 1035 §2.3.4).
    #[error("domain name longer than 255 octets")]
    NameTooLong,
    /// A backslash is not followed by a character or by three digits up to 255.
    #[error("bad escape in domain name")]
    BadEscape,
    /// A space or a control character stands unescaped.
    #[error("forbidden character in domain name")]
    BadCharacter,
    /// A label outside ASCII has no A-label (RFC 5891).
    #[error("label that is not valid under IDNA in domain name")]
    Idna,
}
