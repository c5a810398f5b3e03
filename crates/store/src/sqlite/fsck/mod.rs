//! Checks a store that no process has open, mends it, and saves what is left of one
//!
//! ```text
//!  mail.db is sound:    rows that contradict each other are mended by the rules
//!  mail.db is damaged:  mail.db.new ◀── rows that can be read, page by page
//!                                   ◀── what the packs say of bodies whose rows are gone
//!                                   ◀── rules
//!                       mail.db.new ─▶ mail.db.ready, mail.db ─▶ mail.db.damaged, mail.db.ready ─▶ mail.db
//! ```

mod bodies;
pub(super) mod rules;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use mailwright_mailbox::StoreError;
use rusqlite::Connection;

use self::rules::{NUMBERS, OWNERS, Rule};
use super::{
    Durability, SqliteStore,
    check::{self, StoredBody},
    failed,
    finding::{Finding, Loss, Report},
    salvage, schema,
};
use crate::{
    Error,
    folder::{self, Folder},
    pack::Packs,
};

/// The name of a database that is complete and is to take the place of a damaged one.
pub(super) const READY: &str = "mail.db.ready";

/// How many UIDs, mod-sequences and other numbers are passed over where rows were lost: more than the pages that a crash or
/// a bad disk takes at once can hold.
const SKIPPED: i64 = 100_000;

/// What [`SqliteStore::fsck`] does about what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Tells of it.
    No,
    /// Mends what can be mended, and makes a damaged database anew of what can be read. The damaged one is kept beside
    /// it, as `mail.db.damaged`.
    Yes,
}

impl SqliteStore {
    /// Checks the store in a folder: SQLite's own check of its file, all rows against each other, every body against
    /// its hash, every part index. Blocks the thread until all of it is read.
    ///
    /// With [`Repair::Yes`] it mends. What is counted is counted again. A message whose row was lost but whose body is
    /// there comes back in the account `lost+found`, which nobody can log in to; one of which only the row is left is
    /// expunged, and told of in [`Report::lost`]. A body that is damaged stays, and is told of as a problem. No UID is
    /// ever given again.
    ///
    /// # Errors
    /// [`Error::InUse`] when a process has the store open: [`SqliteStore::check`] does the same there, but for the
    /// mending. Others when the folder is none of a store or cannot be read or written.
    pub fn fsck(folder: impl AsRef<Path>, repair: Repair) -> Result<Report, Error> {
        let folder = lock(folder.as_ref())?;
        take_over(folder.path()).map_err(|error| Error::io(folder.path(), &error))?;
        let before = look(folder.path())?;
        if repair == Repair::No || before.problems.is_empty() {
            return Ok(before);
        }
        let lost = match &before.problems[0] {
            Finding::Database { .. } => rebuild(folder.path())?,
            _ => mend(folder.path())?,
        };
        let after = look(folder.path())?;
        let is_left = |finding: &Finding| after.problems.contains(finding);
        let mended = before.problems.into_iter().filter(|it| !is_left(it)).collect();
        Ok(Report {
            mended,
            lost,
            ..after
        })
    }

    /// Makes a sound store in another folder of all that can be read of a damaged one, which is left as it is: for
    /// disks that fail, and to look before mending. The folder is created or empty. Blocks the thread.
    ///
    /// What cannot be read is in [`Report::lost`]; all else is as after [`SqliteStore::fsck`].
    ///
    /// # Errors
    /// [`Error::InUse`] when a process has the damaged store open, others when nothing can be read, or not be written.
    pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Report, Error> {
        let from = lock(from.as_ref())?;
        let to = to.as_ref();
        if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
            let error = io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty");
            return Err(Error::io(to, &error));
        }
        let to = Folder::open(to)?;
        let file = to.path().join("mail.db");
        let read = Packs::look(&from.path().join("packs"))?;
        let mut lost = make(from.path(), &read, &file)?;
        let written = Arc::new(Packs::open(&to.path().join("packs"), 64 << 20, |_| Ok(Some(0)))?);
        let conn = schema::open_writer(&file, Durability::UnsyncedMayLoseMail)?;
        lost.extend(
            bodies::copy(&conn, &read, &written)
                .and_then(|lost| mend_rules(&conn, &written).map(|()| lost))
                .map_err(|error| trouble(&file, &error))?,
        );
        drop(conn);
        settle(&file).map_err(|error| Error::io(&file, &error))?;
        drop(written);
        let report = look(to.path())?;
        Ok(Report { lost, ..report })
    }
}

/// Takes the lock of a folder that exists.
fn lock(folder: &Path) -> Result<Folder, Error> {
    if !folder.join("mail.db").exists() && !folder.join("packs").exists() {
        let error = io::Error::new(io::ErrorKind::NotFound, "there is no store in this folder");
        return Err(Error::io(folder, &error));
    }
    Folder::open(folder)
}

/// Looks at everything. Where the database cannot be read, that comes first.
fn look(folder: &Path) -> Result<Report, Error> {
    let file = folder.join("mail.db");
    let damaged = |reason: String| Report {
        problems: vec![Finding::Database { reason }],
        ..Report::default()
    };
    if !file.exists() {
        return Ok(damaged("mail.db is missing".into()));
    }
    let packs = Packs::look(&folder.join("packs"))?;
    let mut conn = match schema::open_writer(&file, Durability::Synced) {
        Ok(conn) => conn,
        Err(Error::Foreign { .. } | Error::Damaged { .. }) if is_ours(&file, folder) => {
            return Ok(damaged("mail.db is not a database any more".into()));
        }
        Err(Error::Damaged { reason, .. }) => return Ok(damaged(reason)),
        Err(error) => return Err(error),
    };
    let found = check::check(&mut conn, &packs).and_then(|mut report| {
        report.problems.extend(check::indexes(&conn)?);
        // A database that is damaged is so first of all.
        report
            .problems
            .sort_by_key(|finding| !matches!(finding, Finding::Database { .. }));
        Ok(report)
    });
    match found {
        Ok(report) => Ok(report),
        Err(StoreError::Corrupt(reason)) => Ok(damaged(reason)),
        Err(error) => Err(trouble(&file, &error)),
    }
}

/// Tells whether a file that SQLite cannot read was a database of a store: packs are beside it, or rows are in it.
fn is_ours(file: &Path, folder: &Path) -> bool {
    let has_packs = fs::read_dir(folder.join("packs")).is_ok_and(|mut packs| packs.next().is_some());
    let has_rows = || {
        let to = schema::open_writer(Path::new(":memory:"), Durability::UnsyncedMayLoseMail).ok()?;
        salvage::copy(file, &log_of(file), &to).ok()?;
        check::number(&to, "SELECT count(*) FROM account").ok()
    };
    has_packs || has_rows().is_some_and(|rows| rows > 0)
}

/// Mends a database that SQLite can read.
fn mend(folder: &Path) -> Result<Vec<Loss>, Error> {
    let file = folder.join("mail.db");
    let packs = Packs::look(&folder.join("packs"))?;
    let conn = schema::open_writer(&file, Durability::Synced)?;
    let all = |conn: &Connection| {
        let owners = |conn: &Connection| OWNERS.iter().try_for_each(|rule| restore(conn, rule));
        owners(conn)?;
        let lost = bodies::mend(conn, &packs, false)?;
        // Bodies of nobody have got a mailbox.
        owners(conn)?;
        mend_rules(conn, &packs)?;
        Ok(lost)
    };
    in_transaction(&conn, all).map_err(|error| trouble(&file, &error))
}

/// Puts a database in the place of a damaged one, made of what can be read.
fn rebuild(folder: &Path) -> Result<Vec<Loss>, Error> {
    let file = folder.join("mail.db");
    let fresh = folder.join("mail.db.new");
    let packs = Packs::look(&folder.join("packs"))?;
    let lost = make(folder, &packs, &fresh)?;
    let ready = folder.join(READY);
    let done = settle(&fresh)
        .and_then(|()| fs::rename(&fresh, &ready))
        .and_then(|()| folder::sync(folder))
        .and_then(|()| take_over(folder));
    done.map_err(|error| Error::io(&file, &error))?;
    Ok(lost)
}

/// Puts a database that is ready in its place, if there is one. Where that was interrupted, it is done by the next that
/// looks: in between there is no database.
fn take_over(folder: &Path) -> io::Result<()> {
    let (file, ready) = (folder.join("mail.db"), folder.join(READY));
    if !ready.exists() {
        return Ok(());
    }
    if is_one_file(&file, &ready) {
        fs::remove_file(&ready)?;
        return folder::sync(folder);
    }
    let damaged = (0..u32::MAX)
        .map(|n| match n {
            0 => folder.join("mail.db.damaged"),
            n => folder.join(format!("mail.db.damaged-{n}")),
        })
        .find(|path| !path.exists() && !log_of(path).exists())
        .ok_or(io::ErrorKind::AlreadyExists)?;
    // The log goes first: beside the other database it would be taken for its own.
    move_away(&log_of(&file), &log_of(&damaged))?;
    folder::sync(folder)?;
    move_away(&file, &damaged)?;
    // Under both names until it is sure of the one: a rename could be torn apart.
    match fs::hard_link(&ready, &file) {
        Ok(()) => {
            folder::sync(folder)?;
            fs::remove_file(&ready)?;
        }
        // Not every file system has links.
        Err(_) => fs::rename(&ready, &file)?,
    }
    folder::sync(folder)
}

/// Whether two names stand for one file.
fn is_one_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
        id(one).is_some() && id(one) == id(other)
    }
    #[cfg(not(unix))]
    {
        let _ = (one, other);
        false
    }
}

/// Makes a database of what can be read of the one in a folder.
fn make(folder: &Path, packs: &Packs, fresh: &Path) -> Result<Vec<Loss>, Error> {
    let file = folder.join("mail.db");
    for left in [fresh.to_owned(), log_of(fresh)] {
        // What an earlier try has left.
        match fs::remove_file(&left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(&left, &error)),
            _ => {}
        }
    }
    let conn = schema::open_writer(fresh, Durability::UnsyncedMayLoseMail)?;
    let all = |conn: &Connection| {
        let salvaged = salvage::copy(&file, &log_of(&file), conn)?;
        let mut lost = Vec::new();
        if salvaged.lost_pages > 0 {
            let count = salvaged.lost_pages;
            lost.push(Loss::Pages { count });
        }
        bodies::name_mailboxes(conn)?;
        OWNERS.iter().try_for_each(|rule| restore(conn, rule))?;
        lost.extend(bodies::mend(conn, packs, !salvaged.is_whole)?);
        mend_rules(conn, packs)?;
        if !salvaged.is_whole {
            skip_numbers(conn)?;
        }
        Ok(lost)
    };
    in_transaction(&conn, all).map_err(|error| trouble(fresh, &error))
}

/// Leaves out numbers that may have been given to what no row is left of: none is given again.
fn skip_numbers(conn: &Connection) -> Result<(), StoreError> {
    let sql = "UPDATE counter SET value = value + ?1 WHERE name = 'blob'";
    conn.execute(sql, [16 * SqliteStore::BLOB_IDS]).map_err(failed)?;
    // 2^32 says that a mailbox has given all its UIDs. What was lost is in no history: clients compare what is there.
    let sql = "UPDATE mailbox SET uid_next = min(uid_next + ?1, 4294967296), mod_seq = mod_seq + ?1,
               forgotten = mod_seq + ?1, history = 0";
    conn.execute(sql, [SKIPPED]).map_err(failed)?;
    conn.execute("DELETE FROM expunged", []).map_err(failed)?;
    conn.execute(
        "UPDATE counter SET value = value + ?1 WHERE name != 'blob'",
        [SKIPPED],
    )
    .map_err(failed)?;
    Ok(())
}

/// Restores all that follows from what there is.
fn mend_rules(conn: &Connection, packs: &Packs) -> Result<(), StoreError> {
    OWNERS
        .iter()
        .chain(NUMBERS)
        .try_for_each(|rule| restore(conn, rule))?;
    // They are made anew when their mailboxes are opened.
    conn.execute("DELETE FROM contents", []).map_err(failed)?;
    for finding in check::indexes(conn)? {
        let Finding::Index { id } = finding else { continue };
        if let Some(body) = StoredBody::find(conn, id as i64)? {
            bodies::digest(conn, packs, &body)?;
        }
    }
    Ok(())
}

fn restore(conn: &Connection, rule: &Rule) -> Result<(), StoreError> {
    if check::broken(conn, rule)? > 0 {
        conn.execute_batch(rule.mend).map_err(failed)?;
    }
    Ok(())
}

fn in_transaction<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = conn.unchecked_transaction().map_err(failed)?;
    let done = work(&transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(done)
}

/// Makes a database that nobody has open durable.
fn settle(file: &Path) -> io::Result<()> {
    // Who closes a database last copies its log into it and removes that.
    if log_of(file).exists() {
        return Err(io::Error::other("the log could not be copied into the database"));
    }
    File::options().write(true).open(file)?.sync_all()?;
    file.parent().map_or(Ok(()), folder::sync)
}

fn move_away(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn trouble(path: &Path, error: &StoreError) -> Error {
    Error::Io {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
