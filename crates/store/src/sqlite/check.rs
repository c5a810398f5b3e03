//! Checks everything against everything

use std::io;

use bytes::Bytes;
use mailwright_mailbox::{BlobHash, StoreError};
use mailwright_message::Index;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    blob, contents, failed,
    finding::{Finding, Place, Report},
    fsck::rules::{BODIES, NUMBERS, OWNERS, Rule},
    read, rows,
};
use crate::pack::{Location, Packs};

/// Checks the database as it is at one moment, then every body.
pub(super) fn check(conn: &mut Connection, packs: &Packs) -> Result<Report, StoreError> {
    let mut report = read::at_one_moment(conn, |conn| {
        let messages = number(conn, "SELECT count(*) FROM message")?;
        let mut problems = integrity(conn)?;
        problems.extend(rules(conn)?);
        let count = contents::count_wrong(conn)?;
        if count > 0 {
            let what = "kept contents that are not those of their mailbox";
            problems.push(Finding::Rule { what, count });
        }
        let report = Report::default();
        Ok(Report {
            messages,
            problems,
            ..report
        })
    })?;
    // Not at the same moment: the write-ahead log grows as long as a moment is held, and this takes long.
    each_body(conn, |conn, body| {
        report.bodies += 1;
        let mut body = body;
        while let Err(reason) = body.verify(conn, packs) {
            // It may have been expunged or moved meanwhile.
            match StoredBody::find(conn, body.id)? {
                Some(again) if again.at != body.at => body = again,
                Some(_) => {
                    report.problems.push(body.finding(conn, reason)?);
                    break;
                }
                None => break,
            }
        }
        Ok(())
    })?;
    Ok(report)
}

/// Finds the part indexes that cannot be read. A message may be without one.
pub(super) fn indexes(conn: &Connection) -> Result<Vec<Finding>, StoreError> {
    let mut problems = Vec::new();
    let mut statement = conn
        .prepare("SELECT id, part_index FROM blob WHERE length(part_index) > 0")
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let id = row.get::<_, i64>(0).map_err(failed)?;
        let index = row.get_ref(1).map_err(failed)?;
        let readable = index
            .as_blob()
            .is_ok_and(|bytes| Index::from_bytes(Bytes::copy_from_slice(bytes)).is_ok());
        if !readable {
            problems.push(Finding::Index { id: id as u64 });
        }
    }
    Ok(problems)
}

/// Has SQLite check its own file.
pub(super) fn integrity(conn: &Connection) -> Result<Vec<Finding>, StoreError> {
    let mut problems = Vec::new();
    let mut statement = conn.prepare("PRAGMA integrity_check").map_err(failed)?;
    let mut lines = statement.query([]).map_err(failed)?;
    loop {
        let line = match lines.next() {
            Ok(Some(row)) => row.get::<_, String>(0).map_err(failed)?,
            Ok(None) => return Ok(problems),
            Err(error) => {
                problems.push(Finding::Database {
                    reason: error.to_string(),
                });
                return Ok(problems);
            }
        };
        // One line, whatever SQLite makes of it.
        for reason in line.lines().filter(|line| *line != "ok") {
            let reason = reason.to_owned();
            problems.push(Finding::Database { reason });
        }
    }
}

/// Finds the rules that are broken.
pub(super) fn rules(conn: &Connection) -> Result<Vec<Finding>, StoreError> {
    let mut problems = Vec::new();
    for rule in OWNERS.iter().chain(BODIES).chain(NUMBERS) {
        let count = broken(conn, rule)?;
        if count > 0 {
            let what = rule.what;
            problems.push(Finding::Rule { what, count });
        }
    }
    Ok(problems)
}

/// Counts what breaks a rule.
pub(super) fn broken(conn: &Connection, rule: &Rule) -> Result<u64, StoreError> {
    number(conn, &format!("SELECT count(*) FROM ({})", rule.broken))
}

/// Goes through all bodies. They are read in portions, so that the caller may change them.
pub(super) fn each_body(
    conn: &Connection,
    mut each: impl FnMut(&Connection, StoredBody) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = "SELECT id, hash, octets, pack, start FROM blob WHERE id > ?1 ORDER BY id LIMIT 500";
    let mut after = i64::MIN;
    loop {
        let mut statement = conn.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map([after], StoredBody::of);
        let found: Vec<_> = rows.and_then(Iterator::collect).map_err(failed)?;
        let Some(last) = found.last() else {
            return Ok(());
        };
        after = last.id;
        found.into_iter().try_for_each(|body| each(conn, body))?;
    }
}

/// A body as its row describes it.
#[derive(Clone, Debug)]
pub(super) struct StoredBody {
    pub(super) id: i64,
    pub(super) hash: BlobHash,
    pub(super) size: u64,
    pub(super) at: Option<Location>,
}

impl StoredBody {
    pub(super) fn find(conn: &Connection, id: i64) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT id, hash, octets, pack, start FROM blob WHERE id = ?1";
        let mut statement = conn.prepare_cached(sql).map_err(failed)?;
        statement.query_row([id], Self::of).optional().map_err(failed)
    }

    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (pack, start): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        let at = pack.zip(start).map(|(pack, start)| Location {
            pack: pack as u64,
            offset: start as u64,
        });
        Ok(Self {
            id: row.get(0)?,
            hash: BlobHash::from_bytes(row.get(1)?),
            size: row.get::<_, i64>(2)? as u64,
            at,
        })
    }

    /// Reads all of it and compares it with its hash; says what is wrong.
    pub(super) fn verify(&self, conn: &Connection, packs: &Packs) -> Result<(), String> {
        let id = self.id as u64;
        if let Some(at) = self.at {
            return packs
                .verify(id, at, self.size, &self.hash)
                .map_err(|error| one_line(&error));
        }
        let content = blob::inline(conn, id).map_err(|error| error.to_string())?;
        let same = content.len() as u64 == self.size && BlobHash::of(&content) == self.hash;
        if same {
            Ok(())
        } else {
            Err("wrong content hash".into())
        }
    }

    pub(super) fn finding(&self, conn: &Connection, reason: String) -> Result<Finding, StoreError> {
        let (id, messages) = (self.id as u64, places(conn, self.id)?);
        Ok(Finding::Body { id, reason, messages })
    }
}

/// Where the messages with a body are, the first few.
pub(super) fn places(conn: &Connection, blob: i64) -> Result<Vec<Place>, StoreError> {
    let sql =
        "SELECT account.name, mailbox.name, uid FROM message JOIN mailbox ON mailbox.id = message.mailbox
               JOIN account ON account.id = mailbox.account WHERE blob = ?1 LIMIT 3";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map([blob], place);
    rows.and_then(Iterator::collect).map_err(failed)
}

/// Reads a place from three columns.
pub(super) fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        account: mailwright_mailbox::Account::new(row.get::<_, String>(0)?),
        mailbox: rows::mailbox_name(row, 1)?,
        uid: rows::uid(row, 2)?,
    })
}

pub(super) fn number(conn: &Connection, sql: &str) -> Result<u64, StoreError> {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0))
        .map(|n| n as u64)
        .map_err(failed)
}

fn one_line(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "its pack is too short".into(),
        _ => error.to_string(),
    }
}
