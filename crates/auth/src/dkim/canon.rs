//! Canonicalization ([RFC 6376] §3.4)
//!
//! [RFC 6376]: https://www.rfc-editor.org/rfc/rfc6376

use crate::crypto::{Provider, Sha256};
use core::fmt;
use memchr::{memchr, memmem};
use std::borrow::Cow;

/// How a header or a body is brought into the form that is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
// RFC 6376 §3.4 has these two.
#[allow(clippy::exhaustive_enums)]
pub enum Canonicalization {
    /// Hardly any change on the way is forgiven.
    #[default]
    Simple,
    /// White space may change.
    Relaxed,
}

impl Canonicalization {
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"simple" => Some(Self::Simple),
            b"relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }

    /// Its name in `c=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for Canonicalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The hash of a body, as `bh=` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyHash {
    /// SHA-256 of the canonical body, or of its first octets if there is a limit.
    pub sha256: [u8; 32],
    /// How many octets the whole canonical body has.
    pub octets: u64,
}

/// Hashes a body that comes in pieces, in constant memory.
///
/// ```
/// use mailwright_auth::crypto::Ring;
/// use mailwright_auth::dkim::{BodyHasher, Canonicalization};
///
/// let mut hasher = BodyHasher::new(Canonicalization::Relaxed, None, &Ring::default());
/// hasher.push(b"Hi  Bob \r");
/// hasher.push(b"\n\r\n\r\n");
/// let hash = hasher.finish();
/// assert_eq!(hash.octets, "Hi Bob\r\n".len() as u64);
/// ```
#[derive(Debug)]
pub struct BodyHasher {
    canonicalizer: Canonicalizer,
    sink: Sink,
}

impl BodyHasher {
    /// Begins to hash; `limit` is the `l=` of a signature, in octets of the canonical body.
    pub fn new(canonicalization: Canonicalization, limit: Option<u64>, crypto: &dyn Provider) -> Self {
        Self {
            canonicalizer: Canonicalizer::new(canonicalization),
            sink: Sink::new(limit, crypto),
        }
    }

    /// Takes the next octets of the body, cut anywhere.
    pub fn push(&mut self, chunk: &[u8]) {
        self.canonicalizer
            .push(chunk, &mut |octets| self.sink.push(octets));
    }

    /// The body has ended.
    pub fn finish(mut self) -> BodyHash {
        self.canonicalizer.finish(&mut |octets| self.sink.push(octets));
        self.sink.finish()
    }
}

/// All hashes of one body that are wanted; each way of canonicalizing is gone through once.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    ways: Vec<(Canonicalization, Canonicalizer)>,
    sinks: Vec<(Canonicalization, Option<u64>, Sink)>,
}

impl Bodies {
    pub(crate) fn want(&mut self, way: Canonicalization, limit: Option<u64>, crypto: &dyn Provider) {
        if !self.ways.iter().any(|(known, _)| *known == way) {
            self.ways.push((way, Canonicalizer::new(way)));
        }
        if !self.sinks.iter().any(|(w, l, _)| (*w, *l) == (way, limit)) {
            self.sinks.push((way, limit, Sink::new(limit, crypto)));
        }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        for (way, canonicalizer) in &mut self.ways {
            let way = *way;
            canonicalizer.push(chunk, &mut |octets| {
                for (_, _, sink) in self.sinks.iter_mut().filter(|(w, _, _)| *w == way) {
                    sink.push(octets);
                }
            });
        }
    }

    /// The hashes, in no order.
    pub(crate) fn finish(mut self) -> Vec<(Canonicalization, Option<u64>, BodyHash)> {
        for (way, canonicalizer) in &mut self.ways {
            let way = *way;
            canonicalizer.finish(&mut |octets| {
                for (_, _, sink) in self.sinks.iter_mut().filter(|(w, _, _)| *w == way) {
                    sink.push(octets);
                }
            });
        }
        let finished = self.sinks.into_iter();
        finished
            .map(|(way, limit, sink)| (way, limit, sink.finish()))
            .collect()
    }
}

#[derive(Debug)]
struct Sink {
    hasher: Box<dyn Sha256>,
    /// Octets that are still hashed.
    left: u64,
    octets: u64,
}

impl Sink {
    fn new(limit: Option<u64>, crypto: &dyn Provider) -> Self {
        Self {
            hasher: crypto.sha256(),
            left: limit.unwrap_or(u64::MAX),
            octets: 0,
        }
    }

    fn push(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(octets.len());
        self.left -= take as u64;
        if take > 0 {
            self.hasher.update(&octets[..take]);
        }
    }

    fn finish(self) -> BodyHash {
        BodyHash {
            sha256: self.hasher.finish(),
            octets: self.octets,
        }
    }
}

/// What was held back: whether it belongs to the canonical body is not known before what follows it.
#[derive(Debug)]
struct Canonicalizer {
    way: Canonicalization,
    /// Line ends since the last octet that was handed on.
    line_ends: u64,
    /// White space after them, in relaxed form.
    space: bool,
    /// A CR after that, at the end of a chunk.
    cr: bool,
    /// Whether anything was handed on.
    any: bool,
}

impl Canonicalizer {
    fn new(way: Canonicalization) -> Self {
        Self {
            way,
            line_ends: 0,
            space: false,
            cr: false,
            any: false,
        }
    }

    fn push(&mut self, mut chunk: &[u8], out: &mut impl FnMut(&[u8])) {
        if self.cr {
            let Some(first) = chunk.first() else { return };
            self.cr = false;
            if *first == b'\n' {
                self.line_end();
                chunk = &chunk[1..];
            } else {
                self.hand_on(b"\r", out);
            }
        }
        match self.way {
            Canonicalization::Simple => self.push_simple(chunk, out),
            Canonicalization::Relaxed => self.push_relaxed(chunk, out),
        }
    }

    fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        if core::mem::take(&mut self.cr) {
            self.hand_on(b"\r", out);
        }
        // RFC 6376 §3.4.3 and §3.4.4: a body ends in one line end; nothing at all does in simple form only. White
        // space without a line end after it stands at the end of a line all the same.
        if self.any || self.way == Canonicalization::Simple {
            out(b"\r\n");
        }
    }

    /// All but the line ends at the end of the chunk is handed on as it is.
    fn push_simple(&mut self, mut chunk: &[u8], out: &mut impl FnMut(&[u8])) {
        if let [rest @ .., b'\r'] = chunk {
            self.cr = true;
            chunk = rest;
        }
        let mut line_ends = 0;
        while let [rest @ .., b'\r', b'\n'] = chunk {
            line_ends += 1;
            chunk = rest;
        }
        if !chunk.is_empty() {
            self.hand_on(chunk, out);
        }
        self.line_ends += line_ends;
    }

    /// Runs that stay as they are, single spaces and line ends within them included, are handed on whole.
    fn push_relaxed(&mut self, chunk: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut places = Places::new(chunk);
        let (mut start, mut at) = (0, 0);
        while let Some(special) = places.next(start, at) {
            let next = chunk.get(special + 1).copied();
            let in_run = special > start;
            match (chunk[special], next) {
                // A line end between octets that stay, stays too, and so does a CR that ends no line.
                (b'\r', Some(b'\n')) if in_run => {
                    let after = chunk.get(special + 2);
                    if after.is_some_and(|a| !matches!(a, b' ' | b'\t' | b'\r')) {
                        at = special + 2;
                        continue;
                    }
                }
                (b'\r', Some(_)) if in_run => {
                    at = special + 1;
                    continue;
                }
                _ => {}
            }
            if in_run {
                self.hand_on(&chunk[start..special], out);
            }
            at = special + 1;
            match (chunk[special], next) {
                (b'\r', Some(b'\n')) => {
                    self.line_end();
                    at += 1;
                }
                (b'\r', Some(_)) => self.hand_on(b"\r", out),
                (b'\r', None) => self.cr = true,
                _ => self.space = true,
            }
            start = at;
        }
        if start < chunk.len() {
            self.hand_on(&chunk[start..], out);
        }
    }

    fn line_end(&mut self) {
        self.line_ends += 1;
        self.space = false;
    }

    fn hand_on(&mut self, octets: &[u8], out: &mut impl FnMut(&[u8])) {
        while self.line_ends > 0 {
            let run =
                usize::try_from(self.line_ends).map_or(LINE_ENDS.len() / 2, |n| n.min(LINE_ENDS.len() / 2));
            out(&LINE_ENDS[..2 * run]);
            self.line_ends -= run as u64;
        }
        if core::mem::take(&mut self.space) {
            out(b" ");
        }
        out(octets);
        self.any = true;
    }
}

/// Finds the places of a chunk where relaxed form may differ from it: every CR, and white space but for single spaces
/// between octets that stay, which are most of what there is.
struct Places<'a> {
    chunk: &'a [u8],
    /// The next tab, where it is not behind the place looked at.
    tab: usize,
    /// The next two spaces, likewise.
    spaces: usize,
    two_spaces: memmem::Finder<'static>,
}

impl<'a> Places<'a> {
    fn new(chunk: &'a [u8]) -> Self {
        let two_spaces = memmem::Finder::new(b"  ");
        Self {
            chunk,
            tab: memchr(b'\t', chunk).unwrap_or(chunk.len()),
            spaces: two_spaces.find(chunk).unwrap_or(chunk.len()),
            two_spaces,
        }
    }

    /// The next place from `at` on, in a run that began at `start`.
    fn next(&mut self, start: usize, at: usize) -> Option<usize> {
        let rest = self.chunk.get(at..)?;
        let first = *rest.first()?;
        if start == at && matches!(first, b' ' | b'\t' | b'\r') {
            return Some(at);
        }
        let end = self.chunk.len();
        if self.tab < at {
            self.tab = memchr(b'\t', rest).map_or(end, |place| at + place);
        }
        if self.spaces < at {
            self.spaces = self.two_spaces.find(rest).map_or(end, |place| at + place);
        }
        let bound = self.tab.min(self.spaces);
        let mut place = memchr(b'\r', &self.chunk[at..bound]).map_or(bound, |place| at + place);
        // A space ahead of a line end, of a tab, or at the end of the chunk.
        if place > at && self.chunk[place - 1] == b' ' {
            place -= 1;
        }
        (place < end).then_some(place)
    }
}

/// Appends a field in canonical form, without its line end.
pub(crate) fn push_field(way: Canonicalization, name: &[u8], value: &[u8], raw: &[u8], out: &mut Vec<u8>) {
    match way {
        Canonicalization::Simple => out.extend_from_slice(without_line_end(raw)),
        Canonicalization::Relaxed => {
            out.extend(name.iter().map(u8::to_ascii_lowercase));
            out.push(b':');
            push_relaxed_value(value, out);
        }
    }
}

/// RFC 6376 §3.4.2: unfolded, runs of white space as one, none at either end.
fn push_relaxed_value(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut space = false;
    let mut rest = value;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match octet {
            b' ' | b'\t' => space = true,
            b'\r' if tail.first() == Some(&b'\n') => {}
            b'\n' => {}
            octet => {
                if core::mem::take(&mut space) && out.len() > start {
                    out.push(b' ');
                }
                out.push(octet);
            }
        }
    }
}

/// A field without the value of its `b=`, which stands at this range of its value.
pub(crate) fn without_signature<'a>(
    raw: &'a [u8],
    value: &'a [u8],
    b: core::ops::Range<usize>,
) -> (Cow<'a, [u8]>, Cow<'a, [u8]>) {
    // Both are slices of the same field, and `value` ends where `raw` has its line end.
    let value_at = value.as_ptr() as usize - raw.as_ptr() as usize;
    let cut_value = [&value[..b.start], &value[b.end..]].concat();
    let cut_raw = [&raw[..value_at + b.start], &raw[value_at + b.end..]].concat();
    (Cow::Owned(cut_raw), Cow::Owned(cut_value))
}

pub(crate) fn without_line_end(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

const LINE_ENDS: &[u8; 64] = b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\
\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
