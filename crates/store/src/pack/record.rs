//! How a record lies in a file

use std::{fs::File, io, ops::Range};

use bytes::Bytes;
use mailwright_mailbox::BlobHash;

use super::{Location, Packs};

/// A record as its own headers describe it.
pub(super) struct Record {
    pub(super) key: u64,
    pub(super) size: u64,
    pub(super) hash: BlobHash,
    pub(super) end: u64,
}

/// Follows one record from header to trailer, without checking its content; `None` when it is not whole.
pub(super) fn walk(file: &File, offset: u64) -> io::Result<Option<Record>> {
    let mut header = [0; RECORD_HEADER as usize];
    if !read_whole(file, &mut header, offset)? || header[..4] != *RECORD_MAGIC {
        return Ok(None);
    }
    if header[12..] != crc32fast::hash(&header[..12]).to_le_bytes() {
        return Ok(None);
    }
    let key = u64::from_le_bytes(header[4..12].try_into().expect("eight octets"));
    let (mut index, mut size) = (0, 0);
    let mut at = offset + RECORD_HEADER;
    loop {
        let mut header = [0; FRAME_HEADER as usize];
        if !read_whole(file, &mut header, at)? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(header[..4].try_into().expect("four octets"));
        if length == TRAILER_MARK {
            let mut content = [0; 40];
            let whole = read_whole(file, &mut content, at + FRAME_HEADER)?;
            let good = header[4..] == checksum(key, index, &content).to_le_bytes()
                && content[..8] == u64::to_le_bytes(size);
            let hash = BlobHash::from_bytes(content[8..].try_into().expect("thirty-two octets"));
            return Ok((whole && good).then_some(Record {
                key,
                size,
                hash,
                end: at + FRAME_HEADER + 40,
            }));
        }
        // Only the last frame is shorter than the others, and none is empty.
        if length == 0 || length as usize > Packs::FRAME || size % Packs::FRAME as u64 != 0 {
            return Ok(None);
        }
        at += FRAME_HEADER + u64::from(length);
        size += u64::from(length);
        index += 1;
    }
}

/// Reads part of a body that lies within it, and checks all frames that it is in. Only what is asked for is held.
pub(super) fn read_body(
    file: &File,
    key: u64,
    at: Location,
    size: u64,
    range: Range<u64>,
) -> io::Result<Bytes> {
    let frame_octets = Packs::FRAME as u64;
    let mut octets = vec![0; (range.end - range.start) as usize];
    let (mut wanted, mut scrap) = (&mut octets[..], Vec::new());
    for index in range.start / frame_octets..=(range.end - 1) / frame_octets {
        let start = index * frame_octets;
        let length = (size - start).min(frame_octets);
        let place = frame_offset(at.offset, index);
        let mut header = [0; FRAME_HEADER as usize];
        read_at(file, &mut header, place)?;
        let content = place + FRAME_HEADER;
        let (from, to) = (range.start.saturating_sub(start), (range.end - start).min(length));
        let mut crc = begin_checksum(key, index);
        check(file, content..content + from, &mut crc, &mut scrap)?;
        let (here, behind) = wanted.split_at_mut((to - from) as usize);
        read_at(file, here, content + from)?;
        crc.update(here);
        wanted = behind;
        check(file, content + to..content + length, &mut crc, &mut scrap)?;
        if header[..4] != (length as u32).to_le_bytes() || header[4..] != crc.finalize().to_le_bytes() {
            return Err(damaged(at, "checksum of a frame"));
        }
    }
    Ok(octets.into())
}

/// Goes through octets that only their checksum is needed of.
fn check(
    file: &File,
    mut range: Range<u64>,
    crc: &mut crc32fast::Hasher,
    scrap: &mut Vec<u8>,
) -> io::Result<()> {
    while range.start < range.end {
        scrap.resize(SCRAP, 0);
        let piece = (range.end - range.start).min(SCRAP as u64) as usize;
        read_at(file, &mut scrap[..piece], range.start)?;
        crc.update(&scrap[..piece]);
        range.start += piece as u64;
    }
    Ok(())
}

fn frame_offset(record: u64, index: u64) -> u64 {
    record + RECORD_HEADER + index * (FRAME_HEADER + Packs::FRAME as u64)
}

pub(super) fn checksum(key: u64, index: u64, content: &[u8]) -> u32 {
    let mut crc = begin_checksum(key, index);
    crc.update(content);
    crc.finalize()
}

/// What a checksum covers in front of the content.
pub(super) fn begin_checksum(key: u64, index: u64) -> crc32fast::Hasher {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&key.to_le_bytes());
    crc.update(&index.to_le_bytes());
    crc
}

pub(super) fn file_header(id: u64) -> [u8; FILE_HEADER as usize] {
    let mut header = *b"MWPACK01........";
    header[8..].copy_from_slice(&id.to_le_bytes());
    header
}

pub(super) fn damaged(at: Location, what: &str) -> io::Error {
    let Location { pack, offset } = at;
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("pack {pack}, offset {offset}: wrong {what}"),
    )
}

/// Fills the buffer; `false` when the file ends before.
pub(super) fn read_whole(file: &File, octets: &mut [u8], offset: u64) -> io::Result<bool> {
    match read_at(file, octets, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
pub(crate) fn read_at(file: &File, octets: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, octets, offset)
}

#[cfg(windows)]
pub(crate) fn read_at(file: &File, mut octets: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !octets.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, octets, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                octets = &mut octets[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

pub(super) const RECORD_MAGIC: &[u8; 4] = b"MWR1";
pub(super) const TRAILER_MARK: u32 = u32::MAX;
pub(super) const FILE_HEADER: u64 = 16;
pub(super) const RECORD_HEADER: u64 = 16;
pub(super) const FRAME_HEADER: u64 = 8;
/// How much is held at a time of what is only checked.
const SCRAP: usize = 8 * 1024;
