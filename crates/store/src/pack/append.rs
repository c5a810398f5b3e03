//! Writing a record

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    mem,
    sync::Arc,
};

use mailwright_mailbox::{BlobHash, BlobHasher};

use super::{
    Location, Packs,
    record::{FRAME_HEADER, RECORD_HEADER, RECORD_MAGIC, TRAILER_MARK, begin_checksum, checksum},
};

/// Writes one record; what it wrote is cut off again when it is dropped before [`Appender::finish`].
#[derive(Debug)]
pub(crate) struct Appender {
    packs: Arc<Packs>,
    file: Arc<File>,
    pub(super) location: Location,
    key: u64,
    // Frames that are whole, how many octets the open one has, and its checksum so far.
    frames: u64,
    open: usize,
    crc: crc32fast::Hasher,
    size: u64,
    // Where the open frame begins.
    pub(super) end: u64,
    reserved: u64,
    hasher: BlobHasher,
    done: bool,
}

/// A record that is written, and not yet durable.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) location: Location,
    pub(crate) end: u64,
    pub(crate) size: u64,
    pub(crate) hash: BlobHash,
}

impl Appender {
    /// Begins a record in a pack that is leased, and with it the lease ends.
    pub(super) fn begin(
        packs: &Arc<Packs>,
        file: Arc<File>,
        location: Location,
        reserved: u64,
        key: u64,
    ) -> io::Result<Self> {
        let mut appender = Self {
            packs: Arc::clone(packs),
            file,
            location,
            key,
            frames: 0,
            open: 0,
            crc: begin_checksum(key, 0),
            size: 0,
            end: location.offset,
            reserved,
            hasher: BlobHasher::new(),
            done: false,
        };
        let mut header = Vec::with_capacity(RECORD_HEADER as usize);
        header.extend_from_slice(RECORD_MAGIC);
        header.extend_from_slice(&key.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        appender.put(&header, location.offset)?;
        appender.end += RECORD_HEADER;
        Ok(appender)
    }

    /// Writes the next octets of the body.
    pub(crate) fn write(&mut self, mut octets: &[u8]) -> io::Result<()> {
        self.hasher.update(octets);
        while !octets.is_empty() {
            let (piece, rest) = octets.split_at(octets.len().min(Packs::FRAME - self.open));
            self.put(piece, self.end + FRAME_HEADER + self.open as u64)?;
            self.crc.update(piece);
            self.open += piece.len();
            self.size += piece.len() as u64;
            if self.open == Packs::FRAME {
                self.end_frame()?;
            }
            octets = rest;
        }
        Ok(())
    }

    /// Returns the key of the record.
    pub(crate) const fn key(&self) -> u64 {
        self.key
    }

    /// Ends the record and pins its pack.
    pub(crate) fn finish(mut self) -> io::Result<Written> {
        if self.open > 0 {
            self.end_frame()?;
        }
        let hash = self.hasher.clone().finish();
        let mut content = [0; 40];
        content[..8].copy_from_slice(&self.size.to_le_bytes());
        content[8..].copy_from_slice(hash.as_bytes());
        let mut trailer = [0; FRAME_HEADER as usize + 40];
        trailer[..4].copy_from_slice(&TRAILER_MARK.to_le_bytes());
        trailer[4..8].copy_from_slice(&checksum(self.key, self.frames, &content).to_le_bytes());
        trailer[8..].copy_from_slice(&content);
        self.put(&trailer, self.end)?;
        self.end += trailer.len() as u64;
        self.done = true;
        self.packs.pin(self.location.pack);
        Ok(Written {
            location: self.location,
            end: self.end,
            size: self.size,
            hash,
        })
    }

    /// Writes length and checksum of a frame in front of it.
    fn end_frame(&mut self) -> io::Result<()> {
        let next = begin_checksum(self.key, self.frames + 1);
        let crc = mem::replace(&mut self.crc, next).finalize();
        let mut header = [0; FRAME_HEADER as usize];
        header[..4].copy_from_slice(&(self.open as u32).to_le_bytes());
        header[4..].copy_from_slice(&crc.to_le_bytes());
        self.put(&header, self.end)?;
        self.end += FRAME_HEADER + self.open as u64;
        (self.frames, self.open) = (self.frames + 1, 0);
        Ok(())
    }

    fn put(&mut self, octets: &[u8], at: u64) -> io::Result<()> {
        self.reserve(at + octets.len() as u64)?;
        (&*self.file).seek(SeekFrom::Start(at))?;
        (&*self.file).write_all(octets)
    }

    /// Takes room up to an offset, and some more.
    #[cfg(target_os = "linux")]
    fn reserve(&mut self, upto: u64) -> io::Result<()> {
        use rustix::{fs::FallocateFlags, io::Errno};

        if upto <= self.reserved {
            return Ok(());
        }
        let end = upto.next_multiple_of(RESERVE);
        let (from, octets) = (self.reserved, end - self.reserved);
        match rustix::fs::fallocate(&*self.file, FallocateFlags::KEEP_SIZE, from, octets) {
            Ok(()) => self.reserved = end,
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => return Err(error.into()),
            // The file system does not know this: room is taken by writing.
            Err(_) => self.reserved = u64::MAX,
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&mut self, upto: u64) -> io::Result<()> {
        self.reserved = self.reserved.max(upto);
        Ok(())
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        let length = if self.done {
            Some(self.end)
        } else {
            self.file
                .set_len(self.location.offset)
                .ok()
                .map(|()| self.location.offset)
        };
        // What was cut off is free again.
        let reserved = if self.done { self.reserved } else { 0 };
        self.packs.end_lease(self.location.pack, length, reserved);
    }
}

#[cfg(target_os = "linux")]
const RESERVE: u64 = 1 << 20;
