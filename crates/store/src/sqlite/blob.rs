//! Bodies on their way in and out

use core::{mem, ops::Range, sync::atomic::AtomicBool};
use std::{
    io,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use mailwright_mailbox::{BlobHash, BlobHasher, BlobRef, BlobWriter, StoreError};
use rusqlite::{Connection, OptionalExtension};

use super::{Shared, SqliteStore, failed};
use crate::pack::{Appender, Location, Packs, Written};

/// Takes the bytes of a message for a [`SqliteStore`](super::SqliteStore); holds at most 32 KiB of them, and what
/// was last written.
#[derive(Debug)]
pub struct SqliteBlobWriter {
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    appender: Long,
}

#[derive(Debug)]
enum Long {
    No,
    Yes(Box<Appender>),
    // A write failed, or its future was dropped half-way.
    Lost,
}

impl SqliteBlobWriter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            buffer: Vec::new(),
            appender: Long::No,
        }
    }

    /// How much of a long body is gathered before it is written.
    const PIECE: usize = 16 * 1024;
    /// A buffer that has to be larger than this gets all the room that it may need: growing by halves would hold it
    /// twice.
    const SMALL: usize = 8 * 1024;

    /// Writes octets to a pack.
    async fn put(&mut self, octets: Bytes) -> Result<(), StoreError> {
        let appender = match mem::replace(&mut self.appender, Long::Lost) {
            Long::No => None,
            Long::Yes(appender) => Some(appender),
            Long::Lost => return Err(lost()),
        };
        let shared = Arc::clone(&self.shared);
        let write = move |_: &mut Connection| {
            let mut appender = match appender {
                Some(appender) => appender,
                None if shared.room.is_low() => return Err(StoreError::Full),
                None => Box::new(shared.packs.begin(shared.next_blob()).map_err(io_failed)?),
            };
            appender.write(&octets).map_err(io_failed)?;
            Ok(appender)
        };
        self.appender = Long::Yes(self.shared.pool.run(write).await?);
        Ok(())
    }

    async fn put_buffer(&mut self) -> Result<(), StoreError> {
        let octets = mem::take(&mut self.buffer).into();
        self.put(octets).await
    }

    /// Gathers octets that the buffer has room for.
    fn gather(&mut self, octets: &[u8], most: usize) {
        let length = self.buffer.len() + octets.len();
        if length > self.buffer.capacity() {
            let capacity = match length {
                ..=Self::SMALL => length.next_power_of_two(),
                _ => most,
            };
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        self.buffer.extend_from_slice(octets);
    }
}

impl BlobWriter for SqliteBlobWriter {
    async fn write(&mut self, mut chunk: Bytes) -> Result<(), StoreError> {
        loop {
            let most = match self.appender {
                Long::No => SqliteStore::INLINE_OCTETS,
                _ => Self::PIECE,
            };
            if self.buffer.len() + chunk.len() <= most {
                self.gather(&chunk, most);
                return Ok(());
            }
            // What fills the buffer is written only when more follows: a body of just that length stays inline.
            if !self.buffer.is_empty() {
                let room = most - self.buffer.len();
                self.gather(&chunk.split_to(room), most);
                self.put_buffer().await?;
            } else {
                // Large pieces need not be gathered.
                let piece = chunk.split_to(most);
                self.put(piece).await?;
            }
        }
    }

    async fn finish(mut self) -> Result<BlobRef, StoreError> {
        if matches!(self.appender, Long::No) {
            // It is held until it is committed, or for as long as a message waits to be sent: at its own length.
            let content = Bytes::from(mem::take(&mut self.buffer).into_boxed_slice());
            let mut hasher = BlobHasher::new();
            hasher.update(&content);
            let (size, hash, crc) = (content.len() as u64, hasher.finish(), crc32fast::hash(&content));
            let id = self.shared.next_blob();
            return Ok(pinned(
                &self.shared,
                id,
                hash,
                size,
                Body::Inline { content, crc },
            ));
        }
        if !self.buffer.is_empty() {
            self.put_buffer().await?;
        }
        let Long::Yes(appender) = mem::replace(&mut self.appender, Long::Lost) else {
            return Err(lost());
        };
        let shared = Arc::clone(&self.shared);
        let finish = move |_: &mut Connection| {
            let id = appender.key();
            let Written {
                location,
                end,
                size,
                hash,
            } = appender.finish().map_err(io_failed)?;
            // The guard is made on this thread: where the future was dropped meanwhile, it still undoes the pin.
            let guard = Unpin {
                packs: Arc::downgrade(&shared.packs),
                pack: location.pack,
            };
            Ok(pinned(
                &shared,
                id,
                hash,
                size,
                Body::Packed {
                    location,
                    end,
                    _guard: guard,
                },
            ))
        };
        self.shared.pool.run(finish).await
    }
}

fn pinned(shared: &Arc<Shared>, id: u64, hash: BlobHash, size: u64, body: Body) -> BlobRef {
    let pin = Pin {
        store: Arc::clone(&shared.identity),
        id,
        body,
        stored: AtomicBool::new(false),
    };
    BlobRef::new(hash, size).with_locator(id).with_pin(Arc::new(pin))
}

/// Holds a body, or its place in a pack, for the first commit that refers to it.
#[derive(Debug)]
pub(super) struct Pin {
    store: Arc<()>,
    pub(super) id: u64,
    pub(super) body: Body,
    /// Whether a commit has tried to store it: if not, it is certainly not in the database.
    pub(super) stored: AtomicBool,
}

#[derive(Debug)]
pub(super) enum Body {
    Inline {
        content: Bytes,
        crc: u32,
    },
    Packed {
        location: Location,
        end: u64,
        _guard: Unpin,
    },
}

/// Lets go of the pack when the last reference is dropped.
#[derive(Debug)]
pub(super) struct Unpin {
    packs: Weak<Packs>,
    pack: u64,
}

impl Drop for Unpin {
    fn drop(&mut self) {
        if let Some(packs) = self.packs.upgrade() {
            packs.unpin(self.pack);
        }
    }
}

/// Returns what the reference pins in this very store.
pub(super) fn pin_of(blob: &BlobRef, identity: &Arc<()>) -> Option<Arc<Pin>> {
    blob.pin::<Pin>().filter(|pin| Arc::ptr_eq(&pin.store, identity))
}

impl Shared {
    /// Reads part of a body.
    pub(super) async fn read_blob(
        self: &Arc<Self>,
        blob: &BlobRef,
        range: Range<u64>,
    ) -> Result<Bytes, StoreError> {
        let pin = pin_of(blob, &self.identity);
        if let Some(Body::Inline { content, .. }) = pin.as_deref().map(|pin| &pin.body) {
            return Ok(cut(content, range));
        }
        let (shared, blob) = (Arc::clone(self), blob.clone());
        let read = move |conn: &mut Connection| shared.read_with(conn, pin.as_deref(), &blob, range);
        self.pool.run(read).await
    }

    /// Reads parts of several bodies on one visit to a reader thread: for short ones that visit is most of the cost.
    pub(super) async fn read_blobs(
        self: &Arc<Self>,
        wanted: &[(BlobRef, Range<u64>)],
    ) -> Vec<Result<Bytes, StoreError>> {
        let (shared, asked) = (Arc::clone(self), wanted.to_vec());
        let read = move |conn: &mut Connection| {
            let octets = asked.into_iter().map(|(blob, range)| {
                let pin = pin_of(&blob, &shared.identity);
                if let Some(Body::Inline { content, .. }) = pin.as_deref().map(|pin| &pin.body) {
                    return Ok(cut(content, range));
                }
                shared.read_with(conn, pin.as_deref(), &blob, range)
            });
            Ok(octets.collect())
        };
        match self.pool.run(read).await {
            Ok(octets) => octets,
            Err(error) => wanted.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn read_with(
        &self,
        conn: &Connection,
        pin: Option<&Pin>,
        blob: &BlobRef,
        range: Range<u64>,
    ) -> Result<Bytes, StoreError> {
        let place = match pin {
            Some(Pin {
                body: Body::Packed { location, .. },
                ..
            }) => Place::Packed(*location),
            _ => place(conn, blob)?,
        };
        let mut at = match place {
            Place::Inline => return Ok(cut(&inline(conn, blob.locator())?, range)),
            Place::Packed(at) => at,
        };
        loop {
            match self.packs.read(blob.locator(), at, blob.size(), range.clone()) {
                Ok(octets) => return Ok(octets),
                // It may have moved to another pack, and its old one be gone, since it was looked up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => match self::place(conn, blob)? {
                    Place::Packed(moved) if moved != at => at = moved,
                    _ => return Err(StoreError::Corrupt(error.to_string())),
                },
                Err(error) => {
                    return Err(match error.kind() {
                        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                            StoreError::Corrupt(error.to_string())
                        }
                        _ => StoreError::Io(error.to_string()),
                    });
                }
            }
        }
    }
}

enum Place {
    Inline,
    Packed(Location),
}

fn place(conn: &Connection, blob: &BlobRef) -> Result<Place, StoreError> {
    let sql = "SELECT pack, start FROM blob WHERE id = ?1 AND hash = ?2";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let row = statement.query_row((blob.locator() as i64, blob.hash().as_bytes()), |row| {
        let (pack, start): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok(match (pack, start) {
            (Some(pack), Some(start)) => Place::Packed(Location {
                pack: pack as u64,
                offset: start as u64,
            }),
            _ => Place::Inline,
        })
    });
    row.optional().map_err(failed)?.ok_or(StoreError::NoSuchBlob)
}

/// Reads a body from the database and checks it.
pub(super) fn inline(conn: &Connection, id: u64) -> Result<Bytes, StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT crc, content FROM body WHERE blob = ?1")
        .map_err(failed)?;
    let row = statement.query_row([id as i64], |row| {
        Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    // The message may have been expunged between the two look-ups.
    let (crc, content) = row.optional().map_err(failed)?.ok_or(StoreError::NoSuchBlob)?;
    if crc32fast::hash(&content) != crc {
        return Err(StoreError::Corrupt(format!("checksum of body {id}")));
    }
    Ok(content.into())
}

fn cut(content: &Bytes, range: Range<u64>) -> Bytes {
    // Inline bodies are shorter than what one read may return.
    let end = range.end.min(content.len() as u64);
    if range.start < end {
        content.slice(range.start as usize..end as usize)
    } else {
        Bytes::new()
    }
}

fn io_failed(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(error.to_string()),
    }
}

fn lost() -> StoreError {
    StoreError::Io("an earlier write of this message did not end".into())
}
