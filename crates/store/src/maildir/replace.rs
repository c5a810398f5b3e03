//! Files that are replaced as a whole

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::folder;

/// Writes a file that others read, whole at every moment. A power cut may leave it empty: it is written again.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let partial = beside(path);
    fs::write(&partial, text)?;
    fs::rename(partial, path)
}

/// As [`replace`], and it outlasts a power cut: what names of files mean is in it.
pub(super) fn replace_synced(path: &Path, text: &str) -> io::Result<()> {
    let partial = beside(path);
    fs::write(&partial, text)?;
    fs::File::open(&partial)?.sync_all()?;
    fs::rename(partial, path)?;
    path.parent().map_or(Ok(()), folder::sync)
}

fn beside(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".mailwright");
    partial.into()
}
