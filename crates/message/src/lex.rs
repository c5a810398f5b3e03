//! Tokens of structured header fields (RFC 5322 §3.2, §4.1)
//!
//! Every function works on a raw value, folding included, in time linear in its length and without recursion.

use std::borrow::Cow;

use crate::{charset, encoded_word};

pub(crate) use crate::defect::Report;
pub(crate) use crate::encoded_word::is_space;

/// A token of a structured value. Slices are of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A run of octets that are neither space nor special; an encoded word is one, whatever it holds.
    Word(&'a [u8]),
    /// A quoted string without its quotes, its quoted pairs as they are.
    Quoted(&'a [u8]),
    /// A domain literal with its brackets.
    Literal(&'a [u8]),
    /// A comment without its parentheses, nested ones and quoted pairs as they are.
    Comment(&'a [u8]),
    /// One of `<>:;@,.` or a bracket without its partner.
    Special(u8),
}

/// The tokens of an address list.
///
/// A quote, parenthesis or bracket that is never closed stands for nothing: the rest is read without it.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    input: &'a [u8],
    pos: usize,
    /// Where the last token starts.
    start: usize,
    /// An opener of this kind had no closer, so none has: looking again would make the work quadratic.
    no_quote: bool,
    no_comment: bool,
    no_literal: bool,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            no_quote: false,
            no_comment: false,
            no_literal: false,
        }
    }

    pub(crate) fn input(&self) -> &'a [u8] {
        self.input
    }

    /// The position behind the last token.
    pub(crate) fn position(&self) -> usize {
        self.pos
    }

    /// Where the last token starts.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    pub(crate) fn seek(&mut self, pos: usize) {
        self.pos = pos;
    }

    fn closed(&mut self, end: Option<usize>) -> Option<&'a [u8]> {
        let from = self.pos + 1;
        let end = end?;
        self.pos = end + 1;
        Some(&self.input[from..end])
    }
}

impl<'a> Iterator for Tokens<'a> {
    /// The token, and whether white space came before it.
    type Item = (Token<'a>, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let mut space = false;
        loop {
            let byte = *self.input.get(self.pos)?;
            self.start = self.pos;
            let token = match byte {
                _ if is_space(byte) => {
                    space = true;
                    self.pos += 1;
                    continue;
                }
                b'"' if !self.no_quote => match self.closed(quote_end(self.input, self.pos)) {
                    Some(inner) => Token::Quoted(inner),
                    None => {
                        self.no_quote = true;
                        continue;
                    }
                },
                b'(' if !self.no_comment => match self.closed(comment_end(self.input, self.pos)) {
                    Some(inner) => Token::Comment(inner),
                    None => {
                        self.no_comment = true;
                        continue;
                    }
                },
                b'[' if !self.no_literal => {
                    let from = self.pos;
                    let end = memchr::memchr(b']', &self.input[from..]).map(|at| from + at);
                    match self.closed(end) {
                        Some(_) => Token::Literal(&self.input[from..self.pos]),
                        None => {
                            self.no_literal = true;
                            continue;
                        }
                    }
                }
                _ if is_special(byte) => {
                    self.pos += 1;
                    Token::Special(byte)
                }
                _ => {
                    let rest = &self.input[self.pos..];
                    let len = encoded_word::match_at(rest).map_or_else(|| word_len(rest), |word| word.len);
                    self.pos += len;
                    Token::Word(&rest[..len])
                }
            };
            return Some((token, space));
        }
    }
}

/// The length of a word. A backslash takes a special behind it into the word.
fn word_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if is_space(*byte) || is_special(*byte) {
            break;
        }
        let escapes = *byte == b'\\' && text.get(at + 1).is_some_and(|b| is_special(*b));
        at += if escapes { 2 } else { 1 };
    }
    at
}

pub(crate) const fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'<' | b'>' | b':' | b';' | b'@' | b',' | b'.' | b'(' | b')' | b'[' | b']' | b'"'
    )
}

/// Where the quoted string that opens at `from` closes.
pub(crate) fn quote_end(input: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', input.get(at..)?)?;
        if input[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Where the comment that opens at `from` closes; comments nest.
pub(crate) fn comment_end(input: &[u8], from: usize) -> Option<usize> {
    let mut depth = 1u64;
    let mut at = from + 1;
    loop {
        at += memchr::memchr3(b'(', b')', b'\\', input.get(at..)?)?;
        match input[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
        at += 1;
    }
}

/// The first token of a value, quotes and comments dropped.
pub(crate) fn token(value: &[u8]) -> &[u8] {
    let from = skip_cfws(value, 0);
    let value = value[from..].strip_prefix(b"\"").unwrap_or(&value[from..]);
    let end = value
        .iter()
        .position(|b| is_space(*b) || matches!(b, b'(' | b';' | b'"'))
        .unwrap_or(value.len());
    &value[..end]
}

/// The position behind white space and comments; a comment that is never closed reaches to the end.
pub(crate) fn skip_cfws(input: &[u8], mut at: usize) -> usize {
    while let Some(byte) = input.get(at) {
        match byte {
            b'(' => at = comment_end(input, at).map_or(input.len(), |end| end + 1),
            _ if is_space(*byte) => at += 1,
            _ => break,
        }
    }
    at
}

/// Appends the meaning of a quoted string or comment: quoted pairs resolved, folding and controls removed.
pub(crate) fn unquote_into(inner: &[u8], out: &mut Vec<u8>) {
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next() {
                Some(quoted) => quoted,
                None => break,
            },
            _ => byte,
        };
        if !matches!(byte, b'\r' | b'\n' | 0) {
            out.push(*byte);
        }
    }
}

/// The meaning of a quoted string or comment; see [`unquote_into`].
pub(crate) fn unquoted(inner: &[u8]) -> Cow<'_, [u8]> {
    if !inner.iter().any(|b| matches!(b, b'\\' | b'\r' | b'\n' | 0)) {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    unquote_into(inner, &mut out);
    Cow::Owned(out)
}

/// Octets without a charset as text.
pub(crate) fn text(octets: Cow<'_, [u8]>) -> Cow<'_, str> {
    match octets {
        Cow::Borrowed(octets) => charset::guess(octets),
        Cow::Owned(octets) => Cow::Owned(charset::guess(&octets).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(input: &str) -> Vec<Token<'_>> {
        Tokens::new(input.as_bytes()).map(|(token, _)| token).collect()
    }

    #[test]
    fn tokens_of_an_address() {
        assert_eq!(
            tokens("\"a\\\"b\" (c (d) \\)) <x.y@[1.2]>"),
            [
                Token::Quoted(b"a\\\"b"),
                Token::Comment(b"c (d) \\)"),
                Token::Special(b'<'),
                Token::Word(b"x"),
                Token::Special(b'.'),
                Token::Word(b"y"),
                Token::Special(b'@'),
                Token::Literal(b"[1.2]"),
                Token::Special(b'>'),
            ]
        );
    }

    #[test]
    fn what_is_never_closed_hides_nothing() {
        assert_eq!(tokens("\"a"), [Token::Special(b'"'), Token::Word(b"a")]);
        assert_eq!(tokens("(a"), [Token::Special(b'('), Token::Word(b"a")]);
        assert_eq!(tokens("[a"), [Token::Special(b'['), Token::Word(b"a")]);
        assert_eq!(quote_end(b"\"\\", 0), None);
        assert_eq!(comment_end(b"(\\", 0), None);
        assert_eq!(skip_cfws(b" (a", 0), 3);
    }

    #[test]
    fn an_encoded_word_is_one_word() {
        assert_eq!(
            tokens("=?utf-8?q?a,b@c?= <x>")[0],
            Token::Word(b"=?utf-8?q?a,b@c?=")
        );
    }
}
