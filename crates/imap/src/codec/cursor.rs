//! The grammar's terminals, over a whole frame (RFC 3501 §9)

use crate::{Flag, Flags, Page, SeqNumber, SequenceSet, UidSet};
use bytes::Bytes;
use std::fmt;
use std::num::NonZeroU32;

/// A command does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// What was wrong, without any of the peer's octets.
    pub reason: &'static str,
    /// Where in the frame.
    pub offset: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.reason, self.offset)
    }
}

impl std::error::Error for ParseError {}

pub(super) type Result<T> = std::result::Result<T, ParseError>;

/// A place in a frame. A hand-written cursor rather than combinators: it knows where it failed, keeps strings
/// as slices of the frame, and bounds its own depth.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    frame: &'a Bytes,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(frame: &'a Bytes) -> Self {
        Self { frame, at: 0 }
    }

    pub(super) fn fail<T>(&self, reason: &'static str) -> Result<T> {
        Err(ParseError {
            reason,
            offset: self.at,
        })
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.frame[self.at..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.frame.get(self.at).copied()
    }

    pub(super) fn at_end(&self) -> bool {
        self.at == self.frame.len()
    }

    pub(super) fn eat(&mut self, b: u8) -> bool {
        let found = self.peek() == Some(b);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, b: u8, reason: &'static str) -> Result<()> {
        if self.eat(b) { Ok(()) } else { self.fail(reason) }
    }

    pub(super) fn sp(&mut self) -> Result<()> {
        self.expect(b' ', "a space is missing")
    }

    /// The end of the command. Blanks before it are harmless, and some clients send them.
    pub(super) fn end(&mut self) -> Result<()> {
        while self.eat(b' ') {}
        if self.at_end() {
            Ok(())
        } else {
            self.fail("there is more than the command takes")
        }
    }

    pub(super) fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|&b| !keep(b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    pub(super) fn slice(&self, part: &[u8]) -> Bytes {
        self.frame.slice_ref(part)
    }

    pub(super) fn atom(&mut self) -> Result<&'a str> {
        let text = self.take_while(is_atom_char);
        match std::str::from_utf8(text) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => self.fail("an atom is missing"),
        }
    }

    /// Takes `word`, in any case, if it stands here as a whole atom.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        let found = ahead
            .take_while(is_atom_char)
            .eq_ignore_ascii_case(word.as_bytes());
        if found {
            *self = ahead;
        }
        found
    }

    pub(super) fn astring(&mut self) -> Result<Bytes> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let text = self.take_while(is_astring_char);
                if text.is_empty() {
                    return self.fail("a string is missing");
                }
                Ok(self.slice(text))
            }
        }
    }

    pub(super) fn string(&mut self) -> Result<Bytes> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(false),
            _ => self.fail("a string is missing"),
        }
    }

    /// A string, or NIL.
    pub(super) fn nstring(&mut self) -> Result<Option<Bytes>> {
        if self.eat_word("NIL") {
            Ok(None)
        } else {
            self.string().map(Some)
        }
    }

    fn quoted(&mut self) -> Result<Bytes> {
        self.at += 1;
        let rest = self.rest();
        let mut escaped = false;
        let mut i = 0;
        loop {
            match rest.get(i) {
                Some(b'"') => break,
                Some(b'\\') if matches!(rest.get(i + 1), Some(b'"' | b'\\')) => {
                    escaped = true;
                    i += 2;
                }
                // Octets above 127 are let through: clients send UTF-8 here, and the user of the string checks.
                Some(b'\\' | 0 | b'\r' | b'\n') | None => {
                    self.at += i;
                    return self.fail("a quoted string is malformed");
                }
                Some(_) => i += 1,
            }
        }
        self.at += i + 1;
        let raw = &rest[..i];
        if !escaped {
            return Ok(self.slice(raw));
        }
        let mut text = Vec::with_capacity(raw.len());
        let mut octets = raw.iter();
        while let Some(&b) = octets.next() {
            text.push(if b == b'\\' {
                *octets.next().unwrap_or(&b)
            } else {
                b
            });
        }
        Ok(text.into())
    }

    /// A string, NIL, or a literal that may hold NUL (`literal8`, RFC 3516 §7).
    pub(super) fn nstring8(&mut self) -> Result<Option<Bytes>> {
        if self.rest().starts_with(b"~{") {
            self.at += 1;
            return self.literal(true).map(Some);
        }
        self.nstring()
    }

    fn literal(&mut self, binary: bool) -> Result<Bytes> {
        self.at += 1;
        let digits = self.take_while(|b| b.is_ascii_digit());
        let len = to_number(digits);
        self.eat(b'+');
        if !self.rest().starts_with(b"}\r\n") {
            return self.fail("a literal is malformed");
        }
        self.at += 3;
        match len
            .and_then(|n| usize::try_from(n).ok())
            .and_then(|n| self.rest().get(..n))
        {
            Some(octets) if binary || memchr::memchr(0, octets).is_none() => {
                self.at += octets.len();
                Ok(self.slice(octets))
            }
            _ => self.fail("a literal is malformed"),
        }
    }

    pub(super) fn number64(&mut self) -> Result<u64> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        match to_number(digits) {
            Some(n) => Ok(n),
            None => self.fail("a number is missing or too large"),
        }
    }

    pub(super) fn number(&mut self) -> Result<u32> {
        match u32::try_from(self.number64()?) {
            Ok(n) => Ok(n),
            Err(_) => self.fail("a number is too large"),
        }
    }

    pub(super) fn nz_number(&mut self) -> Result<NonZeroU32> {
        match NonZeroU32::new(self.number()?) {
            Some(n) => Ok(n),
            None => self.fail("a number must not be zero"),
        }
    }

    /// One message number or UID, or `*`.
    pub(super) fn seq_number(&mut self) -> Result<SeqNumber> {
        if self.eat(b'*') {
            return Ok(SeqNumber::Last);
        }
        self.nz_number().map(SeqNumber::Number)
    }

    /// A page of results (RFC 9394): `1:500`, or from the end `-1:-100`.
    pub(super) fn page(&mut self) -> Result<Page> {
        let from_end = self.eat(b'-');
        let first = self.nz_number()?;
        self.expect(b':', "a range is malformed")?;
        if self.eat(b'-') != from_end {
            return self.fail("a range cannot begin at one end and stop at the other");
        }
        let last = self.nz_number()?;
        Ok(match from_end {
            true => Page::from_end(first, last),
            false => Page::from_start(first, last),
        })
    }

    pub(super) fn sequence_set(&mut self) -> Result<SequenceSet> {
        let text = self.take_while(|b| matches!(b, b'0'..=b'9' | b':' | b',' | b'*' | b'$'));
        match SequenceSet::parse(text) {
            Some(set) => Ok(set),
            None => self.fail("a set of messages is malformed"),
        }
    }

    /// A set of UIDs without `*` (RFC 4315 `uid-set`, RFC 7162 `known-uids`).
    pub(super) fn uid_set(&mut self) -> Result<UidSet> {
        let set = self.sequence_set()?;
        let mut ranges = set.ranges();
        let last = |n| matches!(n, SeqNumber::Last);
        if set.is_saved() || ranges.any(|(a, b)| last(a) || last(b)) {
            return self.fail("a set of UIDs is malformed");
        }
        Ok(UidSet::from_ranges(set.bounded(0).map(|(a, b)| a..=b)))
    }

    /// A `mod-sequence-value`: 0 to 2^63 - 1.
    pub(super) fn mod_seq(&mut self) -> Result<u64> {
        match self.number64()? {
            n if n <= i64::MAX as u64 => Ok(n),
            _ => self.fail("a mod-sequence is too large"),
        }
    }

    /// Flags in parentheses.
    pub(super) fn flag_list(&mut self) -> Result<Flags> {
        self.expect(b'(', "a list of flags is missing")?;
        let mut flags = Flags::new();
        if !self.eat(b')') {
            flags = self.flags()?;
            self.expect(b')', "a list of flags is not closed")?;
        }
        Ok(flags)
    }

    /// One or more flags separated by spaces.
    pub(super) fn flags(&mut self) -> Result<Flags> {
        let mut flags = Flags::new();
        for _ in 0..MOST_FLAGS {
            let start = self.rest();
            let system = self.eat(b'\\');
            let name = self.atom()?;
            let text = &start[..name.len() + usize::from(system)];
            // `\Recent` cannot be set, and other unknown system flags are not permanent here: RFC 3501 §7.1
            // (PERMANENTFLAGS) lets a server ignore them. Clients that copy messages send both.
            flags.extend(std::str::from_utf8(text).ok().and_then(Flag::parse));
            if !self.eat(b' ') {
                return Ok(flags);
            }
        }
        self.fail("there are too many flags")
    }
}

/// A set of flags is kept in order: adding to it takes time in proportion to its size.
const MOST_FLAGS: usize = 500;

fn to_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits
        .iter()
        .try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')))
}

/// What an octet may stand in; looked up once per octet rather than compared with each special.
static CLASSES: [u8; 256] = classes();

const ATOM: u8 = 1;
const ASTRING: u8 = 2;
const LIST: u8 = 4;
const PLAIN: u8 = 8;

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut b = b' ';
    while b <= b'~' {
        classes[b as usize] = match b {
            b'"' | b'\\' => 0,
            b' ' | b'(' | b')' | b'{' => PLAIN,
            b'%' | b'*' => PLAIN | LIST,
            b']' => PLAIN | LIST | ASTRING,
            _ => PLAIN | LIST | ASTRING | ATOM,
        };
        b += 1;
    }
    classes
}

pub(crate) fn is_atom_char(b: u8) -> bool {
    CLASSES[usize::from(b)] & ATOM != 0
}

pub(super) fn is_astring_char(b: u8) -> bool {
    CLASSES[usize::from(b)] & ASTRING != 0
}

pub(super) fn is_list_char(b: u8) -> bool {
    CLASSES[usize::from(b)] & LIST != 0
}

/// What needs no escape in a quoted string.
pub(super) fn is_plain(b: u8) -> bool {
    CLASSES[usize::from(b)] & PLAIN != 0
}
