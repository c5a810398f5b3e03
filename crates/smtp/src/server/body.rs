//! A message on its way in, by DATA or by BDAT (RFC 5321 §4.1.1.4, RFC 3030 §2)

use super::{Aborted, BareNewlines, Limits};
use crate::Rejection;
use crate::chunking::Chunk;
use bytes::{BufMut, Bytes, BytesMut};
use mailwright_wire::{self as wire, Counted, DotDecoder, DotPiece, RecvBuf};

/// A step of a message.
pub(super) enum Received {
    /// Octets to hand on.
    Body(Bytes),
    /// Octets were dropped.
    Dropped,
    /// A chunk of this many octets is complete, and others follow.
    Chunk(u64),
    /// The message is complete.
    Complete { size: u64 },
    /// The message, or the chunk with which it went wrong, is complete; it is refused.
    Refused(Rejection, Aborted),
}

/// A message that comes by DATA.
#[derive(Debug)]
pub(super) struct Receiving {
    dot: DotDecoder,
    tally: Tally,
}

impl Receiving {
    pub(super) fn new(bare_newlines: BareNewlines, limits: &Limits) -> Self {
        let policy = match bare_newlines {
            BareNewlines::Refuse => wire::BareNewlines::Keep,
            BareNewlines::Normalise => wire::BareNewlines::Normalise,
        };
        Self {
            dot: DotDecoder::new(policy),
            tally: Tally::new(bare_newlines, limits),
        }
    }

    pub(super) fn refuse(&mut self, rejection: Rejection, why: Aborted) {
        self.tally.refuse(rejection, why);
    }

    /// The next step; `None` when more input is needed.
    pub(super) fn next(&mut self, rx: &mut RecvBuf) -> Option<Received> {
        match self.dot.next(rx)? {
            DotPiece::Data(data) => {
                let check = self.dot.saw_bare_newline();
                Some(self.tally.take(data, check))
            }
            DotPiece::End => Some(self.tally.end()),
        }
    }
}

/// A message that comes by BDAT.
#[derive(Debug)]
pub(super) struct Chunks {
    tally: Tally,
    /// Any octets may come: BODY=BINARYMIME.
    binary: bool,
    /// A CR stood at the end of what came, and is held back: its LF may follow.
    cr: bool,
    chunk: Chunk,
    left: Counted,
}

impl Chunks {
    pub(super) fn new(binary: bool, bare_newlines: BareNewlines, limits: &Limits) -> Self {
        Self {
            tally: Tally::new(bare_newlines, limits),
            binary,
            cr: false,
            chunk: Chunk { size: 0, last: false },
            left: Counted::new(0),
        }
    }

    pub(super) fn begin(&mut self, chunk: Chunk) {
        self.chunk = chunk;
        self.left = Counted::new(chunk.size);
        // RFC 3030 §2: its octets come in any case.
        if chunk.size > self.tally.room() {
            self.refuse(Rejection::TOO_BIG, Aborted::TooBig);
        }
    }

    pub(super) fn refuse(&mut self, rejection: Rejection, why: Aborted) {
        self.tally.refuse(rejection, why);
    }

    /// Whether the message ends with this chunk.
    pub(super) fn is_last(&self) -> bool {
        self.chunk.last
    }

    /// The next step; `None` when more input is needed.
    pub(super) fn next(&mut self, rx: &mut RecvBuf) -> Option<Received> {
        if self.left.is_done() {
            return Some(self.end_chunk());
        }
        let data = self.left.next(rx)?;
        let data = if self.binary { data } else { self.whole_lines(data) };
        Some(match data.is_empty() {
            true => Received::Dropped,
            false => self.tally.text(data, self.binary),
        })
    }

    fn end_chunk(&mut self) -> Received {
        if self.chunk.last && std::mem::take(&mut self.cr) {
            return self.tally.text(Bytes::from_static(b"\r"), self.binary);
        }
        if self.tally.verdict.is_some() || self.chunk.last {
            return self.tally.end();
        }
        Received::Chunk(self.chunk.size)
    }

    /// Holds a last CR back, so that no CRLF is cut in two.
    fn whole_lines(&mut self, mut data: Bytes) -> Bytes {
        let held = std::mem::take(&mut self.cr);
        if data.ends_with(b"\r") {
            data.truncate(data.len() - 1);
            self.cr = true;
        }
        if !held {
            return data;
        }
        let mut whole = BytesMut::with_capacity(data.len() + 1);
        whole.put_u8(b'\r');
        whole.put_slice(&data);
        whole.freeze()
    }
}

/// How much came, and whether it is to be refused.
#[derive(Debug)]
struct Tally {
    bare_newlines: BareNewlines,
    /// Octets of the message handed on so far.
    size: u64,
    limit: u64,
    /// Set once the message is to be refused; its octets are dropped from there on.
    verdict: Option<(Rejection, Aborted)>,
}

impl Tally {
    fn new(bare_newlines: BareNewlines, limits: &Limits) -> Self {
        Self {
            bare_newlines,
            size: 0,
            limit: match limits.message_size {
                0 => u64::MAX,
                limit => limit,
            },
            verdict: None,
        }
    }

    /// Decides the message's fate before its end; the first such decision stands.
    fn refuse(&mut self, rejection: Rejection, why: Aborted) {
        self.verdict.get_or_insert((rejection, why));
    }

    fn room(&self) -> u64 {
        self.limit - self.size
    }

    /// Text that was not looked at yet.
    fn text(&mut self, mut data: Bytes, binary: bool) -> Received {
        let bare = !binary && self.verdict.is_none() && first_bare_newline(&data).is_some();
        if bare && self.bare_newlines == BareNewlines::Normalise {
            data = normalise(&data);
        }
        self.take(data, bare)
    }

    /// Hands on what comes before the first fault, so that it does not depend on how the input was cut.
    fn take(&mut self, mut data: Bytes, may_be_bare: bool) -> Received {
        if self.verdict.is_some() {
            return Received::Dropped;
        }
        if self.bare_newlines == BareNewlines::Refuse
            && may_be_bare
            && let Some(at) = first_bare_newline(&data)
        {
            data.truncate(at);
            self.refuse(Rejection::BARE_NEWLINE, Aborted::BareNewline);
        }
        if data.len() as u64 > self.room() {
            data.truncate(usize::try_from(self.room()).unwrap_or(usize::MAX));
            self.verdict = Some((Rejection::TOO_BIG, Aborted::TooBig));
        }
        self.size += data.len() as u64;
        match data.is_empty() {
            true => Received::Dropped,
            false => Received::Body(data),
        }
    }

    fn end(&mut self) -> Received {
        match self.verdict.take() {
            Some((rejection, why)) => Received::Refused(rejection, why),
            None => Received::Complete { size: self.size },
        }
    }
}

/// Where the first CR or LF outside of a CRLF is; no CRLF is cut in two.
fn first_bare_newline(data: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'\r', b'\n', data).find(|&at| match data[at] {
        b'\r' => data.get(at + 1) != Some(&b'\n'),
        _ => at == 0 || data[at - 1] != b'\r',
    })
}

/// Makes every bare CR and bare LF a CRLF.
fn normalise(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 64);
    let mut from = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', data) {
        if at < from {
            continue;
        }
        out.put_slice(&data[from..at]);
        out.put_slice(b"\r\n");
        from = at + if data[at..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    out.put_slice(&data[from..]);
    out.freeze()
}
