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
}

/// Small enough to stay in the cache through the three looks that are taken at it.
const BLOCK: usize = 32 * 1024;

impl Decoder {
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>, found: &mut Found) {
        let mut at = 0;
        while at < chunk.len() {
            let block = &chunk[at..chunk.len().min(at + BLOCK)];
            let clean = memchr::memchr(b'=', block).unwrap_or(block.len());
            let mut done = 0;
            if !self.padded {
                while done < clean && self.count > 0 {
                    self.octet(block[done], at + done, out, found);
                    done += 1;
                }
                done += self.bulk(&block[done..clean], out);
            }
            for (offset, byte) in block.iter().enumerate().skip(done) {
                self.octet(*byte, at + offset, out, found);
            }
            at += block.len();
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>, found: &mut Found) {
        if self.count == 1 {
            found.note(DefectKind::TruncatedBase64, 0);
        } else if self.count > 1 || self.owed > 0 {
            found.note(DefectKind::MissingPadding, 0);
        }
        self.flush(out);
        *self = Self::default();
    }

    /// Decodes symbols and white space at the front of `text`, which holds no padding, and gives how far it got.
    fn bulk(&mut self, text: &[u8], out: &mut Vec<u8>) -> usize {
        if text.len() < 16 {
            return 0;
        }
        let from = out.len();
        let done = encodify::base64::MIME.decode_prefix(text, out);
        let symbols = done - text[..done].iter().filter(|b| is_space(**b)).count();
        // The library ends an unfinished group; here it may go on.
        out.truncate(from + symbols / 4 * 3);
        let open = symbols % 4;
        let mut at = done;
        let mut group = [0; 3];
        for place in (0..open).rev() {
            at -= 1;
            while is_space(text[at]) {
                at -= 1;
            }
            group[place] = VALUES[usize::from(text[at])];
        }
        for value in &group[..open] {
            self.group = self.group << 6 | u32::from(*value);
        }
        self.count = open as u32;
        done
    }

    fn octet(&mut self, byte: u8, at: usize, out: &mut Vec<u8>, found: &mut Found) {
        match VALUES[usize::from(byte)] {
            SPACE => {}
            OTHER => found.note(DefectKind::InvalidBase64, at),
            PAD => {
                match self.count {
                    0 if self.owed > 0 => self.owed -= 1,
                    0 => found.note(DefectKind::InvalidBase64, at),
                    1 => found.note(DefectKind::TruncatedBase64, at),
                    count => self.owed = 3 - count,
                }
                self.flush(out);
                self.padded = true;
            }
            value => {
                if self.padded {
                    found.note(DefectKind::DataAfterPadding, at);
                    (self.padded, self.owed) = (false, 0);
                }
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

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
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
