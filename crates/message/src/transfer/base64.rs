//! base64 (RFC 2045 §6.8)

use crate::DefectKind;

use super::Found;

#[derive(Debug, Clone, Default)]
pub(super) struct Decoder {
    /// The symbols of an unfinished group.
    group: u32,
    count: u32,
    /// How many `=` the last group still wants.
    owed: u32,
    padded: bool,
    /// The line behind padding, as far as it came, and where it starts.
    behind: Vec<u8>,
    behind_at: u64,
    /// The line with the padding has ended.
    below: bool,
    /// What follows is no base64.
    over: bool,
    /// The last octet was no line end.
    in_line: bool,
}

/// Longer lines behind padding are looked at piece by piece: no line may be longer (RFC 5322 §2.1.1).
const MAX_BEHIND: usize = 1000;

/// Small enough to stay in the cache through the three looks that are taken at it.
const BLOCK: usize = 32 * 1024;

/// Less than this is not worth a search for a line end; lines are shorter (RFC 2045 §6.8).
const MIN_BULK: usize = 128;

impl Decoder {
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>, found: &mut Found) {
        let mut at = 0;
        while at < chunk.len() && !self.over {
            let mut block = &chunk[at..chunk.len().min(at + BLOCK)];
            // The library is fast on whole lines.
            if let Some(end) = memchr::memrchr(b'\n', block) {
                block = &block[..=end];
            }
            let clean = memchr::memchr(b'=', block).unwrap_or(block.len());
            let mut done = 0;
            if !self.padded {
                if self.in_line && clean > MIN_BULK {
                    let head = memchr::memchr(b'\n', &block[..MIN_BULK]);
                    while done < head.map_or(0, |end| end + 1) {
                        self.octet(block[done], at + done, out, found);
                        done += 1;
                    }
                }
                while done < clean && self.count > 0 {
                    self.octet(block[done], at + done, out, found);
                    done += 1;
                }
                if clean - done > 16 {
                    done += self.bulk(&block[done..clean], out);
                }
            }
            for (offset, byte) in block.iter().enumerate().skip(done) {
                self.octet(*byte, at + offset, out, found);
            }
            at += block.len();
            self.in_line = !block.ends_with(b"\n");
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>, found: &mut Found) {
        self.decide(out, found);
        if self.count == 1 {
            found.note(DefectKind::TruncatedBase64, 0);
        } else if self.count > 1 || self.owed > 0 {
            found.note(DefectKind::MissingPadding, 0);
        }
        self.flush(out);
        *self = Self::default();
    }

    /// Decodes all of `text`, which holds no padding, and gives how much that was: nothing where there is junk.
    fn bulk(&mut self, text: &[u8], out: &mut Vec<u8>) -> usize {
        // An unfinished group at the end is left for the next octets.
        let mut open = (text.len() - count_blanks(text)) % 4;
        let mut end = text.len();
        while open > 0 && end > 0 {
            end -= 1;
            open -= usize::from(text[end] > b' ');
        }
        match encodify::base64::MIME.decode_append(&text[..end], out) {
            Ok(_) => end,
            Err(_) => 0,
        }
    }

    /// Takes an octet behind padding.
    fn octet_behind(&mut self, byte: u8, at: usize, out: &mut Vec<u8>, found: &mut Found) {
        let is_open = !self.behind.is_empty();
        match VALUES[usize::from(byte)] {
            _ if self.over => {}
            SPACE if byte == b'\n' => {
                self.decide(out, found);
                self.below = true;
            }
            SPACE if !is_open => {}
            PAD if !is_open => match self.owed {
                0 => found.note(DefectKind::InvalidBase64, at),
                _ => self.owed -= 1,
            },
            _ => {
                if !is_open {
                    self.behind_at = found.at + at as u64;
                }
                self.behind.push(byte);
                if self.behind.len() == MAX_BEHIND {
                    self.decide(out, found);
                }
            }
        }
    }

    /// Decodes the line behind padding if it is base64, and ends the data if not; junk that follows the padding on its
    /// own line ends nothing.
    fn decide(&mut self, out: &mut Vec<u8>, found: &mut Found) {
        let line = self.behind.trim_ascii_end();
        if line.is_empty() {
            return;
        }
        let before = out.len();
        let (mut is_base64, mut is_padded) = (true, false);
        for group in line.chunks(4) {
            let Some((octets, len)) = whole_group(group) else {
                is_base64 = false;
                break;
            };
            out.extend_from_slice(&octets[..len]);
            is_padded = len < 3;
        }
        let kind = match is_base64 || self.below {
            true => DefectKind::DataAfterPadding,
            false => DefectKind::InvalidBase64,
        };
        found.note_at(kind, self.behind_at);
        if is_base64 {
            self.padded = is_padded;
            self.below = false;
        } else {
            out.truncate(before);
            self.over = self.below;
        }
        self.owed = 0;
        self.behind.clear();
    }

    fn octet(&mut self, byte: u8, at: usize, out: &mut Vec<u8>, found: &mut Found) {
        if self.padded {
            self.octet_behind(byte, at, out, found);
            return;
        }
        match VALUES[usize::from(byte)] {
            SPACE => {}
            OTHER => found.note(DefectKind::InvalidBase64, at),
            PAD => {
                match self.count {
                    0 => found.note(DefectKind::InvalidBase64, at),
                    1 => found.note(DefectKind::TruncatedBase64, at),
                    count => self.owed = 3 - count,
                }
                self.flush(out);
                (self.padded, self.below) = (true, false);
            }
            value => {
                self.group = self.group << 6 | u32::from(value);
                self.count += 1;
                if self.count == 4 {
                    out.extend_from_slice(&self.group.to_be_bytes()[1..]);
                    (self.group, self.count) = (0, 0);
                }
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        match self.count {
            2 => out.push((self.group >> 4) as u8),
            3 => out.extend_from_slice(&[(self.group >> 10) as u8, (self.group >> 2) as u8]),
            _ => {}
        }
        (self.group, self.count) = (0, 0);
    }
}

/// The octets that four symbols stand for, the last one or two of which may be padding, and how many they are.
fn whole_group(group: &[u8]) -> Option<([u8; 3], usize)> {
    let [first, second, third, fourth] = <[u8; 4]>::try_from(group).ok()?;
    let len = match (third, fourth) {
        (b'=', b'=') => 1,
        (_, b'=') => 2,
        _ => 3,
    };
    let mut bits = 0;
    for (i, symbol) in [first, second, third, fourth].into_iter().enumerate() {
        let value = match VALUES[usize::from(symbol)] {
            PAD if i > len => 0,
            value if value < 64 => value,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
    }
    let [_, octets @ ..] = bits.to_be_bytes();
    Some((octets, len))
}

/// How many octets are white space, or control characters: those are no base64 and found out later.
fn count_blanks(text: &[u8]) -> usize {
    // Sums that fit an octet let the compiler take many octets at a time.
    let of_piece = |piece: &[u8]| piece.iter().map(|b| u8::from(*b <= b' ')).sum::<u8>();
    text.chunks(128).map(|piece| usize::from(of_piece(piece))).sum()
}

const OTHER: u8 = 0xff;
const PAD: u8 = 0xfe;
const SPACE: u8 = 0xfd;

static VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [OTHER; 256];
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b'=' as usize] = PAD;
    table[b' ' as usize] = SPACE;
    table[b'\t' as usize] = SPACE;
    table[b'\r' as usize] = SPACE;
    table[b'\n' as usize] = SPACE;
    table[0x0b] = SPACE;
    table[0x0c] = SPACE;
    table
};
