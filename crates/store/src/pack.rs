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
//! A frame is written as its octets come, and its length and checksum in front of it when it is full, so that no more
//! than a piece of it is ever held.
//!
//! Room is taken for a MiB at a time before it is written to, where the file system can do that: a disk that is full says so
//! before the body comes, and packs lie in few pieces. A file is never longer than what is in it.
//!
//! A pack has one writer at a time, who holds a lease on it and cuts off what it wrote when it gives up. What a
//! crash leaves half-written is cut off when the pack is opened.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use mailwright_mailbox::{BlobHash, BlobHasher};

use self::record::{FILE_HEADER, damaged, file_header, read_body, walk};
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
        Appender::begin(self, file, Location { pack, offset }, reserved, key)
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
        read_body(&file, key, at, size, range.start..end)
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
            appender.write(&octets)?;
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
        let whole = record::read_whole(&file, &mut header, 0)? && header == file_header(id);
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

mod append;
mod record;
mod survey;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    append::{Appender, Written},
    record::read_at,
    survey::Found,
};
