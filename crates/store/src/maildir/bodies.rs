//! The octets of messages: each once, under its hash; the files in the folders are links to it
//!
//! ```text
//!  incoming/N     what a writer takes; goes with its last reference
//!  bodies/HASH    what a message or a record of the spool refers to
//!  text/HASH      the text of a message as it is searched; it follows from the body, and may be missing
//! ```

use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use mailwright_mailbox::{BlobHash, BlobHasher, BlobRef, BlobWriter, StoreError};

use crate::folder;

#[derive(Debug)]
pub(super) struct Bodies {
    incoming: PathBuf,
    bodies: PathBuf,
    text: PathBuf,
    next: AtomicU64,
}

/// A body that is not in its place yet, or that somebody holds on to.
#[derive(Debug)]
pub(super) struct Staged {
    of: Arc<Bodies>,
    path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What is left is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Bodies {
    /// The most octets that are read at once.
    const READ_OCTETS: u64 = 256 * 1024;

    /// Makes the folders, and empties the one for what was not committed.
    pub(super) fn open(home: &Path) -> io::Result<Self> {
        let it = Self {
            incoming: home.join("incoming"),
            bodies: home.join("bodies"),
            text: home.join("text"),
            next: AtomicU64::new(0),
        };
        [&it.incoming, &it.bodies, &it.text]
            .into_iter()
            .try_for_each(|path| folder::create(path))?;
        for entry in fs::read_dir(&it.incoming)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(it)
    }

    /// The body that a reference from a writer of this store stands for.
    pub(super) fn staged(self: &Arc<Self>, blob: &BlobRef) -> Option<Arc<Staged>> {
        blob.pin::<Staged>().filter(|it| Arc::ptr_eq(&it.of, self))
    }

    /// A free place for a body that comes in.
    pub(super) fn stage(self: &Arc<Self>) -> Staged {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Staged {
            of: Arc::clone(self),
            path: self.incoming.join(number.to_string()),
        }
    }

    /// Puts bodies into their places, and returns when they are on the disk.
    pub(super) fn keep(&self, bodies: &[(BlobHash, Arc<Staged>)]) -> io::Result<()> {
        for (hash, staged) in bodies {
            let place = self.path(hash);
            if place.exists() {
                continue;
            }
            File::open(&staged.path)?.sync_all()?;
            link(&staged.path, &place)?;
        }
        match bodies.is_empty() {
            true => Ok(()),
            false => folder::sync(&self.bodies),
        }
    }

    /// Makes a file in a folder of a body.
    ///
    /// A body that is not there belongs to a message that went again, further on in the journal.
    pub(super) fn link_to(&self, hash: &BlobHash, file: &Path) -> io::Result<()> {
        let body = self.path(hash);
        match link(&body, file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !body.exists() => Ok(()),
            // Some file systems grant a file no more than so many names.
            Err(error) if error.kind() == io::ErrorKind::TooManyLinks => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let copy = self.incoming.join(number.to_string());
                fs::copy(&body, &copy)?;
                File::open(&copy)?.sync_all()?;
                fs::rename(copy, file)
            }
            other => other,
        }
    }

    /// Removes a body that nothing refers to.
    pub(super) fn remove(&self, hash: &BlobHash) {
        // What is left is removed at the next start that follows a crash.
        let _ = fs::remove_file(self.path(hash));
        let _ = fs::remove_file(self.text.join(hash.to_string()));
    }

    /// Removes what nothing refers to.
    pub(super) fn retain(&self, refers: impl Fn(&str) -> bool) -> io::Result<()> {
        for folder in [&self.bodies, &self.text] {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if !entry.file_name().to_str().is_some_and(&refers) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the text of a message.
    pub(super) fn put_text(&self, hash: &BlobHash, text: &[u8]) -> io::Result<()> {
        let place = self.text.join(hash.to_string());
        if place.exists() {
            return Ok(());
        }
        let mut content = text.to_vec();
        content.extend_from_slice(&crc32fast::hash(text).to_le_bytes());
        // It is not synced: if a power cut tears it, whoever searches looks at the message itself.
        fs::write(place, content)
    }

    /// Reads the text of a message, where it was kept and is whole.
    pub(super) fn text(&self, hash: &BlobHash) -> Option<Bytes> {
        let mut content = fs::read(self.text.join(hash.to_string())).ok()?;
        let (text, crc) = content.split_last_chunk::<4>()?;
        let is_whole = crc32fast::hash(text) == u32::from_le_bytes(*crc);
        content.truncate(content.len() - 4);
        is_whole.then(|| content.into())
    }

    /// Reads octets of a body. All of one are compared with their hash.
    pub(super) fn read(self: &Arc<Self>, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        let staged = self.staged(blob);
        let path = staged
            .as_ref()
            .map_or_else(|| self.path(blob.hash()), |it| it.path.clone());
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NoSuchBlob),
            Err(error) => return Err(StoreError::Io(error.to_string())),
        };
        let io = |error: io::Error| StoreError::Io(error.to_string());
        if file.metadata().map_err(io)?.len() != blob.size() {
            return Err(corrupt(blob));
        }
        let end = range
            .end
            .min(blob.size())
            .min(range.start.saturating_add(Self::READ_OCTETS));
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let mut octets = vec![0; (end - range.start) as usize];
        file.seek(SeekFrom::Start(range.start)).map_err(io)?;
        file.read_exact(&mut octets).map_err(io)?;
        let is_whole = octets.len() as u64 == blob.size();
        match is_whole && BlobHash::of(&octets) != *blob.hash() {
            true => Err(corrupt(blob)),
            false => Ok(octets.into()),
        }
    }

    /// Reads all of a body and compares it with its hash.
    pub(super) fn verify(self: &Arc<Self>, blob: &BlobRef) -> Result<(), StoreError> {
        let (mut hasher, mut at) = (BlobHasher::new(), 0);
        while at < blob.size() {
            let octets = self.read(blob, at..blob.size())?;
            hasher.update(&octets);
            at += octets.len() as u64;
        }
        match hasher.finish() == *blob.hash() {
            true => Ok(()),
            false => Err(corrupt(blob)),
        }
    }

    fn path(&self, hash: &BlobHash) -> PathBuf {
        self.bodies.join(hash.to_string())
    }
}

impl Staged {
    /// Where its octets go, or are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The reference to it, once all octets are there.
    pub(super) fn reference(self, hash: BlobHash, size: u64) -> BlobRef {
        BlobRef::new(hash, size).with_pin(Arc::new(self))
    }
}

/// A link; a file that is there already has the same octets.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn corrupt(blob: &BlobRef) -> StoreError {
    StoreError::Corrupt(format!("the body {} is not what was written", blob.hash()))
}

/// Takes the octets of a message for a [`MaildirStore`](super::MaildirStore); holds at most 16 KiB of them.
#[derive(Debug)]
pub struct MaildirBlobWriter {
    staged: Staged,
    file: Option<File>,
    buffer: Vec<u8>,
    hasher: BlobHasher,
    size: u64,
}

impl MaildirBlobWriter {
    const BUFFER: usize = 16 * 1024;

    pub(super) fn new(bodies: &Arc<Bodies>) -> Self {
        Self {
            staged: bodies.stage(),
            file: None,
            buffer: Vec::new(),
            hasher: BlobHasher::new(),
            size: 0,
        }
    }

    /// Takes the next octets, on the thread of the caller.
    pub(super) fn push(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.hasher.update(chunk);
        self.size += chunk.len() as u64;
        if self.buffer.len() + chunk.len() > Self::BUFFER {
            self.flush()?;
        }
        if chunk.len() >= Self::BUFFER {
            return self.file()?.write_all(chunk);
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// Ends the message.
    pub(super) fn end(mut self) -> io::Result<BlobRef> {
        self.flush()?;
        Ok(self.staged.reference(self.hasher.finish(), self.size))
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = core::mem::take(&mut self.buffer);
        self.file()?.write_all(&buffer)
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(File::create(&self.staged.path)?);
        }
        Ok(self.file.as_mut().expect("it was put there"))
    }
}

impl BlobWriter for MaildirBlobWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.push(&chunk).map_err(failed)
    }

    async fn finish(self) -> Result<BlobRef, StoreError> {
        self.end().map_err(failed)
    }
}

/// What an error of the disk means to who reads or writes a body.
pub(super) fn failed(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(error.to_string()),
    }
}
