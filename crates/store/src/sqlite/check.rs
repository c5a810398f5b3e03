//! Checks everything against everything

use std::sync::Arc;

use mailwright_mailbox::{BlobHash, StoreError};
use rusqlite::Connection;

use super::{Shared, blob, failed, read};
use crate::pack::Location;

/// What [`SqliteStore::check`](super::SqliteStore::check) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many messages there are.
    pub messages: u64,
    /// How many bodies were read and compared with their hashes.
    pub bodies: u64,
    /// What is wrong, a line each; empty when all is well.
    pub problems: Vec<String>,
}

/// Checks the database as it is at one moment, then every body.
pub(super) fn check(conn: &mut Connection, shared: &Arc<Shared>) -> Result<Report, StoreError> {
    let mut report = read::at_one_moment(conn, database)?;
    // Not at the same moment: the write-ahead log grows as long as a moment is held, and this takes long.
    let mut after = 0;
    loop {
        let found = bodies(conn, after)?;
        let Some(last) = found.last() else {
            return Ok(report);
        };
        after = last.id;
        for body in found {
            report.bodies += 1;
            let mut body = body;
            while let Err(problem) = body.verify(conn, shared) {
                // It may have been expunged or moved meanwhile.
                let (id, before) = (body.id, body.at);
                match bodies(conn, id - 1)?.into_iter().next().filter(|it| it.id == id) {
                    Some(again) if again.at != before => body = again,
                    Some(_) => {
                        report.problems.push(format!("body {id}: {problem}"));
                        break;
                    }
                    None => break,
                }
            }
        }
    }
}

fn database(conn: &Connection) -> Result<Report, StoreError> {
    let mut report = Report {
        messages: number(conn, "SELECT count(*) FROM message")?,
        ..Report::default()
    };
    let mut statement = conn.prepare("PRAGMA integrity_check").map_err(failed)?;
    let lines = statement
        .query_map([], |row| row.get::<_, String>(0))
        .map_err(failed)?;
    for line in lines {
        let line = line.map_err(failed)?;
        if line != "ok" {
            report.problems.push(format!("database: {line}"));
        }
    }
    for (what, sql) in RULES {
        let broken = number(conn, &format!("SELECT count(*) FROM ({sql})"))?;
        if broken > 0 {
            report.problems.push(format!("{what}: {broken}"));
        }
    }
    Ok(report)
}

struct StoredBody {
    id: i64,
    hash: BlobHash,
    size: u64,
    at: Option<Location>,
}

impl StoredBody {
    fn verify(&self, conn: &Connection, shared: &Shared) -> Result<(), String> {
        let id = self.id as u64;
        if let Some(at) = self.at {
            return shared
                .packs
                .verify(id, at, self.size, &self.hash)
                .map_err(|error| error.to_string());
        }
        let content = blob::inline(conn, id).map_err(|error| error.to_string())?;
        let same = content.len() as u64 == self.size && BlobHash::of(&content) == self.hash;
        if same { Ok(()) } else { Err("content hash".into()) }
    }
}

/// Reads the next of the bodies' rows.
fn bodies(conn: &Connection, after: i64) -> Result<Vec<StoredBody>, StoreError> {
    let sql = "SELECT id, hash, octets, pack, start FROM blob WHERE id > ?1 ORDER BY id LIMIT 500";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map([after], |row| {
        let (pack, start): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        let at = pack.zip(start).map(|(pack, start)| Location {
            pack: pack as u64,
            offset: start as u64,
        });
        let size = row.get::<_, i64>(2)? as u64;
        Ok(StoredBody {
            id: row.get(0)?,
            hash: BlobHash::from_bytes(row.get(1)?),
            size,
            at,
        })
    });
    rows.and_then(Iterator::collect).map_err(failed)
}

fn number(conn: &Connection, sql: &str) -> Result<u64, StoreError> {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0))
        .map(|n| n as u64)
        .map_err(failed)
}

/// Each selects what breaks a rule.
const RULES: &[(&str, &str)] = &[
    (
        "mailboxes whose numbers are not those of their messages",
        "SELECT id FROM mailbox AS m WHERE (messages, unseen, deleted, octets, deleted_octets) IS NOT
            (SELECT count(*), ifnull(sum(flags & 1 = 0), 0), ifnull(sum(flags & 8 != 0), 0), ifnull(sum(octets), 0),
             ifnull(sum(octets) FILTER (WHERE flags & 8 != 0), 0) FROM message WHERE mailbox = m.id)",
    ),
    (
        "mailboxes whose next UID or mod-sequence is not above those of their messages",
        "SELECT mailbox.id FROM mailbox JOIN message ON mailbox = mailbox.id
         WHERE uid >= uid_next OR message.mod_seq > mailbox.mod_seq GROUP BY mailbox.id",
    ),
    (
        "accounts whose usage is not the sum of their mailboxes",
        "SELECT id FROM account AS a WHERE (messages, octets) IS NOT
            (SELECT ifnull(sum(messages), 0), ifnull(sum(octets), 0) FROM mailbox WHERE account = a.id)",
    ),
    (
        "accounts with a UIDVALIDITY above the last that was given, or one given twice",
        "SELECT account.id FROM account JOIN mailbox ON account = account.id
         GROUP BY account.id HAVING max(uid_validity) > last_uid_validity
         OR count(DISTINCT uid_validity) < count(*)",
    ),
    ("mailboxes without an account", "SELECT id FROM mailbox WHERE account NOT IN (SELECT id FROM account)"),
    ("messages without a mailbox", "SELECT uid FROM message WHERE mailbox NOT IN (SELECT id FROM mailbox)"),
    (
        "bodies whose links are not those that messages and spool entries have",
        "SELECT blob.id FROM blob LEFT JOIN
            (SELECT blob, count(*) AS n FROM
                (SELECT blob FROM message UNION ALL SELECT blob FROM spool WHERE blob IS NOT NULL) GROUP BY blob)
            AS u ON u.blob = blob.id WHERE links IS NOT n",
    ),
    ("messages without a body", "SELECT uid FROM message WHERE blob NOT IN (SELECT id FROM blob)"),
    (
        "messages whose size is not that of their body",
        "SELECT uid FROM message JOIN blob ON blob.id = message.blob WHERE message.octets != blob.octets",
    ),
    ("spool entries without a body", "SELECT key FROM spool WHERE blob NOT IN (SELECT id FROM blob)"),
    (
        "bodies that belong to nothing",
        "SELECT body.blob FROM body LEFT JOIN blob ON blob.id = body.blob WHERE blob.id IS NULL OR pack IS NOT NULL",
    ),
    (
        "expunged messages that are still there, or expunges above the last mod-sequence",
        "SELECT e.first FROM expunged AS e LEFT JOIN mailbox AS m ON m.id = e.mailbox
         WHERE m.id IS NULL OR e.mod_seq > m.mod_seq OR e.mod_seq <= m.forgotten OR e.last >= m.uid_next
         OR EXISTS (SELECT 1 FROM message WHERE mailbox = e.mailbox AND uid BETWEEN e.first AND e.last)",
    ),
    (
        "mailboxes whose expunge history is not counted right",
        "SELECT id FROM mailbox AS m WHERE history IS NOT
            (SELECT ifnull(sum(last - first + 1), 0) FROM expunged WHERE mailbox = m.id)",
    ),
    (
        "keys of threads that have no message in their account",
        "SELECT 1 FROM thread_key AS k WHERE NOT EXISTS
            (SELECT 1 FROM message JOIN mailbox ON mailbox.id = message.mailbox
             WHERE message.thread = k.thread AND mailbox.account = k.account)",
    ),
    ("texts that belong to nothing", "SELECT blob FROM text WHERE blob NOT IN (SELECT id FROM blob)"),
    (
        "annotations and rights on mailboxes that are gone",
        "SELECT mailbox FROM annotation WHERE mailbox != 0 AND mailbox NOT IN (SELECT id FROM mailbox)
         UNION ALL SELECT mailbox FROM acl WHERE mailbox NOT IN (SELECT id FROM mailbox)",
    ),
    (
        "ids above the last that was given",
        "SELECT 1 FROM mailbox WHERE id > (SELECT value FROM counter WHERE name = 'mailbox')
         UNION ALL SELECT 1 FROM spool WHERE key > (SELECT value FROM counter WHERE name = 'spool')
         UNION ALL SELECT 1 FROM message WHERE thread > (SELECT value FROM counter WHERE name = 'thread')",
    ),
];
