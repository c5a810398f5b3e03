//! Pack segments: large bodies in append-only, checksummed, self-describing files
//!
//! ```text
//!  file    = "MWPACK01" id:8                     (numbers are little-endian)
//!  record* = "MWR1" key:8 crc:4  frame* trailer
//!  frame   = length:4 crc:4 octets               (64 KiB each, the last of a record shorter)
//!  trailer = ffffffff crc:4 size:8 sha256:32
//! ```
//!
//! Every checksum covers the key and the frame's position too, so that octets of another record or place are never
//! taken for the right ones. Frames have a fixed length: a part of a body is read, and checked, without the rest.
//!
//! Room is taken for a MiB at a time before it is written to, where the file system can do that: a disk that is full says so
//! before the body comes, and packs lie in few pieces. A file is never longer than what is in it.
//!
//! A pack has one writer at a time, who holds a lease on it and cuts off what it wrote when it gives up. What a
//! crash leaves half-written is cut off when the pack is opened.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use mailwright_mailbox::{BlobHash, BlobHasher};

use crate::{Error, folder};

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: u64,
    pub(crate) offset: u64,
}

/// All packs of a folder.
#[derive(Debug)]
pub(crate) struct Packs {
    path: PathBuf,
    target_octets: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    files: HashMap<u64, Pack>,
    // Packs that may have nothing left that anyone refers to.
    suspects: BTreeSet<u64>,
    // How many want that no pack is removed for the time being.
    holds: u64,
}

#[derive(Debug)]
struct Pack {
    file: Arc<File>,
    length: u64,
    // Up to where room is taken on the disk.
    reserved: u64,
    synced: u64,
    leased: bool,
    // Records that are written and that no commit refers to yet.
    pins: u64,
    // After a failed sync nobody knows what is on the disk: nothing more is written here.
    failed: bool,
}

impl Packs {
    /// How many octets of a body a frame holds.
    pub(crate) const FRAME: usize = 64 * 1024;
    /// The most octets that one read returns.
    const READ: u64 = 256 * 1024;

    /// Opens the packs of a folder. `last` says where the last committed record of a pack begins, 0 if that is not known,
    /// or `None` if there is none in it: such packs are removed.
    pub(crate) fn open(
        path: &Path,
        target_octets: u64,
        last: impl Fn(u64) -> Result<Option<u64>, Error>,
    ) -> Result<Self, Error> {
        folder::create(path).map_err(|error| Error::io(path, &error))?;
        let packs = Self {
            path: path.to_owned(),
            target_octets,
            state: Mutex::default(),
        };
        let mut state = State::default();
        for (id, file) in files(path).map_err(|error| Error::io(path, &error))? {
            state.last = state.last.max(id);
            match last(id)? {
                None => fs::remove_file(&file).map_err(|error| Error::io(&file, &error))?,
                Some(last) => {
                    let pack = Pack::open(&file, id, last).map_err(|error| Error::io(&file, &error))?;
                    state.files.insert(id, pack);
                }
            }
        }
        *packs.state() = state;
        Ok(packs)
    }

    /// Opens the packs of a folder to read them, and leaves all as it is. There may be no folder.
    pub(crate) fn look(path: &Path) -> Result<Self, Error> {
        let packs = Self {
            path: path.to_owned(),
            target_octets: 0,
            state: Mutex::default(),
        };
        let files = match files(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(packs),
            other => other.map_err(|error| Error::io(path, &error))?,
        };
        for (id, path) in files {
            // One that cannot be opened is as if it were not there, which is found where something is in it.
            if let Ok(file) = File::open(&path) {
                let length = file.metadata().map_or(0, |it| it.len());
                let pack = Pack {
                    file: Arc::new(file),
                    length,
                    reserved: length,
                    synced: length,
                    leased: false,
                    pins: 0,
                    failed: true,
                };
                packs.state().files.insert(id, pack);
            }
        }
        Ok(packs)
    }

    /// Begins a record in a pack that nobody else writes to.
    pub(crate) fn begin(self: &Arc<Self>, key: u64) -> io::Result<Appender> {
        let (pack, file, offset, reserved) = self.lease()?;
        let location = Location { pack, offset };
        let hasher = BlobHasher::new();
        let mut appender = Appender {
            packs: Arc::clone(self),
            file,
            location,
            key,
            frames: 0,
            size: 0,
            end: offset,
            reserved,
            hasher,
            done: false,
        };
        let mut header = Vec::with_capacity(RECORD_HEADER as usize);
        header.extend_from_slice(RECORD_MAGIC);
        header.extend_from_slice(&key.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        appender.append(&[&header])?;
        Ok(appender)
    }

    /// Makes all finished records of a pack durable, up to those that are there at the call.
    pub(crate) fn sync(&self, pack: u64, upto: u64) -> io::Result<()> {
        let mut state = self.state();
        let it = state.files.get_mut(&pack).ok_or(io::ErrorKind::NotFound)?;
        if it.failed {
            return Err(io::Error::other("an earlier sync of this pack failed"));
        }
        if it.synced >= upto {
            return Ok(());
        }
        let (file, length) = (Arc::clone(&it.file), it.length);
        drop(state);
        let synced = file.sync_data();
        if let Some(it) = self.state().files.get_mut(&pack) {
            match &synced {
                Ok(()) => it.synced = it.synced.max(length),
                Err(_) => it.failed = true,
            }
        }
        synced
    }

    /// Reads part of a body, at most 256 KiB, and checks it.
    pub(crate) fn read(&self, key: u64, at: Location, size: u64, range: Range<u64>) -> io::Result<Bytes> {
        let end = range.end.min(size).min(range.start.saturating_add(Self::READ));
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let file = self.file(at.pack)?;
        let (first, last) = (range.start / Self::FRAME as u64, (end - 1) / Self::FRAME as u64);
        let mut octets = BytesMut::with_capacity((last - first + 1) as usize * Self::FRAME);
        for index in first..=last {
            let length = (size - index * Self::FRAME as u64).min(Self::FRAME as u64) as usize;
            let mut frame = vec![0; FRAME_HEADER as usize + length];
            read_at(&file, &mut frame, frame_offset(at.offset, index))?;
            let (header, content) = frame.split_at(FRAME_HEADER as usize);
            if header[..4] != (length as u32).to_le_bytes()
                || header[4..] != checksum(key, index, content).to_le_bytes()
            {
                return Err(damaged(at, "checksum of a frame"));
            }
            octets.extend_from_slice(content);
        }
        let skip = range.start - first * Self::FRAME as u64;
        Ok(octets
            .freeze()
            .slice(skip as usize..(skip + end - range.start) as usize))
    }

    /// Reads a whole record and compares it with what it should be.
    pub(crate) fn verify(&self, key: u64, at: Location, size: u64, hash: &BlobHash) -> io::Result<()> {
        let file = self.file(at.pack)?;
        let found = walk(&file, at.offset)?.ok_or_else(|| damaged(at, "record"))?;
        if (found.key, found.size, &found.hash) != (key, size, hash) {
            return Err(damaged(at, "identity of the record"));
        }
        let mut hasher = BlobHasher::new();
        let mut from = 0;
        while from < size {
            let octets = self.read(key, at, size, from..size)?;
            hasher.update(&octets);
            from += octets.len() as u64;
        }
        if hasher.finish() == *hash {
            Ok(())
        } else {
            Err(damaged(at, "content hash"))
        }
    }

    /// Copies a body to other packs, where it is pinned and not yet durable.
    pub(crate) fn copy(&self, key: u64, at: Location, size: u64, to: &Arc<Self>) -> io::Result<Written> {
        let mut appender = to.begin(key)?;
        let mut from = 0;
        while from < size {
            let octets = self.read(key, at, size, from..from + Self::FRAME as u64)?;
            appender.frame(&octets)?;
            from += octets.len() as u64;
        }
        appender.finish()
    }

    /// Keeps a pack from being removed while an uncommitted reference to one of its records lives.
    pub(crate) fn pin(&self, pack: u64) {
        if let Some(it) = self.state().files.get_mut(&pack) {
            it.pins += 1;
        }
    }

    /// Undoes [`Packs::pin`].
    pub(crate) fn unpin(&self, pack: u64) {
        let mut state = self.state();
        if let Some(it) = state.files.get_mut(&pack) {
            it.pins -= 1;
        }
        state.suspects.insert(pack);
    }

    /// Notes that a pack may have nothing left that anyone refers to.
    pub(crate) fn suspect(&self, pack: u64) {
        self.state().suspects.insert(pack);
    }

    /// Returns the packs that may be removed: suspected, not being written to, and not pinned.
    pub(crate) fn removable(&self) -> Vec<u64> {
        let mut state = self.state();
        if state.holds > 0 {
            return Vec::new();
        }
        let suspects = core::mem::take(&mut state.suspects);
        let free = |id: &u64| {
            state
                .files
                .get(id)
                .is_some_and(|pack| !pack.leased && pack.pins == 0)
        };
        suspects.into_iter().filter(free).collect()
    }

    /// Removes a pack that nothing refers to; `false` when someone writes to it again.
    pub(crate) fn remove(&self, pack: u64) -> io::Result<bool> {
        let mut state = self.state();
        if state
            .files
            .get(&pack)
            .is_none_or(|pack| pack.leased || pack.pins > 0)
        {
            return Ok(false);
        }
        state.files.remove(&pack);
        drop(state);
        fs::remove_file(self.file_path(pack))?;
        Ok(true)
    }

    /// Takes a pack out of use for writing, so that what is left in it can be moved elsewhere; `None` when someone
    /// writes to it or has uncommitted records in it.
    pub(crate) fn empty(self: &Arc<Self>, pack: u64) -> Option<Emptying> {
        let mut state = self.state();
        let it = state.files.get_mut(&pack)?;
        if it.leased || it.pins > 0 {
            return None;
        }
        it.leased = true;
        let (packs, octets, failed) = (Arc::clone(self), it.length, it.failed);
        Some(Emptying {
            packs,
            pack,
            octets,
            failed,
        })
    }

    /// Keeps all packs from being removed as long as the value lives.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        self.state().holds += 1;
        Hold(Arc::clone(self))
    }

    /// Returns how long a pack is; `None` when it is gone.
    pub(crate) fn octets(&self, pack: u64) -> Option<u64> {
        self.state().files.get(&pack).map(|it| it.length)
    }

    /// Returns the ids of all packs.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.state().files.keys().copied().collect()
    }

    fn lease(&self) -> io::Result<(u64, Arc<File>, u64, u64)> {
        let mut state = self.state();
        let free = |pack: &Pack| !pack.leased && !pack.failed && pack.length < self.target_octets;
        if let Some((id, pack)) = state.files.iter_mut().find(|(_, pack)| free(pack)) {
            pack.leased = true;
            return Ok((*id, Arc::clone(&pack.file), pack.length, pack.reserved));
        }
        state.last += 1;
        let id = state.last;
        drop(state);
        let path = self.file_path(id);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        let created = file
            .write_all(&file_header(id))
            .and_then(|()| folder::sync(&self.path));
        if let Err(error) = created {
            // It holds nothing yet; what is left of it goes at the next start if it does not go here.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let file = Arc::new(file);
        let pack = Pack {
            file: Arc::clone(&file),
            length: FILE_HEADER,
            reserved: FILE_HEADER,
            synced: 0,
            leased: true,
            pins: 0,
            failed: false,
        };
        self.state().files.insert(id, pack);
        Ok((id, file, FILE_HEADER, FILE_HEADER))
    }

    fn end_lease(&self, pack: u64, length: Option<u64>, reserved: u64) {
        let mut state = self.state();
        if let Some(it) = state.files.get_mut(&pack) {
            it.leased = false;
            match length {
                Some(length) => (it.length, it.reserved) = (length, reserved.max(length)),
                None => it.failed = true,
            }
        }
        state.suspects.insert(pack);
    }

    fn file(&self, pack: u64) -> io::Result<Arc<File>> {
        let state = self.state();
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("pack {pack} is missing"));
        state
            .files
            .get(&pack)
            .map(|it| Arc::clone(&it.file))
            .ok_or_else(missing)
    }

    pub(crate) fn file_path(&self, pack: u64) -> PathBuf {
        self.path.join(format!("{pack:010}.pack"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pack {
    fn open(path: &Path, id: u64, last: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        let mut header = [0; FILE_HEADER as usize];
        let whole = read_whole(&file, &mut header, 0)? && header == file_header(id);
        let mut end = match walk(&file, last)? {
            Some(record) => Some(record.end),
            None if last == 0 => Some(FILE_HEADER),
            None => None,
        };
        // Whole records that no commit refers to stay: only what is half-written is cut off.
        while let Some(at) = end
            && let Some(record) = walk(&file, at)?
        {
            end = Some(record.end);
        }
        let usable = match end {
            Some(end) if whole && end < length => file.set_len(end).and_then(|()| file.sync_all()).is_ok(),
            Some(_) => whole,
            None => false,
        };
        // A damaged pack is left as it is and still read, record by record; only nothing is added to it.
        let length = end.filter(|_| usable).unwrap_or(length);
        Ok(Self {
            file: Arc::new(file),
            length,
            reserved: length,
            synced: length,
            leased: false,
            pins: 0,
            failed: !usable,
        })
    }
}

/// A pack that nobody writes to as long as the value lives.
#[derive(Debug)]
pub(crate) struct Emptying {
    packs: Arc<Packs>,
    pack: u64,
    failed: bool,
    octets: u64,
}

impl Drop for Emptying {
    fn drop(&mut self) {
        let length = (!self.failed).then_some(self.octets);
        self.packs.end_lease(self.pack, length, self.octets);
    }
}

/// Keeps packs from being removed.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Packs>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.state().holds -= 1;
    }
}

/// Writes one record; what it wrote is cut off again when it is dropped before [`Appender::finish`].
#[derive(Debug)]
pub(crate) struct Appender {
    packs: Arc<Packs>,
    file: Arc<File>,
    location: Location,
    key: u64,
    frames: u64,
    size: u64,
    end: u64,
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
    /// Writes the next frame: [`Packs::FRAME`] octets, but for the last frame of the record.
    pub(crate) fn frame(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut header = [0; FRAME_HEADER as usize];
        header[..4].copy_from_slice(&(octets.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&checksum(self.key, self.frames, octets).to_le_bytes());
        self.append(&[&header, octets])?;
        self.hasher.update(octets);
        self.frames += 1;
        self.size += octets.len() as u64;
        Ok(())
    }

    /// Returns the key of the record.
    pub(crate) const fn key(&self) -> u64 {
        self.key
    }

    /// Ends the record and pins its pack.
    pub(crate) fn finish(mut self) -> io::Result<Written> {
        let hash = self.hasher.clone().finish();
        let mut content = [0; 40];
        content[..8].copy_from_slice(&self.size.to_le_bytes());
        content[8..].copy_from_slice(hash.as_bytes());
        let crc = checksum(self.key, self.frames, &content);
        self.append(&[&TRAILER_MARK.to_le_bytes(), &crc.to_le_bytes(), &content])?;
        self.done = true;
        self.packs.pin(self.location.pack);
        Ok(Written {
            location: self.location,
            end: self.end,
            size: self.size,
            hash,
        })
    }

    fn append(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        let octets: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.reserve(self.end + octets as u64)?;
        (&*self.file).seek(SeekFrom::Start(self.end))?;
        for piece in pieces {
            (&*self.file).write_all(piece)?;
            self.end += piece.len() as u64;
        }
        Ok(())
    }
}

impl Appender {
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

/// A record as its own headers describe it.
struct Record {
    key: u64,
    size: u64,
    hash: BlobHash,
    end: u64,
}

/// Follows one record from header to trailer, without checking its content; `None` when it is not whole.
fn walk(file: &File, offset: u64) -> io::Result<Option<Record>> {
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

/// Lists the packs of a folder.
fn files(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_suffix(".pack")?.parse().ok());
        files.extend(id.map(|id| (id, entry.path())));
    }
    Ok(files)
}

fn frame_offset(record: u64, index: u64) -> u64 {
    record + RECORD_HEADER + index * (FRAME_HEADER + Packs::FRAME as u64)
}

fn checksum(key: u64, index: u64, content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&key.to_le_bytes());
    crc.update(&index.to_le_bytes());
    crc.update(content);
    crc.finalize()
}

fn file_header(id: u64) -> [u8; FILE_HEADER as usize] {
    let mut header = *b"MWPACK01........";
    header[8..].copy_from_slice(&id.to_le_bytes());
    header
}

fn damaged(at: Location, what: &str) -> io::Error {
    let Location { pack, offset } = at;
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("pack {pack}, offset {offset}: wrong {what}"),
    )
}

/// Fills the buffer; `false` when the file ends before.
fn read_whole(file: &File, octets: &mut [u8], offset: u64) -> io::Result<bool> {
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

const RECORD_MAGIC: &[u8; 4] = b"MWR1";
const TRAILER_MARK: u32 = u32::MAX;
const FILE_HEADER: u64 = 16;
#[cfg(target_os = "linux")]
const RESERVE: u64 = 1 << 20;
const RECORD_HEADER: u64 = 16;
const FRAME_HEADER: u64 = 8;

mod survey;
#[cfg(test)]
mod tests;

pub(crate) use self::survey::Found;
