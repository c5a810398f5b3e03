//! Reading a response that may not be what the grammar says (RFC 3501 §9)

use bytes::Bytes;

/// A place in a response. Methods that give `None` may have moved: copy the cursor to come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    frame: &'a Bytes,
    at: usize,
    /// Quotes inside of quoted strings are not escaped: one ends where a space or parenthesis follows.
    loose_quotes: bool,
    /// How many quoted strings ended where none should.
    doubts: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(frame: &'a Bytes, at: usize) -> Self {
        Self {
            frame,
            at: at.min(frame.len()),
            loose_quotes: false,
            doubts: 0,
        }
    }

    pub(super) fn with_loose_quotes(self) -> Self {
        Self {
            loose_quotes: true,
            ..self
        }
    }

    pub(super) fn doubts(&self) -> u32 {
        self.doubts
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.frame[self.at..]
    }

    pub(super) fn rest_bytes(&self) -> Bytes {
        self.frame.slice(self.at..)
    }

    /// What lies between `start` and here.
    pub(super) fn since(&self, start: &Self) -> Bytes {
        self.frame.slice(start.at..self.at.max(start.at))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.frame.get(self.at).copied()
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.frame.len()
    }

    pub(super) fn skip(&mut self, n: usize) {
        self.at = self.at.saturating_add(n).min(self.frame.len());
    }

    pub(super) fn eat(&mut self, b: u8) -> bool {
        let there = self.peek() == Some(b);
        self.at += usize::from(there);
        there
    }

    /// Skips spaces, as many as there are, and line ends that do not belong there.
    pub(super) fn spaces(&mut self) -> &mut Self {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
        self
    }

    /// Everything up to a space, parenthesis or quote; may be empty.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = rest
            .iter()
            .position(|b| matches!(b, b' ' | b'(' | b')' | b'"' | b'\r' | b'\n'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub(super) fn eat_nil(&mut self) -> bool {
        let mut ahead = *self;
        let nil = ahead.word().eq_ignore_ascii_case(b"NIL");
        if nil {
            *self = ahead;
        }
        nil
    }

    /// A number; NIL and negative ones, which some servers send for what they do not know, are 0.
    pub(super) fn number(&mut self) -> Option<u64> {
        let start = *self.spaces();
        let quoted = self.eat(b'"');
        let word = self.word();
        if quoted && !self.eat(b'"') {
            *self = start;
            return None;
        }
        let text = std::str::from_utf8(word).ok()?;
        if text.eq_ignore_ascii_case("NIL")
            || text.strip_prefix('-').is_some_and(|n| n.parse::<u64>().is_ok())
        {
            return Some(0);
        }
        text.parse().ok()
    }

    /// A string in any form, or NIL.
    #[allow(clippy::option_option)] // outside: whether there is one; inside: whether it is NIL
    pub(super) fn nstring(&mut self) -> Option<Option<Bytes>> {
        self.spaces();
        match self.peek()? {
            b'"' => self.quoted().map(Some),
            b'{' => self.literal().map(Some),
            b'~' if self.rest().starts_with(b"~{") => {
                self.at += 1;
                self.literal().map(Some)
            }
            0 => {
                self.at += 1;
                Some(None)
            }
            _ if self.eat_nil() => Some(None),
            _ => {
                let start = *self;
                let word = self.word();
                (!word.is_empty()).then(|| Some(self.since(&start)))
            }
        }
    }

    /// A string; NIL is an empty one.
    pub(super) fn string(&mut self) -> Option<Bytes> {
        self.nstring().map(Option::unwrap_or_default)
    }

    fn quoted(&mut self) -> Option<Bytes> {
        let text = &self.frame[self.at + 1..];
        let mut escapes = false;
        let mut from = 0;
        let end = loop {
            let at = from + memchr::memchr2(b'"', b'\\', &text[from..])?;
            if text[at] == b'\\' && matches!(text.get(at + 1), Some(b'"' | b'\\')) {
                escapes = true;
                from = at + 2;
            } else if text[at] == b'"' && (!self.loose_quotes || may_end(&text[at + 1..])) {
                break at;
            } else {
                from = at + 1;
            }
        };
        let start = self.at + 1;
        self.at = start + end + 1;
        self.doubts += u32::from(!matches!(
            self.peek(),
            None | Some(b' ' | b'(' | b')' | b'\r' | b'\n')
        ));
        if !escapes {
            return Some(self.frame.slice(start..start + end));
        }
        let mut plain = Vec::with_capacity(end);
        let mut octets = text[..end].iter().copied().peekable();
        while let Some(b) = octets.next() {
            match (b, octets.peek()) {
                (b'\\', Some(&next @ (b'"' | b'\\'))) => {
                    plain.push(next);
                    octets.next();
                }
                _ => plain.push(b),
            }
        }
        Some(plain.into())
    }

    fn literal(&mut self) -> Option<Bytes> {
        let rest = self.rest();
        let close = rest.iter().take(24).position(|b| *b == b'}')?;
        let digits = rest[1..close].strip_suffix(b"+").unwrap_or(&rest[1..close]);
        let len: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let start = self.at + close + 3;
        let end = start.checked_add(len)?;
        if rest.get(close + 1..close + 3)? != b"\r\n" || end > self.frame.len() {
            return None;
        }
        self.at = end;
        Some(self.frame.slice(start..end))
    }

    /// Skips one value, whatever it is: a string, an atom, a list.
    pub(super) fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0u32;
        loop {
            self.spaces();
            match self.peek() {
                None => return None,
                Some(b'(') => {
                    self.at += 1;
                    depth += 1;
                }
                Some(b')') if depth == 0 => return None,
                Some(b')') => {
                    self.at += 1;
                    depth -= 1;
                }
                Some(_) => {
                    let start = *self;
                    if self.nstring().is_none() {
                        // What looks like a string and is none: an atom then.
                        *self = start;
                        self.at += 1;
                        self.word();
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Reads the items of a list in parentheses with `item` until it is closed. `None` if it is not opened,
    /// not closed, or an item gives `None`.
    pub(super) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.spaces();
        if !self.eat(b'(') {
            return None;
        }
        loop {
            self.spaces();
            if self.eat(b')') {
                return Some(());
            }
            let before = self.at;
            item(self)?;
            if self.at == before {
                return None;
            }
        }
    }
}

/// Whether a quoted string may end before `rest`: something else of the grammar begins there.
fn may_end(rest: &[u8]) -> bool {
    match rest {
        [] | [b'(' | b')', ..] | [b' '] => true,
        [b' ', next, ..] => {
            matches!(next, b'"' | b'(' | b')' | b'{' | b'~' | b' ' | b'0'..=b'9' | b'A'..=b'Z')
        }
        _ => false,
    }
}
