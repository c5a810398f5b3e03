//! Messages on their way out: dots for DATA, counted chunks for BDAT (RFC 5321 §4.5.2, RFC 3030 §2)

use super::BareNewlines;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use mailwright_wire::{DotEncoder, SendBuf};
use std::collections::VecDeque;
use std::fmt::Write;

/// A message that is being sent.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// Looks after line ends; `None` where any octets may travel, or where the encoder of dots does it.
    lines: Option<Lines>,
    ended: bool,
}

#[derive(Debug)]
enum Framing {
    Dots(DotEncoder),
    Chunks {
        pending: VecDeque<Bytes>,
        /// Octets in `pending`.
        len: u64,
        /// Octets of a full chunk.
        size: u64,
    },
}

/// A CR or LF that is not part of a CRLF, where the policy forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BareNewline;

impl Body {
    /// A message behind DATA.
    pub(super) fn dots(policy: BareNewlines) -> Self {
        Self {
            framing: Framing::Dots(DotEncoder::new()),
            lines: (policy == BareNewlines::Refuse).then(|| Lines::new(policy)),
            ended: false,
        }
    }

    /// A message in chunks of `size` octets; a binary one travels as it is.
    pub(super) fn chunks(size: u64, policy: BareNewlines, binary: bool) -> Self {
        Self {
            framing: Framing::Chunks {
                pending: VecDeque::new(),
                len: 0,
                size: size.max(1),
            },
            lines: (!binary).then(|| Lines::new(policy)),
            ended: false,
        }
    }

    /// Takes a piece.
    pub(super) fn push(&mut self, data: Bytes, tx: &mut SendBuf) -> Result<(), BareNewline> {
        let framing = &mut self.framing;
        match &mut self.lines {
            Some(lines) => lines.pass(data, |piece| framing.put(piece, tx)),
            None => {
                framing.put(data, tx);
                Ok(())
            }
        }
    }

    /// Takes the end.
    pub(super) fn finish(&mut self, tx: &mut SendBuf) -> Result<(), BareNewline> {
        let framing = &mut self.framing;
        if let Some(lines) = &mut self.lines {
            lines.finish(|piece| framing.put(piece, tx))?;
        }
        if let Framing::Dots(encoder) = framing {
            std::mem::take(encoder).finish(tx);
        }
        self.ended = true;
        Ok(())
    }

    /// Whether it is counted, not dotted.
    pub(super) fn is_chunked(&self) -> bool {
        matches!(self.framing, Framing::Chunks { .. })
    }

    /// Whether its end was taken.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether there is room for more of it.
    pub(super) fn wants_more(&self) -> bool {
        !self.ended
            && match &self.framing {
                Framing::Dots(_) => true,
                Framing::Chunks { len, size, .. } => len < size,
            }
    }

    /// Whether the next chunk is the last.
    pub(super) fn is_last_due(&self) -> bool {
        self.ended && matches!(&self.framing, Framing::Chunks { len, size, .. } if len <= size)
    }

    /// Queues a chunk with its command, if one is due; whether it is the last.
    pub(super) fn next_chunk(&mut self, tx: &mut SendBuf) -> Option<bool> {
        let Framing::Chunks { pending, len, size } = &mut self.framing else {
            return None;
        };
        if !self.ended && *len < *size {
            return None;
        }
        let mut rest = (*len).min(*size);
        *len -= rest;
        let last = self.ended && *len == 0;
        let mark = if last { " LAST" } else { "" };
        write!(tx, "BDAT {rest}{mark}\r\n").expect("a send buffer takes all text");
        while rest > 0 {
            let mut piece = pending.pop_front().expect("the octets were counted");
            let n = usize::try_from(rest).unwrap_or(usize::MAX).min(piece.len());
            rest -= n as u64;
            tx.put_bytes(piece.split_to(n));
            if !piece.is_empty() {
                pending.push_front(piece);
            }
        }
        Some(last)
    }
}

impl Framing {
    fn put(&mut self, data: Bytes, tx: &mut SendBuf) {
        match self {
            Self::Dots(encoder) => encoder.encode(data, tx),
            Self::Chunks { pending, len, .. } => {
                *len += data.len() as u64;
                match pending.back_mut() {
                    // Many small pieces are kept as one, or their bookkeeping outweighs them.
                    Some(last) if data.len() < GATHERED && last.len() < GATHERED => {
                        let mut joined = BytesMut::with_capacity(last.len() + data.len());
                        joined.put_slice(last);
                        joined.put_slice(&data);
                        *last = joined.freeze();
                    }
                    _ if data.is_empty() => {}
                    _ => pending.push_back(data),
                }
            }
        }
    }
}

/// Pieces of a chunk that are shorter are copied together.
const GATHERED: usize = 512;

/// Mends or refuses line ends that are not CRLF, however the text is cut.
#[derive(Debug)]
struct Lines {
    policy: BareNewlines,
    /// At the start of a line.
    bol: bool,
    /// A CR was held back at the end of the last piece.
    cr: bool,
}

const CRLF: &[u8] = b"\r\n";

impl Lines {
    fn new(policy: BareNewlines) -> Self {
        Self {
            policy,
            bol: true,
            cr: false,
        }
    }

    fn pass(&mut self, mut data: Bytes, mut out: impl FnMut(Bytes)) -> Result<(), BareNewline> {
        if data.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.cr) {
            if data[0] == b'\n' {
                data.advance(1);
            } else if self.policy == BareNewlines::Refuse {
                return Err(BareNewline);
            }
            out(Bytes::from_static(CRLF));
            self.bol = true;
        }
        if data.last() == Some(&b'\r') {
            // Its LF may come with the next piece.
            data.truncate(data.len() - 1);
            self.cr = true;
        }
        if data.is_empty() {
            return Ok(());
        }
        let bare = has_bare_newline(&data);
        if bare && self.policy == BareNewlines::Refuse {
            return Err(BareNewline);
        }
        let data = if bare { mend(&data) } else { data };
        self.bol = data.ends_with(CRLF);
        out(data);
        Ok(())
    }

    /// Completes the last line.
    fn finish(&mut self, mut out: impl FnMut(Bytes)) -> Result<(), BareNewline> {
        if self.cr && self.policy == BareNewlines::Refuse {
            return Err(BareNewline);
        }
        if self.cr || !self.bol {
            out(Bytes::from_static(CRLF));
        }
        Ok(())
    }
}

fn has_bare_newline(data: &[u8]) -> bool {
    let mut pairs = 0;
    for lf in memchr::memchr_iter(b'\n', data) {
        if lf == 0 || data[lf - 1] != b'\r' {
            return true;
        }
        pairs += 1;
    }
    memchr::memchr_iter(b'\r', data).count() > pairs
}

/// A copy with every bare CR and every bare LF made a CRLF.
fn mend(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + data.len() / 32 + 16);
    let mut from = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', data) {
        // The LF of a CRLF that is behind already.
        if at < from {
            continue;
        }
        out.put_slice(&data[from..at]);
        out.put_slice(CRLF);
        from = at + if data[at..].starts_with(CRLF) { 2 } else { 1 };
    }
    out.put_slice(&data[from..]);
    out.freeze()
}
