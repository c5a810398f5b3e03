//! A copy of the whole store, true at one moment, while work goes on

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use mailwright_mailbox::StoreError;
use rusqlite::{Connection, OpenFlags};

use super::{Shared, failed};
use crate::folder;

/// What [`SqliteStore::backup`](super::SqliteStore::backup) has copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// How many messages the copy has.
    pub messages: u64,
    /// How many octets it takes on the disk.
    pub octets: u64,
}

/// Copies the database as it is at one moment, then the packs it refers to, which only ever grow meanwhile.
pub(super) fn backup(shared: &Arc<Shared>, to: &Path) -> Result<Backup, StoreError> {
    // What the copy refers to must not go before it is copied.
    let _hold = shared.packs.hold();
    let packs = to.join("packs");
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(StoreError::Io(format!("{} is not empty", to.display())));
    }
    folder::create(&packs).map_err(io_failed)?;
    let file = to.join("mail.db");
    let conn = Connection::open_with_flags(&shared.file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let name = file
        .to_str()
        .ok_or_else(|| StoreError::Io("the folder's name is not UTF-8".into()))?;
    conn.execute("VACUUM INTO ?1", [name]).map_err(failed)?;
    sync(&file).map_err(io_failed)?;
    let copy = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let mut octets = fs::metadata(&file).map_err(io_failed)?.len();
    let mut statement = copy
        .prepare("SELECT DISTINCT pack FROM blob WHERE pack IS NOT NULL")
        .map_err(failed)?;
    let used = statement
        .query_map([], |row| row.get::<_, i64>(0))
        .map_err(failed)?;
    for pack in used {
        let from = shared.packs.file_path(pack.map_err(failed)? as u64);
        let name = from.file_name().map(PathBuf::from).unwrap_or_default();
        let to = packs.join(name);
        octets += fs::copy(&from, &to).map_err(io_failed)?;
        sync(&to).map_err(io_failed)?;
    }
    let messages = copy.query_row("SELECT count(*) FROM message", [], |row| row.get::<_, i64>(0));
    let messages = messages.map_err(failed)? as u64;
    folder::sync(&packs)
        .and_then(|()| folder::sync(to))
        .map_err(io_failed)?;
    Ok(Backup { messages, octets })
}

fn sync(file: &Path) -> io::Result<()> {
    File::options().write(true).open(file)?.sync_all()
}

fn io_failed(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(error.to_string()),
    }
}
