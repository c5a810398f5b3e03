//! Brings messages and bodies together again

use std::{collections::HashMap, io, sync::Arc};

use mailwright_mailbox::{
    BlobHash, BlobHasher, MailboxName, MessageMeta, StoreError,
    digest::{Builder, Keys, Options, text::Walk},
};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    pack::{Found, Packs},
    sqlite::{
        blob,
        check::{self, StoredBody},
        failed,
        finding::{Finding, Loss},
        links,
    },
};

/// Finds the bodies of messages, and messages for the bodies. Where rows were lost, also records of packs that no row
/// tells of get a message; elsewhere those are what was expunged.
pub(super) fn mend(conn: &Connection, packs: &Packs, rows_are_lost: bool) -> Result<Vec<Loss>, StoreError> {
    let survey = packs.survey();
    keep_inline(conn)?;
    place_again(conn, packs, &survey)?;
    for id in numbers(conn, MISSING)? {
        for found in survey.get(&(id as u64)).into_iter().flatten() {
            if attach(conn, packs, id, found)? {
                break;
            }
        }
    }
    if rows_are_lost {
        for (key, found) in &survey {
            let id = *key as i64;
            if StoredBody::find(conn, id)?.is_none() {
                // Of several copies of a body, the first whole one will do.
                for found in found {
                    if attach(conn, packs, id, found)? {
                        break;
                    }
                }
            }
        }
    }
    adopt(conn, packs)?;
    give_up(conn)
}

/// Names the mailboxes whose names are none: only a damaged page can hold such.
pub(super) fn name_mailboxes(conn: &Connection) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT id, name FROM mailbox").map_err(failed)?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .map_err(failed)?;
    let all: Vec<_> = rows.collect::<Result<_, _>>().map_err(failed)?;
    for (id, name) in all {
        if MailboxName::parse(&name).is_ok_and(|parsed| parsed.as_str() == name) {
            continue;
        }
        let sql = "UPDATE mailbox SET name = 'mailbox-' || id WHERE id = ?1";
        conn.execute(sql, [id]).map_err(failed)?;
    }
    Ok(())
}

/// Copies every body that can be read from the packs of one store to those of another, to which the database is moved.
/// The others are lost, and their messages with them.
pub(super) fn copy(conn: &Connection, from: &Packs, to: &Arc<Packs>) -> Result<Vec<Loss>, StoreError> {
    let transaction = conn.unchecked_transaction().map_err(failed)?;
    let mut lost = Vec::new();
    let mut ends = HashMap::<u64, u64>::new();
    check::each_body(&transaction, |conn, body| {
        if let Err(reason) = body.verify(conn, from) {
            if let Finding::Body { id, reason, messages } = body.finding(conn, reason)? {
                lost.push(Loss::Body { id, reason, messages });
            }
            for sql in [
                "DELETE FROM blob WHERE id = ?1",
                "DELETE FROM body WHERE blob = ?1",
            ] {
                conn.execute(sql, [body.id]).map_err(failed)?;
            }
            return Ok(());
        }
        let Some(at) = body.at else { return Ok(()) };
        let written = from.copy(body.id as u64, at, body.size, to).map_err(io_failed)?;
        let end = ends.entry(written.location.pack).or_default();
        *end = written.end.max(*end);
        let place = (
            body.id,
            written.location.pack as i64,
            written.location.offset as i64,
        );
        conn.execute("UPDATE blob SET pack = ?2, start = ?3 WHERE id = ?1", place)
            .map_err(failed)?;
        Ok(())
    })?;
    for (pack, end) in ends {
        to.sync(pack, end).map_err(io_failed)?;
    }
    // Each of these is in what was told of its body.
    give_up(&transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(lost)
}

/// Computes what is kept of a message's content, where that can be read.
pub(super) fn digest(conn: &Connection, packs: &Packs, body: &StoredBody) -> Result<(), StoreError> {
    let Some(meta) = meta(conn, packs, body)? else {
        return Ok(());
    };
    let sql = "UPDATE blob SET part_index = ?2, sort_keys = ?3, threading = ?4 WHERE id = ?1";
    let values = (
        body.id,
        &meta.index[..],
        &meta.sort_keys[..],
        meta.threading.to_bytes(),
    );
    conn.execute(sql, values).map_err(failed)?;
    links::insert_text(conn, body.id, &meta).map_err(failed)
}

/// Makes rows for bodies in the database that have none.
fn keep_inline(conn: &Connection) -> Result<(), StoreError> {
    for id in numbers(
        conn,
        "SELECT blob FROM body WHERE blob NOT IN (SELECT id FROM blob)",
    )? {
        match blob::inline(conn, id as u64) {
            Ok(content) => {
                let sql =
                    "INSERT INTO blob (id, hash, octets, links, part_index) VALUES (?1, ?2, ?3, 0, x'')";
                let hash = BlobHash::of(&content);
                conn.execute(sql, (id, hash.as_bytes(), content.len() as i64))
                    .map_err(failed)?;
            }
            // Nothing tells any more what it was.
            Err(StoreError::Corrupt(_)) => {
                conn.execute("DELETE FROM body WHERE blob = ?1", [id])
                    .map_err(failed)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Corrects where bodies are said to be that are elsewhere.
fn place_again(
    conn: &Connection,
    packs: &Packs,
    survey: &HashMap<u64, Vec<Found>>,
) -> Result<(), StoreError> {
    check::each_body(conn, |conn, body| {
        if body.verify(conn, packs).is_ok() {
            return Ok(());
        }
        let others = survey.get(&(body.id as u64)).into_iter().flatten();
        let others = others.map(|found| Some(found.at)).chain([None]);
        for at in others {
            let there = StoredBody { at, ..body.clone() };
            if there.verify(conn, packs).is_ok() {
                let (pack, start) = (at.map(|at| at.pack as i64), at.map(|at| at.offset as i64));
                let sql = "UPDATE blob SET pack = ?2, start = ?3 WHERE id = ?1";
                conn.execute(sql, (body.id, pack, start)).map_err(failed)?;
                break;
            }
        }
        Ok(())
    })
}

/// Makes a row for a record of a pack; `false` when the record is damaged.
fn attach(conn: &Connection, packs: &Packs, id: i64, found: &Found) -> Result<bool, StoreError> {
    let body = StoredBody {
        id,
        hash: found.hash,
        size: found.size,
        at: Some(found.at),
    };
    if body.verify(conn, packs).is_err() {
        return Ok(false);
    }
    let sql = "INSERT INTO blob (id, hash, octets, links, pack, start, part_index) VALUES (?1, ?2, ?3, 0, ?4, ?5, x'')";
    let (pack, start) = (found.at.pack as i64, found.at.offset as i64);
    let values = (id, found.hash.as_bytes(), found.size as i64, pack, start);
    conn.execute(sql, values).map_err(failed)?;
    digest(conn, packs, &body)?;
    Ok(true)
}

/// Gives bodies that belong to nothing a message in `lost+found`; those that cannot be read go.
fn adopt(conn: &Connection, packs: &Packs) -> Result<(), StoreError> {
    let orphans = numbers(conn, ORPHANS)?;
    let mut mailbox = None;
    for id in orphans {
        let Some(body) = StoredBody::find(conn, id)? else {
            continue;
        };
        if body.verify(conn, packs).is_err() {
            conn.execute("DELETE FROM blob WHERE id = ?1", [id])
                .map_err(failed)?;
            continue;
        }
        let mailbox = match mailbox {
            Some(mailbox) => mailbox,
            None => *mailbox.insert(lost_and_found(conn)?),
        };
        digest(conn, packs, &body)?;
        let sql = "SELECT sort_keys FROM blob WHERE id = ?1";
        let keys = conn.query_row(sql, [id], |row| row.get::<_, Vec<u8>>(0));
        let sent = Keys::from_bytes(&keys.map_err(failed)?.into()).and_then(|keys| keys.sent());
        let date = sent.map_or(0, |date| date.unix);
        // Threads are numbered by bodies here; the rules correct the counters.
        let sql = "INSERT INTO message
                   SELECT ?1, uid_next, mod_seq + 1, 0, NULL, ?2, ?2, ?3, ?4, ?4 FROM mailbox WHERE id = ?1";
        conn.execute(sql, (mailbox, date, body.size as i64, id))
            .map_err(failed)?;
        let sql = "UPDATE mailbox SET uid_next = uid_next + 1, mod_seq = mod_seq + 1 WHERE id = ?1";
        conn.execute(sql, [mailbox]).map_err(failed)?;
    }
    Ok(())
}

/// Expunges messages of which no octets are left. Packs that are missing may come back: their bodies are not given up.
fn give_up(conn: &Connection) -> Result<Vec<Loss>, StoreError> {
    let sql = "DELETE FROM blob WHERE pack IS NULL AND id NOT IN (SELECT blob FROM body)";
    conn.execute(sql, []).map_err(failed)?;
    let sql = "SELECT account.name, mailbox.name, uid, mailbox.id FROM message JOIN mailbox ON mailbox.id = message.mailbox
               JOIN account ON account.id = mailbox.account WHERE blob NOT IN (SELECT id FROM blob)";
    let mut lost = Vec::new();
    let mut statement = conn.prepare(sql).map_err(failed)?;
    let rows = statement
        .query_map([], |row| Ok((check::place(row)?, row.get::<_, i64>(3)?)))
        .map_err(failed)?;
    let gone: Vec<_> = rows.collect::<Result<_, _>>().map_err(failed)?;
    for (place, mailbox) in gone {
        let key = (mailbox, place.uid.value());
        for sql in [
            "UPDATE mailbox SET mod_seq = mod_seq + 1, history = history + 1 WHERE id = ?1 AND ?2 > 0",
            "INSERT INTO expunged SELECT id, mod_seq, ?2, ?2, 0 FROM mailbox WHERE id = ?1",
            "DELETE FROM message WHERE mailbox = ?1 AND uid = ?2",
        ] {
            conn.prepare_cached(sql)
                .and_then(|mut statement| statement.execute(key))
                .map_err(failed)?;
        }
        lost.push(Loss::Message(place));
    }
    let sql = "SELECT key FROM spool WHERE blob NOT IN (SELECT id FROM blob)";
    for key in numbers(conn, sql)? {
        conn.execute("UPDATE spool SET blob = NULL WHERE key = ?1", [key])
            .map_err(failed)?;
        lost.push(Loss::Spooled { key: key as u64 });
    }
    Ok(lost)
}

/// Returns the mailbox for what belongs to nobody.
fn lost_and_found(conn: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT mailbox.id FROM mailbox JOIN account ON account.id = mailbox.account
               WHERE account.name = 'lost+found' AND mailbox.name = 'INBOX'";
    let known = conn.query_row(sql, [], |row| row.get(0)).optional();
    if let Some(id) = known.map_err(failed)? {
        return Ok(id);
    }
    conn.execute_batch(
        "INSERT OR IGNORE INTO account (name, last_uid_validity, octets, messages) VALUES ('lost+found', 0, 0, 0);
         UPDATE counter SET value = 1 + max(value, (SELECT ifnull(max(id), 0) FROM mailbox)) WHERE name = 'mailbox';
         INSERT INTO mailbox SELECT counter.value, account.id, 'INBOX', NULL, counter.value, 1, 1, 0, 0, 0, 0, 0, 0, 0
             FROM counter, account WHERE counter.name = 'mailbox' AND account.name = 'lost+found'",
    )
    .map_err(failed)?;
    conn.query_row(sql, [], |row| row.get(0)).map_err(failed)
}

/// Computes what is kept of a message's content; `None` when it cannot be read.
fn meta(conn: &Connection, packs: &Packs, body: &StoredBody) -> Result<Option<MessageMeta>, StoreError> {
    let mut builder = Builder::new(Options::default());
    let Some(at) = body.at else {
        return match blob::inline(conn, body.id as u64) {
            Ok(content) => {
                builder.push(&content);
                let is_it = BlobHash::of(&content) == body.hash;
                Ok(is_it.then(|| builder.finish_with(&content).meta))
            }
            Err(StoreError::Corrupt(_) | StoreError::NoSuchBlob) => Ok(None),
            Err(error) => Err(error),
        };
    };
    let read = |range| packs.read(body.id as u64, at, body.size, range).ok();
    let (mut hasher, mut from) = (BlobHasher::new(), 0);
    while from < body.size {
        let Some(octets) = read(from..body.size) else {
            return Ok(None);
        };
        hasher.update(&octets);
        builder.push(&octets);
        from += octets.len() as u64;
    }
    if hasher.finish() != body.hash {
        return Ok(None);
    }
    let mut digest = builder.finish();
    if let Some(mut text) = digest.left.take() {
        let mut walk = Walk::new(&digest.index);
        while let Some(range) = walk.wanted(&mut text) {
            let Some(octets) = read(range) else {
                return Ok(None);
            };
            walk.push(&octets, &mut text);
        }
        digest.keep(text);
    }
    Ok(Some(digest.meta))
}

fn numbers(conn: &Connection, sql: &str) -> Result<Vec<i64>, StoreError> {
    let mut statement = conn.prepare(sql).map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0));
    rows.and_then(Iterator::collect).map_err(failed)
}

fn io_failed(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

/// The numbers of bodies that are referred to and have no row.
const MISSING: &str = "SELECT DISTINCT blob FROM
    (SELECT blob FROM message UNION ALL SELECT blob FROM spool WHERE blob IS NOT NULL)
    WHERE blob NOT IN (SELECT id FROM blob)";
/// The numbers of bodies that nothing refers to.
const ORPHANS: &str = "SELECT id FROM blob WHERE id NOT IN (SELECT blob FROM message)
    AND id NOT IN (SELECT blob FROM spool WHERE blob IS NOT NULL)";
