//! Reports as they are sent: gzip (RFC 1952), and ZIP as others do

use core::fmt;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

/// Why a report cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackError {
    /// It is neither XML, gzip nor ZIP.
    Unknown,
    /// The archive is damaged, or of a kind that is not known.
    Damaged,
    /// Unpacked, it is larger than allowed.
    TooLarge,
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "neither XML, gzip nor ZIP",
            Self::Damaged => "damaged archive",
            Self::TooLarge => "larger than allowed when unpacked",
        })
    }
}

impl core::error::Error for PackError {}

/// Packs a report as RFC 9990 wants it sent.
pub fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(compress_to_vec(octets, 6));
    out.extend(crc32(octets).to_le_bytes());
    // RFC 1952 §2.3.1: the size modulo 2^32.
    out.extend((octets.len() as u64 as u32).to_le_bytes());
    out
}

/// Unpacks a report: gzip, the first file of a ZIP archive, or XML as it is. No more than `max` octets are unpacked,
/// whatever the archive says of itself.
///
/// # Errors
///
/// When it is none of these, damaged, or too large.
pub fn unpack(octets: &[u8], max: usize) -> Result<Vec<u8>, PackError> {
    if octets.starts_with(&[0x1f, 0x8b]) {
        return gunzip(octets, max);
    }
    if octets.starts_with(b"PK\x03\x04") {
        return unzip(octets, max);
    }
    let text = octets
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(octets)
        .trim_ascii_start();
    match text.first() {
        Some(b'<') if text.len() <= max => Ok(text.to_vec()),
        Some(b'<') => Err(PackError::TooLarge),
        _ => Err(PackError::Unknown),
    }
}

fn gunzip(octets: &[u8], max: usize) -> Result<Vec<u8>, PackError> {
    let [_, _, 8, flags, _, _, _, _, _, _, rest @ ..] = octets else {
        return Err(PackError::Damaged);
    };
    let mut rest = rest;
    let skip_text = |rest: &[u8]| rest.iter().position(|b| *b == 0).map(|end| end + 1);
    if flags & 4 != 0 {
        let len = usize::from(number(rest, 0, 2).ok_or(PackError::Damaged)? as u16);
        rest = rest.get(2 + len..).ok_or(PackError::Damaged)?;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            rest = &rest[skip_text(rest).ok_or(PackError::Damaged)?..];
        }
    }
    if flags & 2 != 0 {
        rest = rest.get(2..).ok_or(PackError::Damaged)?;
    }
    let end = rest.len().checked_sub(8).ok_or(PackError::Damaged)?;
    let out = inflate(&rest[..end], max)?;
    match number(rest, end, 4) == Some(crc32(&out)) {
        true => Ok(out),
        false => Err(PackError::Damaged),
    }
}

/// The first file of the central directory: the local header need not tell the size of its own.
fn unzip(octets: &[u8], max: usize) -> Result<Vec<u8>, PackError> {
    let damaged = PackError::Damaged;
    // The record at the end has 22 octets, and a comment of at most 65,535.
    let from = octets.len().saturating_sub(22 + 0xffff);
    let end = memchr::memmem::rfind(&octets[from..], b"PK\x05\x06").ok_or(damaged)? + from;
    let directory = number(octets, end + 16, 4).ok_or(damaged)? as usize;
    let entry = octets
        .get(directory..)
        .filter(|e| e.starts_with(b"PK\x01\x02"))
        .ok_or(damaged)?;
    let field = |at, len| number(entry, at, len).map(|n| n as usize).ok_or(damaged);
    let (flags, method, packed, local) = (field(8, 2)?, field(10, 2)?, field(20, 4)?, field(42, 4)?);
    let checksum = field(16, 4)?;
    if flags & 1 != 0 {
        return Err(damaged);
    }
    let header = octets
        .get(local..)
        .filter(|h| h.starts_with(b"PK\x03\x04"))
        .ok_or(damaged)?;
    let names = number(header, 26, 2).ok_or(damaged)? + number(header, 28, 2).ok_or(damaged)?;
    let data = header.get(30 + names as usize..).ok_or(damaged)?;
    let data = data.get(..packed).ok_or(damaged)?;
    let out = match method {
        0 if data.len() > max => return Err(PackError::TooLarge),
        0 => data.to_vec(),
        8 => inflate(data, max)?,
        _ => return Err(damaged),
    };
    match crc32(&out) as usize == checksum {
        true => Ok(out),
        false => Err(damaged),
    }
}

fn inflate(octets: &[u8], max: usize) -> Result<Vec<u8>, PackError> {
    decompress_to_vec_with_limit(octets, max).map_err(|error| match error.status {
        TINFLStatus::HasMoreOutput => PackError::TooLarge,
        _ => PackError::Damaged,
    })
}

/// A number of `len` octets, the lowest first.
fn number(octets: &[u8], at: usize, len: usize) -> Option<u32> {
    let octets = octets.get(at..at.checked_add(len)?)?;
    Some(
        octets
            .iter()
            .rev()
            .fold(0, |number, octet| number << 8 | u32::from(*octet)),
    )
}

/// RFC 1952 §8.
fn crc32(octets: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for octet in octets {
        crc = CRC_TABLE[((crc ^ u32::from(*octet)) & 0xff) as usize] ^ crc >> 8;
    }
    !crc
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut place = 0;
    while place < 256 {
        let mut value = place as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                0xedb8_8320 ^ value >> 1
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[place] = value;
        place += 1;
    }
    table
};
