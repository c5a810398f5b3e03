//! The journal: all that is known of accounts, mailboxes and messages beside their octets
//!
//! ```text
//!  file:    header, record, record, ...
//!  record:  MAGIC | length of the payload (u32) | CRC-32 of the payload | payload: entries
//! ```
//!
//! A record is what was committed together; it counts when it is there whole, and it is synced before anyone is told.
//! Only the last one can be torn. When most of the journal is of the past, it is written anew and takes the place of the
//! old one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::codec::Entry;
use crate::{Error, folder};

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// How long it was when it was written anew.
    least: u64,
    /// A sync has failed: what is on the disk is not known, and stays so until the journal is read again.
    is_broken: bool,
}

impl Journal {
    const HEADER: &[u8] = b"mailwright maildir journal, version 1\n";
    const MAGIC: &[u8; 8] = b"\xf0mwrec1\n";
    const HEAD: usize = 16;
    /// A record is ended when it is longer than this, where it may be.
    const RECORD: usize = 1 << 20;

    /// Opens the journal, makes one if there is none, and gives the entries of its records in their order.
    ///
    /// A torn record at the end is cut off: nobody was told of it.
    pub(super) fn open(path: &Path, mut entries: impl FnMut(Vec<Entry>)) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io(path, &error);
        if !path.exists() {
            write_anew(path, core::iter::empty()).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let end = file.metadata().map_err(failed)?.len();
        let mut reader = BufReader::with_capacity(1 << 18, &mut file);
        let mut header = [0; Self::HEADER.len()];
        if reader.read_exact(&mut header).is_err() || header != *Self::HEADER {
            return Err(Error::Foreign {
                file: path.to_owned(),
            });
        }
        let mut length = header.len() as u64;
        while let Some((record, octets)) = read_record(&mut reader, end - length).map_err(failed)? {
            let read = Entry::take_all(&record);
            entries(read.ok_or_else(|| damaged(path, length))?);
            length += octets;
        }
        drop(reader);
        if length < end {
            if is_whole_record_behind(&mut file, length).map_err(failed)? {
                return Err(damaged(path, length));
            }
            file.set_len(length)
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
        }
        file.seek(SeekFrom::Start(length)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            least: length,
            is_broken: false,
        })
    }

    /// Appends a record and returns when it is on the disk. If that fails, it is not there.
    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other(
                "the journal could not be synced: open the store again",
            ));
        }
        let record = record(payload)?;
        let written = self.file.write_all(&record);
        if let Err(error) = written {
            self.is_broken = self.cut().is_err();
            return Err(error);
        }
        if let Err(error) = self.file.sync_data() {
            self.is_broken = true;
            // As far as that is still possible, nobody who reads it later finds what was refused.
            let _ = self.cut();
            return Err(error);
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// Whether most of it is of the past.
    pub(super) fn is_stale(&self, small: u64) -> bool {
        self.length > small && self.length > 2 * self.least
    }

    /// Writes it anew. If that fails, the old one stays.
    pub(super) fn renew(&mut self, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
        if self.is_broken {
            return Ok(());
        }
        self.length = write_anew(&self.path, entries)?;
        self.least = self.length;
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }
}

fn record(payload: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut record = Vec::with_capacity(Journal::HEAD + payload.len());
    record.extend_from_slice(Journal::MAGIC);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    record.extend_from_slice(payload);
    Ok(record)
}

/// The payload of the next record and the octets of all of it; `None` if what follows is none.
fn read_record(reader: &mut impl Read, left: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
    let mut head = [0; Journal::HEAD];
    if left < head.len() as u64 {
        return Ok(None);
    }
    reader.read_exact(&mut head)?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (length, crc) = (u64::from(number(8)), number(12));
    if head[..8] != *Journal::MAGIC || length > left - head.len() as u64 {
        return Ok(None);
    }
    let mut payload = vec![0; length as usize];
    reader.read_exact(&mut payload)?;
    let is_whole = crc32fast::hash(&payload) == crc;
    Ok(is_whole.then_some((payload, head.len() as u64 + length)))
}

/// Whether a whole record stands behind a place that is none: then that was damaged, and not torn.
fn is_whole_record_behind(file: &mut File, from: u64) -> io::Result<bool> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut rest)?;
    for at in 1..rest.len().saturating_sub(Journal::HEAD) {
        if rest[at..].starts_with(Journal::MAGIC) {
            let mut behind = &rest[at..];
            let left = behind.len() as u64;
            if read_record(&mut behind, left)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn write_anew(path: &Path, entries: impl Iterator<Item = Entry>) -> io::Result<u64> {
    let fresh = path.with_extension("new");
    let mut to = BufWriter::with_capacity(1 << 18, File::create(&fresh)?);
    to.write_all(Journal::HEADER)?;
    let (mut length, mut payload) = (Journal::HEADER.len() as u64, Vec::new());
    let mut write = |payload: &mut Vec<u8>| {
        let record = record(payload)?;
        payload.clear();
        length += record.len() as u64;
        to.write_all(&record)
    };
    for entry in entries {
        entry.put(&mut payload);
        if payload.len() > Journal::RECORD {
            write(&mut payload)?;
        }
    }
    Entry::Settled.put(&mut payload);
    write(&mut payload)?;
    to.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(fresh, path)?;
    path.parent().map_or(Ok(()), folder::sync)?;
    Ok(length)
}

fn damaged(path: &Path, at: u64) -> Error {
    Error::Io {
        path: path.to_owned(),
        reason: format!("the journal is damaged at octet {at}, and goes on behind that"),
    }
}
