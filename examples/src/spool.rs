//! Messages on disk: `KEY.mail` has the octets, `KEY.queue` the record. A message is there when its record is.

use crate::net::Fallible;
use bytes::Bytes;
use mailwright_queue::Key;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder of messages.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    last: AtomicU64,
}

impl Spool {
    /// Opens a folder, which is made if it is not there, and clears it of what a kill in the middle of a write left.
    ///
    /// # Errors
    ///
    /// If it cannot be read; all others fail as the disk does.
    pub fn open(folder: &Path) -> Fallible<Self> {
        fs::create_dir_all(folder)?;
        let spool = Self {
            folder: folder.into(),
            last: AtomicU64::new(0),
        };
        let keys = spool.keys()?;
        spool.clear(&keys)?;
        let last = keys.last().map_or(0, |key| key.get());
        spool.last.store(last, Ordering::Relaxed);
        Ok(spool)
    }

    /// Adds a message; it is on disk when this returns.
    pub fn add(&self, record: &[u8], message: &[u8]) -> Fallible<()> {
        let key = Key::new(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let mut file = File::create(self.path(key, "mail"))?;
        file.write_all(message)?;
        file.sync_all()?;
        self.replace(key, record)
    }

    /// Puts another record in the place of one.
    pub fn replace(&self, key: Key, record: &[u8]) -> Fallible<()> {
        let unnamed = self.path(key, "new");
        let mut file = File::create(&unnamed)?;
        file.write_all(record)?;
        file.sync_all()?;
        fs::rename(&unnamed, self.path(key, "queue"))?;
        Ok(File::open(&self.folder)?.sync_all()?)
    }

    /// Removes a message.
    pub fn remove(&self, key: Key) -> Fallible<()> {
        fs::remove_file(self.path(key, "queue"))?;
        fs::remove_file(self.path(key, "mail"))?;
        Ok(File::open(&self.folder)?.sync_all()?)
    }

    /// Moves a message into a folder within this one, out of the way.
    pub fn set_aside(&self, key: Key, folder: &str) -> Fallible<()> {
        let folder = self.folder.join(folder);
        fs::create_dir_all(&folder)?;
        // Copied first: at any moment the message is in one place at least.
        for kind in ["mail", "queue"] {
            let from = self.path(key, kind);
            let name = from.file_name().expect("made of a name");
            fs::copy(&from, folder.join(name))?;
            File::open(folder.join(name))?.sync_all()?;
        }
        File::open(&folder)?.sync_all()?;
        self.remove(key)
    }

    /// The octets of a message.
    pub fn message(&self, key: Key) -> Fallible<Bytes> {
        Ok(fs::read(self.path(key, "mail"))?.into())
    }

    /// Records in the order of their keys.
    pub fn read(&self, after: Option<Key>, limit: usize) -> Fallible<Vec<(Key, Bytes)>> {
        let keys = self.keys()?.into_iter();
        let keys = keys
            .filter(|key| after.is_none_or(|after| *key > after))
            .take(limit);
        keys.map(|key| Ok((key, fs::read(self.path(key, "queue"))?.into())))
            .collect()
    }

    /// Removes records that never got their name, and messages that never got a record: nobody was told of them.
    fn clear(&self, keys: &[Key]) -> Fallible<()> {
        for kind in ["new", "mail"] {
            for key in self.files(kind)? {
                if kind == "new" || keys.binary_search(&key).is_err() {
                    fs::remove_file(self.path(key, kind))?;
                }
            }
        }
        Ok(())
    }

    fn keys(&self) -> Fallible<Vec<Key>> {
        self.files("queue")
    }

    /// The keys, in order, that have a file of a kind.
    fn files(&self, kind: &str) -> Fallible<Vec<Key>> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            if let Some(key) = name.and_then(|name| name.parse().ok())
                && path.extension().is_some_and(|extension| extension == kind)
            {
                keys.push(Key::new(key));
            }
        }
        keys.sort();
        Ok(keys)
    }

    fn path(&self, key: Key, kind: &str) -> PathBuf {
        self.folder.join(format!("{:016}.{kind}", key.get()))
    }
}
