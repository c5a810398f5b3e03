//! What FETCH can ask for: items, body sections, partial ranges (RFC 3501 §6.4.5)

use bytes::Bytes;
use std::num::NonZeroU32;
use std::ops::Range;

/// One data item of a FETCH. UID is not among them: the engine answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// FLAGS
    Flags,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// ENVELOPE
    Envelope,
    /// BODY without a section: the structure without extension data.
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// BODY[...], BODY.PEEK[...], RFC822, RFC822.HEADER, RFC822.TEXT
    Section(BodyItem),
    /// MODSEQ (RFC 7162)
    ModSeq,
    /// BINARY[...], BINARY.PEEK[...] (RFC 3516): a part without its content transfer encoding.
    Binary(BinaryItem),
    /// BINARY.SIZE[...] (RFC 3516): the decoded size of a part.
    BinarySize(Vec<NonZeroU32>),
    /// EMAILID (RFC 8474)
    EmailId,
    /// THREADID (RFC 8474)
    ThreadId,
    /// SAVEDATE (RFC 8514)
    SaveDate,
    /// PREVIEW (RFC 8970)
    Preview {
        /// Only if it costs nothing; else NIL.
        lazy: bool,
    },
}

/// A decoded part that was asked for, and how (RFC 3516).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BinaryItem {
    /// The part, such as `[1, 2]` for `1.2`; empty for the message itself.
    pub part: Vec<NonZeroU32>,
    /// Which octets of what is decoded.
    pub partial: Option<Partial>,
    /// Asked for without setting `\Seen`.
    pub peek: bool,
}

impl BinaryItem {
    /// `BINARY[part]`, or `BINARY.PEEK[part]` with `peek`.
    pub fn new(part: Vec<NonZeroU32>, partial: Option<Partial>, peek: bool) -> Self {
        Self { part, partial, peek }
    }

    /// The octets to send, given how many the decoded part has.
    pub fn range(&self, len: u64) -> Range<u64> {
        clip(self.partial, len)
    }
}

/// A partial range that starts behind the end is empty (RFC 3501 §6.4.5).
fn clip(partial: Option<Partial>, len: u64) -> Range<u64> {
    match partial {
        None => 0..len,
        Some(partial) => {
            let start = u64::from(partial.start).min(len);
            start..start.saturating_add(u64::from(partial.len.get())).min(len)
        }
    }
}

/// A body section that was asked for, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyItem {
    /// Which section.
    pub section: Section,
    /// Which part of it.
    pub partial: Option<Partial>,
    /// Asked for without setting `\Seen`.
    pub peek: bool,
    /// Asked for by one of the older names, which the answer has to bear.
    pub(crate) alias: Option<Alias>,
}

impl BodyItem {
    /// `BODY[section]`, or `BODY.PEEK[section]` with `peek`.
    pub fn new(section: Section, partial: Option<Partial>, peek: bool) -> Self {
        Self {
            section,
            partial,
            peek,
            alias: None,
        }
    }

    /// The octets of the section to send, given how many it has.
    ///
    /// A partial range that starts behind the end is empty (RFC 3501 §6.4.5).
    pub fn range(&self, len: u64) -> Range<u64> {
        clip(self.partial, len)
    }
}

/// The names of RFC 822 times for three sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alias {
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

impl Alias {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rfc822 => "RFC822",
            Self::Rfc822Header => "RFC822.HEADER",
            Self::Rfc822Text => "RFC822.TEXT",
        }
    }
}

/// A partial range `<start.len>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // the grammar's two numbers
pub struct Partial {
    /// The first octet, from 0.
    pub start: u32,
    /// How many octets at most.
    pub len: NonZeroU32,
}

/// A section of a message: the part's path and what of that part. The default is the whole message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the grammar's two fields
pub struct Section {
    /// The part, such as `[1, 2]` for `1.2`; empty for the message itself.
    pub part: Vec<NonZeroU32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // the grammar's `section-text`
pub enum SectionText {
    /// All of it: the body of a part; header and body of the message.
    #[default]
    All,
    /// The header of the message, or of the message/rfc822 part.
    Header,
    /// Only these header fields.
    HeaderFields(Vec<Bytes>),
    /// All header fields but these.
    HeaderFieldsNot(Vec<Bytes>),
    /// The body of the message, or of the message/rfc822 part.
    Text,
    /// The MIME header of the part.
    Mime,
}

impl SectionText {
    /// Picks header fields out of a header: for [`HeaderFields`](Self::HeaderFields) and
    /// [`HeaderFieldsNot`](Self::HeaderFieldsNot). Others give the header as it is.
    ///
    /// Fields are returned in the order and spelling of the header, with the empty line behind the header
    /// (RFC 3501 §6.4.5).
    pub fn pick(&self, header: &[u8]) -> Bytes {
        let (names, keep) = match self {
            Self::HeaderFields(names) => (names, true),
            Self::HeaderFieldsNot(names) => (names, false),
            _ => return Bytes::copy_from_slice(header),
        };
        let mut out = Vec::new();
        let mut taking = false;
        for line in header.split_inclusive(|&b| b == b'\n') {
            if matches!(line, b"\r\n" | b"\n") {
                break;
            }
            if !matches!(line.first(), Some(b' ' | b'\t')) {
                let name = line
                    .split(|&b| b == b':')
                    .next()
                    .unwrap_or_default()
                    .trim_ascii_end();
                taking = names.iter().any(|n| n.eq_ignore_ascii_case(name)) == keep;
            }
            if taking {
                out.extend_from_slice(line);
            }
        }
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_picked_with_their_folds() {
        let header = b"From: a\r\nSubject: one\r\n two\r\nFROM : b\r\nX: y\r\n\r\nbody: not\r\n";
        let names = vec![Bytes::from_static(b"from"), Bytes::from_static(b"Subject")];
        let picked = SectionText::HeaderFields(names.clone()).pick(header);
        assert_eq!(
            &picked[..],
            b"From: a\r\nSubject: one\r\n two\r\nFROM : b\r\n\r\n"
        );
        let picked = SectionText::HeaderFieldsNot(names).pick(header);
        assert_eq!(&picked[..], b"X: y\r\n\r\n");
        assert_eq!(&SectionText::HeaderFields(vec![]).pick(b"")[..], b"\r\n");
    }

    #[test]
    fn partial_ranges_are_clipped() {
        let partial = |start, len| Partial {
            start,
            len: NonZeroU32::new(len).unwrap(),
        };
        let item = |p| BodyItem::new(Section::default(), p, false);
        assert_eq!(item(None).range(10), 0..10);
        assert_eq!(item(Some(partial(2, 3))).range(10), 2..5);
        assert_eq!(item(Some(partial(8, u32::MAX))).range(10), 8..10);
        assert_eq!(item(Some(partial(u32::MAX, 1))).range(10), 10..10);
    }
}
