//! The pages of a database file, and of the write-ahead log beside it
//!
//! ```text
//!  log   = header frame*
//!  header = magic:4 version:4 page-size:4 sequence:4 salt:8 checksum:8        (numbers are big-endian)
//!  frame  = page:4 pages-after-commit:4 salt:8 checksum:8 content             (0 pages: not the end of a commit)
//! ```
//!
//! Checksums go on from frame to frame; where one is wrong the log ends. What it says of the file format is in
//! "Database File Format" on sqlite.org, §1.3 and §4.

use std::{collections::HashMap, fs::File, path::Path};

use crate::pack::read_at;

/// A database file as it would be with the committed part of its log in it.
pub(super) struct Image {
    database: Option<File>,
    log: Option<File>,
    // Where in the log the latest version of a page is.
    newer: HashMap<u32, u64>,
    page_octets: usize,
    pages: u32,
}

impl Image {
    /// Looks at the files; either may be missing or be something else.
    pub(super) fn open(database: &Path, log: &Path) -> Self {
        let (database, log) = (File::open(database).ok(), File::open(log).ok());
        let octets = database
            .as_ref()
            .and_then(|file| file.metadata().ok())
            .map_or(0, |it| it.len());
        let mut image = Self {
            page_octets: page_octets(database.as_ref()),
            database,
            log,
            newer: HashMap::new(),
            pages: 0,
        };
        image.pages = u32::try_from(octets / image.page_octets as u64).unwrap_or(u32::MAX);
        image.read_log();
        image
    }

    /// The number of pages; the first is 1.
    pub(super) const fn pages(&self) -> u32 {
        self.pages
    }

    /// Reads a page; `None` when it cannot be read.
    pub(super) fn page(&self, number: u32) -> Option<Vec<u8>> {
        if number == 0 || number > self.pages {
            return None;
        }
        let mut page = vec![0; self.page_octets];
        let (file, offset) = match self.newer.get(&number) {
            Some(offset) => (self.log.as_ref()?, *offset),
            None => (
                self.database.as_ref()?,
                u64::from(number - 1) * self.page_octets as u64,
            ),
        };
        read_at(file, &mut page, offset).ok()?;
        Some(page)
    }

    fn read_log(&mut self) {
        let Some(log) = &self.log else { return };
        let mut header = [0; LOG_HEADER];
        if read_at(log, &mut header, 0).is_err() {
            return;
        }
        let magic = number(&header, 0);
        let page_octets = number(&header, 8) as usize;
        let is_log = magic & !1 == 0x377f_0682 && number(&header, 4) == 3_007_000;
        if !is_log || !is_page_size(page_octets) {
            return;
        }
        let sum = Sum {
            is_big_endian: magic & 1 == 1,
        };
        let mut checksum = sum.add((0, 0), &header[..24]);
        if checksum != (number(&header, 24), number(&header, 28)) {
            return;
        }
        if self.database.is_none() || self.pages == 0 {
            self.page_octets = page_octets;
        } else if page_octets != self.page_octets {
            return;
        }
        let (mut pending, mut at) = (Vec::new(), LOG_HEADER as u64);
        let mut frame = vec![0; FRAME_HEADER + page_octets];
        while read_at(log, &mut frame, at).is_ok() {
            checksum = sum.add(checksum, &frame[..8]);
            checksum = sum.add(checksum, &frame[FRAME_HEADER..]);
            let is_next = frame[8..16] == header[16..24]
                && checksum == (number(&frame, 16), number(&frame, 20))
                && number(&frame, 0) > 0;
            if !is_next {
                return;
            }
            pending.push((number(&frame, 0), at + FRAME_HEADER as u64));
            at += frame.len() as u64;
            let pages = number(&frame, 4);
            if pages > 0 {
                self.newer.extend(pending.drain(..));
                self.pages = pages;
            }
        }
    }
}

/// The size of the pages as the file says it; where that is damaged, the size that stores have.
fn page_octets(database: Option<&File>) -> usize {
    let mut header = [0; 100];
    let size = match database.map(|file| read_at(file, &mut header, 0)) {
        Some(Ok(())) => match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        },
        _ => 0,
    };
    if is_page_size(size) { size } else { 4096 }
}

const fn is_page_size(octets: usize) -> bool {
    octets.is_power_of_two() && 512 <= octets && octets <= 65_536
}

struct Sum {
    is_big_endian: bool,
}

impl Sum {
    fn add(&self, mut sum: (u32, u32), octets: &[u8]) -> (u32, u32) {
        for pair in octets.chunks_exact(8) {
            let word = |at: usize| {
                let octets = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
                match self.is_big_endian {
                    true => u32::from_be_bytes(octets),
                    false => u32::from_le_bytes(octets),
                }
            };
            sum.0 = sum.0.wrapping_add(word(0)).wrapping_add(sum.1);
            sum.1 = sum.1.wrapping_add(word(4)).wrapping_add(sum.0);
        }
        sum
    }
}

/// Reads a number of four octets, which have to be there.
pub(super) fn number(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
