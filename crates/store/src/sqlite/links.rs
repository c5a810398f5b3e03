//! Who refers to which body: counted for a batch, written once at its end

use core::sync::atomic::Ordering;
use std::{collections::BTreeMap, sync::Arc};

use mailwright_mailbox::{BlobRef, MessageMeta, Threading};
use rusqlite::{Connection, OptionalExtension, Result};

use super::blob::{Body, Pin, pin_of};

/// The links that a batch adds and takes away.
pub(super) struct Links<'w> {
    conn: &'w Connection,
    identity: &'w Arc<()>,
    changes: BTreeMap<i64, Link>,
}

#[derive(Default)]
struct Link {
    delta: i64,
    fresh: Option<(Arc<Pin>, BlobRef)>,
    meta: Option<MessageMeta>,
}

/// What has to happen to packs for a batch.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Packs that must be durable up to an offset before the commit.
    pub(super) sync: BTreeMap<u64, u64>,
    /// Packs that may have nothing left after it.
    pub(super) suspects: Vec<u64>,
}

impl<'w> Links<'w> {
    pub(super) const fn new(conn: &'w Connection, identity: &'w Arc<()>) -> Self {
        Self {
            conn,
            identity,
            changes: BTreeMap::new(),
        }
    }

    /// Tells whether the bytes are there: held by the reference itself, or by something that is stored.
    pub(super) fn is_there(&self, blob: &BlobRef) -> Result<bool> {
        if pin_of(blob, self.identity).is_some() {
            return Ok(true);
        }
        let id = blob.locator() as i64;
        let mut statement = self
            .conn
            .prepare_cached("SELECT links FROM blob WHERE id = ?1 AND hash = ?2")?;
        let links: Option<i64> = statement
            .query_row((id, blob.hash().as_bytes()), |row| row.get(0))
            .optional()?;
        let delta = self.changes.get(&id).map_or(0, |link| link.delta);
        Ok(links.is_some_and(|links| links + delta > 0))
    }

    /// Adds a link to a blob that a caller gave.
    pub(super) fn link_new(&mut self, blob: &BlobRef, meta: Option<&MessageMeta>) {
        let link = self.changes.entry(blob.locator() as i64).or_default();
        link.delta += 1;
        if link.fresh.is_none() {
            link.fresh = pin_of(blob, self.identity).map(|pin| (pin, blob.unpinned()));
        }
        if link.meta.is_none() {
            link.meta = meta.cloned();
        }
    }

    /// Returns what puts a message of this batch into its thread; `None` if the batch does not bring that.
    pub(super) fn threading(&self, id: i64) -> Option<Threading> {
        let meta = self.changes.get(&id)?.meta.as_ref()?;
        Some(meta.threading.clone())
    }

    /// Adds a link to a blob that is stored.
    pub(super) fn link(&mut self, id: i64) {
        self.changes.entry(id).or_default().delta += 1;
    }

    /// Takes a link away.
    pub(super) fn unlink(&mut self, id: i64) {
        self.changes.entry(id).or_default().delta -= 1;
    }

    /// Writes the links, the bodies that are new, and removes those that nothing refers to.
    pub(super) fn write(self) -> Result<Done> {
        let mut done = Done::default();
        let conn = self.conn;
        for (id, link) in self.changes {
            if link.delta == 0 && link.fresh.is_none() {
                continue;
            }
            let meta = link.meta.as_ref();
            // A body that no commit has tried to store is certainly not there.
            let new = link
                .fresh
                .as_ref()
                .is_some_and(|(pin, _)| !pin.stored.swap(true, Ordering::Relaxed));
            let there = if new {
                None
            } else {
                update(conn, id, link.delta, meta)?
            };
            match (there, &link.fresh) {
                (Some((0, pack)), _) => {
                    conn.prepare_cached("DELETE FROM blob WHERE id = ?1")?
                        .execute([id])?;
                    conn.prepare_cached("DELETE FROM text WHERE blob = ?1")?
                        .execute([id])?;
                    conn.prepare_cached("DELETE FROM sketch WHERE blob = ?1")?
                        .execute([id])?;
                    match pack {
                        Some(pack) => done.suspects.push(pack as u64),
                        None => drop(
                            conn.prepare_cached("DELETE FROM body WHERE blob = ?1")?
                                .execute([id])?,
                        ),
                    }
                }
                (Some(_), _) => {}
                (None, Some((pin, blob))) if link.delta > 0 => {
                    insert(conn, pin, blob, link.delta, meta, &mut done)?;
                }
                // Its message came and went within the batch.
                (None, Some(_)) => {}
                // A message refers to a body that is not there: damage, which `check` reports. It must not stop
                // the message from being expunged.
                (None, None) => {}
            }
        }
        Ok(done)
    }
}

/// Changes the links of a stored blob and returns how many are left, and its pack; `None` when it is not there.
fn update(
    conn: &Connection,
    id: i64,
    delta: i64,
    meta: Option<&MessageMeta>,
) -> Result<Option<(i64, Option<i64>)>> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let Some(meta) = meta else {
        let sql = "UPDATE blob SET links = links + ?2 WHERE id = ?1 RETURNING links, pack";
        return conn.prepare_cached(sql)?.query_row((id, delta), read).optional();
    };
    // A blob that came in through the spool has nothing of this before its first message.
    let sql = "UPDATE blob SET links = links + ?2,
               part_index = CASE length(part_index) WHEN 0 THEN ?3 ELSE part_index END,
               sort_keys = CASE length(sort_keys) WHEN 0 THEN ?4 ELSE sort_keys END,
               threading = CASE length(threading) WHEN 0 THEN ?5 ELSE threading END
               WHERE id = ?1 RETURNING links, pack";
    let threading = meta.threading.to_bytes();
    let values = (id, delta, &meta.index[..], &meta.sort_keys[..], threading);
    let there = conn.prepare_cached(sql)?.query_row(values, read).optional()?;
    if there.is_some_and(|(links, _)| links > 0) {
        insert_text(conn, id, meta)?;
    }
    Ok(there)
}

fn insert(
    conn: &Connection,
    pin: &Pin,
    blob: &BlobRef,
    links: i64,
    meta: Option<&MessageMeta>,
    done: &mut Done,
) -> Result<()> {
    let id = pin.id as i64;
    let (pack, start) = match &pin.body {
        Body::Inline { content, crc } => {
            conn.prepare_cached("INSERT INTO body VALUES (?1, ?2, ?3)")?
                .execute((id, crc, &content[..]))?;
            (None, None)
        }
        Body::Packed { location, end, .. } => {
            let upto = done.sync.entry(location.pack).or_default();
            *upto = (*upto).max(*end);
            (Some(location.pack as i64), Some(location.offset as i64))
        }
    };
    let sql = "INSERT INTO blob VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let index = meta.map_or(&[][..], |meta| &meta.index);
    let sort_keys = meta.map_or(&[][..], |meta| &meta.sort_keys);
    let threading = meta.map(|meta| meta.threading.to_bytes()).unwrap_or_default();
    let values = (
        id,
        blob.hash().as_bytes(),
        blob.size() as i64,
        links,
        pack,
        start,
        index,
        sort_keys,
        threading,
    );
    conn.prepare_cached(sql)?.execute(values)?;
    meta.map_or(Ok(()), |meta| insert_text(conn, id, meta))
}

/// Writes what is searched of a message.
pub(super) fn insert_text(conn: &Connection, id: i64, meta: &MessageMeta) -> Result<()> {
    if let Some(text) = &meta.text {
        conn.prepare_cached("INSERT INTO text VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute((id, &text[..]))?;
    }
    if !meta.sketch.is_empty() {
        let crc = crc32fast::hash(&meta.sketch);
        conn.prepare_cached("INSERT INTO sketch VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
            .execute((id, crc, &meta.sketch[..], meta.sketch.len() as i64))?;
    }
    Ok(())
}
