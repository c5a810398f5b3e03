//! A message that is held until it is judged: its header in memory, the rest in memory or in the store

use crate::judge::{Octets, Reading};
use bytes::{Bytes, BytesMut};
use mailwright_mailbox::{BlobRef, BlobWriter, Store, StoreError};
use std::ops::Range;

/// Takes the octets of a message.
pub(crate) struct Holder<S: Store> {
    header: BytesMut,
    header_ended: bool,
    memory: BytesMut,
    writer: Option<S::BlobWriter>,
    size: u64,
}

/// A whole message.
#[derive(Debug)]
pub(crate) struct Held {
    /// The header without the empty line.
    pub(crate) header: Bytes,
    /// The empty line and the body.
    pub(crate) rest: Rest,
}

/// Where the empty line and the body are.
#[derive(Debug)]
pub(crate) enum Rest {
    Memory(Bytes),
    Stored { blob: BlobRef, size: u64 },
}

/// The octets of [`Rest`].
pub(crate) struct Reader<'a, S> {
    rest: &'a Rest,
    store: &'a S,
}

impl<S: Store> Holder<S> {
    /// The largest header, in octets.
    pub(crate) const MAX_HEADER: usize = 1 << 20;
    /// How much of the rest is kept in memory.
    const MAX_MEMORY: usize = 256 << 10;

    pub(crate) fn new() -> Self {
        Self {
            header: BytesMut::new(),
            header_ended: false,
            memory: BytesMut::new(),
            writer: None,
            size: 0,
        }
    }

    /// Whether the header is larger than a message may have that is judged.
    pub(crate) fn header_is_too_large(&self) -> bool {
        self.header.len() > Self::MAX_HEADER
    }

    /// The header, once it is there as a whole.
    pub(crate) fn header(&self) -> Option<&[u8]> {
        self.header_ended.then_some(&self.header)
    }

    /// Takes the next octets, and returns what of them stands behind the header.
    pub(crate) async fn write(&mut self, store: &S, data: Bytes) -> Result<Bytes, StoreError> {
        if self.header_ended {
            return self.write_rest(store, data).await;
        }
        // The empty line may have begun in what is there.
        let from = self.header.len().saturating_sub(3);
        self.header.extend_from_slice(&data);
        let end = match self.header.starts_with(b"\r\n") {
            true => Some(0),
            false => memchr::memmem::find(&self.header[from..], b"\r\n\r\n").map(|at| from + at + 2),
        };
        if let Some(end) = end {
            self.header_ended = true;
            let rest = self.header.split_off(end).freeze();
            return self.write_rest(store, rest).await;
        }
        // It is refused at its end: what comes goes where large things go.
        self.header_ended = self.header_is_too_large();
        Ok(Bytes::new())
    }

    async fn write_rest(&mut self, store: &S, data: Bytes) -> Result<Bytes, StoreError> {
        self.size += data.len() as u64;
        if self.writer.is_none() && self.memory.len() + data.len() <= Self::MAX_MEMORY {
            self.memory.extend_from_slice(&data);
            return Ok(data);
        }
        let writer = self.writer.get_or_insert_with(|| store.new_blob());
        if !self.memory.is_empty() {
            writer.write(std::mem::take(&mut self.memory).freeze()).await?;
        }
        writer.write(data.clone()).await?;
        Ok(data)
    }

    pub(crate) async fn finish(self) -> Result<Held, StoreError> {
        let size = self.size;
        Ok(Held {
            header: self.header.freeze(),
            rest: match self.writer {
                Some(writer) => Rest::Stored {
                    blob: writer.finish().await?,
                    size,
                },
                None => Rest::Memory(self.memory.freeze()),
            },
        })
    }
}

impl Rest {
    pub(crate) fn reader<'a, S>(&'a self, store: &'a S) -> Reader<'a, S> {
        Reader { rest: self, store }
    }
}

impl<S: Store> Octets for Reader<'_, S> {
    fn len(&self) -> u64 {
        match self.rest {
            Rest::Memory(octets) => Octets::len(octets),
            Rest::Stored { size, .. } => *size,
        }
    }

    fn read(&self, range: Range<u64>) -> Reading<'_> {
        match self.rest {
            Rest::Memory(octets) => octets.read(range),
            Rest::Stored { blob, .. } => Box::pin(async move {
                let mut octets = self.store.read_blob(blob, range.clone()).await?;
                let mut at = range.start + octets.len() as u64;
                // A store gives as much at a time as it sees fit.
                while !octets.is_empty() && at < range.end.min(Octets::len(self)) {
                    let more = self.store.read_blob(blob, at..range.end).await?;
                    if more.is_empty() {
                        break;
                    }
                    at += more.len() as u64;
                    octets = [octets, more].concat().into();
                }
                Ok(octets)
            }),
        }
    }
}
