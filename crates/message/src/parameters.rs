//! Content-Type, Content-Disposition and their parameters (RFC 2045 §5, RFC 2183, RFC 2231)

use std::borrow::Cow;

use crate::{charset, encoded_word, lex, transfer};

/// The value of a Content-Type field.
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
pub struct ContentType {
    media_type: String,
    subtype: String,
    parameters: Vec<Parameter>,
}

impl ContentType {
    /// Reads a value; `None` when it names no type.
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::parse_limited(value, usize::MAX).0
    }

    /// As [`ContentType::parse`], with at most `max` parameters; says whether some were left out.
    pub fn parse_limited(value: &[u8], max: usize) -> (Option<Self>, bool) {
        let mut scan = Scan { input: value, at: 0 };
        let media_type = text(scan.token(b"/;"));
        let mut subtype = String::new();
        if scan.eat(b'/') {
            subtype = text(scan.token(b";"));
        }
        let (parameters, cut) = scan.parameters(max);
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
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The delimiter of a multipart (RFC 2046 §5.1.1): never empty, no space at its end.
    pub fn boundary(&self) -> Option<&[u8]> {
        let boundary = find(&self.parameters, "boundary")?.octets.trim_ascii_end();
        (!boundary.is_empty()).then_some(boundary)
    }
}

/// The value of a Content-Disposition field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    kind: String,
    parameters: Vec<Parameter>,
}

impl Disposition {
    /// Reads a value; `None` when it names no disposition.
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::parse_limited(value, usize::MAX).0
    }

    /// As [`Disposition::parse`], with at most `max` parameters; says whether some were left out.
    pub fn parse_limited(value: &[u8], max: usize) -> (Option<Self>, bool) {
        let mut scan = Scan { input: value, at: 0 };
        let kind = text(scan.token(b";"));
        let (parameters, cut) = scan.parameters(max);
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
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
}

/// One parameter, its RFC 2231 sections joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    name: String,
    /// As written, or UTF-8 when `extended`.
    octets: Vec<u8>,
    extended: bool,
}

impl Parameter {
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
}

fn find<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a Parameter> {
    parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name))
}

fn text(octets: &[u8]) -> String {
    charset::guess(octets).into_owned()
}

/// One `name=value` as it was written.
struct Section<'a> {
    name: &'a [u8],
    /// The number behind the first asterisk; `None` for a value in one piece.
    number: Option<u32>,
    extended: bool,
    value: Vec<u8>,
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

    fn parameters(mut self, max: usize) -> (Vec<Parameter>, bool) {
        let mut sections = Vec::new();
        loop {
            self.skip();
            let Some(byte) = self.input.get(self.at) else {
                break;
            };
            if matches!(byte, b';' | b'=' | b'"' | b'(') {
                self.at += 1;
                continue;
            }
            let name = self.token(b"=;");
            if self.eat(b'=') && !name.is_empty() {
                if sections.len() == max {
                    return (join(sections), true);
                }
                let value = self.value();
                sections.push(section(name, value));
            }
        }
        (join(sections), false)
    }

    fn value(&mut self) -> Vec<u8> {
        self.skip();
        let mut value = Vec::new();
        if self.input.get(self.at) == Some(&b'"') {
            if let Some(end) = lex::quote_end(self.input, self.at) {
                lex::unquote_into(&self.input[self.at + 1..end], &mut value);
                self.at = end + 1;
                return value;
            }
            self.at += 1;
        }
        let from = self.at;
        self.run(|byte| lex::is_space(byte) || byte == b';');
        let mut to = self.at;
        self.skip();
        // `name=my file.pdf` is not legal, and common; `a=b c=d` is a semicolon lost.
        let rest = self.run(|byte| matches!(byte, b';' | b'='));
        if self.input.get(self.at) == Some(&b'=') {
            self.at = to;
        } else if !rest.is_empty() {
            to = self.at;
        }
        value.extend(
            self.input[from..to]
                .trim_ascii_end()
                .iter()
                .filter(|b| !matches!(b, b'\r' | b'\n' | 0)),
        );
        value
    }
}

/// Reads `name`, `name*`, `name*0` and `name*0*`.
fn section(name: &[u8], value: Vec<u8>) -> Section<'_> {
    let (stem, extended) = match name.strip_suffix(b"*") {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    if let Some(at) = memchr::memrchr(b'*', stem) {
        let digits = &stem[at + 1..];
        if (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
            return Section {
                name: &stem[..at],
                number: Some(digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'))),
                extended,
                value,
            };
        }
    }
    Section {
        name: stem,
        number: None,
        extended,
        value,
    }
}

/// Puts the sections of each parameter together. The first of two equal names or numbers wins; a value with a
/// charset wins over a plain one (RFC 2231 has it for those who know no better).
fn join(sections: Vec<Section<'_>>) -> Vec<Parameter> {
    let mut order: Vec<(Vec<u8>, usize)> = sections
        .iter()
        .enumerate()
        .map(|(at, section)| (section.name.to_ascii_lowercase(), at))
        .collect();
    order.sort();
    let mut parameters: Vec<(usize, Parameter)> = Vec::new();
    for group in order.chunk_by(|a, b| a.0 == b.0) {
        let place = group[0].1;
        let written = || group.iter().map(|(_, at)| &sections[*at]);
        let whole = |extended| written().find(|s| s.number.is_none() && s.extended == extended);
        let mut value = Joined::default();
        if let Some(section) = whole(true) {
            value.push(section);
        } else if written().any(|s| s.number == Some(0)) {
            let mut numbered: Vec<_> = written().filter_map(|s| Some((s.number?, s))).collect();
            numbered.sort_by_key(|(number, _)| *number);
            numbered.dedup_by_key(|(number, _)| *number);
            for (expected, (number, section)) in (0..).zip(numbered) {
                if number != expected {
                    break;
                }
                value.push(section);
            }
        } else if let Some(section) = whole(false) {
            value.push(section);
        } else {
            continue;
        }
        let (octets, extended) = value.finish();
        let name = text(sections[place].name);
        parameters.push((
            place,
            Parameter {
                name,
                octets,
                extended,
            },
        ));
    }
    parameters.sort_by_key(|(place, _)| *place);
    parameters.into_iter().map(|(_, parameter)| parameter).collect()
}

#[derive(Default)]
struct Joined<'a> {
    octets: Vec<u8>,
    charset: &'a [u8],
    extended: bool,
}

impl<'a> Joined<'a> {
    fn push(&mut self, section: &'a Section<'_>) {
        let mut value = section.value.as_slice();
        if !section.extended {
            self.octets.extend_from_slice(value);
            return;
        }
        if !self.extended && self.octets.is_empty() {
            let mut parts = value.splitn(3, |b| *b == b'\'');
            if let (Some(charset), Some(_language), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                (self.charset, value) = (charset, rest);
            }
        }
        self.extended = true;
        while let [byte, rest @ ..] = value {
            let escaped = (*byte == b'%').then(|| transfer::escape(rest)).flatten();
            self.octets.push(escaped.unwrap_or(*byte));
            value = &rest[if escaped.is_some() { 2 } else { 0 }..];
        }
    }

    fn finish(self) -> (Vec<u8>, bool) {
        if !self.extended {
            return (self.octets, false);
        }
        let text =
            charset::decode(self.charset, &self.octets).unwrap_or_else(|| charset::guess(&self.octets));
        (text.into_owned().into_bytes(), true)
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
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parameters(value: &str) -> Vec<(String, String)> {
        ContentType::parse(value.as_bytes())
            .map(|t| {
                t.parameters()
                    .iter()
                    .map(|p| (p.name().to_owned(), p.value().into_owned()))
                    .collect()
            })
            .unwrap_or_default()
    }

    fn check(value: &str, want: &[(&str, &str)]) {
        let got = parameters(value);
        let got: Vec<(&str, &str)> = got.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(got, want, "{value}");
    }

    #[test]
    fn examples_of_rfc_2231() {
        check(
            "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
            &[
                ("access-type", "URL"),
                ("URL", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"),
            ],
        );
        check(
            "application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            &[("title", "This is ***fun***")],
        );
        check(
            "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n title*2=\"isn't it!\"",
            &[("title", "This is even more ***fun*** isn't it!")],
        );
    }

    #[test]
    fn sections_in_any_order_and_number() {
        check("a/b; x*1=b; x*0=a; x*2=c", &[("x", "abc")]);
        check("a/b; x*0=a; x*2=c", &[("x", "a")]);
        check("a/b; x*1=b; x=plain", &[("x", "plain")]);
        check("a/b; x*1=b", &[]);
        check("a/b; x=plain; x*=utf-8''%C3%A9; X=second", &[("x", "é")]);
        check("a/b; x*0*=utf-8''%C3; x*1*=%A9", &[("x", "é")]);
        check(
            "a/b; x*10=k; x*0=a; x*1=b; x*2=c; x*3=d; x*4=e; x*5=f; x*6=g; x*7=h; x*8=i; x*9=j",
            &[("x", "abcdefghijk")],
        );
        check("a/b; x*=iso-8859-1''%E9%zz", &[("x", "é%zz")]);
        check("a/b; x*=x-unknown''%E9", &[("x", "é")]);
        check("a/b; x*=nocharset", &[("x", "nocharset")]);
        check(
            "a/b; x*99999999999=a; x*y=b",
            &[("x*99999999999", "a"), ("x*y", "b")],
        );
    }

    #[test]
    fn values_of_the_wild() {
        check(
            "text/plain; charset=\"a \\\"b\\\" c\"; (c) format = flowed (d)",
            &[("charset", "a \"b\" c"), ("format", "flowed")],
        );
        check("text/plain charset=utf-8", &[("charset", "utf-8")]);
        check(
            "text/plain; charset=utf-8 format=flowed",
            &[("charset", "utf-8"), ("format", "flowed")],
        );
        check(
            "application/pdf; name=my file.pdf; x=y",
            &[("name", "my file.pdf"), ("x", "y")],
        );
        check("a/b; name=\"=?utf-8?B?w6k=?=\"", &[("name", "é")]);
        check(
            "multipart/mixed; boundary=--==_x=y==",
            &[("boundary", "--==_x=y==")],
        );
        check(
            "multipart/mixed; boundary=\"foo\r\n bar\"",
            &[("boundary", "foo bar")],
        );
        check("a/b; x=\"unclosed; y=z", &[("x", "unclosed"), ("y", "z")]);
        check("a/b;;; =x; ; y", &[]);
        check("a/b; x=", &[("x", "")]);
        check("a/b; x=; y=z", &[("x", ""), ("y", "z")]);
    }

    #[test]
    fn types() {
        let content_type = ContentType::parse(b" (c) Text / HTML (d); charset=x").unwrap();
        assert_eq!(
            (content_type.media_type(), content_type.subtype()),
            ("Text", "HTML")
        );
        for none in ["", "text", "/plain", "text/", ";", "text; charset=x"] {
            assert_eq!(ContentType::parse(none.as_bytes()), None, "{none}");
        }
        let boundary =
            |value: &[u8]| ContentType::parse(value).and_then(|t| t.boundary().map(<[u8]>::to_vec));
        assert_eq!(boundary(b"multipart/mixed; boundary=\"a b  \"").unwrap(), b"a b");
        assert_eq!(boundary(b"multipart/mixed; boundary=\"  \""), None);
        let disposition = Disposition::parse(b"attachment; filename*=utf-8''%E2%82%AC.txt").unwrap();
        assert_eq!(disposition.parameter("FILENAME").unwrap(), "€.txt");
        assert!(disposition.is_attachment() && !Disposition::parse(b"inline").unwrap().is_attachment());
        assert_eq!(Disposition::parse(b" ; x=y"), None);
    }

    #[test]
    fn a_hundred_thousand_parameters_and_sections_are_read_at_once() {
        let mut value = b"a/b".to_vec();
        for i in 0..100_000 {
            value.extend_from_slice(format!("; p{i}=v; x*{i}=y").as_bytes());
        }
        let (content_type, cut) = ContentType::parse_limited(&value, usize::MAX);
        assert!(!cut);
        let content_type = content_type.unwrap();
        assert_eq!(content_type.parameters().len(), 100_001);
        assert_eq!(content_type.parameter("x").unwrap().len(), 100_000);
        let (content_type, cut) = ContentType::parse_limited(&value, 10);
        assert!(cut && content_type.unwrap().parameters().len() == 6);
    }

    proptest! {
        #[test]
        fn any_octets_parse(value in "[a-z/;=*'%\"() \\\\0-9]{0,80}") {
            let _ = ContentType::parse(value.as_bytes());
            let _ = Disposition::parse(value.as_bytes());
        }
    }
}
