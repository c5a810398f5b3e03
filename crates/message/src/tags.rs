//! Tag lists: DKIM-Signature (RFC 6376 §3.2), ARC-Seal and ARC-Message-Signature (RFC 8617 §4.1)

use std::borrow::Cow;
use std::ops::Range;

use crate::lex::{self, Report};
use crate::limits::Limits;
use crate::{Defect, DefectKind};

/// A tag list, its tags in order and with the places where they stand.
///
/// ```
/// use mailwright_message::tags::TagList;
/// let value = b" v=1; a=rsa-sha256; d=a.test;\r\n\tbh=MTIz\r\n\tNDU2; b=abc";
/// let tags = TagList::parse(value);
/// assert_eq!(tags.value("d"), Some("a.test".into()));
/// assert_eq!(tags.compact("bh").unwrap(), &b"MTIzNDU2"[..]);
/// // What a DKIM signature covers is the field without the value of b=.
/// let b = tags.tag("b").unwrap().value_range();
/// assert_eq!(&value[b], b"abc");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagList<'a> {
    tags: Vec<Tag<'a>>,
}

/// One `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    name: &'a [u8],
    value: &'a [u8],
    at: usize,
    value_at: usize,
}

impl<'a> TagList<'a> {
    /// Reads a list, within the default limits. What is no tag is left out.
    pub fn parse(value: &'a [u8]) -> Self {
        Self::read(value, &Limits::default(), &mut ())
    }

    /// As [`TagList::parse`], within limits of the caller's; what is odd is appended to `defects`, with offsets
    /// in `value`. RFC 6376 §3.2 has a list with a tag that came twice be invalid as a whole.
    pub fn parse_with(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Self {
        Self::read(value, limits, defects)
    }

    fn read(value: &'a [u8], limits: &Limits, report: &mut impl Report) -> Self {
        let mut tags: Vec<Tag<'a>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut at = 0;
        while at < value.len() {
            let end = memchr::memchr(b';', &value[at..]).map_or(value.len(), |len| at + len);
            let (start, from) = (at, at + leading_space(&value[at..end]));
            at = end + 1;
            if from == end {
                // The last semicolon may have nothing behind it.
                if end < value.len() {
                    report.defect(DefectKind::InvalidTag, start);
                }
                continue;
            }
            let equals = memchr::memchr(b'=', &value[from..end]).map(|len| from + len);
            let name = &value[from..equals.unwrap_or(end)];
            let name = name.trim_ascii_end();
            let Some(equals) = equals.filter(|_| is_name(name)) else {
                report.defect(DefectKind::InvalidTag, from);
                continue;
            };
            if tags.len() == limits.max_values {
                report.defect(DefectKind::TooManyValues, from);
                break;
            }
            if !seen.insert(name) {
                report.defect(DefectKind::InvalidTag, from);
            }
            tags.push(Tag {
                name,
                value: &value[equals + 1..end],
                at: from,
                value_at: equals + 1,
            });
        }
        Self { tags }
    }

    /// All tags in order, those that came before among them.
    pub fn tags(&self) -> &[Tag<'a>] {
        &self.tags
    }

    /// The first tag of this name. Case matters.
    pub fn tag(&self, name: &str) -> Option<&Tag<'a>> {
        self.tags.iter().find(|tag| tag.name == name.as_bytes())
    }

    /// The value of a tag as text: see [`Tag::value`].
    pub fn value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.tag(name).map(Tag::value)
    }

    /// The value of a tag without any white space: see [`Tag::compact`].
    pub fn compact(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.tag(name).map(Tag::compact)
    }

    /// The value of a tag as a number of decimal digits; `None` too where it is no number.
    pub fn number(&self, name: &str) -> Option<u64> {
        let digits = self.tag(name)?.value.trim_ascii();
        let digits = std::str::from_utf8(digits).ok()?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    }

    /// Whether a tag came more than once, which makes the list invalid (RFC 6376 §3.2).
    pub fn has_duplicates(&self) -> bool {
        let mut seen = std::collections::HashSet::new();
        !self.tags.iter().all(|tag| seen.insert(tag.name))
    }
}

impl<'a> Tag<'a> {
    /// The name as written.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The octets between the equals sign and the semicolon.
    pub fn raw(&self) -> &'a [u8] {
        self.value
    }

    /// The value without white space around it and without line ends.
    pub fn value(&self) -> Cow<'a, str> {
        lex::text(crate::field::unfold(self.value))
    }

    /// The value without any white space, as base64 and lists of names are to be read (RFC 6376 §3.5).
    pub fn compact(&self) -> Cow<'a, [u8]> {
        let value = self.value.trim_ascii();
        match value.iter().any(|b| lex::is_space(*b)) {
            true => Cow::Owned(value.iter().copied().filter(|b| !lex::is_space(*b)).collect()),
            false => Cow::Borrowed(value),
        }
    }

    /// The parts of a value between colons, each without white space around it: `h=from:to`.
    pub fn split(&self) -> impl Iterator<Item = &'a [u8]> {
        self.value.split(|b| *b == b':').map(<[u8]>::trim_ascii)
    }

    /// Where the tag is in the value of the field: from its name to before its semicolon.
    pub fn range(&self) -> Range<usize> {
        self.at..self.value_at + self.value.len()
    }

    /// Where [`Tag::raw`] is in the value of the field.
    pub fn value_range(&self) -> Range<usize> {
        self.value_at..self.value_at + self.value.len()
    }
}

fn leading_space(text: &[u8]) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// RFC 6376 §3.2: `tag-name`.
fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}
