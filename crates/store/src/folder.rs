//! The data folder: its lock, and making its entries durable

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::Error;

/// A folder that this process owns as long as the value lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    // The lock goes with the file.
    _lock: File,
}

impl Folder {
    const LOCK: &str = "LOCK";

    /// Creates the folder where it is missing and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        create(path).map_err(|error| Error::io(path, &error))?;
        let file = path.join(Self::LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file);
        let lock = lock.map_err(|error| Error::io(&file, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                folder: path.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(Error::io(&file, &error)),
        }
    }

    #[cfg_attr(not(feature = "sqlite"), allow(dead_code))] // the Maildir store knows where it is
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates a folder, and those above it, so that they outlast a power cut.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    sync(parent.unwrap_or(Path::new(".")))
}

/// Makes the entries of a folder durable: a file that is synced but not in its folder is lost.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    // Windows cannot open folders as files and writes their entries through.
    if cfg!(windows) {
        Ok(())
    } else {
        File::open(path)?.sync_all()
    }
}
