//! What is in the packs, by their own account

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use mailwright_mailbox::BlobHash;

use super::{
    Location, Packs,
    record::{FILE_HEADER, RECORD_MAGIC, walk},
};

/// A record that is whole as far as its headers tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) at: Location,
    pub(crate) size: u64,
    pub(crate) hash: BlobHash,
}

impl Packs {
    /// Goes through all packs and returns their records by key. What cannot be read is passed over.
    pub(crate) fn survey(&self) -> HashMap<u64, Vec<Found>> {
        let mut records = HashMap::<u64, Vec<Found>>::new();
        let mut ids = self.ids();
        ids.sort_unstable();
        for pack in ids {
            let Ok(file) = self.file(pack) else { continue };
            let mut offset = Some(FILE_HEADER);
            while let Some(at) = offset {
                offset = match walk(&file, at) {
                    Ok(Some(record)) => {
                        records.entry(record.key).or_default().push(Found {
                            at: Location { pack, offset: at },
                            size: record.size,
                            hash: record.hash,
                        });
                        Some(record.end)
                    }
                    // A damaged record: the next begins somewhere behind.
                    Ok(None) | Err(_) => next_magic(&file, at + 1),
                };
            }
        }
        records
    }
}

/// Finds where a record may begin, from an offset on. Parts that cannot be read are passed over.
fn next_magic(mut file: &File, mut from: u64) -> Option<u64> {
    let end = file.metadata().ok()?.len();
    let mut window = vec![0; 64 * 1024];
    while from + (RECORD_MAGIC.len() as u64) < end {
        let Ok(length) = read_some(&mut file, &mut window, from) else {
            from += 512;
            continue;
        };
        let found = window[..length]
            .windows(RECORD_MAGIC.len())
            .position(|four| four == RECORD_MAGIC);
        if let Some(at) = found {
            return Some(from + at as u64);
        }
        from += (length.saturating_sub(RECORD_MAGIC.len() - 1)).max(1) as u64;
    }
    None
}

fn read_some(file: &mut &File, window: &mut [u8], from: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(from))?;
    let mut length = 0;
    while length < window.len() {
        match file.read(&mut window[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if length == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(length)
}
