//! What the files of the server have in common.

use crate::config::ConfigError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Opens files that only their owner may read.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Puts `text` in place of what `path` holds, at once or not at all.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// A file that commands and the server read whole and write whole; locked against other writers, never seen half-written.
#[derive(Debug)]
pub(crate) struct LockedFile {
    path: PathBuf,
    _lock: File,
}

impl LockedFile {
    /// Waits until nobody else is writing. The file itself need not be there.
    ///
    /// # Errors
    ///
    /// When its folder cannot be written to.
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigError> {
        let lock = lock(path).map_err(|error| {
            ConfigError::unreadable(path, &error, "this file needs a folder this user may write to")
        })?;
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the text beside the file and puts it in its place, so that a reader sees either the old or the new one,
    /// whatever happens meanwhile.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the file is as it was then.
    pub(crate) fn replace(&self, text: &str) -> io::Result<()> {
        let beside = suffixed(&self.path, ".part");
        // An administrator may be at work in a folder of somebody else's: what stands there, a link perhaps, is
        // not written through.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&beside)?;
        give_to_owner(&file, &self.path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        sync_folder(&self.path)
    }
}

/// The comments that a file begins with: whoever wrote them keeps them.
pub(crate) fn head_of(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let head: String = text
        .lines()
        .take_while(|line| line.starts_with('#') || line.trim().is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    (!head.trim().is_empty()).then_some(head)
}

/// Gives a fresh file to whom the file it replaces belongs, or else the folder: an administrator edits files as root,
/// and the server reads them as somebody else.
#[cfg(unix)]
fn give_to_owner(fresh: &File, replaced: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let folder = match replaced.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let owner = fs::metadata(replaced).or_else(|_| fs::metadata(folder))?;
    let present = fresh.metadata()?;
    if (owner.uid(), owner.gid()) == (present.uid(), present.gid()) {
        return Ok(());
    }
    fchown(fresh, Some(owner.uid()), Some(owner.gid()))
}

#[cfg(not(unix))]
fn give_to_owner(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes the renaming of a file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let lock = suffixed(path, ".lock");
    let file = match private(OpenOptions::new().write(true).create_new(true)).open(&lock) {
        Ok(file) => {
            give_to_owner(&file, path)?;
            file
        }
        // Neither made through a link nor given away: see `replace`.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).open(&lock)?
        }
        Err(error) => return Err(error),
    };
    file.lock()?;
    Ok(file)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What tells one state of a file from another without reading it.
pub(crate) type Stamp = (SystemTime, u64, u64);

/// The stamp of a file; `None` if there is none.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let inode = 0;
    Some((meta.modified().ok()?, meta.len(), inode))
}
