//! The tables and their versions

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::Durability;
use crate::Error;

/// Marks the file as ours (`PRAGMA application_id`): "MWrt".
const APPLICATION: i64 = 0x4d57_7274;

/// The steps from each version to the next; the first makes the tables of an empty file. A step is never changed
/// once a release has it: a later one is added.
const STEPS: &[&str] = &[
    "
    CREATE TABLE counter (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO counter VALUES ('mailbox', 0), ('spool', 0), ('blob', 0);

    CREATE TABLE account (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        last_uid_validity INTEGER NOT NULL,
        octets INTEGER NOT NULL,
        messages INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE mailbox (
        id INTEGER PRIMARY KEY,
        account INTEGER NOT NULL,
        name TEXT NOT NULL,
        special_use TEXT,
        uid_validity INTEGER NOT NULL,
        uid_next INTEGER NOT NULL,
        mod_seq INTEGER NOT NULL,
        messages INTEGER NOT NULL,
        unseen INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        octets INTEGER NOT NULL,
        history INTEGER NOT NULL,
        forgotten INTEGER NOT NULL,
        UNIQUE (account, name)
    ) STRICT;

    CREATE TABLE subscription (
        account INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (account, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE message (
        mailbox INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        mod_seq INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        keywords TEXT,
        internal_date INTEGER NOT NULL,
        save_date INTEGER NOT NULL,
        octets INTEGER NOT NULL,
        blob INTEGER NOT NULL,
        PRIMARY KEY (mailbox, uid)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX message_mod_seq ON message (mailbox, mod_seq);

    CREATE TABLE expunged (
        mailbox INTEGER NOT NULL,
        mod_seq INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (mailbox, mod_seq, first)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE blob (
        id INTEGER PRIMARY KEY,
        hash BLOB NOT NULL,
        octets INTEGER NOT NULL,
        links INTEGER NOT NULL,
        pack INTEGER,
        start INTEGER,
        part_index BLOB NOT NULL
    ) STRICT;
    CREATE INDEX blob_pack ON blob (pack, start) WHERE pack IS NOT NULL;

    CREATE TABLE body (
        blob INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        content BLOB NOT NULL
    ) STRICT;

    CREATE TABLE spool (
        key INTEGER PRIMARY KEY,
        record BLOB NOT NULL,
        blob INTEGER
    ) STRICT;
    ",
    // Threads, sort keys and text of messages; annotations and access control lists of mailboxes. Each message that is
    // there already is a thread of its own: what it refers to is not known.
    "
    ALTER TABLE mailbox ADD COLUMN deleted_octets INTEGER NOT NULL DEFAULT 0;
    UPDATE mailbox SET deleted_octets =
        (SELECT ifnull(sum(octets), 0) FROM message WHERE mailbox = mailbox.id AND flags & 8 != 0);

    ALTER TABLE message ADD COLUMN thread INTEGER NOT NULL DEFAULT 0;
    UPDATE message SET thread = blob;
    CREATE INDEX message_thread ON message (thread);
    INSERT INTO counter SELECT 'thread', ifnull(max(blob), 0) FROM message;

    CREATE TABLE thread_key (
        account INTEGER NOT NULL,
        key INTEGER NOT NULL,
        thread INTEGER NOT NULL,
        PRIMARY KEY (account, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX thread_key_thread ON thread_key (thread);

    ALTER TABLE blob ADD COLUMN sort_keys BLOB NOT NULL DEFAULT x'';
    ALTER TABLE blob ADD COLUMN threading BLOB NOT NULL DEFAULT x'';

    CREATE TABLE text (
        blob INTEGER PRIMARY KEY,
        content BLOB NOT NULL
    ) STRICT;

    CREATE TABLE annotation (
        account INTEGER NOT NULL,
        mailbox INTEGER NOT NULL,
        name TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (account, mailbox, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX annotation_mailbox ON annotation (mailbox);

    CREATE TABLE acl (
        mailbox INTEGER NOT NULL,
        identifier TEXT NOT NULL,
        rights INTEGER NOT NULL,
        PRIMARY KEY (mailbox, identifier)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX acl_identifier ON acl (identifier);
    ",
    // Sketches of texts, and contents of mailboxes. Messages that are there already are searched without the one, and the
    // other is made when a mailbox is next opened. No other table has columns of these types in this order: rows are
    // told apart by that where the tables of a damaged database are lost.
    "
    CREATE TABLE sketch (
        blob INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        content BLOB NOT NULL,
        octets INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE contents (
        mailbox INTEGER PRIMARY KEY,
        mod_seq INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        content BLOB NOT NULL
    ) STRICT;
    ",
];

/// The latest version of the tables.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Opens the database for writing and brings its tables to the latest version.
pub(super) fn open_writer(file: &Path, durability: Durability) -> Result<Connection, Error> {
    let failed = |error: rusqlite::Error| failed(file, &error);
    let mut conn = Connection::open(file).map_err(failed)?;
    let fresh = is_fresh(&conn).map_err(failed)?;
    if !fresh && number(&conn, "application_id").map_err(failed)? != APPLICATION {
        return Err(Error::Foreign {
            file: file.to_owned(),
        });
    }
    let found = number(&conn, "user_version").map_err(failed)?;
    if !(0..=VERSION).contains(&found) {
        return Err(Error::TooNew {
            file: file.to_owned(),
            found,
            known: VERSION,
        });
    }
    if fresh {
        // Pages of 4 KiB hold a small body and its row with little waste, and are what the disk writes at once.
        conn.pragma_update(None, "page_size", 4096).map_err(failed)?;
    }
    let synchronous = match durability {
        Durability::Synced => "FULL",
        Durability::UnsyncedMayLoseMail => "OFF",
    };
    conn.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    conn.pragma_update(None, "synchronous", synchronous)
        .map_err(failed)?;
    conn.pragma_update(None, "cache_size", -64 * 1024)
        .map_err(failed)?;
    conn.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)
        .map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(64);
    for step in &STEPS[found as usize..] {
        let transaction = conn.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        let version = number(&transaction, "user_version").map_err(failed)? + 1;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(failed)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(conn)
}

/// Opens the database for reading.
pub(super) fn open_reader(file: &Path) -> Result<Connection, Error> {
    let failed = |error: rusqlite::Error| failed(file, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(failed)?;
    conn.pragma_update(None, "query_only", true).map_err(failed)?;
    conn.pragma_update(None, "cache_size", -8 * 1024)
        .map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn is_fresh(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
        row.get(0)
    })
}

fn number(conn: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, pragma, |row| row.get(0))
}

fn failed(file: &Path, error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Error::Foreign {
            file: file.to_owned(),
        },
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => Error::Damaged {
            file: file.to_owned(),
            reason: error.to_string(),
        },
        _ => Error::Io {
            path: file.to_owned(),
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first version has made is brought to the latest with nothing lost.
    #[test]
    fn version_1_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mail.db");
        let conn = Connection::open(&file).unwrap();
        conn.execute_batch(STEPS[0]).unwrap();
        conn.execute_batch(
            "INSERT INTO account VALUES (1, 'bob@b.test', 7, 30, 3);
             INSERT INTO mailbox VALUES (5, 1, 'INBOX', NULL, 7, 4, 9, 3, 3, 2, 30, 0, 0);
             INSERT INTO message VALUES (5, 1, 2, 8, NULL, 0, 0, 10, 11), (5, 2, 3, 8, NULL, 0, 0, 15, 12),
                (5, 3, 4, 0, NULL, 0, 0, 5, 11);
             UPDATE counter SET value = 5 WHERE name = 'mailbox'",
        )
        .unwrap();
        conn.pragma_update(None, "user_version", 1).unwrap();
        conn.pragma_update(None, "application_id", APPLICATION).unwrap();
        drop(conn);

        let conn = open_writer(&file, Durability::Synced).unwrap();
        let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(number("PRAGMA user_version"), VERSION);
        assert_eq!(number("SELECT deleted_octets FROM mailbox"), 25);
        assert_eq!(number("SELECT count(DISTINCT thread) FROM message"), 2);
        assert_eq!(number("SELECT value FROM counter WHERE name = 'thread'"), 12);
        assert_eq!(number("SELECT value FROM counter WHERE name = 'mailbox'"), 5);
        drop(conn);
        assert_eq!(
            open_writer(&file, Durability::Synced)
                .map(|_| ())
                .map_err(|e| e.to_string()),
            Ok(())
        );
    }
}
