//! The octets of a stored index
//!
//! ```text
//! magic "MWi" · version · parts u32 · fields u32 · defects u32 · Received count u32 · octets of the message u64
//! parts × PART octets · fields × FIELD octets · defects × DEFECT octets · records
//!
//! part:   header u48 · body u48 · end u48 · lines u48 · decoded size u48 · next u32 · first field u32 ·
//!         record u32 · depth u16 · kind u8 · encoding u8 · is text u8 · 0 u8
//! field:  start in the header u32 · length u32 · name length u16 · colon and line end u16
//! defect: kind u8 · offset u64
//! record: length · body structure · envelope, for the root of a message
//! ```
//!
//! All numbers are little-endian. 48 bits are enough for 256 TiB; the largest stands for what was not counted.
//! Numbers in records are LEB128. A string is its length plus one, and its octets;
//! zero is the string that is not there.

pub(crate) const MAGIC: [u8; 4] = [b'M', b'W', b'i', 2];
/// Of 48 bits, the number that stands for none.
pub(crate) const UNKNOWN: u64 = (1 << 48) - 1;

// What a part is.
pub(crate) const KIND_LEAF: u8 = 0;
pub(crate) const KIND_MULTIPART: u8 = 1;
pub(crate) const KIND_MESSAGE: u8 = 2;
pub(crate) const KIND_OPAQUE: u8 = 3;
/// A leaf in a digest: without a type, it would be a message.
pub(crate) const KIND_DIGEST_LEAF: u8 = 4;

// Where the numbers of a part are.
pub(crate) const HEADER: usize = 0;
pub(crate) const BODY: usize = 6;
pub(crate) const END: usize = 12;
pub(crate) const LINES: usize = 18;
pub(crate) const DECODED: usize = 24;
pub(crate) const NEXT: usize = 30;
pub(crate) const FIRST_FIELD: usize = 34;
pub(crate) const RECORD: usize = 38;
pub(crate) const DEPTH: usize = 42;
pub(crate) const KIND: usize = 44;
pub(crate) const ENCODING: usize = 45;
pub(crate) const IS_TEXT: usize = 46;

pub(crate) const HEAD: usize = 28;
pub(crate) const PART: usize = 48;
pub(crate) const FIELD: usize = 12;
pub(crate) const DEFECT: usize = 9;

/// Reads numbers at places that are known to exist; elsewhere they are 0.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a>(pub(crate) &'a [u8]);

impl Table<'_> {
    pub(crate) fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn u16(self, at: usize) -> u16 {
        self.get(at).map_or(0, u16::from_le_bytes)
    }

    pub(crate) fn u32(self, at: usize) -> u32 {
        self.get(at).map_or(0, u32::from_le_bytes)
    }

    pub(crate) fn u48(self, at: usize) -> u64 {
        let octets: [u8; 6] = self.get(at).unwrap_or_default();
        let [a, b, c, d, e, f] = octets;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }

    pub(crate) fn u64(self, at: usize) -> u64 {
        self.get(at).map_or(0, u64::from_le_bytes)
    }

    fn get<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }
}

/// Writes a number of 48 bits; one that is too large becomes the largest that is not [`UNKNOWN`].
pub(crate) fn set_u48(number: u64, at: usize, out: &mut [u8]) {
    let octets = number.min(UNKNOWN - 1).to_le_bytes();
    out[at..at + 6].copy_from_slice(&octets[..6]);
}

pub(crate) fn set_u32(number: u32, at: usize, out: &mut [u8]) {
    out[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// Appends to a record.
pub(crate) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a string without CR, LF and NUL, whatever it came from: no IMAP string could carry them.
pub(crate) fn put_string(string: Option<&[u8]>, out: &mut Vec<u8>) {
    match string {
        Some(string) if memchr::memchr3(b'\r', b'\n', 0, string).is_some() => {
            let clean: Vec<u8> = string
                .iter()
                .copied()
                .filter(|b| !matches!(b, b'\r' | b'\n' | 0))
                .collect();
            put_string(Some(&clean), out);
        }
        Some(string) => {
            put_number(string.len() as u64 + 1, out);
            out.extend_from_slice(string);
        }
        None => out.push(0),
    }
}

/// Puts the length of what `write` appends before it.
pub(crate) fn put_block(out: &mut Vec<u8>, scratch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    scratch.clear();
    write(scratch);
    put_number(scratch.len() as u64, out);
    out.extend_from_slice(scratch);
}

/// Reads a record. Damaged octets read as strings that are not there, and numbers that are 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Record<'a> {
    rest: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn number(&mut self) -> u64 {
        let mut number = 0;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return number;
            }
        }
        self.rest = &[];
        0
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.number().checked_sub(1)?;
        Some(self.take(len))
    }

    pub(crate) fn block(&mut self) -> Self {
        let len = self.number();
        Self { rest: self.take(len) }
    }

    fn take(&mut self, len: u64) -> &'a [u8] {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        put_number(u64::MAX, &mut out);
        put_string(Some(b"a\r\nb\0c"), &mut out);
        put_string(None, &mut out);
        put_block(&mut out, &mut scratch, |out| put_string(Some(b""), out));
        let mut record = Record::new(&out);
        assert_eq!(record.number(), u64::MAX);
        assert_eq!(record.string(), Some(&b"abc"[..]));
        assert_eq!(record.string(), None);
        assert_eq!(record.block().string(), Some(&b""[..]));
        assert!(record.is_empty());
    }

    #[test]
    fn damage_reads_as_nothing() {
        assert_eq!(Record::new(&[0xff; 20]).number(), 0);
        assert_eq!(Record::new(b"\x09ab").string(), Some(&b"ab"[..]));
        assert_eq!(Record::new(b"").string(), None);
        assert_eq!(Table(b"abc").u32(0), 0);
        assert_eq!(Table(b"abc").u8(9), 0);
    }
}
