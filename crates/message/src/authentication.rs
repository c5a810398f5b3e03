//! Authentication-Results (RFC 8601 §2.2) and ARC-Authentication-Results (RFC 8617 §4.1.1), read

use std::borrow::Cow;

use crate::lex::{self, Report};
use crate::limits::Limits;
use crate::{Defect, DefectKind};

/// What one server says it found out about a message. Whether to believe it is another question: RFC 8601 §5.
///
/// ```
/// use mailwright_message::authentication::Results;
/// let value = b"mx.b.test 1; spf=pass smtp.mailfrom=a.test; dkim=fail reason=\"bad signature\"\r\n header.d=a.test";
/// let results = Results::parse(value);
/// assert_eq!(results.authserv_id, "mx.b.test");
/// let dkim = results.of("dkim").next().unwrap();
/// assert_eq!((&*dkim.result, dkim.reason.as_deref()), ("fail", Some("bad signature")));
/// assert_eq!(dkim.property("header", "d"), Some("a.test"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Results<'a> {
    /// The place in the chain, `i=` of an ARC field.
    pub instance: Option<u32>,
    /// Who found it out; empty where the field does not say.
    pub authserv_id: Cow<'a, str>,
    /// The version of the field; 1 where none is given.
    pub version: Option<u32>,
    /// What was found. Empty for `none`.
    pub results: Vec<MethodResult<'a>>,
}

/// What one method came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MethodResult<'a> {
    /// The method: `spf`, `dkim`, `dmarc`, `arc`, `auth`, `iprev` or another.
    pub method: Cow<'a, str>,
    /// The version of the method.
    pub version: Option<u32>,
    /// What it came to: `pass`, `fail` or another.
    pub result: Cow<'a, str>,
    /// Why, in words.
    pub reason: Option<Cow<'a, str>>,
    /// What was looked at.
    pub properties: Vec<Property<'a>>,
}

/// A property of the message or its delivery that a method looked at: `smtp.mailfrom=alice@a.test`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property<'a> {
    /// Where it is from: `smtp`, `header`, `body`, `policy` or another.
    pub kind: Cow<'a, str>,
    /// Which one it is.
    pub name: Cow<'a, str>,
    /// What it is, without quotes.
    pub value: Cow<'a, str>,
}

impl<'a> Results<'a> {
    /// Reads a value, within the default limits. A result that does not follow the RFC is left out.
    pub fn parse(value: &'a [u8]) -> Self {
        Reader { value, at: 0 }.field(&Limits::default(), &mut ())
    }

    /// As [`Results::parse`], within limits of the caller's; what is odd is appended to `defects`, with offsets
    /// in `value`.
    pub fn parse_with(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Self {
        Reader { value, at: 0 }.field(limits, defects)
    }

    /// The results of a method; case does not matter.
    pub fn of(&self, method: &str) -> impl Iterator<Item = &MethodResult<'a>> {
        self.results
            .iter()
            .filter(move |result| result.method.eq_ignore_ascii_case(method))
    }
}

impl MethodResult<'_> {
    /// The first property of this kind and name; case does not matter.
    pub fn property(&self, kind: &str, name: &str) -> Option<&str> {
        let is = |p: &&Property<'_>| p.kind.eq_ignore_ascii_case(kind) && p.name.eq_ignore_ascii_case(name);
        self.properties.iter().find(is).map(|property| &*property.value)
    }
}

struct Reader<'a> {
    value: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn field(mut self, limits: &Limits, report: &mut impl Report) -> Results<'a> {
        let mut field = Results::default();
        let start = self.at;
        if self.keyword().eq_ignore_ascii_case(b"i") && self.eat(b'=') {
            field.instance = self.number();
            self.end(report);
        } else {
            self.at = start;
        }
        let start = self.at;
        let id = self.text(|b| !matches!(b, b';' | b'='));
        if self.peek() == Some(b'=') || self.peek() == Some(b'/') {
            // Some servers leave out who they are: the first result stands here.
            report.defect(DefectKind::InvalidResults, start);
            self.at = start;
        } else {
            field.authserv_id = id;
            field.version = self.number();
            self.end(report);
        }
        while let Some(start) = self.next_result() {
            if self.is_none(start) {
                break;
            }
            if field.results.len() == limits.max_values {
                report.defect(DefectKind::TooManyValues, start);
                break;
            }
            match self.result(limits, report) {
                Some(result) => field.results.push(result),
                // What is left before the semicolon is told below.
                None if matches!(self.peek(), None | Some(b';')) => {
                    report.defect(DefectKind::InvalidResults, self.at);
                }
                None => {}
            }
            self.end(report);
        }
        field
    }

    /// Where the next result starts, if there is one.
    fn next_result(&mut self) -> Option<usize> {
        while self.peek() == Some(b';') {
            self.at += 1;
        }
        self.peek().map(|_| self.at)
    }

    fn is_none(&mut self, start: usize) -> bool {
        let none = self.keyword().eq_ignore_ascii_case(b"none") && matches!(self.peek(), None | Some(b';'));
        self.at = start;
        none
    }

    fn result(&mut self, limits: &Limits, report: &mut impl Report) -> Option<MethodResult<'a>> {
        let method = self.keyword();
        let version = match self.eat(b'/') {
            true => Some(self.number()?),
            false => None,
        };
        if method.is_empty() || !self.eat(b'=') {
            return None;
        }
        let result = self.keyword();
        let mut found = MethodResult {
            method: crate::charset::guess(method),
            version,
            result: crate::charset::guess(result),
            ..MethodResult::default()
        };
        while !matches!(self.peek(), None | Some(b';')) {
            let start = self.at;
            let kind = self.keyword();
            if kind.is_empty() {
                report.defect(DefectKind::InvalidResults, start);
                break;
            }
            if self.eat(b'=') {
                let value = self.text(is_value);
                if kind.eq_ignore_ascii_case(b"reason") && found.reason.is_none() {
                    found.reason = Some(value);
                } else {
                    report.defect(DefectKind::InvalidResults, start);
                }
                continue;
            }
            let name = if self.eat(b'.') { self.keyword() } else { b"" };
            if name.is_empty() || !self.eat(b'=') {
                report.defect(DefectKind::InvalidResults, start);
                continue;
            }
            let value = self.text(is_value);
            if found.properties.len() == limits.max_values {
                report.defect(DefectKind::TooManyValues, start);
                break;
            }
            found.properties.push(Property {
                kind: crate::charset::guess(kind),
                name: crate::charset::guess(name),
                value,
            });
        }
        (!result.is_empty()).then_some(found)
    }

    /// Goes on to the semicolon; what stands before it belongs to nothing.
    fn end(&mut self, report: &mut impl Report) {
        if !matches!(self.peek(), None | Some(b';')) {
            report.defect(DefectKind::InvalidResults, self.at);
            while !matches!(self.peek(), None | Some(b';')) {
                self.at = match self.value[self.at] {
                    b'"' => lex::quote_end(self.value, self.at).map_or(self.value.len(), |end| end + 1),
                    _ => self.at + 1,
                };
            }
        }
        self.eat(b';');
    }

    /// A quoted string without its quotes, or a run of other octets; an address with a quoted local part as it is
    /// written.
    fn text(&mut self, is_text: impl Fn(u8) -> bool) -> Cow<'a, str> {
        let start = match self.peek() {
            Some(_) => self.at,
            None => return Cow::Borrowed(""),
        };
        if self.value[start] == b'"'
            && let Some(end) = lex::quote_end(self.value, start)
        {
            self.at = end + 1;
            if self.value.get(self.at) != Some(&b'@') {
                return lex::text(lex::unquoted(&self.value[start + 1..end]));
            }
        }
        self.run(|b| is_text(b) && !lex::is_space(b) && b != b'(');
        lex::text(crate::field::unfold(&self.value[start..self.at]))
    }

    fn keyword(&mut self) -> &'a [u8] {
        self.peek();
        self.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    }

    fn number(&mut self) -> Option<u32> {
        self.peek();
        let start = self.at;
        let digits = self.run(|b| b.is_ascii_digit());
        let number = std::str::from_utf8(digits).ok()?.parse().ok();
        if number.is_none() {
            self.at = start;
        }
        number
    }

    fn run(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.value[self.at..];
        let len = rest.iter().position(|b| !accepts(*b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn eat(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// The next octet that is neither white space nor a comment.
    fn peek(&mut self) -> Option<u8> {
        self.at = lex::skip_cfws(self.value, self.at);
        self.value.get(self.at).copied()
    }
}

fn is_value(octet: u8) -> bool {
    octet != b';'
}
