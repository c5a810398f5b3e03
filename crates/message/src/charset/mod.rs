//! Charsets to UTF-8 (RFC 2045 §5.1, WHATWG Encoding, RFC 2152, RFC 1557, RFC 1843, RFC 1922)
//!
//! All encodings of the WHATWG standard, UTF-7 and its form for IMAP, UTF-16 and UTF-32, ISO-2022-KR, HZ, the
//! GB 2312 part of ISO-2022-CN, and the single-byte charsets of DOS, the Macintosh and the Kazakh and Tajik
//! alphabets. [`Charset::find`] knows their labels, the numbers of Windows and IBM code pages, and the ways in
//! which mail misspells them.
//!
//! Decoding grows text by a factor of three at the most: UTF-8 needs three octets for what a charset has in one.

mod decoder;
mod label;
mod shift;
mod tables;
mod utf;

use std::borrow::Cow;

use encoding_rs::Encoding;

pub use decoder::Decoder;

/// A charset that can be decoded.
///
/// ```
/// use mailwright_message::charset::Charset;
/// assert_eq!(Charset::find(b"cp-850").unwrap().decode(b"na\x8bve"), "naïve");
/// assert_eq!(Charset::find(b"UTF-7").unwrap().decode(b"Hi Mom +Jjo-!"), "Hi Mom ☺!");
/// assert!(Charset::find(b"x-unknown").is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standard(&'static Encoding),
    /// ASCII, which is often a lie.
    Ascii,
    /// UTF-16 of an order that a byte order mark tells.
    Utf16,
    Utf32(utf::Order),
    Utf7(utf::Dialect),
    Shifted(shift::Scheme),
    Table(&'static str, &'static tables::Table),
}

impl Charset {
    /// The charset of a label; `None` when it is not known.
    pub fn find(label: &[u8]) -> Option<Self> {
        label::find(label).map(Self)
    }

    /// The charset of text without a label: UTF-8 where it is that, else Windows-1252. Text labelled as ASCII is
    /// read in the same way.
    pub const fn guess() -> Self {
        Self(Kind::Ascii)
    }

    /// The name in the WHATWG standard or IANA's registry.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Standard(encoding) => encoding.name(),
            Kind::Ascii => "US-ASCII",
            Kind::Utf16 => "UTF-16",
            Kind::Utf32(order) => order.name(),
            Kind::Utf7(dialect) => dialect.name(),
            Kind::Shifted(scheme) => scheme.name(),
            Kind::Table(name, _) => name,
        }
    }

    /// Decodes a text. Octets that mean nothing in the charset become U+FFFD.
    pub fn decode(self, text: &[u8]) -> Cow<'_, str> {
        match self.0 {
            Kind::Standard(encoding) => encoding.decode_with_bom_removal(text).0,
            Kind::Ascii => guess(text),
            _ => Cow::Owned(self.decode_pushed(text)),
        }
    }

    /// A decoder for text that comes in pieces.
    pub fn decoder(self) -> Decoder {
        Decoder::new(self.0)
    }

    fn decode_pushed(self, text: &[u8]) -> String {
        let mut out = String::with_capacity(text.len());
        let mut decoder = self.decoder();
        decoder.push(text, &mut out);
        decoder.finish(&mut out);
        out
    }
}

/// Decodes text in a named charset; `None` when the charset is not known.
///
/// Octets that mean nothing in the charset become U+FFFD. Text that is labelled as ASCII and is not is taken as
/// by [`guess`].
pub fn decode<'a>(label: &[u8], text: &'a [u8]) -> Option<Cow<'a, str>> {
    Charset::find(label).map(|charset| charset.decode(text))
}

/// Decodes text without a charset: as UTF-8 where it is, else as Windows-1252.
///
/// The first octets that are not ASCII decide. In text that is UTF-8 by then, octets that are not are taken for
/// Windows-1252 one by one.
pub fn guess(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(Charset::guess().decode_pushed(text)),
    }
}

/// Whether [`decode`] knows the charset.
pub fn is_known(label: &[u8]) -> bool {
    Charset::find(label).is_some()
}
