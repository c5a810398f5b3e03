//! Message identifiers (RFC 5322 §3.6.4, §4.5.4)

use std::borrow::Cow;

use crate::lex::{self, Report};
use crate::limits::Limits;
use crate::{Defect, DefectKind, charset};

/// The identifiers of a Message-ID, In-Reply-To or References value, without their angle brackets.
///
/// White space and comments inside of one are dropped. Other words (the phrases of RFC 822's In-Reply-To) are
/// passed over; only where there are no angle brackets at all, words with an `@` count as identifiers, or the one
/// word there is.
///
/// ```
/// let ids = mailwright_message::message_id::parse_list(b"<1234 @ local(blah) .machine .example> <b@c>");
/// assert_eq!(ids, ["1234@local.machine.example", "b@c"]);
/// ```
pub fn parse_list(value: &[u8]) -> Vec<Cow<'_, str>> {
    ids(value).take(Limits::default().max_ids).collect()
}

/// As [`parse_list`], within limits of the caller's; what is odd is appended to `defects`, with offsets in `value`.
pub fn parse_with<'a>(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Vec<Cow<'a, str>> {
    let mut ids = ids(value);
    let mut list = Vec::new();
    while let Some(id) = ids.read(defects) {
        if list.len() == limits.max_ids {
            defects.defect(DefectKind::TooManyIds, ids.start);
            break;
        }
        list.push(id);
    }
    list
}

/// Reads the identifiers one by one. See [`parse_list`].
pub fn ids(value: &[u8]) -> Ids<'_> {
    Ids {
        value,
        at: 0,
        start: 0,
        quotes: Quotes { none_closes: false },
        state: State::Brackets { found: false },
    }
}

/// The iterator of [`ids`].
#[derive(Debug, Clone)]
pub struct Ids<'a> {
    value: &'a [u8],
    at: usize,
    /// Where the last identifier starts.
    start: usize,
    quotes: Quotes,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Brackets {
        found: bool,
    },
    /// There are no brackets; `any`: words without an `@` count too.
    Words {
        any: bool,
    },
}

impl<'a> Iterator for Ids<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        self.read(&mut ())
    }
}

impl<'a> Ids<'a> {
    fn read(&mut self, report: &mut impl Report) -> Option<Cow<'a, str>> {
        while let State::Brackets { found } = self.state {
            self.at = lex::skip_cfws(self.value, self.at);
            let Some(byte) = self.value.get(self.at) else {
                if found {
                    return None;
                }
                let words = || {
                    self.value
                        .split(|b| lex::is_space(*b))
                        .filter(|word| !word.is_empty())
                };
                self.state = State::Words {
                    any: words().nth(1).is_none(),
                };
                self.at = 0;
                break;
            };
            match byte {
                b'<' => {
                    self.state = State::Brackets { found: true };
                    self.start = self.at;
                    let id = self.bracketed(report);
                    if !id.is_empty() {
                        return Some(lex::text(id));
                    }
                }
                b'"' => self.at = self.quotes.end(self.value, self.at),
                _ => self.at += 1,
            }
        }
        let State::Words { any } = self.state else {
            return None;
        };
        loop {
            while self.value.get(self.at).is_some_and(|b| lex::is_space(*b)) {
                self.at += 1;
            }
            self.start = self.at;
            let rest = &self.value[self.at..];
            let len = rest.iter().position(|b| lex::is_space(*b)).unwrap_or(rest.len());
            let word = &rest[..len];
            self.at += len;
            if word.is_empty() {
                return None;
            }
            report.defect(DefectKind::InvalidId, self.start);
            let word = word.strip_suffix(b">").unwrap_or(word);
            if !word.is_empty() && (any || word.contains(&b'@')) {
                return Some(charset::guess(word));
            }
        }
    }

    /// The identifier whose bracket is at the position, which moves behind it.
    fn bracketed(&mut self, report: &mut impl Report) -> Cow<'a, [u8]> {
        let rest = &self.value[self.at + 1..];
        let is_end = |b: &u8| lex::is_space(*b) || matches!(b, b'>' | b'<' | b'(' | b'"');
        let len = rest.iter().position(is_end).unwrap_or(rest.len());
        let id = match rest.get(len) {
            Some(b'>') => {
                self.at += len + 2;
                Cow::Borrowed(&rest[..len])
            }
            _ => Cow::Owned(self.collect(report)),
        };
        let two_sides = memchr::memchr(b'@', &id).is_some_and(|at| at > 0 && at + 1 < id.len());
        if !two_sides {
            report.defect(DefectKind::InvalidId, self.start);
        }
        id
    }

    /// As [`Self::bracketed`], for one with white space, comments or quotes in it.
    fn collect(&mut self, report: &mut impl Report) -> Vec<u8> {
        let mut id = Vec::new();
        self.at += 1;
        loop {
            self.at = lex::skip_cfws(self.value, self.at);
            match self.value.get(self.at) {
                Some(b'>') => {
                    self.at += 1;
                    return id;
                }
                // The bracket of this one was lost.
                Some(b'<') | None => {
                    report.defect(DefectKind::Unbalanced, self.start);
                    return id;
                }
                Some(b'"') => {
                    let end = self.quotes.end(self.value, self.at);
                    let quoted = self.value[self.at..end].iter();
                    id.extend(quoted.filter(|b| !matches!(b, b'\r' | b'\n')));
                    self.at = end;
                }
                Some(byte) => {
                    id.push(*byte);
                    self.at += 1;
                }
            }
        }
    }
}

/// Where quoted strings end. When one does not, no later one does: looking again would make the work quadratic.
#[derive(Debug, Clone)]
struct Quotes {
    none_closes: bool,
}

impl Quotes {
    /// The position behind the quoted string that starts at `at`, or behind its quote if it never ends.
    fn end(&mut self, value: &[u8], at: usize) -> usize {
        if !self.none_closes {
            if let Some(end) = lex::quote_end(value, at) {
                return end + 1;
            }
            self.none_closes = true;
        }
        at + 1
    }
}

/// A fresh identifier `<…@host>`, angle brackets included.
///
/// `random` is 12 octets of fresh randomness or more. Octets of `host` that a domain cannot have are dropped.
pub fn generate(random: &[u8], host: &str) -> String {
    let mut id = String::with_capacity(random.len() * 2 + host.len() + 3);
    id.push('<');
    push_token(random, &mut id);
    id.push('@');
    let start = id.len();
    let visible = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    id.extend(host.chars().filter(visible));
    if id.len() == start {
        id.push_str("localhost");
    }
    id.push('>');
    id
}

/// Letters and digits that stand for `random`.
pub(crate) fn push_token(random: &[u8], out: &mut impl Token) {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let (mut bits, mut count) = (0u32, 0);
    for byte in random {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push_digit(DIGITS[(bits >> count & 31) as usize]);
        }
    }
    if count > 0 {
        out.push_digit(DIGITS[(bits << (5 - count) & 31) as usize]);
    }
}

/// What a token is written to.
pub(crate) trait Token {
    fn push_digit(&mut self, digit: u8);
}

impl Token for String {
    fn push_digit(&mut self, digit: u8) {
        self.push(char::from(digit));
    }
}

impl Token for Vec<u8> {
    fn push_digit(&mut self, digit: u8) {
        self.push(digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_they_come() {
        for (input, want) in [
            (
                "<1234@local.machine.example> <3456@example.net>",
                &["1234@local.machine.example", "3456@example.net"][..],
            ),
            (
                "             <testabcd.1234@silly.test>",
                &["testabcd.1234@silly.test"],
            ),
            (
                "<1234   @   local(blah)  .machine .example>",
                &["1234@local.machine.example"],
            ),
            ("<a@b><c@d>,<e@f>", &["a@b", "c@d", "e@f"]),
            ("Your message of \"Mon, <x@y>\" <a@b>", &["a@b"]),
            ("<\"a b\"@c>", &["\"a b\"@c"]),
            ("<a@b <c@d", &["a@b", "c@d"]),
            ("a@b no-id c@d", &["a@b", "c@d"]),
            ("<>", &[]),
            ("", &[]),
            ("<\"", &["\""]),
            ("alone", &["alone"]),
            ("two words", &[]),
        ] {
            assert_eq!(parse_list(input.as_bytes()), want, "{input}");
        }
    }

    #[test]
    fn what_is_odd_is_told() {
        use DefectKind::*;
        for (input, want) in [
            ("<a@b> (c) <d @ e>", &[][..]),
            ("<a@b <c@d>", &[(Unbalanced, 0)]),
            ("<a>", &[(InvalidId, 0)]),
            (" a@b", &[(InvalidId, 1)]),
            ("<a@b> <c@d> <e@f> <g@h>", &[(TooManyIds, 18)]),
        ] {
            let mut defects = Vec::new();
            let limits = Limits {
                max_ids: 3,
                ..Limits::default()
            };
            let _ = parse_with(input.as_bytes(), &limits, &mut defects);
            let told: Vec<_> = defects.iter().map(|d| (d.kind, d.offset)).collect();
            assert_eq!(told, want, "{input}");
        }
    }

    #[test]
    fn fresh_ids_parse() {
        let id = generate(&[0xff; 16], "mx.example\r\n>");
        assert_eq!(id, "<zzzzzzzzzzzzzzzzzzzzzzzzzw@mx.example>");
        assert_eq!(parse_list(id.as_bytes()), [id.trim_matches(['<', '>'])]);
        assert!(generate(&[1, 2], "é").ends_with("@localhost>"));
    }
}
