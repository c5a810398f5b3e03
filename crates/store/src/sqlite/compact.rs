//! Moves what is left in packs that have lost most of their bodies, so that the space of the others can be used again
//!
//! ```text
//!  writer: a body of pack 3 went ─▶ compactor: less than half of pack 3 is left?
//!                                     copy the records to other packs, sync those
//!  writer: one commit, new places ◀──
//!          pack 3 has nothing left: it goes
//! ```
//!
//! Whoever reads meanwhile reads from the old place or the new; the octets are the same.

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, mpsc},
};

use mailwright_mailbox::BlobHash;
use rusqlite::{Connection, Row};

use super::queue;
use super::writer::{Job, Move, Thinned};
use crate::pack::{Location, Packs, Written};

/// The state of the thread that compacts.
pub(super) struct Compactor {
    pub(super) conn: Connection,
    pub(super) packs: Arc<Packs>,
    pub(super) writer: queue::Sender<Job>,
    /// A pack is emptied when less than this share of it is live, in percent.
    pub(super) live_percent: u8,
    pub(super) closing: Arc<AtomicBool>,
}

struct Live {
    blob: i64,
    hash: BlobHash,
    size: u64,
    at: Location,
}

impl Compactor {
    /// Works until the store is closed.
    pub(super) fn run(self, thinned: &mpsc::Receiver<Thinned>) {
        while let Ok(Thinned::Pack(pack)) = thinned.recv() {
            if self.closing.load(Ordering::Relaxed) {
                return;
            }
            // A pack that cannot be emptied stays as it is: what is wrong with it, `check` tells.
            let _ = self.compact(pack);
        }
    }

    fn compact(&self, pack: u64) -> Result<(), Trouble> {
        // Looking takes the pack from nobody.
        if !self.is_worth_it(pack)? {
            return Ok(());
        }
        let Some(emptying) = self.packs.empty(pack) else {
            return Ok(());
        };
        let copies = Copies {
            packs: &self.packs,
            pinned: Vec::new(),
        };
        self.relocate(pack, copies)?;
        drop(emptying);
        // The store is being closed where that fails.
        self.writer.send(Job::Tidy);
        Ok(())
    }

    fn is_worth_it(&self, pack: u64) -> Result<bool, Trouble> {
        let Some(octets) = self.packs.octets(pack) else {
            return Ok(false);
        };
        let sql = "SELECT ifnull(sum(octets), 0) FROM blob WHERE pack = ?1";
        let live = self.conn.prepare_cached(sql)?;
        let live = { live }.query_row([pack as i64], |row| row.get::<_, i64>(0))?;
        Ok(live > 0 && (live as u64) < octets / 100 * u64::from(self.live_percent))
    }

    fn relocate(&self, pack: u64, mut copies: Copies<'_>) -> Result<(), Trouble> {
        let sql = "SELECT id, hash, octets, start FROM blob WHERE pack = ?1 ORDER BY start";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([pack as i64], |row| live(row, pack))?;
        let bodies: Vec<Live> = rows.collect::<Result<_, _>>()?;
        let (mut moves, mut ends) = (Vec::with_capacity(bodies.len()), BTreeMap::<u64, u64>::new());
        for body in bodies {
            let written = match copies.copy(&body) {
                Ok(written) => written,
                // A damaged body stays where it is, and its pack with it; the others can go on.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                Err(error) => return Err(error.into()),
            };
            let end = ends.entry(written.location.pack).or_default();
            *end = written.end.max(*end);
            moves.push(Move {
                blob: body.blob,
                from: body.at,
                to: written.location,
            });
        }
        for (pack, end) in ends {
            self.packs.sync(pack, end)?;
        }
        let (reply, replied) = mpsc::channel();
        // Where the writer is gone, the store is being closed, and the copies are not used.
        if self.writer.send(Job::Relocate { moves, reply }) {
            let _ = replied.recv();
        }
        Ok(())
    }
}

/// The copies that are made, which are pinned until their new places are committed.
struct Copies<'p> {
    packs: &'p Arc<Packs>,
    pinned: Vec<u64>,
}

impl Copies<'_> {
    fn copy(&mut self, body: &Live) -> io::Result<Written> {
        let written = self
            .packs
            .copy(body.blob as u64, body.at, body.size, self.packs)?;
        self.pinned.push(written.location.pack);
        if written.hash != body.hash {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(written)
    }
}

impl Drop for Copies<'_> {
    fn drop(&mut self) {
        self.pinned.iter().for_each(|pack| self.packs.unpin(*pack));
    }
}

fn live(row: &Row<'_>, pack: u64) -> rusqlite::Result<Live> {
    Ok(Live {
        blob: row.get(0)?,
        hash: BlobHash::from_bytes(row.get(1)?),
        size: row.get::<_, i64>(2)? as u64,
        at: Location {
            pack,
            offset: row.get::<_, i64>(3)? as u64,
        },
    })
}

/// Why a pack was not emptied.
#[derive(Debug)]
enum Trouble {
    Database,
    Disk,
}

impl From<rusqlite::Error> for Trouble {
    fn from(_: rusqlite::Error) -> Self {
        Self::Database
    }
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Disk
    }
}
