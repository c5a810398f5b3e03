//! Content-Type, Content-Disposition and their parameters (RFC 2045 §5, RFC 2183, RFC 2231)
//!
//! Values borrow from the field wherever nothing has to be unescaped or joined.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use crate::lex::{self, Report};
use crate::limits::Limits;
use crate::{Defect, DefectKind, charset, encoded_word, transfer};

/// The value of a Content-Type field.
///
/// Its `Display` is the form for a header, not folded: what needs it is quoted, or written as RFC 2231 has it.
///
/// ```
/// use mailwright_message::parameters::ContentType;
/// let value = b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; \
///     title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"";
/// let content_type = ContentType::parse(value).unwrap();
/// assert!(content_type.is("application", "x-stuff"));
/// assert_eq!(content_type.parameter("title").unwrap(), "This is even more ***fun*** isn't it!");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType<'a> {
    media_type: Cow<'a, str>,
    subtype: Cow<'a, str>,
    parameters: Vec<Parameter<'a>>,
}

impl<'a> ContentType<'a> {
    /// Reads a value, within the default limits; `None` when it names no type.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        Self::read(value, Limits::default().max_parameters, &mut ()).0
    }

    /// As [`ContentType::parse`], within limits of the caller's; what is odd is appended to `defects`, with
    /// offsets in `value`.
    pub fn parse_with(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Option<Self> {
        let content_type = Self::read(value, limits.max_parameters, defects).0;
        if content_type.is_none() {
            defects.defect(DefectKind::InvalidContentType, 0);
        }
        content_type
    }

    /// As [`ContentType::parse`], with at most `max` parameters; says whether some were left out.
    pub fn parse_limited(value: &'a [u8], max: usize) -> (Option<Self>, bool) {
        Self::read(value, max, &mut ())
    }

    fn read(value: &'a [u8], max: usize, report: &mut impl Report) -> (Option<Self>, bool) {
        let mut scan = Scan { input: value, at: 0 };
        let media_type = charset::guess(scan.token(b"/;"));
        let mut subtype = Cow::Borrowed("");
        if scan.eat(b'/') {
            subtype = charset::guess(scan.token(b";"));
        }
        let (parameters, cut) = scan.parameters(max, report);
        let missing = media_type.is_empty() || subtype.is_empty();
        let content_type = (!missing).then_some(Self {
            media_type,
            subtype,
            parameters,
        });
        (content_type, cut)
    }

    /// The type as written: `text` of `text/plain`.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The subtype as written: `plain` of `text/plain`.
    pub fn subtype(&self) -> &str {
        &self.subtype
    }

    /// Whether this is a type; case does not matter.
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// The decoded value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        find(&self.parameters, name).map(Parameter::value)
    }

    /// All parameters, in order of their first sections.
    pub fn parameters(&self) -> &[Parameter<'a>] {
        &self.parameters
    }

    /// The delimiter of a multipart (RFC 2046 §5.1.1): never empty, no space at its end.
    pub fn boundary(&self) -> Option<&[u8]> {
        let boundary = find(&self.parameters, "boundary")?.octets.trim_ascii_end();
        (!boundary.is_empty()).then_some(boundary)
    }
}

impl Display for ContentType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.media_type, self.subtype)?;
        self.parameters
            .iter()
            .try_for_each(|parameter| write!(f, "; {parameter}"))
    }
}

/// The value of a Content-Disposition field.
///
/// Its `Display` is the form for a header, as that of [`ContentType`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition<'a> {
    kind: Cow<'a, str>,
    parameters: Vec<Parameter<'a>>,
}

impl<'a> Disposition<'a> {
    /// Reads a value, within the default limits; `None` when it names no disposition.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        Self::read(value, Limits::default().max_parameters, &mut ()).0
    }

    /// As [`Disposition::parse`], within limits of the caller's; what is odd is appended to `defects`, with
    /// offsets in `value`.
    pub fn parse_with(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Option<Self> {
        let disposition = Self::read(value, limits.max_parameters, defects).0;
        if disposition.is_none() {
            defects.defect(DefectKind::InvalidKeyword, 0);
        }
        disposition
    }

    /// As [`Disposition::parse`], with at most `max` parameters; says whether some were left out.
    pub fn parse_limited(value: &'a [u8], max: usize) -> (Option<Self>, bool) {
        Self::read(value, max, &mut ())
    }

    fn read(value: &'a [u8], max: usize, report: &mut impl Report) -> (Option<Self>, bool) {
        let mut scan = Scan { input: value, at: 0 };
        let kind = charset::guess(scan.token(b";"));
        let (parameters, cut) = scan.parameters(max, report);
        ((!kind.is_empty()).then_some(Self { kind, parameters }), cut)
    }

    /// `inline`, `attachment` or another, as written.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether the part asks to be shown as an attachment. An unknown disposition counts as one (RFC 2183 §2.8).
    pub fn is_attachment(&self) -> bool {
        !self.kind.eq_ignore_ascii_case("inline")
    }

    /// The decoded value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        find(&self.parameters, name).map(Parameter::value)
    }

    /// All parameters, in order of their first sections.
    pub fn parameters(&self) -> &[Parameter<'a>] {
        &self.parameters
    }
}

impl Display for Disposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        self.parameters
            .iter()
            .try_for_each(|parameter| write!(f, "; {parameter}"))
    }
}

/// One parameter, its RFC 2231 sections joined.
///
/// Its `Display` is `name=value` for a header: a token, a quoted string, or the form of RFC 2231 §4 in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    name: Cow<'a, str>,
    /// As written, or UTF-8 when `extended`.
    octets: Cow<'a, [u8]>,
    extended: bool,
    language: Option<Cow<'a, str>>,
}

impl<'a> Parameter<'a> {
    /// A parameter with a value that is to be written.
    pub fn new(name: &'a str, value: &'a str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            octets: Cow::Borrowed(value.as_bytes()),
            extended: !value.bytes().all(|b| (b' '..=b'~').contains(&b)) || value.contains("=?"),
            language: None,
        }
    }

    /// The name as written, without the asterisks of RFC 2231.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value for people: charset decoded, encoded words (which do not belong here, but are common) too.
    pub fn value(&self) -> Cow<'_, str> {
        if self.extended {
            charset::guess(&self.octets)
        } else {
            encoded_word::decode(&self.octets)
        }
    }

    /// The octets of the value without quotes: as written, or UTF-8 for a value in the form of RFC 2231.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Whether the value came with a charset or percent encoding of RFC 2231.
    pub fn is_extended(&self) -> bool {
        self.extended
    }

    /// The language that RFC 2231 §4 lets a value be marked with.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }
}

impl Display for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let is_text = |b: &u8| (b' '..=b'~').contains(b);
        let is_token = |b: &u8| is_text(b) && *b != b' ' && !b"()<>@,;:\\\"/[]?='*%".contains(b);
        if !self.octets.is_empty() && self.octets.iter().all(is_token) {
            f.write_char('=')?;
            return f.write_str(&charset::guess(&self.octets));
        }
        if self.octets.iter().all(is_text)
            && !(self.extended && memchr::memmem::find(&self.octets, b"=?").is_some())
        {
            f.write_str("=\"")?;
            for byte in &*self.octets {
                if matches!(byte, b'"' | b'\\') {
                    f.write_char('\\')?;
                }
                f.write_char(char::from(*byte))?;
            }
            return f.write_char('"');
        }
        write!(f, "*=utf-8'{}'", self.language.as_deref().unwrap_or_default())?;
        for byte in charset::guess(&self.octets).bytes() {
            if is_token(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn find<'p, 'a>(parameters: &'p [Parameter<'a>], name: &str) -> Option<&'p Parameter<'a>> {
    parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name))
}

/// One `name=value` as it was written.
struct Section<'a> {
    name: &'a [u8],
    /// The number behind the first asterisk; `None` for a value in one piece.
    number: Option<u32>,
    extended: bool,
    value: Cow<'a, [u8]>,
    /// Where it is in the value of the field.
    at: usize,
}

struct Scan<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn skip(&mut self) {
        self.at = lex::skip_cfws(self.input, self.at);
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip();
        let found = self.input.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn token(&mut self, ends: &[u8]) -> &'a [u8] {
        self.skip();
        self.run(|byte| lex::is_space(byte) || matches!(byte, b'(' | b'"') || ends.contains(&byte))
    }

    fn run(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.input[self.at..];
        let len = rest.iter().position(|b| ends(*b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn parameters(mut self, max: usize, report: &mut impl Report) -> (Vec<Parameter<'a>>, bool) {
        let mut few = Vec::new();
        let mut sections = Vec::new();
        let mut read = 0;
        while let Some(section) = self.section(report) {
            if read == max {
                report.defect(DefectKind::TooManyParameters, section.at);
                return (finish(few, sections, report), true);
            }
            read += 1;
            // The sections of a value may be anywhere: from the first one on, or when there are many, all are
            // collected and joined at the end.
            let plain = section.number.is_none() && !section.extended;
            if !plain || few.len() == FEW || !sections.is_empty() {
                if sections.is_empty() {
                    sections.append(&mut few);
                }
                sections.push(section);
            } else if few
                .iter()
                .any(|s: &Section<'_>| s.name.eq_ignore_ascii_case(section.name))
            {
                report.defect(DefectKind::DuplicateParameter, section.at);
            } else {
                few.push(section);
            }
        }
        (finish(few, sections, report), false)
    }

    fn section(&mut self, report: &mut impl Report) -> Option<Section<'a>> {
        loop {
            self.skip();
            let byte = *self.input.get(self.at)?;
            let at = self.at;
            if matches!(byte, b';' | b'=' | b'"' | b'(') {
                if byte != b';' {
                    report.defect(DefectKind::InvalidParameter, at);
                }
                self.at += 1;
                continue;
            }
            let name = self.token(b"=;");
            if name.is_empty() || !self.eat(b'=') {
                report.defect(DefectKind::InvalidParameter, at);
                continue;
            }
            let (name, number, extended) = split_name(name);
            let value = self.value(report);
            if name.is_empty() {
                report.defect(DefectKind::InvalidParameter, at);
                continue;
            }
            return Some(Section {
                name,
                number,
                extended,
                value,
                at,
            });
        }
    }

    fn value(&mut self, report: &mut impl Report) -> Cow<'a, [u8]> {
        self.skip();
        if self.input.get(self.at) == Some(&b'"') {
            if let Some(end) = lex::quote_end(self.input, self.at) {
                let inner = &self.input[self.at + 1..end];
                self.at = end + 1;
                return lex::unquoted(inner);
            }
            report.defect(DefectKind::Unbalanced, self.at);
            self.at += 1;
        }
        let from = self.at;
        let mut to = self.word();
        let written = to;
        loop {
            self.skip();
            // `name=my file.pdf` is not legal, and common; `a=b c=d` is a semicolon lost.
            if encoded_word::match_at(&self.input[self.at..]).is_some() {
                to = self.word();
                continue;
            }
            let rest = self.run(|byte| matches!(byte, b';' | b'='));
            if self.input.get(self.at) == Some(&b'=') {
                self.at = to;
            } else if !rest.is_empty() {
                to = self.at;
            }
            break;
        }
        if to > written {
            report.defect(DefectKind::InvalidParameter, from);
        }
        let value = self.input[from..to].trim_ascii_end();
        if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
            return Cow::Borrowed(value);
        }
        let kept = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n' | 0));
        Cow::Owned(kept.collect())
    }

    /// The position behind a word without quotes; encoded words are part of it, whatever they hold.
    fn word(&mut self) -> usize {
        while let Some(byte) = self.input.get(self.at) {
            if lex::is_space(*byte) || *byte == b';' {
                break;
            }
            let word = encoded_word::match_at(&self.input[self.at..]);
            self.at += word.map_or(1, |word| word.len);
        }
        self.at
    }
}

/// So many parameters are compared with one another; more are sorted.
const FEW: usize = 8;

/// Reads `name`, `name*`, `name*0` and `name*0*`.
fn split_name(name: &[u8]) -> (&[u8], Option<u32>, bool) {
    let (stem, extended) = match name.strip_suffix(b"*") {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    if let Some(at) = memchr::memrchr(b'*', stem) {
        let digits = &stem[at + 1..];
        if (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
            let number = digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
            return (&stem[..at], Some(number), extended);
        }
    }
    (stem, None, extended)
}

fn finish<'a>(
    few: Vec<Section<'a>>,
    sections: Vec<Section<'a>>,
    report: &mut impl Report,
) -> Vec<Parameter<'a>> {
    if !sections.is_empty() {
        return join(sections, report);
    }
    let plain = |section: Section<'a>| {
        tell_encoded_word(&section, report);
        Parameter {
            name: charset::guess(section.name),
            octets: section.value,
            extended: false,
            language: None,
        }
    };
    few.into_iter().map(plain).collect()
}

/// RFC 2047 §5 (3) allows no encoded word in a parameter.
fn tell_encoded_word(section: &Section<'_>, report: &mut impl Report) {
    if let Some(at) = memchr::memmem::find(&section.value, b"=?")
        && encoded_word::match_at(&section.value[at..]).is_some()
    {
        report.defect(DefectKind::MisplacedEncodedWord, section.at);
    }
}

/// Puts the sections of each parameter together. The first of two equal names or numbers wins; a value with a
/// charset wins over a plain one (RFC 2231 has it for those who know no better).
fn join<'a>(sections: Vec<Section<'a>>, report: &mut impl Report) -> Vec<Parameter<'a>> {
    let mut order: Vec<(Vec<u8>, usize)> = sections
        .iter()
        .enumerate()
        .map(|(at, section)| (section.name.to_ascii_lowercase(), at))
        .collect();
    order.sort();
    let mut parameters: Vec<(usize, Parameter<'a>)> = Vec::new();
    for group in order.chunk_by(|a, b| a.0 == b.0) {
        let place = group[0].1;
        let written = || group.iter().map(|(_, at)| &sections[*at]);
        let whole = |extended| written().find(|s| s.number.is_none() && s.extended == extended);
        let mut value = Joined::default();
        let whole_count = |extended| {
            written()
                .filter(|s| s.number.is_none() && s.extended == extended)
                .count()
        };
        if whole_count(true) > 1 || whole_count(false) > 1 {
            report.defect(
                DefectKind::DuplicateParameter,
                sections[group[group.len() - 1].1].at,
            );
        }
        if let Some(section) = whole(true) {
            value.push(section, report);
        } else if written().any(|s| s.number == Some(0)) {
            let mut numbered: Vec<_> = written().filter_map(|s| Some((s.number?, s))).collect();
            numbered.sort_by_key(|(number, _)| *number);
            let mut expected = 0;
            for (number, section) in numbered {
                if number + 1 == expected {
                    report.defect(DefectKind::DuplicateParameter, section.at);
                } else if number != expected {
                    report.defect(DefectKind::MissingSection, section.at);
                    break;
                } else {
                    value.push(section, report);
                    expected += 1;
                }
            }
        } else if let Some(section) = whole(false) {
            tell_encoded_word(section, report);
            value.push(section, report);
        } else {
            report.defect(DefectKind::MissingSection, sections[place].at);
            continue;
        }
        let name = charset::guess(sections[place].name);
        parameters.push((place, value.finish(name, sections[place].at, report)));
    }
    parameters.sort_by_key(|(place, _)| *place);
    parameters.into_iter().map(|(_, parameter)| parameter).collect()
}

/// A value in the making.
#[derive(Default)]
struct Joined<'a> {
    /// What is decoded: UTF-8 once anything was extended.
    octets: Vec<u8>,
    /// Octets of neighbouring extended sections: a character may be split between them.
    pending: Vec<u8>,
    charset: Cow<'a, [u8]>,
    language: Option<Cow<'a, str>>,
    extended: bool,
    undecodable: bool,
    unknown: bool,
}

impl<'a> Joined<'a> {
    fn push(&mut self, section: &Section<'a>, report: &mut impl Report) {
        if !section.extended {
            self.flush();
            self.octets.extend_from_slice(&section.value);
            return;
        }
        let mut at = 0;
        if !self.extended && self.octets.is_empty() {
            let mut parts = section.value.splitn(3, |b| *b == b'\'');
            if let (Some(charset), Some(language), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                at = section.value.len() - rest.len();
                self.charset = Cow::Owned(charset.to_vec());
                self.language =
                    (!language.is_empty()).then(|| Cow::Owned(charset::guess(language).into_owned()));
            } else {
                report.defect(DefectKind::InvalidParameter, section.at);
            }
        }
        self.extended = true;
        let mut value = &section.value[at..];
        while let [byte, rest @ ..] = value {
            let escaped = (*byte == b'%').then(|| transfer::escape(rest)).flatten();
            if *byte == b'%' && escaped.is_none() {
                report.defect(DefectKind::InvalidParameter, section.at);
            }
            self.pending.push(escaped.unwrap_or(*byte));
            value = &rest[if escaped.is_some() { 2 } else { 0 }..];
        }
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let known = charset::decode(&self.charset, &self.pending);
        self.unknown |= known.is_none() && !self.charset.is_empty();
        let text = known.unwrap_or_else(|| charset::guess(&self.pending));
        self.undecodable |= text.contains('\u{fffd}');
        self.octets.extend_from_slice(text.as_bytes());
        self.pending.clear();
    }

    fn finish(mut self, name: Cow<'a, str>, at: usize, report: &mut impl Report) -> Parameter<'a> {
        self.flush();
        if self.unknown {
            report.defect(DefectKind::UnknownCharset, at);
        }
        if self.undecodable {
            report.defect(DefectKind::UndecodableText, at);
        }
        if self.extended && std::str::from_utf8(&self.octets).is_err() {
            self.octets = charset::guess(&self.octets).into_owned().into_bytes();
        }
        Parameter {
            name,
            octets: Cow::Owned(self.octets),
            extended: self.extended,
            language: self.language,
        }
    }
}

impl transfer::Encoding {
    /// Reads the value of a Content-Transfer-Encoding field, or a name alone.
    pub fn parse(value: &[u8]) -> Self {
        let name = lex::token(value);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("base64") {
            Self::Base64
        } else if is("quoted-printable") {
            Self::QuotedPrintable
        } else if name.is_empty() || is("7bit") || is("8bit") || is("binary") || is("7-bit") || is("8-bit") {
            Self::Identity
        } else if ["x-uuencode", "uuencode", "x-uue", "uue", "x-uu"]
            .into_iter()
            .any(is)
        {
            Self::Uuencode
        } else if ["x-yencode", "x-yenc", "yenc"].into_iter().any(is) {
            Self::Yenc
        } else {
            Self::Unknown
        }
    }
}
