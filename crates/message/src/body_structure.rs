//! BODYSTRUCTURE (RFC 9051 §7.5.2)

use std::borrow::Cow;

use crate::charset;
use crate::envelope::Envelope;
use crate::index::{Index, Kind, Part, Parts, Record};
use crate::parameters::ContentType;

/// The body structure of a part, read from the index.
///
/// Names are as written; where a header says nothing, the defaults of RFC 2045 stand. Values may hold 8-bit
/// octets, and never CR, LF or NUL.
#[derive(Debug, Clone, Copy)]
pub struct BodyStructure<'a> {
    part: Part<'a>,
    media_type: &'a [u8],
    subtype: &'a [u8],
    parameters: Parameters<'a>,
    id: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    md5: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    disposition_parameters: Parameters<'a>,
    languages: Strings<'a>,
    location: Option<&'a [u8]>,
}

/// What a body structure has besides its basic fields.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums)] // RFC 9051 §9: body-type-basic, -text, -msg and -mpart
#[allow(clippy::large_enum_variant)] // a view that lives on the stack for a moment
pub enum Content<'a> {
    /// Nothing more.
    Basic,
    /// text/*: tell [`BodyStructure::lines`].
    Text,
    /// message/rfc822 and message/global: tell these and [`BodyStructure::lines`].
    Message {
        /// The envelope of the nested message.
        envelope: Envelope<'a>,
        /// Its structure.
        body: BodyStructure<'a>,
    },
    /// multipart/*: of the basic fields, only subtype and parameters are told. Never empty.
    Multipart(Children<'a>),
}

impl Index {
    /// The body structure of the message.
    pub fn body_structure(&self) -> BodyStructure<'_> {
        self.root().body_structure()
    }
}

impl<'a> Part<'a> {
    /// The body structure.
    pub fn body_structure(&self) -> BodyStructure<'a> {
        BodyStructure::read(*self, self.record().block())
    }

    /// Removes transfer encoding and charset from the octets of [`Part::body`]. In a charset that is not known,
    /// the text is taken as UTF-8 or Windows-1252.
    pub fn decode_text(&self, body: &[u8]) -> String {
        let octets = self.decode(body);
        let of_text = |label: &[u8]| charset::decode(label, &octets).map(Cow::into_owned);
        let text = match self.content_type() {
            Some(Some(value)) => ContentType::parse(value).and_then(|t| {
                let parameters = t.parameters();
                let label = parameters
                    .iter()
                    .find(|p| p.name().eq_ignore_ascii_case("charset"))?;
                of_text(label.octets())
            }),
            Some(None) if self.is_text() => of_text(b"us-ascii"),
            Some(None) => None,
            None => {
                let mut parameters = self.body_structure().parameters();
                let label = parameters.find(|(name, _)| name.eq_ignore_ascii_case(b"charset"));
                label.and_then(|(_, label)| of_text(label))
            }
        };
        text.unwrap_or_else(|| charset::guess(&octets).into_owned())
    }
}

impl<'a> BodyStructure<'a> {
    pub(crate) fn read(part: Part<'a>, mut record: Record<'a>) -> Self {
        let record = &mut record;
        Self {
            part,
            media_type: record.string().unwrap_or(b"application"),
            subtype: record.string().unwrap_or(b"octet-stream"),
            parameters: Parameters::read(record),
            id: record.string(),
            description: record.string(),
            encoding: record.string(),
            md5: record.string(),
            disposition: record.string(),
            disposition_parameters: Parameters::read(record),
            languages: Strings::read(record),
            location: record.string(),
        }
    }

    /// The part that has this structure.
    pub fn part(&self) -> Part<'a> {
        self.part
    }

    /// Which of the four forms of a structure this is.
    ///
    /// Nesting is bounded by the limits the index was built with, 500 levels at the most: a reader may recurse.
    pub fn content(&self) -> Content<'a> {
        let children = self.part.children();
        match (self.part.kind(), children.clone().next()) {
            (Kind::Multipart, Some(_)) => Content::Multipart(Children { parts: children }),
            (Kind::Message, Some(root)) => Content::Message {
                envelope: root.envelope().unwrap_or_default(),
                body: root.body_structure(),
            },
            _ if self.media_type.eq_ignore_ascii_case(b"text") => Content::Text,
            _ => Content::Basic,
        }
    }

    /// The media type: `text` of text/plain.
    pub fn media_type(&self) -> &'a [u8] {
        self.media_type
    }

    /// The subtype: `plain` of text/plain.
    pub fn subtype(&self) -> &'a [u8] {
        self.subtype
    }

    /// The parameters of the type, sections of RFC 2231 joined. One that needs a charset has a name that ends in
    /// an asterisk, and a value like `utf-8''%E2%82%AC`.
    pub fn parameters(&self) -> Parameters<'a> {
        self.parameters
    }

    /// The Content-ID field.
    pub fn id(&self) -> Option<&'a [u8]> {
        self.id
    }

    /// The Content-Description field, its encoded words not decoded.
    pub fn description(&self) -> Option<&'a [u8]> {
        self.description
    }

    /// The transfer encoding as written, or `7bit`.
    pub fn encoding(&self) -> &'a [u8] {
        self.encoding.unwrap_or(b"7bit")
    }

    /// The size of the body in octets, in its transfer encoding.
    pub fn octets(&self) -> u64 {
        let body = self.part.body();
        body.end - body.start
    }

    /// The size of the body in lines, in its transfer encoding; 0 where IMAP does not tell it, and it was not
    /// counted.
    pub fn lines(&self) -> u64 {
        self.part.lines().unwrap_or(0)
    }

    /// The Content-MD5 field.
    pub fn md5(&self) -> Option<&'a [u8]> {
        self.md5
    }

    /// The disposition and its parameters.
    pub fn disposition(&self) -> Option<(&'a [u8], Parameters<'a>)> {
        Some((self.disposition?, self.disposition_parameters))
    }

    /// The tags of the Content-Language field; empty where IMAP says NIL.
    pub fn languages(&self) -> Strings<'a> {
        self.languages
    }

    /// The Content-Location field.
    pub fn location(&self) -> Option<&'a [u8]> {
        self.location
    }
}

/// The structures inside of a multipart.
#[derive(Debug, Clone)]
pub struct Children<'a> {
    parts: Parts<'a>,
}

impl<'a> Iterator for Children<'a> {
    type Item = BodyStructure<'a>;

    fn next(&mut self) -> Option<BodyStructure<'a>> {
        self.parts.next().map(|part| part.body_structure())
    }
}

/// Names and values of parameters; empty where IMAP says NIL.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'a> {
    strings: Strings<'a>,
}

impl<'a> Parameters<'a> {
    fn read(record: &mut Record<'a>) -> Self {
        Self {
            strings: Strings::read_groups(record, 2),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.strings.next()?, self.strings.next()?))
    }
}

/// Strings in a row.
#[derive(Debug, Clone, Copy)]
pub struct Strings<'a> {
    left: u64,
    rest: Record<'a>,
}

impl<'a> Strings<'a> {
    fn read(record: &mut Record<'a>) -> Self {
        Self::read_groups(record, 1)
    }

    /// Notes where the strings are, and passes over them.
    fn read_groups(record: &mut Record<'a>, size: u64) -> Self {
        let left = record.number().saturating_mul(size);
        let strings = Self { left, rest: *record };
        let mut passed = strings;
        while passed.next().is_some() {}
        *record = passed.rest;
        strings
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.left == 0 || self.rest.is_empty()
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.is_empty() {
            return None;
        }
        self.left -= 1;
        Some(self.rest.string().unwrap_or_default())
    }
}
