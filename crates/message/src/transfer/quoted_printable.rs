//! quoted-printable (RFC 2045 §6.7)

use crate::DefectKind;

use super::Found;

#[derive(Debug, Clone, Default)]
pub(super) struct Decoder {
    /// The end of the last chunk, when what it means depends on what comes: blanks, or the start of an escape.
    tail: Vec<u8>,
    /// A run of blanks was too long for any line, and is passed through.
    long_run: bool,
}

/// No line may be longer (RFC 5322 §2.1.1), so no longer run of blanks is held back.
const MAX_RUN: usize = 998;

impl Decoder {
    pub(super) fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>, found: &mut Found) {
        let mut at = found.at;
        if !self.tail.is_empty() {
            let mut text = std::mem::take(&mut self.tail);
            let kept = text.len();
            // So many octets decide what any tail means.
            text.extend_from_slice(&chunk[..chunk.len().min(MAX_RUN + 8)]);
            let done = self.decode(&text, at - kept as u64, out, found);
            if done < kept {
                text.drain(..done);
                self.tail = text;
                return;
            }
            chunk = &chunk[done - kept..];
            at += (done - kept) as u64;
        }
        let done = self.decode(chunk, at, out, found);
        self.tail.extend_from_slice(&chunk[done..]);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>, found: &mut Found) {
        let tail = std::mem::take(&mut self.tail);
        let at = found.at - tail.len() as u64;
        let content = trim_end(&tail);
        // The line end of a last soft break may belong to the delimiter of a multipart.
        if content != b"=" {
            if !content.is_empty() {
                found.note_at(DefectKind::TruncatedEscape, at);
            }
            out.extend_from_slice(content);
        }
        self.long_run = false;
    }

    /// Decodes all that is certain, and gives how much that was; `at` is the offset of `text`.
    fn decode(&mut self, text: &[u8], at: u64, out: &mut Vec<u8>, found: &mut Found) -> usize {
        out.reserve(text.len());
        let mut done = 0;
        if self.long_run {
            done = text.iter().take_while(|b| is_blank(**b)).count();
            out.extend_from_slice(&text[..done]);
            if done == text.len() {
                return done;
            }
            self.long_run = false;
        }
        while text.len() - done >= MIN_BULK {
            let block = &text[done..text.len().min(done + BLOCK)];
            let Some(end) = memchr::memrchr(b'\n', block) else {
                break;
            };
            let block = &block[..=end];
            if !bulk(block, out) {
                self.lines(block, at + done as u64, out, found);
            }
            done += block.len();
        }
        done += self.lines(&text[done..], at + done as u64, out, found);
        let line = &text[done..];
        let content = trim_end(line);
        let run = line.len() - content.len();
        let certain = if run > MAX_RUN {
            self.long_run = true;
            line.len()
        } else if run > 0 {
            content.len() - usize::from(content.ends_with(b"="))
        } else {
            match content {
                [.., b'='] => content.len() - 1,
                [.., b'=', digit] if hex(*digit).is_some() => content.len() - 2,
                _ => content.len(),
            }
        };
        decode_content(&line[..certain], at + done as u64, out, found);
        done + certain
    }

    /// Decodes the whole lines in `text`, and gives how long they are.
    fn lines(&self, text: &[u8], at: u64, out: &mut Vec<u8>, found: &mut Found) -> usize {
        let mut done = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            let line = &text[done..end];
            let from = at + done as u64;
            let content = trim_end(line);
            if line.len() - content.len() > MAX_RUN {
                decode_content(line, from, out, found);
                out.push(b'\n');
            } else if let Some(before) = content.strip_suffix(b"=") {
                if line.len() - content.len() > usize::from(line.ends_with(b"\r")) {
                    found.note_at(DefectKind::TrailingBlanks, from + content.len() as u64);
                }
                decode_content(before, from, out, found);
            } else {
                decode_content(content, from, out, found);
                if line.ends_with(b"\r") {
                    out.push(b'\r');
                }
                out.push(b'\n');
            }
            done = end + 1;
        }
        done
    }
}

/// Small enough to stay in the cache through the looks that are taken at it, large enough for most bodies.
const BLOCK: usize = 16 * 1024;

/// Less than this is not worth those looks.
const MIN_BULK: usize = 64;

/// Decodes whole lines that are as they should be with the library; does nothing where they are not.
fn bulk(block: &[u8], out: &mut Vec<u8>) -> bool {
    is_proper(block) && encodify::qp::BODY.strict().decode_append(block, out).is_ok()
}

/// Whether there is nothing in whole lines that wants a defect, or that the library reads in another way: 8-bit octets,
/// CRs that are in no line end, escapes in small letters, blanks behind an `=`, and long runs of blanks.
fn is_proper(block: &[u8]) -> bool {
    let Some(behind) = block.get(2..) else {
        return false;
    };
    // No way out in between: so the compiler looks at many octets at a time.
    let mut odd = 0;
    for ((first, second), third) in block.iter().zip(&block[1..]).zip(behind) {
        let is_escape = u8::from(*first == b'=');
        let is_small = |b: u8| u8::from(b.wrapping_sub(b'a') < 6);
        let is_blank = u8::from(*second == b' ') | u8::from(*second == b'\t');
        odd |= is_escape & (is_small(*second) | is_small(*third) | is_blank);
        odd |= u8::from(*first == b'\r') & u8::from(*second != b'\n');
        odd |= first >> 7;
    }
    // The last octet is the line end.
    let before_last = block[block.len() - 2];
    let mut start = 0;
    odd == 0
        && before_last.is_ascii()
        && memchr::memchr_iter(b'\n', block).all(|end| {
            let len = end - start;
            start = end + 1;
            len <= MAX_RUN
        })
}

/// Decodes the escapes in a piece of a line; none reaches beyond it.
fn decode_content(mut content: &[u8], mut at: u64, out: &mut Vec<u8>, found: &mut Found) {
    if !content.is_ascii() {
        let ascii = content.iter().take_while(|b| b.is_ascii()).count();
        found.note_at(DefectKind::EightBitInEncoded, at + ascii as u64);
    }
    while let Some(equals) = memchr::memchr(b'=', content) {
        out.extend_from_slice(&content[..equals]);
        let (byte, len) = match escape(&content[equals + 1..]) {
            Some(byte) => {
                if content[equals + 1..equals + 3].iter().any(u8::is_ascii_lowercase) {
                    found.note_at(DefectKind::LowercaseEscape, at + equals as u64);
                }
                (byte, 3)
            }
            None => {
                found.note_at(DefectKind::InvalidEscape, at + equals as u64);
                (b'=', 1)
            }
        };
        out.push(byte);
        content = &content[equals + len..];
        at += (equals + len) as u64;
    }
    out.extend_from_slice(content);
}

/// The octet that two hexadecimal digits at the front stand for.
pub(crate) fn escape(digits: &[u8]) -> Option<u8> {
    match digits {
        [high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| !is_blank(*b));
    &line[..end.map_or(0, |at| at + 1)]
}
