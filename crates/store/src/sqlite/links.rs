//! Who refers to which body: counted for a batch, written once at its end

use core::sync::atomic::Ordering;
use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use mailwright_mailbox::BlobRef;
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
    index: Option<Bytes>,
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
    pub(super) fn link_new(&mut self, blob: &BlobRef, index: Option<&Bytes>) {
        let link = self.changes.entry(blob.locator() as i64).or_default();
        link.delta += 1;
        if link.fresh.is_none() {
            link.fresh = pin_of(blob, self.identity).map(|pin| (pin, blob.unpinned()));
        }
        if link.index.is_none() {
            link.index = index.cloned();
        }
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
            let index = link.index.as_deref().unwrap_or_default();
            // A body that no commit has tried to store is certainly not there.
            let new = link
                .fresh
                .as_ref()
                .is_some_and(|(pin, _)| !pin.stored.swap(true, Ordering::Relaxed));
            let there = if new {
                None
            } else {
                update(conn, id, link.delta, index)?
            };
            match (there, &link.fresh) {
                (Some((0, pack)), _) => {
                    conn.prepare_cached("DELETE FROM blob WHERE id = ?1")?
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
                    insert(conn, pin, blob, link.delta, index, &mut done)?;
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
fn update(conn: &Connection, id: i64, delta: i64, index: &[u8]) -> Result<Option<(i64, Option<i64>)>> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    if index.is_empty() {
        let sql = "UPDATE blob SET links = links + ?2 WHERE id = ?1 RETURNING links, pack";
        return conn.prepare_cached(sql)?.query_row((id, delta), read).optional();
    }
    // A blob that came in through the spool has no part index before its first message.
    let sql = "UPDATE blob SET links = links + ?2,
               part_index = CASE length(part_index) WHEN 0 THEN ?3 ELSE part_index END
               WHERE id = ?1 RETURNING links, pack";
    conn.prepare_cached(sql)?
        .query_row((id, delta, index), read)
        .optional()
}

fn insert(
    conn: &Connection,
    pin: &Pin,
    blob: &BlobRef,
    links: i64,
    index: &[u8],
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
    let sql = "INSERT INTO blob VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = (
        id,
        blob.hash().as_bytes(),
        blob.size() as i64,
        links,
        pack,
        start,
        index,
    );
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
