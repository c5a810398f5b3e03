//! Content transfer encodings (RFC 2045 §6)
//!
//! Decoding never fails. base64 shrinks by a quarter or more, yEnc, quoted-printable and BinHex's text form never grow; of
//! uuencode a line whose last blanks were lost is filled up to the 63 octets at most that it says. So no body is a bomb.
//! What was odd is told as [`Defect`]s, the first of each kind with its offset in the encoded octets.

mod base64;
mod encode;
mod quoted_printable;
pub mod uu;
pub mod yenc;

use std::borrow::Cow;

use crate::{Defect, DefectKind};

pub(crate) use encode::push_escape;
pub use encode::{Encoder, encode_base64, encode_quoted_printable};
pub(crate) use quoted_printable::escape;

/// How a body is encoded for transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// 7bit, 8bit, binary, or none named.
    #[default]
    Identity,
    /// `quoted-printable`
    QuotedPrintable,
    /// `base64`
    Base64,
    /// An encoding this crate does not know. RFC 2045 §6.4: such a body is opaque octets.
    Unknown,
    /// `x-uuencode`, `uuencode` and other names of it.
    Uuencode,
    /// `x-yencode` and other names of it.
    Yenc,
}

impl Encoding {
    /// Removes the encoding from a whole body; borrows where there is none.
    pub fn decode<'a>(self, body: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::Identity | Self::Unknown => Cow::Borrowed(body),
            _ => Cow::Owned(decode_whole(self, body)),
        }
    }

    /// A decoder for a body that comes in pieces.
    pub fn decoder(self) -> Decoder {
        Decoder::new(self)
    }
}

/// Removes a transfer encoding from a body that comes in chunks of any size.
///
/// What comes out is the same for every way to cut the input. At most about 2 KiB are kept between chunks.
///
/// ```
/// use mailwright_message::transfer::{Decoder, Encoding};
///
/// let mut decoder = Decoder::new(Encoding::Base64);
/// let mut out = Vec::new();
/// for chunk in [&b"aGVs"[..], b"b\r\n", b"G8"] {
///     decoder.push(chunk, &mut out);
/// }
/// decoder.finish(&mut out);
/// assert_eq!(out, b"hello");
/// assert_eq!(decoder.defects().len(), 1, "the padding is missing");
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    found: Found,
}

#[derive(Debug, Clone)]
enum State {
    Identity,
    Base64(base64::Decoder),
    QuotedPrintable(quoted_printable::Decoder),
    Uuencode(uu::Decoder),
    Yenc(yenc::Decoder),
}

impl Decoder {
    /// A decoder at the start of a body.
    pub fn new(encoding: Encoding) -> Self {
        let mut found = Found::default();
        let state = match encoding {
            Encoding::Identity => State::Identity,
            Encoding::Unknown => {
                found.note(DefectKind::UnknownEncoding, 0);
                State::Identity
            }
            Encoding::Base64 => State::Base64(base64::Decoder::default()),
            Encoding::QuotedPrintable => State::QuotedPrintable(quoted_printable::Decoder::default()),
            Encoding::Uuencode => State::Uuencode(uu::Decoder::default()),
            Encoding::Yenc => State::Yenc(yenc::Decoder::default()),
        };
        Self { state, found }
    }

    /// Takes the next octets of the body, and appends to `out` what they give.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(chunk),
            State::Base64(decoder) => decoder.push(chunk, out, &mut self.found),
            State::QuotedPrintable(decoder) => decoder.push(chunk, out, &mut self.found),
            State::Uuencode(decoder) => decoder.push(chunk, out, &mut self.found),
            State::Yenc(decoder) => decoder.push(chunk, out, &mut self.found),
        }
        self.found.at += chunk.len() as u64;
    }

    /// Ends the body, and appends what was still open. The decoder is at the start of another body then, of
    /// which the offsets of defects go on.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => {}
            State::Base64(decoder) => decoder.finish(out, &mut self.found),
            State::QuotedPrintable(decoder) => decoder.finish(out, &mut self.found),
            State::Uuencode(decoder) => decoder.finish(out, &mut self.found),
            State::Yenc(decoder) => decoder.finish(out, &mut self.found),
        }
    }

    /// What was odd so far: the first of each kind, its offset counted from the start of the encoded body.
    pub fn defects(&self) -> &[Defect] {
        &self.found.list
    }
}

fn decode_whole(encoding: Encoding, body: &[u8]) -> Vec<u8> {
    let room = match encoding {
        Encoding::Base64 => body.len() / 4 * 3 + 8,
        _ => body.len(),
    };
    let mut out = Vec::with_capacity(room);
    let mut decoder = Decoder::new(encoding);
    decoder.push(body, &mut out);
    decoder.finish(&mut out);
    out
}

/// Decodes base64 and never fails: octets outside of the alphabet are skipped, and a last group that is too short
/// gives what it can. Behind padding, lines that are base64 are decoded too; what else follows is left out.
pub fn decode_base64(input: &[u8]) -> Vec<u8> {
    decode_whole(Encoding::Base64, input)
}

/// Decodes quoted-printable and never fails: an `=` that starts no escape stays as it is, soft line breaks may
/// have blanks before their line end, and blanks at the end of a line are dropped (RFC 2045 §6.7 rule 3).
pub fn decode_quoted_printable(input: &[u8]) -> Vec<u8> {
    decode_whole(Encoding::QuotedPrintable, input)
}

/// Where a file in BinHex 4.0 (RFC 1741) starts in a text: its first data line, which opens with a colon.
///
/// The line before it is the one that every encoder writes; only blank lines may stand between.
pub fn find_binhex(text: &[u8]) -> Option<usize> {
    const MARK: &[u8] = b"(This file must be converted with BinHex";
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text[from..], MARK) {
        let at = from + at;
        from = at + MARK.len();
        if at > 0 && text[at - 1] != b'\n' {
            continue;
        }
        let line_end = memchr::memchr(b'\n', &text[from..])?;
        let behind = &text[from + line_end + 1..];
        let blank = behind.iter().take_while(|b| b.is_ascii_whitespace()).count();
        if behind.get(blank) == Some(&b':') {
            return Some(from + line_end + 1 + blank);
        }
        // Blanks that were looked at need no second look.
        from += line_end + 1 + blank;
    }
    None
}

/// Oddities: the first of each kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Where the current chunk starts.
    pub(crate) at: u64,
    list: Vec<Defect>,
}

impl Found {
    /// Notes an oddity at an offset in the current chunk.
    pub(crate) fn note(&mut self, kind: DefectKind, offset: usize) {
        self.note_at(kind, self.at + offset as u64);
    }

    pub(crate) fn into_list(self) -> Vec<Defect> {
        self.list
    }

    pub(crate) fn note_at(&mut self, kind: DefectKind, offset: u64) {
        if !self.list.iter().any(|defect| defect.kind == kind) {
            self.list.push(Defect::new(kind, offset));
        }
    }
}
